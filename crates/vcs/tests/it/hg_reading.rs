//! Reading Mercurial repositories.

use std::time::{Duration, Instant};

use madake_vcs::git::read::ChangeKind;
use madake_vcs::hg::PoolLimits;
use madake_vcs::hg::read::{HgReader, ReadError};
use madake_vcs::name::ObjectId;

use crate::hg_fixture::HgSandbox;

fn id(digit: &str) -> ObjectId {
    ObjectId::parse(&digit.repeat(40)).unwrap()
}

#[tokio::test]
async fn heads_are_tip_most_and_open() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let root = sandbox.revision(&work, ".").to_string();
    let reader = sandbox.reader();
    let empty = sandbox.hosted("empty").await;
    assert!(reader.all_refs(&empty).await.unwrap().refs.is_empty());

    let one = sandbox.commit(&work, &[("a", "2")], "one");
    sandbox.hg(&work, &["update", "-q", &root]);
    let two = sandbox.commit(&work, &[("b", "2")], "two");
    sandbox.hg(&work, &["tag", "--local", "mine"]);
    sandbox.hg(&work, &["bookmark", "-i", "-r", &root, &"a".repeat(40)]);
    let default = reader
        .heads(&work)
        .await
        .unwrap()
        .branch("default")
        .unwrap()
        .clone();
    assert_eq!((default.id, default.closed), (two, false));
    assert_eq!(default.heads, [(one, false), (two, false)]);
    // The newest head is closed: the older open one counts.
    sandbox.hg(&work, &["commit", "-q", "--close-branch", "-m", "close"]);
    let closed = sandbox.revision(&work, ".");
    let heads = reader.heads(&work).await.unwrap();
    let default = heads.branch("default").unwrap();
    assert_eq!((default.id, default.closed), (one, false));
    assert_eq!(default.heads, [(one, false), (closed, true)]);
    assert_eq!(reader.branch_head(&work, "default").await.unwrap(), Some(one));
    assert_eq!(reader.branch_head(&work, "nothing").await.unwrap(), None);
    assert!(heads.tags.is_empty());
    let refs = reader.all_refs(&work).await.unwrap();
    assert_eq!(refs.refs.len(), 2);
    // All are closed.
    sandbox.hg(&work, &["update", "-q", &one.to_string()]);
    sandbox.hg(&work, &["commit", "-q", "--close-branch", "-m", "close"]);
    let last = sandbox.revision(&work, ".");
    let heads = reader.heads(&work).await.unwrap();
    assert_eq!(
        heads.branch("default").map(|branch| (branch.id, branch.closed)),
        Some((last, true))
    );
    assert_eq!(reader.branch_head(&work, "default").await.unwrap(), None);
    // A bookmark that looks like an id is no commit.
    assert!(!reader.exists(&work, &id("a")).await.unwrap());
}

#[tokio::test]
async fn commits_are_read_as_they_were_written() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, ".");
    sandbox.hg(&work, &["branch", "-q", "feature [1] \"x\""]);
    let text = "line one 竹\n\nline {two} \\n %s 'q'";
    let second = sandbox.commit(&work, &[("a", "2")], text);
    let reader = sandbox.reader();
    let commit = reader.commit(&work, &second).await.unwrap();
    assert_eq!(
        (commit.id, commit.revision, commit.parents),
        (second, 1, vec![first])
    );
    assert_eq!(
        (commit.message.as_str(), commit.branch.as_str()),
        (text, "feature [1] \"x\"")
    );
    let author = &commit.author;
    assert_eq!(
        (author.name.as_str(), author.email.as_str()),
        ("Ann Author", "ann@example.org")
    );
    assert_eq!((author.time_ms, author.offset_minutes), (1_700_000_000_000, 60));
    assert!(!commit.closes_branch);
    assert!(reader.commit(&work, &first).await.unwrap().parents.is_empty());
    let missing = reader.commit(&work, &id("2")).await;
    assert!(matches!(missing, Err(ReadError::Missing(_))));
}

