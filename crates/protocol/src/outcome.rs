//! What an agent says about a job: that it began, what came of it; and what it is told meanwhile.

use serde::{Deserialize, Serialize};

use crate::message::{self, MessageError};
use crate::order::JobVariable;

/// That a job's process has begun. Written before the first task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStarted {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// The process that runs the job.
    pub pid: i32,
    /// The session that all processes of the job are born into.
    pub session: i32,
    /// When the process began, in clock ticks since the machine started; tells it from a later one with its pid.
    pub start_ticks: u64,
    /// Identifies the time between two starts of the machine; empty where the system does not say.
    pub boot_id: String,
    /// When the job began, in milliseconds since 1970.
    pub started_ms: i64,
}

impl JobStarted {
    /// Reads the message.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read("job start", json)
    }

    /// The message as JSON.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write("job start", self)
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobResult {
    /// Each task succeeded.
    Successful,
    /// A task failed.
    Failed,
    /// Somebody stopped the job.
    Stopped,
    /// The job took longer than it may.
    TimedOut,
    /// The job could not be run, for a reason that is not the job's own.
    Error(String),
}

/// What came of a job. Written last, when the log is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOutcome {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// The server's number of the job.
    pub job_id: i64,
    /// The attempt that this is the outcome of.
    pub attempt: i64,
    /// How the job ended.
    pub result: JobResult,
    /// The exit code of the task that decided the result; `None` when no process did, or a signal ended it.
    pub exit_code: Option<i32>,
    /// One sentence for a person: which task failed, and why.
    pub message: String,
    /// When the job began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When the job ended, in milliseconds since 1970.
    pub finished_ms: i64,
    /// How long all checkouts together took, in milliseconds.
    pub checkout_ms: i64,
    /// When the first command of a script began, in milliseconds since 1970.
    pub first_command_started_ms: Option<i64>,
    /// Bytes that the job wrote to the log.
    pub log_bytes: u64,
    /// Lines that the job wrote to the log.
    pub log_lines: u64,
    /// Variables that the job made for later stages and for the result, each name once.
    #[serde(default)]
    pub variables: Vec<JobVariable>,
    /// What is wrong with the log, when something is: a full disk, a limit that was reached.
    pub log_problem: Option<String>,
}

impl JobOutcome {
    /// Reads an outcome.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read("job outcome", json)
    }

    /// The outcome as JSON.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write("job outcome", self)
    }
}

/// A request to stop a running job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// Who asked, for the log.
    pub who: String,
}

impl StopRequest {
    /// A request of this person or part of the product.
    #[must_use]
    pub fn new(who: impl Into<String>) -> Self {
        Self {
            format: crate::FORMAT,
            who: who.into(),
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read("stop request", json)
    }

    /// The request as JSON.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write("stop request", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_survives_the_way_through_json() {
        for result in [
            JobResult::Successful,
            JobResult::Stopped,
            JobResult::TimedOut,
            JobResult::Error("no disk".into()),
        ] {
            let outcome = JobOutcome {
                format: crate::FORMAT,
                job_id: 3,
                attempt: 2,
                result,
                exit_code: Some(3),
                message: "task 1 failed".into(),
                started_ms: 1,
                finished_ms: 2,
                checkout_ms: 0,
                first_command_started_ms: None,
                log_bytes: 10,
                log_lines: 1,
                variables: vec![JobVariable {
                    name: "inject.version".into(),
                    value: "1.2".into(),
                    secret: false,
                    may_refer: false,
                }],
                log_problem: None,
            };
            assert_eq!(
                JobOutcome::from_json(&outcome.to_json().unwrap()).unwrap(),
                outcome
            );
        }
    }

    #[test]
    fn outcome_padded_with_blanks_is_read() {
        let mut json = StopRequest::new("anna").to_json().unwrap();
        json.extend_from_slice(b"   \n  ");
        assert_eq!(StopRequest::from_json(&json).unwrap().who, "anna");
    }
}
