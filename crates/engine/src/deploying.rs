//! Deployments: projects out of plan files, releases out of results, and their way to environments.
//!
//! What starts a deployment is decided in the transaction of what happened (`after_build` and its like), so a crash
//! loses none and repeats none. A deployment waits in the same queue as jobs and runs as one: under a supervisor, by an
//! order that says everything. Unlike a job, one that was lost on the way is not tried again by itself: it may have
//! done half of its work.

pub mod create_release;
pub mod edit;
pub mod judge_release;
pub mod rights;
pub mod show;
pub mod start;
pub mod stop;

mod cron;
mod facts;
mod listeners;
mod order;
mod run;
mod specs;
mod tell;
mod trigger;

use madake_agent::job_directory::JobDirectory;
use madake_store::build::Job;
use madake_store::deployment_result::{self, DeploymentResult};
use madake_store::{Tx, build_query};

use crate::{Engine, EngineError, capabilities};

pub(crate) use self::cron::tick;
pub(crate) use self::run::{cancel, recover, take};
pub(crate) use self::specs::{permissions_refusal, put_in_force, refusal, set_permissions};
pub(crate) use self::trigger::{after_build, after_stage};

/// The name in the store under which transactions find the server's time zone.
pub(crate) const TIME_ZONE: &str = "time-zone";

/// Attempts at jobs and deployments share one folder: deployments are known there by their id plus this.
const FIRST_ID: i64 = 1 << 40;

/// A deployment is tried once.
const ATTEMPT: i64 = 1;

/// The number by which agents know a deployment.
fn job_id(result_id: i64) -> i64 {
    FIRST_ID + result_id
}

/// Whether a folder of an agent is of a deployment.
pub(crate) fn is_of_deployment(directory: &JobDirectory) -> bool {
    directory.ids().is_some_and(|(id, _)| id >= FIRST_ID)
}

/// Work for an agent.
pub(crate) enum Waiting {
    /// A job of a build.
    Job(Box<Job>),
    /// A deployment.
    Deployment(Box<DeploymentResult>),
}

impl Waiting {
    /// What waits longest, of both kinds.
    pub(crate) fn first(tx: &Tx<'_>, limit: i64) -> Result<Vec<Self>, EngineError> {
        let mut waiting: Vec<(i64, Self)> = build_query::queued_jobs(tx, limit)?
            .into_iter()
            .map(|job| (job.queued_ms.unwrap_or(0), Self::Job(Box::new(job))))
            .collect();
        waiting.extend(
            deployment_result::ready(tx, limit)?
                .into_iter()
                .map(|one| (one.state.queued_ms(), Self::Deployment(Box::new(one)))),
        );
        waiting.sort_by_key(|(since_ms, _)| *since_ms);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(waiting.into_iter().take(limit).map(|(_, one)| one).collect())
    }

    /// Ends it when no agent can take it, and says so.
    pub(crate) async fn ends_without_an_agent(&self, engine: &Engine) -> Result<bool, EngineError> {
        match self {
            Self::Job(job) => {
                let Some(reason) = capabilities::why_no_agent_for(engine, job).await? else {
                    return Ok(false);
                };
                capabilities::end(engine, job, &reason).await?;
            }
            Self::Deployment(waiting) => {
                let Some(reason) = run::why_no_agent_for(engine, waiting).await? else {
                    return Ok(false);
                };
                run::end(engine, waiting, &reason).await?;
            }
        }
        Ok(true)
    }
}
