//! Reading: objects, refs, ranges, changed paths, and the kept processes.

use std::collections::HashSet;
use std::time::Duration;

use madake_vcs::git::read::refs::{head_branch, list_refs, read_ref};
use madake_vcs::git::read::{
    ChangeKind, ChangedPath, EntryKind, GitReader, ObjectKind, PoolLimits, ReadError,
};
use madake_vcs::name::{ObjectId, RefName};
use madake_vcs::process::GitProgram;
use madake_vcs::text::{display_line, display_text};

use crate::fixture::{Sandbox, write_script};

fn reader() -> GitReader {
    GitReader::new(GitProgram::default(), PoolLimits::for_git())
}

fn ref_name(name: &str) -> RefName {
    RefName::parse(name).unwrap()
}

#[tokio::test]
async fn files_and_trees_are_read() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a b", "content"), ("dir/x", "1"), ("dir/y/z", "22")]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let head = sandbox.revision(&work, "HEAD");
    let reader = reader();
    assert_eq!(
        reader.file_at(&hosted, &head, "a b", 100).await.unwrap().unwrap(),
        b"content"
    );
    assert_eq!(
        reader.file_at(&hosted, &head, "missing", 100).await.unwrap(),
        None
    );
    assert_eq!(
        reader
            .file_at(&hosted, &head, "dir/missing/x", 100)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        reader
            .file_at(&hosted, &head, "../../etc/passwd", 100)
            .await
            .unwrap(),
        None
    );
    let too_large = reader.file_at(&hosted, &head, "a b", 6).await.unwrap_err();
    assert!(
        matches!(
            too_large,
            ReadError::TooLarge {
                size: 7,
                limit: 6,
                ..
            }
        ),
        "{too_large}"
    );
    assert!(matches!(
        reader.file_at(&hosted, &head, "dir", 9).await,
        Err(ReadError::WrongKind { .. })
    ));
    assert!(matches!(
        reader.object_at(&hosted, &head, "a\nb").await,
        Err(ReadError::Path)
    ));
    let folder = reader.object_at(&hosted, &head, "dir").await.unwrap().unwrap();
    assert_eq!(folder.kind, ObjectKind::Tree);
    let names = |entries: Vec<madake_vcs::git::read::TreeEntry>| -> Vec<_> {
        entries
            .into_iter()
            .map(|entry| (entry.name_text(), entry.kind))
            .collect()
    };
    let root = names(reader.tree(&hosted, &head).await.unwrap());
    assert_eq!(
        root,
        [("a b".into(), EntryKind::File), ("dir".into(), EntryKind::Folder)]
    );
    let dir = names(reader.tree(&hosted, &folder.id).await.unwrap());
    assert_eq!(
        dir,
        [("x".into(), EntryKind::File), ("y".into(), EntryKind::Folder)]
    );
    assert_eq!(
        reader
            .object(&hosted, &ObjectId::parse(&"1".repeat(40)).unwrap())
            .await
            .unwrap(),
        None
    );
    assert_eq!(reader.live_processes(), 1);
}

#[tokio::test]
async fn hostile_commit_texts_are_stored_as_they_are_and_shown_inert() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let message = "\u{1b}[2Jforged\r\u{8}\u{8} \u{202e}txt\u{7}\nbody";
    sandbox.git(&work, &["config", "user.name", "x"]);
    let author = "Eve \u{1b}[31m\u{202e} <e@x>";
    sandbox.git(
        &work,
        &[
            "commit",
            "-q",
            "--allow-empty",
            "--cleanup=verbatim",
            "--author",
            author,
            "-m",
            message,
        ],
    );
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let commit = reader()
        .commit(&hosted, &sandbox.revision(&work, "HEAD"))
        .await
        .unwrap();
    assert_eq!(commit.message.trim_end(), message);
    assert_eq!(display_text(commit.message.trim_end(), 100), "forged txt\nbody");
    assert!(commit.author.name.contains('\u{1b}'));
    assert_eq!(display_line(&commit.author.name, 100).trim(), "Eve");
    assert_eq!(
        (commit.author.time_ms, commit.author.offset_minutes),
        (1_700_000_000_000, 60)
    );
    assert_eq!(
        (commit.committer.name.as_str(), commit.committer.time_ms),
        ("Carl Committer", 1_700_000_001_000)
    );
}

