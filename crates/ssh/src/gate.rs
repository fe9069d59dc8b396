//! What the SSH server asks the rest of the product: who a key belongs to, and what serves a repository.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};

use crate::command::Service;
use crate::session::Session;

/// The future that a method of [`Gate`] returns: `Box::pin(async move { ... })`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides who comes in and what they get.
pub trait Gate: Send + Sync + 'static {
    /// Whom a key belongs to; none if it may not come in.
    ///
    /// Asked twice for a client that comes in: when it offers its key and when it has proved that it has it. Should do
    /// the same work for a key that nobody has and a user name that nobody has; the server evens the time of refusals
    /// out up to [`Limits::rejection_time`](crate::Limits::rejection_time).
    fn authenticate<'a>(&'a self, attempt: &'a KeyAttempt) -> Answer<'a, Option<Identity>>;

    /// What serves this request, after permission was asked. Nothing has been started when this is called.
    fn open<'a>(
        &'a self,
        identity: &'a Identity,
        request: OpenRequest,
    ) -> Answer<'a, Result<Session, Refusal>>;

    /// Something was refused without asking the gate: a shell, a terminal, a command that is not served, forwarding, too
    /// many channels. For ledger entries; the log has it already.
    fn refused(&self, identity: Option<&Identity>, peer: SocketAddr, what: &str) {
        let _ = (identity, peer, what);
    }
}

/// A client that comes with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttempt {
    /// The name before the `@` of the client's address, such as `git`: text of a stranger.
    pub user_name: String,
    /// The key.
    pub key: OfferedKey,
    /// Whether the client has proved that it has the private half. False when it only asks whether to prove it.
    pub proved: bool,
    /// Where the client is.
    pub peer: SocketAddr,
}

/// A public key, as users register it and as they compare it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfferedKey {
    /// OpenSSH's text without a comment: `ssh-ed25519 AAAA...`. Equal keys have equal texts.
    pub openssh: String,
    /// `SHA256:` and 43 characters of Base64.
    pub fingerprint: String,
}

/// Who a client is: a name for messages, and what the gate wants to know again in [`Gate::open`].
#[derive(Clone)]
pub struct Identity {
    name: String,
    value: Arc<dyn Any + Send + Sync>,
}

/// A command that a client wants to run on a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// What is asked for.
    pub service: Service,
    /// The repository in the client's words, such as `/scm/proj/repo.git`, `proj/repo` or `~ann/repo`: not empty, no
    /// control character, no leading dash, and otherwise text of a stranger.
    pub path: String,
    /// The client's `GIT_PROTOCOL`, such as `version=2`: of letters, digits and `=:.-_`, at most 100 bytes.
    pub git_protocol: Option<String>,
    /// Where the client is.
    pub peer: SocketAddr,
}

/// Why a request is not served: a sentence that the user reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Identity {
    /// An identity that carries `value`.
    pub fn new(name: impl Into<String>, value: impl Any + Send + Sync) -> Self {
        Self {
            name: name.into(),
            value: Arc::new(value),
        }
    }

    /// The name for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the identity carries, if it is a `T`.
    #[must_use]
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({})", self.name)
    }
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(sentence: T) -> Self {
        Self(sentence.into())
    }
}

impl OfferedKey {
    /// Reads a key as users paste it: the text of a `.pub` file, with or without a comment. For comparing what is
    /// registered with what is offered.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(
                "this is a private key: register the public one, from the file that ends with .pub".into(),
            );
        }
        PublicKey::from_openssh(text)
            .map(|key| Self::of(&key))
            .map_err(|error| format!("this is not a public key in OpenSSH's format ({error})"))
    }

    pub(crate) fn of(key: &PublicKey) -> Self {
        Self {
            openssh: openssh_text(key),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}

/// OpenSSH's text of a key without a comment.
pub(crate) fn openssh_text(key: &PublicKey) -> String {
    let mut key = key.clone();
    key.set_comment("");
    key.to_openssh().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPmqJB9nT3VKbDKhHBuBtHzHPvKNTVcGDIqQHbWDHzE";

    #[test]
    fn pasted_keys_are_equal_whatever_their_comment_and_space() {
        let plain = OfferedKey::parse(KEY).unwrap();
        assert_eq!(plain.openssh, KEY);
        assert_eq!(
            OfferedKey::parse(&format!("  {KEY} ann@example.org\n")),
            Ok(plain.clone())
        );
        assert!(plain.fingerprint.starts_with("SHA256:") && plain.fingerprint.len() == 50);
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_a_sentence() {
        for (text, sentence) in [
            ("", "not a public key"),
            ("ssh-ed25519", "not a public key"),
            ("ssh-ed25519 AAAA", "not a public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ] {
            assert!(OfferedKey::parse(text).unwrap_err().contains(sentence), "{text}");
        }
    }
}
