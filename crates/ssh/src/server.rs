//! The server: one listener, many connections, one way to stop.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, kex};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::connection::{self, Shared};
use crate::gate::Gate;
use crate::host_keys::HostKeys;
use crate::limits::Limits;

/// How the server introduces itself; versions help only attackers.
const SERVER_ID: &str = "SSH-2.0-Madake";

/// Questions without answer after which a silent client is gone.
const KEEP_ALIVE_QUESTIONS: usize = 4;

/// How long the server waits after the system could not give it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An SSH server for git and hg.
pub struct SshServer {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
}

impl SshServer {
    /// A server that is known by `keys`, asks `gate` and keeps to `limits`, until `stop` is cancelled.
    #[must_use]
    pub fn new(keys: &HostKeys, gate: Arc<dyn Gate>, limits: Limits, stop: CancellationToken) -> Self {
        let protocol = Arc::new(protocol(keys, &limits));
        Self {
            shared: Arc::new(Shared {
                gate,
                limits,
                protocol,
                stop,
            }),
            admission: Arc::new(Admission::default()),
        }
    }

    /// Serves clients until the stop; then takes no more, lets running commands finish for
    /// [`Limits::stop_time`], and returns when the last connection has ended.
    pub async fn run(self, listener: TcpListener) {
        let connections = TaskTracker::new();
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(&connections, stream, peer),
                    Err(error) => {
                        tracing::warn!("SSH: cannot accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    fn take(&self, connections: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
        let place = match self.admission.admit(peer.ip(), &self.shared.limits) {
            Ok(place) => place,
            Err(sentence) => {
                tracing::info!(%peer, "SSH: refused a connection from {peer}: {sentence}");
                // Lines before the version are allowed (RFC 4253, 4.2). A full buffer is no reason to wait.
                let _: io::Result<usize> = stream.try_write(format!("{sentence}\r\n").as_bytes());
                return;
            }
        };
        let shared = Arc::clone(&self.shared);
        connections.spawn(async move {
            connection::serve(&shared, stream, peer).await;
            drop(place);
        });
    }
}

impl std::fmt::Debug for SshServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SshServer")
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

fn protocol(keys: &HostKeys, limits: &Limits) -> Config {
    Config {
        server_id: SshId::Standard(Cow::Borrowed(SERVER_ID)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: limits.rejection_time,
        // The first question of each client is which methods there are: nothing to hide.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![keys.key.clone()],
        // That first question counts as a try.
        max_auth_attempts: limits.max_key_tries + 1,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            key: Cow::Borrowed(KEYS),
            ..Preferred::DEFAULT
        },
        // Idleness is judged by what runs, see `connection` and `pump`.
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keep_alive),
        keepalive_max: KEEP_ALIVE_QUESTIONS,
        nodelay: true,
        ..Config::default()
    }
}

/// Without the large groups, with which a stranger could keep the processor busy.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Keys of users and of the server; RSA only with the newer signatures.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::SkEd25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];
