//! One client's side of the protocol: who it is, and which of its requests become sessions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::keys::{Algorithm, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::{self, CommandError};
use crate::gate::{Gate, Identity, KeyAttempt, OfferedKey, OpenRequest, Refusal};
use crate::limits::Limits;
use crate::pump;
use crate::session::Session;

/// Longest user name that the gate is asked about, in bytes.
const MAX_USER_NAME: usize = 200;

/// Longest `GIT_PROTOCOL` that is passed on, in bytes.
const MAX_GIT_PROTOCOL: usize = 100;

/// What the rest of the connection must know of its client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Whether the client has logged in.
    pub(crate) logged_in: bool,
    /// Commands that run.
    pub(crate) running: usize,
}

/// The handler of one connection.
pub(crate) struct Client {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) limits: Limits,
    pub(crate) peer: SocketAddr,
    pub(crate) progress: watch::Sender<Progress>,
    /// Cancelled when the connection has ended.
    pub(crate) gone: CancellationToken,
    /// The commands of this connection.
    pub(crate) tasks: TaskTracker,
    pub(crate) identity: Option<Identity>,
    pub(crate) channels: HashMap<ChannelId, OpenChannel>,
}

/// A channel, before and while its command runs.
pub(crate) struct OpenChannel {
    /// The channel itself, until a command takes it.
    waiting: Option<Channel<Msg>>,
    git_protocol: Option<String>,
    /// Cancelled when the client has closed the channel, or its command has ended.
    gone: CancellationToken,
}

impl Client {
    async fn identify(
        &self,
        user_name: &str,
        key: &PublicKey,
        algorithm: &Algorithm,
        proved: bool,
    ) -> Option<Identity> {
        let legacy = matches!(algorithm, Algorithm::Rsa { hash: None });
        if legacy || user_name.len() > MAX_USER_NAME {
            return None;
        }
        let attempt = KeyAttempt {
            user_name: user_name.to_owned(),
            key: OfferedKey::of(key),
            proved,
            peer: self.peer,
        };
        self.gate.authenticate(&attempt).await
    }

    fn refused(&self, what: &str) {
        let name = self.identity.as_ref().map_or("nobody", Identity::name);
        tracing::info!(peer = %self.peer, "SSH: refused {name} from {}: {what}", self.peer);
        self.gate.refused(self.identity.as_ref(), self.peer, what);
    }

    /// Serves `session` on the channel. False if the channel has a command already.
    fn start(&mut self, id: ChannelId, opening: impl Future<Output = Session> + Send + 'static) -> bool {
        let Some(open) = self.channels.get_mut(&id) else {
            return false;
        };
        let Some(channel) = open.waiting.take() else {
            return false;
        };
        let gone = open.gone.clone();
        let idle = self.limits.idle_session;
        let progress = self.progress.clone();
        progress.send_modify(|progress| progress.running += 1);
        self.tasks.spawn(async move {
            let running = Running { progress, gone };
            let session = tokio::select! {
                session = opening => session,
                () = running.gone.cancelled() => return,
            };
            pump::run(channel, session, idle, &running.gone).await;
        });
        true
    }

    /// Answers a request for something that there is not here.
    fn refuse_request(
        &self,
        id: ChannelId,
        session: &mut russh::server::Session,
        what: &str,
    ) -> Result<(), russh::Error> {
        self.refused(what);
        session.channel_failure(id)
    }
}

/// A command that counts as running until this is dropped.
struct Running {
    progress: watch::Sender<Progress>,
    gone: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gone.cancel();
        self.progress.send_modify(|progress| progress.running -= 1);
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let identity = self
            .identify(user, offer.public_key, offer.algorithm, false)
            .await;
        Ok(identity.map_or_else(Auth::reject, |_| Auth::Accept))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.identity = self.identify(user, key.public_key, key.algorithm, true).await;
        Ok(self.identity.as_ref().map_or_else(Auth::reject, |_| Auth::Accept))
    }

    async fn auth_succeeded(&mut self, _: &mut russh::server::Session) -> Result<(), Self::Error> {
        self.progress.send_modify(|progress| progress.logged_in = true);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.channels.retain(|_, open| !open.gone.is_cancelled());
        if self.channels.len() >= self.limits.max_channels {
            self.refused("more channels in one connection than are allowed");
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let open = OpenChannel {
            git_protocol: None,
            gone: self.gone.child_token(),
            waiting: None,
        };
        let id = channel.id();
        let waiting = Some(channel);
        self.channels.insert(id, OpenChannel { waiting, ..open });
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if let Some(open) = self.channels.remove(&id) {
            open.gone.cancel();
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let Some(identity) = self.identity.clone() else {
            return session.channel_failure(id);
        };
        let git_protocol = self.channels.get(&id).and_then(|open| open.git_protocol.clone());
        let started = match command::parse(line) {
            Ok(command) => {
                let request = OpenRequest {
                    service: command.service,
                    path: command.path,
                    git_protocol,
                    peer: self.peer,
                };
                let gate = Arc::clone(&self.gate);
                self.start(id, async move {
                    let opened = gate.open(&identity, request).await;
                    opened.unwrap_or_else(|Refusal(sentence)| Session::sentence(&sentence, 1))
                })
            }
            Err(error) => {
                if error != CommandError::LfsTransfer {
                    self.refused(&format!("a command: {error}"));
                }
                self.start(id, async move { Session::sentence(&error.to_string(), 1) })
            }
        };
        if started {
            session.channel_success(id)
        } else {
            session.channel_failure(id)
        }
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let name = self.identity.as_ref().map_or("stranger", Identity::name);
        let sentence = format!("Hi {name}, you are authenticated, but there is no shell here.");
        self.refused("a shell");
        if self.start(id, async move { Session::sentence(&sentence, 1) }) {
            session.channel_success(id)
        } else {
            session.channel_failure(id)
        }
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let plain = value.len() <= MAX_GIT_PROTOCOL
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"=:.-_".contains(&byte));
        match self.channels.get_mut(&id) {
            Some(open) if name == "GIT_PROTOCOL" && plain => {
                open.git_protocol = Some(value.to_owned());
                session.channel_success(id)
            }
            // Clients send their language and more unasked: nothing to write down.
            _ => session.channel_failure(id),
        }
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse_request(id, session, "a subsystem")
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse_request(id, session, "a terminal")
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refuse_request(id, session, "X11 forwarding")
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn agent_request(
        &mut self,
        _: ChannelId,
        _: &mut russh::server::Session,
    ) -> Result<bool, Self::Error> {
        self.refused("agent forwarding");
        Ok(false)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refused("port forwarding");
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.refused("socket forwarding");
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        _: &str,
        _: &mut u32,
        _: &mut russh::server::Session,
    ) -> Result<bool, Self::Error> {
        self.refused("remote port forwarding");
        Ok(false)
    }

    async fn streamlocal_forward(
        &mut self,
        _: &str,
        _: &mut russh::server::Session,
    ) -> Result<bool, Self::Error> {
        self.refused("remote socket forwarding");
        Ok(false)
    }
}
