//! Webhooks of Bitbucket Data Center and Cloud, and of the add-on.

use madake_formats::{Action, Limits, Note, PushError, RefKind, Scm, SenderFormat, read_push};

use crate::samples::{
    bitbucket_cloud_with, bitbucket_dc, cloud_change, id, object, post_webhooks_with, read,
};

#[test]
fn a_data_center_push_is_read_with_times_in_both_forms() {
    let push = read(&bitbucket_dc()).unwrap();
    assert_eq!(push.sender, SenderFormat::BitbucketDc);
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("GROVE", "grove-tools")
    );
    assert_eq!(push.pusher.as_deref(), Some("HMORI"));
    let change = &push.changes[0];
    assert_eq!(
        (change.name.as_str(), change.action),
        ("refs/heads/main", Action::Update)
    );
    assert_eq!(
        (change.old.clone(), change.new.clone()),
        (Some(object('a')), Some(object('b')))
    );
    // The head is listed once, although `toCommit` repeats it.
    assert_eq!(push.commits.len(), 1);
    assert_eq!(push.commits[0].author, "hana <hana@grove.example>");
    assert_eq!(push.commits[0].authored_ms, Some(1_700_000_000_000));
    assert_eq!(push.commits[0].committed_ms, Some(1_700_000_001_000));
    assert!(push.changes_complete && !push.commits_complete);
    assert_eq!(push.notes, [Note::SenderListsPart]);
    assert!(push.known_paths().is_none());
}

#[test]
fn a_data_center_push_of_before_commits_were_sent_is_read() {
    let body = bitbucket_dc()
        .replace("\"commits\"", "\"x\"")
        .replace("\"toCommit\"", "\"y\"");
    let push = read(&body).unwrap();
    assert_eq!(push.changes.len(), 1);
    assert!(push.commits.is_empty() && !push.commits_complete);
}

#[test]
fn a_data_center_push_with_no_changes_asks_for_reconciliation() {
    let body =
        r#"{"eventKey":"repo:refs_changed","repository":{"slug":"x","project":{"key":"P"}},"changes":[]}"#;
    let push = read(body).unwrap();
    assert!(push.changes.is_empty() && !push.changes_complete);
    assert!(push.notes.contains(&Note::RefsNotTold));
}

