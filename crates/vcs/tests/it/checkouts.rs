//! Work trees of jobs (G3-G5, CVE-2024-32002 and its kin).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_vcs::git::checkout::{CheckoutError, CheckoutReport, CheckoutRequest, checkout};
use madake_vcs::name::{BranchName, ObjectId};
use madake_vcs::process::GitProgram;

use crate::fixture::{Sandbox, write_script};
use crate::pushes::hostile_commit;

struct Job {
    git: GitProgram,
    source: PathBuf,
    into: PathBuf,
    administration: PathBuf,
    branch: Option<BranchName>,
    clean: bool,
}

impl Job {
    fn new(sandbox: &Sandbox, source: &Path) -> Self {
        let branch = Some(BranchName::parse("feature/\"quoted\"").unwrap());
        let (git, into) = (GitProgram::default(), sandbox.path("job/work tree"));
        Self {
            git,
            source: source.to_owned(),
            into,
            administration: sandbox.path("administration"),
            branch,
            clean: false,
        }
    }

    fn run(&self, revision: &ObjectId) -> Result<CheckoutReport, CheckoutError> {
        checkout(&CheckoutRequest {
            git: &self.git,
            source: &self.source,
            revision,
            branch: self.branch.as_ref(),
            origin: Some("https://example.org/scm/a\"b.git"),
            into: &self.into,
            administration: &self
                .administration
                .join(self.into.to_str().unwrap().replace('/', "%")),
            clean: self.clean,
            timeout: Duration::from_secs(60),
        })
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".git")
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn scripts_find_a_usual_repository() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1"), ("dir/b", "2")]);
    sandbox.git(&work, &["tag", "-a", "-m", "x", "v1.0"]);
    sandbox.git(&work, &["tag", "light"]);
    let second = sandbox.commit(&work, &[("a", "3")], "second");
    for packed in [false, true] {
        let hosted = sandbox.hosted_from(&format!("hosted-{packed}.git"), &work).await;
        if packed {
            sandbox.git(&hosted, &["pack-refs", "--all"]);
        }
        let job = Job::new(&sandbox, &hosted);
        let report = job.run(&second).unwrap();
        assert!(report.lines[0].contains(&second.to_string()) && !report.reused);
        assert_eq!(sandbox.git(&job.into, &["status", "--porcelain"]), "");
        assert_eq!(
            sandbox.git(&job.into, &["branch", "--show-current"]),
            "feature/\"quoted\""
        );
        assert_eq!(
            sandbox.git(&job.into, &["describe"]),
            format!("v1.0-1-g{}", second.abbreviated(7))
        );
        assert_eq!(sandbox.git(&job.into, &["log", "--format=%s"]), "second\nfirst");
        assert_eq!(sandbox.git(&job.into, &["rev-parse", "HEAD"]), second.to_string());
        assert_eq!(
            sandbox.git(&job.into, &["remote", "get-url", "origin"]),
            "https://example.org/scm/a\"b.git"
        );
        let upstream = sandbox.git(&job.into, &["rev-parse", "--abbrev-ref", "@{upstream}"]);
        assert_eq!(upstream, "origin/feature/\"quoted\"");
        sandbox.git(&job.into, &["fsck"]);
        assert_eq!(fs::read_to_string(job.into.join("dir/b")).unwrap(), "2");
    }
}