#[tokio::test]
async fn ranges_and_ancestry() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "0")]);
    let mut ids = vec![sandbox.revision(&work, ".")];
    for number in 1..5 {
        ids.push(sandbox.commit(&work, &[("a", &number.to_string())], "more"));
    }
    sandbox.hg(&work, &["update", "-q", &ids[2].to_string()]);
    let side = sandbox.commit(&work, &[("b", "1")], "side");
    sandbox.hg(&work, &["merge", "-q"]);
    let merge = sandbox.commit(&work, &[], "merge");
    let reader = sandbox.reader();
    let between = async |old: Option<&ObjectId>, new: &ObjectId, excluding: &[ObjectId], limit| {
        let found = reader.commits_between(&work, old, new, excluding, limit).await;
        let found = found.unwrap();
        let ids: Vec<_> = found.commits.iter().map(|commit| commit.id).collect();
        (ids, found.truncated)
    };
    assert_eq!(
        between(Some(&ids[1]), &ids[4], &[], 10).await,
        (vec![ids[4], ids[3], ids[2]], false)
    );
    assert_eq!(
        between(Some(&ids[1]), &ids[4], &[], 2).await,
        (vec![ids[4], ids[3]], true)
    );
    assert_eq!(between(Some(&ids[4]), &ids[4], &[], 2).await, (vec![], false));
    assert_eq!(
        between(Some(&ids[4]), &merge, &[], 9).await,
        (vec![merge, side], false)
    );
    // A forced move: what is new, and not what is gone.
    assert_eq!(between(Some(&ids[4]), &side, &[], 9).await, (vec![side], false));
    assert_eq!(
        between(None, &side, &[ids[4], id("3")], 9).await,
        (vec![side], false)
    );
    assert_eq!(
        between(None, &ids[1], &[], 9).await,
        (vec![ids[1], ids[0]], false)
    );
    // Many others, as a repository of many branches has them.
    let many: Vec<ObjectId> = (0..3000_u32)
        .map(|number| ObjectId::parse(&format!("{number:040x}")).unwrap())
        .chain([ids[4]])
        .collect();
    assert_eq!(between(None, &side, &many, 9).await, (vec![side], false));
    for (old, new) in [(id("4"), side), (side, id("4"))] {
        let found = reader.commits_between(&work, Some(&old), &new, &[], 9).await;
        assert!(matches!(found, Err(ReadError::Missing(missing)) if missing == id("4")));
    }
    let added = reader.commits_added(&work, &ids[3], &merge, 9).await.unwrap();
    let added: Vec<_> = added.commits.iter().map(|commit| commit.id).collect();
    assert_eq!(added, [ids[3], ids[4], side, merge]);
    assert!(reader.commits_added(&work, &id("4"), &merge, 9).await.is_err());
    for (ancestor, descendant, is) in [
        (ids[0], merge, true),
        (side, merge, true),
        (merge, side, false),
        (side, ids[4], false),
        (side, side, true),
    ] {
        assert_eq!(
            reader.is_ancestor(&work, &ancestor, &descendant).await.unwrap(),
            is
        );
    }
    assert!(reader.is_ancestor(&work, &id("4"), &side).await.is_err());
}