#[test]
fn names_that_differ_within_one_change_are_refused() {
    let body = bitbucket_dc().replace(r#""refId":"refs/heads/main""#, r#""refId":"refs/heads/other""#);
    assert!(matches!(read(&body), Err(PushError::Contradiction { .. })));
    let flat_only = bitbucket_dc().replace(r#""ref":{"#, r#""x":{"#);
    assert_eq!(read(&flat_only).unwrap().changes[0].name, "refs/heads/main");
}

#[test]
fn cloud_changes_of_every_kind_are_told_apart() {
    let table = [
        (
            "branch",
            Some('a'),
            Some('b'),
            "refs/heads/x",
            RefKind::Branch,
            Action::Update,
        ),
        (
            "branch",
            None,
            Some('b'),
            "refs/heads/x",
            RefKind::Branch,
            Action::Add,
        ),
        (
            "branch",
            Some('a'),
            None,
            "refs/heads/x",
            RefKind::Branch,
            Action::Delete,
        ),
        ("tag", None, Some('b'), "refs/tags/x", RefKind::Tag, Action::Add),
        (
            "tag",
            Some('a'),
            None,
            "refs/tags/x",
            RefKind::Tag,
            Action::Delete,
        ),
        (
            "named_branch",
            Some('a'),
            Some('b'),
            "x",
            RefKind::NamedBranch,
            Action::Update,
        ),
        (
            "bookmark",
            Some('a'),
            Some('b'),
            "x",
            RefKind::Bookmark,
            Action::Update,
        ),
    ];
    for (told, old, new, name, kind, action) in table {
        let change = cloud_change(told, "x", old, new, "");
        for body in [bitbucket_cloud_with(&change), post_webhooks_with(&change)] {
            let push = read(&body).unwrap();
            let found = &push.changes[0];
            assert_eq!(
                (found.name.as_str(), found.kind, found.action),
                (name, kind, action),
                "{told}"
            );
            assert_eq!(
                (found.old.clone(), found.new.clone()),
                (old.map(object), new.map(object)),
                "{told}"
            );
        }
    }
    let mercurial = bitbucket_cloud_with(&cloud_change("tag", "1.0", None, Some('b'), ""))
        .replace(r#""scm":"git""#, r#""scm":"hg""#);
    let push = read(&mercurial).unwrap();
    assert_eq!(push.repository.scm, Some(Scm::Mercurial));
    assert_eq!(
        (push.changes[0].name.as_str(), push.changes[0].kind),
        ("1.0", RefKind::MercurialTag)
    );
}

#[test]
fn cloud_commits_are_complete_only_if_no_change_left_some_out() {
    let listed = |truncated: &str| {
        let commits = format!(
            r#","truncated":{truncated},"commits":[{{"hash":"{}","message":"Trim\n","date":"2018-07-02T20:26:56+00:00","author":{{"raw":"Hana <h@x>"}}}}]"#,
            id('b')
        );
        cloud_change("branch", "x", Some('a'), Some('b'), &commits)
    };
    let deleted = cloud_change("branch", "y", Some('a'), None, r#","truncated":false"#);
    let tag = cloud_change("tag", "z", None, Some('b'), r#","truncated":false"#);
    let table = [
        ("all listed", listed("false"), true),
        (
            "all listed, one deleted",
            format!("{},{deleted}", listed("false")),
            true,
        ),
        (
            "same commit twice",
            format!("{},{}", listed("false"), listed("false")),
            true,
        ),
        ("cut", listed("true"), false),
        ("not told", listed("null"), false),
        ("a tag lists none", format!("{},{tag}", listed("false")), false),
    ];
    for (case, changes, complete) in table {
        let push = read(&bitbucket_cloud_with(&changes)).unwrap();
        assert_eq!(push.commits_complete, complete, "{case}");
        assert_eq!(push.commits.len(), 1, "{case}");
        assert_eq!(push.commits[0].committed_ms, Some(1_530_563_216_000));
        assert_eq!(push.commits[0].author, "Hana <h@x>");
        assert!(push.known_paths().is_none(), "{case}: the format tells no paths");
    }
}

#[test]
fn a_cloud_push_without_changes_is_no_mistake() {
    let push = read(&bitbucket_cloud_with("")).unwrap();
    assert_eq!(
        (push.repository.owner.as_str(), push.repository.slug.as_str()),
        ("hana", "grove-tools")
    );
    assert_eq!(push.pusher.as_deref(), Some("hana"));
    assert!(!push.changes_complete);
}

#[test]
fn the_add_on_tells_the_tips() {
    let push = read(&post_webhooks_with(&cloud_change(
        "branch",
        "main",
        Some('a'),
        Some('b'),
        "",
    )))
    .unwrap();
    assert_eq!(push.sender, SenderFormat::PostWebhooks);
    assert_eq!(push.repository.owner, "GROVE");
    assert_eq!(push.pusher.as_deref(), Some("hana"));
    assert_eq!(
        (push.commits[0].id.clone(), push.commits[0].message.as_str()),
        (object('b'), "Trim")
    );
    assert!(push.changes_complete && !push.commits_complete);
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    let nowhere = cloud_change("branch", "x", None, None, "");
    let table = [
        ("neither old nor new", nowhere, true),
        (
            "unknown kind",
            cloud_change("shelf", "x", None, Some('b'), ""),
            false,
        ),
        (
            "empty name",
            cloud_change("branch", "", None, Some('b'), ""),
            false,
        ),
        (
            "zeros for an id",
            cloud_change("branch", "x", None, Some('0'), ""),
            false,
        ),
    ];
    for (case, change, contradiction) in table {
        let error = read(&bitbucket_cloud_with(&change)).expect_err(case);
        assert_eq!(
            matches!(error, PushError::Contradiction { .. }),
            contradiction,
            "{case}: {error}"
        );
    }
    let limits = Limits {
        refs_per_push: 1,
        ..Limits::default()
    };
    let two = format!(
        "{},{}",
        cloud_change("branch", "x", Some('a'), None, ""),
        cloud_change("branch", "y", Some('a'), None, "")
    );
    let push = read_push(&[], bitbucket_cloud_with(&two).as_bytes(), &limits).unwrap();
    assert!(!push.changes_complete && !push.commits_complete);
    assert!(push.notes.contains(&Note::RefsLeftOut { named: 2, taken: 1 }));
}
