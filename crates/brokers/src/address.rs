//! Addresses of receivers: what is written in a setting, checked for form, with name and password split off.
//!
//! Whether the host may be called at all is asked elsewhere, by the guard of outgoing requests, when the setting
//! is saved and when the connection is made.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::secret::Secret;

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `text` for use inside a path segment or a query value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// An address with `http` or `https`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host, port, path and query without name, password and final slash of the path.
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
    /// Name and password that stood before the host, decoded.
    credentials: Option<(String, Secret)>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}…)", self.origin())
    }
}

/// Why a text is not an address. Reads well after the name of the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// Neither `http://` nor `https://`.
    #[error("does not begin with `http://` or `https://`")]
    Scheme,
    /// Nothing between `//` and the path.
    #[error("names no host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Blanks, control characters, quotes or brackets.
    #[error("has a blank, a control character or another character that must be percent-encoded")]
    Character,
    /// A part behind `#`, which is never sent.
    #[error("has a part behind `#`, which is never sent")]
    Fragment,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressProblem`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressProblem> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressProblem::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(AddressProblem::Scheme);
        }
        if rest.contains('#') {
            return Err(AddressProblem::Fragment);
        }
        let allowed = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        if !rest.chars().all(allowed) {
            return Err(AddressProblem::Character);
        }
        let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        check_host(host)?;
        let credentials = userinfo.map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            (decode(user), Secret::new(decode(password)))
        });
        let origin = format!("{scheme}://{}", host.to_ascii_lowercase());
        let path = if path.contains('?') {
            path
        } else {
            path.trim_end_matches('/')
        };
        Ok(Self {
            path_at: origin.len(),
            text: format!("{origin}{path}"),
            credentials,
        })
    }

    /// The whole address without name and password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.text[..self.path_at]
    }

    /// Path and query: in addresses of chat hooks, this is the secret.
    pub(crate) fn path(&self) -> &str {
        &self.text[self.path_at..]
    }

    /// Name and password that stood before the host.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &Secret)> {
        self.credentials
            .as_ref()
            .map(|(user, password)| (user.as_str(), password))
    }

    /// This address with a path below it; `path` is encoded already and begins with `/`.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

/// An address of ours with query values behind it.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut whole = url.to_owned();
    for (at, (name, value)) in pairs.iter().enumerate() {
        whole.push(if at == 0 && !url.contains('?') { '?' } else { '&' });
        whole.push_str(&encode(name));
        whole.push('=');
        whole.push_str(&encode(value));
    }
    whole
}

fn check_host(host: &str) -> Result<(), AddressProblem> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port))
            if address
                .chars()
                .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')) =>
        {
            (address, port)
        }
        Some(_) => return Err(AddressProblem::Host),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(AddressProblem::Host);
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(digits)
            if digits.chars().all(|c| c.is_ascii_digit())
                && digits.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(())
        }
        _ => Err(AddressProblem::Port),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressProblem, with_query};

    #[test]
    fn addresses_are_read_with_name_and_password_apart() {
        let address = Address::parse("HTTPS://mei:p%40ss@CI.example:8443/base/").unwrap();
        assert_eq!(address.as_str(), "https://ci.example:8443/base");
        assert_eq!(address.origin(), "https://ci.example:8443");
        let (user, password) = address.credentials().unwrap();
        assert_eq!((user, password.reveal()), ("mei", "p@ss"));
        assert_eq!(format!("{address:?}"), "Address(https://ci.example:8443…)");
        assert_eq!(
            Address::parse("http://[::1]:8085/x?y=1").unwrap().as_str(),
            "http://[::1]:8085/x?y=1"
        );
    }

    #[test]
    fn texts_that_are_no_addresses_are_refused() {
        let table = [
            ("ci.example", AddressProblem::Scheme),
            ("file:///etc/passwd", AddressProblem::Scheme),
            ("http://", AddressProblem::Host),
            ("http://user@/x", AddressProblem::Host),
            ("http://a:0/", AddressProblem::Port),
            ("http://a:99999/", AddressProblem::Port),
            ("http://a/b c", AddressProblem::Character),
            ("http://a/b\r\nX: y", AddressProblem::Character),
            ("http://a/#b", AddressProblem::Fragment),
            ("http://[::1", AddressProblem::Host),
        ];
        for (text, problem) in table {
            assert_eq!(Address::parse(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(
            with_query("http://a/b", &[("x", "1&2"), ("y", "ü")]),
            "http://a/b?x=1%262&y=%C3%BC"
        );
        assert_eq!(with_query("http://a/b?c=d", &[("x", "1")]), "http://a/b?c=d&x=1");
    }
}