#[tokio::test]
async fn kept_process_sees_objects_that_arrive_later() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let reader = reader();
    let first = sandbox.revision(&work, "HEAD");
    assert!(reader.commit(&hosted, &first).await.is_ok());
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    assert!(matches!(
        reader.commit(&hosted, &second).await,
        Err(ReadError::Missing { .. })
    ));
    sandbox.git(&work, &["push", "--quiet", hosted.to_str().unwrap(), "master"]);
    assert!(reader.commit(&hosted, &second).await.is_ok());
    sandbox.git(&hosted, &["repack", "-q", "-a", "-d"]);
    sandbox.git(&hosted, &["prune-packed"]);
    assert_eq!(
        reader.file_at(&hosted, &second, "a", 10).await.unwrap().unwrap(),
        b"2"
    );
    assert_eq!(reader.live_processes(), 1);
}

#[tokio::test]
async fn dead_process_is_replaced() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    // This git answers one question and ends.
    let script = "#!/bin/sh\nexec 3<&0\nread line <&3; echo \"$line\" | exec git \"$@\"\n";
    let path = sandbox.path("one-shot");
    crate::fixture::write_script(&path, script);
    let reader = GitReader::new(GitProgram::new(path), PoolLimits::for_git());
    let head = sandbox.revision(&work, "HEAD");
    for _ in 0..3 {
        assert!(reader.object(&hosted, &head).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn number_of_processes_is_bounded_and_idle_ones_end() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    let mut repositories = Vec::new();
    for number in 0..5 {
        repositories.push(sandbox.hosted_from(&format!("hosted{number}.git"), &work).await);
    }
    let limits = PoolLimits {
        max_processes: 2,
        idle_timeout: Duration::from_millis(100),
        ..PoolLimits::for_git()
    };
    let reader = GitReader::new(GitProgram::default(), limits);
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (reader, repository) = (reader.clone(), repositories[number % 5].clone());
        tasks.push(tokio::spawn(async move {
            let found = reader.object(&repository, &head).await.unwrap();
            assert!(reader.live_processes() <= 2);
            found
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap().is_some());
    }
    tokio::time::timeout(Duration::from_secs(30), async {
        while reader.live_processes() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(reader.object(&repositories[0], &head).await.unwrap().is_some());
}

#[tokio::test]
async fn refs_are_listed_with_peeled_tags_and_refused_names() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let head = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["tag", "-a", "-m", "x", "v1"]);
    sandbox.git(&work, &["tag", "light"]);
    sandbox.git(&work, &["update-ref", "refs/heads/-odd", "HEAD"]);
    for name in ["Feature", "caf\u{e9}", "cafe\u{301}"] {
        sandbox.git(&work, &["branch", name]);
    }
    let list = list_refs(&GitProgram::default(), &work.join(".git"))
        .await
        .unwrap();
    let names: Vec<_> = list.refs.iter().map(|found| found.name.as_str()).collect();
    let expected = [
        "refs/heads/Feature",
        "refs/heads/cafe\u{301}",
        "refs/heads/caf\u{e9}",
        "refs/heads/master",
    ];
    assert_eq!(
        names,
        [&expected[..], &["refs/tags/light", "refs/tags/v1"]].concat()
    );
    assert_eq!(list.refs[5].peeled, Some(head));
    assert_eq!(list.refs[4].peeled, None);
    assert_eq!(list.refused.len(), 1);
    assert!(
        list.refused[0].starts_with("refs/heads/-odd: "),
        "{:?}",
        list.refused
    );
}

#[tokio::test]
async fn one_ref_is_read_loose_packed_symbolic_or_absent() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["branch", "dir/other"]);
    sandbox.git(&work, &["symbolic-ref", "refs/heads/alias", "refs/heads/master"]);
    let (git, folder) = (GitProgram::default(), work.join(".git"));
    let read = async |name: &str| read_ref(&git, &folder, &ref_name(name)).await.unwrap();
    for packed in [false, true] {
        if packed {
            sandbox.git(&work, &["pack-refs", "--all"]);
            assert!(!folder.join("refs/heads/master").exists());
        }
        assert_eq!(read("refs/heads/master").await, Some(first));
        assert_eq!(read("refs/heads/alias").await, Some(first));
        assert_eq!(read("refs/heads/dir/other").await, Some(first));
        assert_eq!(read("refs/heads/dir").await, None);
        assert_eq!(read("refs/heads/master/below").await, None);
        assert_eq!(read("refs/heads/Master").await, None);
    }
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    assert_eq!(read("refs/heads/master").await, Some(second));
    assert_eq!(head_branch(&folder).unwrap(), Some(ref_name("refs/heads/master")));
    sandbox.git(&work, &["checkout", "-q", "--detach"]);
    assert_eq!(head_branch(&folder).unwrap(), None);
}

