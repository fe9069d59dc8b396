//! The stage machine of a build: the whole state of one build, and the only function that moves it.
//!
//! [`step()`] takes a build, an [`Input`] and the time, and returns the build that follows together with the
//! [`Effect`]s for the engine to carry out in the same transaction. It reads no clock and does no I/O, and a
//! refused input leaves the build exactly as it was.
//!
//! Stages run strictly in order and all jobs of a stage are queued together. A stage that fails or is stopped
//! takes every later stage out of the run except the final ones. No stage beyond the [`Limit`] ever starts,
//! whatever happens, so a final stage behind an untriggered manual stage waits even after a failure
//! (bamboo-rest.md 6.2, 6.3; bamboo-specs.md 3.3).

mod job;
mod step;
mod summary;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::job::{Job, JobOutcome, JobState, StaleReason};
pub use self::step::{Effect, Input, InvalidTransition, MAX_LOSSES, step};
pub use self::summary::{BuildSummary, JobSummary, LifeCycleState, ResultState, StageSummary};

use crate::stage_selection::{Limit, StageOutline, StageRequest, StageSelectionError, limit_for_new_build};

/// One build with its stages and jobs. Only [`step()`] changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    stages: Vec<Stage>,
    limit: Limit,
    state: BuildState,
    stop: Option<StopRequest>,
    lost_jobs: LostJobPolicy,
}

impl Build {
    /// Makes a build that has not been started. The limit comes from `request` by the rules for new builds.
    ///
    /// # Errors
    /// [`NewBuildError`] when the request names an unknown stage or two jobs share an id.
    pub fn new(stages: Vec<NewStage>, request: &StageRequest) -> Result<Self, NewBuildError> {
        let mut seen = BTreeSet::new();
        for job in stages.iter().flat_map(|stage| &stage.jobs) {
            if !seen.insert(job.id) {
                return Err(NewBuildError::DuplicateJob { job: job.id });
            }
        }
        let stages: Vec<Stage> = stages.into_iter().map(Stage::new).collect();
        let outlines: Vec<StageOutline<'_>> = stages.iter().map(StageOutline::from).collect();
        let limit = limit_for_new_build(&outlines, request)?;
        let lost_jobs = LostJobPolicy::EndInError;
        Ok(Self {
            stages,
            limit,
            state: BuildState::Created,
            stop: None,
            lost_jobs,
        })
    }

    /// Sets what becomes of a started job whose agent is lost; [`LostJobPolicy::EndInError`] unless said
    /// otherwise.
    #[must_use]
    pub fn with_lost_jobs(mut self, policy: LostJobPolicy) -> Self {
        self.lost_jobs = policy;
        self
    }

    /// The stages in the order of the plan.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The last stage that may start without being asked again.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Where the build stands.
    #[must_use]
    pub fn state(&self) -> &BuildState {
        &self.state
    }

    /// The stop that somebody asked for in the present run; cleared when the build is continued.
    #[must_use]
    pub fn stop(&self) -> Option<&StopRequest> {
        self.stop.as_ref()
    }

    /// The stage and the job with this id.
    #[must_use]
    pub fn job(&self, id: i64) -> Option<(&Stage, &Job)> {
        self.stages
            .iter()
            .find_map(|stage| Some((stage, stage.jobs.iter().find(|job| job.id == id)?)))
    }

    /// The stage whose jobs are queued or running now (`currentStage` in bamboo-rest.md 5.7).
    #[must_use]
    pub fn current_stage(&self) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.state.is_under_way())
    }

    /// The index of the first stage that has not succeeded: `k` in bamboo-rest.md 6.3.
    #[must_use]
    pub fn first_unsuccessful_stage(&self) -> Option<usize> {
        self.stages
            .iter()
            .position(|stage| !matches!(stage.state, StageState::Successful { .. }))
    }
}

/// One stage of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The name as the plan spells it.
    pub name: String,
    /// Waits for a person before it starts.
    pub manual: bool,
    /// Runs even after a failure or a stop.
    pub final_stage: bool,
    /// The jobs, which run beside each other. A plan's job that several stages name is one job in each.
    pub jobs: Vec<Job>,
    /// Where the stage stands.
    pub state: StageState,
}

impl Stage {
    fn new(stage: NewStage) -> Self {
        let NewStage {
            name,
            manual,
            final_stage,
            jobs,
        } = stage;
        let jobs = jobs
            .into_iter()
            .map(|job| Job::new(job.id, job.enabled))
            .collect();
        let state = StageState::NotBuilt {
            reason: NotBuiltReason::NotTriggered,
        };
        Self {
            name,
            manual,
            final_stage,
            jobs,
            state,
        }
    }
}

