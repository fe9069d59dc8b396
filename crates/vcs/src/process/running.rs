//! Programs that run beside tokio tasks.

use std::process::ExitStatus;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::run::Run;
use super::{
    Output, ProcessError, STDERR_LIMIT, UncheckedOutput, clean_diagnostic, end_group, limit_file_size,
};

/// A started program. Dropping it ends it, with everything that it started.
#[derive(Debug)]
pub struct RunningProcess {
    child: Child,
    subcommand: &'static str,
}

impl RunningProcess {
    pub(super) fn start(command: &Run) -> Result<Self, ProcessError> {
        let child = Command::from(command.to_std())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| command.start_error(source))?;
        let process = Self {
            child,
            subcommand: command.subcommand,
        };
        if let (Some(limit), Some(leader)) = (command.file_size_limit, process.id()) {
            limit_file_size(leader, limit).map_err(|source| command.start_error(source))?;
        }
        Ok(process)
    }

    /// The process number, until the end has been waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Takes the pipe to standard input. Dropping it is the end of input.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Takes the pipe from standard output.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Takes the pipe from standard error.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for the end. Read the streams to their end first.
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.wait().await.map_err(|source| ProcessError::Io {
            subcommand: self.subcommand,
            source,
        })
    }

    /// Ends the program and everything that it started.
    pub fn end(&mut self) {
        if let Some(leader) = self.child.id() {
            end_group(leader);
        }
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) async fn run(mut command: Run) -> Result<UncheckedOutput, ProcessError> {
    let mut process = RunningProcess::start(&command)?;
    let input = std::mem::take(&mut command.input);
    let stdin = process.take_stdin();
    let stdout = process.take_stdout();
    let stderr = process.take_stderr();
    let limit = command.output_limit;
    let streams = async {
        tokio::try_join!(
            async {
                if let Some(mut stdin) = stdin.filter(|_| !input.is_empty()) {
                    // A program may end without reading everything: its exit code tells.
                    let _ = stdin.write_all(&input).await;
                }
                Ok(())
            },
            async {
                let mut bytes = Vec::new();
                if let Some(stdout) = stdout {
                    let read = stdout.take(limit as u64 + 1).read_to_end(&mut bytes).await;
                    read.map_err(|source| command.io_error(source))?;
                }
                if bytes.len() > limit {
                    Err(command.too_large())
                } else {
                    Ok(bytes)
                }
            },
            async { Ok(read_diagnostic(stderr).await) },
        )
    };
    let ((), stdout, stderr) = tokio::time::timeout(command.timeout, streams)
        .await
        .map_err(|_| command.timed_out())??;
    let status = process.wait().await?;
    let output = Output {
        status,
        stdout,
        stderr: clean_diagnostic(&stderr, &command.secrets),
    };
    Ok(UncheckedOutput {
        output,
        subcommand: command.subcommand,
    })
}

/// Reads a standard error to its end and keeps the start of it.
pub(crate) async fn read_diagnostic(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What cannot be read of a diagnostic is not worth failing for.
        let _ = (&mut stream)
            .take(STDERR_LIMIT as u64)
            .read_to_end(&mut bytes)
            .await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    bytes
}
