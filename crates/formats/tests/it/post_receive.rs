//! Post-Receive payloads, three generations.

use madake_formats::{Action, CommitHint, Note, Push, RefChange, RefKind, RepositoryHint, Scm, SenderFormat};

use crate::samples::{
    id, object, post_receive_bbs5, post_receive_stash2, post_receive_stash3, post_receive_with, read,
    server_ref, zeros,
};

fn expected() -> Push {
    Push {
        sender: SenderFormat::PostReceive,
        repository: RepositoryHint {
            owner: "GROVE".to_owned(),
            slug: "grove-tools".to_owned(),
            name: "Grove Tools".to_owned(),
            scm: Some(Scm::Git),
            addresses: Vec::new(),
        },
        changes: vec![RefChange {
            name: "refs/heads/main".to_owned(),
            kind: RefKind::Branch,
            old: Some(object('a')),
            new: Some(object('b')),
            action: Action::Update,
        }],
        changes_complete: true,
        commits: vec![CommitHint {
            id: object('b'),
            author: "Hana Mori <hana@grove.example>".to_owned(),
            message: "Trim the shoots\n\nTwice.".to_owned(),
            authored_ms: Some(1_700_000_000_000),
            committed_ms: None,
            paths: ["tools/trim.rs", "README", "READ.ME"].map(str::to_owned).to_vec(),
            paths_complete: true,
        }],
        commits_complete: true,
        pusher: None,
        notes: Vec::new(),
    }
}

#[test]
fn the_documented_push_is_read_whole() {
    assert_eq!(read(&post_receive_stash2()), Ok(expected()));
}

#[test]
fn all_generations_say_the_same() {
    assert_eq!(read(&post_receive_bbs5()), Ok(expected()));
    let mut personal = expected();
    personal.repository.owner = "~HANA".to_owned();
    assert_eq!(read(&post_receive_stash3()), Ok(personal));
}

#[test]
fn known_paths_are_those_of_all_commits() {
    let push = read(&post_receive_stash2()).unwrap();
    let paths: Vec<&str> = push.known_paths().unwrap().collect();
    assert_eq!(paths, ["tools/trim.rs", "README", "READ.ME"]);
}

#[test]
fn w13_a_deletion_has_an_old_id_and_no_new_one() {
    let body = post_receive_with(&server_ref("refs/heads/gone", &id('a'), &zeros(), "DELETE"));
    let push = read(&body).unwrap();
    assert_eq!(push.changes[0].action, Action::Delete);
    assert_eq!(
        (push.changes[0].old.clone(), push.changes[0].new.clone()),
        (Some(object('a')), None)
    );
    assert!(push.changes_complete && push.commits_complete);
}

#[test]
fn additions_of_branches_and_tags_have_no_old_id() {
    let body = post_receive_with(&format!(
        "{},{},{}",
        server_ref("refs/heads/fresh", &zeros(), &id('b'), "ADD"),
        server_ref("refs/tags/v1", &zeros(), &id('c'), "ADD"),
        server_ref("refs/notes/commits", &zeros(), &id('d'), "ADD"),
    ));
    let push = read(&body).unwrap();
    let kinds: Vec<RefKind> = push.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [RefKind::Branch, RefKind::Tag, RefKind::Other]);
    assert!(
        push.changes
            .iter()
            .all(|change| change.action == Action::Add && change.old.is_none())
    );
}

#[test]
fn w18_paths_are_unknown_unless_every_page_is_known_to_be_whole() {
    let table = [
        (
            "commits go on",
            r#""limit":100,"isLastPage":true"#,
            r#""limit":100,"isLastPage":false"#,
        ),
        (
            "the page of commits is full",
            r#""limit":100,"isLastPage":true"#,
            r#""limit":1,"isLastPage":true"#,
        ),
        ("the limit is not told", r#""size":1,"limit":100"#, r#""size":1"#),
        (
            "more commits than listed",
            r#""size":1,"limit":100"#,
            r#""size":2,"limit":100"#,
        ),
        (
            "files go on",
            r#""limit":500,"isLastPage":true"#,
            r#""limit":500,"isLastPage":false"#,
        ),
        ("the page of files is full", r#""limit":500"#, r#""limit":2"#),
        (
            "a file without a path",
            r#""toString":"README""#,
            r#""x":"README""#,
        ),
        ("no files at all", r#""changes":{"#, r#""x":{"#),
        ("no commits at all", r#""changesets":{"#, r#""x":{"#),
    ];
    for (case, from, to) in table {
        let body = post_receive_stash2();
        assert!(body.contains(from), "{case}");
        assert!(
            read(&body.replace(from, to)).unwrap().known_paths().is_none(),
            "{case}"
        );
    }
}

#[test]
fn w14_an_update_that_may_have_taken_commits_away_has_unknown_paths() {
    // The old tip is no parent of a listed commit: a forced push.
    let forced = post_receive_stash2().replace(
        &format!(r#""parents":[{{"id":"{}""#, id('a')),
        &format!(r#""parents":[{{"id":"{}""#, id('e')),
    );
    let backwards = post_receive_with(&server_ref("refs/heads/main", &id('a'), &id('b'), "UPDATE"));
    for body in [forced, backwards] {
        let push = read(&body).unwrap();
        assert_eq!(push.notes, [Note::RemovedCommitsNotTold(1)]);
        assert!(push.known_paths().is_none());
    }
}

#[test]
fn a_push_without_refs_asks_for_reconciliation() {
    let push = read(&post_receive_with("")).unwrap();
    assert!(!push.changes_complete);
    assert!(push.notes.contains(&Note::RefsNotTold));
    assert!(push.known_paths().is_none());
}