/// Where a stage stands. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum StageState {
    /// Not run, and not going to run unless the build is continued.
    NotBuilt {
        /// What kept it from running.
        reason: NotBuiltReason,
    },
    /// Waits for the stages before it in the present run.
    Pending,
    /// Its jobs are queued or running.
    InProgress {
        /// When its jobs were queued.
        started_ms: i64,
    },
    /// Its jobs have been told to stop and some have not answered yet.
    Stopping {
        /// When its jobs were queued.
        started_ms: i64,
    },
    /// Every enabled job succeeded.
    Successful {
        /// When its jobs were queued.
        started_ms: i64,
        /// When the last job ended.
        finished_ms: i64,
    },
    /// A job did not succeed, and nobody had asked to stop it.
    Failed {
        /// When its jobs were queued.
        started_ms: i64,
        /// When the last job ended.
        finished_ms: i64,
    },
    /// It was cut short by a stop.
    Stopped {
        /// When its jobs were queued.
        started_ms: i64,
        /// When the last job ended.
        finished_ms: i64,
    },
}

impl StageState {
    /// When its jobs were queued, if they are queued or running now.
    fn started_if_under_way(self) -> Option<i64> {
        match self {
            Self::InProgress { started_ms } | Self::Stopping { started_ms } => Some(started_ms),
            _ => None,
        }
    }

    fn is_under_way(self) -> bool {
        self.started_if_under_way().is_some()
    }
}

/// What kept a stage from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotBuiltReason {
    /// The run has not been allowed to go that far: the stage, or one before it, is manual.
    NotTriggered,
    /// An earlier stage failed.
    EarlierFailure,
    /// Somebody stopped the build.
    Stopped,
}

/// Where a build stands. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum BuildState {
    /// Stored, not started.
    Created,
    /// Jobs are queued or running.
    Running {
        /// When it was started or last continued.
        since_ms: i64,
    },
    /// Green as far as it was allowed to run, waiting for a person before a manual stage.
    Paused {
        /// The index of the manual stage.
        next_stage: usize,
        /// Since when it waits.
        since_ms: i64,
    },
    /// Ended. A build that did not succeed may still be continued.
    Finished {
        /// How it ended.
        outcome: BuildOutcome,
        /// When it ended.
        at_ms: i64,
    },
}

/// How a build ended. The first stage that did not succeed decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum BuildOutcome {
    /// Every stage succeeded.
    Successful,
    /// A stage failed.
    Failed,
    /// A stop cut it short.
    Stopped,
    /// It could not even start, for example because its revision does not exist.
    NotStarted {
        /// Why, for people.
        reason: String,
    },
}

/// Somebody's wish to end the present run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// Who asked last, as the engine names callers.
    pub by: String,
    /// When that was, in milliseconds since 1970.
    pub at_ms: i64,
    /// How much is stopped.
    pub scope: StopScope,
}

/// How much of a run a stop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopScope {
    /// Final stages that have not started yet still run.
    KeepFinalStages,
    /// Nothing more runs; this is the second and every further stop.
    Everything,
}

/// What becomes of a job that an agent had started before the agent was lost. A job that was leased but not
/// started has done nothing yet and is always queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostJobPolicy {
    /// The job ends with an error: running its tasks twice might do harm.
    EndInError,
    /// The job is queued again, at most [`MAX_LOSSES`] times.
    QueueAgain,
}

/// A stage of a build to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStage {
    /// The name as the plan spells it.
    pub name: String,
    /// Waits for a person before it starts.
    pub manual: bool,
    /// Runs even after a failure or a stop.
    pub final_stage: bool,
    /// The jobs of the stage.
    pub jobs: Vec<NewJob>,
}

/// A job of a build to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewJob {
    /// The id of this job in this stage of this build.
    pub id: i64,
    /// Whether it runs; a disabled job is skipped and does not count.
    pub enabled: bool,
}

/// Why a build cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NewBuildError {
    /// The stage request cannot be met.
    #[error(transparent)]
    Selection(#[from] StageSelectionError),
    /// Two jobs have the same id.
    #[error("make the build: job id {job} occurs twice; each job of each stage needs its own")]
    DuplicateJob {
        /// The id.
        job: i64,
    },
}
