//! What people look up: lists of refs, and differences.

use madake_vcs::git::read::{GitReader, Hunk, PatchBody, PatchLine, PoolLimits, ReadError};
use madake_vcs::name::{ObjectId, RefKind};
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

fn reader() -> GitReader {
    GitReader::new(GitProgram::default(), PoolLimits::for_git())
}

#[tokio::test]
async fn lists_of_branches_and_tags_tell_the_newest_first() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["tag", "-a", "-m", "what it is\n\nand more", "v1"]);
    for branch in ["b/2", "a"] {
        sandbox.git(&work, &["branch", branch]);
    }
    let reader = reader();
    let git = work.join(".git");
    let branches = reader.ref_summaries(&git, RefKind::Branch, 2).await.unwrap();
    let names: Vec<&str> = branches.refs.iter().map(|one| one.name.short()).collect();
    assert_eq!((names, branches.truncated), (vec!["a", "b/2"], true));
    assert_eq!(
        (branches.refs[0].time_ms, branches.refs[0].subject.as_str()),
        (1_700_000_001_000, "first")
    );
    let tags = reader.ref_summaries(&git, RefKind::Tag, 9).await.unwrap();
    assert!(!tags.truncated);
    assert_eq!(
        (tags.refs[0].target, tags.refs[0].subject.as_str()),
        (first, "what it is")
    );
}

#[tokio::test]
async fn differences_are_those_of_git_with_every_kind_of_change() {
    let sandbox = Sandbox::new();
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
    let old = sandbox.revision(&work, "HEAD");
    sandbox.git(&work, &["rm", "--quiet", "gone", "link"]);
    sandbox.git(&work, &["mv", "from", "to\n\"<x>"]);
    sandbox.git(&work, &["update-index", "--chmod=+x", "mode"]);
    std::os::unix::fs::symlink("edit", work.join("link")).unwrap();
    std::fs::write(work.join("binary"), b"a\0b").unwrap();
    std::fs::write(work.join("edit"), "one\n2\nthree\n").unwrap();
    std::fs::write(work.join("empty"), "").unwrap();
    sandbox.git(&work, &["add", "binary", "edit", "empty", "link"]);
    sandbox.git(&work, &["commit", "--quiet", "-m", "everything"]);
    let new = sandbox.revision(&work, "HEAD");
    let reader = reader();
    let git = work.join(".git");
    let patch = reader.patch(&git, Some(&old), &new, 1 << 20).await.unwrap();
    assert!(!patch.truncated);
    let told: Vec<(char, &str)> = patch
        .files
        .iter()
        .map(|one| (one.file.status, one.file.path.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ('A', "binary"),
            ('M', "edit"),
            ('A', "empty"),
            ('D', "gone"),
            ('T', "link"),
            ('M', "mode"),
            ('R', "to\n\"<x>"),
        ]
    );
    let body = |path: &str| &patch.files.iter().find(|one| one.file.path == path).unwrap().body;
    assert_eq!(*body("binary"), PatchBody::Binary);
    for silent in ["empty", "mode", "to\n\"<x>"] {
        assert_eq!(*body(silent), PatchBody::Text(Vec::new()), "{silent}");
    }
    let text = |line: &str| line.to_owned();
    assert_eq!(
        *body("edit"),
        PatchBody::Text(vec![Hunk {
            old_start: 1,
            new_start: 1,
            heading: String::new(),
            lines: vec![
                PatchLine::Same(text("one")),
                PatchLine::Removed(text("two")),
                PatchLine::Removed(text("three")),
                PatchLine::NoEnd,
                PatchLine::Added(text("2")),
                PatchLine::Added(text("three")),
            ],
        }])
    );
    let PatchBody::Text(gone) = body("gone") else {
        panic!("text")
    };
    let lines = ["--- a/gone", "+++ b", "@@ -1 +1 @@", "diff --git a b"];
    assert_eq!(gone[0].lines, lines.map(|line| PatchLine::Removed(text(line))));
    let PatchBody::Text(link) = body("link") else {
        panic!("text")
    };
    assert_eq!(
        (link.len(), &link[1].lines[0]),
        (2, &PatchLine::Added(text("edit")))
    );

    // Against nothing, and cut anywhere.
    let all = reader.patch(&git, None, &new, 1 << 20).await.unwrap();
    assert!(all.files.iter().all(|one| one.file.status == 'A') && !all.truncated);
    for limit in [0, 1, 100, 300, 500, 700] {
        let cut = reader.patch(&git, Some(&old), &new, limit).await.unwrap();
        assert!(cut.truncated && cut.files.len() <= 7, "{limit}");
    }
    let missing = ObjectId::parse(&"1".repeat(40)).unwrap();
    assert!(matches!(
        reader.patch(&git, None, &missing, 100).await,
        Err(ReadError::Missing { .. })
    ));
}

#[tokio::test]
async fn common_ancestors_are_found_where_there_are_some() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let base = sandbox.revision(&work, "HEAD");
    let one = sandbox.commit(&work, &[("b", "1")], "one");
    sandbox.git(&work, &["checkout", "--quiet", "-b", "side", &base.to_string()]);
    let other = sandbox.commit(&work, &[("c", "1")], "other");
    sandbox.git(&work, &["checkout", "--quiet", "--orphan", "alone"]);
    let alone = sandbox.commit(&work, &[("d", "1")], "alone");
    let (reader, git) = (reader(), work.join(".git"));
    assert_eq!(reader.merge_base(&git, &one, &other).await.unwrap(), Some(base));
    assert_eq!(reader.merge_base(&git, &one, &alone).await.unwrap(), None);
}
