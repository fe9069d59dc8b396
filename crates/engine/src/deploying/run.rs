//! Deployments on agents: taken from the queue, started, followed to their end, found again after a crash.

use std::time::Duration;

use madake_agent::job_directory::JobDirectory;
use madake_agent::local::{Adoption, JobEnd, RunningJob};
use madake_agent::log_note;
use madake_domain::capability::Demand;
use madake_domain::deployment::{DeploymentOutcome, DeploymentState, InvalidDeploymentMove};
use madake_protocol::log::LogKind;
use madake_protocol::{JobOutcome, JobResult};
use madake_store::deployment_result::{self, DeploymentResult};
use madake_store::{Topic, deployment, deployment_release};

use super::start::definition;
use super::tell::tell;
use super::trigger::after_deployment;
use super::{ATTEMPT, is_of_deployment, job_id, order};
use crate::lease::{agent_name, longest_stop_ms, slot_of, start};
use crate::order::zone_name;
use crate::{Engine, EngineError, clock, lfs_content};

/// How long to wait before something that must be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

fn directory(engine: &Engine, result: &DeploymentResult) -> JobDirectory {
    engine.agent().job_directory(job_id(result.id), ATTEMPT)
}

/// Gives a deployment that waits to the agent in a slot, unless somebody else was quicker.
pub(crate) async fn take(
    engine: &Engine,
    waiting: &DeploymentResult,
    slot: usize,
) -> Result<(), EngineError> {
    let holder = agent_name(slot);
    let (id, agent) = (waiting.id, holder.clone());
    let leased = engine
        .store()
        .write(move |tx| {
            // The guard: it waits still, and nothing else goes to its environment.
            let Some(found) = deployment_result::ready(tx, i64::MAX)?
                .into_iter()
                .find(|one| one.id == id)
            else {
                return Ok(None);
            };
            let next = found
                .state
                .clone()
                .lease(&agent)
                .map_err(|error| refusal(&error))?;
            deployment_result::save(tx, id, &next)?;
            Ok::<_, EngineError>(deployment_result::by_id(tx, id)?)
        })
        .await?;
    match leased {
        Some(result) => begin(engine, result, holder, slot).await,
        None => engine.slots().release(slot),
    }
    Ok(())
}

