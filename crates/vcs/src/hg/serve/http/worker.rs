//! A kept hg that answers HTTP requests, one at a time, as frames: a letter, a length, a payload.

use std::io;
use std::path::Path;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::super::{Access, ServeLimits};
use crate::process::{HgProgram, ProcessError, RunningProcess};

/// Longest frame that is accepted, in bytes.
const FRAME_LIMIT: u32 = 1 << 30;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) input: WorkerInput,
    pub(super) output: WorkerOutput,
    pub(super) process: RunningProcess,
}

#[derive(Debug)]
pub(super) struct WorkerInput(ChildStdin);

#[derive(Debug)]
pub(super) struct WorkerOutput(BufReader<ChildStdout>);

/// One part of an answer.
pub(super) enum Part {
    Head(Head),
    Body(Vec<u8>),
    End,
    /// The end, but what the request did could not be recorded.
    Unrecorded,
}

/// The start of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

impl Worker {
    pub(super) fn start(
        hg: &HgProgram,
        repository: &Path,
        access: Access,
        limits: &ServeLimits,
    ) -> Result<Self, ProcessError> {
        let access = match access {
            Access::Read => "read",
            Access::Write => "write",
        };
        let mut command = hg
            .serving("hg madake-http")?
            .arg("--")
            .arg(repository)
            .environment("MADAKE_HG_ACCESS", access)
            .discard_stderr();
        if let Some(limit) = limits.max_push_bytes {
            command = command.file_size_limit(limit);
        }
        let mut process = command.start()?;
        match (process.take_stdin(), process.take_stdout()) {
            (Some(stdin), Some(stdout)) => Ok(Self {
                input: WorkerInput(stdin),
                output: WorkerOutput(BufReader::new(stdout)),
                process,
            }),
            _ => Err(ProcessError::Io {
                subcommand: "hg madake-http",
                source: io::ErrorKind::BrokenPipe.into(),
            }),
        }
    }
}

impl WorkerInput {
    pub(super) async fn request(&mut self, environment: &serde_json::Value) -> io::Result<()> {
        self.frame(b'R', &serde_json::to_vec(environment)?).await
    }

    pub(super) async fn body(&mut self, part: &[u8]) -> io::Result<()> {
        self.frame(b'B', part).await
    }

    /// The body is complete, or was broken off.
    pub(super) async fn end_of_body(&mut self, complete: bool) -> io::Result<()> {
        self.frame(if complete { b'E' } else { b'X' }, &[]).await
    }

    async fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut head = vec![kind];
        head.extend_from_slice(&length.to_be_bytes());
        self.0.write_all(&head).await?;
        self.0.write_all(payload).await?;
        self.0.flush().await
    }
}

impl WorkerOutput {
    pub(super) async fn part(&mut self) -> io::Result<Part> {
        let kind = self.0.read_u8().await?;
        let length = self.0.read_u32().await?;
        if length > FRAME_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?];
        self.0.read_exact(&mut payload).await?;
        Ok(match kind {
            b'H' => Part::Head(serde_json::from_slice(&payload)?),
            b'B' => Part::Body(payload),
            b'E' => Part::End,
            b'U' => Part::Unrecorded,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}
