//! What clients of the REST interface and readers of pages see of a build: life cycle, verdict, flags, messages.
//!
//! The vocabulary and the table of combinations are those of bamboo-rest.md 1.12, the texts those of 5.3.

use super::{Build, BuildOutcome, BuildState, Job, JobOutcome, JobState, Stage, StageState};

/// `lifeCycleState` (bamboo-rest.md 1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeCycleState {
    /// Will run once what comes before it is done.
    Pending,
    /// Waits for an agent.
    Queued,
    /// An agent has it.
    InProgress,
    /// Ran to an end.
    Finished,
    /// Did not run, or was stopped.
    NotBuilt,
}

impl LifeCycleState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::InProgress => "InProgress",
            Self::Finished => "Finished",
            Self::NotBuilt => "NotBuilt",
        }
    }
}

/// `state` and `buildState` (bamboo-rest.md 1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultState {
    /// No verdict.
    Unknown,
    /// Went well.
    Successful,
    /// Went wrong.
    Failed,
}

impl ResultState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
        }
    }
}

/// The state fields of a plan result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildSummary {
    /// `lifeCycleState`.
    pub life_cycle: LifeCycleState,
    /// `state` and `buildState`.
    pub state: ResultState,
    /// `finished`: it ran to an end, or as far as the next manual stage.
    pub finished: bool,
    /// `successful`: finished, and green.
    pub successful: bool,
    /// `notRunYet`: no agent has had any of its jobs and it has not been stopped.
    pub not_run_yet: bool,
    /// `continuable`: green, and waiting for a person before a manual stage.
    pub continuable: bool,
    /// `restartable`: ended without success, so its unsuccessful jobs can run again.
    pub restartable: bool,
}

/// The state fields of a stage within a plan result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSummary {
    /// `lifeCycleState`.
    pub life_cycle: LifeCycleState,
    /// `state`.
    pub state: ResultState,
    /// `displayClass`.
    pub display_class: &'static str,
    /// `displayMessage`.
    pub display_message: String,
    /// `manual`.
    pub manual: bool,
    /// `restartable`: the stage at which an unsuccessful build would be taken up again.
    pub restartable: bool,
    /// `runnable`: the manual stage that a paused build waits at; no other stage.
    pub runnable: bool,
}

/// The state fields of a job result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSummary {
    /// `lifeCycleState`.
    pub life_cycle: LifeCycleState,
    /// `state` and `buildState`.
    pub state: ResultState,
}

impl Build {
    /// The state fields of the plan result.
    ///
    /// A build whose first stage is manual and was not asked for is finished and continuable but has no verdict:
    /// calling it successful would set off whatever waits for a green build.
    #[must_use]
    pub fn summary(&self) -> BuildSummary {
        let untouched = self.is_untouched();
        let waits_for_agents = !self
            .stages
            .iter()
            .any(|stage| has_ended(stage) || stage.jobs.iter().any(was_taken));
        let (life_cycle, state) = match &self.state {
            BuildState::Created => (LifeCycleState::Pending, ResultState::Unknown),
            BuildState::Running { .. } if waits_for_agents => (LifeCycleState::Queued, ResultState::Unknown),
            BuildState::Running { .. } => (LifeCycleState::InProgress, ResultState::Unknown),
            BuildState::Paused { .. } if untouched => (LifeCycleState::Finished, ResultState::Unknown),
            BuildState::Paused { .. }
            | BuildState::Finished {
                outcome: BuildOutcome::Successful,
                ..
            } => (LifeCycleState::Finished, ResultState::Successful),
            BuildState::Finished {
                outcome: BuildOutcome::Failed,
                ..
            } => (LifeCycleState::Finished, ResultState::Failed),
            BuildState::Finished {
                outcome: BuildOutcome::Stopped | BuildOutcome::NotStarted { .. },
                ..
            } => (LifeCycleState::NotBuilt, ResultState::Unknown),
        };
        BuildSummary {
            life_cycle,
            state,
            finished: life_cycle == LifeCycleState::Finished,
            successful: state == ResultState::Successful,
            not_run_yet: untouched && !matches!(self.state, BuildState::Finished { .. }),
            continuable: matches!(self.state, BuildState::Paused { .. }),
            restartable: self.is_restartable(),
        }
    }

