//! Builds and their jobs: the state machine's aggregate, and the columns that lists and the queue read.
//!
//! `build.schedule` holds the whole state of a build as [`madake_domain::schedule::Build`]; [`save`] is the one
//! place that writes it, together with every column that is derived from it. No other statement sets a state.

use madake_domain::issue::issue_keys;
use madake_domain::schedule::{
    self, Build as Schedule, JobState, LifeCycleState, NewBuildError, NewJob, NewStage,
};
use madake_domain::stage_selection::StageRequest;
use madake_domain::variables::GivenVariable;
use serde::{Deserialize, Serialize};

use crate::{Millis, StoreError, Topic, Tx, params};

/// A commit that names more issues than this is found by the first ones.
const MOST_ISSUES_OF_A_COMMIT: usize = 50;

/// Why a build was started; rendered as text where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Reason {
    /// Change detection found new commits.
    CodeChanged,
    /// The first build of a plan branch.
    FirstBuild,
    /// A person asked.
    Manual {
        /// Who.
        user: String,
    },
    /// A person asked for a given revision.
    CustomRevision {
        /// Who.
        user: String,
        /// The revision as asked.
        revision: String,
    },
    /// A cron trigger was due.
    Scheduled,
    /// A build of a parent was successful.
    Parent {
        /// The key of that build.
        build: String,
        /// The keys of the plans that led here, the first one first.
        #[serde(default)]
        chain: Vec<String>,
    },
    /// A tag was pushed.
    Tag {
        /// Its name.
        name: String,
    },
    /// A deployment was successful.
    Deployment {
        /// The name of the deployment project.
        project: String,
        /// The name of the environment.
        environment: String,
        /// The name of the release.
        release: String,
        /// The keys of the plans that led here, the first one first.
        #[serde(default)]
        chain: Vec<String>,
    },
    /// A person let a manual stage run.
    StageContinued {
        /// Who.
        user: String,
        /// The stage's name.
        stage: String,
    },
    /// A person had failed jobs run again.
    Rebuilt {
        /// Who.
        user: String,
    },
}

/// A stored build.
#[derive(Debug, Clone)]
pub struct Build {
    /// The row's id.
    pub id: i64,
    /// The plan's id.
    pub plan_id: i64,
    /// The plan branch's id.
    pub plan_branch_id: i64,
    /// The plan version that it runs.
    pub version_id: i64,
    /// `PROJ-PLAN-7`
    pub key: String,
    /// The number, counted per plan branch from 1.
    pub number: i64,
    /// The revision of the default repository.
    pub revision: Option<String>,
    /// The branch of the default repository.
    pub vcs_branch: Option<String>,
    /// The ledger entry that it came from.
    pub event_id: Option<i64>,
    /// Why it was started.
    pub reason: Reason,
    /// Who started it.
    pub triggered_by: String,
    /// Variables given for this build alone.
    pub variables: Vec<GivenVariable>,
    /// Was asked for with a revision of its own.
    pub once_off: bool,
    /// The state machine.
    pub schedule: Schedule,
    /// When it was made.
    pub created_ms: Millis,
    /// When its first job began.
    pub started_ms: Option<Millis>,
    /// When it ended or paused.
    pub finished_ms: Option<Millis>,
}

/// A stored job of a build, as the queue and the pages see it.
#[derive(Debug, Clone)]
pub struct Job {
    /// The row's id, the id of the state machine's job.
    pub id: i64,
    /// The build's id.
    pub build_id: i64,
    /// The index of its stage.
    pub stage: i64,
    /// The name in the plan.
    pub name: String,
    /// The short key: `JOB1`.
    pub key: String,
    /// The state's word.
    pub state: String,
    /// The attempt; 0 before the first.
    pub attempt: i64,
    /// The agent that has it.
    pub holder: Option<String>,
    /// When it was queued.
    pub queued_ms: Option<Millis>,
    /// When it began.
    pub started_ms: Option<Millis>,
    /// When it ended.
    pub finished_ms: Option<Millis>,
    /// What the agent reported at the end, as JSON.
    pub outcome: Option<String>,
}

