//! How a command reaches the server: `MADAKE_URL` with `MADAKE_TOKEN`, the socket in the home, or, when no server
//! runs there, the very same requests put straight into the router over the opened home.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use madake_engine::Engine;
use madake_engine::home::{Home, HomeError, HomeLock};
use madake_server::auth::LocalSocket;
use madake_server::base_url::base_url;
use madake_server::config::Configuration;
use madake_server::{App, build_router};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::{Handle, Runtime};
use tower::ServiceExt as _;

use crate::command::Global;

/// How long a server elsewhere may take for an answer. Linking a repository asks its host first.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server that starts, or another command, may have the home before commands give up.
const STARTING: Duration = Duration::from_secs(5);
/// How often to look meanwhile.
const REST: Duration = Duration::from_millis(20);
/// Characters of a path segment that stay as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A way to the server's own interface.
pub(crate) struct Connection {
    runtime: Runner,
    way: Way,
}

enum Runner {
    Own(Runtime),
    Shared(Handle),
}

enum Way {
    Remote {
        client: reqwest::Client,
        base: String,
        token: Option<String>,
    },
    Socket(PathBuf),
    Here {
        router: Router,
        _lock: Option<HomeLock>,
    },
}

/// A path under `/rest/madake/1.0/` and its query.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    path: String,
    query: String,
}

/// The resource with these path segments.
pub(crate) fn at(segments: &[&str]) -> Target {
    let mut path = String::from("/rest/madake/1.0");
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    Target {
        path,
        query: String::new(),
    }
}

impl Target {
    /// Adds a query parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query = form_urlencoded::Serializer::new(self.query)
            .append_pair(name, value)
            .finish();
        self
    }

    fn text(self) -> String {
        if self.query.is_empty() {
            self.path
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }
}

impl Connection {
    /// The server of the home or of `MADAKE_URL`; without one, the home itself.
    ///
    /// # Errors
    /// When the home is used by a server that does not answer, or cannot be opened.
    pub(crate) fn open(global: &Global) -> anyhow::Result<Self> {
        Self::connect(global, true)
    }

    /// As [`Self::open`], for commands that look at things: a home that is not there is not made.
    ///
    /// # Errors
    /// As [`Self::open`], and when there is no home.
    pub(crate) fn look(global: &Global) -> anyhow::Result<Self> {
        Self::connect(global, false)
    }

    /// A server that runs.
    ///
    /// # Errors
    /// With a sentence that says that `what` needs one, when none runs.
    pub(crate) fn running(global: &Global, what: &str) -> anyhow::Result<Self> {
        match find(global)? {
            Found::Running(way) => Ok(Self {
                runtime: Runner::Own(small_runtime()?),
                way,
            }),
            Found::NoHome | Found::Idle(..) => bail!(
                "no server runs in {}, and {what} needs one; start it with `madake serve`",
                global.home.display()
            ),
        }
    }

    /// The server of this very process; `runtime` is the one that it runs on.
    pub(crate) fn within(app: &App, runtime: Handle) -> Self {
        Self {
            runtime: Runner::Shared(runtime),
            way: Way::Here {
                router: build_router(app),
                _lock: None,
            },
        }
    }

    fn connect(global: &Global, make: bool) -> anyhow::Result<Self> {
        let runtime = small_runtime()?;
        let (home, lock) = match find(global)? {
            Found::Running(way) => {
                return Ok(Self {
                    runtime: Runner::Own(runtime),
                    way,
                });
            }
            Found::Idle(home, lock) => (home, lock),
            Found::NoHome if make => {
                let home = Home::open(&global.home)?;
                let lock = home.lock()?;
                (home, lock)
            }
            Found::NoHome => bail!(
                "there is no Madake home at {}; name it with --home, or make one with `madake serve`",
                global.home.display()
            ),
        };
        // Opening the engine starts nothing, but its parts are made for a runtime.
        let way = runtime.block_on(async { here(home, lock) })?;
        Ok(Self {
            runtime: Runner::Own(runtime),
            way,
        })
    }

    /// Whether a server is there that carries out what is stored.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.way, Way::Here { _lock: Some(_), .. })
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// With the server's sentence when it refuses.
    pub(crate) fn get(&self, target: Target) -> anyhow::Result<Value> {
        self.ask(Method::GET, target, None)
    }

