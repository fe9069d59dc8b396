//! What every handler works with.

use std::sync::Arc;

use madake_domain::address::AddressPattern;
use madake_engine::Engine;

use crate::auth::guard::LoginGuard;

/// The application. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    trusted_proxies: Vec<AddressPattern>,
    guard: LoginGuard,
}

impl App {
    /// An application over an engine. Forwarding headers are believed from `trusted_proxies` alone.
    #[must_use]
    pub fn new(engine: Engine, trusted_proxies: Vec<AddressPattern>) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                trusted_proxies,
                guard: LoginGuard::new(),
            }),
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The address that links start with, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.engine.settings().base_url
    }

    pub(crate) fn trusted_proxies(&self) -> &[AddressPattern] {
        &self.inner.trusted_proxies
    }

    pub(crate) fn guard(&self) -> &LoginGuard {
        &self.inner.guard
    }
}