const BUILD: &str =
    "SELECT id, plan_id, plan_branch_id, version_id, key, number, revision, vcs_branch, event_id, reason,
  triggered_by, variables, once_off, schedule, created_ms, started_ms, finished_ms FROM build";

pub(crate) fn read_build(row: &crate::Row<'_>) -> Result<Build, StoreError> {
    Ok(Build {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        plan_branch_id: row.get(2)?,
        version_id: row.get(3)?,
        key: row.get(4)?,
        number: row.get(5)?,
        revision: row.get(6)?,
        vcs_branch: row.get(7)?,
        event_id: row.get(8)?,
        reason: row.json(9)?,
        triggered_by: row.get(10)?,
        variables: row.json(11)?,
        once_off: row.get(12)?,
        schedule: row.json(13)?,
        created_ms: row.get(14)?,
        started_ms: row.get(15)?,
        finished_ms: row.get(16)?,
    })
}

pub(crate) fn select(rest: &str) -> String {
    format!("{BUILD} {rest}")
}

/// The build with this id.
///
/// # Errors
/// When the store cannot be read, or there is none.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Build, StoreError> {
    tx.first(&select("WHERE id = $1"), params![id], read_build)?
        .ok_or_else(|| StoreError::Missing(format!("the build with the id {id}")))
}

/// The result key of the build with this id; `None`: it was removed.
///
/// # Errors
/// When the store cannot be read.
pub fn key_of(tx: &Tx<'_>, id: i64) -> Result<Option<String>, StoreError> {
    tx.first("SELECT key FROM build WHERE id = $1", params![id], |row| {
        row.get(0)
    })
}

/// The build of a plan branch with this number.
///
/// # Errors
/// When the store cannot be read.
pub fn by_number(tx: &Tx<'_>, plan_branch_id: i64, number: i64) -> Result<Option<Build>, StoreError> {
    tx.first(
        &select("WHERE plan_branch_id = $1 AND number = $2"),
        params![plan_branch_id, number],
        read_build,
    )
}

/// The build with this result key.
///
/// # Errors
/// When the store cannot be read.
pub fn by_key(tx: &Tx<'_>, key: &str) -> Result<Option<Build>, StoreError> {
    tx.first(&select("WHERE key = $1"), params![key], read_build)
}

/// How many builds of a plan branch take a place under the concurrency limit.
///
/// # Errors
/// When the store cannot be read.
pub fn count_active(tx: &Tx<'_>, plan_branch_id: i64) -> Result<usize, StoreError> {
    let count = tx.first(
        "SELECT COUNT(*) FROM build WHERE plan_branch_id = $1 AND active = 1",
        params![plan_branch_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
}

/// What a new build is made of.
#[derive(Debug, Clone)]
pub struct NewBuild {
    /// The plan's id.
    pub plan_id: i64,
    /// The plan branch's id.
    pub plan_branch_id: i64,
    /// The plan version that it runs.
    pub version_id: i64,
    /// The result key.
    pub key: String,
    /// The number.
    pub number: i64,
    /// The revision of the default repository.
    pub revision: Option<String>,
    /// The branch of the default repository.
    pub vcs_branch: Option<String>,
    /// The ledger entry that it came from.
    pub event_id: Option<i64>,
    /// Why it is started.
    pub reason: Reason,
    /// Who started it.
    pub triggered_by: String,
    /// Variables given for this build alone.
    pub variables: Vec<(String, String)>,
    /// Was asked for with a revision of its own.
    pub once_off: bool,
    /// The stages with their jobs.
    pub stages: Vec<StageToBuild>,
    /// How far it may run.
    pub request: StageRequest,
    /// The revisions that are checked out, the default repository first.
    pub revisions: Vec<Revision>,
}

/// A stage of a new build.
#[derive(Debug, Clone)]
pub struct StageToBuild {
    /// The name.
    pub name: String,
    /// Waits for a person.
    pub manual: bool,
    /// Runs whatever happened.
    pub final_stage: bool,
    /// Name, short key, and whether the job runs.
    pub jobs: Vec<(String, String, bool)>,
}

/// A revision that a build checks out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The repository.
    pub repository_id: Option<i64>,
    /// The name that the plan uses for it.
    pub name: String,
    /// The commit.
    pub revision: String,
    /// The commit that the plan branch built before.
    pub previous: Option<String>,
    /// The branch.
    pub branch: Option<String>,
}

/// A commit that is new in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub changeset: String,
    /// The author's name.
    pub author: String,
    /// The author's e-mail address.
    pub email: String,
    /// The message.
    pub message: String,
    /// When it was written.
    pub at_ms: Millis,
    /// The paths that it changes.
    pub files: Vec<String>,
}

