//! The HTTP client for addresses that users name.
//!
//! The guard stands where the connection is made: names are resolved by a resolver that hands on checked addresses
//! only, so that what was checked is what is connected to (hostile-inputs.md O2). Redirects are not followed (O3), no
//! proxy is taken from the environment, and an answer is cut by size and time (O6).
//!
//! With a configured proxy the target is checked in the same way before each request (O4); but the proxy resolves the
//! name once more, so it should refuse internal addresses too.

mod failure;
mod options;
mod request;
mod resolver;
mod retry_after;
mod stopwatch;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use madake_domain::delivery::{ErrorKind, RetryAfter};
use reqwest::redirect;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::guard::{AddressPolicy, Target, TargetHost};

pub use failure::Failure;
pub use options::{Authorization, ClientSettings, OptionsError, ProxySettings, RequestOptions, TlsOptions};
pub use request::Request;
pub use resolver::{Resolve, Resolving, SystemResolver};
pub use retry_after::parse_retry_after;
pub use stopwatch::Timings;

use resolver::GuardedResolver;
use stopwatch::{ConnectTimer, STOPWATCH, Stopwatch};

/// The most headers that an answer may have.
pub const MOST_ANSWER_HEADERS: usize = 100;

/// How many clients with TLS options of their own are kept.
const MOST_CLIENTS: usize = 128;

/// How long an idle connection is kept. Shorter than the five seconds after which common servers close one: a request
/// that meets the closing would fail for nothing.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// How many hosts are remembered before those without a request are forgotten.
const MOST_HOSTS: usize = 1024;

/// Sends requests to checked addresses. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ClientSettings,
    policy: Arc<AddressPolicy>,
    resolver: Arc<dyn Resolve>,
    clients: Mutex<HashMap<ClientKey, (reqwest::Client, Instant)>>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Plain requests need no TLS options, so they share one client.
#[derive(Clone, PartialEq, Eq, Hash)]
enum ClientKey {
    Plain,
    Tls(TlsOptions),
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The headers in the order received; bytes that are no text are replaced.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, at most [`ClientSettings::kept_body`] bytes. It may reflect secrets that were sent:
    /// show it only to those who may administer the receiver (hostile-inputs.md O7).
    pub body_start: Vec<u8>,
    /// How reading the body ended. It does not change what the status means.
    pub body_end: BodyEnd,
    /// What `Retry-After` asked for.
    pub retry_after: Option<RetryAfter>,
    /// How long it took.
    pub timings: Timings,
    /// The address that was connected to: that of the proxy, if there is one.
    pub remote_address: Option<IpAddr>,
}

/// How reading a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// All of it has been read.
    Complete,
    /// It was longer than what is kept; the rest was not read.
    TooLong,
    /// It came too slowly; the rest was not waited for.
    TooSlow,
    /// The connection broke.
    Broken,
}

impl Client {
    /// A client that resolves names as the operating system does.
    #[must_use]
    pub fn new(policy: AddressPolicy, settings: ClientSettings) -> Self {
        Self::with_resolver(policy, settings, Arc::new(SystemResolver))
    }

