//! People are told of builds: what happens is noted in the transaction in which it does; a loop says who is told, by the
//! rules of `madake_domain::notification`, renders a message for each, and sends them, each tried again alone.
//!
//! The two steps lie apart because commits are looked up off the path of a build, and so that nothing that goes wrong
//! here can keep a build from ending.

mod facts;
pub(crate) mod people;
mod send;
mod settle;

use std::time::Duration;

use madake_domain::notification::{BuildVerdict, DeploymentHappening, JobVerdict, tells_of_deployment};
use madake_domain::plan::EnvironmentNotification;
use madake_domain::schedule::{Build as Schedule, Job, JobOutcome, JobState, ResultState};
use madake_store::build::{Build, Reason};
use madake_store::notification::{self, NewNotice};
use madake_store::{Millis, Tx};
use serde::{Deserialize, Serialize};

pub(crate) use self::send::{Lanes, recover, shown_address, shown_body};
use crate::{Engine, EngineError, clock};

/// How many notices are settled before messages are looked at again.
const AT_ONCE: i64 = 50;
/// How long notices and messages are kept after they were settled.
const KEPT_MS: Millis = 30 * 24 * 3600 * 1000;

/// What happened, as the table keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(crate) enum What {
    /// A build ended, or waits at a manual stage.
    BuildEnded { verdict: BuildVerdict, again: Again },
    /// A job ended.
    JobEnded {
        job_id: i64,
        verdict: JobVerdict,
        first_failure: bool,
        again: Again,
    },
    /// A job hangs, or waits in vain.
    JobTrouble {
        job_id: i64,
        trouble: Trouble,
        reason: String,
    },
    /// Somebody commented.
    CommentAdded { by: String, text: String },
    /// Others are responsible now.
    ResponsibilityChanged { by: String },
    /// A deployment began or ended.
    Deployment(Box<DeploymentNotice>),
}

/// Whether it ran before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Again {
    /// No.
    No,
    /// A build that had gone well so far went on at a manual stage.
    Continued,
    /// What had failed ran again.
    Rebuilt,
}

impl Again {
    fn of(build: &Build) -> Self {
        match build.reason {
            Reason::Rebuilt { .. } => Self::Rebuilt,
            Reason::StageContinued { .. } => Self::Continued,
            _ => Self::No,
        }
    }
}

/// What is wrong with a job that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trouble {
    /// It seems to hang.
    Hung,
    /// It waits for an agent for too long.
    QueueTimeout,
    /// No agent can take it.
    NoCapableAgent,
}

/// A deployment that began or ended, with everything that is told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeploymentNotice {
    /// What happened.
    pub happening: DeploymentHappening,
    /// Who is told, as the environment says.
    pub rules: Vec<EnvironmentNotification>,
    /// The plan whose results are deployed, by the key of its master: users are told who may see it.
    pub source_plan: Option<String>,
    /// The build whose release is deployed: its committers are told.
    pub build_id: Option<i64>,
    /// The name of the deployment project.
    pub project: String,
    /// Its id.
    pub project_id: i64,
    /// The name of the environment.
    pub environment: String,
    /// Its id.
    pub environment_id: i64,
    /// The name of the release.
    pub release: String,
    /// The id of the result.
    pub result_id: i64,
    /// The path of its page: `/deploy/...`.
    pub path: String,
    /// Why it ran, as a sentence.
    pub reason: String,
    /// What the agent said of its end; secrets are covered.
    pub message: String,
    /// When it began.
    pub started_ms: Option<Millis>,
    /// When it ended.
    pub finished_ms: Option<Millis>,
}

/// Notes that a build ended, or waits at a manual stage with something to show.
pub(crate) fn build_ended(
    tx: &Tx<'_>,
    before: &Build,
    next: &Schedule,
    is_final: bool,
    now: Millis,
) -> Result<(), EngineError> {
    let verdict = match next.summary().state {
        ResultState::Successful => BuildVerdict::Successful,
        ResultState::Failed => BuildVerdict::Failed,
        ResultState::Unknown if is_final => BuildVerdict::Stopped,
        ResultState::Unknown => return Ok(()),
    };
    let again = Again::of(before);
    enter(tx, before.id, &What::BuildEnded { verdict, again }, now)
}

