//! Who sent it, and why nobody can tell.

use madake_formats::{Limits, NotAPush, PushError, SenderFormat, detect, read_push, read_push_as};

use crate::samples;

fn event(key: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    key.map(|key| ("x-event-key", key)).into_iter().collect()
}

#[test]
fn w20_every_format_is_recognised_with_and_without_its_event_header() {
    for (sender, key, body) in samples::one_of_each() {
        let format = SenderFormat::from_name(sender).unwrap();
        let expected = Ok(format);
        let limits = Limits::default();
        assert_eq!(
            detect(&event(key), body.as_bytes(), &limits),
            expected,
            "{sender} with header"
        );
        assert_eq!(
            detect(&[], body.as_bytes(), &limits),
            expected,
            "{sender} without header"
        );
        let push = read_push(&event(key), body.as_bytes(), &limits).unwrap();
        assert_eq!(push.sender, format);
        assert_eq!(
            Ok(push),
            read_push_as(format, &[], body.as_bytes(), &limits),
            "{sender}"
        );
    }
}

#[test]
fn names_of_formats_are_stable_and_lead_back() {
    for format in SenderFormat::ALL {
        assert_eq!(SenderFormat::from_name(format.name()), Some(format));
    }
    assert_eq!(SenderFormat::from_name("Post-Receive"), None);
}

/// What the case is, headers, body, expected reason.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str, NotAPush);

#[test]
fn deliveries_that_are_no_push_say_what_they_are() {
    let dc = samples::bitbucket_dc();
    let post_receive = samples::post_receive_stash2();
    let mismatch = |event: &str| NotAPush::HeaderMismatch(event.to_owned());
    let table: Vec<Case<'_>> = vec![
        (
            "connection test",
            vec![("X-Event-Key", "diagnostics:ping")],
            r#"{"test":true}"#,
            NotAPush::Ping,
        ),
        (
            "pull request",
            vec![("X-Event-Key", "pr:opened")],
            "{}",
            NotAPush::OtherEvent("pr:opened".to_owned()),
        ),
        (
            "event with escape codes",
            vec![("X-Event-Key", "\u{1b}[2Jpr")],
            "{}",
            NotAPush::OtherEvent("[2Jpr".to_owned()),
        ),
        (
            "ping of github",
            vec![("X-GitHub-Event", "ping")],
            r#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
            NotAPush::Ping,
        ),
        (
            "issue of gitea, which also sends the header of github",
            vec![("X-GitHub-Event", "push"), ("X-Gitea-Event", "issues")],
            "{}",
            NotAPush::OtherEvent("issues".to_owned()),
        ),
        (
            "pipeline of gitlab",
            vec![("X-Gitlab-Event", "Pipeline Hook")],
            "{}",
            NotAPush::OtherEvent("Pipeline Hook".to_owned()),
        ),
        (
            "a forge that is known and not read",
            vec![("X-Gitee-Event", "Push Hook")],
            "{}",
            NotAPush::UnsupportedSender("Gitee"),
        ),
        (
            "a push of github without its header",
            vec![],
            r#"{"ref":"refs/heads/main","repository":{"full_name":"a/b"}}"#,
            NotAPush::UnknownShape,
        ),
        (
            "wrong event",
            vec![("X-Event-Key", "repo:push")],
            &dc,
            mismatch("repo:push"),
        ),
        (
            "event header on a format that has none",
            vec![("X-Event-Key", "repo:refs_changed")],
            &post_receive,
            mismatch("repo:refs_changed"),
        ),
        (
            "two event headers",
            vec![("X-Event-Key", "repo:refs_changed"), ("x-event-key", "repo:push")],
            &dc,
            mismatch("repo:refs_changed"),
        ),
        ("empty object", vec![], "{}", NotAPush::UnknownShape),
        ("no object", vec![], "[1]", NotAPush::UnknownShape),
        (
            "null where refs belong",
            vec![],
            r#"{"refChanges":null}"#,
            NotAPush::UnknownShape,
        ),
    ];
    for (case, headers, body, expected) in table {
        let found = detect(&headers, body.as_bytes(), &Limits::default());
        assert_eq!(found, Err(PushError::NotAPush(expected)), "{case}");
    }
}

#[test]
fn an_address_of_one_sender_knows_connection_tests_and_other_events() {
    for (key, expected) in [
        ("diagnostics:ping", NotAPush::Ping),
        ("pr:merged", NotAPush::OtherEvent("pr:merged".to_owned())),
    ] {
        let headers = [("X-Event-Key", key)];
        let found = read_push_as(
            SenderFormat::BitbucketDc,
            &headers,
            b"{\"test\":true}",
            &Limits::default(),
        );
        assert_eq!(found, Err(PushError::NotAPush(expected)));
    }
}
