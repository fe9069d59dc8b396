//! Cheap reading of repositories: a few command servers (`hg serve --cmdserver pipe`) are kept and shared.
//!
//! A start of hg takes about 100 ms; a question to a kept process takes about 3. A process serves one repository, sees
//! commits that arrive after its start, is replaced when it dies and ended when idle. No text of a user is part of a
//! revision expression: revisions are ids, and names are looked up in lists. Text comes back in base 16, so that no
//! separator can stand in it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::name::ObjectId;
use crate::pool::{Pool, PoolLimits};
use crate::process::{HgProgram, ProcessError};

mod browse;
mod commit;
mod files;
mod refs;
mod server;

pub use browse::{AtPath, FolderEntry};
pub use commit::{Commit, Commits};
pub use files::FileEntry;
pub use refs::{BranchHead, Heads};
use server::{CommandServer, Reply};

/// Largest answer of a listing, in bytes; a longer one is an error.
const LISTING_LIMIT: usize = 256 * 1024 * 1024;

/// Reads repositories. Clones share their processes.
#[derive(Clone, Debug)]
pub struct HgReader {
    hg: HgProgram,
    pool: Pool<CommandServer>,
}

/// Why a repository could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Mercurial could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The kept process failed twice in a row.
    #[error("cannot read from {repository}: {source}")]
    Io {
        /// The repository.
        repository: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Mercurial refused; its message is inert.
    #[error("hg {command} failed: {message}")]
    Failed {
        /// The subcommand.
        command: String,
        /// What it wrote to standard error.
        message: String,
    },
    /// The commit is not in the repository.
    #[error("{0} is not in the repository: it may have been stripped")]
    Missing(ObjectId),
    /// The path is a folder.
    #[error("{0} is a folder")]
    WrongKind(String),
    /// The file, or an answer, is larger than the caller takes.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The path cannot be asked for.
    #[error("a path with a line feed or a NUL cannot be read")]
    Path,
    /// An answer of Mercurial is not as expected.
    #[error("hg {command} answered something else than it was asked for")]
    Answer {
        /// The subcommand.
        command: String,
    },
}

impl HgReader {
    /// A reader that starts its processes when needed.
    #[must_use]
    pub fn new(hg: HgProgram, limits: PoolLimits) -> Self {
        Self {
            hg,
            pool: Pool::new(limits),
        }
    }

    /// The program that this reader starts.
    #[must_use]
    pub fn hg(&self) -> &HgProgram {
        &self.hg
    }

    /// Processes alive now, idle or working.
    #[must_use]
    pub fn live_processes(&self) -> usize {
        self.pool.live()
    }

    /// The whole answer to a command that must succeed.
    async fn ask(&self, repository: &Path, arguments: &[&str]) -> Result<Vec<u8>, ReadError> {
        let reply = self.run(repository, arguments, LISTING_LIMIT).await?;
        let command = || arguments.first().copied().unwrap_or_default().to_owned();
        if reply.truncated {
            return Err(ReadError::TooLarge {
                what: format!("the answer of hg {}", command()),
                limit: LISTING_LIMIT as u64,
            });
        }
        if reply.code != 0 {
            return Err(ReadError::Failed {
                command: command(),
                message: reply.message,
            });
        }
        Ok(reply.output)
    }

    /// The answer to a command, at most `limit` bytes of it.
    async fn run(&self, repository: &Path, arguments: &[&str], limit: usize) -> Result<Reply, ReadError> {
        let mut last_error = std::io::Error::from(std::io::ErrorKind::Other);
        // A kept process may have died since, or lost its repository: the second try has a new one.
        for fresh in [false, true] {
            let mut place = self.pool.take(repository, fresh).await;
            let answer_timeout = self.pool.limits().answer_timeout;
            let asked = async {
                let mut server = match place.kept.take() {
                    Some(server) => server,
                    None => CommandServer::start(&self.hg, repository).await?,
                };
                let reply = server.run(arguments, limit).await?;
                Ok::<_, std::io::Error>((server, reply))
            };
            match tokio::time::timeout(answer_timeout, asked).await {
                Ok(Ok((server, reply))) => {
                    // After a cut the process still has the rest to say.
                    if !reply.truncated {
                        self.pool.give_back(repository, server, place);
                    }
                    return Ok(reply);
                }
                Ok(Err(error)) => last_error = error,
                Err(_) => last_error = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(ReadError::Io {
            repository: repository.to_owned(),
            source: last_error,
        })
    }
}

/// `id(...)` names a commit by its id alone; the bare digits could also be the name of a bookmark.
fn by_id(id: &ObjectId) -> String {
    format!("id({id})")
}

/// Text that was asked for in base 16.
pub(super) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(value(*high)? * 16 + value(*low)?).ok(),
            _ => None,
        })
        .collect()
}

pub(super) fn text_from_hex(digits: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(&from_hex(digits)?).into_owned())
}

fn id_from(digits: &[u8]) -> Option<ObjectId> {
    ObjectId::parse(std::str::from_utf8(digits).ok()?).ok()
}

fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}
