//! Repository hooks and their settings (push-payloads.md A.1).

use madake_engine::ops::post_receive_hook::PostReceiveHook;
use serde_json::{Map, Value, json};

use crate::api::bitbucket::refused::Refused;
use crate::api::bitbucket::server::POST_RECEIVE_HOOK;

/// What kind of hook Post-Receive Webhooks is.
pub(crate) const TYPE: &str = "POST_RECEIVE";

/// What the names of addresses begin with: `hook-url-0`.
const PREFIX: &str = "hook-url-";
/// The most addresses: later versions of the plugin took twenty.
const MOST_URLS: usize = 20;

/// `{details, enabled, configured}`.
pub(crate) fn hook(state: &PostReceiveHook) -> Value {
    json!({
        "details": {
            "key": POST_RECEIVE_HOOK,
            "name": "Post-Receive Webhooks",
            "type": TYPE,
            "description": "Sends a POST request to each address for every push.",
            "version": env!("CARGO_PKG_VERSION"),
            "configFormKey": format!("{POST_RECEIVE_HOOK}-config"),
        },
        "enabled": state.enabled,
        "configured": !state.urls.is_empty(),
        "scope": { "type": "REPOSITORY", "resourceId": state.repository_id },
    })
}

/// `{"hook-url-0": "http://..."}`.
pub(crate) fn settings(state: &PostReceiveHook) -> Value {
    let entries = state
        .urls
        .iter()
        .enumerate()
        .map(|(number, url)| (format!("{PREFIX}{number}"), json!(url)));
    Value::Object(entries.collect())
}

/// The addresses of settings with their names, by number. Empty ones are passed over, as are fields that the plugin
/// does not have.
///
/// # Errors
/// A 400 for an address that is no text, or too many of them.
pub(crate) fn urls(settings: &Map<String, Value>) -> Result<Vec<(String, String)>, Refused> {
    let mut numbered = Vec::new();
    for (name, value) in settings {
        let Some(number) = name
            .strip_prefix(PREFIX)
            .and_then(|text| text.parse::<u32>().ok())
        else {
            continue;
        };
        match value {
            Value::Null => {}
            Value::String(url) if url.trim().is_empty() => {}
            Value::String(url) => numbered.push((number, name.clone(), url.trim().to_owned())),
            _ => return Err(Refused::field(name.as_str(), format!("{name}: it is not a text"))),
        }
    }
    if numbered.len() > MOST_URLS {
        return Err(Refused::field(
            PREFIX,
            format!("{PREFIX}: at most {MOST_URLS} addresses are told"),
        ));
    }
    numbered.sort_by_key(|one| one.0);
    Ok(numbered.into_iter().map(|(_, name, url)| (name, url)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(enabled: bool, urls: &[&str]) -> PostReceiveHook {
        PostReceiveHook {
            repository_id: 7,
            enabled,
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        }
    }

    #[test]
    fn the_hook_tells_whether_it_is_enabled_and_configured() {
        let text = hook(&state(true, &["http://a/"])).to_string();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                r#"{{"details":{{"key":"com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook","name":"Post-Receive Webhooks","type":"POST_RECEIVE","description":"Sends a POST request to each address for every push.","version":"{version}","configFormKey":"com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook-config"}},"enabled":true,"configured":true,"scope":{{"type":"REPOSITORY","resourceId":7}}}}"#
            )
        );
        assert_eq!(hook(&state(false, &[]))["configured"], false);
    }

    #[test]
    fn settings_are_read_back_as_they_were_written() {
        let state = state(true, &["http://a/", "http://b/"]);
        let written = settings(&state);
        assert_eq!(
            written.to_string(),
            r#"{"hook-url-0":"http://a/","hook-url-1":"http://b/"}"#
        );
        let read = urls(written.as_object().expect("an object")).expect("addresses");
        let read: Vec<String> = read.into_iter().map(|(_, url)| url).collect();
        assert_eq!(read, state.urls);
    }

    #[test]
    fn addresses_are_ordered_by_number_and_gaps_are_closed() {
        let rows = [
            (
                r#"{"hook-url-10":"c","hook-url-2":" b ","hook-url-0":"a","other":1}"#,
                Some(vec!["a", "b", "c"]),
            ),
            (
                r#"{"hook-url-0":"","hook-url-1":null,"hook-url-x":"y"}"#,
                Some(vec![]),
            ),
            (r#"{"hook-url-0":5}"#, None),
        ];
        for (text, expected) in rows {
            let fields: Map<String, Value> = serde_json::from_str(text).expect(text);
            let read = urls(&fields).ok();
            let read = read
                .as_ref()
                .map(|read| read.iter().map(|(_, url)| url.as_str()).collect());
            assert_eq!(read, expected, "{text}");
        }
        let many: Map<String, Value> = (0..21)
            .map(|number| (format!("{PREFIX}{number}"), json!("http://a/")))
            .collect();
        assert!(urls(&many).is_err());
    }
}
