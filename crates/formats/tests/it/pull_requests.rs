//! Pull requests of GitHub, GitLab, Gitea, Forgejo, Gogs and Bitbucket, after their documentation.

use madake_formats::{
    Delivery, Limits, NotAPush, PullRequest, PushError, SenderFormat, read_delivery, read_push,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::properties::{hostile_value, replace_nth};
use crate::samples::{as_form, id};

type Headers<'h> = &'h [(&'h str, &'h str)];

fn read_any(headers: &[(&str, &str)], body: &Value) -> Result<Delivery, PushError> {
    read_delivery(headers, body.to_string().as_bytes(), &Limits::default())
}

#[track_caller]
fn read(headers: &[(&str, &str)], body: &Value) -> PullRequest {
    match read_any(headers, body) {
        Ok(Delivery::PullRequest(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn github(action: &str, state: &str, fork: bool) -> Value {
    let side = |owner: &str, branch: &str, number: u64| {
        json!({
            "ref": branch, "sha": id('a'), "label": format!("{owner}:{branch}"),
            "repo": {"id": number, "full_name": format!("{owner}/tools")},
        })
    };
    let head = if fork {
        side("mallory", "topic", 9)
    } else {
        side("Grove", "topic", 7)
    };
    json!({
        "action": action, "number": 12,
        "pull_request": {
            "number": 12, "state": state, "title": "Better\u{202e} tools", "user": {"login": "hana"}, "merged": false,
            "head": head, "base": side("Grove", "main", 7), "updated_at": "2024-05-01T10:00:00Z",
        },
        "repository": {
            "id": 7, "name": "tools", "full_name": "Grove/tools", "clone_url": "https://forge.example/Grove/tools.git",
        },
        "sender": {"login": "bob"},
    })
}

fn gitlab(action: &str, state: &str, author: u64) -> Value {
    json!({
        "object_kind": "merge_request", "event_type": "merge_request",
        "user": {"id": 51, "name": "Hana", "username": "hana"},
        "project": {
            "name": "tools", "path_with_namespace": "grove/deep/tools",
            "git_http_url": "https://lab.example/grove/deep/tools.git",
        },
        "object_attributes": {
            "id": 99, "iid": 12, "action": action, "state": state, "title": "Better tools", "author_id": author,
            "source_branch": "topic", "target_branch": "main", "source_project_id": 14, "target_project_id": 14,
            "last_commit": {"id": id('a')}, "updated_at": "2024-05-01 10:00:00 UTC",
            "source": {"path_with_namespace": "grove/deep/tools"},
        },
    })
}

fn gitea(action: &str, sender_is_fork: bool) -> Value {
    let repository = |owner: &str, number: u64| json!({"id": number, "full_name": format!("{owner}/tools")});
    let head = if sender_is_fork {
        repository("mallory", 9)
    } else {
        repository("grove", 7)
    };
    json!({
        "action": action, "number": 12,
        "pull_request": {
            "id": 1, "number": 12, "state": "open", "title": "Better tools", "user": {"login": "hana", "username": "hana"},
            "head": {"label": "topic", "ref": "topic", "sha": id('a'), "repo_id": 9, "repo": head},
            "base": {"label": "main", "ref": "main", "sha": id('b'), "repo_id": 7, "repo": repository("grove", 7)},
            "updated_at": "2024-05-01T10:00:00Z",
        },
        "repository": {"id": 7, "name": "tools", "full_name": "grove/tools", "clone_url": "https://git.example/grove/tools.git"},
        "sender": {"login": "hana"},
    })
}

fn gogs() -> Value {
    json!({
        "action": "synchronized", "number": 12,
        "pull_request": {
            "id": 1, "number": 12, "state": "open", "title": "Better tools", "user": {"username": "hana"},
            "head_branch": "topic", "head_repo": {"id": 9, "full_name": "mallory/tools"},
            "base_branch": "main", "base_repo": {"id": 7, "full_name": "grove/tools"},
        },
        "repository": {"id": 7, "name": "tools", "full_name": "grove/tools", "clone_url": "https://git.example/grove/tools.git"},
        "sender": {"username": "bob"},
    })
}

fn data_center(event: &str, state: &str, fork: bool) -> Value {
    let repository = |key: &str, number: u64| {
        json!({
            "slug": "tools", "id": number, "name": "tools", "scmId": "git", "project": {"key": key},
            "links": {"clone": [{"href": format!("https://dc.example/scm/{key}/tools.git"), "name": "http"}]},
        })
    };
    let from = if fork {
        repository("~MALLORY", 9)
    } else {
        repository("GROVE", 7)
    };
    json!({
        "eventKey": event, "date": "2024-05-01T10:00:00+0000", "actor": {"name": "bob", "id": 2},
        "pullRequest": {
            "id": 12, "version": 1, "title": "Better tools", "state": state, "open": state == "OPEN", "closed": state != "OPEN",
            "createdDate": 1_714_557_600_000_u64, "updatedDate": 1_714_557_600_000_u64,
            "fromRef": {"id": "refs/heads/topic", "displayId": "topic", "latestCommit": id('a'), "repository": from},
            "toRef": {"id": "refs/heads/main", "displayId": "main", "latestCommit": id('b'), "repository": repository("GROVE", 7)},
            "author": {"user": {"name": "hana", "id": 1}, "role": "AUTHOR"},
        },
    })
}

fn cloud(state: &str, fork: bool) -> Value {
    let repository = |owner: &str, uuid: &str| json!({"full_name": format!("{owner}/tools"), "uuid": uuid});
    let from = if fork {
        repository("mallory", "{2}")
    } else {
        repository("grove", "{1}")
    };
    json!({
        "pullrequest": {
            "id": 12, "title": "Better tools", "state": state, "author": {"nickname": "hana", "account_id": "557058:1"},
            "source": {"branch": {"name": "topic"}, "commit": {"hash": "aaaaaaaaaaaa"}, "repository": from},
            "destination": {"branch": {"name": "main"}, "commit": {"hash": "bbbbbbbbbbbb"}, "repository": repository("grove", "{1}")},
            "updated_on": "2024-05-01T10:00:00.000000+00:00",
        },
        "repository": {
            "full_name": "grove/tools", "name": "tools", "scm": "git",
            "links": {"html": {"href": "https://cloud.example/grove/tools"}},
        },
        "actor": {"nickname": "bob"},
    })
}

#[test]
fn every_product_tells_the_same_of_a_pull_request() {
    let github_event = [("X-GitHub-Event", "pull_request")];
    let gitea_events = [
        ("X-GitHub-Event", "pull_request"),
        ("X-Gitea-Event", "pull_request"),
    ];
    let forgejo_events = [
        ("X-Gitea-Event", "pull_request"),
        ("X-Forgejo-Event", "pull_request"),
    ];
    let gogs_event = [("X-Gogs-Event", "pull_request")];
    let lab_event = [("X-Gitlab-Event", "Merge Request Hook")];
    let dc_event = [("X-Event-Key", "pr:opened")];
    let cloud_event = [("X-Event-Key", "pullrequest:created")];
    type Row<'r> = (SenderFormat, Headers<'r>, Value, bool, Option<&'r str>);
    let rows: [Row<'_>; 12] = [
        (
            SenderFormat::GitHub,
            &github_event,
            github("opened", "open", false),
            false,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::GitHub,
            &github_event,
            github("synchronize", "open", true),
            true,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::Gitea,
            &gitea_events,
            gitea("opened", false),
            false,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::Gitea,
            &gitea_events,
            gitea("synchronized", true),
            true,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::Forgejo,
            &forgejo_events,
            gitea("opened", true),
            true,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::Gogs,
            &gogs_event,
            gogs(),
            true,
            Some("refs/pull/12/head"),
        ),
        (
            SenderFormat::GitLab,
            &lab_event,
            gitlab("open", "opened", 51),
            false,
            Some("refs/merge-requests/12/head"),
        ),
        (
            SenderFormat::BitbucketDc,
            &dc_event,
            data_center("pr:opened", "OPEN", false),
            false,
            Some("refs/pull-requests/12/from"),
        ),
        (
            SenderFormat::BitbucketDc,
            &dc_event,
            data_center("pr:opened", "OPEN", true),
            true,
            Some("refs/pull-requests/12/from"),
        ),
        (
            SenderFormat::BitbucketCloud,
            &cloud_event,
            cloud("OPEN", false),
            false,
            None,
        ),
        (
            SenderFormat::BitbucketCloud,
            &cloud_event,
            cloud("OPEN", true),
            true,
            None,
        ),
        (
            SenderFormat::GitLab,
            &[("X-Gitlab-Event", "System Hook")],
            gitlab("open", "opened", 51),
            false,
            Some("refs/merge-requests/12/head"),
        ),
    ];
    for (sender, headers, body, from_fork, head_ref) in rows {
        let told = read(headers, &body);
        let name = format!("{sender}, fork: {from_fork}");
        assert_eq!(
            (told.sender, told.number, told.open),
            (sender, 12, true),
            "{name}"
        );
        assert_eq!(
            (told.source_branch.as_str(), told.target_branch.as_str()),
            ("topic", "main"),
            "{name}"
        );
        assert_eq!(told.from_fork, from_fork, "{name}");
        assert_eq!(told.head_ref().as_deref(), head_ref, "{name}");
        assert_eq!(told.repository.slug, "tools", "{name}");
        assert_eq!(told.repository.addresses.len(), 1, "{name}");
        assert!(
            told.title.starts_with("Better") && !told.title.contains('\u{202e}'),
            "{name}: {}",
            told.title
        );
        let author = if sender == SenderFormat::BitbucketCloud {
            "557058:1"
        } else {
            "hana"
        };
        assert_eq!(told.author.as_deref(), Some(author), "{name}");
        if sender != SenderFormat::Gogs {
            assert_eq!(told.updated_ms, Some(1_714_557_600_000), "{name}");
        }
        let told_head = !matches!(sender, SenderFormat::Gogs | SenderFormat::BitbucketCloud);
        let head = told.head.as_ref().map(|head| head.as_str().to_owned());
        assert_eq!(head, told_head.then(|| id('a')), "{name}");
        // It moves no ref by itself: who asks for pushes alone gets none.
        let push = read_push(headers, body.to_string().as_bytes(), &Limits::default());
        assert!(
            matches!(push, Err(PushError::NotAPush(NotAPush::OtherEvent(_)))),
            "{name}: {push:?}"
        );
    }
    let form = as_form(&github("opened", "open", false).to_string());
    let headers = [
        ("X-GitHub-Event", "pull_request"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    assert!(matches!(
        read_delivery(&headers, form.as_bytes(), &Limits::default()),
        Ok(Delivery::PullRequest(_))
    ));
}

#[test]
fn merged_declined_and_deleted_ones_are_closed() {
    let rows: [(&[(&str, &str)], Value); 9] = [
        (
            &[("X-GitHub-Event", "pull_request")],
            github("closed", "closed", false),
        ),
        (
            &[("X-Gitlab-Event", "Merge Request Hook")],
            gitlab("merge", "merged", 51),
        ),
        (
            &[("X-Gitlab-Event", "Merge Request Hook")],
            gitlab("close", "closed", 51),
        ),
        (
            &[("X-Event-Key", "pr:merged")],
            data_center("pr:merged", "MERGED", false),
        ),
        (
            &[("X-Event-Key", "pr:declined")],
            data_center("pr:declined", "DECLINED", false),
        ),
        (
            &[("X-Event-Key", "pr:deleted")],
            data_center("pr:deleted", "OPEN", false),
        ),
        (
            &[("X-Event-Key", "pullrequest:fulfilled")],
            cloud("MERGED", false),
        ),
        (
            &[("X-Event-Key", "pullrequest:rejected")],
            cloud("DECLINED", false),
        ),
        (&[("X-Event-Key", "pullrequest:rejected")], cloud("OPEN", false)),
    ];
    for (headers, body) in rows {
        assert!(!read(headers, &body).open, "{headers:?}");
    }
}

#[test]
fn what_changes_neither_commits_nor_state_is_another_event() {
    let mut titled = gitlab("update", "opened", 51);
    let rows: [(Headers<'_>, Value, &str); 6] = [
        (
            &[("X-GitHub-Event", "pull_request")],
            github("labeled", "open", true),
            "pull_request labeled",
        ),
        (
            &[("X-GitHub-Event", "pull_request_review")],
            github("submitted", "open", true),
            "pull_request_review",
        ),
        (
            &[("X-Gitlab-Event", "Merge Request Hook")],
            titled.clone(),
            "merge_request update",
        ),
        (&[("X-Gitlab-Event", "Note Hook")], json!({}), "Note Hook"),
        (
            &[("X-Event-Key", "pr:comment:added")],
            data_center("pr:comment:added", "OPEN", true),
            "pr:comment:added",
        ),
        (
            &[("X-Event-Key", "pullrequest:approved")],
            cloud("OPEN", true),
            "pullrequest:approved",
        ),
    ];
    for (headers, body, expected) in rows {
        let expected = NotAPush::OtherEvent(expected.to_owned());
        assert_eq!(
            read_any(headers, &body),
            Err(PushError::NotAPush(expected)),
            "{headers:?}"
        );
    }
    titled["object_attributes"]["oldrev"] = json!(id('b'));
    assert!(read(&[("X-Gitlab-Event", "Merge Request Hook")], &titled).open);
}

#[test]
fn who_acts_is_not_taken_for_who_opened_it() {
    let headers = [("X-Gitlab-Event", "Merge Request Hook")];
    let told = read(&headers, &gitlab("reopen", "opened", 666));
    assert_eq!((told.author, told.actor.as_deref()), (None, Some("hana")));
    let told = read(
        &[("X-GitHub-Event", "pull_request")],
        &github("synchronize", "open", true),
    );
    assert_eq!(
        (told.author.as_deref(), told.actor.as_deref()),
        (Some("hana"), Some("bob"))
    );
}

#[test]
fn what_leaves_it_in_doubt_comes_from_a_fork() {
    // The fork was deleted, or its side says nothing of itself.
    let mut body = github("reopened", "open", false);
    body["pull_request"]["head"]["repo"] = Value::Null;
    assert!(read(&[("X-GitHub-Event", "pull_request")], &body).from_fork);
    let mut body = github("opened", "open", false);
    body["pull_request"]["head"]["repo"] = json!({"name": "tools"});
    assert!(read(&[("X-GitHub-Event", "pull_request")], &body).from_fork);
    let mut body = gitlab("open", "opened", 51);
    body["object_attributes"]["source_project_id"] = Value::Null;
    body["object_attributes"]["target_project_id"] = Value::Null;
    assert!(read(&[("X-Gitlab-Event", "Merge Request Hook")], &body).from_fork);
    let mut body = data_center("pr:opened", "OPEN", false);
    body["pullRequest"]["fromRef"]["repository"] = Value::Null;
    assert!(read(&[("X-Event-Key", "pr:opened")], &body).from_fork);
    let mut body = cloud("OPEN", false);
    body["pullrequest"]["source"]["repository"] = Value::Null;
    assert!(read(&[("X-Event-Key", "pullrequest:created")], &body).from_fork);
}

#[test]
fn damaged_ones_are_refused_with_the_place() {
    type Damage = fn(&mut Value);
    let rows: [(Damage, &str); 7] = [
        (|body| body["number"] = json!("12"), "number"),
        (|body| body["number"] = json!(-1), "number"),
        (|body| body["pull_request"] = Value::Null, "pull_request"),
        (
            |body| body["pull_request"]["state"] = json!("ajar"),
            "pull_request.state",
        ),
        (
            |body| body["pull_request"]["head"]["ref"] = json!("a\0b"),
            "pull_request.head.ref",
        ),
        (
            |body| body["pull_request"]["base"]["ref"] = json!("x".repeat(100_000)),
            "pull_request.base.ref",
        ),
        (|body| body["repository"] = Value::Null, "repository"),
    ];
    for (damage, place) in rows {
        let mut body = github("opened", "open", true);
        damage(&mut body);
        let error = read_any(&[("X-GitHub-Event", "pull_request")], &body).unwrap_err();
        let text = error.to_string();
        assert!(
            !matches!(error, PushError::NotAPush(_)) && text.contains(place),
            "{place}: {text}"
        );
    }
}

proptest! {
    /// Whatever one field holds instead: reading ends with an answer, which is bounded and never trusts a fork more.
    #[test]
    fn payloads_with_changed_values_are_read_within_bounds_or_refused(
        sample in 0usize..6,
        mut place in 0usize..60,
        with in hostile_value(),
    ) {
        let (headers, mut body): (Headers<'_>, Value) = [
            (&[("X-GitHub-Event", "pull_request")][..], github("opened", "open", true)),
            (&[("X-Gitea-Event", "pull_request")], gitea("opened", true)),
            (&[("X-Gogs-Event", "pull_request")], gogs()),
            (&[("X-Gitlab-Event", "Merge Request Hook")], gitlab("open", "opened", 51)),
            (&[("X-Event-Key", "pr:opened")], data_center("pr:opened", "OPEN", true)),
            (&[("X-Event-Key", "pullrequest:created")], cloud("OPEN", true)),
        ]
        .into_iter()
        .nth(sample)
        .unwrap();
        replace_nth(&mut body, &mut place, &with);
        let limits = Limits::default();
        if let Ok(Delivery::PullRequest(told)) = read_any(headers, &body) {
            prop_assert!(told.number > 0);
            for branch in [&told.source_branch, &told.target_branch] {
                prop_assert!(!branch.is_empty() && branch.len() <= limits.ref_name_bytes && !branch.contains('\0'));
            }
            let shown = [Some(&told.title), Some(&told.source_repository), told.author.as_ref(), told.actor.as_ref()];
            for text in shown.into_iter().flatten() {
                prop_assert!(!text.chars().any(madake_formats::text::is_active), "{text:?}");
            }
            prop_assert!(told.from_fork || told.sender == SenderFormat::GitLab);
        }
    }
}