#[tokio::test]
async fn checkout_without_branch_is_detached() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let mut job = Job::new(&sandbox, &work.join(".git"));
    job.branch = None;
    job.run(&sandbox.revision(&work, "HEAD")).unwrap();
    assert_eq!(sandbox.git(&job.into, &["branch", "--show-current"]), "");
    assert_eq!(sandbox.git(&job.into, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn folder_of_the_same_source_is_reused_and_made_exact() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree(
        "work",
        &[("a", "1"), ("gone", "1"), ("same", "1"), ("dir/x", "1")],
    );
    let first = sandbox.revision(&work, "HEAD");
    fs::remove_file(work.join("gone")).unwrap();
    let second = sandbox.commit(&work, &[("a", "2"), ("fresh", "1")], "second");
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let mut job = Job::new(&sandbox, &hosted);
    job.run(&first).unwrap();
    let written = fs::metadata(job.into.join("same")).unwrap().modified().unwrap();
    fs::write(job.into.join("a"), "edited by the job").unwrap();
    fs::write(job.into.join("output.o"), "built").unwrap();
    fs::remove_dir_all(job.into.join("dir")).unwrap();
    assert!(job.run(&second).unwrap().reused);
    assert_eq!(files(&job.into), ["a", "dir", "fresh", "output.o", "same"]);
    assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), "2");
    assert_eq!(
        fs::metadata(job.into.join("same")).unwrap().modified().unwrap(),
        written
    );
    assert!(job.run(&first).unwrap().reused);
    assert_eq!(files(&job.into), ["a", "dir", "gone", "output.o", "same"]);
    job.clean = true;
    assert!(!job.run(&second).unwrap().reused);
    assert_eq!(files(&job.into), ["a", "dir", "fresh", "same"]);
}

#[tokio::test]
async fn what_an_earlier_job_left_in_dot_git_takes_no_part() {
    let sandbox = Sandbox::new();
    let files = [
        (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
        ("a", "1"),
    ];
    let work = sandbox.work_tree("work", &files);
    let first = sandbox.revision(&work, "HEAD");
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let job = Job::new(&sandbox, &hosted);
    job.run(&first).unwrap();
    let witness = sandbox.path("witness");
    let evil = sandbox.path("evil");
    write_script(
        &evil,
        &format!("#!/bin/sh\necho \"$0\" >> '{}'\ncat\n", witness.display()),
    );
    for key in [
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "core.fsmonitor",
        "core.sshCommand",
    ] {
        sandbox.git(&job.into, &["config", key, evil.to_str().unwrap()]);
    }
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        fs::create_dir_all(job.into.join(".git/hooks")).unwrap();
        fs::copy(&evil, job.into.join(".git/hooks").join(hook)).unwrap();
    }
    fs::write(job.into.join(".git/index.lock"), "").unwrap();
    fs::write(job.into.join(".git/info-attributes"), "").unwrap();
    assert!(job.run(&second).unwrap().reused);
    assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), "2");
    assert!(!witness.exists());
    assert!(!job.into.join(".git/hooks").exists());
}

#[tokio::test]
async fn index_of_a_job_takes_no_part() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1"), ("xx/outside/file", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    let job = Job::new(&sandbox, &work.join(".git"));
    job.run(&head).unwrap();
    let outside = job.into.parent().unwrap().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::copy(job.into.join("xx/outside/file"), outside.join("file")).unwrap();
    sandbox.git(&job.into, &["update-index", "--skip-worktree", "a"]);
    fs::write(job.into.join("a"), "tampered").unwrap();
    // An entry that leads out: git itself would not write one.
    let index = job.into.join(".git/index");
    let mut bytes = fs::read(&index).unwrap();
    let name = b"xx/outside/file";
    let at = bytes.windows(name.len()).position(|part| part == name).unwrap();
    bytes[at..at + 2].copy_from_slice(b"..");
    fs::write(&index, bytes).unwrap();
    for expected in [&["a", "xx"][..], &["a"]] {
        let revision = match expected {
            ["a"] => {
                fs::remove_dir_all(work.join("xx")).unwrap();
                sandbox.commit(&work, &[("a", "1")], "without")
            }
            _ => head,
        };
        assert!(job.run(&revision).unwrap().reused);
        assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "1");
        assert_eq!(files(&job.into), expected);
        assert_eq!(sandbox.git(&job.into, &["status", "--porcelain"]), "");
    }
}

