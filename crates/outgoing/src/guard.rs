//! Which addresses requests may go to.
//!
//! One rule for everything that users can make the server connect to, and one sentence for each refusal, so that an
//! address that is refused when it is sent to was refused when it was entered. Loopback, private and other special
//! addresses are refused unless the configuration allows them: `[outgoing] allow = ["10.0.0.0/8"]`. An address is
//! judged by what it means: written in any notation, and with an IPv4 address inside an IPv6 one
//! (hostile-inputs.md O1, O5).
//!
//! User and password in the address (`https://user:pass@host/`) are what existing hooks have, so by default they are
//! taken out of it and sent as Basic credentials; `[outgoing] allow_userinfo = false` refuses them.

mod allowed;
mod ranges;

use std::fmt;
use std::net::IpAddr;

use madake_domain::text::inert;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use thiserror::Error;

use crate::Secret;

pub use allowed::{Allowed, AllowedError};

/// The longest address that is taken, in bytes.
pub const LONGEST_URL: usize = 4096;

/// What the configuration says about outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Networks and hosts that are allowed though they are special: `[outgoing] allow`. A host that is named here may
    /// have any address.
    pub allow: Vec<Allowed>,
    /// Ports that are allowed though they belong to another protocol: `[outgoing] allow-ports`.
    pub allow_ports: Vec<u16>,
    /// Whether an address may carry user and password: `[outgoing] allow_userinfo`.
    pub allow_userinfo: bool,
}

impl Default for AddressPolicy {
    /// Public addresses only, user and password allowed.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_ports: Vec::new(),
            allow_userinfo: true,
        }
    }
}

/// An address that has passed [`AddressPolicy::check_url`]. `Debug` shows neither path nor query nor credentials,
/// any of which may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: TargetHost,
    port: u16,
    credentials: Option<Credentials>,
}

/// The host of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHost {
    /// A name, in lower case, without a dot at its end. What it resolves to is checked when it is connected to.
    Name(String),
    /// An address that has been checked.
    Address(IpAddr),
}

/// User and password from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password; may be empty.
    pub password: Secret,
}

/// Why a request may not go to an address. Each is a sentence for the person who entered it, and names the setting
/// that allows it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not an address at all.
    #[error("this is not a web address: {reason}; write one like https://ci.example.org/hook")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// Neither `http` nor `https`.
    #[error("`{scheme}` addresses are not sent to; write one that begins with http:// or https://")]
    Scheme {
        /// The scheme that was written.
        scheme: String,
    },
    /// User and password in the address.
    #[error(
        "the address has a user or password in it; enter them in their own fields, or let an administrator set \
         [outgoing] allow_userinfo = true"
    )]
    Userinfo,
    /// A port of another protocol.
    #[error(
        "port {port} belongs to another protocol; an administrator can allow it in the configuration: \
         [outgoing] allow-ports = [{port}]"
    )]
    Port {
        /// The port.
        port: u16,
    },
    /// A special address.
    #[error(
        "{subject}, which is {what}; an administrator can allow it in the configuration: \
         [outgoing] allow = [\"{network}\"]"
    )]
    Address {
        /// What was refused: "10.1.2.3", or "`name` is the address 10.1.2.3".
        subject: String,
        /// What kind of address it is: "a private address".
        what: &'static str,
        /// What to allow: a network or a host name.
        network: String,
    },
}

