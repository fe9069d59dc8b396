//! Webhooks of the 2.0 interface (push-payloads.md C.4).

use madake_domain::text::inert;
use madake_engine::ops::keep_receiver::{ReceiverRequest, ShownReceiver};
use madake_engine::telling::{ReceiverSettings, hook_uuid};
use serde_json::{Map, Value, json};

use crate::api::bitbucket::body::{flag, text, texts};
use crate::api::bitbucket::refused::Refused;
use crate::api::bitbucket::server::view::webhook::is_active;
use crate::api::bitbucket::time::with_microseconds;

/// The one event that happens here.
const PUSH: &str = "repo:push";
/// What the names of events begin with.
const CATEGORIES: [&str; 4] = ["repo", "pullrequest", "issue", "project"];

/// The address of the list.
pub(crate) fn address(base_url: &str, repository: &str) -> String {
    format!("{base_url}/api/2.0/repositories/{repository}/hooks")
}

/// A stored webhook.
pub(crate) fn subscription(base_url: &str, shown: &ShownReceiver, settings: &ReceiverSettings) -> Value {
    let one = &shown.receiver;
    let id = hook_uuid(one.id);
    let repository = &shown.repository;
    json!({
        "type": "webhook_subscription",
        "uuid": format!("{{{id}}}"),
        "url": one.url,
        "description": one.name,
        "subject_type": "repository",
        "subject": {
            "type": "repository",
            "full_name": repository,
            "links": { "self": { "href": format!("{base_url}/api/2.0/repositories/{repository}") } },
        },
        "active": is_active(shown),
        "created_at": with_microseconds(one.created_ms),
        "events": settings.subscribed_events.clone().unwrap_or_else(|| vec![PUSH.to_owned()]),
        "secret_set": shown.signed,
        "skip_cert_verification": !settings.verify_tls,
        "links": { "self": { "href": format!("{}/%7B{id}%7D", address(base_url, repository)) } },
    })
}

/// Lays what a script sent over the settings that there are. Fields that only answers have are passed over.
///
/// # Errors
/// A 400 that names the field.
pub(crate) fn request(
    fields: &Map<String, Value>,
    mut settings: ReceiverSettings,
) -> Result<ReceiverRequest, Refused> {
    if let Some(events) = texts(fields, "events")? {
        for event in &events {
            let is_known = event.split_once(':').is_some_and(|(category, name)| {
                CATEGORIES.contains(&category)
                    && !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            if !is_known || event.len() > 100 {
                return Err(Refused::field(
                    "events",
                    format!(
                        "events: there is no event {}; the one for pushes is {PUSH}",
                        inert(event, 60)
                    ),
                ));
            }
        }
        if events.is_empty() {
            return Err(Refused::field("events", "events: at least one is needed"));
        }
        settings.subscribed_events = Some(events);
    }
    if let Some(skip) = flag(fields, "skip_cert_verification")? {
        settings.verify_tls = !skip;
    }
    Ok(ReceiverRequest {
        name: text(fields, "description")?,
        url: text(fields, "url")?,
        active: flag(fields, "active")?,
        // An explicit null forgets the secret.
        secret: match fields.get("secret") {
            Some(Value::Null) => Some(String::new()),
            _ => text(fields, "secret")?,
        },
        settings: Some(settings),
        ..ReceiverRequest::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::bitbucket::server::view::webhook::tests::sample;

    #[test]
    fn a_subscription_tells_that_there_is_a_secret_and_not_which() {
        let shown = sample("bitbucket-cloud");
        assert_eq!(
            subscription("http://ci", &shown, &ReceiverSettings::default()).to_string(),
            r#"{"type":"webhook_subscription","uuid":"{6d616461-6b65-4000-0000-00000000000a}","url":"http://ci.example/hook","description":"Build","subject_type":"repository","subject":{"type":"repository","full_name":"PROJ/app","links":{"self":{"href":"http://ci/api/2.0/repositories/PROJ/app"}}},"active":true,"created_at":"2017-12-12T19:13:31.000000+00:00","events":["repo:push"],"secret_set":true,"skip_cert_verification":false,"links":{"self":{"href":"http://ci/api/2.0/repositories/PROJ/app/hooks/%7B6d616461-6b65-4000-0000-00000000000a%7D"}}}"#
        );
    }

    #[test]
    fn what_scripts_send_becomes_a_receiver() {
        let read = |text: &str| {
            request(
                &serde_json::from_str(text).expect(text),
                ReceiverSettings::default(),
            )
        };
        let all = read(
            r#"{"description":"d","url":"http://x/","active":true,"events":["repo:push","issue:created"],
                "secret":"s","skip_cert_verification":true,"uuid":"{x}"}"#,
        )
        .expect("a request");
        assert_eq!(
            (all.name.as_deref(), all.secret.as_deref(), all.active),
            (Some("d"), Some("s"), Some(true))
        );
        assert!(!all.settings.expect("settings").verify_tls);
        assert_eq!(
            read(r#"{"secret":null}"#).expect("a request").secret.as_deref(),
            Some("")
        );
        assert_eq!(read("{}").expect("a request").secret, None);
        for wrong in [
            r#"{"events":["push"]}"#,
            r#"{"events":[]}"#,
            r#"{"url":[]}"#,
            r#"{"active":1}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