/// Notes the jobs that ended between two states of a build.
pub(crate) fn jobs_ended(
    tx: &Tx<'_>,
    before: &Build,
    next: &Schedule,
    now: Millis,
) -> Result<(), EngineError> {
    let jobs = |schedule: &Schedule| -> Vec<Job> {
        let stages = schedule.stages().iter();
        stages.flat_map(|stage| stage.jobs.iter().cloned()).collect()
    };
    let failures = jobs(&before.schedule)
        .iter()
        .filter(|job| verdict(job).is_some_and(JobVerdict::is_failure))
        .count();
    for job in jobs(next) {
        let Some(ended) = verdict(&job) else { continue };
        if before.schedule.job(job.id).is_some_and(|(_, was)| *was == job) {
            continue;
        }
        let what = What::JobEnded {
            job_id: job.id,
            verdict: ended,
            first_failure: ended.is_failure() && failures == 0,
            again: if job.attempt > 1 {
                Again::of(before)
            } else {
                Again::No
            },
        };
        enter(tx, before.id, &what, now)?;
    }
    Ok(())
}

/// How a job ended that has.
fn verdict(job: &Job) -> Option<JobVerdict> {
    match &job.state {
        JobState::Done { outcome, .. } => Some(match outcome {
            JobOutcome::Successful => JobVerdict::Successful,
            JobOutcome::Failed { .. } => JobVerdict::Failed,
            JobOutcome::Error { .. } => JobVerdict::Error,
            JobOutcome::Stopped => JobVerdict::Stopped,
        }),
        _ => None,
    }
}

/// Notes that something is wrong with a job that has not ended. Whoever calls sees to it that it is noted once.
pub(crate) fn job_trouble(
    tx: &Tx<'_>,
    build_id: i64,
    job_id: i64,
    trouble: Trouble,
    reason: &str,
    now: Millis,
) -> Result<(), EngineError> {
    let what = What::JobTrouble {
        job_id,
        trouble,
        reason: reason.to_owned(),
    };
    enter(tx, build_id, &what, now)
}

/// Notes that somebody commented on a build.
pub(crate) fn commented(
    tx: &Tx<'_>,
    build_id: i64,
    by: &str,
    text: &str,
    now: Millis,
) -> Result<(), EngineError> {
    let what = What::CommentAdded {
        by: by.to_owned(),
        text: text.to_owned(),
    };
    enter(tx, build_id, &what, now)
}

/// Notes that others are responsible for the failure of a build.
pub(crate) fn responsibility_changed(
    tx: &Tx<'_>,
    build_id: i64,
    by: &str,
    now: Millis,
) -> Result<(), EngineError> {
    enter(
        tx,
        build_id,
        &What::ResponsibilityChanged { by: by.to_owned() },
        now,
    )
}

/// Notes that a deployment began or ended, in the transaction in which it does. What nobody is told of is not noted.
///
/// # Errors
/// When the store cannot be written.
pub fn deployment(tx: &Tx<'_>, told: DeploymentNotice, now: Millis) -> Result<(), EngineError> {
    let wanted = told.rules.iter().any(|rule| {
        let mut events = rule.events.iter();
        events.any(|event| tells_of_deployment(*event, told.happening))
    });
    if wanted {
        let new = NewNotice {
            plan_id: None,
            build_id: told.build_id,
            content: serde_json::to_string(&What::Deployment(Box::new(told)))?,
        };
        notification::enter(tx, &new, now)?;
    }
    Ok(())
}

fn enter(tx: &Tx<'_>, build_id: i64, what: &What, now: Millis) -> Result<(), EngineError> {
    let content = serde_json::to_string(what)?;
    Ok(notification::enter_of_build(tx, build_id, &content, now)?)
}

/// Settles what was noted, and sends what is due; says when something is due next.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    loop {
        let open = engine
            .store()
            .read(|tx| notification::open_notices(tx, AT_ONCE))
            .await?;
        if open.is_empty() || engine.stopping().is_cancelled() {
            break;
        }
        for notice in open {
            settle::settle(engine, notice).await?;
        }
    }
    send::dispatch(engine).await
}

/// Removes what was settled long ago.
pub(crate) async fn prune(engine: &Engine) -> Result<(), EngineError> {
    let before_ms = clock::now_ms() - KEPT_MS;
    engine
        .store()
        .write(move |tx| notification::prune(tx, before_ms))
        .await?;
    Ok(())
}
