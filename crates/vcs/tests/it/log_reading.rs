//! Histories in pages, and what revisions are called.

use madake_vcs::git::read::{GitReader, LogQuery, Merges, PoolLimits, ReadError};
use madake_vcs::name::ObjectId;
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

fn reader() -> GitReader {
    GitReader::new(GitProgram::default(), PoolLimits::for_git())
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
async fn histories_are_paged_and_can_be_those_of_a_path() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a/[x]*", "1"), ("a/xy", "1")]);
    for number in 0..5 {
        sandbox.commit(
            &work,
            &[("counter", &number.to_string())],
            &format!("number {number}"),
        );
    }
    let touched = sandbox.commit(&work, &[("a/[x]*", "2")], "touched");
    let reader = reader();
    let git = work.join(".git");
    let messages = async |path: Option<&str>, skip, limit| {
        let query = LogQuery {
            path,
            skip,
            limit,
            ..all(touched)
        };
        let found = reader.log(&git, &query).await.unwrap();
        let messages: Vec<String> = found
            .commits
            .into_iter()
            .map(|commit| commit.message.trim_end().to_owned())
            .collect();
        (messages.join(","), found.truncated)
    };
    assert_eq!(messages(None, 0, 2).await, ("touched,number 4".into(), true));
    assert_eq!(messages(None, 5, 2).await, ("number 0,first".into(), false));
    assert_eq!(messages(None, 50, 2).await, (String::new(), false));
    // A path is no pattern and no option.
    assert_eq!(
        messages(Some("a/[x]*"), 0, 9).await,
        ("touched,first".into(), false)
    );
    assert_eq!(messages(Some("a/xy"), 0, 9).await, ("first".into(), false));
    for nothing in ["--all", ":(exclude)a", "*", "none"] {
        assert_eq!(
            messages(Some(nothing), 0, 9).await,
            (String::new(), false),
            "{nothing}"
        );
    }
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
        ("", None),
        ("master^", None),
        (":/first", None),
        ("../HEAD", None),
        ("0000000000000000000000000000000000000000", None),
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
