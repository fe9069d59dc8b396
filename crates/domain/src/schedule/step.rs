//! Moves a build: one input in, the next state and the effects out.
//!
//! Nothing else may change a build. Effects are requests to the engine, to be carried out in the transaction
//! that stores the new state; none of them is repeated for the same cause.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Build, BuildOutcome, BuildState, Job, JobOutcome, JobState, LostJobPolicy, NotBuiltReason, Stage,
    StageState, StaleReason, StopRequest, StopScope,
};
use crate::stage_selection::{Continuation, ContinueRefusal, Limit, StageRequest, plan_continuation};

/// How often a job may be lost with its agent in one run and be queued again. One more loss ends it with an
/// error, so that a job which kills its agents cannot go round for ever.
pub const MAX_LOSSES: u32 = 3;

/// Something that happened to a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Input {
    /// The build may begin.
    Start,
    /// The build cannot begin, for example because its revision does not exist.
    GiveUp {
        /// Why, for people.
        reason: String,
    },
    /// An agent took a queued job.
    JobLeased {
        /// The job.
        job: i64,
        /// The attempt that was queued.
        attempt: u32,
        /// The agent.
        holder: String,
    },
    /// The agent began.
    JobStarted {
        /// The job.
        job: i64,
        /// The attempt that was leased.
        attempt: u32,
        /// The agent.
        holder: String,
    },
    /// The tasks are over and the agent hands in what they left.
    JobFinishing {
        /// The job.
        job: i64,
        /// The attempt that was leased.
        attempt: u32,
        /// The agent.
        holder: String,
    },
    /// The agent is done with the job.
    JobFinished {
        /// The job.
        job: i64,
        /// The attempt that was leased.
        attempt: u32,
        /// The agent.
        holder: String,
        /// How it ended.
        outcome: JobOutcome,
    },
    /// The agent that held the job is taken for dead.
    JobLost {
        /// The job.
        job: i64,
        /// The attempt that was leased.
        attempt: u32,
    },
    /// Somebody wants the run to end.
    Stop {
        /// Who.
        by: String,
    },
    /// Somebody wants a paused or ended build to go on.
    Continue {
        /// Which stages.
        request: StageRequest,
    },
    /// Somebody wants the jobs that did not succeed to run again, and then the automatic stages behind them. The
    /// same as continuing without naming a stage, but refused for a build that only waits.
    RerunFailed,
}

/// What the engine is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Effect {
    /// The build began to run.
    BuildStarted,
    /// A paused or ended build runs again.
    BuildContinued {
        /// Where it goes on and how far.
        continuation: Continuation,
    },
    /// A stage began; its jobs follow.
    StageStarted {
        /// The index of the stage.
        stage: usize,
    },
    /// Offer the job to agents.
    QueueJob {
        /// The job.
        job: i64,
        /// The attempt.
        attempt: u32,
    },
    /// Take the job off the queue: no agent has it.
    WithdrawJob {
        /// The job.
        job: i64,
        /// The attempt.
        attempt: u32,
    },
    /// Tell the agent to stop the job. It still has to report; a further stop repeats this.
    CancelJob {
        /// The job.
        job: i64,
        /// The attempt.
        attempt: u32,
        /// The agent.
        holder: String,
    },
    /// A stage ended; its state says how.
    StageFinished {
        /// The index of the stage.
        stage: usize,
    },
    /// The build waits for a person. Clients see it as finished and continuable (bamboo-rest.md 1.12).
    BuildPaused {
        /// The index of the manual stage it waits at.
        next_stage: usize,
    },
    /// The build ended.
    BuildFinished {
        /// How.
        outcome: BuildOutcome,
    },
}

