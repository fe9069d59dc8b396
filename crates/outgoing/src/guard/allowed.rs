//! The entries of `[outgoing] allow`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use madake_domain::text::inert;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A network or a host that requests may go to though it is special.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allowed {
    /// All addresses of a network.
    Network(IpNet),
    /// One host, whatever its addresses.
    Host(String),
    /// All hosts below a domain, not the domain itself: `*.ci.example.org`.
    Below(String),
}

/// Why a text is no entry of `[outgoing] allow`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` cannot stand in [outgoing] allow: {reason}; write a network (\"10.0.0.0/8\"), an address \
     (\"10.1.2.3\"), a host (\"ci.example.org\") or all hosts below a domain (\"*.example.org\")"
)]
pub struct AllowedError {
    text: String,
    reason: &'static str,
}

impl Allowed {
    /// Whether this entry covers an address. One of the form `::ffff:10.1.2.3` is 10.1.2.3.
    #[must_use]
    pub fn covers_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address.to_canonical()),
            Self::Host(_) | Self::Below(_) => false,
        }
    }

    /// Whether this entry covers a host name, in any case, with or without a dot at its end.
    #[must_use]
    pub fn covers_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Network(_) => false,
            Self::Host(host) => *host == name,
            Self::Below(domain) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let text = text.trim();
        let refuse = |reason| AllowedError {
            text: inert(text, 80),
            reason,
        };
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address
                .parse()
                .map_err(|_| refuse("there is no address before the slash"))?;
            let prefix: u8 = prefix
                .parse()
                .map_err(|_| refuse("there is no number after the slash"))?;
            return network(address, prefix).ok_or_else(|| refuse("the number after the slash is too large"));
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Network(IpNet::from(address.to_canonical())));
        }
        let (below, domain) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if domain == "*" || domain.is_empty() {
            return Err(refuse(
                "it would allow everything, for which \"0.0.0.0/0\" and \"::/0\" are the words",
            ));
        }
        if domain.contains('*') {
            return Err(refuse("a star may only stand alone before the first dot"));
        }
        if domain.contains(':') || domain.contains("//") {
            return Err(refuse("it has a scheme or a port"));
        }
        let is_name = domain.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        // A last label that is a number would be read as an address by some, and as a name by others.
        let numeric = domain
            .rsplit('.')
            .next()
            .is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit()));
        if !is_name || numeric {
            return Err(refuse("it is neither an address nor a host name in ASCII"));
        }
        Ok(if below {
            Self::Below(domain)
        } else {
            Self::Host(domain)
        })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl TryFrom<String> for Allowed {
    type Error = AllowedError;

    fn try_from(text: String) -> Result<Self, AllowedError> {
        text.parse()
    }
}

impl From<Allowed> for String {
    fn from(allowed: Allowed) -> Self {
        allowed.to_string()
    }
}

fn network(address: IpAddr, prefix: u8) -> Option<Allowed> {
    let (address, prefix) = match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) if prefix >= 96 => (IpAddr::V4(four), prefix - 96),
            _ => (address, prefix),
        },
        IpAddr::V4(_) => (address, prefix),
    };
    IpNet::new(address, prefix)
        .ok()
        .map(|network| Allowed::Network(network.trunc()))
}
