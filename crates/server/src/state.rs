//! What every handler works with.

use std::sync::Arc;

use madake_domain::address::AddressPattern;
use madake_engine::Engine;
use madake_vcs::git::smart_http::front::Front;

use crate::auth::guard::LoginGuard;

/// The application. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
    /// `ssh://git@HOST:PORT`, where SSH is served.
    ssh_address: Option<Arc<str>>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    trusted_proxies: Vec<AddressPattern>,
    guard: LoginGuard,
    git_front: Front,
}

impl App {
    /// An application over an engine. Forwarding headers are believed from `trusted_proxies` alone.
    #[must_use]
    pub fn new(engine: Engine, trusted_proxies: Vec<AddressPattern>) -> Self {
        let git_front = Front::new(engine.reader().clone());
        Self {
            inner: Arc::new(Inner {
                engine,
                trusted_proxies,
                guard: LoginGuard::new(),
                git_front,
            }),
            ssh_address: None,
        }
    }

    /// The same application, where SSH is served at `address`, such as `ssh://git@ci.example.org:7999`.
    #[must_use]
    pub fn with_ssh(mut self, address: Option<&str>) -> Self {
        self.ssh_address = address.map(Arc::from);
        self
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

    /// What clone addresses for SSH start with, without a slash at the end; none where SSH is not served.
    pub(crate) fn ssh_address(&self) -> Option<&str> {
        self.ssh_address.as_deref()
    }

    pub(crate) fn trusted_proxies(&self) -> &[AddressPattern] {
        &self.inner.trusted_proxies
    }

    /// What answers git clients before git does.
    pub(crate) fn git_front(&self) -> &Front {
        &self.inner.git_front
    }

    pub(crate) fn guard(&self) -> &LoginGuard {
        &self.inner.guard
    }
}
