//! Step 8 of the walk for the built-in agents: each takes one job at a time by a guarded change of state, and
//! starts a supervisor for it. What a server that died had going is taken up again at the next start.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use madake_agent::local::{Adoption, RunningJob};
use madake_domain::schedule::{Input, JobOutcome, JobState, StageState};
use madake_protocol::{DEFAULT_FINAL_TASKS_SECONDS, JobOrder};
use madake_store::{build, build_query};

use crate::deploying::{self, Waiting};
use crate::finish::{fail, watch};
use crate::schedule::apply;
use crate::{Engine, EngineError, capabilities, clock, lfs_content, order};

/// Which built-in agents are at work.
#[derive(Debug)]
pub(crate) struct Slots {
    count: usize,
    busy: Mutex<BTreeSet<usize>>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count: count.max(1),
            busy: Mutex::new(BTreeSet::new()),
        }
    }

    /// The lowest free slot, from 1; it is taken with it.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (1..=self.count).find(|slot| !busy.contains(slot))?;
        busy.insert(free);
        Some(free)
    }

    pub(crate) fn occupy(&self, slot: usize) {
        self.busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(slot);
    }

    /// Takes this slot, whatever its number, if it is free; says whether it was.
    pub(crate) fn take_this(&self, slot: usize) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(slot)
    }

    pub(crate) fn release(&self, slot: usize) {
        self.busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&slot);
    }

    fn free(&self) -> usize {
        self.count
            .saturating_sub(self.busy.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// How many agents there are, and how many are at work.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (
            self.count,
            self.busy.lock().unwrap_or_else(PoisonError::into_inner).len(),
        )
    }
}

/// The name of the built-in agent in a slot, which is also the name that it leases under.
pub(crate) fn agent_name(slot: usize) -> String {
    if slot == 1 {
        "Default Agent".to_owned()
    } else {
        format!("Default Agent {slot}")
    }
}

/// The slot of the agent with this name.
pub(crate) fn slot_of(holder: &str) -> Option<usize> {
    match holder.strip_prefix("Default Agent")? {
        "" => Some(1),
        number => number.trim_start().parse().ok(),
    }
}

/// Gives waiting jobs to free agents.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    while !engine.is_paused() && engine.slots().free() > 0 {
        let free = i64::try_from(engine.slots().free()).unwrap_or(1);
        let waiting = engine.store().read(move |tx| Waiting::first(tx, free)).await?;
        if waiting.is_empty() {
            break;
        }
        for one in waiting {
            if one.ends_without_an_agent(engine).await? {
                continue;
            }
            let Some(slot) = engine.slots().take() else { break };
            let taken = match &one {
                Waiting::Job(job) => take(engine, job, slot).await,
                Waiting::Deployment(deployment) => deploying::take(engine, deployment, slot).await,
            };
            if let Err(error) = taken {
                engine.slots().release(slot);
                return Err(error);
            }
        }
    }
    if !engine.is_paused() && engine.slots().free() == 0 {
        capabilities::end_impossible(engine).await?;
    }
    Ok(None)
}

