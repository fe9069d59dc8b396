//! Settings of the client and options of single requests.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Certificate, Identity};
use thiserror::Error;

use crate::Secret;

/// Settings for all requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The proxy that all requests go through. None is ever taken from the environment.
    pub proxy: Option<ProxySettings>,
    /// For resolving the name, connecting and the TLS handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// From the start of the connection to the last byte of the answer. Default: 20 s (push-payloads.md B.4).
    pub total_timeout: Duration,
    /// Between two parts of the body of an answer. Default: 5 s.
    pub idle_timeout: Duration,
    /// How many bytes of the body of an answer are kept. Default: 64 KiB.
    pub kept_body: usize,
    /// Requests to one host and port at the same time. Default: 5 (push-payloads.md B.4).
    pub connections_per_host: usize,
    /// How long a request waits for one of these connections. Default: 20 s.
    pub queue_timeout: Duration,
    /// The `User-Agent` of requests that bring none of their own.
    pub user_agent: String,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(5),
            kept_body: 64 * 1024,
            connections_per_host: 5,
            queue_timeout: Duration::from_secs(20),
            user_agent: concat!("Madake/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// An HTTP proxy. Its own address is not checked: an administrator has set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// `http://host:port`, without user and password.
    pub url: String,
    /// User and password for the proxy.
    pub credentials: Option<(String, Secret)>,
}

/// Options of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// How the receiver is recognised, and how it recognises us.
    pub tls: TlsOptions,
    /// The `Authorization` header. It goes before user and password in the address, and behind a header of that name.
    pub authorization: Option<Authorization>,
    /// In place of [`ClientSettings::total_timeout`].
    pub total_timeout: Option<Duration>,
}

/// Credentials for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// User and password.
    Basic {
        /// The user; no colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// TLS options of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// Whether the certificate is verified: `sslVerificationRequired` (push-payloads.md B.4). Default: true.
    pub verify: bool,
    /// Certificates of authorities that are trusted besides those of the operating system, as PEM.
    pub extra_ca_pem: Option<String>,
    /// The client certificate with its chain, and its private key, as one PEM text.
    pub identity_pem: Option<Secret>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            verify: true,
            extra_ca_pem: None,
            identity_pem: None,
        }
    }
}

/// Options that no client can be made of. The texts hold nothing of the certificates and keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No certificate in the PEM text.
    #[error(
        "read the certificates of the extra authorities: there is none; give PEM blocks that begin with -----BEGIN CERTIFICATE-----"
    )]
    ExtraCa,
    /// No certificate with key in the PEM text.
    #[error(
        "read the client certificate: give one PEM text with the certificate, its chain and the private key without a password"
    )]
    Identity,
    /// The operating system has no certificates of authorities.
    #[error(
        "find trusted certificate authorities: this machine has none; install the package ca-certificates, set \
         SSL_CERT_FILE, or give the receiver an authority of its own"
    )]
    NoAuthorities,
    /// The address of the proxy.
    #[error(
        "read the address of the proxy; write [outgoing] proxy = \"http://host:port\", with user and password in settings of their own"
    )]
    Proxy,
    /// Anything else.
    #[error("prepare TLS: {0}")]
    Tls(String),
}

impl TlsOptions {
    /// Reads the certificates, for the moment at which somebody saves them.
    ///
    /// # Errors
    /// When there are none in the texts.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.authorities()?;
        self.identity()?;
        Ok(())
    }

    pub(super) fn apply(
        &self,
        builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, OptionsError> {
        let mut builder = builder.tls_danger_accept_invalid_certs(!self.verify);
        if let Some(authorities) = self.authorities()? {
            builder = builder.tls_certs_merge(authorities);
        }
        if let Some(identity) = self.identity()? {
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    fn authorities(&self) -> Result<Option<Vec<Certificate>>, OptionsError> {
        let Some(pem) = &self.extra_ca_pem else {
            return Ok(None);
        };
        match Certificate::from_pem_bundle(pem.as_bytes()) {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            Ok(_) | Err(_) => Err(OptionsError::ExtraCa),
        }
    }

    fn identity(&self) -> Result<Option<Identity>, OptionsError> {
        self.identity_pem
            .as_ref()
            .map(|pem| Identity::from_pem(pem.expose().as_bytes()).map_err(|_| OptionsError::Identity))
            .transpose()
    }
}

impl ProxySettings {
    /// Reads the address of the proxy.
    ///
    /// # Errors
    /// When it is not `http://host:port`, or has user and password in it.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.to_reqwest().map(|_| ())
    }

    pub(super) fn to_reqwest(&self) -> Result<reqwest::Proxy, OptionsError> {
        let url = reqwest::Url::parse(&self.url).map_err(|_| OptionsError::Proxy)?;
        let plain = url.scheme() == "http"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/");
        if !plain {
            return Err(OptionsError::Proxy);
        }
        let proxy = reqwest::Proxy::all(url).map_err(|_| OptionsError::Proxy)?;
        Ok(match &self.credentials {
            Some((user, password)) => proxy.basic_auth(user, password.expose()),
            None => proxy,
        })
    }
}

/// What a client could not be built for.
pub(super) fn not_built(error: &reqwest::Error) -> OptionsError {
    let mut deepest = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        deepest = cause.to_string();
        source = cause.source();
    }
    if deepest.contains("No CA certificates") {
        OptionsError::NoAuthorities
    } else {
        OptionsError::Tls(madake_domain::text::inert(&deepest, 200))
    }
}
