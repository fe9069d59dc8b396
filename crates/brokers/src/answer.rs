//! What a receiver answered, and what that means.

use madake_formats::text;
use serde_json::Value;

/// The start of an answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, names in any case, a header that came several times is here several times.
    pub headers: Vec<(String, String)>,
    /// The start of the body, read as UTF-8 with replacement characters.
    pub body: String,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken; the text says what came of it, if the receiver told.
    Ok(Option<String>),
    /// It was not taken now; another attempt may help.
    Retry(String),
    /// It was not taken, and another attempt gives the same. The sentence says why and what to do.
    Refused(String),
}

impl Verdict {
    /// Whether it was taken.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }
}

impl Answer {
    /// The first value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON, `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The first words of the body, on one harmless line, as a clause behind a sentence; empty for an empty body
    /// and for a page.
    pub(crate) fn said(&self) -> String {
        let body = self.body.trim();
        if body.is_empty() || body.starts_with('<') {
            return String::new();
        }
        let json = self.json();
        let words = ["message", "error", "error_description", "errorMessages", "detail"]
            .iter()
            .find_map(|name| match json.get(name)? {
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                Value::Null | Value::Bool(_) | Value::String(_) => None,
                other => Some(other.to_string()),
            });
        format!(": {}", text::line(words.as_deref().unwrap_or(body).trim(), 200))
    }

    /// The meaning of the status, where `product` answered; `sentences` say what to do about its refusals.
    ///
    /// 2xx is taken. 408, 425, 429 and 5xx are worth another attempt. A redirect is never followed: it could lead
    /// into a network that the address itself must not reach.
    pub(crate) fn judged(&self, product: &str, sentences: &[(u16, &str)]) -> Verdict {
        let status = self.status;
        let said = self.said();
        if let Some((_, remedy)) = sentences.iter().find(|(of, _)| *of == status) {
            return Verdict::Refused(format!("{product} answered {status}{said}; {remedy}"));
        }
        match status {
            200..=299 => Verdict::Ok(None),
            300..=399 => Verdict::Refused(format!(
                "{product} answered {status} and points elsewhere{}; redirects are not followed, write the address that it \
                 names into the setting",
                self.header("location")
                    .map(|to| format!(", to {}", text::line(to, 200)))
                    .unwrap_or_default()
            )),
            401 | 403 => Verdict::Refused(format!(
                "{product} answered {status}{said}; check name, password or token in the settings, and what they may do there"
            )),
            404 | 410 => Verdict::Refused(format!(
                "{product} answered {status}{said}; check the address in the settings"
            )),
            408 | 425 | 429 => Verdict::Retry(format!("{product} asks to wait ({status}){said}")),
            500..=599 => Verdict::Retry(format!("{product} is in trouble ({status}){said}")),
            _ => Verdict::Refused(format!("{product} answered {status}{said}")),
        }
    }
}
