//! Webhooks: what scripts send and what they get (push-payloads.md B.4).

use madake_domain::delivery::Receiver as Health;
use madake_domain::text::inert;
use madake_engine::ops::keep_receiver::{ReceiverRequest, ShownReceiver};
use madake_engine::telling::ReceiverSettings;
use serde_json::{Map, Value, json};

use crate::api::bitbucket::body::{flag, text, texts};
use crate::api::bitbucket::refused::Refused;

/// The one event that happens here.
pub(crate) const REFS_CHANGED: &str = "repo:refs_changed";

/// What the names of events begin with (push-payloads.md B.2).
const CATEGORIES: [&str; 5] = ["repo", "pr", "project", "proj", "mirror"];

/// A stored webhook.
pub(crate) fn webhook(shown: &ShownReceiver, settings: &ReceiverSettings) -> Value {
    let one = &shown.receiver;
    let mut webhook = json!({
        "id": one.id,
        "name": one.name,
        "createdDate": one.created_ms,
        "updatedDate": one.updated_ms,
        "events": events(settings),
        "configuration": { "createdBy": one.made_by },
        "url": one.url,
        "active": is_active(shown),
        "scopeType": "repository",
        "sslVerificationRequired": settings.verify_tls,
    });
    if let Some(user) = &shown.user {
        // The password is never given out.
        webhook["credentials"] = json!({ "username": user });
    }
    webhook
}

/// Whether the receiver is told: not switched off by hand, nor for its failures.
pub(crate) fn is_active(shown: &ShownReceiver) -> bool {
    shown.receiver.active && !matches!(shown.receiver.health, Health::Disabled { .. })
}

/// What a webhook is subscribed to.
pub(crate) fn events(settings: &ReceiverSettings) -> Vec<String> {
    settings
        .subscribed_events
        .clone()
        .unwrap_or_else(|| vec![REFS_CHANGED.to_owned()])
}

/// Lays what a script sent over the settings that there are. Fields that only answers have are passed over, so that
/// what was got can be sent back.
///
/// # Errors
/// A 400 that names the field.
pub(crate) fn request(
    fields: &Map<String, Value>,
    mut settings: ReceiverSettings,
) -> Result<ReceiverRequest, Refused> {
    if let Some(events) = texts(fields, "events")? {
        check_events(&events)?;
        settings.subscribed_events = Some(events);
    }
    if let Some(verify) = flag(fields, "sslVerificationRequired")? {
        settings.verify_tls = verify;
    }
    let part = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(part)) => Ok(part.clone()),
        Some(_) => Err(Refused::field(name, format!("{name}: it is not an object"))),
    };
    let credentials = part("credentials")?;
    let (user, password) = (text(&credentials, "username")?, text(&credentials, "password")?);
    Ok(ReceiverRequest {
        name: text(fields, "name")?,
        url: text(fields, "url")?,
        active: flag(fields, "active")?,
        secret: text(&part("configuration")?, "secret")?,
        // A user name alone is what an answer shows: it leaves the password as it is.
        user: user.filter(|_| password.is_some()),
        password,
        settings: Some(settings),
        ..ReceiverRequest::default()
    })
}

fn check_events(events: &[String]) -> Result<(), Refused> {
    if events.is_empty() {
        return Err(Refused::field("events", "events: at least one is needed"));
    }
    for event in events {
        let is_known = event.split_once(':').is_some_and(|(category, name)| {
            CATEGORIES.contains(&category)
                && !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_:".contains(&byte))
        });
        if !is_known || event.len() > 100 {
            return Err(Refused::field(
                "events",
                format!(
                    "events: there is no event {}; the one for pushes is {REFS_CHANGED}",
                    inert(event, 60)
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use madake_store::receiver::Receiver;

    use super::*;

    /// A receiver as a script made it.
    pub(crate) fn sample(profile: &str) -> ShownReceiver {
        ShownReceiver {
            receiver: Receiver {
                id: 10,
                repository_id: 7,
                kind: "webhook".into(),
                profile: profile.into(),
                name: "Build".into(),
                url: "http://ci.example/hook".into(),
                active: true,
                settings: "{}".into(),
                secrets: None,
                health: Health::default(),
                made_by: "admin".into(),
                created_ms: 1_513_106_011_000,
                updated_ms: 1_513_106_012_000,
            },
            repository: "PROJ/app".into(),
            signed: true,
            user: None,
        }
    }

    fn read(text: &str) -> Result<ReceiverRequest, Refused> {
        request(
            &serde_json::from_str(text).expect(text),
            ReceiverSettings::default(),
        )
    }

    #[test]
    fn a_stored_webhook_is_shown_without_its_secret() {
        let mut shown = sample("bitbucket-dc");
        assert_eq!(
            webhook(&shown, &ReceiverSettings::default()).to_string(),
            r#"{"id":10,"name":"Build","createdDate":1513106011000,"updatedDate":1513106012000,"events":["repo:refs_changed"],"configuration":{"createdBy":"admin"},"url":"http://ci.example/hook","active":true,"scopeType":"repository","sslVerificationRequired":true}"#
        );
        shown.user = Some("joe".into());
        shown.receiver.health = Health::Disabled {
            at_ms: 1,
            reason: madake_domain::delivery::DisabledReason::Gone,
        };
        let value = webhook(&shown, &ReceiverSettings::default());
        assert_eq!(value["active"], false);
        assert_eq!(value["credentials"].to_string(), r#"{"username":"joe"}"#);
    }

    #[test]
    fn what_scripts_send_becomes_a_receiver() {
        let request = read(
            r#"{"name":"n","url":"http://x/","events":["repo:refs_changed","pr:comment:added"],"active":false,
                "configuration":{"secret":"s"},"sslVerificationRequired":false,
                "credentials":{"username":"u","password":"p"},"statistics":{},"id":4,"createdDate":1}"#,
        )
        .expect("a request");
        assert_eq!(
            (request.name.as_deref(), request.url.as_deref()),
            (Some("n"), Some("http://x/"))
        );
        assert_eq!(
            (request.active, request.secret.as_deref()),
            (Some(false), Some("s"))
        );
        assert_eq!(
            (request.user.as_deref(), request.password.as_deref()),
            (Some("u"), Some("p"))
        );
        let settings = request.settings.expect("settings");
        assert!(!settings.verify_tls && settings.wants_pushes());
        assert_eq!(events(&settings).len(), 2);
    }

    #[test]
    fn what_was_got_can_be_sent_back_and_changes_no_secret() {
        let mut shown = sample("bitbucket-dc");
        shown.user = Some("joe".into());
        let got = webhook(&shown, &ReceiverSettings::default());
        let request = read(&got.to_string()).expect("a request");
        assert!(request.secret.is_none() && request.user.is_none() && request.password.is_none());
    }

    #[test]
    fn wrong_fields_are_named() {
        for text in [
            r#"{"events":[]}"#,
            r#"{"events":["push"]}"#,
            r#"{"events":["repo:refs_changed\u001b"]}"#,
            r#"{"events":"repo:refs_changed"}"#,
            r#"{"url":5}"#,
            r#"{"active":"maybe"}"#,
            r#"{"configuration":[]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_webhook_for_pull_requests_alone_hears_of_no_push() {
        let request = read(r#"{"events":["pr:opened"]}"#).expect("a request");
        assert!(!request.settings.expect("settings").wants_pushes());
    }
}
