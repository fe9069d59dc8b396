//! The bounds that one client, one address and all of them together keep to.

use std::time::Duration;

/// Bounds of an [`SshServer`](crate::SshServer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time from one IPv4 address, or from one /64 of IPv6.
    pub max_connections_per_address: usize,
    /// How long a client may take to log in, from the connection on.
    pub login_time: Duration,
    /// Keys that a client may offer in one connection.
    pub max_key_tries: usize,
    /// How long each refusal of a key takes at least, so that its time says nothing about why.
    pub rejection_time: Duration,
    /// How long a connection may stay on which nothing runs.
    pub idle_connection: Duration,
    /// How long a running command may move no byte in either direction; it is ended within twice this time.
    pub idle_session: Duration,
    /// Commands at a time in one connection.
    pub max_channels: usize,
    /// A silent client is asked this often whether it is there; after four questions without answer it is gone.
    pub keep_alive: Duration,
    /// How long running commands get to finish once the server is to stop.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 500,
            max_connections_per_address: 50,
            login_time: Duration::from_secs(20),
            max_key_tries: 6,
            rejection_time: Duration::from_millis(100),
            idle_connection: Duration::from_secs(120),
            idle_session: Duration::from_secs(900),
            max_channels: 10,
            keep_alive: Duration::from_secs(30),
            stop_time: Duration::from_secs(30),
        }
    }
}