/// Why an input was refused. The build is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTransition {
    /// A report that is late, repeated, or from an agent that lost the job. Normal; the sender drops the job.
    #[error("take the report for attempt {attempt} of job {job}: {reason}; it is dropped")]
    StaleReport {
        /// The job.
        job: i64,
        /// The attempt that the report names.
        attempt: u32,
        /// Why it does not count.
        reason: StaleReason,
    },
    /// The build has no such job.
    #[error("take the report for job {job}: the build has no such job; check the id")]
    UnknownJob {
        /// The id.
        job: i64,
    },
    /// The build has been started before.
    #[error("start the build: it has been started before; continue it instead")]
    AlreadyStarted,
    /// There is nothing to stop.
    #[error("stop the build: it is not running; nothing is left to stop")]
    NotRunning,
    /// The build cannot go on as asked.
    #[error(transparent)]
    Continue(#[from] ContinueRefusal),
}

/// Takes one input and returns the build that follows and what the engine is to do. `now_ms` is in milliseconds
/// since 1970.
///
/// # Errors
/// [`InvalidTransition`] when the build is not in a state to take the input.
pub fn step(build: &Build, input: Input, now_ms: i64) -> Result<(Build, Vec<Effect>), InvalidTransition> {
    let mut transition = Transition {
        build: build.clone(),
        effects: Vec::new(),
        now_ms,
    };
    transition.take(input)?;
    Ok((transition.build, transition.effects))
}

/// A build on its way to the next state.
struct Transition {
    build: Build,
    effects: Vec<Effect>,
    now_ms: i64,
}

impl Transition {
    fn take(&mut self, input: Input) -> Result<(), InvalidTransition> {
        let now_ms = self.now_ms;
        match input {
            Input::Start => self.start(),
            Input::GiveUp { reason } => self.give_up(reason),
            Input::JobLeased { job, attempt, holder } => {
                self.report(job, attempt, |job| job.lease(attempt, holder, now_ms))
            }
            Input::JobStarted { job, attempt, holder } => {
                self.report(job, attempt, |job| job.start(attempt, holder, now_ms))
            }
            Input::JobFinishing { job, attempt, holder } => {
                self.report(job, attempt, |job| job.begin_finishing(attempt, holder))
            }
            Input::JobFinished {
                job,
                attempt,
                holder,
                outcome,
            } => {
                self.report(job, attempt, |job| job.finish(attempt, &holder, outcome, now_ms))?;
                self.advance();
                Ok(())
            }
            Input::JobLost { job, attempt } => self.lose(job, attempt),
            Input::Stop { by } => self.stop(by),
            Input::Continue { request } => self.go_on(&request),
            Input::RerunFailed => self.rerun_failed(),
        }
    }

    fn start(&mut self) -> Result<(), InvalidTransition> {
        if self.build.state != BuildState::Created {
            return Err(InvalidTransition::AlreadyStarted);
        }
        self.effects.push(Effect::BuildStarted);
        self.run_from(0);
        Ok(())
    }

    fn give_up(&mut self, reason: String) -> Result<(), InvalidTransition> {
        if self.build.state != BuildState::Created {
            return Err(InvalidTransition::AlreadyStarted);
        }
        self.end_build(BuildOutcome::NotStarted { reason });
        Ok(())
    }

    fn report(
        &mut self,
        job: i64,
        attempt: u32,
        take: impl FnOnce(&mut Job) -> Result<(), StaleReason>,
    ) -> Result<(), InvalidTransition> {
        let (_, found) = self.find(job)?;
        take(found).map_err(|reason| InvalidTransition::StaleReport { job, attempt, reason })
    }

