//! Step 10 of the walk: the end of a job is accepted from its holder only, stored with what the agent said, and
//! the build goes on. An end is never lost: what cannot be stored now is stored when the disk has room again.

use std::sync::Arc;
use std::time::Duration;

use madake_agent::local::{JobEnd, RunningJob};
use madake_domain::schedule::{Input, JobOutcome as Outcome};
use madake_domain::text::inert;
use madake_protocol::{JobOutcome, JobResult};
use madake_store::{StoreError, Topic, build, label};

use crate::capabilities::write_note;
use crate::enqueue::start_waiting;
use crate::lease::error_outcome;
use crate::results::{self, Results};
use crate::schedule::apply;
use crate::{Engine, EngineError, clock, handed_on, own_push, pattern_label};

/// How long to wait before something that must be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits for a job's end and records it. The server's end ends the waiting, not the job.
pub(crate) async fn watch(
    engine: Engine,
    job: build::Job,
    holder: String,
    slot: usize,
    mut running: RunningJob,
) {
    note_started(&engine, &job, &holder).await;
    loop {
        let ended = tokio::select! {
            () = engine.stopping().cancelled() => return,
            ended = running.finished() => ended,
        };
        match ended {
            Ok(JobEnd::Finished(outcome)) => return record(&engine, &job, &holder, slot, Ok(outcome)).await,
            Ok(JobEnd::Lost { reason, .. }) => {
                return record(&engine, &job, &holder, slot, Err(reason)).await;
            }
            Err(error) => {
                tracing::error!(
                    job.id = job.id,
                    "the end of job {} cannot be read yet: {error}",
                    job.key
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn note_started(engine: &Engine, job: &build::Job, holder: &str) {
    let attempt = u32::try_from(job.attempt).unwrap_or(u32::MAX);
    let input = Input::JobStarted {
        job: job.id,
        attempt,
        holder: holder.to_owned(),
    };
    let build_id = job.build_id;
    let noted = engine
        .store()
        .write(move |tx| apply(tx, build_id, input, clock::now_ms()).map(|_| ()))
        .await;
    if let Err(error) = noted {
        tracing::debug!(
            job.id = job.id,
            "the start of job {} was not noted: {error}",
            job.key
        );
    }
}

/// Ends a job that could not be run.
pub(crate) async fn fail(engine: Engine, job: build::Job, holder: String, slot: usize, reason: &str) {
    tracing::error!(job.id = job.id, "job {} could not be run: {reason}", job.key);
    // What it pushed before is its own all the same; a server that ends looks again at its next start.
    if !own_push::keep(&engine, &job).await {
        return;
    }
    write_note(&engine, &job, &format!("the job could not be run: {reason}"));
    store_error(&engine, &job, &holder, reason).await;
    engine.slots().release(slot);
    engine.store().wakes().ring(Topic::Queue);
}

/// Stores that a job could not be run.
pub(crate) async fn store_error(engine: &Engine, job: &build::Job, holder: &str, reason: &str) {
    let nothing = Results::default();
    store_end(engine, job, holder, error_outcome(reason), None, reason, nothing).await;
}

/// Stores the end of a job, removes its directory, and lets its agent go.
pub(crate) async fn record(
    engine: &Engine,
    job: &build::Job,
    holder: &str,
    slot: usize,
    end: Result<JobOutcome, String>,
) {
    if !own_push::keep(engine, job).await {
        // The job's directory stays, and the next server takes it up.
        return;
    }
    let (outcome, told, message, results) = match end {
        Ok(mut told) => {
            handed_on::seal(engine, job.id, &mut told.variables);
            let Some(results) = keep_results(engine, job).await else {
                // The job's directory stays, and the next server takes it up.
                return;
            };
            (
                results.bear_on(outcome_of(&told)),
                serde_json::to_string(&told).ok(),
                told.message.clone(),
                results,
            )
        }
        Err(reason) => (error_outcome(&reason), None, reason, Results::default()),
    };
    store_end(engine, job, holder, outcome, told, &message, results).await;
    let directory = engine.agent().job_directory(job.id, job.attempt);
    if let Err(error) = engine.agent().remove(&directory) {
        tracing::warn!(
            job.id = job.id,
            "{} stays behind: {error}",
            directory.path().display()
        );
    }
    engine.slots().release(slot);
    engine.store().wakes().ring(Topic::Queue);
}

/// Stores what the job left, however long that takes; `None`: the server ends before it could.
async fn keep_results(engine: &Engine, job: &build::Job) -> Option<Results> {
    loop {
        match results::store(engine, job).await {
            Ok(results) => return Some(results),
            // Its build is gone: the end is dropped, and so is what the job left.
            Err(EngineError::NotFound(_)) => return Some(Results::default()),
            Err(error) => {
                tracing::error!(
                    job.id = job.id,
                    "what job {} left cannot be stored yet: {error}",
                    job.key
                );
                tokio::select! {
                    () = engine.stopping().cancelled() => return None,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}

fn outcome_of(told: &JobOutcome) -> Outcome {
    match &told.result {
        JobResult::Successful => Outcome::Successful,
        JobResult::Failed | JobResult::TimedOut => Outcome::Failed {
            reason: told.message.clone(),
        },
        JobResult::Stopped => Outcome::Stopped,
        JobResult::Error(reason) => Outcome::Error {
            reason: reason.clone(),
        },
    }
}

async fn store_end(
    engine: &Engine,
    job: &build::Job,
    holder: &str,
    outcome: Outcome,
    told: Option<String>,
    message: &str,
    results: Results,
) {
    let results = Arc::new(results);
    let attempt = u32::try_from(job.attempt).unwrap_or(u32::MAX);
    let told = told.unwrap_or_else(|| serde_json::json!({ "message": message }).to_string());
    let found_label = pattern_label::of_job(engine, job).await;
    loop {
        let input = Input::JobFinished {
            job: job.id,
            attempt,
            holder: holder.to_owned(),
            outcome: outcome.clone(),
        };
        let (row, build_id, told) = (job.clone(), job.build_id, told.clone());
        let results = Arc::clone(&results);
        let found_label = found_label.clone();
        let limit = engine.settings().concurrent_builds;
        let stored = engine
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                // First, so that who is told of the end hears of them; a refusal takes them back.
                results.record(tx, &row, now)?;
                // What the job handed on is in it, and the end of the build may need that.
                build::set_job_outcome(tx, row.id, &told)?;
                let next = apply(tx, build_id, input, now)?;
                if let Some(name) = &found_label {
                    label::add(tx, build_id, name, "pattern", now)?;
                }
                if !build::is_active(next.schedule.summary().life_cycle) {
                    start_waiting(tx, next.plan_branch_id, limit, now)?;
                }
                Ok::<_, EngineError>(next.key)
            })
            .await;
        match stored {
            Ok(build) => return tell_end(job, &build, &outcome),
            Err(EngineError::NotFound(reason)) => {
                tracing::warn!(
                    job.id = job.id,
                    "the end of job {} is dropped, as its build is gone: {reason}",
                    job.key
                );
                return;
            }
            // The state machine says that the job is over or somebody else's: there is nothing to store.
            Err(EngineError::Conflict(reason)) => {
                tracing::debug!(job.id = job.id, "the end of job {} is dropped: {reason}", job.key);
                return;
            }
            Err(error) => {
                tracing::error!(
                    job.id = job.id,
                    "the end of job {} cannot be stored yet: {error}",
                    job.key
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// A line for the administrator, who sees in the server's log why a build is about to fail.
fn tell_end(job: &build::Job, build: &str, outcome: &Outcome) {
    let (id, key) = (job.id, &job.key);
    match outcome {
        Outcome::Successful => {}
        Outcome::Stopped => {
            tracing::info!(job.id = id, build.key = build, "{build}: job {key} was stopped");
        }
        Outcome::Failed { reason } => {
            tracing::info!(
                job.id = id,
                build.key = build,
                "{build}: job {key} failed: {}",
                inert(reason, 500)
            );
        }
        Outcome::Error { reason } => {
            tracing::warn!(
                job.id = id,
                build.key = build,
                "{build}: job {key} could not be done: {}",
                inert(reason, 500)
            );
        }
    }
}

impl From<serde_json::Error> for EngineError {
    fn from(error: serde_json::Error) -> Self {
        StoreError::from(error).into()
    }
}