/// Stores a new build with its jobs, not started yet.
///
/// # Errors
/// [`StoreError::Refused`] when the stage request names an unknown stage; otherwise when the store cannot be
/// written.
pub fn insert(tx: &Tx<'_>, new: &NewBuild, now: Millis) -> Result<Build, StoreError> {
    let id = tx.insert(
        "INSERT INTO build (plan_id, plan_branch_id, version_id, key, number, revision, vcs_branch, event_id, reason,
           triggered_by, variables, once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', 'Pending', 'Unknown', 0, 0, 1, $13) RETURNING id",
        params![
            new.plan_id,
            new.plan_branch_id,
            new.version_id,
            new.key,
            new.number,
            new.revision,
            new.vcs_branch,
            new.event_id,
            serde_json::to_string(&new.reason)?,
            new.triggered_by,
            serde_json::to_string(&new.variables)?,
            new.once_off,
            now
        ],
    )?;
    let mut stages = Vec::with_capacity(new.stages.len());
    for (stage, stage_index) in new.stages.iter().zip(0_i64..) {
        let mut jobs = Vec::with_capacity(stage.jobs.len());
        for ((name, key, enabled), position) in stage.jobs.iter().zip(0_i64..) {
            let job_id = tx.insert(
                "INSERT INTO job (build_id, stage, position, name, key, state, attempt)
                 VALUES ($1, $2, $3, $4, $5, 'pending', 0) RETURNING id",
                params![id, stage_index, position, name, key],
            )?;
            jobs.push(NewJob {
                id: job_id,
                enabled: *enabled,
            });
        }
        stages.push(NewStage {
            name: stage.name.clone(),
            manual: stage.manual,
            final_stage: stage.final_stage,
            jobs,
        });
    }
    let schedule = Schedule::new(stages, &new.request).map_err(|error| {
        StoreError::Refused(match error {
            NewBuildError::Selection(selection) => selection.sentence(),
            other => other.to_string(),
        })
    })?;
    tx.execute(
        "UPDATE build SET schedule = $1 WHERE id = $2",
        params![serde_json::to_string(&schedule)?, id],
    )?;
    for (revision, position) in new.revisions.iter().zip(0_i64..) {
        tx.execute(
            "INSERT INTO build_revision (build_id, position, repository_id, name, revision, previous, branch)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                id,
                position,
                revision.repository_id,
                revision.name,
                revision.revision,
                revision.previous,
                revision.branch
            ],
        )?;
    }
    by_id(tx, id)
}

