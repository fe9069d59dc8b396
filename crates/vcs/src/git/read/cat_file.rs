//! The kept `git cat-file --batch-command` processes, and what they are asked.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::{ObjectInfo, ObjectKind, ReadError};
use crate::name::ObjectId;
use crate::pool::{Pool, PoolLimits};
use crate::process::{GitProgram, RunningProcess};

/// Asks for objects of any repository. Clones share their processes.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    git: GitProgram,
    pool: Pool<CatFile>,
}

/// One process, ready for a question.
#[derive(Debug)]
struct CatFile {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _process: RunningProcess,
}

enum Question<'a> {
    Info(&'a str),
    Contents(&'a ObjectId, ObjectKind, u64),
}

enum Answer {
    Missing,
    Info(ObjectInfo),
    Contents(Vec<u8>),
    Refused(ReadError),
}

impl Objects {
    pub(super) fn new(git: GitProgram, limits: PoolLimits) -> Self {
        let pool = Pool::new(limits);
        Self { git, pool }
    }

    pub(super) fn git(&self) -> &GitProgram {
        &self.git
    }

    pub(super) fn live(&self) -> usize {
        self.pool.live()
    }

    pub(super) async fn info(
        &self,
        repository: &Path,
        object: &str,
    ) -> Result<Option<ObjectInfo>, ReadError> {
        match self.ask(repository, &Question::Info(object)).await? {
            Answer::Info(info) => Ok(Some(info)),
            Answer::Missing | Answer::Contents(_) => Ok(None),
            Answer::Refused(error) => Err(error),
        }
    }

    pub(super) async fn contents(
        &self,
        repository: &Path,
        id: &ObjectId,
        kind: ObjectKind,
        limit: u64,
    ) -> Result<Vec<u8>, ReadError> {
        match self.ask(repository, &Question::Contents(id, kind, limit)).await? {
            Answer::Contents(bytes) => Ok(bytes),
            Answer::Missing | Answer::Info(_) => Err(ReadError::Missing {
                object: id.to_string(),
            }),
            Answer::Refused(error) => Err(error),
        }
    }

    async fn ask(&self, repository: &Path, question: &Question<'_>) -> Result<Answer, ReadError> {
        let mut last_error = io::Error::from(io::ErrorKind::Other);
        // A kept process may have died since, or lost its repository: the second try has a new one.
        for fresh in [false, true] {
            let mut place = self.pool.take(repository, fresh).await;
            let mut process = match place.kept.take() {
                Some(kept) => kept,
                None => CatFile::start(&self.git, repository)?,
            };
            let answer =
                tokio::time::timeout(self.pool.limits().answer_timeout, process.answer(question)).await;
            match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(answer) => {
                    self.pool.give_back(repository, process, place);
                    return Ok(answer);
                }
                Err(error) => last_error = error,
            }
        }
        Err(ReadError::Io {
            repository: repository.to_owned(),
            source: last_error,
        })
    }
}

impl CatFile {
    fn start(git: &GitProgram, repository: &Path) -> Result<Self, ReadError> {
        let mut process = git
            .command("cat-file")
            .repository(repository)
            .arg("--batch-command")
            .discard_stderr()
            .start()?;
        let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
            let source = io::ErrorKind::BrokenPipe.into();
            return Err(ReadError::Io {
                repository: repository.to_owned(),
                source,
            });
        };
        Ok(Self {
            stdin,
            stdout: BufReader::new(stdout),
            _process: process,
        })
    }

    async fn answer(&mut self, question: &Question<'_>) -> io::Result<Answer> {
        match *question {
            Question::Info(object) => {
                self.stdin
                    .write_all(format!("info {object}\n").as_bytes())
                    .await?;
                Ok(self.header().await?.map_or(Answer::Missing, Answer::Info))
            }
            Question::Contents(id, kind, limit) => {
                self.stdin.write_all(format!("info {id}\n").as_bytes()).await?;
                let Some(info) = self.header().await? else {
                    return Ok(Answer::Missing);
                };
                if info.kind != kind {
                    let expected = kind.name();
                    return Ok(Answer::Refused(ReadError::WrongKind {
                        object: id.to_string(),
                        expected,
                    }));
                }
                if info.size > limit {
                    let error = ReadError::TooLarge {
                        object: id.to_string(),
                        size: info.size,
                        limit,
                    };
                    return Ok(Answer::Refused(error));
                }
                self.stdin
                    .write_all(format!("contents {id}\n").as_bytes())
                    .await?;
                let Some(info) = self.header().await? else {
                    return Ok(Answer::Missing);
                };
                let size = usize::try_from(info.size).map_err(|_| io::ErrorKind::InvalidData)?;
                let mut contents = vec![0; size + 1];
                self.stdout.read_exact(&mut contents).await?;
                contents.pop();
                Ok(Answer::Contents(contents))
            }
        }
    }

    /// `<id> <kind> <size>`, or words such as `<object> missing`.
    async fn header(&mut self) -> io::Result<Option<ObjectInfo>> {
        let mut line = Vec::new();
        self.stdout.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        let mut words = line.split(' ');
        let (id, kind, size) = (words.next(), words.next(), words.next());
        let (Some(Ok(id)), Some(kind), Some(Ok(size))) =
            (id.map(ObjectId::parse), kind, size.map(str::parse))
        else {
            return Ok(None);
        };
        Ok(ObjectKind::from_name(kind).map(|kind| ObjectInfo { id, kind, size }))
    }
}

impl ObjectKind {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
