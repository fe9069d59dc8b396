//! Payloads of the POST service.

use madake_formats::{
    Action, CloneAddress, CommitHint, FormError, Limits, Note, Push, PushError, RefChange, RefKind,
    RepositoryHint, Scm, SenderFormat, read_push,
};

use crate::samples::{as_form, cloud_post_git, cloud_post_hg, id, object, read};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");

fn expected_git() -> Push {
    Push {
        sender: SenderFormat::CloudPost,
        repository: RepositoryHint {
            owner: "hana".to_owned(),
            slug: "grove-tools".to_owned(),
            name: "Grove Tools".to_owned(),
            scm: Some(Scm::Git),
            addresses: vec![CloneAddress::read("https://forge.example/hana/grove-tools/").unwrap()],
        },
        changes: vec![RefChange {
            name: "refs/heads/main".to_owned(),
            kind: RefKind::Branch,
            old: None,
            new: Some(object('b')),
            action: Action::Update,
        }],
        changes_complete: false,
        commits: vec![CommitHint {
            id: object('b'),
            author: "Hana Mori <hana@grove.example>".to_owned(),
            message: "Trim the shoots\n".to_owned(),
            authored_ms: None,
            committed_ms: Some(1_338_350_823_000),
            paths: vec!["tools/trim.rs".to_owned(), "CHANGES".to_owned()],
            paths_complete: true,
        }],
        commits_complete: true,
        pusher: Some("hana".to_owned()),
        notes: vec![Note::RefsNotTold],
    }
}

fn expected_hg() -> Push {
    let mut push = expected_git();
    push.repository.scm = Some(Scm::Mercurial);
    push.changes[0].kind = RefKind::NamedBranch;
    push.changes[0].name = "stable line".to_owned();
    push.commits_complete = false;
    push.notes.push(Note::SenderListsPart);
    push
}

#[test]
fn git_and_mercurial_pushes_are_read_whole() {
    assert_eq!(read(&cloud_post_git()), Ok(expected_git()));
    assert_eq!(read(&cloud_post_hg()), Ok(expected_hg()));
    assert!(expected_hg().changes[0].checked_name().is_ok());
}

#[test]
fn w19_the_form_field_payload_says_the_same_as_the_bare_json() {
    for (json, expected) in [
        (cloud_post_git(), expected_git()),
        (cloud_post_hg(), expected_hg()),
    ] {
        let form = as_form(&json);
        let more = format!("x=1&{form}&payload2=y");
        for (headers, body) in [
            (vec![FORM], &form),
            (vec![], &form),
            (vec![FORM], &more),
            (vec![FORM], &json),
        ] {
            let push = read_push(&headers, body.as_bytes(), &Limits::default());
            assert_eq!(push.as_ref(), Ok(&expected), "{body}");
        }
    }
}

#[test]
fn forms_that_are_not_sound_are_refused() {
    let table = [
        ("other=1", FormError::NoPayload),
        ("", FormError::NoPayload),
        ("payload={}&payload={}", FormError::SeveralPayloads),
        ("payload=%", FormError::Encoding),
        ("payload=%7", FormError::Encoding),
        ("payload=%zz", FormError::Encoding),
    ];
    for (body, expected) in table {
        let found = read_push(&[FORM], body.as_bytes(), &Limits::default());
        assert_eq!(found, Err(PushError::Form(expected)), "{body}");
    }
    let invalid_text = read_push(&[FORM], b"payload=%7B%22a%22%3A%22%FF%22%7D", &Limits::default());
    assert!(
        matches!(invalid_text, Err(PushError::Json(_))),
        "W9: {invalid_text:?}"
    );
}

fn commit(digit: char, branch: &str, parents: &[char]) -> String {
    let parents: Vec<String> = parents
        .iter()
        .map(|parent| format!("{:?}", &id(*parent)[..12]))
        .collect();
    format!(
        r#"{{"raw_node":"{}","branch":{branch},"parents":[{}],"files":[],"message":""}}"#,
        id(digit),
        parents.join(",")
    )
}

fn body(commits: &[String], scm: &str) -> String {
    format!(
        r#"{{"canon_url":"https://forge.example","commits":[{}],"repository":{{"owner":"hana","slug":"x","scm":"{scm}"}}}}"#,
        commits.join(",")
    )
}

#[test]
fn the_tip_of_a_branch_is_found_in_either_order() {
    let oldest_first = [
        commit('1', "\"main\"", &['0']),
        commit('2', "\"main\"", &['1']),
        commit('3', "\"main\"", &['2']),
    ];
    let mut newest_first = oldest_first.clone();
    newest_first.reverse();
    for commits in [oldest_first, newest_first] {
        let push = read(&body(&commits, "git")).unwrap();
        assert_eq!(push.changes.len(), 1);
        assert_eq!(push.changes[0].new, Some(object('3')));
    }
}

#[test]
fn a_commit_merged_into_another_branch_stays_the_tip_of_its_own() {
    let commits = [
        commit('1', "\"feature\"", &[]),
        commit('2', "\"main\"", &[]),
        commit('3', "\"main\"", &['2', '1']),
    ];
    let push = read(&body(&commits, "hg")).unwrap();
    let tips: Vec<_> = push
        .changes
        .iter()
        .map(|change| (change.name.as_str(), change.new.clone()))
        .collect();
    assert_eq!(
        tips,
        [("feature", Some(object('1'))), ("main", Some(object('3')))]
    );
}

#[test]
fn commits_without_a_branch_are_counted_and_not_guessed() {
    let push = read(&body(
        &[commit('1', "null", &[]), commit('2', "\"main\"", &['1'])],
        "git",
    ))
    .unwrap();
    assert_eq!(push.changes.len(), 1);
    assert_eq!(push.commits.len(), 2);
    assert!(push.notes.contains(&Note::CommitsWithoutBranch(1)));
}

#[test]
fn a_push_without_commits_still_names_its_repository() {
    let body = r#"{"repository":{"name":"Grove","absolute_url":"hana/grove"},"user":"hana","commits":[],"canon_url":"https://forge.example/"}"#;
    let push = read(body).unwrap();
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("hana", "grove")
    );
    assert!(push.changes.is_empty() && !push.changes_complete && !push.commits_complete);
}

#[test]
fn branches_beyond_the_limit_are_counted() {
    let limits = Limits {
        refs_per_push: 2,
        ..Limits::default()
    };
    let commits: Vec<String> = ('1'..='5')
        .map(|digit| commit(digit, &format!("\"b{digit}\""), &[]))
        .collect();
    let push = read_push(&[], body(&commits, "hg").as_bytes(), &limits).unwrap();
    assert_eq!(push.changes.len(), 2);
    assert!(push.notes.contains(&Note::RefsLeftOut { named: 5, taken: 2 }));
}