    /// The state fields of the stage with this index, or `None` if there is no such stage.
    #[must_use]
    pub fn stage_summary(&self, index: usize) -> Option<StageSummary> {
        let stage = self.stages.get(index)?;
        let (life_cycle, state) = stage_states(stage);
        let restartable = self.is_restartable()
            && self.first_unsuccessful_stage() == Some(index)
            && matches!(
                stage.state,
                StageState::Failed { .. } | StageState::Stopped { .. }
            );
        Some(StageSummary {
            life_cycle,
            state,
            display_class: display_class(life_cycle, state),
            display_message: display_message(stage, life_cycle),
            manual: stage.manual,
            restartable,
            runnable: matches!(self.state, BuildState::Paused { next_stage, .. } if next_stage == index),
        })
    }

    /// The state fields of the job with this id, or `None` if there is no such job.
    #[must_use]
    pub fn job_summary(&self, id: i64) -> Option<JobSummary> {
        let (stage, job) = self.job(id)?;
        let (life_cycle, state) = job_states(stage, job);
        Some(JobSummary { life_cycle, state })
    }

    /// How long its jobs have run, in milliseconds: the time in which at least one of them ran. Time in the queue, at a
    /// manual stage, and between a run and the next one of the same build does not count. Each job counts with its last
    /// attempt; those that have not ended are left out.
    #[must_use]
    pub fn ran_ms(&self) -> i64 {
        let jobs = self.stages.iter().flat_map(|stage| &stage.jobs);
        let mut spans: Vec<(i64, i64)> = jobs
            .filter_map(|job| match job.state {
                JobState::Done {
                    started_ms: Some(started),
                    finished_ms,
                    ..
                } => Some((started, finished_ms)),
                _ => None,
            })
            .collect();
        spans.sort_unstable();
        let (mut sum, mut reached) = (0, i64::MIN);
        for (started, finished) in spans {
            let from = started.max(reached);
            if finished > from {
                sum += finished - from;
                reached = finished;
            }
        }
        sum
    }

    /// The manual stage that keeps a final one from running although the build is at rest: a final stage runs whatever
    /// happened before, but not before a manual stage in front of it was started (bamboo-rest.md 6.2).
    #[must_use]
    pub fn held_up_by(&self, index: usize) -> Option<&Stage> {
        let stage = self.stages.get(index)?;
        let rests = matches!(
            self.state,
            BuildState::Paused { .. } | BuildState::Finished { .. }
        );
        let was_left_out = stage.final_stage && matches!(stage.state, StageState::NotBuilt { .. });
        if !rests || !was_left_out || stage.manual {
            return None;
        }
        let mut before = self.stages[..index].iter().enumerate();
        before
            .find(|(at, stage)| stage.manual && !self.limit.covers(*at))
            .map(|(_, manual)| manual)
    }

    /// Whether no stage has ended and no job has been taken or queued more than once.
    fn is_untouched(&self) -> bool {
        let touched = |job: &Job| job.attempt > 1 || was_taken(job);
        !self
            .stages
            .iter()
            .any(|stage| has_ended(stage) || stage.jobs.iter().any(touched))
    }

    fn is_restartable(&self) -> bool {
        match &self.state {
            BuildState::Finished { outcome, .. } => *outcome != BuildOutcome::Successful,
            _ => false,
        }
    }
}

fn has_ended(stage: &Stage) -> bool {
    matches!(
        stage.state,
        StageState::Successful { .. } | StageState::Failed { .. } | StageState::Stopped { .. }
    )
}

