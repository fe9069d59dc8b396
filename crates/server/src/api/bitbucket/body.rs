//! Bodies as scripts send them: JSON that may have more fields than are read, forms, and none.
//!
//! A browser that keeps Basic credentials sends them along with requests of foreign pages, and always says where such a
//! request comes from: what names a foreign `Origin` is refused, as Bitbucket's XSRF check does.

use axum::extract::{FromRef, FromRequest, Request};
use http::{StatusCode, header};
use serde_json::{Map, Value};

use super::refused::Refused;
use crate::App;

/// The largest body, in bytes.
const LIMIT: usize = 1024 * 1024;

/// A body that was read and belongs to no foreign page.
#[derive(Debug)]
pub(crate) struct Body {
    content_type: String,
    bytes: Vec<u8>,
}

impl<S: Send + Sync> FromRequest<S> for Body
where
    App: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let app = App::from_ref(state);
        let (origin, content_type) = {
            let text = |name| {
                let value = request.headers().get(name)?;
                Some(value.to_str().unwrap_or("?").to_owned())
            };
            (text(header::ORIGIN), text(header::CONTENT_TYPE))
        };
        if origin.is_some_and(|origin| !is_own(&origin, app.base_url())) {
            return Err(Refused::new(
                StatusCode::FORBIDDEN,
                "xsrf.XsrfException",
                "XSRF check failed: the request comes from a page of another origin",
            ));
        }
        let bytes = axum::body::to_bytes(request.into_body(), LIMIT)
            .await
            .map_err(|_| {
                Refused::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "ServerException",
                    format!("the body has more than {LIMIT} bytes or ended early"),
                )
            })?;
        Ok(Self {
            content_type: content_type.unwrap_or_default(),
            bytes: bytes.to_vec(),
        })
    }
}

impl Body {
    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The JSON object, which must have these fields.
    pub(crate) fn object_with(&self, required: &[&str]) -> Result<Map<String, Value>, Refused> {
        let fields = self.object()?;
        match required
            .iter()
            .find(|name| fields.get(**name).is_none_or(Value::is_null))
        {
            Some(missing) => Err(Refused::field(*missing, format!("{missing}: it is missing"))),
            None => Ok(fields),
        }
    }

    /// The JSON object; an empty one where there is no body, or `null`.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Refused> {
        if self.bytes.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        let problem = |reason: String| {
            Refused::new(
                StatusCode::BAD_REQUEST,
                "rest.exception.BadRequestException",
                reason,
            )
        };
        match serde_json::from_slice(&self.bytes) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => Err(problem("the body is not a JSON object".to_owned())),
            Err(error) => Err(problem(format!("the body is not JSON: {error}"))),
        }
    }

    /// The fields of a form, or the texts of a JSON object. Fields of a form may stand behind `;` as well as `&`, as
    /// the documentation of Bitbucket's services has them (push-payloads.md C.3).
    pub(crate) fn fields(&self) -> Result<Vec<(String, String)>, Refused> {
        if self.content_type.starts_with("application/json") {
            let fields = self.object()?;
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            return Ok(fields
                .into_iter()
                .map(|(name, value)| (name, text(value)))
                .collect());
        }
        Ok(self
            .bytes
            .split(|byte| matches!(byte, b'&' | b';'))
            .flat_map(|pair| form_urlencoded::parse(pair).into_owned())
            .collect())
    }
}

fn is_own(origin: &str, base_url: &str) -> bool {
    let own = match base_url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => base_url.to_owned(),
    };
    origin.eq_ignore_ascii_case(&own)
}

/// A text field of a body; `null` counts as absent.
pub(crate) fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::field(name, format!("{name}: it is not a text"))),
    }
}

/// A flag of a body, also as the text `true`; `null` counts as absent.
pub(crate) fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refused> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(Refused::field(
            name,
            format!("{name}: it is neither true nor false"),
        )),
    }
}

/// A list of texts; `null` counts as absent.
pub(crate) fn texts(fields: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Refused> {
    let wrong = || Refused::field(name, format!("{name}: it is not a list of texts"));
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content_type: &str, text: &str) -> Body {
        Body {
            content_type: content_type.into(),
            bytes: text.into(),
        }
    }

    #[test]
    fn forms_of_the_documentation_are_read() {
        let expected = [
            ("type".to_owned(), "post".to_owned()),
            ("URL".to_owned(), "http://ci.example/x?a=b".to_owned()),
        ];
        for (kind, text) in [
            (
                "application/x-www-form-urlencoded",
                "type=post;URL=http://ci.example/x?a=b",
            ),
            (
                "application/x-www-form-urlencoded",
                "type=post&URL=http%3A%2F%2Fci.example%2Fx%3Fa%3Db",
            ),
            (
                "application/json; charset=utf-8",
                r#"{"type":"post","URL":"http://ci.example/x?a=b"}"#,
            ),
        ] {
            assert_eq!(body(kind, text).fields().expect(text), expected, "{text}");
        }
    }

    #[test]
    fn an_absent_body_is_an_empty_object_and_a_list_is_none() {
        for empty in ["", " \n", "null", "{}"] {
            assert!(body("", empty).object().expect(empty).is_empty(), "{empty:?}");
        }
        assert!(body("application/json", "[]").object().is_err());
        assert!(body("application/json", "{").object().is_err());
    }

    #[test]
    fn only_our_own_pages_have_our_origin() {
        let base = "https://ci.example:8443/madake";
        assert!(is_own("https://ci.example:8443", base));
        for foreign in [
            "https://ci.example",
            "http://ci.example:8443",
            "null",
            "https://ci.example:8443.evil",
        ] {
            assert!(!is_own(foreign, base), "{foreign}");
        }
    }
}
