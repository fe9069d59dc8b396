//! Work trees as commits, without a trace in their repository.

use std::fs;
use std::path::Path;
use std::time::Duration;

use madake_vcs::git::snapshot::{Snapshot, SnapshotError, snapshot};
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

fn take(folder: &Path, into: &Path, uncommitted: bool) -> Result<Snapshot, SnapshotError> {
    let limit = Duration::from_secs(60);
    snapshot(&GitProgram::default(), folder, into, uncommitted, limit)
}

fn state(sandbox: &Sandbox, work: &Path) -> (String, String, Vec<u8>) {
    let index = fs::read(work.join(".git/index")).expect("an index");
    let objects = sandbox.git(work, &["count-objects", "-v"]);
    let status = sandbox.git(
        work,
        &["--no-optional-locks", "status", "--porcelain=v2", "--branch"],
    );
    (objects, status, index)
}

#[test]
fn changed_new_and_deleted_files_are_in_it_and_ignored_ones_are_not() {
    let sandbox = Sandbox::new();
    let files = [
        ("kept", "1"),
        ("changed", "1"),
        ("deleted", "1"),
        (".gitignore", "*.log\n"),
    ];
    let work = sandbox.work_tree("work", &files);
    let head = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["tag", "v1"]);
    fs::write(work.join("changed"), "2").expect("a file");
    fs::create_dir(work.join("sub")).expect("a folder");
    fs::write(work.join("sub/new"), "3").expect("a file");
    fs::write(work.join("noise.log"), "4").expect("a file");
    fs::remove_file(work.join("deleted")).expect("removed");
    let before = state(&sandbox, &work);

    // From a folder below, the whole work tree is meant.
    let into = sandbox.path("source.git");
    let taken = take(&work.join("sub"), &into, true).expect("a snapshot");
    assert!(taken.uncommitted);
    assert_eq!(taken.branch.map(|one| one.to_string()).as_deref(), Some("master"));
    let revision = taken.revision.to_string();
    let listed = sandbox.git(&into, &["ls-tree", "-r", "--name-only", &revision]);
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [".gitignore", "changed", "kept", "sub/new"]
    );
    assert_eq!(sandbox.git(&into, &["show", &format!("{revision}:changed")]), "2");
    assert_eq!(sandbox.revision(&into, &format!("{revision}^")), head);
    let described = sandbox.git(&into, &["describe", "--tags", &revision]);
    assert!(described.starts_with("v1-1-g"), "{described}");
    assert_eq!(
        state(&sandbox, &work),
        before,
        "the work tree and its repository are as they were"
    );
    assert!(
        !sandbox
            .try_git(&work, &["cat-file", "-e", &revision])
            .status
            .success()
    );

    let committed = take(&work, &sandbox.path("second.git"), false).expect("a snapshot");
    assert_eq!((committed.revision, committed.uncommitted), (head, false));
}

#[test]
fn clean_work_tree_is_its_last_commit() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("file", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    let taken = take(&work, &sandbox.path("source.git"), true).expect("a snapshot");
    assert_eq!((taken.revision, taken.uncommitted), (head, false));
    // A second work tree of the same repository has its own branch and index.
    let second = sandbox.path("second");
    sandbox.git(&work, &["worktree", "add", "--quiet", "--detach", "../second"]);
    fs::write(second.join("other"), "2").expect("a file");
    let taken = take(&second, &sandbox.path("third.git"), true).expect("a snapshot");
    assert_eq!((taken.branch, taken.uncommitted, taken.top), (None, true, second));
}

#[test]
fn repository_without_a_commit_gives_its_files_and_a_folder_without_one_a_sentence() {
    let sandbox = Sandbox::new();
    let work = sandbox.path("work");
    fs::create_dir(&work).expect("a folder");
    sandbox.git(&work, &["init", "--quiet"]);
    fs::write(work.join("file"), "1").expect("a file");
    let into = sandbox.path("source.git");
    let taken = take(&work, &into, true).expect("a snapshot");
    assert_eq!(
        sandbox.git(&into, &["show", &format!("{}:file", taken.revision)]),
        "1"
    );
    let error = take(&work, &sandbox.path("second.git"), false).expect_err("no commit");
    assert!(matches!(error, SnapshotError::NoCommit(_)), "{error}");
    let error = take(&sandbox.path(""), &sandbox.path("third.git"), true).expect_err("no repository");
    assert!(matches!(error, SnapshotError::NoWorkTree { .. }), "{error}");
}
