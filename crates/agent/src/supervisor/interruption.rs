//! What ends a job before its tasks do: a request to stop, or the time limit.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::task_process::LOOK_INTERVAL;
use crate::job_directory::JobDirectory;
use crate::processes;
use madake_domain::text::counted;

/// Why a job is ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// Somebody asked to stop the job.
    Stop {
        /// Who it was.
        who: String,
    },
    /// The time limit is over.
    TimeLimit {
        /// The limit.
        seconds: u64,
    },
}

impl Interruption {
    /// The reason as a part of a sentence.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Stop { who } => format!("stopped by {who}"),
            Self::TimeLimit { seconds } => {
                format!(
                    "ended because the time limit of {} is over",
                    counted(*seconds, "second")
                )
            }
        }
    }
}

/// Looks out for interruptions.
#[derive(Debug)]
pub(crate) struct Lookout<'a> {
    directory: Option<&'a JobDirectory>,
    limit_seconds: Option<u64>,
    deadline: Option<Instant>,
}

impl<'a> Lookout<'a> {
    /// For the tasks of a job: requests count, and the time from now on.
    pub(crate) fn for_job(directory: &'a JobDirectory, limit_seconds: Option<u64>) -> Self {
        Self {
            directory: Some(directory),
            limit_seconds,
            deadline: deadline(limit_seconds),
        }
    }

    /// For final tasks of a job that was interrupted: only the time counts.
    pub(crate) fn for_final_tasks(limit_seconds: u64) -> Self {
        Self {
            directory: None,
            limit_seconds: Some(limit_seconds),
            deadline: deadline(Some(limit_seconds)),
        }
    }

    /// What has come up, if anything.
    pub(crate) fn look(&self) -> Option<Interruption> {
        if let Some(who) = self.directory.and_then(JobDirectory::who_asked_to_stop) {
            return Some(Interruption::Stop { who });
        }
        let seconds = self.limit_seconds?;
        (Instant::now() >= self.deadline?).then_some(Interruption::TimeLimit { seconds })
    }
}

/// Does work of the agent's own on a thread of its own, so that an interruption is heard meanwhile: what the work has
/// started is ended then.
///
/// # Errors
/// The interruption, when one came up.
pub(crate) fn heard_while<T: Send + 'static>(
    lookout: &Lookout<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Interruption> {
    let (sender, done) = channel();
    let worker = thread::spawn(move || {
        let result = work();
        // The receiver waits until this has arrived.
        let _ = sender.send(());
        result
    });
    let mut interruption = None;
    while let Err(RecvTimeoutError::Timeout) = done.recv_timeout(LOOK_INTERVAL) {
        interruption = interruption.or_else(|| lookout.look());
        if interruption.is_some() {
            processes::kill_descendants_once();
        }
    }
    match (interruption, worker.join()) {
        (Some(interruption), _) => Err(interruption),
        (None, Ok(result)) => Ok(result),
        (None, Err(panic)) => std::panic::resume_unwind(panic),
    }
}

fn deadline(limit_seconds: Option<u64>) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(limit_seconds?))
}
