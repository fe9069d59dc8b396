//! What people look up in a Mercurial repository: folders, histories, differences; and names made to be misread.

use madake_vcs::git::read::{EntryKind, LogQuery, Merges, PatchBody, PatchLine};
use madake_vcs::hg::read::{AtPath, ReadError};
use madake_vcs::name::ObjectId;

use crate::hg_fixture::HgSandbox;

fn all(until: ObjectId) -> LogQuery<'static> {
    LogQuery {
        until,
        since: None,
        path: None,
        follow_renames: false,
        merges: Merges::Included,
        skip: 0,
        limit: 100,
    }
}

fn nobody() -> [ObjectId; 2] {
    ["1", "f"].map(|digit| ObjectId::parse(&digit.repeat(40)).unwrap())
}

#[tokio::test]
async fn folders_show_what_is_in_them_and_files_their_size() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree(
        "work",
        &[
            ("README", "read\n"),
            ("a/b/c", "1"),
            ("a/b/d", "22"),
            ("a.b", ""),
            ("a/run", "#!"),
            ("set:all()", "333"),
            (" b x", "x"),
        ],
    );
    let names = sandbox.path("work");
    std::os::unix::fs::symlink("/etc/passwd", names.join("link")).unwrap();
    let run = names.join("a/run");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tip = sandbox.commit(&work, &[("-rf", "x")], "second");
    let reader = sandbox.reader();
    let listed = async |path: &str| match reader.at(&work, &tip, path).await.unwrap() {
        Some(AtPath::Folder(entries)) => entries
            .into_iter()
            .map(|entry| (String::from_utf8(entry.name).unwrap(), entry.kind))
            .collect::<Vec<_>>(),
        other => panic!("{path}: {other:?}"),
    };
    let row = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        listed("").await,
        [
            row(" b x", EntryKind::File),
            row("-rf", EntryKind::File),
            row("README", EntryKind::File),
            row("a.b", EntryKind::File),
            row("a", EntryKind::Folder),
            row("link", EntryKind::Symlink),
            row("set:all()", EntryKind::File),
        ]
    );
    assert_eq!(
        listed("a").await,
        [row("b", EntryKind::Folder), row("run", EntryKind::Executable)]
    );
    for (path, expected) in [("a/b/d", 2), ("-rf", 1), ("set:all()", 3), (" b x", 1)] {
        let Some(AtPath::File { size, .. }) = reader.at(&work, &tip, path).await.unwrap() else {
            panic!("{path}");
        };
        assert_eq!(size, expected, "{path}");
    }
    let paths = [b"a/b/d".to_vec(), b"README".to_vec()];
    assert_eq!(reader.sizes(&work, &tip, &paths).await.unwrap(), [2, 5]);
    let below = reader.names_below(&work, &tip, "a").await.unwrap();
    assert_eq!(below, ["b/c", "b/d", "run"]);
    assert_eq!(reader.names_below(&work, &tip, "").await.unwrap().len(), 9);
    for nothing in [
        "b",
        "a/",
        "a/b/c/",
        "../work/README",
        "./a",
        "link/x",
        "A",
        "glob:*",
    ] {
        let found = reader.at(&work, &tip, nothing).await.unwrap();
        assert_eq!(found, None, "{nothing}");
    }
    assert!(matches!(
        reader.at(&work, &tip, "a\nb").await,
        Err(ReadError::Path)
    ));
    for id in nobody() {
        assert!(matches!(
            reader.at(&work, &id, "").await,
            Err(ReadError::Missing(_))
        ));
        assert!(!reader.exists(&work, &id).await.unwrap());
    }
    assert!(!reader.exists(&work, &ObjectId::ZERO).await.unwrap());
    assert!(reader.sizes(&work, &tip, &[b"a".to_vec()]).await.is_err());
}

