//! Looks for jobs that hang and for jobs that wait too long for an agent: tells of each once, in the ledger and in the
//! server's log, and stops their build where an administrator wants that. What counts as hanging is decided by
//! `madake_domain::hanging`; nothing here judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use madake_domain::hanging::{AgentFacts, RunningFacts, hangs, usual_length, waits_too_long};
use madake_domain::schedule::{Input, JobState};
use madake_store::build::Build;
use madake_store::{StoreError, Tx, build, build_query, event};

use crate::enqueue::start_waiting;
use crate::notifying::{self, Trouble};
use crate::schedule::apply;
use crate::settings::WhenHanging;
use crate::{Engine, EngineError, clock};

/// How often running and waiting jobs are looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// How many earlier jobs say how long one usually takes.
const EARLIER_JOBS: i64 = 20;

/// A job that is told of.
#[derive(Debug)]
struct Finding {
    build: Build,
    /// `PROJ-PLAN-JOB1-7`.
    job: String,
    job_id: i64,
    trouble: Trouble,
    what: &'static str,
    reason: String,
    /// Whether the build is stopped.
    stops: bool,
}

/// Looks at each job that runs or waits.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let builds = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(build_query::active(tx)?))
        .await?;
    let mut found = Vec::new();
    for one in builds {
        found.extend(findings(engine, one).await?);
    }
    let now = found
        .iter()
        .map(|finding| (finding.job_id, format!("{}: {}", finding.what, finding.reason)));
    *lock(&engine.jobs_in_trouble().now) = now.collect();
    for finding in found {
        tell(engine, finding).await?;
    }
    Ok(())
}

async fn findings(engine: &Engine, one: Build) -> Result<Vec<Finding>, EngineError> {
    let plan = one
        .key
        .rsplit_once('-')
        .map_or(one.key.as_str(), |(plan, _)| plan);
    let (agents, busy) = engine.agent_counts();
    let agents = AgentFacts {
        agents,
        busy,
        paused: engine.is_paused(),
    };
    let now = clock::now_ms();
    let configuration = engine.configuration(one.version_id).await?;
    let mut found = Vec::new();
    let jobs: Vec<_> = one
        .schedule
        .stages()
        .iter()
        .flat_map(|stage| stage.jobs.iter().cloned())
        .collect();
    for job in jobs {
        if !matches!(job.state, JobState::Queued { .. } | JobState::Running { .. }) {
            continue;
        }
        let (job_id, plan_id) = (job.id, one.plan_id);
        let (row, lengths) = engine
            .store()
            .read(move |tx| {
                let row = build_query::job(tx, job_id)?;
                let lengths = build_query::lengths_of_job(tx, plan_id, &row.key, EARLIER_JOBS)?;
                Ok::<_, EngineError>((row, lengths))
            })
            .await?;
        let rules = match configuration
            .job(&row.name)
            .and_then(|it| it.other.hanging.as_ref())
        {
            Some(own) => engine.settings().hanging.with(own),
            None => engine.settings().hanging,
        };
        let (trouble, what, reason) = match &job.state {
            JobState::Queued { since_ms } => (
                Trouble::QueueTimeout,
                "waits too long",
                waits_too_long(&rules, now - since_ms, agents),
            ),
            JobState::Running { started_ms, .. } => {
                let running_ms = now - started_ms;
                let path = engine.home().job_log(one.id, job.id, row.attempt);
                let facts = RunningFacts {
                    running_ms,
                    silent_ms: silence_ms(&path, now).unwrap_or(running_ms),
                    usual_ms: usual_length(&lengths),
                };
                (Trouble::Hung, "hangs", hangs(&rules, &facts))
            }
            _ => continue,
        };
        if let Some(reason) = reason {
            let stops = engine.settings().when_hanging == WhenHanging::Stop;
            found.push(Finding {
                stops: match trouble {
                    // The plan's own word counts for jobs that hang, not for jobs that wait.
                    Trouble::Hung => configuration.other.force_stop_build.unwrap_or(stops),
                    Trouble::QueueTimeout | Trouble::NoCapableAgent => stops,
                },
                job: format!("{}-{}-{}", plan, row.key, one.number),
                build: one.clone(),
                job_id,
                trouble,
                what,
                reason,
            });
        }
    }
    Ok(found)
}

/// How long ago the log was last written to; `None` when there is none yet.
fn silence_ms(path: &std::path::Path, now: i64) -> Option<i64> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    let written = written.duration_since(UNIX_EPOCH).ok()?;
    Some(now - i64::try_from(written.as_millis()).ok()?)
}

/// Tells of a finding, unless it was told of before, and stops its build where that is wanted.
async fn tell(engine: &Engine, finding: Finding) -> Result<(), EngineError> {
    let key = (finding.build.id, finding.job.clone(), finding.what);
    let is_new = lock(&engine.jobs_in_trouble().told).insert(key);
    if !is_new {
        return Ok(());
    }
    let limit = engine.settings().concurrent_builds;
    let Finding {
        build: one,
        job,
        job_id,
        trouble,
        what,
        reason,
        stops,
    } = finding;
    let text = format!("{job} {what}: {reason}");
    tracing::warn!(build.key = %one.key, "{text}");
    engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            if !note_once(tx, &one, &format!("{job} {what}: "), &text, now)? {
                return Ok(());
            }
            notifying::job_trouble(tx, one.id, job_id, trouble, &reason, now)?;
            if !stops {
                return Ok(());
            }
            let by = format!("the server, because the job {what}");
            match apply(tx, one.id, Input::Stop { by }, now) {
                Ok(stopped) if !build::is_active(stopped.schedule.summary().life_cycle) => {
                    start_waiting(tx, one.plan_branch_id, limit, now)
                }
                // One that ended meanwhile does not hang.
                Ok(_) | Err(EngineError::Conflict(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
}

/// Adds a line to the build's entry, unless a server before this one has; whether it did.
fn note_once(tx: &Tx<'_>, one: &Build, beginning: &str, text: &str, now: i64) -> Result<bool, StoreError> {
    let Some(event_id) = one.event_id else {
        return Ok(true);
    };
    if event::notes(tx, event_id)?
        .iter()
        .any(|note| note.text.starts_with(beginning))
    {
        return Ok(false);
    }
    event::note(tx, event_id, "warning", text, now)?;
    Ok(true)
}

/// Jobs that hang or wait too long, as this process knows them.
#[derive(Debug, Default)]
pub(crate) struct JobsInTrouble {
    /// What was told of.
    told: Mutex<BTreeSet<(i64, String, &'static str)>>,
    /// What the last look found: the job's id, and what is wrong as a sentence.
    now: Mutex<BTreeMap<i64, String>>,
}

impl Engine {
    /// What is wrong with a job that has not ended, as the last look found it: `hangs: its log has been silent for ...`.
    #[must_use]
    pub fn trouble_of_job(&self, job_id: i64) -> Option<String> {
        lock(&self.jobs_in_trouble().now).get(&job_id).cloned()
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
