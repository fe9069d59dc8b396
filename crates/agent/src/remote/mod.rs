//! Other machines over SSH: whose key is checked, where commands run and files go (bamboo-specs.md 4.4, `ssh`, `scp`).
//!
//! A machine is believed by the fingerprint that the task gives, or by the `known_hosts` of the user that the agent
//! runs as. Nobody is believed at first sight.

mod scp;

pub(crate) use scp::Sender;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use madake_protocol::Secret;
use russh::client::{self, AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, check_known_hosts, decode_secret_key,
};
use russh::{Channel, ChannelMsg, Sig};

/// How long a machine may take to answer.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// How often a silent machine is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a machine has to say that a command which was killed has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where to, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The machine's name or address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `SHA256:...`; `None`: the machine must be in `known_hosts`.
    pub(crate) fingerprint: Option<String>,
    pub(crate) username: String,
    pub(crate) authentication: Authentication,
}

/// How the user is known over there.
#[derive(Debug, Clone)]
pub(crate) enum Authentication {
    /// By the keys of the SSH agent of the server's user.
    Agent,
    Password(Secret),
    Key {
        /// In PEM.
        key: Secret,
        passphrase: Option<Secret>,
    },
}

/// Why something did not happen over there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RemoteError {
    /// Nobody answers.
    #[error("cannot reach {place}: {reason}")]
    Unreachable { place: String, reason: String },
    /// Somebody else answers, or somebody that we do not know.
    #[error("{0}")]
    HostKey(String),
    /// The user is not let in.
    #[error("{0}")]
    LogIn(String),
    /// The connection broke.
    #[error("the connection to {place} broke: {reason}")]
    Broken { place: String, reason: String },
    /// A file cannot be read here.
    #[error("cannot read the file `{path}`: {source}")]
    File { path: String, source: io::Error },
    /// The other side does not take a file.
    #[error("{0}")]
    Refused(String),
}

/// A connection to another machine, logged in.
pub(crate) struct Connection {
    handle: Handle<HostCheck>,
    place: String,
}

