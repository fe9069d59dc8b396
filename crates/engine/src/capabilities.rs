//! What the built-in agents can do, and the end of jobs that none of them can take.
//!
//! The built-in agents are alike, so a requirement that one does not meet is met by none: the job ends at once with
//! the sentence that names it, and does not wait for an agent that will not come.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use madake_agent::log_note;
use madake_domain::capability::{AgentProfile, AgentState, Capabilities, Demand, find_agents};
use madake_domain::schedule::Input;
use madake_protocol::log::LogKind;
use madake_store::{build, build_query, capability};

use crate::lease::{agent_name, attempt_of};
use crate::notifying::{self, Trouble};
use crate::schedule::apply;
use crate::{Engine, EngineError, clock, finish, order};

/// How many waiting jobs are looked at while all agents are at work; those behind them come nearer.
const LOOKED_AT: i64 = 200;

/// How many of those that some agent can take are remembered.
const REMEMBERED: usize = 10_000;

/// Waiting jobs, by id and attempt, that some agent can take: nobody need look at them again.
pub(crate) type PossibleJobs = Mutex<BTreeSet<(i64, i64)>>;

impl Engine {
    /// What the built-in agents can do: what they found out, and over it what administrators say.
    pub(crate) async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        let mut all = self.detected_capabilities().await.clone();
        let said = self
            .store()
            .read(|tx| Ok::<_, EngineError>(capability::all(tx)?))
            .await?;
        for (key, value) in said {
            all.set(key, value);
        }
        Ok(all)
    }

    /// Why no agent can take a job with these demands, as a sentence; `None`: one can.
    pub(crate) async fn why_no_agent(&self, demands: &[Demand]) -> Result<Option<String>, EngineError> {
        if demands.is_empty() {
            return Ok(None);
        }
        let capabilities = self.capabilities().await?;
        let agent = AgentProfile {
            name: &agent_name(1),
            state: AgentState::Online,
            capabilities: &capabilities,
        };
        let fit = find_agents(demands, &[agent]);
        Ok(fit.able.is_empty().then(|| {
            format!(
                "{}; an administrator can add it with `madake capability set`",
                fit.explanation
            )
        }))
    }
}

/// Why no agent can take this job; `None`: one can.
pub(crate) async fn why_no_agent_for(
    engine: &Engine,
    job: &build::Job,
) -> Result<Option<String>, EngineError> {
    let build_id = job.build_id;
    let version = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(build::by_id(tx, build_id)?.version_id))
        .await?;
    let configuration = engine.configuration(version).await?;
    match configuration.job(&job.name) {
        Some(definition) => {
            let docker = definition.docker.as_ref().or(configuration.docker.as_ref());
            let tasks = definition.tasks.iter().chain(&definition.final_tasks);
            let demands = Demand::of_work(&definition.requirements, docker, tasks);
            engine.why_no_agent(&demands).await
        }
        // The order says what is wrong with it.
        None => Ok(None),
    }
}

/// Ends those of the waiting jobs that no agent can take, also while all agents are at work.
pub(crate) async fn end_impossible(engine: &Engine) -> Result<(), EngineError> {
    let waiting = engine
        .store()
        .read(|tx| build_query::queued_jobs(tx, LOOKED_AT))
        .await?;
    for job in waiting {
        let key = (job.id, job.attempt);
        if possible(engine).contains(&key) {
            continue;
        }
        match why_no_agent_for(engine, &job).await? {
            Some(reason) => end(engine, &job, &reason).await?,
            None => {
                let mut known = possible(engine);
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(key);
            }
        }
    }
    Ok(())
}

fn possible(engine: &Engine) -> MutexGuard<'_, BTreeSet<(i64, i64)>> {
    engine
        .possible_jobs()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Forgets which jobs some agent can take, as the capabilities have changed.
pub(crate) fn look_again(engine: &Engine) {
    possible(engine).clear();
}

/// Ends a waiting job with the reason in its log.
pub(crate) async fn end(engine: &Engine, job: &build::Job, reason: &str) -> Result<(), EngineError> {
    let holder = agent_name(1);
    let (build_id, job_id, attempt) = (job.build_id, job.id, attempt_of(job));
    let input = Input::JobLeased {
        job: job_id,
        attempt,
        holder: holder.clone(),
    };
    let told = reason.to_owned();
    let leased = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            apply(tx, build_id, input, now)?;
            notifying::job_trouble(tx, build_id, job_id, Trouble::NoCapableAgent, &told, now)
        })
        .await;
    match leased {
        Ok(_) => {}
        // Somebody stopped the build meanwhile.
        Err(EngineError::Conflict(_)) => return Ok(()),
        Err(error) => return Err(error),
    }
    write_note(engine, job, reason);
    tracing::warn!(job.id = job_id, "job {} ends: {reason}", job.key);
    finish::store_error(engine, job, &holder, reason).await;
    Ok(())
}

/// Writes into the log of a job why it did not run.
pub(crate) fn write_note(engine: &Engine, job: &build::Job, reason: &str) {
    let path = engine.home().job_log(job.build_id, job.id, job.attempt);
    let zone = order::zone_name(&engine.settings().time_zone);
    // The reason is in the job's result too.
    if let Err(error) = log_note::append(&path, &zone, LogKind::Error, reason) {
        tracing::debug!("{}: {error}", path.display());
    }
}