#[tokio::test]
async fn files_and_changes() {
    let sandbox = HgSandbox::new();
    let names = [
        "plain",
        "bamboo-specs/bamboo.yml",
        "bamboo-specs/deep/x.yml",
        "set:all()",
        "listfile:x",
        "re:.*",
        "-x",
    ];
    let files: Vec<_> = names.iter().map(|&name| (name, name)).collect();
    let work = sandbox.work_tree("work", &files);
    let first = sandbox.revision(&work, ".");
    std::fs::remove_file(work.join("plain")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", work.join("link")).unwrap();
    let second = sandbox.commit(
        &work,
        &[("bamboo-specs/bamboo.yml", "2"), ("bin", "\0\u{1}")],
        "second",
    );
    let reader = sandbox.reader();
    for name in names {
        let content = reader.file_at(&work, &first, name, 100).await.unwrap();
        assert_eq!(content.as_deref(), Some(name.as_bytes()), "{name}");
    }
    let asked: Vec<String> = names
        .iter()
        .chain(&["absent", "../x", ""])
        .map(|&name| name.to_owned())
        .collect();
    let mut all = reader.files_at(&work, &first, &asked).await.unwrap();
    all.sort();
    let mut expected: Vec<_> = names
        .iter()
        .map(|&name| (name.to_owned(), name.as_bytes().to_vec()))
        .collect();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(
        reader
            .files_at(&work, &first, &["absent".to_owned()])
            .await
            .unwrap(),
        []
    );
    assert!(matches!(
        reader.files_at(&work, &id("1"), &asked).await,
        Err(ReadError::Missing(_))
    ));
    assert_eq!(
        reader
            .file_at(&work, &second, "link", 100)
            .await
            .unwrap()
            .unwrap(),
        b"/etc/passwd"
    );
    for path in [
        "nothing",
        "plain",
        "../work/plain",
        "./plain",
        "/etc/passwd",
        "",
        "bamboo-specs/",
        "link/x",
    ] {
        let found = reader.file_at(&work, &second, path, 100).await.unwrap();
        assert_eq!(found, None, "{path}");
    }
    let folder = reader.file_at(&work, &second, "bamboo-specs", 100).await;
    assert!(matches!(folder, Err(ReadError::WrongKind(_))));
    let large = reader.file_at(&work, &second, "bamboo-specs/deep/x.yml", 3).await;
    assert!(matches!(large, Err(ReadError::TooLarge { limit: 3, .. })));
    assert!(matches!(
        reader.file_at(&work, &second, "a\nb", 3).await,
        Err(ReadError::Path)
    ));
    let missing = reader.file_at(&work, &id("1"), "plain", 3).await;
    assert!(matches!(missing, Err(ReadError::Missing(_))));

    let below = reader.files_below(&work, &second, "bamboo-specs").await.unwrap();
    let below: Vec<_> = below
        .iter()
        .map(|entry| (entry.path.as_str(), entry.size))
        .collect();
    assert_eq!(
        below,
        [("bamboo-specs/bamboo.yml", 1), ("bamboo-specs/deep/x.yml", 23)]
    );
    let changes = reader
        .changed_paths(&work, Some(&first), &second, 10)
        .await
        .unwrap();
    let changes: Vec<_> = changes
        .paths
        .iter()
        .map(|path| (path.path.as_str(), path.kind))
        .collect();
    assert_eq!(
        changes,
        [
            ("bamboo-specs/bamboo.yml", ChangeKind::Modified),
            ("bin", ChangeKind::Added),
            ("link", ChangeKind::Added),
            ("plain", ChangeKind::Deleted)
        ]
    );
    let all = reader.changed_paths(&work, None, &first, 3).await.unwrap();
    assert_eq!((all.paths.len(), all.truncated), (3, true));
    assert!(
        reader
            .changed_paths(&work, Some(&id("1")), &first, 3)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn changes_of_a_merge_are_those_against_its_first_parent() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let one = sandbox.commit(&work, &[("one", "1")], "one");
    sandbox.hg(&work, &["update", "-q", "0"]);
    sandbox.commit(&work, &[("two", "1")], "two");
    sandbox.hg(&work, &["update", "-q", &one.to_string()]);
    sandbox.hg(&work, &["merge", "-q"]);
    let merge = sandbox.commit(&work, &[], "merge");
    let reader = sandbox.reader();
    let parents = reader.commit(&work, &merge).await.unwrap().parents;
    assert_eq!((parents.len(), parents[0]), (2, one));
    let changes = reader.changed_paths(&work, Some(&one), &merge, 9).await.unwrap();
    let changes: Vec<_> = changes.paths.iter().map(|path| path.path.as_str()).collect();
    assert_eq!(changes, ["two"]);
}

#[tokio::test]
async fn kept_process_sees_later_commits_and_ends_when_idle() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let limits = PoolLimits {
        max_processes: 1,
        idle_timeout: Duration::from_millis(300),
        ..PoolLimits::for_hg()
    };
    let reader = HgReader::new(sandbox.hg.clone(), limits);
    let first = sandbox.revision(&work, ".");
    assert_eq!(reader.branch_head(&work, "default").await.unwrap(), Some(first));
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    assert_eq!(reader.branch_head(&work, "default").await.unwrap(), Some(second));
    sandbox.hg(
        &work,
        &[
            "--config",
            "extensions.strip=",
            "strip",
            "-q",
            "--no-backup",
            "-r",
            "tip",
        ],
    );
    assert_eq!(reader.branch_head(&work, "default").await.unwrap(), Some(first));
    // One place serves several repositories in turn.
    let other = sandbox.work_tree("other", &[("b", "1")]);
    let (here, there) = tokio::join!(reader.heads(&work), reader.heads(&other));
    assert_ne!(here.unwrap().branches[0].id, there.unwrap().branches[0].id);
    let limit = Instant::now() + Duration::from_secs(20);
    while reader.live_processes() > 0 {
        assert!(Instant::now() < limit, "an idle process stays");
        tokio::task::yield_now().await;
    }
    std::fs::remove_dir_all(&work).unwrap();
    let gone = reader.heads(&work).await.unwrap_err();
    assert!(matches!(gone, ReadError::Io { .. }), "{gone}");
}
