//! The kept `git cat-file` processes: few, shared, ended when idle.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{ObjectInfo, ObjectKind, ReadError};
use crate::name::ObjectId;
use crate::process::{GitProgram, RunningProcess};

/// Bounds on the kept processes.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Processes alive at the same time, over all repositories.
    pub max_processes: usize,
    /// How long a process waits for its next question before it is ended.
    pub idle_timeout: Duration,
    /// How long one answer may take.
    pub answer_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_processes: 8,
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(60),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    git: GitProgram,
    limits: PoolLimits,
    /// The longest idle first.
    idle: Mutex<Vec<Idle>>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    reaper_runs: Mutex<bool>,
}

#[derive(Debug)]
struct Idle {
    repository: PathBuf,
    since: Instant,
    reader: CatFile,
}

/// One process, ready for a question.
#[derive(Debug)]
struct CatFile {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _process: RunningProcess,
    _place: OwnedSemaphorePermit,
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

impl Pool {
    pub(super) fn new(git: GitProgram, limits: PoolLimits) -> Self {
        let shared = Shared {
            git,
            limits,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(limits.max_processes.max(1))),
            waiting: AtomicUsize::new(0),
            reaper_runs: Mutex::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn git(&self) -> &GitProgram {
        &self.shared.git
    }

    pub(super) fn live(&self) -> usize {
        self.shared.limits.max_processes.max(1) - self.shared.places.available_permits()
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
            let mut reader = self.take(repository, fresh).await?;
            let answer =
                tokio::time::timeout(self.shared.limits.answer_timeout, reader.answer(question)).await;
            match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(answer) => {
                    self.give_back(repository, reader);
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

    async fn take(&self, repository: &Path, fresh: bool) -> Result<CatFile, ReadError> {
        if !fresh {
            let mut idle = self.shared.idle();
            if let Some(position) = idle.iter().rposition(|idle| idle.repository == repository) {
                return Ok(idle.remove(position).reader);
            }
        }
        let place = match Arc::clone(&self.shared.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait_for_place().await,
        };
        CatFile::start(&self.shared.git, repository, place)
    }

    /// Ends the longest idle process for its place, or waits for one that works.
    async fn wait_for_place(&self) -> OwnedSemaphorePermit {
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.shared.waiting);
        {
            let mut idle = self.shared.idle();
            if !idle.is_empty() {
                idle.remove(0);
            }
        }
        Arc::clone(&self.shared.places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    fn give_back(&self, repository: &Path, reader: CatFile) {
        if self.shared.waiting.load(Ordering::SeqCst) > 0 {
            // Somebody waits for a place, perhaps for another repository: dropping the process makes one.
            return;
        }
        self.shared.idle().push(Idle {
            repository: repository.to_owned(),
            since: Instant::now(),
            reader,
        });
        let mut runs = self
            .shared
            .reaper_runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*runs {
            *runs = true;
            tokio::spawn(reap(
                Arc::downgrade(&self.shared),
                self.shared.limits.idle_timeout,
            ));
        }
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends processes whose time is over, until none is idle.
async fn reap(shared: Weak<Shared>, idle_timeout: Duration) {
    loop {
        let wake_at = {
            let Some(shared) = shared.upgrade() else { return };
            let mut runs = shared.reaper_runs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut idle = shared.idle();
            let now = Instant::now();
            idle.retain(|idle| idle.since + idle_timeout > now);
            match idle.iter().map(|idle| idle.since).min() {
                Some(oldest) => oldest + idle_timeout,
                None => {
                    *runs = false;
                    return;
                }
            }
        };
        tokio::time::sleep_until(wake_at).await;
    }
}

impl CatFile {
    fn start(git: &GitProgram, repository: &Path, place: OwnedSemaphorePermit) -> Result<Self, ReadError> {
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
            _place: place,
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