#[tokio::test]
async fn foreign_folder_is_emptied_and_links_are_not_followed() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    let outside = sandbox.path("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    let (one, other) = (
        sandbox.hosted_from("one.git", &work).await,
        sandbox.hosted_from("other.git", &work).await,
    );
    let mut job = Job::new(&sandbox, &one);
    fs::create_dir_all(job.into.join("cache/deep")).unwrap();
    fs::write(job.into.join("cache/deep/file"), "x").unwrap();
    fs::set_permissions(job.into.join("cache/deep"), fs::Permissions::from_mode(0o500)).unwrap();
    std::os::unix::fs::symlink(&outside, job.into.join("link")).unwrap();
    std::os::unix::fs::symlink(&outside, job.into.join(".git")).unwrap();
    assert!(!job.run(&head).unwrap().reused);
    assert_eq!(files(&job.into), ["a"]);
    job.source = other;
    fs::write(job.into.join("output.o"), "x").unwrap();
    assert!(!job.run(&head).unwrap().reused);
    assert_eq!(files(&job.into), ["a"]);
    assert_eq!(files(&outside), ["precious"]);

    fs::remove_dir_all(&job.into).unwrap();
    std::os::unix::fs::symlink(&outside, &job.into).unwrap();
    assert!(matches!(job.run(&head), Err(CheckoutError::NotAFolder { .. })));
    assert_eq!(files(&outside), ["precious"]);
}

#[tokio::test]
async fn files_that_are_no_checkout_stay_and_give_way() {
    let sandbox = Sandbox::new();
    let (lib, work) = (
        sandbox.work_tree("lib", &[("lib.c", "1")]),
        sandbox.work_tree("work", &[("a", "1"), ("dir/b", "2")]),
    );
    let (of_lib, head) = (sandbox.revision(&lib, "HEAD"), sandbox.revision(&work, "HEAD"));
    let mut job = Job::new(&sandbox, &work.join(".git"));
    fs::create_dir_all(job.into.join("a/folder in the way")).unwrap();
    fs::write(job.into.join("dir"), "a file in the way").unwrap();
    fs::write(job.into.join("artifact.jar"), "made before").unwrap();
    let below = Job {
        source: lib.join(".git"),
        into: job.into.join("vendor/lib"),
        ..Job::new(&sandbox, &lib)
    };
    below.run(&of_lib).unwrap();

    let report = job.run(&head).unwrap();
    assert!(!report.reused && report.lines[0].ends_with("beside the files that were in the folder"));
    assert_eq!(files(&job.into), ["a", "artifact.jar", "dir", "vendor"]);
    assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(job.into.join("dir/b")).unwrap(), "2");
    assert!(below.run(&of_lib).unwrap().reused, "the checkout below is whole");

    job.clean = true;
    job.run(&head).unwrap();
    assert_eq!(files(&job.into), ["a", "dir"]);
}

#[tokio::test]
async fn link_left_by_a_job_does_not_carry_files_outside() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("dir/file", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    let outside = sandbox.path("outside");
    fs::create_dir_all(&outside).unwrap();
    let job = Job::new(&sandbox, &work.join(".git"));
    job.run(&head).unwrap();
    fs::remove_dir_all(job.into.join("dir")).unwrap();
    std::os::unix::fs::symlink(&outside, job.into.join("dir")).unwrap();
    assert!(job.run(&head).unwrap().reused);
    assert_eq!(files(&outside), Vec::<String>::new());
    assert_eq!(fs::read_to_string(job.into.join("dir/file")).unwrap(), "1");
}

