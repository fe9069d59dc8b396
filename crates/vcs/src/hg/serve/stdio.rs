//! Serving a session over a stream: what SSH clients ask for as `hg -R PATH serve --stdio`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::questions::Questions;
use super::{Access, CHUNK_BYTES, PushKeeper, ServeError, ServeLimits};
use crate::hg::host;
use crate::process::{HgProgram, RunningProcess};

/// Serves one session with one repository.
#[derive(Debug)]
pub struct StdioSession<'a> {
    /// The hg program.
    pub hg: &'a HgProgram,
    /// The absolute path of the repository, as the server found it: never a path of the client.
    pub repository: &'a Path,
    /// What the client may do.
    pub access: Access,
    /// Who it is, for the report of a push.
    pub pusher: Option<String>,
    /// Bounds on the session.
    pub limits: ServeLimits,
    /// Holds the ends of pushes whose clients have gone; wait for it before the server stops.
    pub tails: &'a TaskTracker,
}

/// The repository that a command of an SSH client names: exactly `hg -R PATH serve --stdio`, quoted as a shell would
/// have it. The text is the client's: it is looked up, never opened.
#[must_use]
pub fn repository_of_command(command: &str) -> Option<String> {
    let rest = command.strip_prefix("hg -R ")?;
    let quoted = rest.strip_suffix(" serve --stdio")?;
    let mut path = String::new();
    let mut characters = quoted.chars();
    let mut in_quotes = false;
    while let Some(character) = characters.next() {
        match character {
            '\'' => in_quotes = !in_quotes,
            _ if in_quotes => path.push(character),
            '\\' => path.push(characters.next()?),
            _ if character.is_alphanumeric() || "/._+@%~:,=-".contains(character) => path.push(character),
            // Other characters would mean something to a shell, and clients quote them.
            _ => return None,
        }
    }
    let plain =
        !in_quotes && !path.is_empty() && !path.starts_with('-') && !path.chars().any(char::is_control);
    plain.then_some(path)
}

impl StdioSession<'_> {
    /// Serves until the client ends its input, and returns the exit code for it.
    ///
    /// A client that goes away before it has sent all of a push moves nothing. After that, the push ends in a task of
    /// its own: dropping this future does not stop it, and the keeper is asked in any case.
    ///
    /// # Errors
    /// [`ServeError::Process`], [`ServeError::Io`] before anything was served.
    pub async fn serve<Keeper: PushKeeper>(
        &self,
        input: impl AsyncRead + Unpin + Send + 'static,
        output: impl AsyncWrite + Unpin + Send + 'static,
        errors: impl AsyncWrite + Unpin + Send + 'static,
        keeper: Arc<Keeper>,
    ) -> Result<i32, ServeError> {
        if self.access == Access::Write {
            host::recover(self.hg, self.repository).await?;
        }
        let questions = Questions::answer_with(keeper, self.pusher.clone())?;
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        let mut command = self
            .hg
            .serving("hg serve")?
            .bare_repository(self.repository)
            .arg("--stdio")
            .environment("MADAKE_HG_ACCESS", access)
            .environment("MADAKE_HG_SOCKET", questions.path());
        if let Some(limit) = self.limits.max_push_bytes {
            command = command.file_size_limit(limit);
        }
        let process = command.start()?;
        let session = Session {
            process,
            questions,
            repository: self.repository.to_owned(),
            limits: self.limits,
        };
        let served = self.tails.spawn(session.run(input, output, errors));
        served.await.map_err(|_| ServeError::Lost)?
    }
}

struct Session {
    process: RunningProcess,
    questions: Questions,
    repository: PathBuf,
    limits: ServeLimits,
}

impl Session {
    async fn run(
        mut self,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send,
        errors: impl AsyncWrite + Unpin + Send,
    ) -> Result<i32, ServeError> {
        let lost = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let stdin = self.process.take_stdin().ok_or_else(lost)?;
        let stdout = self.process.take_stdout().ok_or_else(lost)?;
        let stderr = self.process.take_stderr().ok_or_else(lost)?;
        let (input_ended, end) = oneshot::channel::<()>();
        let stall = self.limits.stall_timeout;
        let mut feeding = std::pin::pin!(async move {
            feed(input, stdin).await;
            drop(input_ended);
        });
        let mut talking = std::pin::pin!(async {
            tokio::join!(deliver(stdout, output, stall), deliver(stderr, errors, stall));
        });
        let mut fed = false;
        let mut end = std::pin::pin!(async {
            // It is never sent to: dropping it tells.
            let _ = end.await;
            tokio::time::sleep(self.limits.finish_timeout).await;
        });
        loop {
            tokio::select! {
                () = &mut talking => break,
                () = &mut feeding, if !fed => fed = true,
                () = &mut end => {
                    let repository = self.repository.display();
                    tracing::warn!("hg did not finish serving {repository} in time and was ended");
                    self.process.end();
                    break;
                }
            }
        }
        let status = self.process.wait().await?;
        if let Some(failure) = self.questions.failure() {
            tracing::warn!(failure, "a push happened but could not be recorded");
        }
        Ok(status.code().unwrap_or(255))
    }
}

/// Hands the client's bytes to hg until they end; then hg sees the end, too.
async fn feed(mut input: impl AsyncRead + Unpin, mut stdin: impl AsyncWrite + Unpin) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(read) = input.read(&mut buffer).await {
        // A client that has gone, and a hg that has ended, mean the same: there is no more to hand over.
        if read == 0 || stdin.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Hands hg's bytes to the client. For a client that has gone or takes nothing they are thrown away, so that hg can
/// finish what it has begun.
async fn deliver(
    mut stream: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    stall: std::time::Duration,
) {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut listening = true;
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        if listening {
            let written = async {
                client.write_all(&buffer[..read]).await?;
                client.flush().await
            };
            listening = matches!(tokio::time::timeout(stall, written).await, Ok(Ok(())));
        }
    }
    if listening {
        // The client has all of it; whether it hears the end is its own affair.
        let _ = client.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::repository_of_command;

    #[test]
    fn only_the_command_of_hg_clients_names_a_repository() {
        for (command, path) in [
            ("hg -R owner/slug serve --stdio", Some("owner/slug")),
            ("hg -R 'owner/my slug' serve --stdio", Some("owner/my slug")),
            (r"hg -R 'it'\''s' serve --stdio", Some("it's")),
            ("hg -R /hg/owner/slug serve --stdio", Some("/hg/owner/slug")),
            ("hg -R ../../etc serve --stdio", Some("../../etc")),
            ("hg -R --config=x serve --stdio", None),
            ("hg -R '--debugger' serve --stdio", None),
            ("hg -R x serve --stdio --config=x", None),
            ("hg -R x --config=y serve --stdio", None),
            ("hg -R x;id serve --stdio", None),
            ("hg -R $(id) serve --stdio", None),
            ("hg -R `id` serve --stdio", None),
            ("hg -R 'open serve --stdio", None),
            ("hg -R '' serve --stdio", None),
            ("hg -R 'a\nb' serve --stdio", None),
            ("hg init x", None),
            ("hg serve --stdio", None),
            ("HG -R x serve --stdio", None),
        ] {
            assert_eq!(repository_of_command(command).as_deref(), path, "{command}");
        }
    }
}