#[tokio::test]
async fn ranges_of_commits_are_those_of_git() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let base = sandbox.revision(&work, "HEAD");
    let mut straight = vec![base];
    for number in 0..40 {
        straight.push(sandbox.commit(&work, &[], &format!("commit {number}")));
    }
    sandbox.git(&work, &["checkout", "-q", "-b", "side", &base.to_string()]);
    let side = sandbox.commit(&work, &[("side", "1")], "side");
    sandbox.git(&work, &["checkout", "-q", "master"]);
    sandbox.git(&work, &["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let merge = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["tag", "-a", "-m", "x", "v1"]);
    let tag = sandbox.revision(&work, "v1");
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let reader = reader();
    let by_git = |arguments: &[&str]| -> HashSet<String> {
        sandbox
            .git(&work, &[&["rev-list"], arguments].concat())
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    };
    let (last, text) = (straight[40], |id: &ObjectId| id.to_string());
    for (old, new, excluding, not) in [
        (Some(straight[35]), last, vec![], vec![straight[35]]),
        (Some(base), last, vec![], vec![base]),
        (Some(last), merge, vec![], vec![last]),
        (Some(last), tag, vec![], vec![last]),
        (Some(merge), base, vec![], vec![merge]),
        (Some(side), last, vec![], vec![side]),
        (Some(last), last, vec![], vec![last]),
        (None, side, vec![], vec![]),
        (None, side, vec![last], vec![last]),
        (None, merge, vec![side, straight[10]], vec![side, straight[10]]),
    ] {
        let range = reader
            .commits_between(&hosted, old.as_ref(), &new, &excluding, 100)
            .await
            .unwrap();
        let arguments: Vec<String> = std::iter::once(text(&new))
            .chain(not.iter().map(|id| format!("^{id}")))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let found: HashSet<String> = range.commits.iter().map(|commit| text(&commit.id)).collect();
        assert_eq!(found, by_git(&arguments), "{old:?} {new} {excluding:?}");
        assert!(!range.truncated);
    }
    for old in [straight[30], base] {
        let range = reader
            .commits_between(&hosted, Some(&old), &last, &[], 5)
            .await
            .unwrap();
        let ids: Vec<ObjectId> = range.commits.iter().map(|commit| commit.id).collect();
        assert_eq!(ids, straight.iter().rev().take(5).copied().collect::<Vec<_>>());
        assert!(range.truncated);
    }
    let missing = ObjectId::parse(&"1".repeat(40)).unwrap();
    let error = reader
        .commits_between(&hosted, Some(&missing), &last, &[], 5)
        .await
        .unwrap_err();
    assert!(matches!(error, ReadError::Missing { .. }), "{error}");
    for (ancestor, descendant, expected) in [
        (straight[38], last, true),
        (base, last, true),
        (side, merge, true),
        (side, last, false),
        (last, base, false),
        (last, last, true),
    ] {
        assert_eq!(
            reader.is_ancestor(&hosted, &ancestor, &descendant).await.unwrap(),
            expected
        );
    }
}

#[tokio::test]
async fn changed_paths_are_those_of_git_for_every_pair() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree(
        "work",
        &[
            ("a", "1"),
            ("dir/x", "1"),
            ("dir/y", "1"),
            ("dir.z", "1"),
            ("kept", "1"),
        ],
    );
    let mut commits = vec![sandbox.revision(&work, "HEAD")];
    commits.push(sandbox.commit(
        &work,
        &[("a", "2"), ("dir/x", "2"), ("new/deep/file", "1"), ("竹", "1")],
        "edit",
    ));
    std::fs::remove_dir_all(work.join("dir")).unwrap();
    commits.push(sandbox.commit(&work, &[("dir", "now a file")], "folder to file"));
    std::fs::remove_file(work.join("a")).unwrap();
    std::os::unix::fs::symlink("kept", work.join("a")).unwrap();
    crate::fixture::write_script(&work.join("kept"), "1");
    commits.push(sandbox.commit(&work, &[], "link and mode"));
    let many: Vec<(String, String)> = (0..300)
        .map(|n| (format!("many/{n:03}/f"), n.to_string()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    commits.push(sandbox.commit(&work, &many, "more folders than are compared here"));
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let reader = reader();
    for old in &commits {
        for new in &commits {
            let (from, to) = (old.to_string(), new.to_string());
            let arguments = [
                "diff-tree",
                "-r",
                "-z",
                "--no-renames",
                "--name-status",
                &from,
                &to,
            ];
            let expected: Vec<ChangedPath> = sandbox
                .git(&work, &arguments)
                .trim_end_matches('\0')
                .split('\0')
                .collect::<Vec<_>>()
                .chunks_exact(2)
                .map(|pair| ChangedPath {
                    path: pair[1].to_owned(),
                    kind: kind(pair[0]),
                })
                .collect();
            let found = reader.changed_paths(&hosted, Some(old), new, 1000).await.unwrap();
            assert_eq!(found.paths, expected, "{old} {new}");
            assert!(!found.truncated);
        }
    }
    let all = reader
        .changed_paths(&hosted, None, &commits[0], 100)
        .await
        .unwrap();
    let added = ["a", "dir.z", "dir/x", "dir/y", "kept"].map(|path| (path.to_owned(), ChangeKind::Added));
    assert_eq!(
        all.paths
            .into_iter()
            .map(|change| (change.path, change.kind))
            .collect::<Vec<_>>(),
        added
    );
    for (new, limit) in [(&commits[1], 2), (&commits[4], 250)] {
        let cut = reader
            .changed_paths(&hosted, Some(&commits[0]), new, limit)
            .await
            .unwrap();
        assert_eq!((cut.paths.len(), cut.truncated), (limit, true));
    }
}

fn kind(letter: &str) -> ChangeKind {
    match letter {
        "A" => ChangeKind::Added,
        "D" => ChangeKind::Deleted,
        "M" | "T" => ChangeKind::Modified,
        _ => panic!("unexpected letter {letter}"),
    }
}

#[tokio::test]
async fn replace_refs_do_not_change_what_is_read() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "honest")]);
    let honest = sandbox.revision(&work, "HEAD");
    let forged = sandbox.commit(&work, &[("a", "forged")], "forged");
    sandbox.git(&work, &["replace", &honest.to_string(), &forged.to_string()]);
    let found = reader()
        .file_at(&work.join(".git"), &honest, "a", 100)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), b"honest");
}