#[tokio::test]
async fn trees_that_reach_into_dot_git_are_refused() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1"), ("hooks/post-checkout", "#!/bin/sh\n")]);
    let blob = sandbox.revision(&work, "HEAD:a");
    let folder = sandbox.revision(&work, "HEAD:hooks");
    let job = Job::new(&sandbox, &work.join(".git"));
    for (mode, name, id) in [
        (&b"100644"[..], &b".git"[..], &blob),
        (b"40000", b".git", &folder),
        (b"40000", b".GIT", &folder),
        (b"40000", b"git~1", &folder),
        (b"40000", ".g\u{200c}it".as_bytes(), &folder),
        (b"120000", b".GiT", &blob),
        (b"40000", b"..", &folder),
    ] {
        let commit = hostile_commit(&sandbox, &work, &[(mode, name, id)]);
        let error = job.run(&commit).unwrap_err();
        assert!(matches!(error, CheckoutError::Git(_)), "{name:?}: {error}");
        assert!(!job.into.join(".git/hooks").exists());
    }
}

#[tokio::test]
async fn case_folding_link_into_dot_git_and_submodule_are_inert() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("target", ".git"), ("A/modules/x/y", "1")]);
    let link = sandbox.revision(&work, "HEAD:target");
    let folder = sandbox.revision(&work, "HEAD:A");
    let submodule = sandbox.revision(&work, "HEAD");
    fs::write(
        work.join("modules"),
        "[submodule \"x\"]\n\tpath = sub\n\turl = ext::touch witness\n",
    )
    .unwrap();
    let modules = sandbox.git(&work, &["hash-object", "-w", "modules"]);
    let modules = ObjectId::parse(&modules).unwrap();
    let entries: [(&[u8], &[u8], &ObjectId); 4] = [
        (b"100644", b".gitmodules", &modules),
        (b"40000", b"A", &folder),
        (b"120000", b"a", &link),
        (b"160000", b"sub", &submodule),
    ];
    let commit = hostile_commit(&sandbox, &work, &entries);
    let job = Job::new(&sandbox, &work.join(".git"));
    job.run(&commit).unwrap();
    assert_eq!(fs::read_link(job.into.join("a")).unwrap(), Path::new(".git"));
    assert!(job.into.join("A/modules/x/y").is_file());
    assert_eq!(files(&job.into.join("sub")), Vec::<String>::new());
    assert!(!job.into.join(".git/modules").exists());
}

#[tokio::test]
async fn missing_revision_says_so() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let job = Job::new(&sandbox, &work.join(".git"));
    let error = job.run(&ObjectId::parse(&"1".repeat(40)).unwrap()).unwrap_err();
    assert!(matches!(error, CheckoutError::MissingRevision { .. }), "{error}");
}

#[tokio::test]
async fn source_with_an_odd_path_works() {
    let sandbox = Sandbox::new();
    for name in ["plain", "a b'c", "\"quoted\\", "#hash", "new\nline", "col:on"] {
        let work = sandbox.work_tree(&format!("{name}/work"), &[("a", name)]);
        let mut job = Job::new(&sandbox, &work.join(".git"));
        job.into = sandbox.path(&format!("job {name}"));
        job.run(&sandbox.revision(&work, "HEAD")).unwrap();
        assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), name);
        sandbox.git(&job.into, &["log"]);
    }
}

#[tokio::test]
async fn shallow_source_and_sha256_source_work() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    let shallow = sandbox.path("shallow.git");
    let url = format!("file://{}", work.display());
    sandbox.git(
        &work,
        &[
            "clone",
            "-q",
            "--bare",
            "--depth=1",
            &url,
            shallow.to_str().unwrap(),
        ],
    );
    let job = Job::new(&sandbox, &shallow);
    job.run(&second).unwrap();
    assert_eq!(sandbox.git(&job.into, &["log", "--format=%s"]), "second");

    let modern = sandbox.path("modern");
    fs::create_dir_all(&modern).unwrap();
    sandbox.git(&modern, &["init", "-q", "--object-format=sha256"]);
    let head = sandbox.commit(&modern, &[("a", "3")], "first");
    let job = Job::new(&sandbox, &modern.join(".git"));
    job.run(&head).unwrap();
    assert_eq!(fs::read_to_string(job.into.join("a")).unwrap(), "3");
    assert_eq!(sandbox.git(&job.into, &["status", "--porcelain"]), "");
}