async fn take(engine: &Engine, job: &build::Job, slot: usize) -> Result<(), EngineError> {
    let holder = agent_name(slot);
    let input = Input::JobLeased {
        job: job.id,
        attempt: attempt_of(job),
        holder: holder.clone(),
    };
    let build_id = job.build_id;
    let leased = engine
        .store()
        .write(move |tx| apply(tx, build_id, input, clock::now_ms()))
        .await;
    match leased {
        Ok(_) => {
            begin(engine, job.clone(), holder, slot).await;
            Ok(())
        }
        // Somebody stopped the build, or took the job, between the look and the lease.
        Err(EngineError::Conflict(_)) => {
            engine.slots().release(slot);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn attempt_of(job: &build::Job) -> u32 {
    u32::try_from(job.attempt).unwrap_or(u32::MAX)
}

/// Starts the supervisor of a leased job; a job that cannot be started ends with an error that says why.
async fn begin(engine: &Engine, job: build::Job, holder: String, slot: usize) {
    let order = order::make(engine, &job, job.attempt, &holder, slot)
        .await
        .map_err(|error| error.to_string());
    let content = match &order {
        Ok(order) => lfs_content::wanted(engine, order).await,
        Err(_) => Vec::new(),
    };
    let task_engine = engine.clone();
    if content.is_empty() {
        let started = start(engine, order).await;
        engine
            .loops()
            .spawn(async move { follow(task_engine, job, holder, slot, started).await });
        return;
    }
    // Large files take their time, and other jobs are not to wait for them.
    engine.loops().spawn(async move {
        tokio::select! {
            // The job was never started: the next server begins anew.
            () = task_engine.stopping().cancelled() => return,
            () = lfs_content::bring(&task_engine, content) => {}
        }
        let started = start(&task_engine, order).await;
        follow(task_engine, job, holder, slot, started).await;
    });
}

/// Starts the supervisor of an order.
pub(crate) async fn start(engine: &Engine, order: Result<JobOrder, String>) -> Result<RunningJob, String> {
    let (agent, order) = (engine.agent().clone(), order?);
    tokio::task::spawn_blocking(move || agent.start(&order).map_err(|error| error.to_string()))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

async fn follow(
    engine: Engine,
    job: build::Job,
    holder: String,
    slot: usize,
    started: Result<RunningJob, String>,
) {
    match started {
        Ok(running) => watch(engine, job, holder, slot, running).await,
        Err(reason) => fail(engine, job, holder, slot, &reason).await,
    }
}

/// Tells supervisors of jobs whose build is being stopped.
pub(crate) async fn cancel(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let stopping = engine
        .store()
        .read(|tx| {
            let mut stopping = Vec::new();
            for build in build_query::active(tx)? {
                let Some(stop) = build.schedule.stop() else {
                    continue;
                };
                let under_way = build
                    .schedule
                    .stages()
                    .iter()
                    .filter(|stage| matches!(stage.state, StageState::Stopping { .. }));
                for job in under_way.flat_map(|stage| &stage.jobs) {
                    if matches!(job.state, JobState::Leased { .. } | JobState::Running { .. }) {
                        stopping.push((job.id, i64::from(job.attempt), stop.by.clone(), stop.at_ms));
                    }
                }
            }
            Ok::<_, EngineError>(stopping)
        })
        .await?;
    let patience_ms = longest_stop_ms(engine.settings().stop_grace_seconds);
    for (job_id, attempt, by, at_ms) in stopping {
        let directory = engine.agent().job_directory(job_id, attempt);
        if clock::now_ms() - at_ms > patience_ms {
            match engine.agent().force_end(&directory) {
                Ok(true) => tracing::warn!(
                    job.id = job_id,
                    "the supervisor of job {job_id} did not react to a stop and was killed"
                ),
                Ok(false) => {}
                Err(error) => tracing::error!(job.id = job_id, "job {job_id} cannot be ended: {error}"),
            }
            continue;
        }
        // A directory that is not there yet belongs to a job that is just being started; the sweep comes back.
        if let Err(error) = engine.agent().request_stop(&directory, &by) {
            tracing::debug!(
                job.id = job_id,
                "the stop of job {job_id} could not be asked for yet: {error}"
            );
        }
    }
    Ok(Some(Duration::from_secs(1)))
}

/// How long a job may take to end after a stop, in milliseconds: the grace, its final tasks, and a minute.
pub(crate) fn longest_stop_ms(grace_seconds: u64) -> i64 {
    let seconds = grace_seconds
        .saturating_add(DEFAULT_FINAL_TASKS_SECONDS)
        .saturating_add(60);
    i64::try_from(seconds)
        .unwrap_or(i64::MAX / 1000)
        .saturating_mul(1000)
}

/// Takes up the jobs that agents of this home had when the last server ended.
pub(crate) async fn recover(engine: &Engine) -> Result<(), EngineError> {
    let held = engine
        .store()
        .read(|tx| {
            let mut held = Vec::new();
            for build in build_query::active(tx)? {
                held.extend(
                    build_query::jobs(tx, build.id)?
                        .into_iter()
                        .filter(|job| job.holder.is_some())
                        .map(|job| (build.key.clone(), job)),
                );
            }
            Ok::<_, EngineError>(held)
        })
        .await?;
    let mut known = BTreeSet::new();
    for (build, job) in held {
        let Some(holder) = job.holder.clone() else {
            continue;
        };
        let slot = slot_of(&holder).unwrap_or(1);
        engine.slots().occupy(slot);
        known.insert((job.id, job.attempt));
        let directory = engine.agent().job_directory(job.id, job.attempt);
        let adoption = engine
            .agent()
            .adopt(directory)
            .await
            .map_err(|error| EngineError::Internal(error.to_string()));
        let task_engine = engine.clone();
        match adoption {
            Ok(Adoption::Running(running)) => {
                tracing::info!(
                    job.id = job.id,
                    build.key = build,
                    "{build}: job {} went on while the server was away and is adopted",
                    job.key
                );
                engine
                    .loops()
                    .spawn(async move { watch(task_engine, job, holder, slot, running).await });
            }
            Ok(Adoption::NeverStarted(_)) => begin(engine, job, holder, slot).await,
            Ok(Adoption::Finished(outcome)) => {
                tracing::info!(
                    job.id = job.id,
                    build.key = build,
                    "{build}: job {} ended while the server was away",
                    job.key
                );
                engine.loops().spawn(async move {
                    crate::finish::record(&task_engine, &job, &holder, slot, Ok(outcome)).await;
                });
            }
            Ok(Adoption::Lost { reason, .. }) => {
                tracing::warn!(
                    job.id = job.id,
                    build.key = build,
                    "{build}: job {} was lost: {reason}",
                    job.key
                );
                engine.loops().spawn(async move {
                    crate::finish::record(&task_engine, &job, &holder, slot, Err(reason)).await;
                });
            }
            Err(error) => {
                tracing::error!(
                    job.id = job.id,
                    build.key = build,
                    "{build}: job {} could not be adopted: {error}",
                    job.key
                );
                let reason = error.to_string();
                engine
                    .loops()
                    .spawn(async move { fail(task_engine, job, holder, slot, &reason).await });
            }
        }
    }
    remove_leftovers(engine, &known);
    Ok(())
}

/// Directories of jobs whose outcome was stored before the server could remove them.
fn remove_leftovers(engine: &Engine, known: &BTreeSet<(i64, i64)>) {
    let keep: BTreeSet<_> = known
        .iter()
        .map(|(job, attempt)| engine.agent().job_directory(*job, *attempt).path().to_owned())
        .collect();
    for directory in engine.agent().job_directories().unwrap_or_default() {
        if keep.contains(directory.path()) || deploying::is_of_deployment(&directory) {
            continue;
        }
        if let Err(error) = engine.agent().remove(&directory) {
            tracing::warn!("{} stays behind: {error}", directory.path().display());
        }
    }
}

/// What the state machine hears when a job could not be run at all.
pub(crate) fn error_outcome(reason: &str) -> JobOutcome {
    JobOutcome::Error {
        reason: reason.to_owned(),
    }
}
