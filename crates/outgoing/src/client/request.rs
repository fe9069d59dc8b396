//! A request before it is sent.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use madake_domain::delivery::ErrorKind;
use madake_domain::text::inert;

use super::failure::Failure;
use super::options::{Authorization, RequestOptions};
use crate::guard::Target;

/// The most headers that a request may have.
const MOST_HEADERS: usize = 64;

/// How long names and values of all headers may be together, in bytes.
const LONGEST_HEADERS: usize = 16 * 1024;

/// Headers that say how the request is framed or who it is for. Setting them would let the writer of a template speak
/// to something else than the receiver that was checked.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request. `Debug` shows neither address nor header values nor body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method; `CONNECT` and `TRACE` are refused.
    pub method: Method,
    /// The address.
    pub url: String,
    /// Names and values. A line break or another control character in one is refused (hostile-inputs.md O8).
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Everything else.
    pub options: RequestOptions,
}

impl Request {
    pub(super) fn prepare(self, target: &Target, user_agent: &str) -> Result<reqwest::Request, Failure> {
        if matches!(self.method, Method::CONNECT | Method::TRACE) {
            return Err(unfit(format!("the method {} is not sent", self.method)));
        }
        let mut headers = header_map(&self.headers)?;
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, value("User-Agent", user_agent)?);
        }
        if !headers.contains_key(AUTHORIZATION) {
            let from_url = target.credentials().map(|credentials| Authorization::Basic {
                user: credentials.user.clone(),
                password: credentials.password.clone(),
            });
            if let Some(authorization) = self.options.authorization.or(from_url) {
                headers.insert(AUTHORIZATION, authorization.header()?);
            }
        }
        let mut request = reqwest::Request::new(self.method, target.url().clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(self.body.into());
        Ok(request)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Authorization {
    /// Whether the credentials can be sent, for whoever saves them (RFC 7617: no colon in the user name, no control
    /// characters).
    ///
    /// # Errors
    /// A failure of the kind [`ErrorKind::Request`] whose sentence says what is wrong with them.
    pub fn check(&self) -> Result<(), Failure> {
        self.header().map(drop)
    }

    fn header(&self) -> Result<HeaderValue, Failure> {
        let text = match self {
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(unfit(
                    "a user name for Basic authentication cannot have a colon in it".to_owned(),
                ));
            }
            Self::Basic { user, password }
                if [user.as_str(), password.expose()]
                    .iter()
                    .any(|text| text.contains(char::is_control)) =>
            {
                return Err(unfit(
                    "user name and password for Basic authentication cannot have line breaks or other control characters in them"
                        .to_owned(),
                ));
            }
            Self::Basic { user, password } => {
                format!(
                    "Basic {}",
                    STANDARD.encode(format!("{user}:{}", password.expose()))
                )
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
        };
        let mut value = value("Authorization", &text)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let length: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || length > LONGEST_HEADERS {
        return Err(unfit(format!(
            "the request has {} headers with {length} bytes; at most {MOST_HEADERS} with {LONGEST_HEADERS} are sent",
            headers.len()
        )));
    }
    let mut map = HeaderMap::new();
    for (name, text) in headers {
        let shown = inert(name, 60);
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unfit(format!("`{shown}` is not the name of a header")))?;
        if RESERVED.contains(&parsed.as_str()) {
            return Err(unfit(format!(
                "the header `{shown}` is set by the server itself; remove it"
            )));
        }
        let mut value = value(&shown, text)?;
        value.set_sensitive(parsed == AUTHORIZATION);
        map.append(parsed, value);
    }
    Ok(map)
}

fn value(name: &str, text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        unfit(format!(
            "the value of the header `{name}` has a line break or another control character in it"
        ))
    })
}

fn unfit(sentence: String) -> Failure {
    Failure::new(ErrorKind::Request, sentence)
}
