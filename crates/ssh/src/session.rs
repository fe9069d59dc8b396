//! What serves one command of a client: a program, or a part of this process.

use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use madake_vcs::process::RunningProcess;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream};

/// Bytes that wait between a client and a handler, in each direction.
const HANDLER_BUFFER: usize = 256 * 1024;

/// The exit code of a program that cannot be waited for.
const UNKNOWN_ENDING: u32 = 255;

/// What the client sends, for a handler. Its end is the client's end of input, or that the client has gone.
pub type ClientInput = DuplexStream;

/// What the client gets, for a handler: standard output or standard error. Writing waits for a slow client.
pub type ClientOutput = DuplexStream;

/// What serves one command. Nothing of it runs before the server has taken it.
pub struct Session {
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) ending: Pin<Box<dyn Future<Output = u32> + Send>>,
    pub(crate) grace: Duration,
}

impl Session {
    /// A started program: its streams are the client's, its exit code is the answer.
    ///
    /// When the client goes away, the program's input ends, its output is thrown away, and after `grace` it is ended
    /// with everything that it started. Zero is right for what only reads.
    #[must_use]
    pub fn program(mut process: RunningProcess, grace: Duration) -> Self {
        let stdin = process.take_stdin();
        let stdout = process.take_stdout();
        let stderr = process.take_stderr();
        Self {
            stdin: stdin.map_or_else(|| boxed_writer(tokio::io::sink()), boxed_writer),
            stdout: stdout.map_or_else(|| boxed_reader(tokio::io::empty()), boxed_reader),
            stderr: stderr.map_or_else(|| boxed_reader(tokio::io::empty()), boxed_reader),
            ending: Box::pin(async move { process.wait().await.map_or(UNKNOWN_ENDING, exit_code) }),
            grace,
        }
    }

    /// A part of this process: `serve` gets the client's three streams and returns the exit code.
    ///
    /// When the client goes away, the future is dropped; work that must go on then belongs in a task of its own.
    pub fn handler<Serve, Serving>(serve: Serve) -> Self
    where
        Serve: FnOnce(ClientInput, ClientOutput, ClientOutput) -> Serving,
        Serving: Future<Output = u32> + Send + 'static,
    {
        let (stdin, input) = tokio::io::duplex(HANDLER_BUFFER);
        let (output, stdout) = tokio::io::duplex(HANDLER_BUFFER);
        let (error, stderr) = tokio::io::duplex(HANDLER_BUFFER);
        let ending = serve(input, output, error);
        Self {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            ending: Box::pin(ending),
            grace: Duration::ZERO,
        }
    }

    /// A sentence on standard error, and an exit code.
    #[must_use]
    pub fn sentence(sentence: &str, exit_code: u32) -> Self {
        let line = format!("{}\n", sentence.trim_end());
        Self::handler(move |_input, _output, mut error| async move {
            // A client that has gone needs no sentence.
            let _ = error.write_all(line.as_bytes()).await;
            exit_code
        })
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

fn boxed_writer(stream: impl AsyncWrite + Send + Unpin + 'static) -> Box<dyn AsyncWrite + Send + Unpin> {
    Box::new(stream)
}

fn boxed_reader(stream: impl AsyncRead + Send + Unpin + 'static) -> Box<dyn AsyncRead + Send + Unpin> {
    Box::new(stream)
}

/// As shells count: the program's own code, or 128 and the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> u32 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u32::try_from(code).ok())
        .unwrap_or(UNKNOWN_ENDING)
}