    /// Posts to a resource.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn post(&self, target: Target, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, target, Some(body))
    }

    /// Puts a resource.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn put(&self, target: Target, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::PUT, target, Some(body))
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn delete(&self, target: Target) -> anyhow::Result<Value> {
        self.ask(Method::DELETE, target, None)
    }

    fn ask(&self, method: Method, target: Target, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).context("the request cannot be written")?,
            None => Vec::new(),
        };
        let sending = self.send(method, target.text(), body);
        let (status, bytes) = match &self.runtime {
            Runner::Own(runtime) => runtime.block_on(sending),
            Runner::Shared(handle) => handle.block_on(sending),
        }?;
        let value: Value = if bytes.is_empty() {
            Value::Object(serde_json::Map::new())
        } else {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        };
        if status.is_success() {
            return Ok(value);
        }
        let told = value.get("message").and_then(Value::as_str);
        let sentence = told.map_or_else(|| format!("the server answered {status}"), str::to_owned);
        if status == StatusCode::UNAUTHORIZED && matches!(self.way, Way::Remote { token: None, .. }) {
            bail!("{sentence} (set MADAKE_TOKEN to an access token)");
        }
        bail!("{sentence}")
    }

    async fn send(
        &self,
        method: Method,
        target: String,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        match &self.way {
            Way::Remote { client, base, token } => {
                let mut request = client.request(method, format!("{base}{target}"));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let answer = request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body)
                    .send()
                    .await
                    .with_context(|| format!("the server at {base} does not answer"))?;
                let status = answer.status();
                let bytes = answer.bytes().await.context("the answer ended early")?;
                Ok((status, bytes))
            }
            Way::Socket(path) => over_socket(path, method, &target, body).await,
            Way::Here { router, .. } => {
                let mut request = request(method, &target, Body::from(body))?;
                request.extensions_mut().insert(LocalSocket);
                let answer = router
                    .clone()
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {});
                let status = answer.status();
                let bytes = answer
                    .into_body()
                    .collect()
                    .await
                    .context("the answer ended early")?;
                Ok((status, bytes.to_bytes()))
            }
        }
    }
}

/// One request over the local socket.
///
/// # Errors
/// When nobody answers there.
pub(crate) async fn over_socket(
    path: &Path,
    method: Method,
    target: &str,
    body: Vec<u8>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let silent = || format!("the server at {} does not answer", path.display());
    let stream = UnixStream::connect(path).await.with_context(silent)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .with_context(silent)?;
    let carried = tokio::spawn(connection);
    let answer = sender
        .send_request(request(method, target, Full::new(Bytes::from(body)))?)
        .await
        .with_context(silent)?;
    let status = answer.status();
    let bytes = answer
        .into_body()
        .collect()
        .await
        .context("the answer ended early")?;
    drop(sender);
    carried.abort();
    Ok((status, bytes.to_bytes()))
}

/// A runtime for one command.
///
/// # Errors
/// When the system gives no runtime.
pub(crate) fn small_runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Where the socket of a home is.
pub(crate) fn socket_of(home: &Path) -> PathBuf {
    home.join("madake.sock")
}

fn request<B>(method: Method, target: &str, body: B) -> anyhow::Result<Request<B>> {
    Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .body(body)
        .context("the request cannot be written")
}

const USER_AGENT: &str = concat!("madake/", env!("CARGO_PKG_VERSION"));

/// What is at the place that commands are to work on.
enum Found {
    Running(Way),
    Idle(Home, HomeLock),
    NoHome,
}

/// Looks for a server. One that has the home and no socket yet is just starting, and is waited for.
fn find(global: &Global) -> anyhow::Result<Found> {
    if let Some(base) = variable("MADAKE_URL") {
        return Ok(Found::Running(remote(&base)?));
    }
    let began = Instant::now();
    loop {
        if let Some(way) = socket_way(&global.home)? {
            return Ok(Found::Running(way));
        }
        if !global.home.exists() {
            return Ok(Found::NoHome);
        }
        let home = Home::open(&global.home)?;
        match home.lock() {
            Ok(lock) => return Ok(Found::Idle(home, lock)),
            Err(HomeError::InUse { .. }) if began.elapsed() < STARTING => std::thread::sleep(REST),
            Err(error) => return Err(error.into()),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn remote(base: &str) -> anyhow::Result<Way> {
    let client = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .timeout(PATIENCE)
        // A redirection would carry the token to who knows where.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot prepare for HTTPS")?;
    Ok(Way::Remote {
        client,
        base: base.trim_end_matches('/').to_owned(),
        token: variable("MADAKE_TOKEN"),
    })
}

fn socket_way(home: &Path) -> anyhow::Result<Option<Way>> {
    let path = socket_of(home);
    match std::os::unix::net::UnixStream::connect(&path) {
        Ok(_) => Ok(Some(Way::Socket(path))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the socket {} cannot be used", path.display())),
    }
}

/// Opens the home in this process, without the loops that carry out what is stored.
fn here(home: Home, lock: HomeLock) -> anyhow::Result<Way> {
    let configuration = Configuration::load(&home.configuration(), std::env::vars())?;
    let base_url = base_url(&configuration.server.base_url, configuration.listen()?);
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let engine = Engine::open(home, configuration.settings(&base_url, program)?)?;
    let app = App::new(engine, configuration.trusted_proxies()?);
    Ok(Way::Here {
        router: build_router(&app),
        _lock: Some(lock),
    })
}
