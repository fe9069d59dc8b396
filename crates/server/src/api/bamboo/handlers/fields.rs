//! Bodies of one object with a few texts in it, as labels and variables are sent: `{"name": "x"}` or
//! `<label><name>x</name></label>`, also `<label name="x"/>` (bamboo-rest.md 1.3).

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use http::{StatusCode, header};
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use serde_json::Value;

use super::super::error::ApiError;
use super::refuse;
use crate::auth::Visitor;
use crate::refusal::Failure;
use crate::router::BODY_LIMIT;

/// The texts of a body, by name. The body must say that it is JSON or XML, which a form of a foreign page cannot.
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The text with this name.
    ///
    /// # Errors
    /// A 400 that names it.
    pub(super) fn need(&self, name: &str) -> Result<&str, EngineError> {
        self.get(name)
            .ok_or_else(|| EngineError::Invalid(format!("`{name}` is missing in the body")))
    }

    /// The text with this name, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state)
            .await
            .map_err(|status| refuse(ApiError::new(status, "nobody knows who asks")))?;
        if !visitor.caller.principal.is_logged_in() {
            // Strangers may change nothing, so they need not know what is wrong with the body.
            return Err(Failure::from(EngineError::Unauthenticated {
                needed: Permission::Write,
                subject: "what they ask for".to_owned(),
            }));
        }
        let request = Request::from_parts(parts, body);
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split(';').next())
            .map(|text| text.trim().to_ascii_lowercase())
            .unwrap_or_default();
        let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| {
                let sentence = "the body is too large or was cut off";
                refuse(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence))
            })?;
        let text = String::from_utf8_lossy(&body);
        let read = match kind.as_str() {
            "application/json" => from_json(&text),
            "application/xml" | "text/xml" => from_xml(&text),
            _ => {
                let sentence =
                    "send JSON or XML, with the header Content-Type: application/json or application/xml";
                return Err(refuse(ApiError::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    sentence,
                )));
            }
        };
        read.map(Self)
            .ok_or_else(|| refuse(ApiError::invalid("the body cannot be read")))
    }
}

fn from_json(text: &str) -> Option<BTreeMap<String, String>> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return None;
    };
    let texts = object.into_iter().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name, text))
    });
    Some(texts.collect())
}

/// Attributes of the root and texts of its children. Entities other than the five of XML are not known, and nothing is
/// ever fetched.
fn from_xml(text: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    if rest.starts_with("<?") {
        rest = rest.split_once("?>")?.1.trim_start();
    }
    let (root, mut inner) = rest.strip_prefix('<')?.split_once('>')?;
    if root.starts_with(['!', '/', '?']) {
        return None;
    }
    let attributes = root.trim_end_matches('/');
    let mut attributes = attributes
        .split_once(char::is_whitespace)
        .map_or("", |(_, rest)| rest);
    while let Some((name, after)) = attributes.trim_start().split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let (value, left) = after[1..].split_once(quote)?;
        fields.insert(name.trim().to_owned(), unescaped(value)?);
        attributes = left;
    }
    if root.ends_with('/') {
        return Some(fields);
    }
    while let Some((_, after)) = inner.split_once('<') {
        if after.starts_with('/') {
            return Some(fields);
        }
        let (tag, after) = after.split_once('>')?;
        let name = tag.split_whitespace().next()?;
        if let Some(name) = name.strip_suffix('/') {
            fields.insert(name.to_owned(), String::new());
            inner = after;
            continue;
        }
        let (value, after) = after.split_once('<')?;
        let (closing, after) = after.split_once('>')?;
        if closing.strip_prefix('/').map(str::trim_end) != Some(name) {
            return None;
        }
        fields.insert(name.to_owned(), unescaped(value)?);
        inner = after;
    }
    None
}

fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, after) = after.split_once(';')?;
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    }

    #[test]
    fn objects_of_json_and_xml_are_read() {
        let wanted = map(&[("name", "a&b"), ("value", "1")]);
        for text in [
            r#"{"name": "a&b", "value": 1, "more": {}}"#,
            "<label><name>a&amp;b</name><value>1</value></label>",
            "<?xml version=\"1.0\"?>\n<v name=\"a&amp;b\" value='1'/>",
            "<v name=\"a&amp;b\">\n  <value >1</value>\n</v>",
        ] {
            let read = if text.starts_with('{') {
                from_json(text)
            } else {
                from_xml(text)
            };
            assert_eq!(read, Some(wanted.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_object_is_refused() {
        for text in [
            "",
            "<a",
            "<a><b>1</c></a>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a><name>&x;</name></a>",
            "<a><name>&x;</name></a>",
            "<a name=x/>",
            "<a>",
        ] {
            assert_eq!(from_xml(text), None, "{text}");
        }
        assert_eq!(from_json("[]"), None);
    }
}
