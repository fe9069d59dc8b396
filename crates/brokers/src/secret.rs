//! Passwords and tokens that do not show themselves, and the covering of them in anything that is shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::address::encode;

/// What stands where a secret was.
pub const COVER: &str = "********";

/// A password or token. Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the request and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "Secret(none)"
        } else {
            "Secret(********)"
        })
    }
}

/// `text` with every secret covered, also where it is percent-encoded, form-encoded or inside a JSON string.
/// Longer secrets go first, so that a part of one does not give the rest away.
pub(crate) fn covered(text: &str, secrets: &[Secret]) -> String {
    let mut forms: Vec<String> = secrets
        .iter()
        .map(Secret::reveal)
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| {
            let json = serde_json::Value::from(secret).to_string();
            let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            [
                secret.to_owned(),
                encode(secret),
                form,
                json.trim_matches('"').to_owned(),
            ]
        })
        .collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.dedup();
    forms
        .iter()
        .fold(text.to_owned(), |shown, form| shown.replace(form.as_str(), COVER))
}

/// The value of an `Authorization` header for Basic authentication.
pub(crate) fn basic(user: &str, password: &Secret) -> Secret {
    Secret(format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{}", password.0))
    ))
}

#[cfg(test)]
mod tests {
    use super::{Secret, basic, covered};

    #[test]
    fn secret_shows_itself_nowhere() {
        let secret = Secret::new("p\"s &t");
        assert_eq!(format!("{secret:?}"), "Secret(********)");
        for text in [
            "a p\"s &t b",
            "a p%22s%20%26t b",
            "a p%22s+%26t b",
            "a p\\\"s &t b",
        ] {
            assert_eq!(
                covered(text, std::slice::from_ref(&secret)),
                "a ******** b",
                "{text}"
            );
        }
    }

    #[test]
    fn longer_secret_is_covered_before_its_part() {
        let secrets = [Secret::new("tok"), Secret::new("token-of-length")];
        assert_eq!(covered("x=token-of-length", &secrets), "x=********");
    }

    #[test]
    fn basic_authentication_is_user_colon_password_in_base64() {
        assert_eq!(
            basic("Aladdin", &Secret::new("open sesame")).reveal(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
    }
}