/// Stores a build's next state and everything derived from it: columns of lists, rows of jobs. Rings the bells
/// of those who act on it.
///
/// # Errors
/// When the store cannot be written.
pub fn save(tx: &Tx<'_>, build: &Build, next: &Schedule, now: Millis) -> Result<(), StoreError> {
    let summary = next.summary();
    let active = matches!(
        next.state(),
        schedule::BuildState::Created | schedule::BuildState::Running { .. }
    );
    let began = build.started_ms.or_else(|| {
        next.stages()
            .iter()
            .flat_map(|stage| &stage.jobs)
            .filter_map(|job| job_times(&job.state).1)
            .min()
    });
    let finished = (!active).then_some(now);
    tx.execute(
        "UPDATE build SET schedule = $1, life_cycle = $2, state = $3, continuable = $4, restartable = $5, active = $6,
           started_ms = $7, finished_ms = $8, expired = CASE WHEN $6 = 1 THEN REPLACE(REPLACE(expired, ',logs', ''), 'logs', '') ELSE expired END
         WHERE id = $9",
        params![
            serde_json::to_string(next)?,
            summary.life_cycle.as_str(),
            summary.state.as_str(),
            summary.continuable,
            summary.restartable,
            active,
            began,
            finished,
            build.id
        ],
    )?;
    for stage in next.stages() {
        for job in &stage.jobs {
            if build
                .schedule
                .job(job.id)
                .is_some_and(|(_, before)| before == job)
            {
                continue;
            }
            let (queued, started, ended) = job_times(&job.state);
            let restarted = matches!(job.state, JobState::Queued { .. });
            tx.execute(
                "UPDATE job SET state = $1, attempt = $2, holder = $3,
                   queued_ms = COALESCE($4, queued_ms),
                   started_ms = CASE WHEN $7 = 1 THEN NULL ELSE COALESCE($5, started_ms) END,
                   finished_ms = CASE WHEN $7 = 1 THEN NULL ELSE $6 END,
                   outcome = CASE WHEN $7 = 1 THEN NULL ELSE outcome END
                 WHERE id = $8",
                params![
                    job_word(&job.state),
                    i64::from(job.attempt),
                    job.holder(),
                    queued,
                    started,
                    ended,
                    restarted,
                    job.id
                ],
            )?;
        }
    }
    tx.wake(Topic::Builds);
    Ok(())
}

/// The word of a job's state in the table.
fn job_word(state: &JobState) -> &'static str {
    match state {
        JobState::Disabled => "disabled",
        JobState::Pending => "pending",
        JobState::Queued { .. } => "queued",
        JobState::Leased { .. } => "leased",
        JobState::Running { .. } => "running",
        JobState::Finishing { .. } => "finishing",
        JobState::Done { .. } => "done",
        JobState::NotBuilt { .. } => "not-built",
    }
}

/// When it was queued, began, ended, as far as the state says.
fn job_times(state: &JobState) -> (Option<Millis>, Option<Millis>, Option<Millis>) {
    match state {
        JobState::Queued { since_ms } => (Some(*since_ms), None, None),
        JobState::Running { started_ms, .. } => (None, Some(*started_ms), None),
        JobState::Finishing { started_ms, .. } => (None, *started_ms, None),
        JobState::Done {
            started_ms,
            finished_ms,
            ..
        } => (None, *started_ms, Some(*finished_ms)),
        JobState::NotBuilt { at_ms } => (None, None, Some(*at_ms)),
        JobState::Disabled | JobState::Pending | JobState::Leased { .. } => (None, None, None),
    }
}

/// Changes the reason, as a continued or rerun build has a new one.
///
/// # Errors
/// When the store cannot be written.
pub fn set_reason(tx: &Tx<'_>, id: i64, reason: &Reason) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE build SET reason = $1 WHERE id = $2",
        params![serde_json::to_string(reason)?, id],
    )?;
    Ok(())
}

/// Changes the variables given for this build alone, as a continuation may add some.
///
/// # Errors
/// When the store cannot be written.
pub fn set_variables(tx: &Tx<'_>, id: i64, variables: &[GivenVariable]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE build SET variables = $1 WHERE id = $2",
        params![serde_json::to_string(variables)?, id],
    )?;
    Ok(())
}

/// Keeps what the agent reported at the end of a job.
///
/// # Errors
/// When the store cannot be written.
pub fn set_job_outcome(tx: &Tx<'_>, job_id: i64, outcome: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE job SET outcome = $1 WHERE id = $2",
        params![outcome, job_id],
    )?;
    Ok(())
}

