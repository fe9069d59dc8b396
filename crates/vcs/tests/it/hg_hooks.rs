//! Being told of pushes to attached Mercurial repositories.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use madake_vcs::hg::hook::{AttachedRepository, HookError, HookFiles, HookTarget, write_hook};

use crate::fixture::write_script;
use crate::hg_fixture::HgSandbox;

struct Attached {
    sandbox: HgSandbox,
    repository: PathBuf,
    program: PathBuf,
    calls: PathBuf,
    files: HookFiles,
}

impl Attached {
    fn new(program_does: &str) -> Self {
        let sandbox = HgSandbox::new();
        let repository = sandbox.work_tree("it's attached", &[("a", "1")]);
        let program = sandbox.path("bin dir/mada'ke");
        let calls = sandbox.path("calls");
        let text = format!(
            "#!/bin/sh\n{}\n",
            program_does.replace("CALLS", calls.to_str().unwrap())
        );
        write_script(&program, &text);
        let target = HookTarget {
            program: &program,
            home: Path::new("/srv/ma dake"),
        };
        let attached = AttachedRepository {
            path: &repository,
            name: "PROJ/a'pp",
        };
        let files = write_hook(&sandbox.path("hook files"), &target, &[attached]).unwrap();
        Self {
            sandbox,
            repository,
            program,
            calls,
            files,
        }
    }

    /// Commits with the hook in force, as whoever serves the repository has it.
    fn commit(&self, folder: &Path, content: &str) -> bool {
        std::fs::write(folder.join("a"), content).unwrap();
        let mut command = self.sandbox.client(folder, &["commit", "-q", "-m", content]);
        command.env("HGRCPATH", &self.files.configuration);
        command.output().unwrap().status.success()
    }

    fn wait_for_calls(&self) -> String {
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&self.calls).unwrap_or_default();
            if text.ends_with("end\n") {
                return text;
            }
            assert!(Instant::now() < limit, "no call: {text:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn server_is_told_to_look_whatever_the_paths_are() {
    let attached = Attached::new("{ printf '%s|' \"$@\"; cat; echo end; } >>'CALLS'");
    let untouched = std::fs::read(attached.repository.join(".hg/hgrc")).ok();
    assert!(attached.commit(&attached.repository, "2"));
    assert_eq!(
        attached.wait_for_calls(),
        "hook|receive|--home=/srv/ma dake|--repository=PROJ/a'pp|end\n"
    );
    assert_eq!(
        std::fs::read(attached.repository.join(".hg/hgrc")).ok(),
        untouched
    );
}

#[test]
fn repositories_that_are_not_attached_are_left_alone() {
    let attached = Attached::new("echo end >>'CALLS'");
    let other = attached.sandbox.work_tree("other", &[("a", "1")]);
    assert!(attached.commit(&other, "2"));
    assert!(!attached.calls.exists());
}

#[test]
fn owner_can_include_the_hook() {
    let attached = Attached::new("echo end >>'CALLS'");
    let line = format!("{}\n", attached.files.include_line);
    std::fs::write(attached.repository.join(".hg/hgrc"), line).unwrap();
    let folder = &attached.repository;
    std::fs::write(folder.join("a"), "2").unwrap();
    attached.sandbox.hg(folder, &["commit", "-q", "-m", "second"]);
    assert_eq!(attached.wait_for_calls(), "end\n");
}

#[test]
fn push_succeeds_whatever_becomes_of_the_server() {
    let hanging = Attached::new("exec sleep 60");
    let started = Instant::now();
    assert!(hanging.commit(&hanging.repository, "2"));
    assert!(started.elapsed() < Duration::from_secs(30));
    let failing = Attached::new("exit 3");
    assert!(failing.commit(&failing.repository, "2"));
    std::fs::remove_file(&failing.program).unwrap();
    assert!(failing.commit(&failing.repository, "3"));
    std::fs::remove_file(&failing.files.script).unwrap();
    assert!(failing.commit(&failing.repository, "4"));
}

#[test]
fn names_that_a_script_cannot_hold_are_refused() {
    let sandbox = HgSandbox::new();
    let repository = sandbox.work_tree("work", &[("a", "1")]);
    let attached = |path, name| [AttachedRepository { path, name }];
    let target = HookTarget {
        program: Path::new("/bin/madake"),
        home: Path::new("/srv"),
    };
    let folder = sandbox.path("hook");
    let nothing = sandbox.path("none");
    let none = write_hook(&folder, &target, &attached(&nothing, "x"));
    assert!(matches!(none, Err(HookError::NoRepository(_))));
    let line = write_hook(&folder, &target, &attached(&repository, "a\nb"));
    assert!(matches!(line, Err(HookError::Unquotable(_))));
    let variable = write_hook(&sandbox.path("$HOME"), &target, &attached(&repository, "x"));
    assert!(matches!(variable, Err(HookError::Unquotable(_))));
    assert!(!folder.exists());
}
