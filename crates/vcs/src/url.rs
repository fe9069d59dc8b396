//! The guard for repository addresses (hostile-inputs.md G1, G2, G9, O1).
//!
//! A [`RepositoryUrl`] exists only if it passed, holds no credential in its text, and is the only form in which an
//! address reaches a version control program.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use thiserror::Error;

/// What addresses may point at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UrlPolicy {
    /// Absolute paths and `file://` addresses on this machine.
    pub allow_local_paths: bool,
    /// Literal loopback, private and link-local addresses, and `localhost`. Names are not resolved here.
    pub allow_private_hosts: bool,
}

/// An accepted address, its credential split off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryUrl {
    display: String,
    scheme: Scheme,
    host: Option<String>,
    credential: Option<Credential>,
}

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
    /// `ssh://` or `user@host:path`
    Ssh,
    /// `git://`
    Git,
    /// A path on this machine, or `file://`.
    Local,
}

/// A user name and password, or a token in either place. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    username: String,
    password: String,
}

/// Why an address was refused. Messages never repeat the address: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing was given, or far too much.
    #[error("a repository address has 1 to 2000 characters")]
    Length,
    /// A control character or white space.
    #[error("the address has a control character or white space")]
    ControlCharacter,
    /// A leading dash, where a program would read an option.
    #[error("the address, its host, user or path starts with a dash and could be read as an option")]
    LeadingDash,
    /// `ext::` and other transports that run helpers.
    #[error("addresses of the form helper::address run programs and are not allowed")]
    TransportHelper,
    /// A scheme that is not on the list.
    #[error("the scheme is not one of http, https, ssh, git")]
    Scheme,
    /// Paths on this machine are off.
    #[error("paths on this machine are not allowed here: an administrator can attach the repository instead")]
    LocalPath,
    /// A local path that is not absolute, or climbs.
    #[error("a local path must be absolute and without `..`")]
    RelativePath,
    /// The host is missing, malformed or written in a misleading way.
    #[error("the host name is missing or malformed")]
    Host,
    /// The port is not a number of 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The host is this machine or a private network.
    #[error("the host is on a private network, which the policy does not allow")]
    PrivateHost,
    /// A query or fragment.
    #[error("the address has a query or a fragment: give a token as user name and password instead")]
    Query,
    /// No path.
    #[error("the address names no repository on the host")]
    Path,
    /// A password for ssh or git, or a credential with control characters.
    #[error("the credential is malformed, or the scheme takes none: ssh uses keys")]
    Credential,
}

impl RepositoryUrl {
    /// Accepts an address under `policy`.
    ///
    /// # Errors
    /// The first rule that the address breaks.
    pub fn parse(address: &str, policy: UrlPolicy) -> Result<Self, UrlError> {
        if address.is_empty() || address.len() > 2000 {
            return Err(UrlError::Length);
        }
        if address.starts_with('-') {
            return Err(UrlError::LeadingDash);
        }
        if address.chars().any(char::is_control) {
            return Err(UrlError::ControlCharacter);
        }
        if address.starts_with('/') {
            return Self::local(address, policy);
        }
        if let Some((scheme, rest)) = address.split_once("://")
            && scheme
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
        {
            return Self::with_scheme(&scheme.to_ascii_lowercase(), rest, policy);
        }
        if address
            .split('/')
            .next()
            .is_some_and(|start| start.contains("::") && !start.contains('['))
        {
            return Err(UrlError::TransportHelper);
        }
        Self::scp_like(address, policy)
    }

    /// The address without credential: safe to show, to store and to put into an argument list after `--`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    /// How the repository is reached.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case, IPv6 without brackets; none for local paths.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The credential that stood in the address.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// For a local address, the path.
    #[must_use]
    pub fn local_path(&self) -> Option<&Path> {
        (self.scheme == Scheme::Local).then(|| Path::new(&self.display))
    }

    /// `scheme://host[:port]`, to which a credential is bound so that no other host is ever offered it.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        let after_scheme = self.display.find("://")? + 3;
        let end = self.display[after_scheme..]
            .find('/')
            .map_or(self.display.len(), |slash| after_scheme + slash);
        Some(&self.display[..end])
    }

    fn local(path: &str, policy: UrlPolicy) -> Result<Self, UrlError> {
        if !policy.allow_local_paths {
            return Err(UrlError::LocalPath);
        }
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(UrlError::RelativePath);
        }
        let display = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        }
        .to_owned();
        Ok(Self {
            display,
            scheme: Scheme::Local,
            host: None,
            credential: None,
        })
    }

    fn with_scheme(scheme: &str, rest: &str, policy: UrlPolicy) -> Result<Self, UrlError> {
        let (scheme, name, default_port) = match scheme {
            "http" => (Scheme::Http, "http", 80),
            "https" => (Scheme::Https, "https", 443),
            "ssh" => (Scheme::Ssh, "ssh", 22),
            "git" => (Scheme::Git, "git", 9418),
            "file" => return Self::local(rest, policy),
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains(char::is_whitespace) {
            return Err(UrlError::ControlCharacter);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
        let path = path.trim_end_matches('/');
        if path.trim_start_matches('/').is_empty() {
            return Err(UrlError::Path);
        }
        if path.starts_with('-') {
            return Err(UrlError::LeadingDash);
        }
        let (user_part, host_part) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host_part)?;
        let host = check_host(host, policy)?;
        let mut display = format!("{name}://");
        let mut credential = None;
        match (scheme, user_part) {
            (_, None) => {}
            (Scheme::Http | Scheme::Https, Some(user)) => credential = Some(Credential::from_url(user)?),
            (Scheme::Ssh, Some(user)) => {
                check_user(user)?;
                display.push_str(user);
                display.push('@');
            }
            (Scheme::Git | Scheme::Local, Some(_)) => return Err(UrlError::Credential),
        }
        if host.contains(':') {
            display.push_str(&format!("[{host}]"));
        } else {
            display.push_str(&host);
        }
        if let Some(port) = port.filter(|&port| port != default_port) {
            display.push_str(&format!(":{port}"));
        }
        display.push('/');
        display.push_str(path);
        Ok(Self {
            display,
            scheme,
            host: Some(host),
            credential,
        })
    }

    fn scp_like(address: &str, policy: UrlPolicy) -> Result<Self, UrlError> {
        if address.contains(char::is_whitespace) {
            return Err(UrlError::ControlCharacter);
        }
        let host_end = if address.contains('[') {
            address.find("]:").map(|end| end + 1).ok_or(UrlError::Host)?
        } else {
            address.find(':').ok_or(UrlError::Scheme)?
        };
        let (authority, path) = (&address[..host_end], &address[host_end + 1..]);
        if authority.contains('/') {
            return Err(UrlError::Scheme);
        }
        if path.is_empty() {
            return Err(UrlError::Path);
        }
        if path.starts_with('-') || path.starts_with("/-") {
            return Err(UrlError::LeadingDash);
        }
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if let Some(user) = user {
            check_user(user)?;
        }
        let host = check_host(host, policy)?;
        let shown_host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let display = format!("{user}{shown_host}:{}", path.trim_end_matches('/'));
        Ok(Self {
            display,
            scheme: Scheme::Ssh,
            host: Some(host),
            credential: None,
        })
    }
}

