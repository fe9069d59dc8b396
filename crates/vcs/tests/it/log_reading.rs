//! Histories in pages, and what revisions are called.

use madake_vcs::git::read::{GitReader, LogQuery, Merges, PoolLimits, ReadError};
use madake_vcs::name::ObjectId;
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

fn reader() -> GitReader {
    GitReader::new(GitProgram::default(), PoolLimits::default())
}

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

#[tokio::test]
async fn histories_are_read_in_pages_and_by_path() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a*", "1\n2\n3\n"), ("ab", "x")]);
    let first = sandbox.revision(&work, "HEAD");
    let second = sandbox.commit(&work, &[("ab", "y")], "second");
    sandbox.git(&work, &["mv", "a*", "c"]);
    let third = sandbox.commit(&work, &[], "third");
    sandbox.git(
        &work,
        &[
            "switch",
            "--quiet",
            "--create",
            "side",
            first.to_string().as_str(),
        ],
    );
    let side = sandbox.commit(&work, &[("side", "1")], "side");
    sandbox.git(&work, &["switch", "--quiet", "master"]);
    sandbox.git(&work, &["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
    let merge = sandbox.revision(&work, "HEAD");
    let repository = work.join(".git");
    let reader = reader();
    let rows: [(LogQuery<'_>, Vec<ObjectId>, bool); 8] = [
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
                ..all(third)
            },
            vec![third],
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
                path: Some("ab"),
                ..all(merge)
            },
            vec![second, first],
            false,
        ),
        // A star in a path is a star.
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
                path: Some("--all"),
                ..all(merge)
            },
            vec![],
            false,
        ),
    ];
    for (query, expected, truncated) in rows {
        let found = reader.log(&repository, &query).await.unwrap();
        let ids: Vec<ObjectId> = found.commits.iter().map(|one| one.id).collect();
        assert_eq!((ids, found.truncated), (expected, truncated), "{query:?}");
    }
    let without_merges = LogQuery {
        merges: Merges::Excluded,
        ..all(merge)
    };
    let found = reader.log(&repository, &without_merges).await.unwrap();
    assert_eq!(found.commits.len(), 4);
    assert!(found.commits.iter().any(|one| one.id == side));
    let missing = reader.log(&repository, &all(ObjectId::ZERO)).await.unwrap_err();
    assert!(matches!(missing, ReadError::Missing { .. }), "{missing}");
    let hostile = LogQuery {
        path: Some("a\nb"),
        ..all(merge)
    };
    assert!(matches!(
        reader.log(&repository, &hostile).await.unwrap_err(),
        ReadError::Path
    ));
}

#[tokio::test]
async fn commits_are_found_by_the_beginning_of_their_id_and_by_nothing_else() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("dir/a", "1"), ("b", "2")]);
    let head = sandbox.revision(&work, "HEAD");
    let tree = sandbox.revision(&work, "HEAD^{tree}");
    let repository = work.join(".git");
    let reader = reader();
    let text = head.to_string();
    for (digits, found) in [
        (&text[..], Some(head)),
        (&text[..7], Some(head)),
        (&text[..3], None),
        ("HEAD", None),
        ("HEAD~0", None),
        ("--batch-all-objects", None),
        ("0123456789", None),
        (&tree.to_string(), None),
    ] {
        let answer = reader.commit_by_digits(&repository, digits).await.unwrap();
        assert_eq!(answer, found, "{digits}");
    }
    let files = reader.files_below(&repository, &tree).await.unwrap();
    assert_eq!(files, ["b", "dir/a"]);
    sandbox.git(&work, &["tag", "-a", "-m", "now", "newer"]);
    let list = reader.refs_newest_first(&repository).await.unwrap();
    let names: Vec<&str> = list.refs.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