#[tokio::test]
async fn histories_are_read_in_pages_and_by_path() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a*", "1\n2\n3\n"), ("ab", "x"), ("dir/x", "1")]);
    let first = sandbox.revision(&work, ".");
    let second = sandbox.commit(&work, &[("ab", "y")], "second");
    // `hg move` takes the star for a pattern.
    std::fs::rename(work.join("a*"), work.join("c")).unwrap();
    sandbox.hg(&work, &["addremove", "-q", "--similarity", "100"]);
    let third = sandbox.commit(&work, &[("dir/x", "2")], "third");
    sandbox.hg(&work, &["update", "-q", &first.to_string()]);
    let side = sandbox.commit(&work, &[("side", "1")], "side");
    sandbox.hg(&work, &["update", "-q", &third.to_string()]);
    sandbox.hg(&work, &["merge", "-q", &side.to_string()]);
    let merge = sandbox.commit(&work, &[], "merge");
    let reader = sandbox.reader();
    let rows: [(LogQuery<'_>, Vec<ObjectId>, bool); 11] = [
        (all(merge), vec![merge, side, third, second, first], false),
        (all(first), vec![first], false),
        (
            LogQuery {
                limit: 1,
                skip: 1,
                ..all(third)
            },
            vec![second],
            true,
        ),
        (
            LogQuery {
                since: Some(second),
                ..all(merge)
            },
            vec![merge, side, third],
            false,
        ),
        (
            LogQuery {
                merges: Merges::Only,
                ..all(merge)
            },
            vec![merge],
            false,
        ),
        (
            LogQuery {
                merges: Merges::Excluded,
                limit: 2,
                ..all(merge)
            },
            vec![side, third],
            true,
        ),
        (
            LogQuery {
                path: Some("ab"),
                ..all(merge)
            },
            vec![second, first],
            false,
        ),
        (
            LogQuery {
                path: Some("dir"),
                ..all(merge)
            },
            vec![third, first],
            false,
        ),
        // A star in a path is a star, and the end of a file belongs to its history.
        (
            LogQuery {
                path: Some("a*"),
                ..all(merge)
            },
            vec![third, first],
            false,
        ),
        (
            LogQuery {
                path: Some("c"),
                follow_renames: true,
                ..all(merge)
            },
            vec![third, first],
            false,
        ),
        (
            LogQuery {
                path: Some("') or all() or file('"),
                ..all(merge)
            },
            vec![],
            false,
        ),
    ];
    for (query, expected, truncated) in rows {
        let found = reader.history(&work, &query).await.unwrap();
        let ids: Vec<ObjectId> = found.commits.iter().map(|one| one.id).collect();
        assert_eq!((ids, found.truncated), (expected, truncated), "{query:?}");
    }
    for id in nobody() {
        let missing = reader.history(&work, &all(id)).await;
        assert!(matches!(missing, Err(ReadError::Missing(_))), "{missing:?}");
    }
    let given = reader
        .commits(&work, &[second, nobody()[0], merge])
        .await
        .unwrap();
    let ids: Vec<ObjectId> = given.iter().map(|one| one.id).collect();
    assert_eq!(ids, [second, merge]);
    assert_eq!(
        reader.merge_base(&work, &third, &side).await.unwrap(),
        Some(first)
    );
    let text = merge.to_string();
    sandbox.hg(&work, &["bookmark", "-r", &first.to_string(), "deadbeef"]);
    for (digits, found) in [
        (&text[..], Some(merge)),
        (&text[..12], Some(merge)),
        (&text[..3], None),
        ("tip", None),
        ("deadbeef", None),
        ("0000000", None),
        ("ffffffff", None),
        ("all()", None),
    ] {
        let answer = reader.commit_by_digits(&work, digits).await.unwrap();
        assert_eq!(answer, found, "{digits}");
    }
}

