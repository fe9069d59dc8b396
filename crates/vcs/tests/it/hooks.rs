//! Our hook in attached repositories, run by real pushes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use madake_vcs::git::hook::{HookError, HookState, HookTarget, hook_state, install_hook, uninstall_hook};
use madake_vcs::process::GitProgram;

use crate::fixture::{Sandbox, write_script};

struct Attached {
    sandbox: Sandbox,
    work: PathBuf,
    repository: PathBuf,
    program: PathBuf,
    calls: PathBuf,
}

impl Attached {
    /// A bare repository in a folder with an odd name, and a program that writes down how it was called.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let work = sandbox.work_tree("work", &[("a", "1")]);
        let repository = sandbox.path("it's \"$(odd)\" dir/repository.git");
        fs::create_dir_all(&repository).unwrap();
        sandbox.git(&repository, &["init", "-q", "--bare", "--template="]);
        let (program, calls) = (sandbox.path("pro gram's/madake"), sandbox.path("calls"));
        let attached = Self {
            sandbox,
            work,
            repository,
            program,
            calls,
        };
        attached.program_does("echo heard");
        attached
    }

    fn program_does(&self, what: &str) {
        let calls = self.calls.display();
        let script = format!(
            "#!/bin/sh\nfor a in \"$@\"; do echo \"<$a>\" >> '{calls}'; done\ncat >> '{calls}'\n{what}\n"
        );
        write_script(&self.program, &script);
    }

    fn install(&self) -> Result<HookState, HookError> {
        let home = Path::new("/srv/ho'me $x");
        let target = HookTarget {
            program: &self.program,
            home,
            repository: "PROJ/it's",
        };
        install_hook(&GitProgram::default(), &self.repository, &target)
    }

    fn uninstall(&self) {
        uninstall_hook(&GitProgram::default(), &self.repository).unwrap();
    }

    fn state(&self) -> HookState {
        hook_state(&GitProgram::default(), &self.repository).unwrap()
    }

    fn hook(&self) -> PathBuf {
        self.repository.join("hooks/post-receive")
    }

    /// Pushes a new commit; returns the line that hooks get and what the user hears.
    fn push(&self) -> (String, String) {
        let old = self.sandbox.ref_in(&self.repository, "refs/heads/master");
        let new = self.sandbox.commit(&self.work, &[], "again");
        let output = self
            .sandbox
            .try_git(&self.work, &["push", self.repository.to_str().unwrap(), "master"]);
        let heard = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{heard}");
        let old = old.map_or_else(|| "0".repeat(40), |old| old.to_string());
        (format!("{old} {new} refs/heads/master\n"), heard)
    }

    fn take_calls(&self) -> String {
        let calls = fs::read_to_string(&self.calls).unwrap_or_default();
        let _ = fs::remove_file(&self.calls);
        calls
    }
}

const CALL: &str = "<hook>\n<receive>\n<--home=/srv/ho'me $x>\n<--repository=PROJ/it's>\n";

#[test]
fn hook_hands_the_push_over_whatever_the_paths_are() {
    let attached = Attached::new();
    assert_eq!(attached.state(), HookState::NotInstalled);
    for _ in 0..2 {
        assert_eq!(attached.install().unwrap(), HookState::Installed);
        let (line, heard) = attached.push();
        assert_eq!(attached.take_calls(), format!("{CALL}{line}"));
        assert!(heard.contains("remote: heard"), "{heard}");
    }
    attached.uninstall();
    assert_eq!(attached.state(), HookState::NotInstalled);
    assert_eq!(
        fs::read_dir(attached.repository.join("hooks")).unwrap().count(),
        0
    );
    attached.uninstall();
}