impl Credential {
    /// A credential from a user name and a password or token.
    ///
    /// # Errors
    /// [`UrlError::Credential`] for control characters, which git's credential protocol cannot carry.
    pub fn new(username: &str, password: &str) -> Result<Self, UrlError> {
        if username.chars().chain(password.chars()).any(char::is_control) {
            return Err(UrlError::Credential);
        }
        Ok(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password or token. Not for logs, arguments or errors.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    fn from_url(user_part: &str) -> Result<Self, UrlError> {
        let (username, password) = user_part.split_once(':').unwrap_or((user_part, ""));
        Self::new(&percent_decoded(username)?, &percent_decoded(password)?)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential(hidden)")
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.display)
    }
}

fn split_port(host_part: &str) -> Result<(&str, Option<u16>), UrlError> {
    let port_start = if host_part.starts_with('[') {
        let end = host_part.find(']').ok_or(UrlError::Host)? + 1;
        match host_part.as_bytes().get(end) {
            None => return Ok((host_part, None)),
            Some(b':') => end,
            Some(_) => return Err(UrlError::Host),
        }
    } else {
        match host_part.find(':') {
            None => return Ok((host_part, None)),
            Some(start) => start,
        }
    };
    let digits = &host_part[port_start + 1..];
    if digits.is_empty() {
        return Ok((&host_part[..port_start], None));
    }
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Ok((&host_part[..port_start], Some(port)))
        }
        _ => Err(UrlError::Port),
    }
}

fn check_user(user: &str) -> Result<(), UrlError> {
    if user.starts_with('-') {
        return Err(UrlError::LeadingDash);
    }
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._+~-".contains(character);
    if user.is_empty() || !user.chars().all(allowed) {
        return Err(UrlError::Credential);
    }
    Ok(())
}

fn check_host(host: &str, policy: UrlPolicy) -> Result<String, UrlError> {
    if host.starts_with('-') {
        return Err(UrlError::LeadingDash);
    }
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| UrlError::Host)?;
        if !policy.allow_private_hosts && is_private_v6(address) {
            return Err(UrlError::PrivateHost);
        }
        return Ok(address.to_string());
    }
    let host = host.to_ascii_lowercase();
    let well_formed = !host.is_empty()
        && host.len() <= 253
        && host
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
        && host
            .trim_end_matches('.')
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-'));
    if !well_formed {
        return Err(UrlError::Host);
    }
    let bare = host.trim_end_matches('.');
    let last_label = bare.rsplit('.').next().unwrap_or(bare);
    // Resolvers read "2130706433", "0x7f.1" and "0177.0.0.1" as addresses: a last label that is a number is one.
    let is_number = last_label.bytes().all(|byte| byte.is_ascii_digit()) || last_label.starts_with("0x");
    if is_number {
        let address: Ipv4Addr = bare.parse().map_err(|_| UrlError::Host)?;
        if !policy.allow_private_hosts && is_private_v4(address) {
            return Err(UrlError::PrivateHost);
        }
        return Ok(address.to_string());
    }
    if !policy.allow_private_hosts && (bare == "localhost" || bare.ends_with(".localhost")) {
        return Err(UrlError::PrivateHost);
    }
    Ok(host)
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || matches!(first, 0 | 240..=255)
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // NAT64 and 6to4 carry an IPv4 address inside; so do mapped and compatible forms.
    let embedded = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            Some((segments[6], segments[7]))
        }
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        let [first, second] = high.to_be_bytes();
        let [third, fourth] = low.to_be_bytes();
        return is_private_v4(Ipv4Addr::new(first, second, third, fourth));
    }
    address.is_multicast() || segments[0] & 0xfe00 == 0xfc00 || segments[0] & 0xffc0 == 0xfe80
}

fn percent_decoded(text: &str) -> Result<String, UrlError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|digit| char::from(digit).to_digit(16))
                .ok_or(UrlError::Credential)
        };
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).map_err(|_| UrlError::Credential)?);
    }
    String::from_utf8(decoded).map_err(|_| UrlError::Credential)
}
