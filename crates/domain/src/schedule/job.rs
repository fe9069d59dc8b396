//! One job of a build and its guarded states: pending > queued > leased > running > finishing > done.
//!
//! A report counts only if it names the present attempt and comes from the agent that holds it. The attempt
//! grows each time the job is queued, so it is the fencing number of the lease.

use serde::{Deserialize, Serialize};

/// One job in one stage of one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The id of this job in this stage of this build.
    pub id: i64,
    /// How often the job has been queued, over all reruns; 0 before the first time.
    pub attempt: u32,
    /// How many attempts of the present run were lost with their agent.
    pub losses: u32,
    /// Where the job stands.
    pub state: JobState,
}

/// Where a job stands. Times are milliseconds since 1970; a holder is the name under which an agent leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum JobState {
    /// Switched off in the plan; never runs and never counts.
    Disabled,
    /// Not queued in the present run.
    Pending,
    /// Waits for an agent.
    Queued {
        /// Since when.
        since_ms: i64,
    },
    /// An agent has taken it and has not said that it began.
    Leased {
        /// The agent.
        holder: String,
        /// Since when.
        since_ms: i64,
    },
    /// Its tasks run.
    Running {
        /// The agent.
        holder: String,
        /// When the agent began.
        started_ms: i64,
    },
    /// Its tasks are over; logs, artifacts and test reports are being handed in.
    Finishing {
        /// The agent.
        holder: String,
        /// When the agent began, if it said so.
        started_ms: Option<i64>,
    },
    /// The present attempt has ended.
    Done {
        /// How it ended.
        outcome: JobOutcome,
        /// When the agent began, if it said so.
        started_ms: Option<i64>,
        /// When it ended.
        finished_ms: i64,
    },
    /// Taken off the queue by a stop before an agent had it.
    NotBuilt {
        /// When it was taken off.
        at_ms: i64,
    },
}

/// How an attempt ended. Everything but `Successful` keeps the stage from succeeding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum JobOutcome {
    /// All went well.
    Successful,
    /// The user's work failed: a task, a test.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// The machinery failed: checkout, workspace, a lost agent.
    Error {
        /// Why, for people.
        reason: String,
    },
    /// It was told to stop and did.
    Stopped,
}

/// Why a report is out of date. Reports like these are normal when messages are repeated or late; the sender is
/// to drop the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaleReason {
    /// The job is at another attempt.
    OtherAttempt {
        /// The present attempt.
        current: u32,
    },
    /// Another agent holds the job.
    OtherHolder,
    /// Nobody holds the job; it waits in the queue.
    NotLeased,
    /// The attempt is over, or the job has never been queued.
    NotActive,
}

impl std::fmt::Display for StaleReason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherAttempt { current } => write!(out, "the job is at attempt {current}"),
            Self::OtherHolder => out.write_str("another agent holds it"),
            Self::NotLeased => out.write_str("no agent holds it"),
            Self::NotActive => out.write_str("it is over or was never queued"),
        }
    }
}

impl Job {
    /// Whether the job has an agent now.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        match &self.state {
            JobState::Leased { holder, .. }
            | JobState::Running { holder, .. }
            | JobState::Finishing { holder, .. } => Some(holder),
            _ => None,
        }
    }

    /// Whether the present attempt ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(
            self.state,
            JobState::Done {
                outcome: JobOutcome::Successful,
                ..
            }
        )
    }

    /// Whether the plan has the job switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state != JobState::Disabled
    }

    pub(super) fn new(id: i64, enabled: bool) -> Self {
        let state = if enabled {
            JobState::Pending
        } else {
            JobState::Disabled
        };
        Self {
            id,
            attempt: 0,
            losses: 0,
            state,
        }
    }

    /// Whether the stage has nothing more to wait for here.
    pub(super) fn is_settled(&self) -> bool {
        matches!(
            self.state,
            JobState::Disabled | JobState::Done { .. } | JobState::NotBuilt { .. }
        )
    }

    /// Makes an enabled job ready to be queued once more.
    pub(super) fn reset(&mut self) {
        if self.is_enabled() {
            self.losses = 0;
            self.state = JobState::Pending;
        }
    }

    /// Puts the job on the queue as a new attempt.
    pub(super) fn queue(&mut self, now_ms: i64) {
        self.attempt += 1;
        self.state = JobState::Queued { since_ms: now_ms };
    }

    /// The agent has taken the attempt. Hearing it twice changes nothing.
    pub(super) fn lease(&mut self, attempt: u32, holder: String, now_ms: i64) -> Result<(), StaleReason> {
        match self.check(attempt, &holder) {
            Err(StaleReason::NotLeased) => {
                self.state = JobState::Leased {
                    holder,
                    since_ms: now_ms,
                };
                Ok(())
            }
            other => other,
        }
    }

    /// The agent has begun. Hearing it twice, or after the tasks are over, changes nothing.
    pub(super) fn start(&mut self, attempt: u32, holder: String, now_ms: i64) -> Result<(), StaleReason> {
        self.check(attempt, &holder)?;
        if matches!(self.state, JobState::Leased { .. }) {
            self.state = JobState::Running {
                holder,
                started_ms: now_ms,
            };
        }
        Ok(())
    }

    /// The tasks are over. Hearing it twice changes nothing; that the job began may never have been heard.
    pub(super) fn begin_finishing(&mut self, attempt: u32, holder: String) -> Result<(), StaleReason> {
        self.check(attempt, &holder)?;
        self.state = JobState::Finishing {
            holder,
            started_ms: self.started_ms(),
        };
        Ok(())
    }

    /// The attempt has ended. That the job began or was finishing may never have been heard.
    pub(super) fn finish(
        &mut self,
        attempt: u32,
        holder: &str,
        outcome: JobOutcome,
        now_ms: i64,
    ) -> Result<(), StaleReason> {
        self.check(attempt, holder)?;
        self.end(outcome, now_ms);
        Ok(())
    }

    /// Ends the attempt without asking the agent.
    pub(super) fn end(&mut self, outcome: JobOutcome, now_ms: i64) {
        self.state = JobState::Done {
            outcome,
            started_ms: self.started_ms(),
            finished_ms: now_ms,
        };
    }

    /// Checks that an agent holds the attempt, whichever agent it is.
    pub(super) fn check_leased(&self, attempt: u32) -> Result<(), StaleReason> {
        if attempt != self.attempt {
            return Err(StaleReason::OtherAttempt {
                current: self.attempt,
            });
        }
        match self.state {
            JobState::Leased { .. } | JobState::Running { .. } | JobState::Finishing { .. } => Ok(()),
            JobState::Queued { .. } => Err(StaleReason::NotLeased),
            JobState::Disabled | JobState::Pending | JobState::Done { .. } | JobState::NotBuilt { .. } => {
                Err(StaleReason::NotActive)
            }
        }
    }

    /// Checks that this agent holds the attempt.
    fn check(&self, attempt: u32, reporter: &str) -> Result<(), StaleReason> {
        self.check_leased(attempt)?;
        if self.holder() == Some(reporter) {
            Ok(())
        } else {
            Err(StaleReason::OtherHolder)
        }
    }

    fn started_ms(&self) -> Option<i64> {
        match self.state {
            JobState::Running { started_ms, .. } => Some(started_ms),
            JobState::Finishing { started_ms, .. } => started_ms,
            _ => None,
        }
    }
}
