//! How long the parts of a request take.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower::{Layer, Service};

tokio::task_local! {
    /// The stopwatch of the request that this task sends.
    pub(super) static STOPWATCH: Arc<Stopwatch>;
}

/// How long a request took. Parts that did not happen are `None`: a connection that was kept open needs no name and
/// no handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a free connection to the host. Not part of the others.
    pub queue: Duration,
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Connecting, the TLS handshake included.
    pub connect: Option<Duration>,
    /// From the start to the head of the answer.
    pub first_byte: Option<Duration>,
    /// From the start to the end.
    pub total: Duration,
}

pub(super) struct Stopwatch {
    entered: Instant,
    laps: Mutex<Laps>,
}

#[derive(Default)]
struct Laps {
    began: Option<Instant>,
    dns: Option<Duration>,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
}

impl Stopwatch {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self {
            entered: Instant::now(),
            laps: Mutex::default(),
        })
    }

    /// The request has its place and begins.
    pub(super) fn queued(&self) {
        self.with(|laps| laps.began = Some(Instant::now()));
    }

    pub(super) fn resolved(&self, took: Duration) {
        self.with(|laps| laps.dns = Some(took));
    }

    pub(super) fn first_byte(&self) {
        self.with(|laps| laps.first_byte = laps.began.map(|began| began.elapsed()));
    }

    pub(super) fn timings(&self) -> Timings {
        self.with(|laps| Timings {
            queue: laps
                .began
                .map_or_else(|| self.entered.elapsed(), |began| began - self.entered),
            dns: laps.dns,
            connect: laps.connect,
            first_byte: laps.first_byte,
            total: laps.began.map_or(Duration::ZERO, |began| began.elapsed()),
        })
    }

    fn connected(&self, took: Duration) {
        self.with(|laps| {
            laps.connect = Some(took.saturating_sub(laps.dns.unwrap_or_default()));
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Laps) -> T) -> T {
        work(&mut self.laps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Measures how long connections take to come about.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectTimer;

#[derive(Debug, Clone)]
pub(super) struct TimedConnector<S> {
    inner: S,
}

impl<S> Layer<S> for ConnectTimer {
    type Service = TimedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TimedConnector { inner }
    }
}

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let began = Instant::now();
            let connection = connecting.await?;
            // A connection that is finished in the background has nobody who measures it.
            let _ = STOPWATCH.try_with(|watch| watch.connected(began.elapsed()));
            Ok(connection)
        })
    }
}