#[test]
fn owners_hook_keeps_its_behaviour_beside_ours() {
    let attached = Attached::new();
    let witness = attached.sandbox.path("witness");
    let text = format!(
        "#!/bin/sh\n# no line feed at the end\necho \"own $0 $# $GIT_DIR $GIT_PUSH_OPTION_COUNT\"\ncat > '{}'\nexit 3",
        witness.display()
    );
    write_script(&attached.hook(), &text);
    fs::set_permissions(attached.hook(), fs::Permissions::from_mode(0o750)).unwrap();
    let (line, before) = attached.push();
    assert_eq!(fs::read_to_string(&witness).unwrap(), line);
    for _ in 0..2 {
        assert_eq!(
            attached.install().unwrap(),
            HookState::InstalledBeside("post-receive.local".into())
        );
    }
    let (line, after) = attached.push();
    assert_eq!(fs::read_to_string(&witness).unwrap(), line);
    assert_eq!(attached.take_calls(), format!("{CALL}{line}"));
    let own = |heard: &str| {
        heard
            .lines()
            .find(|line| line.contains("own "))
            .map(|line| line.trim_end().to_owned())
    };
    assert_eq!(
        own(&after),
        own(&before).map(|line| line.replace("post-receive", "post-receive.local"))
    );

    // The owner goes on editing the file.
    let kept = attached.repository.join("hooks/post-receive.local");
    fs::write(&kept, text.replace("own", "edited")).unwrap();
    assert!(attached.push().1.contains("edited"));
    attached.uninstall();
    assert_eq!(
        fs::read_to_string(attached.hook()).unwrap(),
        text.replace("own", "edited")
    );
    assert_eq!(
        fs::metadata(attached.hook()).unwrap().permissions().mode() & 0o777,
        0o750
    );
    assert!(!kept.exists());
}

#[test]
fn exit_code_of_the_owners_hook_is_that_of_the_whole() {
    let attached = Attached::new();
    write_script(&attached.hook(), "#!/bin/sh\nexit 3\n");
    attached.install().unwrap();
    let run = |stdin: &str| {
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf '{stdin}' | ./hooks/post-receive")])
            .current_dir(&attached.repository)
            .env("GIT_DIR", ".")
            .output()
            .unwrap();
        output.status.code()
    };
    assert_eq!(run("a b c\\n"), Some(3));
    fs::write(
        attached.repository.join("hooks/post-receive.local"),
        "#!/bin/sh\nexit 0\n",
    )
    .unwrap();
    assert_eq!(run("a b c\\n"), Some(0));
}

#[test]
fn uninstalling_restores_byte_for_byte() {
    for text in ["#!/bin/sh\ntrue\n", "#!/bin/sh\r\ncat >/dev/null", ""] {
        let attached = Attached::new();
        write_script(&attached.hook(), text);
        attached.install().unwrap();
        attached.uninstall();
        assert_eq!(fs::read_to_string(attached.hook()).unwrap(), text);
        assert_eq!(
            fs::read_dir(attached.repository.join("hooks")).unwrap().count(),
            1
        );
    }
}

#[test]
fn file_that_stands_where_the_owners_hook_would_go_is_left_alone() {
    let attached = Attached::new();
    write_script(&attached.hook(), "#!/bin/sh\necho own\n");
    write_script(
        &attached.repository.join("hooks/post-receive.local"),
        "#!/bin/sh\necho not a hook\n",
    );
    assert_eq!(
        attached.install().unwrap(),
        HookState::InstalledBeside("post-receive.local2".into())
    );
    let (_, heard) = attached.push();
    assert!(heard.contains("own") && !heard.contains("not a hook"), "{heard}");
}

#[test]
fn hook_folder_of_another_product_gets_an_entry() {
    let attached = Attached::new();
    let dispatcher = "#!/bin/sh\ndata=$(cat)\nname=$(basename \"$0\")\nfor hook in ./hooks/$name.d/*; do\n\
                      test -x \"$hook\" && echo \"$data\" | \"$hook\"\ndone\n";
    write_script(&attached.hook(), dispatcher);
    write_script(
        &attached.repository.join("hooks/post-receive.d/other"),
        "#!/bin/sh\necho other\n",
    );
    for _ in 0..2 {
        assert_eq!(
            attached.install().unwrap(),
            HookState::InstalledBeside("post-receive.d".into())
        );
    }
    let (line, heard) = attached.push();
    assert_eq!(attached.take_calls(), format!("{CALL}{line}"));
    assert!(heard.contains("other"));
    attached.uninstall();
    assert_eq!(attached.state(), HookState::NotInstalled);
    assert_eq!(fs::read_to_string(attached.hook()).unwrap(), dispatcher);
}