/// Which of the outputs of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Connection {
    /// Connects, checks the machine's key, and logs in.
    pub(crate) async fn open(login: &Login) -> Result<Self, RemoteError> {
        let place = format!("{}:{}", login.host, login.port);
        let unreachable = |reason: String| RemoteError::Unreachable {
            place: place.clone(),
            reason,
        };
        let refusal = Arc::new(Mutex::new(None));
        let check = HostCheck {
            host: login.host.clone(),
            port: login.port,
            fingerprint: login.fingerprint.clone(),
            refusal: Arc::clone(&refusal),
        };
        let config = client::Config {
            keepalive_interval: Some(KEEP_ALIVE),
            ..client::Config::default()
        };
        let address = (login.host.as_str(), login.port);
        let connecting = client::connect(Arc::new(config), address, check);
        let connected = tokio::time::timeout(CONNECT_TIME, connecting)
            .await
            .map_err(|_| {
                unreachable(format!(
                    "it did not answer within {} seconds",
                    CONNECT_TIME.as_secs()
                ))
            })?;
        let handle = connected.map_err(|error| {
            let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refused.map_or_else(|| unreachable(error.to_string()), RemoteError::HostKey)
        })?;
        let mut connection = Self { handle, place };
        connection.log_in(login).await?;
        Ok(connection)
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), RemoteError> {
        let user = login.username.clone();
        let place = self.place.clone();
        let broken = |reason: String| RemoteError::Broken {
            place: place.clone(),
            reason,
        };
        let (result, how) = match &login.authentication {
            Authentication::Password(password) => (
                self.handle
                    .authenticate_password(user, password.reveal())
                    .await
                    .map_err(|error| broken(error.to_string()))?,
                "this password",
            ),
            Authentication::Key { key, passphrase } => {
                let key = decode_secret_key(key.reveal(), passphrase.as_ref().map(Secret::reveal)).map_err(
                    |error| {
                        RemoteError::LogIn(format!(
                            "the private key cannot be read: {error}; it is to be in PEM, with the right passphrase"
                        ))
                    },
                )?;
                let hash = self.rsa_hash().await;
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                (
                    self.handle
                        .authenticate_publickey(user, key)
                        .await
                        .map_err(|error| broken(error.to_string()))?,
                    "this key",
                )
            }
            Authentication::Agent => return self.log_in_by_agent(login).await,
        };
        match result {
            AuthResult::Success => Ok(()),
            AuthResult::Failure { .. } => Err(RemoteError::LogIn(format!(
                "{} does not let `{}` in with {how}",
                self.place, login.username
            ))),
        }
    }

    async fn log_in_by_agent(&mut self, login: &Login) -> Result<(), RemoteError> {
        let no_agent = |error: russh::keys::Error| {
            RemoteError::LogIn(format!(
                "the task gives neither password nor key, and there is no SSH agent for the server's user: {error}"
            ))
        };
        let mut agent = AgentClient::connect_env().await.map_err(no_agent)?;
        let identities = agent.request_identities().await.map_err(no_agent)?;
        let hash = self.rsa_hash().await;
        let count = identities.len();
        for identity in identities {
            let AgentIdentity::PublicKey { key, .. } = identity else {
                continue;
            };
            let hash = hash.filter(|_| key.algorithm().is_rsa());
            let tried = self
                .handle
                .authenticate_publickey_with(login.username.clone(), key, hash, &mut agent)
                .await;
            if matches!(tried, Ok(AuthResult::Success)) {
                return Ok(());
            }
        }
        Err(RemoteError::LogIn(format!(
            "{} does not let `{}` in with any of the {count} keys of the SSH agent",
            self.place, login.username
        )))
    }

    /// The hash that RSA keys sign with; servers of old say nothing of it.
    async fn rsa_hash(&self) -> Option<HashAlg> {
        self.handle
            .best_supported_rsa_hash()
            .await
            .ok()
            .flatten()
            .unwrap_or(Some(HashAlg::Sha256))
    }

    /// Starts a command.
    pub(crate) async fn start(&self, command: &str) -> Result<RemoteCommand, RemoteError> {
        let broken = |error: russh::Error| self.broken(&error.to_string());
        let channel = self.handle.channel_open_session().await.map_err(broken)?;
        channel.exec(true, command).await.map_err(broken)?;
        channel.eof().await.map_err(broken)?;
        Ok(RemoteCommand {
            channel,
            place: self.place.clone(),
        })
    }

    /// Runs a command to its end, as [`RemoteCommand::end`].
    pub(crate) async fn run(
        &self,
        command: &str,
        mut output: impl FnMut(Stream, &[u8]),
    ) -> Result<Option<u32>, RemoteError> {
        self.start(command).await?.end(&mut output).await
    }

    fn broken(&self, reason: &str) -> RemoteError {
        RemoteError::Broken {
            place: self.place.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// A command that runs on another machine.
pub(crate) struct RemoteCommand {
    channel: Channel<client::Msg>,
    place: String,
}

impl RemoteCommand {
    /// Waits for its end; gives its exit code, or `None` when a signal ended it.
    pub(crate) async fn end(
        &mut self,
        output: &mut impl FnMut(Stream, &[u8]),
    ) -> Result<Option<u32>, RemoteError> {
        let mut code = None;
        let mut is_known = false;
        while let Some(message) = self.channel.wait().await {
            match message {
                ChannelMsg::Data { data } => output(Stream::Out, &data),
                ChannelMsg::ExtendedData { data, .. } => output(Stream::Err, &data),
                ChannelMsg::ExitStatus { exit_status } => {
                    (code, is_known) = (Some(exit_status), true);
                }
                ChannelMsg::ExitSignal { .. } => is_known = true,
                ChannelMsg::Failure => {
                    return Err(RemoteError::Refused(format!("{} runs no commands", self.place)));
                }
                _ => {}
            }
        }
        if is_known {
            Ok(code)
        } else {
            Err(RemoteError::Broken {
                place: self.place.clone(),
                reason: "it ended before the command did".to_owned(),
            })
        }
    }

    /// Ends it before its time, friendly first; whether the other machine says that it has ended. OpenSSH hands signals on
    /// since its version 7.9, and none to commands that `ForceCommand` put in place; others need not (RFC 4254, 6.9).
    pub(crate) async fn stop(&mut self, grace: Duration, output: &mut impl FnMut(Stream, &[u8])) -> bool {
        for (signal, time) in [(Sig::TERM, grace), (Sig::KILL, LAST_WORDS)] {
            if self.channel.signal(signal).await.is_err() {
                return false;
            }
            if let Ok(ended) = tokio::time::timeout(time, self.end(output)).await {
                return ended.is_ok();
            }
        }
        false
    }
}

/// Looks at the key of a machine.
struct HostCheck {
    host: String,
    port: u16,
    fingerprint: Option<String>,
    /// Why it was refused.
    refusal: Arc<Mutex<Option<String>>>,
}

impl HostCheck {
    fn judge(&self, key: &PublicKeyOrCertificate) -> Result<(), String> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Err(format!(
                "{} shows a certificate, which is not understood",
                self.host
            ));
        };
        let shown = key.fingerprint(HashAlg::Sha256).to_string();
        match &self.fingerprint {
            Some(wanted) if same_fingerprint(wanted, &shown) => Ok(()),
            Some(wanted) => Err(format!(
                "{} is not the machine that the task wants: its key has the fingerprint {shown}, not {}",
                self.host,
                wanted.trim()
            )),
            None => match check_known_hosts(&self.host, self.port, key) {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!(
                    "the key of {} is not known: make sure that its fingerprint is {shown}, then give the task \
                     `host-fingerprint: {shown}`, or add the machine to `known_hosts` of the user that the server \
                     runs as",
                    self.host
                )),
                Err(russh::keys::Error::KeyChanged { line }) => Err(format!(
                    "the key of {} is another one than in line {line} of `known_hosts`: its fingerprint is {shown}; \
                     somebody may stand in between",
                    self.host
                )),
                Err(error) => Err(format!("`known_hosts` cannot be read: {error}")),
            },
        }
    }
}

/// Whether a fingerprint is the one that a person wrote, with or without `SHA256:` and padding.
fn same_fingerprint(wanted: &str, shown: &str) -> bool {
    fn bare(text: &str) -> &str {
        let text = text.trim();
        text.strip_prefix("SHA256:").unwrap_or(text).trim_end_matches('=')
    }
    bare(wanted) == bare(shown)
}

impl client::Handler for HostCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = self.judge(key);
        let is_good = verdict.is_ok();
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(is_good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_compared_without_their_frame() {
        let shown = "SHA256:abcDEF";
        for same in ["SHA256:abcDEF", " abcDEF= ", "SHA256:abcDEF=="] {
            assert!(same_fingerprint(same, shown), "{same}");
        }
        for other in ["", "SHA256:", "SHA256:abcdef", "MD5:aa:bb", "abc"] {
            assert!(!same_fingerprint(other, shown), "{other}");
        }
    }
}