#[tokio::test]
async fn files_of_commits_have_modes_blobs_and_renames() {
    let sandbox = Sandbox::new();
    let long = "a line that is long enough to be recognised\n".repeat(5);
    let work = sandbox.work_tree("work", &[("old name", &long), ("gone", "1")]);
    let root = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["mv", "old name", "new name"]);
    sandbox.git(&work, &["rm", "-q", "gone"]);
    write_script(&work.join("run.sh"), "#!/bin/sh\n");
    sandbox.git(&work, &["add", "-A"]);
    sandbox.git(&work, &["commit", "-qm", "second"]);
    let second = sandbox.revision(&work, "HEAD");
    // A merge is told against its first parent, and an empty commit in between has no files.
    sandbox.git(&work, &["commit", "-q", "--allow-empty", "-m", "nothing"]);
    let nothing = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["checkout", "-q", "-b", "side", &root.to_string()]);
    std::fs::write(work.join("side"), "s").unwrap();
    sandbox.git(&work, &["add", "-A"]);
    sandbox.git(&work, &["commit", "-qm", "side"]);
    sandbox.git(&work, &["checkout", "-q", "-"]);
    sandbox.git(&work, &["merge", "-q", "--no-edit", "side"]);
    let merge = sandbox.revision(&work, "HEAD");
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let asked = [
        (merge, Some(nothing)),
        (nothing, Some(second)),
        (second, Some(root)),
        (root, None),
    ];
    let reader = reader();
    let told = reader.commit_files(&hosted, &asked, 100).await.unwrap();
    let shown: Vec<Vec<(char, &str)>> = told
        .iter()
        .map(|one| {
            one.files
                .iter()
                .map(|file| (file.status, file.path.as_str()))
                .collect()
        })
        .collect();
    assert_eq!(
        shown,
        [
            vec![('A', "side")],
            vec![],
            vec![('D', "gone"), ('R', "new name"), ('A', "run.sh")],
            vec![('A', "gone"), ('A', "old name")],
        ]
    );
    let [deleted, renamed, added] = &told[2].files[..] else {
        panic!("three files")
    };
    assert_eq!(
        (deleted.old_mode, deleted.new_mode, deleted.new_id),
        (0o100_644, 0, None)
    );
    assert_eq!(renamed.source.as_deref(), Some("old name"));
    assert_eq!(renamed.similarity, Some(100));
    assert_eq!(renamed.old_id, renamed.new_id);
    assert_eq!((added.new_mode, added.old_id), (0o100_755, None));
    let cut = reader.commit_files(&hosted, &asked, 1).await.unwrap();
    assert!(cut[2].truncated && cut[2].files.len() == 1 && !cut[0].truncated);
}
