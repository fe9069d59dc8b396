//! From names to addresses that may be connected to.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns;
use thiserror::Error;
use tokio::time::Instant;

use super::stopwatch::STOPWATCH;
use crate::guard::AddressPolicy;

/// What a resolver returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host name.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, the preferred first.
    ///
    /// # Errors
    /// When the name is unknown, or nobody can be asked.
    fn resolve(&self, name: String) -> Resolving;
}

/// Resolves as the operating system does: hosts file, name servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: String) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// A name without addresses. The reason is that of the resolver.
#[derive(Debug, Error)]
#[error("{reason}")]
pub(super) struct Unresolved {
    pub(super) reason: String,
}

/// Hands on what the policy lets pass, and nothing else: connections are made to these addresses.
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<AddressPolicy>,
    pub(super) resolver: Arc<dyn Resolve>,
    /// Whether the names are those of the configuration, so that any address will do.
    pub(super) trusts_names: bool,
}

impl dns::Resolve for GuardedResolver {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        let policy = Arc::clone(&self.policy);
        let trusts_names = self.trusts_names;
        let lookup = self.resolver.resolve(name.clone());
        Box::pin(async move {
            let began = Instant::now();
            let addresses = lookup.await.map_err(|error| Unresolved {
                reason: error.to_string(),
            })?;
            // A connection that is finished in the background has nobody who measures it.
            let _ = STOPWATCH.try_with(|watch| watch.resolved(began.elapsed()));
            if addresses.is_empty() {
                let reason = "it has no addresses".to_owned();
                return Err(Unresolved { reason }.into());
            }
            let checked = if trusts_names {
                addresses
            } else {
                policy.check_resolved(&name, &addresses)?
            };
            let addresses: dns::Addrs =
                Box::new(checked.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
