//! What commits changed: compared here where it is little, by git where it is much, and told the same.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use madake_vcs::git::read::{CommitFiles, GitReader, PoolLimits};
use madake_vcs::name::ObjectId;
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

/// What is done to the work tree before each commit.
const STEPS: [&str; 17] = [
    "mkdir -p dir/sub/deep && echo 1 > dir/sub/deep/x && echo 1 > dir.z && echo 1 > dir-a && echo 1 > 'ä b'",
    "echo 2 > dir/sub/deep/x && echo 2 > dir.z",
    "chmod +x dir-a",
    "chmod -x dir-a && echo 2 > dir-a",
    "rm dir.z",
    "ln -s dir-a link",
    "rm link && echo file > link",
    "rm link && ln -s dir link",
    "rm -r dir && echo file > dir",
    "rm dir && mkdir dir && echo 1 > dir/y",
    "mv dir-a moved",
    "rm moved && seq 100 > other",
    "rm -r dir other",
    "true",
    "for at in 1 2 3 4 5 6 7; do mkdir -p many/$at && echo $at > many/$at/file; done",
    "for at in 1 2 3 4 5 6 7; do echo more >> many/$at/file; done",
    "echo 1 > a.b && mkdir a && echo 1 > a/b && echo 1 > a-b && echo 1 > a0",
];

fn reader() -> GitReader {
    GitReader::new(GitProgram::default(), PoolLimits::for_git())
}

fn history(sandbox: &Sandbox, work: &Path) -> Vec<(ObjectId, Option<ObjectId>)> {
    let mut parent = Some(sandbox.revision(work, "HEAD"));
    let mut commits = vec![(sandbox.revision(work, "HEAD"), None)];
    let mut commit = || {
        sandbox.git(work, &["add", "-A"]);
        sandbox.git(work, &["commit", "-q", "--allow-empty", "-m", "step"]);
        let made = sandbox.revision(work, "HEAD");
        commits.push((made, parent.replace(made)));
    };
    for step in STEPS {
        let done = Command::new("sh")
            .args(["-e", "-c", step])
            .current_dir(work)
            .status()
            .unwrap();
        assert!(done.success(), "{step}");
        commit();
    }
    std::fs::write(work.join(std::ffi::OsStr::from_bytes(b"odd \xff")), "1").unwrap();
    commit();
    sandbox.work_tree("work/module", &[("inner", "1")]);
    commit();
    sandbox.commit(&work.join("module"), &[("inner", "2")], "inner");
    commit();
    commits
}

#[tokio::test]
async fn few_changes_are_told_as_git_tells_many() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("README", "1")]);
    let commits = history(&sandbox, &work);
    let repository = work.join(".git");
    let reader = reader();
    for limit in [1000, 3] {
        // Those that are compared here come one by one, those that git compares come all at once.
        let together = reader.commit_files(&repository, &commits, limit).await.unwrap();
        assert_eq!(together.len(), commits.len());
        for (asked, expected) in commits.iter().zip(&together) {
            let alone = reader.commit_files(&repository, &[*asked], limit).await.unwrap();
            assert_eq!(alone, std::slice::from_ref(expected), "{asked:?}");
        }
    }
    let seen: String = reader
        .commit_files(&repository, &commits, 1000)
        .await
        .unwrap()
        .iter()
        .flat_map(|one: &CommitFiles| &one.files)
        .map(|file| file.status)
        .collect();
    for status in ['A', 'M', 'D', 'T', 'R'] {
        assert!(seen.contains(status), "no {status} among {seen}");
    }
}

#[tokio::test]
async fn nothing_is_asked_of_git_for_small_pushes() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("dir/a", "1"), ("b", "1")]);
    let root = sandbox.revision(&work, "HEAD");
    let second = sandbox.commit(&work, &[("dir/a", "2"), ("c", "1")], "second");
    let counted = sandbox.path("counted");
    let script = sandbox.path("git-counting");
    crate::fixture::write_script(
        &script,
        &format!(
            "#!/bin/sh\necho \"$@\" >> {}\nexec git \"$@\"\n",
            counted.display()
        ),
    );
    let reader = GitReader::new(GitProgram::new(script), PoolLimits::for_git());
    let told = reader
        .commit_files(&work.join(".git"), &[(second, Some(root)), (root, None)], 100)
        .await
        .unwrap();
    assert_eq!((told[0].files.len(), told[1].files.len()), (2, 2));
    let started = std::fs::read_to_string(counted).unwrap();
    assert!(
        started.contains("cat-file") && !started.contains("diff-tree"),
        "{started}"
    );
}
