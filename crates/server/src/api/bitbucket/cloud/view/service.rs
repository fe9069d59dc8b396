//! Services of the 1.0 interface (push-payloads.md C.3).

use madake_domain::text::inert;
use madake_engine::ops::keep_receiver::ShownReceiver;
use serde_json::{Value, json};

use crate::api::bitbucket::refused::Refused;

/// What a script wants a service to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The address.
    pub(crate) url: Option<String>,
}

/// `{"id":4,"service":{"type":"POST","fields":[{"name":"URL","value":"..."}]}}`
pub(crate) fn service(shown: &ShownReceiver) -> Value {
    json!({
        "id": shown.receiver.id,
        "service": {
            "type": "POST",
            "fields": [{ "name": "URL", "value": shown.receiver.url }],
        },
    })
}

/// Reads what was sent. The type is matched without regard to case; names of fields too.
///
/// # Errors
/// A 400 for a type that is not there, or that is missing where it is `needed`.
pub(crate) fn asked(fields: &[(String, String)], needed: bool) -> Result<Asked, Refused> {
    let field = |wanted: &str| {
        let found = fields
            .iter()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    match field("type") {
        None if needed => return Err(Refused::field("type", "type: it is missing; write POST")),
        Some(kind) if !kind.eq_ignore_ascii_case("post") => {
            return Err(Refused::field(
                "type",
                format!(
                    "type: the service {} cannot be made here; POST can, and other brokers by `madake receiver create`",
                    inert(&kind, 40)
                ),
            ));
        }
        _ => {}
    }
    Ok(Asked { url: field("URL") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::bitbucket::server::view::webhook::tests::sample;

    #[test]
    fn a_service_is_told_as_type_and_fields() {
        assert_eq!(
            service(&sample("cloud-post")).to_string(),
            r#"{"id":10,"service":{"type":"POST","fields":[{"name":"URL","value":"http://ci.example/hook"}]}}"#
        );
    }

    #[test]
    fn only_the_post_service_can_be_made() {
        let fields = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let url = |url: &str| {
            Some(Asked {
                url: Some(url.into()),
            })
        };
        let rows = [
            (
                fields(&[("type", "post"), ("URL", "http://x/")]),
                true,
                url("http://x/"),
            ),
            (
                fields(&[("type", "PoSt"), ("url", "http://x/")]),
                true,
                url("http://x/"),
            ),
            (fields(&[("URL", "http://x/")]), true, None),
            (fields(&[("URL", "http://x/")]), false, url("http://x/")),
            (fields(&[("type", "Twitter")]), false, None),
            (fields(&[("type", "POST")]), true, Some(Asked::default())),
        ];
        for (fields, needed, expected) in rows {
            assert_eq!(asked(&fields, needed).ok(), expected, "{fields:?}");
        }
    }
}