impl AddressPolicy {
    /// Reads an address and checks all of it that can be checked without resolving a name.
    ///
    /// # Errors
    /// When requests may not go there.
    pub fn check_url(&self, text: &str) -> Result<Target, Refused> {
        let text = text.trim();
        let malformed = |reason: &str| Refused::Malformed {
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(malformed("it is empty"));
        }
        if text.len() > LONGEST_URL {
            return Err(malformed(&format!("it is longer than {LONGEST_URL} bytes")));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(malformed("it has a space or a control character in it"));
        }
        let mut url = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme {
                scheme: inert(url.scheme(), 40),
            });
        }
        let credentials = self.take_credentials(&mut url)?;
        url.set_fragment(None);
        let port = url
            .port_or_known_default()
            .expect("http and https have a default port");
        if ranges::belongs_to_another_protocol(port) && !self.allow_ports.contains(&port) {
            return Err(Refused::Port { port });
        }
        let host = self.check_host(&url)?;
        Ok(Target {
            url,
            host,
            port,
            credentials,
        })
    }

    /// Checks one address. An IPv6 address that stands for an IPv4 one is judged as that one.
    ///
    /// # Errors
    /// When it is special, and not allowed.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refused> {
        self.judge(address).map_err(|special| Refused::Address {
            subject: if special.meant == address {
                format!("the address {address}")
            } else {
                format!("the address {address} stands for {}", special.meant)
            },
            what: special.what,
            network: special.network,
        })
    }

    /// The addresses of a name that requests may go to, in the order given. Those that may not are left out: a
    /// connection goes only to what is returned here.
    ///
    /// # Errors
    /// When none is left, for the first.
    pub fn check_resolved(&self, name: &str, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Refused> {
        if self.allows_name(name) {
            return Ok(addresses.to_vec());
        }
        let (fit, unfit): (Vec<IpAddr>, Vec<IpAddr>) = addresses
            .iter()
            .copied()
            .partition(|address| self.judge(*address).is_ok());
        match unfit.first().map(|address| (address, self.judge(*address))) {
            Some((address, Err(special))) if fit.is_empty() => {
                let name = inert(name, 80);
                Err(Refused::Address {
                    subject: if special.meant == *address {
                        format!("`{name}` has the address {address}")
                    } else {
                        format!("`{name}` has the address {address}, that is {}", special.meant)
                    },
                    what: special.what,
                    network: special.network,
                })
            }
            _ => Ok(fit),
        }
    }

    /// Whether the configuration names this host, so that any address of it will do.
    #[must_use]
    pub fn allows_name(&self, name: &str) -> bool {
        self.allow.iter().any(|allowed| allowed.covers_name(name))
    }

    fn take_credentials(&self, url: &mut Url) -> Result<Option<Credentials>, Refused> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        if !self.allow_userinfo {
            return Err(Refused::Userinfo);
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = Credentials {
            user: plain(url.username()),
            password: Secret::new(plain(url.password().unwrap_or_default())),
        };
        url.set_username("")
            .and_then(|()| url.set_password(None))
            .expect("http and https addresses have a host, so they can have no user");
        Ok(Some(credentials))
    }

    /// The parser has already turned every notation of an IPv4 address (`2130706433`, `0177.1`, `0x7f.1`, `127.1.`)
    /// into the address.
    fn check_host(&self, url: &Url) -> Result<TargetHost, Refused> {
        let host = url.host_str().unwrap_or_default();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.check_address(address)?;
            return Ok(TargetHost::Address(address));
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() {
            return Err(Refused::Malformed {
                reason: "it names no host".to_owned(),
            });
        }
        let is_loopback_name = name == "localhost" || name.ends_with(".localhost");
        let loopback = [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]),
        ];
        if is_loopback_name {
            self.check_resolved(&name, &loopback)?;
        }
        Ok(TargetHost::Name(name))
    }

    fn judge(&self, address: IpAddr) -> Result<(), ranges::Special> {
        let allowed = |address: IpAddr| self.allow.iter().any(|allowed| allowed.covers_address(address));
        if allowed(address) {
            return Ok(());
        }
        match ranges::special(address, &allowed) {
            None => Ok(()),
            Some(special) => Err(special),
        }
    }
}

impl Target {
    /// The address without credentials and fragment.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &TargetHost {
        &self.host
    }

    /// The port, that of the scheme if none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User and password that were in the address.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Scheme, host and port, for logs and messages: the rest may be secret.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}://{}:{}", self.url.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.shown())
    }
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