    fn lose(&mut self, id: i64, attempt: u32) -> Result<(), InvalidTransition> {
        let policy = self.build.lost_jobs;
        let now_ms = self.now_ms;
        let (stage, job) = self.find(id)?;
        job.check_leased(attempt)
            .map_err(|reason| InvalidTransition::StaleReport {
                job: id,
                attempt,
                reason,
            })?;
        job.losses += 1;
        let begun = !matches!(job.state, JobState::Leased { .. });
        if matches!(stage, StageState::Stopping { .. }) {
            job.end(JobOutcome::Stopped, now_ms);
        } else if (begun && policy == LostJobPolicy::EndInError) || job.losses > MAX_LOSSES {
            let holder = job.holder().unwrap_or_default();
            let reason = format!("The agent '{holder}' was lost while it had the job.");
            job.end(JobOutcome::Error { reason }, now_ms);
        } else {
            job.queue(now_ms);
            let attempt = job.attempt;
            self.effects.push(Effect::QueueJob { job: id, attempt });
        }
        self.advance();
        Ok(())
    }

    fn stop(&mut self, by: String) -> Result<(), InvalidTransition> {
        let scope = match self.build.stop {
            None => StopScope::KeepFinalStages,
            Some(_) => StopScope::Everything,
        };
        let at_ms = self.now_ms;
        match self.build.state {
            BuildState::Created => {
                self.build.stop = Some(StopRequest { by, at_ms, scope });
                self.end_build(BuildOutcome::Stopped);
                return Ok(());
            }
            BuildState::Running { .. } => self.build.stop = Some(StopRequest { by, at_ms, scope }),
            BuildState::Paused { .. } | BuildState::Finished { .. } => {
                return Err(InvalidTransition::NotRunning);
            }
        }
        self.skip_pending(NotBuiltReason::Stopped, scope);
        if let Some(stage) = self
            .build
            .stages
            .iter_mut()
            .find(|stage| stage.state.is_under_way())
        {
            stop_stage(stage, &mut self.effects, at_ms);
        }
        self.advance();
        Ok(())
    }

    fn go_on(&mut self, request: &StageRequest) -> Result<(), InvalidTransition> {
        let continuation = plan_continuation(&self.build, request)?;
        self.build.limit = Limit::Through(continuation.through);
        self.build.stop = None;
        self.effects.push(Effect::BuildContinued { continuation });
        self.run_from(continuation.from);
        Ok(())
    }

    fn rerun_failed(&mut self) -> Result<(), InvalidTransition> {
        if matches!(self.build.state, BuildState::Paused { .. }) {
            return Err(ContinueRefusal::NothingFailed.into());
        }
        self.go_on(&StageRequest::default())
    }

    /// Begins a run at `from`. Jobs of that stage that succeeded before are kept; what later stages did before,
    /// which can only be final stages after a failure, is void and they run again within the limit.
    fn run_from(&mut self, from: usize) {
        let limit = self.build.limit;
        for (index, stage) in self.build.stages.iter_mut().enumerate().skip(from) {
            for job in stage
                .jobs
                .iter_mut()
                .filter(|job| index > from || !job.succeeded())
            {
                job.reset();
            }
            stage.state = if limit.covers(index) {
                StageState::Pending
            } else {
                StageState::NotBuilt {
                    reason: NotBuiltReason::NotTriggered,
                }
            };
        }
        self.build.state = BuildState::Running {
            since_ms: self.now_ms,
        };
        self.advance();
    }

    /// Ends stages whose jobs are settled, starts the next one, and ends the run when none is left.
    fn advance(&mut self) {
        if !matches!(self.build.state, BuildState::Running { .. }) {
            return;
        }
        loop {
            if let Some(stage) = self
                .build
                .stages
                .iter()
                .position(|stage| stage.state.is_under_way())
            {
                if !self.build.stages[stage].jobs.iter().all(Job::is_settled) {
                    return;
                }
                self.end_stage(stage);
            } else if let Some(stage) = self
                .build
                .stages
                .iter()
                .position(|stage| stage.state == StageState::Pending)
            {
                self.start_stage(stage);
            } else {
                self.conclude();
                return;
            }
        }
    }

    fn start_stage(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let stage = &mut self.build.stages[index];
        stage.state = StageState::InProgress { started_ms: now_ms };
        self.effects.push(Effect::StageStarted { stage: index });
        for job in stage.jobs.iter_mut().filter(|job| job.state == JobState::Pending) {
            job.queue(now_ms);
            self.effects.push(Effect::QueueJob {
                job: job.id,
                attempt: job.attempt,
            });
        }
    }

