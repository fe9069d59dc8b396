//! What became of a job whose supervisor is not ours, or not ours any more.

use std::fs;
use std::io;

use madake_protocol::{JobOrder, JobOutcome};

use crate::container::remove_left_by;
use crate::job_directory::JobDirectory;
use crate::lock::JobLock;
use crate::processes;

use super::{LocalAgentError, RunningJob};

/// What a directory says about its job.
#[derive(Debug)]
pub enum Adoption {
    /// The job ended; store the outcome, then remove the directory.
    Finished(JobOutcome),
    /// The job runs.
    Running(RunningJob),
    /// Nothing of the job ever ran, and nothing will: the order was taken back. It may be started again.
    /// `None`: it could not be read, or was never written.
    NeverStarted(Option<Box<JobOrder>>),
    /// The job began but its supervisor is gone: it was killed, or the machine went down. What it left running
    /// was ended.
    Lost {
        /// What is known, as a sentence.
        reason: String,
        /// Whether a command of the job had begun, so that running it again may do something twice.
        ran_a_command: bool,
    },
}

/// As [`Adoption`], for one that may wait longer.
pub(super) enum Judgement {
    Finished(JobOutcome),
    Runs,
    NeverStarted(Option<Box<JobOrder>>),
    Lost { reason: String, ran_a_command: bool },
}

pub(super) async fn adopt(directory: JobDirectory) -> Result<Adoption, LocalAgentError> {
    Ok(match judge(&directory).await? {
        Judgement::Finished(outcome) => Adoption::Finished(outcome),
        Judgement::Runs => Adoption::Running(RunningJob::found(directory)),
        Judgement::NeverStarted(order) => Adoption::NeverStarted(order),
        Judgement::Lost {
            reason,
            ran_a_command,
        } => Adoption::Lost {
            reason,
            ran_a_command,
        },
    })
}

/// Judges on a thread for blocking work: ending leftovers looks at all processes of the machine.
pub(super) async fn judge(directory: &JobDirectory) -> Result<Judgement, LocalAgentError> {
    let directory = directory.clone();
    match tokio::task::spawn_blocking(move || judge_blocking(&directory)).await {
        Ok(judgement) => judgement,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Holds the lock while it looks, so no supervisor begins meanwhile; one that comes then finds the lock taken
/// and leaves, one that comes later finds no order.
fn judge_blocking(directory: &JobDirectory) -> Result<Judgement, LocalAgentError> {
    let io = |action, source| LocalAgentError::Io {
        action,
        path: directory.path().to_owned(),
        source,
    };
    let _lock = match JobLock::try_take(&directory.lock_path()) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok(Judgement::Runs),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Judgement::NeverStarted(None)),
        Err(error) => return Err(io("lock", error)),
    };
    let lost = |reason: String| Judgement::Lost {
        reason,
        ran_a_command: directory.ran_a_command(),
    };
    match directory.read_outcome() {
        Ok(Some(outcome)) => return Ok(Judgement::Finished(outcome)),
        Ok(None) => {}
        Err(error) => {
            return Ok(lost(format!(
                "the job ended, but its outcome cannot be read: {error}"
            )));
        }
    }
    if directory.started_path().exists() {
        let started = directory.read_started().ok().flatten();
        remove_left_by(&directory.container_path());
        let ended = processes::end_leftovers(started.as_ref(), &directory.tmp_path());
        let machine_went_down = started
            .is_some_and(|started| !started.boot_id.is_empty() && started.boot_id != processes::boot_id());
        let reason = if machine_went_down {
            "the machine was started anew while the job ran".to_owned()
        } else {
            format!(
                "the job's supervisor is gone without an outcome; {ended} processes that it left running were ended"
            )
        };
        return Ok(lost(reason));
    }
    let order = directory.read_order().ok().flatten().map(Box::new);
    match fs::rename(directory.order_path(), directory.withdrawn_order_path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("take back the order in", error)),
        _ => Ok(Judgement::NeverStarted(order)),
    }
}