/// Whether an agent has, or had, the present attempt.
fn was_taken(job: &Job) -> bool {
    job.holder().is_some() || matches!(job.state, JobState::Done { .. })
}

fn stage_states(stage: &Stage) -> (LifeCycleState, ResultState) {
    match stage.state {
        StageState::NotBuilt { .. } | StageState::Stopped { .. } => {
            (LifeCycleState::NotBuilt, ResultState::Unknown)
        }
        StageState::Pending => (LifeCycleState::Pending, ResultState::Unknown),
        StageState::InProgress { .. } if !stage.jobs.iter().any(was_taken) => {
            (LifeCycleState::Queued, ResultState::Unknown)
        }
        StageState::InProgress { .. } | StageState::Stopping { .. } => {
            (LifeCycleState::InProgress, ResultState::Unknown)
        }
        StageState::Successful { .. } => (LifeCycleState::Finished, ResultState::Successful),
        StageState::Failed { .. } => (LifeCycleState::Finished, ResultState::Failed),
    }
}

fn job_states(stage: &Stage, job: &Job) -> (LifeCycleState, ResultState) {
    match &job.state {
        JobState::Pending if stage.state == StageState::Pending => {
            (LifeCycleState::Pending, ResultState::Unknown)
        }
        JobState::Disabled | JobState::Pending | JobState::NotBuilt { .. } => {
            (LifeCycleState::NotBuilt, ResultState::Unknown)
        }
        JobState::Queued { .. } => (LifeCycleState::Queued, ResultState::Unknown),
        JobState::Leased { .. } | JobState::Running { .. } | JobState::Finishing { .. } => {
            (LifeCycleState::InProgress, ResultState::Unknown)
        }
        JobState::Done { outcome, .. } => match outcome {
            JobOutcome::Successful => (LifeCycleState::Finished, ResultState::Successful),
            JobOutcome::Failed { .. } | JobOutcome::Error { .. } => {
                (LifeCycleState::Finished, ResultState::Failed)
            }
            JobOutcome::Stopped => (LifeCycleState::NotBuilt, ResultState::Unknown),
        },
    }
}

/// `Successful`, `Failed` and `NotBuilt` have been seen; `InProgress` and `Queued` are the recommended names for
/// the rest, and a stage that waits for its turn shares the latter.
fn display_class(life_cycle: LifeCycleState, state: ResultState) -> &'static str {
    match life_cycle {
        LifeCycleState::Finished => state.as_str(),
        LifeCycleState::Pending => LifeCycleState::Queued.as_str(),
        other => other.as_str(),
    }
}

fn display_message(stage: &Stage, life_cycle: LifeCycleState) -> String {
    let enabled = || stage.jobs.iter().filter(|job| job.is_enabled());
    let total = enabled().count();
    let jobs = if total == 1 { "job" } else { "jobs" };
    let unsuccessful = enabled().filter(|job| !job.succeeded()).count();
    let not_executed = enabled()
        .filter(|job| job_states(stage, job).0 == LifeCycleState::NotBuilt)
        .count();
    let ended = enabled().filter(|job| job.is_settled()).count();
    match (stage.state, life_cycle) {
        (StageState::Stopped { .. }, _) if not_executed == 0 => {
            format!("{unsuccessful} of {total} {jobs} failed")
        }
        (_, LifeCycleState::NotBuilt) => format!("{not_executed} of {total} {jobs} not executed"),
        (StageState::Failed { .. }, _) => format!("{unsuccessful} of {total} {jobs} failed"),
        (_, LifeCycleState::Finished) => format!("{total} {jobs} passed"),
        (_, LifeCycleState::Pending) => format!("{total} {jobs} pending"),
        (_, LifeCycleState::Queued) => format!("{total} {jobs} queued"),
        (_, LifeCycleState::InProgress) => format!("{ended} of {total} {jobs} completed"),
    }
}
