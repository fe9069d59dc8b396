//! One command server: commands go in, answers come out on channels (`hg help internals.command-server`).

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use crate::process::{HgProgram, RunningProcess, clean_diagnostic};

/// Longest message that is kept of what a command writes to standard error, in bytes.
const MESSAGE_LIMIT: usize = 16 * 1024;

/// Longest single frame that is accepted, in bytes.
const FRAME_LIMIT: usize = 1 << 30;

#[derive(Debug)]
pub(super) struct CommandServer {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _process: RunningProcess,
}

/// What a command answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: i32,
    pub(super) output: Vec<u8>,
    /// What it wrote to standard error: inert.
    pub(super) message: String,
    /// Whether the output was longer than the limit; the server is of no more use then.
    pub(super) truncated: bool,
}

impl CommandServer {
    pub(super) async fn start(hg: &HgProgram, repository: &Path) -> io::Result<Self> {
        let mut process = hg
            .command("hg serve")
            .repository(repository)
            .args(["--cmdserver", "pipe"])
            .discard_stderr()
            .start()
            .map_err(io::Error::other)?;
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut server = Self {
            stdin,
            stdout: BufReader::new(stdout),
            _process: process,
        };
        let not_ready = |_| io::Error::new(io::ErrorKind::NotFound, "hg does not open it as a repository");
        let (channel, hello) = server.frame().await.map_err(not_ready)?;
        if channel != b'o' || !hello.starts_with(b"capabilities: ") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the command server does not say hello",
            ));
        }
        Ok(server)
    }

    pub(super) async fn run(&mut self, arguments: &[&str], limit: usize) -> io::Result<Reply> {
        let request = arguments.join("\0");
        let length = u32::try_from(request.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = b"runcommand\n".to_vec();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(request.as_bytes());
        self.stdin.write_all(&message).await?;
        self.stdin.flush().await?;
        let mut reply = Reply {
            code: 0,
            output: Vec::new(),
            message: String::new(),
            truncated: false,
        };
        let mut diagnostic = Vec::new();
        loop {
            let (channel, payload) = self.frame().await?;
            match channel {
                b'o' => {
                    let room = limit - reply.output.len();
                    reply
                        .output
                        .extend_from_slice(&payload[..payload.len().min(room)]);
                    if payload.len() > room {
                        reply.truncated = true;
                        return Ok(reply);
                    }
                }
                b'e' => {
                    let room = MESSAGE_LIMIT.saturating_sub(diagnostic.len());
                    diagnostic.extend_from_slice(&payload[..payload.len().min(room)]);
                }
                b'r' => {
                    let code = payload.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                    reply.code = i32::from_be_bytes(code);
                    reply.message = clean_diagnostic(&diagnostic, &[]);
                    return Ok(reply);
                }
                // It asks for input: there is none.
                b'I' | b'L' => self.stdin.write_all(&0_u32.to_be_bytes()).await?,
                // Small letters are notes that may be ignored.
                _ if channel.is_ascii_lowercase() => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    async fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let channel = self.stdout.read_u8().await?;
        let length = self.stdout.read_u32().await?;
        if channel == b'I' || channel == b'L' {
            return Ok((channel, Vec::new()));
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
        if length > FRAME_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; length];
        self.stdout.read_exact(&mut payload).await?;
        Ok((channel, payload))
    }
}
