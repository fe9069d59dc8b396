//! The process side of git's smart HTTP protocol, without HTTP: bytes in, bytes out.
//!
//! `git upload-pack` and `git receive-pack` are started directly. A push is answered only after the caller has made it
//! durable (see [`ReceivePack::serve`]); no hook of the repository runs.

pub mod front;
pub(super) mod pkt_line;
pub(super) mod receive;
pub(super) mod report;
pub(super) mod request;
pub(super) mod verdict;

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub use self::receive::{ReceivePack, Received};
pub use self::report::{PushReport, RefUpdate, UpdateStatus};
pub use self::request::Command;
pub use self::verdict::{PushVerdict, RefVerdict};
use crate::process::{GitProgram, ProcessError, read_diagnostic};

/// Bytes moved at a time between client and process.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// The two services of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

/// Bounds on a push.
#[derive(Clone, Debug)]
pub struct ReceiveLimits {
    /// Refs that one push may move.
    pub max_commands: usize,
    /// Push options that one push may carry.
    pub max_push_options: usize,
    /// Size of the list of refs and options, in bytes.
    pub max_head_bytes: usize,
    /// Size of the pack, in bytes; none for no bound.
    pub max_pack_bytes: Option<u64>,
    /// How long git may work after it has been handed everything.
    pub finish_timeout: Duration,
}

/// Why a request could not be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Git could not be started, or failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The client went away, or its connection failed.
    #[error("the client's connection failed: {0}")]
    Client(std::io::Error),
    /// The request is not of the protocol.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The request breaks a rule; the sentence is for the user.
    #[error("{0}")]
    Refused(String),
    /// The part that finishes a push stopped, so the push may or may not be recorded: reconciliation finds out.
    #[error("the push was handed over but its end was lost")]
    Lost,
}

impl Default for ReceiveLimits {
    fn default() -> Self {
        Self {
            max_commands: 10_000,
            max_push_options: 100,
            max_head_bytes: 8 * 1024 * 1024,
            max_pack_bytes: None,
            finish_timeout: Duration::from_secs(600),
        }
    }
}

impl Service {
    /// The service by the name that clients use, such as `git-upload-pack`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    /// The name that clients use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

/// The body of `GET info/refs?service=...` for the repository with this git directory.
///
/// `git_protocol` is the client's `Git-Protocol` header.
///
/// # Errors
/// Git's failure.
pub async fn advertise(
    git: &GitProgram,
    git_directory: &Path,
    service: Service,
    git_protocol: Option<&str>,
) -> Result<Vec<u8>, ServeError> {
    let advertised = git
        .command(service.subcommand())
        .args(["--stateless-rpc", "--http-backend-info-refs"])
        .arg("--")
        .arg(git_directory)
        .directory(git_directory)
        .trusted_owner(git_directory)
        .git_protocol(git_protocol)
        .output_limit(256 * 1024 * 1024)
        .run()
        .await?
        .stdout;
    // Version 2 has no such line (git http-backend does the same); receive-pack does not know version 2.
    let version_2 = advertised.get(4..13) == Some(b"version 2");
    if version_2 {
        return Ok(advertised);
    }
    let mut body = pkt_line::packet(format!("# service={}\n", service.name()).as_bytes());
    body.extend_from_slice(pkt_line::FLUSH);
    body.extend_from_slice(&advertised);
    Ok(body)
}

/// Serves the body of `POST git-upload-pack` (already unzipped) and writes the answer as it comes.
///
/// Dropping the future ends the process.
///
/// # Errors
/// [`ServeError::Client`] if the client fails, git's failure otherwise.
pub async fn upload_pack(
    git: &GitProgram,
    git_directory: &Path,
    git_protocol: Option<&str>,
    mut body: impl AsyncRead + Unpin,
    mut response: impl AsyncWrite + Unpin,
) -> Result<(), ServeError> {
    let command = git
        .command("upload-pack")
        .args(["--stateless-rpc", "--"])
        .arg(git_directory)
        .directory(git_directory)
        .trusted_owner(git_directory)
        .git_protocol(git_protocol);
    let mut process = command.start()?;
    let stdin = process.take_stdin();
    let stdout = process.take_stdout();
    let stderr = process.take_stderr();
    let mut buffer = vec![0; CHUNK_BYTES];
    let ((), (), _diagnostic) = tokio::try_join!(
        async {
            let Some(mut stdin) = stdin else { return Ok(()) };
            tokio::io::copy(&mut body, &mut stdin)
                .await
                .map(|_| ())
                .or_else(|error| match error.kind() {
                    // Git has read enough; its answer says whether that is good.
                    std::io::ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(ServeError::Client(error)),
                })
        },
        async {
            let Some(mut stdout) = stdout else { return Ok(()) };
            loop {
                let read = stdout.read(&mut buffer).await.map_err(ServeError::Client)?;
                if read == 0 {
                    return response.flush().await.map_err(ServeError::Client);
                }
                response
                    .write_all(&buffer[..read])
                    .await
                    .map_err(ServeError::Client)?;
                response.flush().await.map_err(ServeError::Client)?;
            }
        },
        async { Ok::<_, ServeError>(read_diagnostic(stderr).await) },
    )?;
    // The exit code says no more than the answer did: git also fails when a client has simply seen enough.
    process.wait().await?;
    Ok(())
}
