//! Requests to a container engine over its local socket, one connection for each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// Where engines listen by themselves, besides what `XDG_RUNTIME_DIR` says.
const USUAL_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The most that an answer may have; lists of containers and descriptions are far smaller.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How long an answer may take that is not a stream.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);

/// Why a container engine did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ContainerError {
    /// There is no engine.
    #[error("{0}")]
    NoEngine(String),
    /// The engine does not answer.
    #[error("the container engine at {} does not answer: {reason}", socket.display())]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The engine refuses.
    #[error("the container engine cannot {action}: {message}")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// What it is that it says.
        message: String,
        /// The status of its answer.
        status: StatusCode,
    },
}

impl ContainerError {
    /// Whether the thing is in another state, or its name is taken.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::CONFLICT)
    }

    /// Whether the thing that was asked about is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }
}

/// A container engine.
#[derive(Debug, Clone)]
pub(crate) struct ContainerEngine {
    socket: PathBuf,
}

impl ContainerEngine {
    /// The engine that `DOCKER_HOST` names, else the one that listens at a usual place.
    pub(crate) fn find() -> Result<Self, ContainerError> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self::of(&host, runtime.as_deref())
    }

    /// The engine with this socket.
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    fn of(host: &str, runtime: Option<&Path>) -> Result<Self, ContainerError> {
        if !host.is_empty() {
            return match host.strip_prefix("unix://") {
                Some(path) => Ok(Self::at(path)),
                None => Err(ContainerError::NoEngine(format!(
                    "DOCKER_HOST is `{host}`, but the workspace of a job can be mounted by an engine of this machine \
                     only: set it to unix:///path/of/docker.sock"
                ))),
            };
        }
        let own = runtime.map(|folder| [folder.join("docker.sock"), folder.join("podman/podman.sock")]);
        let usual = USUAL_SOCKETS.iter().map(PathBuf::from);
        let found = usual.chain(own.into_iter().flatten()).find(|path| path.exists());
        found.map(Self::at).ok_or_else(|| {
            ContainerError::NoEngine(format!(
                "no container engine runs on this machine: there is no socket at {}; install Docker or Podman, or set \
                 DOCKER_HOST in the server's environment",
                USUAL_SOCKETS.join(" or ")
            ))
        })
    }

    /// The engine's socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks and reads the whole answer; null where it has no JSON.
    pub(crate) async fn ask(
        &self,
        action: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ContainerError> {
        let answer = tokio::time::timeout(LONGEST_ANSWER, async {
            let response = self.open(action, method, path, body).await?;
            self.read(response).await
        });
        let bytes = answer.await.unwrap_or_else(|_| {
            Err(self.unreachable(format!("no answer within {} seconds", LONGEST_ANSWER.as_secs())))
        })?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Asks and leaves the answer's body to be read as it comes.
    pub(crate) async fn open(
        &self,
        action: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, ContainerError> {
        let failed = |error: &dyn std::fmt::Display| self.unreachable(error.to_string());
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| failed(&e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        // It ends with the answer; what goes wrong on the way is seen by whoever reads that.
        tokio::spawn(connection);
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| failed(&error))?;
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let status = response.status();
        // 304: the container is in that state already.
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let said = self.read(response).await?;
        let message = serde_json::from_slice::<Value>(&said)
            .ok()
            .and_then(|json| Some(json.get("message")?.as_str()?.trim().to_owned()))
            .unwrap_or_else(|| status.to_string());
        Err(ContainerError::Refused {
            action,
            message,
            status,
        })
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Bytes, ContainerError> {
        let limited = Limited::new(response.into_body(), LARGEST_ANSWER);
        let whole = limited.collect().await;
        Ok(whole
            .map_err(|error| self.unreachable(error.to_string()))?
            .to_bytes())
    }

    pub(crate) fn unreachable(&self, reason: String) -> ContainerError {
        ContainerError::Unreachable {
            socket: self.socket.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_is_where_the_environment_says() {
        let engine = ContainerEngine::of("unix:///x/y.sock", None).unwrap();
        assert_eq!(engine.socket(), Path::new("/x/y.sock"));
        let error = ContainerEngine::of("tcp://10.0.0.1:2375", None).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("DOCKER_HOST is `tcp://10.0.0.1:2375`"),
            "{error}"
        );
    }
}
