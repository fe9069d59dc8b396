//! Our own format, in full and short.

use madake_formats::{
    Action, Limits, NotAPush, Note, Push, PushError, RefKind, Scm, SenderFormat, read_push,
};
use serde_json::{Value, json};

use crate::samples::{id, object, zeros};

fn read(body: &Value) -> Result<Push, PushError> {
    read_push(
        &[("webhook-id", "msg_1")],
        body.to_string().as_bytes(),
        &Limits::default(),
    )
}

#[test]
fn the_short_form_names_a_repository_and_a_ref() {
    let body = json!({
        "repository": "https://git.example/grove/tools.git", "ref": "main", "before": id('a'), "after": id('b'), "user": "hana",
    });
    let push = read(&body).unwrap();
    assert_eq!(push.sender, SenderFormat::Native);
    assert_eq!(
        push.repository.addresses[0].to_string(),
        "git.example/grove/tools"
    );
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("grove", "tools")
    );
    assert_eq!(push.changes[0].name, "refs/heads/main");
    assert_eq!(
        (push.changes[0].action, push.changes[0].new.clone()),
        (Action::Update, Some(object('b')))
    );
    assert_eq!(push.pusher.as_deref(), Some("hana"));
    let table = [
        ("git@git.example:grove/tools.git", "grove", "tools", 1),
        ("/srv/git/tools.git", "srv/git", "tools", 1),
        ("grove/tools", "grove", "tools", 0),
        ("tools", "", "tools", 0),
    ];
    for (repository, owner, slug, addresses) in table {
        let push = read(&json!({"repository": repository, "ref": "refs/tags/v1", "after": id('b')})).unwrap();
        assert_eq!(
            (push.repository.owner.as_str(), push.repository.slug.as_str()),
            (owner, slug),
            "{repository}"
        );
        assert_eq!(push.repository.addresses.len(), addresses, "{repository}");
        assert_eq!(
            (push.changes[0].action, push.changes[0].kind),
            (Action::Add, RefKind::Tag)
        );
    }
}

#[test]
fn what_the_short_form_leaves_out_is_read_from_the_repository() {
    for body in [
        json!({"repository": "grove/tools"}),
        json!({"repository": "grove/tools", "ref": "refs/heads/main"}),
        json!({"repository": "grove/tools", "refs": []}),
        json!({"repository": "grove/tools", "refs": [{"ref": "main"}]}),
    ] {
        let push = read(&body).unwrap();
        assert!(push.changes.is_empty() && !push.changes_complete, "{body}");
        assert!(
            push.notes.contains(&Note::RefsNotTold) || body["refs"] == json!([]),
            "{body}: {:?}",
            push.notes
        );
    }
    let several = json!({"repository": "grove/tools", "refs": [
        {"ref": "refs/heads/a", "before": id('a'), "after": zeros()},
        {"ref": "refs/heads/b", "before": zeros(), "after": id('b')},
    ]});
    let push = read(&several).unwrap();
    assert_eq!(
        push.changes.iter().map(|one| one.action).collect::<Vec<_>>(),
        [Action::Delete, Action::Add]
    );
    assert!(push.changes_complete);
}

#[test]
fn the_whole_form_is_read_for_git_and_mercurial() {
    let body = |kind: &str, scm: &str| {
        json!({
            "type": "push", "version": 1, "timestamp": "2023-11-14T22:13:20.000Z",
            "data": {
                "server": {"url": "https://madake.example"},
                "repository": {
                    "id": 1, "owner": "GROVE", "slug": "tools", "name": "Tools", "scm": scm,
                    "links": {"self": "https://madake.example/scm/GROVE/tools", "cloneHttp": "https://madake.example/scm/GROVE/tools.git", "cloneSsh": null},
                },
                "pusher": {"id": 1, "name": "hana", "displayName": "Hana Mori", "email": ""},
                "refs": [{"kind": kind, "name": "main", "fullName": "refs/heads/main", "action": "UPDATE", "old": id('a'),
                    "new": id('b'), "forced": false, "closed": false, "tip": id('b'), "tag": null, "commits": [id('b')],
                    "commitsTruncated": false}],
                "commits": [{"id": id('b'), "author": {"name": "Hana Mori", "email": "x", "account": null},
                    "authoredAt": "2023-11-14T22:13:20+00:00", "committedAt": "2023-11-14T22:13:20+00:00", "message": "Trim",
                    "files": [{"change": "MOVE", "path": "new", "srcPath": "old"}], "filesTruncated": false}],
            },
        })
    };
    let push = read(&body("branch", "git")).unwrap();
    assert_eq!(
        push.repository.addresses[0].to_string(),
        "madake.example/grove/tools"
    );
    assert_eq!(push.known_paths().unwrap().collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!(push.commits[0].committed_ms, Some(1_700_000_000_000));
    let hg = read(&body("namedBranch", "hg")).unwrap();
    assert_eq!(
        (hg.changes[0].name.as_str(), hg.changes[0].kind),
        ("main", RefKind::NamedBranch)
    );
    assert_eq!(hg.repository.scm, Some(Scm::Mercurial));
    let mut other = body("branch", "git");
    other["type"] = json!("build:finished");
    assert_eq!(
        read(&other),
        Err(PushError::NotAPush(NotAPush::OtherEvent("build:finished".into())))
    );
    other["type"] = json!("ping");
    assert_eq!(read(&other), Err(PushError::NotAPush(NotAPush::Ping)));
}
