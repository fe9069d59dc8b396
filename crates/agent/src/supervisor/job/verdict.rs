//! What came of a task and of a job, and the words for it.

use madake_domain::plan::{Task, TaskAction};
use madake_protocol::JobResult;

use super::{TaskEnd, Verdict};
use crate::supervisor::container::BeginError;
use crate::supervisor::interruption::Interruption;

impl TaskEnd {
    pub(super) fn of(done: Result<(), String>) -> Self {
        done.map_or_else(Self::failed, |()| Self::Succeeded)
    }

    pub(super) fn failed(reason: String) -> Self {
        Self::Failed {
            reason,
            exit_code: None,
        }
    }
}

impl Verdict {
    pub(super) fn error(reason: String) -> Self {
        Self {
            message: format!("the job could not be run: {reason}"),
            result: JobResult::Error(reason),
            exit_code: None,
        }
    }

    /// For a job that has nothing to run in.
    pub(super) fn not_begun(error: &BeginError) -> Self {
        match error {
            BeginError::Interrupted(interruption) => Self {
                result: interrupted_result(interruption),
                exit_code: None,
                message: error.to_string(),
            },
            _ => Self::error(error.to_string()),
        }
    }

    pub(super) fn failed(called: &str, task: &Task, reason: &str, exit_code: Option<i32>) -> Self {
        Self {
            result: JobResult::Failed,
            exit_code,
            message: format!("{called}, '{}', failed: {reason}", task_name(task)),
        }
    }

    /// For a task that ends the job.
    pub(super) fn ended(called: &str, task: &Task, success: bool) -> Self {
        let (result, word) = if success {
            (JobResult::Successful, "successful")
        } else {
            (JobResult::Failed, "failed")
        };
        Self {
            result,
            exit_code: None,
            message: format!("{called}, '{}', ended the job as {word}", task_name(task)),
        }
    }

    pub(super) fn interrupted(called: &str, task: &Task, interruption: &Interruption) -> Self {
        Self {
            result: interrupted_result(interruption),
            exit_code: None,
            message: format!("{called}, '{}', was {}", task_name(task), interruption.reason()),
        }
    }
}

fn interrupted_result(interruption: &Interruption) -> JobResult {
    match interruption {
        Interruption::Stop { .. } => JobResult::Stopped,
        Interruption::TimeLimit { .. } => JobResult::TimedOut,
    }
}

pub(super) fn result_word(result: &JobResult) -> &'static str {
    match result {
        JobResult::Successful => "Successful",
        JobResult::Failed => "Failed",
        JobResult::Stopped => "Stopped",
        JobResult::TimedOut => "Timed out",
        JobResult::Error(_) => "Error",
    }
}

pub(super) fn task_name(task: &Task) -> &str {
    if !task.description.is_empty() {
        return &task.description;
    }
    match &task.action {
        TaskAction::Script(_) => "Script",
        TaskAction::Checkout(checkout) => checkout
            .repository
            .as_deref()
            .unwrap_or("Checkout Default Repository"),
        TaskAction::Clean => "Clean working directory",
        TaskAction::StopJob(_) => "Stop job",
        TaskAction::InjectVariables(_) => "Inject variables",
        TaskAction::DumpVariables => "Dump variables",
        TaskAction::ArtifactDownload(_) => "Artifact download",
        TaskAction::TestParser(_) => "Test results parser",
        other => other.type_name(),
    }
}
