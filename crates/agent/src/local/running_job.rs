//! Waiting for a job.

use std::time::Duration;

use madake_protocol::JobOutcome;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::job_directory::JobDirectory;
use crate::lock::is_held_elsewhere;

use super::LocalAgentError;
use super::adopt::{Judgement, judge};

/// How often the lock of a supervisor that is not our child is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How a running job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// It ran to its end; store the outcome, then remove the directory.
    Finished(JobOutcome),
    /// It did not: the supervisor is gone without an outcome. What it left running was ended, and nothing
    /// begins this order any more.
    Lost {
        /// What is known, as a sentence.
        reason: String,
        /// Whether a command of the job had begun, so that running it again may do something twice.
        ran_a_command: bool,
    },
}

/// A job that runs under a supervisor. Dropping it changes nothing: the job goes on.
#[derive(Debug)]
pub struct RunningJob {
    directory: JobDirectory,
    /// How our own child has exited, once it has; `None` when the supervisor is not our child.
    exited: Option<watch::Receiver<Option<String>>>,
}

impl RunningJob {
    pub(super) fn started(directory: JobDirectory, exited: watch::Receiver<Option<String>>) -> Self {
        Self {
            directory,
            exited: Some(exited),
        }
    }

    pub(super) fn found(directory: JobDirectory) -> Self {
        Self {
            directory,
            exited: None,
        }
    }

    /// The job's directory.
    #[must_use]
    pub fn directory(&self) -> &JobDirectory {
        &self.directory
    }

    /// Waits until the job has ended: woken at once when we started the supervisor, within 200 ms when it was
    /// found after a restart. May be dropped and called again.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub async fn finished(&mut self) -> Result<JobEnd, LocalAgentError> {
        let exit = match &mut self.exited {
            // A sender that is gone has seen the exit as well.
            Some(exited) => exited
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|exit| exit.clone()),
            None => None,
        };
        let with_exit = |reason: String| match &exit {
            Some(exit) => format!("{reason} ({exit})"),
            None => reason,
        };
        loop {
            // Asking does not disturb; judging takes the lock for a moment.
            if !is_held_elsewhere(&self.directory.lock_path()).unwrap_or(false) {
                match judge(&self.directory).await? {
                    Judgement::Finished(outcome) => return Ok(JobEnd::Finished(outcome)),
                    Judgement::Lost {
                        reason,
                        ran_a_command,
                    } => {
                        return Ok(JobEnd::Lost {
                            reason: with_exit(reason),
                            ran_a_command,
                        });
                    }
                    Judgement::NeverStarted(_) => {
                        let reason = "the job's supervisor ended before it began the job".to_owned();
                        return Ok(JobEnd::Lost {
                            reason: with_exit(reason),
                            ran_a_command: false,
                        });
                    }
                    Judgement::Runs => {}
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}
