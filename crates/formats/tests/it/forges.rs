//! Deliveries of GitHub, GitLab, Gitea, Forgejo and Gogs, after their documentation.

use madake_formats::{
    Action, Limits, NotAPush, Note, Push, PushError, RefKind, Scm, SenderFormat, delivery_id, detect,
    read_push, read_push_as,
};
use serde_json::{Value, json};

use crate::samples::{as_form, id, object, zeros};

fn read(headers: &[(&str, &str)], body: &Value) -> Result<Push, PushError> {
    read_push(headers, body.to_string().as_bytes(), &Limits::default())
}

fn addresses(push: &Push) -> Vec<String> {
    push.repository
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn github(before: &str, after: &str) -> Value {
    json!({
        "ref": "refs/heads/main", "before": before, "after": after, "base_ref": null,
        "created": before == zeros(), "deleted": after == zeros(), "forced": false,
        "compare": "https://forge.example/grove/tools/compare/a...b",
        "repository": {
            "id": 7, "name": "tools", "full_name": "Grove/tools", "private": true, "owner": {"login": "Grove", "name": "Grove"},
            "html_url": "https://forge.example/Grove/tools", "clone_url": "https://forge.example/Grove/tools.git",
            "ssh_url": "git@forge.example:Grove/tools.git", "git_url": "git://forge.example/Grove/tools.git",
            "default_branch": "main",
        },
        "pusher": {"name": "hana", "email": "hana@grove.example"}, "sender": {"login": "hana", "id": 3},
        "head_commit": null,
        "commits": if after == zeros() { json!([]) } else { json!([{
            "id": after, "message": "Trim the shoots", "timestamp": "2023-11-14T23:13:20+01:00",
            "author": {"name": "Hana Mori", "email": "hana@grove.example", "username": "hana"},
            "added": ["tools/new.rs"], "removed": ["old.rs"], "modified": ["README"],
        }]) },
    })
}

fn gitea(before: &str, after: &str) -> Value {
    json!({
        "ref": "refs/heads/main", "before": before, "after": after, "compare_url": "", "total_commits": 1,
        "commits": [{
            "id": after, "message": "Trim\n", "timestamp": "2023-11-14T22:13:20Z",
            "author": {"name": "Hana Mori", "email": "hana@grove.example", "username": ""},
            "added": null, "removed": null, "modified": null,
        }],
        "repository": {
            "name": "tools", "full_name": "grove/tools", "owner": {"login": "grove", "username": "grove"},
            "html_url": "https://git.example/gitea/grove/tools", "ssh_url": "git@git.example:grove/tools.git",
            "clone_url": "https://git.example/gitea/grove/tools.git",
        },
        "pusher": {"login": "hana", "username": "hana"}, "sender": {"login": "hana", "username": "hana"},
    })
}

fn gitlab(kind: &str, name: &str, before: &str, after: &str) -> Value {
    json!({
        "object_kind": kind, "event_name": kind, "ref": name, "before": before, "after": after,
        "checkout_sha": if after == zeros() { Value::Null } else { json!(after) },
        "user_name": "Hana Mori", "user_username": "hana", "user_email": "", "project_id": 15,
        "project": {
            "id": 15, "name": "Tools", "path_with_namespace": "grove/north/tools", "default_branch": "main",
            "web_url": "https://gitlab.example/grove/north/tools",
            "git_ssh_url": "git@gitlab.example:grove/north/tools.git",
            "git_http_url": "https://gitlab.example/grove/north/tools.git",
        },
        "commits": [{
            "id": id('b'), "message": "Trim", "title": "Trim", "timestamp": "2023-11-14T22:13:20Z",
            "author": {"name": "Hana Mori", "email": "hana@grove.example"},
            "added": ["a"], "modified": [], "removed": [],
        }],
        "total_commits_count": 1, "repository": {"name": "Tools", "url": "git@gitlab.example:grove/north/tools.git"},
    })
}

#[test]
fn a_push_of_github_is_read_as_json_and_as_form() {
    let body = github(&id('a'), &id('b'));
    let headers = [("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "72d3162e")];
    let push = read(&headers, &body).unwrap();
    assert_eq!(push.sender, SenderFormat::GitHub);
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("Grove", "tools")
    );
    assert_eq!(push.repository.scm, Some(Scm::Git));
    assert_eq!(addresses(&push), ["forge.example/grove/tools"]);
    let change = &push.changes[0];
    assert_eq!(push.changes.len(), 1);
    assert_eq!(
        (change.name.as_str(), change.kind, change.action),
        ("refs/heads/main", RefKind::Branch, Action::Update)
    );
    assert_eq!(
        (change.old.clone(), change.new.clone()),
        (Some(object('a')), Some(object('b')))
    );
    assert_eq!(push.pusher.as_deref(), Some("hana"));
    assert_eq!(push.commits[0].author, "Hana Mori <hana@grove.example>");
    assert_eq!(push.commits[0].committed_ms, Some(1_700_000_000_000));
    assert_eq!(push.commits[0].paths, ["tools/new.rs", "old.rs", "README"]);
    assert!(push.known_paths().is_none(), "long lists are cut without a word");
    let mut with_form = headers.to_vec();
    with_form.push(("Content-Type", "application/x-www-form-urlencoded"));
    let form = read_push(
        &with_form,
        as_form(&body.to_string()).as_bytes(),
        &Limits::default(),
    );
    assert_eq!(form, Ok(push));
}

#[test]
fn new_gone_and_forced_refs_of_github_are_told_apart() {
    let headers = [("x-github-event", "push")];
    let gone = read(&headers, &github(&id('a'), &zeros())).unwrap();
    assert_eq!(
        (gone.changes[0].action, gone.changes[0].new.clone()),
        (Action::Delete, None)
    );
    assert!(gone.commits_complete && gone.changes_complete);
    let new = read(&headers, &github(&zeros(), &id('b'))).unwrap();
    assert_eq!(
        (new.changes[0].action, new.changes[0].old.clone()),
        (Action::Add, None)
    );
    assert!(
        !new.commits_complete,
        "commits that other branches have are not listed"
    );
    let mut tag = github(&zeros(), &id('b'));
    tag["ref"] = json!("refs/tags/v1");
    assert_eq!(read(&headers, &tag).unwrap().changes[0].kind, RefKind::Tag);
}

#[test]
fn the_most_specific_event_header_names_the_sender() {
    let body = gitea(&id('a'), &id('b'));
    let forgejo = [
        ("X-GitHub-Event", "push"),
        ("X-Gogs-Event", "push"),
        ("X-Gitea-Event", "push"),
        ("X-Forgejo-Event", "push"),
    ];
    for (taken, sender) in [
        (4, SenderFormat::Forgejo),
        (3, SenderFormat::Gitea),
        (2, SenderFormat::Gogs),
        (1, SenderFormat::GitHub),
    ] {
        let push = read(&forgejo[..taken], &body).unwrap();
        assert_eq!(push.sender, sender);
        assert_eq!(push.commits[0].message, "Trim\n");
        assert!(push.known_paths().is_none(), "{sender} told no paths");
        assert_eq!(push.notes, [Note::SenderListsPart], "{sender}");
        assert_eq!(
            detect(&forgejo[..taken], body.to_string().as_bytes(), &Limits::default()),
            Ok(sender)
        );
    }
    let push = read(&forgejo, &body).unwrap();
    assert_eq!(
        addresses(&push),
        ["git.example/gitea/grove/tools", "git.example/grove/tools"]
    );
}

#[test]
fn events_of_new_and_gone_refs_are_hints_too() {
    let event = |name: &str, kind: &str, sha: Option<String>| {
        let mut body = gitea(&id('a'), &id('b'));
        for key in ["before", "after", "commits"] {
            body.as_object_mut().unwrap().remove(key);
        }
        body["ref"] = json!(name);
        body["ref_type"] = json!(kind);
        body["sha"] = json!(sha);
        body
    };
    let new = read(
        &[("X-Gogs-Event", "create")],
        &event("v1.0", "tag", Some(id('b'))),
    )
    .unwrap();
    assert_eq!(new.changes[0].name, "refs/tags/v1.0");
    assert_eq!(
        (new.changes[0].action, new.changes[0].new.clone()),
        (Action::Add, Some(object('b')))
    );
    let untold = read(&[("X-GitHub-Event", "create")], &event("topic", "branch", None)).unwrap();
    assert!(untold.changes.is_empty() && !untold.changes_complete);
    assert_eq!(untold.notes, [Note::RefsNotTold]);
    let gone = read(&[("X-Gitea-Event", "delete")], &event("topic/x", "branch", None)).unwrap();
    assert_eq!(gone.changes[0].name, "refs/heads/topic/x");
    assert_eq!(
        (gone.changes[0].action, gone.changes[0].old.clone()),
        (Action::Delete, None)
    );
    // A whole name stays whole.
    let full = read(
        &[("X-Gitea-Event", "delete")],
        &event("refs/heads/x", "branch", None),
    )
    .unwrap();
    assert_eq!(full.changes[0].name, "refs/heads/x");
    let repository = read(&[("X-GitHub-Event", "create")], &event("", "repository", None));
    assert_eq!(
        repository,
        Err(PushError::NotAPush(NotAPush::OtherEvent(
            "create of a repository".into()
        )))
    );
    // Nobody can tell a new ref from a gone one without the header.
    let body = event("topic", "branch", None).to_string();
    let found = read_push_as(SenderFormat::Gogs, &[], body.as_bytes(), &Limits::default());
    assert_eq!(found, Err(PushError::NotAPush(NotAPush::UnknownShape)));
}

#[test]
fn pushes_of_gitlab_are_read_from_projects_and_system_hooks() {
    let push = read(
        &[("X-Gitlab-Event", "Push Hook")],
        &gitlab("push", "refs/heads/main", &id('a'), &id('b')),
    )
    .unwrap();
    assert_eq!(push.sender, SenderFormat::GitLab);
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("grove/north", "tools")
    );
    assert_eq!(addresses(&push), ["gitlab.example/grove/north/tools"]);
    assert_eq!(push.pusher.as_deref(), Some("hana"));
    assert_eq!(push.changes[0].action, Action::Update);
    let tag = gitlab("tag_push", "refs/tags/v1", &id('a'), &zeros());
    let tag = read(&[("X-Gitlab-Event", "Tag Push Hook")], &tag).unwrap();
    assert_eq!(
        (tag.changes[0].kind, tag.changes[0].action),
        (RefKind::Tag, Action::Delete)
    );
    // A system hook says what happened in its body alone.
    let system = [("X-Gitlab-Event", "System Hook")];
    let mut body = gitlab("push", "refs/heads/main", &id('a'), &id('b'));
    body.as_object_mut().unwrap().remove("object_kind");
    assert_eq!(read(&system, &body).unwrap().changes.len(), 1);
    body["event_name"] = json!("user_create");
    assert_eq!(
        read(&system, &body),
        Err(PushError::NotAPush(NotAPush::OtherEvent("user_create".into())))
    );
    body["event_name"] = json!("repository_update");
    body["changes"] = json!([
        {"before": id('a'), "after": id('b'), "ref": "refs/heads/main"},
        {"before": zeros(), "after": id('c'), "ref": "refs/tags/v2"},
    ]);
    let several = read(&system, &body).unwrap();
    assert_eq!(several.changes.len(), 2);
    assert!(several.changes_complete);
}

#[test]
fn broken_bodies_of_forges_are_refused_with_the_place() {
    let headers = [("X-GitHub-Event", "push")];
    let with = |key: &str, value: Value| {
        let mut body = github(&id('a'), &id('b'));
        body[key] = value;
        read(&headers, &body).unwrap_err().to_string()
    };
    let table = [
        ("ref", Value::Null, "payload has no ref"),
        ("ref", json!(7), "payload has a ref that is not a string"),
        ("before", Value::Null, "payload has no before"),
        (
            "after",
            json!("-n1"),
            "payload has an object id in after that not 40 or 64 digits long",
        ),
        (
            "after",
            json!("0".repeat(64)),
            "payload has an object id in after that differs in length",
        ),
        ("commits", json!({}), "payload has a commits that is not an array"),
        ("repository", Value::Null, "payload has no repository"),
        (
            "repository",
            json!({"full_name": "tools"}),
            "payload has a repository.full_name that is not of the form owner/slug",
        ),
        (
            "repository",
            json!({"name": "tools"}),
            "payload has no repository.owner.login",
        ),
    ];
    for (key, value, expected) in table {
        let found = with(key, value);
        assert!(found.starts_with(expected), "{key}: {found}");
    }
    let both = read(&headers, &github(&zeros(), &zeros()))
        .unwrap_err()
        .to_string();
    assert!(both.contains("contradicts itself in after"), "{both}");
}

/// Headers, and the id in them.
type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

#[test]
fn deliveries_are_known_by_the_id_of_their_sender() {
    let table: [Case<'_>; 9] = [
        (
            &[
                ("X-GitHub-Delivery", "g"),
                ("X-Gitea-Delivery", "t"),
                ("X-Forgejo-Delivery", "f"),
            ],
            Some("f"),
        ),
        (&[("x-github-delivery", "g")], Some("g")),
        (
            &[
                ("Idempotency-Key", "k"),
                ("X-Gitlab-Event-UUID", "shared by two refs"),
            ],
            Some("k"),
        ),
        (&[("webhook-id", "msg_1"), ("X-Request-Id", "r")], Some("msg_1")),
        (
            &[("X-Hook-UUID", "the webhook"), ("X-Request-UUID", "r")],
            Some("r"),
        ),
        (&[("X-Hook-UUID", "the webhook")], None),
        (&[("X-Request-Id", "")], None),
        (&[("X-Request-Id", "r")], Some("r")),
        (&[], None),
    ];
    for (headers, expected) in table {
        assert_eq!(delivery_id(headers), expected, "{headers:?}");
    }
    let long = "x".repeat(201);
    assert_eq!(delivery_id(&[("X-Request-Id", &long)]), None);
}
