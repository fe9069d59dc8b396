//! `[outgoing]`: where requests may go that users asked for, and how they are made.

use madake_outgoing::client::{ClientSettings, ProxySettings};
use madake_outgoing::guard::{AddressPolicy, Allowed};
use serde::Deserialize;

use super::ConfigError;

/// Requests to addresses that users name: webhooks and brokers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OutgoingSection {
    /// Private networks (`10.0.0.0/8`) and hosts (`ci.internal`, `*.corp.example`) that requests may go to.
    pub allow: Vec<String>,
    /// Ports that requests may go to although they are those of other protocols.
    pub allow_ports: Vec<u16>,
    /// The proxy that requests go through, `http://host:port`; empty: none.
    pub proxy: String,
    /// How long an answer may take, in seconds, where the receiver says nothing.
    pub timeout_seconds: u64,
    /// How many requests go to one host at once.
    pub connections_per_host: usize,
}

impl Default for OutgoingSection {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_ports: Vec::new(),
            proxy: String::new(),
            timeout_seconds: 20,
            connections_per_host: 5,
        }
    }
}

impl OutgoingSection {
    /// Where requests may go.
    ///
    /// # Errors
    /// When an entry is neither a network nor a host.
    pub(super) fn policy(&self) -> Result<AddressPolicy, ConfigError> {
        let allow = self.allow.iter().map(|entry| {
            entry.parse::<Allowed>().map_err(|error| ConfigError {
                place: "outgoing.allow".into(),
                problem: error.to_string(),
            })
        });
        Ok(AddressPolicy {
            allow: allow.collect::<Result<_, _>>()?,
            allow_ports: self.allow_ports.clone(),
            ..AddressPolicy::default()
        })
    }

    /// How they are made.
    pub(super) fn client(&self) -> ClientSettings {
        ClientSettings {
            proxy: (!self.proxy.is_empty()).then(|| ProxySettings {
                url: self.proxy.clone(),
                credentials: None,
            }),
            total_timeout: std::time::Duration::from_secs(self.timeout_seconds.clamp(1, 120)),
            connections_per_host: self.connections_per_host.max(1),
            ..ClientSettings::default()
        }
    }
}