#[tokio::test]
async fn differences_are_told_with_every_kind_of_change() {
    let sandbox = HgSandbox::new();
    let long: String = (0..30).map(|number| format!("line {number}\n")).collect();
    let work = sandbox.work_tree(
        "work",
        &[
            ("edit", "one\ntwo\nthree"),
            ("gone", "--- a/gone\n+++ b\n@@ -1 +1 @@\ndiff --git a b\n"),
            ("link", "text\n"),
            ("from", &long),
            ("mode", "x\n"),
        ],
    );
    let old = sandbox.revision(&work, ".");
    sandbox.hg(&work, &["rm", "-q", "gone"]);
    sandbox.hg(&work, &["mv", "from", "to \"<x> b/y"]);
    sandbox.hg(&work, &["cp", "edit", "copy"]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(work.join("mode"), mode).unwrap();
    std::fs::remove_file(work.join("link")).unwrap();
    std::os::unix::fs::symlink("edit", work.join("link")).unwrap();
    std::fs::write(work.join("binary"), b"a\0b").unwrap();
    std::fs::write(work.join("huge"), "x".repeat(5 << 20)).unwrap();
    let new = sandbox.commit(&work, &[("edit", "one\n2\nthree\n"), ("empty", "")], "everything");
    let reader = sandbox.reader();
    let patch = reader.patch(&work, Some(&old), &new, 1 << 20).await.unwrap();
    assert!(!patch.truncated);
    let told: Vec<(char, &str, Option<&str>)> = patch
        .files
        .iter()
        .map(|one| {
            (
                one.file.status,
                one.file.path.as_str(),
                one.file.source.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ('A', "binary", None),
            ('C', "copy", Some("edit")),
            ('M', "edit", None),
            ('A', "empty", None),
            ('D', "gone", None),
            ('A', "huge", None),
            ('T', "link", None),
            ('M', "mode", None),
            ('R', "to \"<x> b/y", Some("from")),
        ]
    );
    let body = |path: &str| &patch.files.iter().find(|one| one.file.path == path).unwrap().body;
    for unshown in ["binary", "huge"] {
        assert_eq!(*body(unshown), PatchBody::Binary, "{unshown}");
    }
    for silent in ["copy", "empty", "mode", "to \"<x> b/y"] {
        assert_eq!(*body(silent), PatchBody::Text(Vec::new()), "{silent}");
    }
    let hunks = |path: &str| match body(path) {
        PatchBody::Text(hunks) => hunks.clone(),
        other => panic!("{path}: {other:?}"),
    };
    let text = |line: &str| line.to_owned();
    let edited = hunks("edit");
    assert_eq!(
        (edited[0].old_start, edited[0].new_start, edited.len()),
        (1, 1, 1)
    );
    assert_eq!(
        edited[0].lines,
        [
            PatchLine::Same(text("one")),
            PatchLine::Removed(text("two")),
            PatchLine::Removed(text("three")),
            PatchLine::NoEnd,
            PatchLine::Added(text("2")),
            PatchLine::Added(text("three")),
        ]
    );
    let lines = ["--- a/gone", "+++ b", "@@ -1 +1 @@", "diff --git a b"];
    assert_eq!(
        hunks("gone")[0].lines,
        lines.map(|line| PatchLine::Removed(text(line)))
    );
    let link = hunks("link");
    assert_eq!(
        (link.len(), &link[1].lines[0]),
        (2, &PatchLine::Added(text("edit")))
    );
    let mode = &patch
        .files
        .iter()
        .find(|one| one.file.path == "mode")
        .unwrap()
        .file;
    assert_eq!((mode.old_mode, mode.new_mode), (0o100_644, 0o100_755));

    // Against nothing, and cut anywhere.
    let all = reader.patch(&work, None, &new, 1 << 20).await.unwrap();
    assert!(all.files.iter().all(|one| one.file.status == 'A') && !all.truncated);
    for limit in [0, 1, 100, 300, 500, 700] {
        let cut = reader.patch(&work, Some(&old), &new, limit).await.unwrap();
        assert!(cut.truncated && cut.files.len() <= 9, "{limit}");
    }
    for id in nobody() {
        for old in [Some(&id), None] {
            let new = if old.is_some() { &new } else { &id };
            assert!(matches!(
                reader.patch(&work, old, new, 100).await,
                Err(ReadError::Missing(_))
            ));
        }
    }
}