/// Adds the commits that are new in a build; a second call changes nothing.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_changes(tx: &Tx<'_>, build_id: i64, changes: &[Change]) -> Result<(), StoreError> {
    for (change, position) in changes.iter().zip(0_i64..) {
        tx.execute(
            "INSERT INTO build_change (build_id, position, changeset, author, email, message, at_ms, files)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            params![
                build_id,
                position,
                change.changeset,
                change.author,
                change.email,
                change.message,
                change.at_ms,
                serde_json::to_string(&change.files)?
            ],
        )?;
        note_issues(tx, build_id, &change.message)?;
    }
    Ok(())
}

/// Notes the issues that a commit of a build names, so that results are found by them.
fn note_issues(tx: &Tx<'_>, build_id: i64, message: &str) -> Result<(), StoreError> {
    for issue in issue_keys(message).into_iter().take(MOST_ISSUES_OF_A_COMMIT) {
        tx.execute(
            "INSERT INTO build_issue (issue, plan_branch_id, build_id)
             SELECT $1, plan_branch_id, id FROM build WHERE id = $2 ON CONFLICT DO NOTHING",
            params![issue, build_id],
        )?;
    }
    Ok(())
}

/// Notes the issues of all commits that are stored: homes of before had no such table.
pub(crate) fn note_issues_of_all(tx: &Tx<'_>) -> Result<(), StoreError> {
    let newest = tx.first("SELECT COALESCE(MAX(id), 0) FROM build", &[], |row| {
        row.get::<i64>(0)
    })?;
    let newest = newest.unwrap_or(0);
    let mut done = 0;
    // Not all messages at once: there may be millions.
    while done < newest {
        let named = tx.all(
            "SELECT build_id, message FROM build_change
              WHERE build_id > $1 AND build_id <= $2 AND message LIKE '%-%'",
            params![done, done + 1000],
            |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?)),
        )?;
        for (build_id, message) in named {
            note_issues(tx, build_id, &message)?;
        }
        done += 1000;
    }
    Ok(())
}

/// A revision that waits for a place under the concurrency limit.
#[derive(Debug, Clone)]
pub struct WaitingRevision {
    /// The row's id.
    pub id: i64,
    /// The plan branch.
    pub plan_branch_id: i64,
    /// The ledger entry.
    pub event_id: i64,
    /// The decision to build it.
    pub decision_id: i64,
    /// The revision.
    pub revision: String,
    /// The place in the line.
    pub place: i64,
    /// What the build will be made of, as JSON of the engine.
    pub content: String,
}

/// What waits for places of a plan branch.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Vec<WaitingRevision>, StoreError> {
    tx.all(
        "SELECT id, plan_branch_id, event_id, decision_id, revision, place, content FROM waiting_revision
         WHERE plan_branch_id = $1 ORDER BY place, id",
        params![plan_branch_id],
        |row| {
            Ok(WaitingRevision {
                id: row.get(0)?,
                plan_branch_id: row.get(1)?,
                event_id: row.get(2)?,
                decision_id: row.get(3)?,
                revision: row.get(4)?,
                place: row.get(5)?,
                content: row.get(6)?,
            })
        },
    )
}

/// The plan branches for which something waits.
///
/// # Errors
/// When the store cannot be read.
pub fn branches_waiting(tx: &Tx<'_>) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT DISTINCT plan_branch_id FROM waiting_revision",
        &[],
        |row| row.get(0),
    )
}

/// Puts a revision in line; its `id` is ignored.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_waiting(tx: &Tx<'_>, waiting: &WaitingRevision, now: Millis) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO waiting_revision (plan_branch_id, event_id, decision_id, revision, place, content, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        params![
            waiting.plan_branch_id,
            waiting.event_id,
            waiting.decision_id,
            waiting.revision,
            waiting.place,
            waiting.content,
            now
        ],
    )
}

/// Takes a revision out of the line; says whether it was there.
///
/// # Errors
/// When the store cannot be written.
pub fn remove_waiting(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM waiting_revision WHERE id = $1", params![id])? == 1)
}

/// Whether a life cycle is one in which the build takes a place.
#[must_use]
pub fn is_active(life_cycle: LifeCycleState) -> bool {
    matches!(
        life_cycle,
        LifeCycleState::Pending | LifeCycleState::Queued | LifeCycleState::InProgress
    )
}