    /// A client with a resolver of one's own. What it answers is checked all the same.
    #[must_use]
    pub fn with_resolver(
        policy: AddressPolicy,
        settings: ClientSettings,
        resolver: Arc<dyn Resolve>,
    ) -> Self {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Losing a race to another thread leaves the same provider in place.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Self {
            shared: Arc::new(Shared {
                settings,
                policy: Arc::new(policy),
                resolver,
                clients: Mutex::new(HashMap::new()),
                hosts: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// Checks an address as [`Client::send`] will, the addresses of its name included, without sending anything: for
    /// the moment at which somebody saves it.
    ///
    /// # Errors
    /// When requests may not go there, or the name cannot be resolved.
    pub async fn check(&self, url: &str) -> Result<Target, Failure> {
        let target = self.shared.policy.check_url(url).map_err(Failure::refused)?;
        self.check_name(&target).await?;
        Ok(target)
    }

    /// Sends a request and waits for the answer. Nothing is retried, and redirects are answers.
    ///
    /// # Errors
    /// When there was no answer, or nothing was sent; the sentence is for the owner of the receiver and holds neither
    /// secrets nor the path of the address.
    pub async fn send(&self, request: Request) -> Result<Outcome, Failure> {
        let watch = Stopwatch::start();
        let attempt = Box::pin(self.attempt(request, &watch));
        STOPWATCH
            .scope(Arc::clone(&watch), attempt)
            .await
            .map_err(|failure| failure.after(watch.timings()))
    }

    async fn attempt(&self, request: Request, watch: &Stopwatch) -> Result<Outcome, Failure> {
        let settings = &self.shared.settings;
        let target = self
            .shared
            .policy
            .check_url(&request.url)
            .map_err(Failure::refused)?;
        let total = request.options.total_timeout.unwrap_or(settings.total_timeout);
        let tls = request.options.tls.clone();
        let prepared = request.prepare(&target, &settings.user_agent)?;
        let _place = self.place(&target).await?;
        watch.queued();
        let deadline = Instant::now() + total;
        let too_slow = || {
            Failure::new(
                ErrorKind::Timeout,
                format!("{} did not answer within {}", target.shown(), seconds(total)),
            )
        };
        if settings.proxy.is_some() {
            timeout_at(deadline, self.check_name(&target))
                .await
                .map_err(|_| too_slow())??;
        }
        let client = self.client(&target, tls).await?;
        let response = timeout_at(deadline, client.execute(prepared))
            .await
            .map_err(|_| too_slow())?
            .map_err(|error| Failure::of_request(&error, &target, settings.connect_timeout))?;
        watch.first_byte();
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| parse_retry_after(value.to_str().ok()?));
        let status = response.status().as_u16();
        let remote_address = response.remote_addr().map(|address| address.ip());
        let (body_start, body_end) = self.read_body(response, deadline).await;
        tracing::debug!(http.status = status, host = %target.host(), "receiver answered {status}");
        Ok(Outcome {
            status,
            headers,
            body_start,
            body_end,
            retry_after,
            timings: watch.timings(),
            remote_address,
        })
    }

    async fn read_body(&self, mut response: reqwest::Response, deadline: Instant) -> (Vec<u8>, BodyEnd) {
        let settings = &self.shared.settings;
        let mut kept = Vec::new();
        loop {
            let until = deadline.min(Instant::now() + settings.idle_timeout);
            match timeout_at(until, response.chunk()).await {
                Err(_) => return (kept, BodyEnd::TooSlow),
                Ok(Err(_)) => return (kept, BodyEnd::Broken),
                Ok(Ok(None)) => return (kept, BodyEnd::Complete),
                Ok(Ok(Some(chunk))) => {
                    let room = settings.kept_body - kept.len();
                    kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        return (kept, BodyEnd::TooLong);
                    }
                }
            }
        }
    }

    /// Resolves the name of a target, and fails when none of its addresses will do. Hosts that the configuration
    /// names are not resolved: behind a proxy there may be nobody to ask.
    async fn check_name(&self, target: &Target) -> Result<(), Failure> {
        let TargetHost::Name(name) = target.host() else {
            return Ok(());
        };
        if self.shared.policy.allows_name(name) {
            return Ok(());
        }
        let resolved = timeout(
            self.shared.settings.connect_timeout,
            self.shared.resolver.resolve(name.clone()),
        )
        .await;
        let addresses = match resolved {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            Ok(Ok(_)) => return Err(Failure::unresolved(name, "it has no addresses")),
            Ok(Err(error)) => return Err(Failure::unresolved(name, &error.to_string())),
            Err(_) => return Err(Failure::unresolved(name, "no name server answered in time")),
        };
        self.shared
            .policy
            .check_resolved(name, &addresses)
            .map(|_| ())
            .map_err(Failure::refused)
    }

    /// Waits for one of the connections that a host may have.
    async fn place(&self, target: &Target) -> Result<OwnedSemaphorePermit, Failure> {
        let settings = &self.shared.settings;
        let host = format!("{}:{}", target.host(), target.port());
        let places = {
            let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if hosts.len() >= MOST_HOSTS {
                hosts.retain(|_, places| Arc::strong_count(places) > 1);
            }
            let most = settings.connections_per_host.max(1);
            Arc::clone(
                hosts
                    .entry(host)
                    .or_insert_with(|| Arc::new(Semaphore::new(most))),
            )
        };
        match timeout(settings.queue_timeout, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Failure::new(
                ErrorKind::Busy,
                format!(
                    "all {} connections to {} were in use for {}; nothing was sent",
                    settings.connections_per_host.max(1),
                    target.host(),
                    seconds(settings.queue_timeout)
                ),
            )),
        }
    }

    async fn client(&self, target: &Target, tls: TlsOptions) -> Result<reqwest::Client, Failure> {
        let key = match target.url().scheme() {
            "https" => ClientKey::Tls(tls),
            _ => ClientKey::Plain,
        };
        {
            let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((client, used)) = clients.get_mut(&key) {
                *used = Instant::now();
                return Ok(client.clone());
            }
        }
        let shared = Arc::clone(&self.shared);
        let wanted = key.clone();
        // Reading the certificates of the system takes some milliseconds.
        let client = tokio::task::spawn_blocking(move || shared.build(&wanted))
            .await
            .map_err(|_| Failure::new(ErrorKind::Request, "the server is stopping".to_owned()))?
            .map_err(|error| Failure::new(ErrorKind::Request, error.to_string()))?;
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST_CLIENTS {
            let oldest = clients
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                clients.remove(&oldest);
            }
        }
        clients.insert(key, (client.clone(), Instant::now()));
        Ok(client)
    }
}

impl Shared {
    fn build(&self, key: &ClientKey) -> Result<reqwest::Client, OptionsError> {
        let settings = &self.settings;
        let names = GuardedResolver {
            policy: Arc::clone(&self.policy),
            resolver: Arc::clone(&self.resolver),
            // All connections go to the proxy then, whose name an administrator has set.
            trusts_names: settings.proxy.is_some(),
        };
        let mut builder = reqwest::Client::builder()
            .dns_resolver(Arc::new(names))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .http1_only()
            .http1_max_headers(MOST_ANSWER_HEADERS)
            .connect_timeout(settings.connect_timeout)
            .connector_layer(ConnectTimer)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(settings.connections_per_host.max(1));
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(proxy.to_reqwest()?);
        }
        builder = match key {
            ClientKey::Plain => builder.tls_certs_only([]),
            ClientKey::Tls(tls) => tls.apply(builder)?,
        };
        builder.build().map_err(|error| options::not_built(&error))
    }
}

/// A duration for sentences.
fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        whole if whole % 1000 == 0 => format!("{} s", whole / 1000),
        millis => format!("{millis} ms"),
    }
}