    fn end_stage(&mut self, index: usize) {
        let finished_ms = self.now_ms;
        let stage = &mut self.build.stages[index];
        let started_ms = stage.state.started_if_under_way().unwrap_or(finished_ms);
        let succeeded = stage
            .jobs
            .iter()
            .filter(|job| job.is_enabled())
            .all(Job::succeeded);
        let failed = !succeeded && matches!(stage.state, StageState::InProgress { .. });
        stage.state = if succeeded {
            StageState::Successful {
                started_ms,
                finished_ms,
            }
        } else if failed {
            StageState::Failed {
                started_ms,
                finished_ms,
            }
        } else {
            StageState::Stopped {
                started_ms,
                finished_ms,
            }
        };
        self.effects.push(Effect::StageFinished { stage: index });
        if failed {
            self.skip_pending(NotBuiltReason::EarlierFailure, StopScope::KeepFinalStages);
        }
    }

    /// Takes the stages that wait for their turn out of the run. Only stages within the limit ever wait, so a
    /// final stage behind an untriggered manual one is not among those that stay.
    fn skip_pending(&mut self, reason: NotBuiltReason, scope: StopScope) {
        for stage in &mut self.build.stages {
            let stays = stage.final_stage && scope == StopScope::KeepFinalStages;
            if stage.state == StageState::Pending && !stays {
                stage.state = StageState::NotBuilt { reason };
            }
        }
    }

    fn conclude(&mut self) {
        let verdict = self.build.stages.iter().find_map(|stage| match stage.state {
            StageState::Failed { .. } => Some(BuildOutcome::Failed),
            StageState::Stopped { .. }
            | StageState::NotBuilt {
                reason: NotBuiltReason::Stopped,
            } => Some(BuildOutcome::Stopped),
            _ => None,
        });
        match (verdict, self.build.first_unsuccessful_stage()) {
            (Some(outcome), _) => self.end_build(outcome),
            (None, None) => self.end_build(BuildOutcome::Successful),
            (None, Some(next_stage)) => {
                self.build.state = BuildState::Paused {
                    next_stage,
                    since_ms: self.now_ms,
                };
                self.effects.push(Effect::BuildPaused { next_stage });
            }
        }
    }

    fn end_build(&mut self, outcome: BuildOutcome) {
        self.build.state = BuildState::Finished {
            outcome: outcome.clone(),
            at_ms: self.now_ms,
        };
        self.effects.push(Effect::BuildFinished { outcome });
    }

    /// The job with this id and the state of its stage.
    fn find(&mut self, id: i64) -> Result<(StageState, &mut Job), InvalidTransition> {
        self.build
            .stages
            .iter_mut()
            .find_map(|stage| {
                let state = stage.state;
                stage
                    .jobs
                    .iter_mut()
                    .find(|job| job.id == id)
                    .map(|job| (state, job))
            })
            .ok_or(InvalidTransition::UnknownJob { job: id })
    }
}

/// Takes queued jobs off the queue and asks agents to stop the others.
fn stop_stage(stage: &mut Stage, effects: &mut Vec<Effect>, now_ms: i64) {
    if let StageState::InProgress { started_ms } = stage.state {
        stage.state = StageState::Stopping { started_ms };
    }
    for job in &mut stage.jobs {
        let (id, attempt) = (job.id, job.attempt);
        if matches!(job.state, JobState::Queued { .. }) {
            job.state = JobState::NotBuilt { at_ms: now_ms };
            effects.push(Effect::WithdrawJob { job: id, attempt });
        } else if let Some(holder) = job.holder() {
            effects.push(Effect::CancelJob {
                job: id,
                attempt,
                holder: holder.to_owned(),
            });
        }
    }
}