/// Why no agent can take a deployment, as a sentence; `None`: one can.
pub(super) async fn why_no_agent_for(
    engine: &Engine,
    waiting: &DeploymentResult,
) -> Result<Option<String>, EngineError> {
    let asked = waiting.clone();
    let definition = engine
        .store()
        .read(move |tx| {
            let row = deployment::environment(tx, asked.environment_id)?
                .ok_or_else(|| EngineError::Conflict("the environment is gone".to_owned()))?;
            definition(tx, asked.version_id, &row)
        })
        .await;
    match definition {
        Ok(definition) => {
            let tasks = definition.tasks.iter().chain(&definition.final_tasks);
            let demands = Demand::of_work(&definition.requirements, definition.docker.as_ref(), tasks);
            engine.why_no_agent(&demands).await
        }
        // The order says what is wrong with it.
        Err(EngineError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends a deployment that waits, with the reason in its log.
pub(super) async fn end(
    engine: &Engine,
    waiting: &DeploymentResult,
    reason: &str,
) -> Result<(), EngineError> {
    let agent = agent_name(1);
    let (id, text) = (waiting.id, reason.to_owned());
    let ended = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let Some(found) = deployment_result::by_id(tx, id)? else {
                return Ok(false);
            };
            let outcome = DeploymentOutcome::Failed { reason: text };
            // Somebody may have stopped it meanwhile.
            let Ok(leased) = found.state.clone().lease(&agent) else {
                return Ok(false);
            };
            let next = leased
                .finish(&agent, outcome, now)
                .map_err(|error| refusal(&error))?;
            deployment_result::save(tx, id, &next)?;
            note_end(tx, &found, &next, now)?;
            Ok::<_, EngineError>(true)
        })
        .await?;
    if ended {
        let path = engine.home().deployment_log(id);
        let zone = zone_name(&engine.settings().time_zone);
        // The reason is in the deployment's result too.
        if let Err(error) = log_note::append(&path, &zone, LogKind::Error, reason) {
            tracing::debug!("{}: {error}", path.display());
        }
    }
    Ok(())
}

/// Starts the supervisor; a deployment that cannot be started has failed, with the reason.
async fn begin(engine: &Engine, result: DeploymentResult, holder: String, slot: usize) {
    let order = order::make(engine, &result, &holder, slot)
        .await
        .map_err(|error| error.to_string());
    let content = match &order {
        Ok(order) => lfs_content::wanted(engine, order).await,
        Err(_) => Vec::new(),
    };
    let task_engine = engine.clone();
    engine.loops().spawn(async move {
        if !content.is_empty() {
            tokio::select! {
                // It was never started: the next server begins anew.
                () = task_engine.stopping().cancelled() => return,
                () = lfs_content::bring(&task_engine, content) => {}
            }
        }
        match start(&task_engine, order).await {
            Ok(running) => watch(task_engine, result, holder, slot, running).await,
            Err(reason) => record(&task_engine, &result, &holder, slot, Err(reason)).await,
        }
    });
}

/// Waits for the end and records it. The server's end ends the waiting, not the deployment.
async fn watch(
    engine: Engine,
    result: DeploymentResult,
    holder: String,
    slot: usize,
    mut running: RunningJob,
) {
    note_started(&engine, &result, &holder).await;
    loop {
        let ended = tokio::select! {
            () = engine.stopping().cancelled() => return,
            ended = running.finished() => ended,
        };
        match ended {
            Ok(JobEnd::Finished(outcome)) => {
                return record(&engine, &result, &holder, slot, Ok(outcome)).await;
            }
            Ok(JobEnd::Lost { reason, .. }) => {
                return record(&engine, &result, &holder, slot, Err(reason)).await;
            }
            Err(error) => {
                tracing::error!(
                    deployment.id = result.id,
                    "the end of deployment {} cannot be read yet: {error}",
                    result.id
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn note_started(engine: &Engine, result: &DeploymentResult, holder: &str) {
    let (id, agent) = (result.id, holder.to_owned());
    let noted = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            if let Some(found) = deployment_result::by_id(tx, id)?
                && let Ok(next) = found.state.clone().start(&agent, now)
            {
                deployment_result::save(tx, id, &next)?;
                tell(tx, &found, &next, now)?;
            }
            Ok::<_, EngineError>(())
        })
        .await;
    if let Err(error) = noted {
        tracing::debug!(
            deployment.id = id,
            "the start of deployment {id} was not noted: {error}"
        );
    }
}

/// Stores the end, removes the folder, and lets the agent go.
async fn record(
    engine: &Engine,
    result: &DeploymentResult,
    holder: &str,
    slot: usize,
    end: Result<JobOutcome, String>,
) {
    let (outcome, told) = match end {
        Ok(mut told) => {
            // Nothing comes after a deployment that could use them, and there may be secrets among them.
            told.variables.clear();
            (outcome_of(&told), serde_json::to_string(&told).ok())
        }
        Err(reason) => {
            tracing::error!(
                deployment.id = result.id,
                "deployment {} was not run to its end: {reason}",
                result.id
            );
            (DeploymentOutcome::Failed { reason }, None)
        }
    };
    loop {
        let (id, agent, outcome, told) = (result.id, holder.to_owned(), outcome.clone(), told.clone());
        let stored = engine
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let Some(found) = deployment_result::by_id(tx, id)? else {
                    return Ok(());
                };
                let next = found
                    .state
                    .clone()
                    .finish(&agent, outcome, now)
                    .map_err(|error| refusal(&error))?;
                deployment_result::save(tx, id, &next)?;
                if let Some(told) = told {
                    deployment_result::set_outcome(tx, id, &told)?;
                }
                note_end(tx, &found, &next, now)?;
                if next.is_successful() {
                    after_deployment(tx, &found, now)?;
                }
                Ok::<_, EngineError>(())
            })
            .await;
        match stored {
            Ok(()) => break,
            // It is over or somebody else's: there is nothing to store.
            Err(EngineError::Conflict(reason)) => {
                tracing::debug!(
                    deployment.id = id,
                    "the end of deployment {id} is dropped: {reason}"
                );
                break;
            }
            Err(error) => {
                tracing::error!(
                    deployment.id = id,
                    "the end of deployment {id} cannot be stored yet: {error}"
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    let directory = directory(engine, result);
    if let Err(error) = engine.agent().remove(&directory) {
        tracing::warn!("{} stays behind: {error}", directory.path().display());
    }
    engine.slots().release(slot);
    engine.store().wakes().ring(Topic::Queue);
}

fn note_end(
    tx: &madake_store::Tx<'_>,
    found: &DeploymentResult,
    next: &DeploymentState,
    now: i64,
) -> Result<(), EngineError> {
    tell(tx, found, next, now)?;
    let (Some(environment), Some(release)) = (
        deployment::environment(tx, found.environment_id)?,
        deployment_release::by_id(tx, found.release_id)?,
    ) else {
        return Ok(());
    };
    let (level, how) = match next.outcome() {
        Some(DeploymentOutcome::Successful) => ("info", "was successful".to_owned()),
        Some(DeploymentOutcome::Failed { reason }) => ("error", format!("failed: {reason}")),
        Some(DeploymentOutcome::Stopped { by }) => ("info", format!("was stopped by {by}")),
        None => return Ok(()),
    };
    let text = format!("the deployment of {} to {} {how}", release.name, environment.name);
    let about = (Some(environment.id), Some(release.id));
    Ok(deployment::note(
        tx,
        found.deployment_id,
        about,
        level,
        &text,
        now,
    )?)
}

fn outcome_of(told: &JobOutcome) -> DeploymentOutcome {
    match &told.result {
        JobResult::Successful => DeploymentOutcome::Successful,
        JobResult::Failed | JobResult::TimedOut => DeploymentOutcome::Failed {
            reason: told.message.clone(),
        },
        JobResult::Stopped => DeploymentOutcome::Stopped {
            by: "the agent".to_owned(),
        },
        JobResult::Error(reason) => DeploymentOutcome::Failed {
            reason: reason.clone(),
        },
    }
}

fn refusal(error: &InvalidDeploymentMove) -> EngineError {
    EngineError::Conflict(error.to_string())
}

/// Tells the supervisors of deployments that somebody stopped, and ends those that do not listen.
pub(crate) async fn cancel(engine: &Engine) -> Result<(), EngineError> {
    let held = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(deployment_result::held(tx)?))
        .await?;
    let patience_ms = longest_stop_ms(engine.settings().stop_grace_seconds);
    for result in held {
        let Some((by, at_ms)) = result.state.stop_asked() else {
            continue;
        };
        let directory = directory(engine, &result);
        let done = if clock::now_ms() - at_ms > patience_ms {
            engine.agent().force_end(&directory).map(|_| ())
        } else {
            // A folder that is not there yet is of one that is just being started; the sweep comes back.
            engine.agent().request_stop(&directory, by)
        };
        if let Err(error) = done {
            tracing::debug!(
                deployment.id = result.id,
                "deployment {} could not be stopped yet: {error}",
                result.id
            );
        }
    }
    Ok(())
}

/// Takes up the deployments that agents of this home had when the last server ended.
pub(crate) async fn recover(engine: &Engine) -> Result<(), EngineError> {
    let held = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(deployment_result::held(tx)?))
        .await?;
    let keep: Vec<JobDirectory> = held.iter().map(|one| directory(engine, one)).collect();
    for result in held {
        let Some(holder) = result.state.holder().map(str::to_owned) else {
            continue;
        };
        let slot = slot_of(&holder).unwrap_or(1);
        engine.slots().occupy(slot);
        let adoption = engine.agent().adopt(directory(engine, &result)).await;
        let task_engine = engine.clone();
        let end = match adoption {
            Ok(Adoption::Running(running)) => {
                tracing::info!(
                    deployment.id = result.id,
                    "deployment {} went on while the server was away and is adopted",
                    result.id
                );
                engine
                    .loops()
                    .spawn(async move { watch(task_engine, result, holder, slot, running).await });
                continue;
            }
            Ok(Adoption::NeverStarted(_)) => {
                begin(engine, result, holder, slot).await;
                continue;
            }
            Ok(Adoption::Finished(outcome)) => Ok(outcome),
            Ok(Adoption::Lost { reason, .. }) => Err(reason),
            Err(error) => Err(error.to_string()),
        };
        engine
            .loops()
            .spawn(async move { record(&task_engine, &result, &holder, slot, end).await });
    }
    for directory in engine.agent().job_directories().unwrap_or_default() {
        if is_of_deployment(&directory)
            && !keep.contains(&directory)
            && let Err(error) = engine.agent().remove(&directory)
        {
            tracing::warn!("{} stays behind: {error}", directory.path().display());
        }
    }
    Ok(())
}