#[test]
fn hook_that_depends_on_its_name_is_left_alone_with_a_hint() {
    let attached = Attached::new();
    let hook = attached.hook();
    for text in [
        &b"#!/bin/sh\ncase ${0##*/} in post-receive) true;; esac\n"[..],
        b"\x7fELF\xff\xfe",
    ] {
        write_script(&hook, "");
        fs::write(&hook, text).unwrap();
        let error = attached.install().unwrap_err();
        let HookError::DependsOnItsName { line, .. } = &error else {
            panic!("{error}")
        };
        assert!(line.contains("hook receive --home='/srv/ho'\\''me $x'"), "{line}");
        assert_eq!(fs::read(&hook).unwrap(), text);
        assert_eq!(attached.state(), HookState::NotInstalled);
    }
}

#[test]
fn push_succeeds_whatever_becomes_of_the_server() {
    let attached = Attached::new();
    attached.install().unwrap();
    for what in ["exit 1", "kill -9 $$", "echo broken >&2; exit 127"] {
        attached.program_does(what);
        let (_, heard) = attached.push();
        assert!(!heard.contains("broken"), "{heard}");
    }
    attached.program_does("exec sleep 600");
    let started = std::time::Instant::now();
    attached.push();
    assert!(started.elapsed() < std::time::Duration::from_secs(60));
    fs::remove_file(&attached.program).unwrap();
    let (_, heard) = attached.push();
    assert!(!heard.contains("madake"), "{heard}");
}

#[test]
fn hooks_path_of_the_repository_is_respected() {
    let attached = Attached::new();
    attached
        .sandbox
        .git(&attached.repository, &["config", "core.hooksPath", "own hooks"]);
    attached.install().unwrap();
    assert!(attached.repository.join("own hooks/post-receive").is_file() && !attached.hook().exists());
    let (line, _) = attached.push();
    assert_eq!(attached.take_calls(), format!("{CALL}{line}"));
}

#[test]
fn shared_hooks_folder_serves_one_repository_and_says_so() {
    let one = Attached::new();
    let shared = one.sandbox.path("shared hooks");
    one.sandbox.git(
        &one.repository,
        &["config", "core.hooksPath", shared.to_str().unwrap()],
    );
    one.install().unwrap();
    let mut other = Attached::new();
    other.sandbox.git(
        &other.repository,
        &["config", "core.hooksPath", shared.to_str().unwrap()],
    );
    assert!(matches!(other.install(), Err(HookError::Shared { .. })));
    other.push();
    assert_eq!(one.take_calls(), "");
    let (line, _) = one.push();
    assert_eq!(one.take_calls(), format!("{CALL}{line}"));
    other.repository = other.sandbox.path("nothing");
    assert!(matches!(other.install(), Err(HookError::NoRepository(_))));
}

#[test]
fn work_tree_can_be_attached() {
    let mut attached = Attached::new();
    attached.repository = attached.sandbox.work_tree("attached", &[("x", "1")]);
    attached
        .sandbox
        .git(&attached.repository, &["checkout", "-q", "--detach"]);
    attached
        .sandbox
        .git(&attached.repository, &["branch", "-D", "-q", "master"]);
    let _ = fs::remove_dir_all(attached.repository.join(".git/hooks"));
    attached.install().unwrap();
    let (line, _) = attached.push();
    assert_eq!(attached.take_calls(), format!("{CALL}{line}"));
    assert!(attached.repository.join(".git/hooks/post-receive").is_file());
}

#[test]
fn names_that_a_script_cannot_hold_are_refused() {
    let attached = Attached::new();
    let target = HookTarget {
        program: &attached.program,
        home: Path::new("/a\nb"),
        repository: "x",
    };
    let error = install_hook(&GitProgram::default(), &attached.repository, &target).unwrap_err();
    assert!(matches!(error, HookError::Unquotable(_)), "{error}");
    assert_eq!(attached.state(), HookState::NotInstalled);
}
