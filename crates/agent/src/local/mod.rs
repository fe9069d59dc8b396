//! The agent that is built into the server: starts supervisors, waits for them, finds them again.
//!
//! Nothing here holds state that a restart would lose: whether a job runs, ended, never began or got lost is
//! read from its directory each time. Taking an order back and starting it exclude each other by the lock, so
//! a supervisor that comes late finds either its order or nothing.

mod adopt;
mod running_job;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use madake_protocol::{JobOrder, StopRequest};
use rustix::process::{Signal, kill_process};
use tokio::process::Command;
use tokio::sync::watch;

use crate::bubblewrap::SSH_AGENT_VARIABLE;
use crate::container::{ContainerEngine, remove_of_dead_jobs};
use crate::environment::inheritable;
use crate::job_directory::{JobDirectory, JobDirectoryError};
use crate::lock::{holder, is_held_elsewhere};
use crate::processes::COOKIE_VARIABLE;

pub use adopt::Adoption;
pub use running_job::{JobEnd, RunningJob};

/// Why a job was not started, stopped, adopted or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalAgentError {
    /// A file of the job could not be read or written.
    #[error(transparent)]
    Directory(#[from] JobDirectoryError),
    /// This attempt has begun before; give it another number.
    #[error("attempt {attempt} at job {job_id} has begun before and cannot begin again")]
    BegunBefore {
        /// The job.
        job_id: i64,
        /// The attempt.
        attempt: i64,
    },
    /// The supervisor could not be started; nothing runs.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The job still runs; stop it first.
    #[error("the job in {} still runs; stop it first", .0.display())]
    StillRuns(PathBuf),
    /// The system refused something else.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Runs jobs on this machine, each under a supervisor of its own.
#[derive(Debug, Clone)]
pub struct LocalAgent {
    jobs_directory: PathBuf,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl LocalAgent {
    /// An agent that keeps its jobs below `jobs_directory` (an absolute path) and runs them by
    /// `<program> job-supervisor <directory>`. The program is madake itself.
    #[must_use]
    pub fn new(jobs_directory: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Self {
        Self {
            jobs_directory: jobs_directory.into(),
            program: program.into(),
            arguments: vec!["job-supervisor".into()],
        }
    }

    /// The agent with other arguments before the directory.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The directory of an attempt.
    #[must_use]
    pub fn job_directory(&self, job_id: i64, attempt: i64) -> JobDirectory {
        JobDirectory::of(&self.jobs_directory, job_id, attempt)
    }

    /// The directories of all attempts that were not removed yet, for recovery after a restart.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn job_directories(&self) -> Result<Vec<JobDirectory>, JobDirectoryError> {
        JobDirectory::list(&self.jobs_directory)
    }

    /// Writes the order down and starts its supervisor. Blocks for a few file operations and one spawn.
    ///
    /// A crash at any point leaves a directory that [`LocalAgent::adopt`] judges rightly. When this is called
    /// twice for one attempt, one supervisor runs and both handles wait for it.
    ///
    /// # Errors
    /// When this attempt has begun before, or something cannot be written or started.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its drivers enabled.
    pub fn start(&self, order: &JobOrder) -> Result<RunningJob, LocalAgentError> {
        let directory = self.job_directory(order.job_id, order.attempt);
        directory.create()?;
        if directory.started_path().exists() || directory.outcome_path().exists() {
            return Err(LocalAgentError::BegunBefore {
                job_id: order.job_id,
                attempt: order.attempt,
            });
        }
        directory.write_order(order)?;
        let mut supervisor = Command::new(&self.program);
        supervisor
            .args(&self.arguments)
            .arg(directory.path())
            .env_clear()
            .envs(inheritable())
            .env(COOKIE_VARIABLE, directory.tmp_path());
        if order.untrusted {
            supervisor.env_remove(SSH_AGENT_VARIABLE);
        }
        let mut supervisor = supervisor
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(false)
            .spawn()
            .map_err(|source| LocalAgentError::Spawn {
                program: self.program.clone(),
                source,
            })?;
        let (tell, exited) = watch::channel(None);
        tokio::spawn(async move {
            // Waiting takes in the zombie, whether or not anybody holds the handle.
            let status = supervisor.wait().await;
            let _ = tell.send(Some(
                status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            ));
        });
        Ok(RunningJob::started(directory, exited))
    }

    /// Judges a directory that an earlier run of the server left, see [`Adoption`]. An order that never began
    /// is taken back, so that nothing begins it later; [`LocalAgent::start`] may give it out again.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub async fn adopt(&self, directory: JobDirectory) -> Result<Adoption, LocalAgentError> {
        adopt::adopt(directory).await
    }

    /// Asks the supervisor to stop its job; the answer is the job's end. Asking a job that does not run, or
    /// twice, does no harm.
    ///
    /// # Errors
    /// When the request cannot be written.
    pub fn request_stop(&self, directory: &JobDirectory, who: &str) -> Result<(), LocalAgentError> {
        Ok(directory.write_stop(&StopRequest::new(who))?)
    }

    /// Kills the supervisor of a job that does not react. Whoever waits for the job's end is told that it was lost,
    /// and what it left running is ended then. A job that does not run is left alone; says whether one was killed.
    ///
    /// # Errors
    /// When the lock cannot be looked at, or the system refuses.
    pub fn force_end(&self, directory: &JobDirectory) -> Result<bool, LocalAgentError> {
        let io = |action: &'static str| {
            move |source: io::Error| LocalAgentError::Io {
                action,
                path: directory.path().to_owned(),
                source,
            }
        };
        let Some(supervisor) = holder(&directory.lock_path()).map_err(io("look at the lock of"))? else {
            return Ok(false);
        };
        kill_process(supervisor, Signal::KILL).map_err(|error| io("end the supervisor of")(error.into()))?;
        Ok(true)
    }

    /// Removes the containers of jobs of this agent whose supervisors are gone, and returns their names. Without a
    /// container engine on this machine there are none.
    ///
    /// # Errors
    /// When the engine refuses, as a sentence.
    pub async fn remove_left_containers(&self) -> Result<Vec<String>, String> {
        let Ok(engine) = ContainerEngine::find() else {
            return Ok(Vec::new());
        };
        let removed = remove_of_dead_jobs(&engine, &self.jobs_directory).await;
        removed.map_err(|error| error.to_string())
    }

    /// Removes a directory after its outcome was stored. One that is gone is fine.
    ///
    /// # Errors
    /// When the job still runs, or the system refuses.
    pub fn remove(&self, directory: &JobDirectory) -> Result<(), LocalAgentError> {
        let io = |action: &'static str| {
            move |path: &Path, source| LocalAgentError::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        if is_held_elsewhere(&directory.lock_path()).map_err(|e| io("look at")(directory.path(), e))? {
            return Err(LocalAgentError::StillRuns(directory.path().to_owned()));
        }
        // Without its order nothing can begin here while the rest goes.
        for path in [directory.order_path(), directory.withdrawn_order_path()] {
            missing_is_fine(std::fs::remove_file(&path)).map_err(|error| io("remove")(&path, error))?;
        }
        let removed = std::fs::remove_dir_all(directory.path());
        missing_is_fine(removed).map_err(|error| io("remove")(directory.path(), error))
    }
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
