//! Mails.

use madake_brokers::{Action, BrokerEvent, Mail, PatchWanted, sample_build, sample_push};

use crate::fixture::{broker, calls, good};

fn mail(kind: &str, event: &BrokerEvent) -> Mail {
    match calls(&broker(kind, &good(kind)), event).remove(0).action {
        Action::Mail(mail) => mail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_commit_gives_the_subject_and_several_a_summary() {
    assert_eq!(
        mail("email", &sample_push()).subject,
        "[GROVE/harvest] 2 commits to main"
    );
    let mut event = sample_push();
    event.refs[0].commits.truncate(1);
    assert_eq!(
        mail("email", &event).subject,
        "[GROVE/harvest] GROVE-12: weigh each culm twice"
    );
    event.refs[0].commits.clear();
    assert_eq!(
        mail("email", &event).subject,
        "[GROVE/harvest] main moved, v1.4 created"
    );
    assert_eq!(
        mail("email", &sample_build()).subject,
        "GROVE-CUT-42 failed on main"
    );
}

#[test]
fn patch_covers_what_the_refs_brought() {
    assert_eq!(mail("email", &sample_push()).patch, None);
    assert_eq!(
        mail("email_diff", &sample_push()).patch,
        Some(PatchWanted {
            ranges: vec![(
                Some("b0d4c1e29f7a3586d1c90b24e7f5a6380d92c4e1".to_owned()),
                "7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90".to_owned()
            )],
            file_name: "changes.patch".to_owned(),
            max_bytes: 64 * 1024,
        })
    );
    assert_eq!(mail("email_diff", &sample_build()).patch, None);
}

#[test]
fn head_of_a_mail_cannot_be_extended() {
    let mut event = sample_push();
    event.refs.truncate(1);
    event.refs[0].commits.truncate(1);
    event.refs[0].commits[0].message = "x\u{b}\u{85}Bcc: everybody@example.org".to_owned();
    event.pusher.as_mut().unwrap().email = Some("a@b\r\nBcc: x@y".to_owned());
    let mail = mail("email", &event);
    assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
    assert_eq!(mail.reply_to, None);
}
