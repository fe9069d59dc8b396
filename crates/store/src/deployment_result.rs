//! Deployments of releases to environments: each is one row with its whole state, and [`save`] is the one place that
//! writes it.

use madake_domain::deployment::DeploymentState;
use serde::{Deserialize, Serialize};

use crate::{Millis, StoreError, Topic, Tx, params};

/// Why a release is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum DeploymentReason {
    /// A person asked.
    Manual {
        /// Who.
        user: String,
    },
    /// A build was successful.
    BuildSuccess {
        /// `PROJ-PLAN-7`
        build: String,
    },
    /// A stage of a build was successful.
    StageSuccess {
        /// `PROJ-PLAN-7`
        build: String,
        /// The stage's name.
        stage: String,
    },
    /// A deployment to another environment was successful.
    EnvironmentSuccess {
        /// The environments whose success led here, in order.
        chain: Vec<String>,
        /// The last of those deployments.
        result_id: i64,
    },
    /// A cron trigger was due.
    Scheduled,
}

/// A deployment of a release to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentResult {
    /// The row's id, by which the REST API knows it.
    pub id: i64,
    /// The deployment project's id.
    pub deployment_id: i64,
    /// The environment's id.
    pub environment_id: i64,
    /// The release's id.
    pub release_id: i64,
    /// The version of the project that it runs.
    pub version_id: i64,
    /// Where it stands.
    pub state: DeploymentState,
    /// Why it was started.
    pub reason: DeploymentReason,
    /// Who started it.
    pub triggered_by: String,
    /// Variables given for it alone, name to value.
    pub variables: Vec<(String, String)>,
    /// What the agent reported at the end, as JSON.
    pub outcome: Option<String>,
}

/// What a new deployment is made of.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    /// The deployment project's id.
    pub deployment_id: i64,
    /// The environment's id.
    pub environment_id: i64,
    /// The release's id.
    pub release_id: i64,
    /// The version of the project that it runs.
    pub version_id: i64,
    /// Why it is started.
    pub reason: DeploymentReason,
    /// Who starts it.
    pub triggered_by: String,
    /// Variables given for it alone.
    pub variables: Vec<(String, String)>,
}

const RESULT: &str =
    "SELECT id, deployment_id, environment_id, release_id, version_id, state, reason, triggered_by,
  variables, outcome FROM deployment_result";

fn read_result(row: &crate::Row<'_>) -> Result<DeploymentResult, StoreError> {
    Ok(DeploymentResult {
        id: row.get(0)?,
        deployment_id: row.get(1)?,
        environment_id: row.get(2)?,
        release_id: row.get(3)?,
        version_id: row.get(4)?,
        state: row.json(5)?,
        reason: row.json(6)?,
        triggered_by: row.get(7)?,
        variables: row.json(8)?,
        outcome: row.get(9)?,
    })
}

/// Queues a deployment and gives its id.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, new: &NewDeployment, now: Millis) -> Result<i64, StoreError> {
    let state = DeploymentState::queued(now);
    let id = tx.insert(
        "INSERT INTO deployment_result (deployment_id, environment_id, release_id, version_id, state, word, reason,
           triggered_by, variables, queued_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        params![
            new.deployment_id,
            new.environment_id,
            new.release_id,
            new.version_id,
            serde_json::to_string(&state)?,
            state.word(),
            serde_json::to_string(&new.reason)?,
            new.triggered_by,
            serde_json::to_string(&new.variables)?,
            now
        ],
    )?;
    tx.wake(Topic::Queue);
    tx.wake(Topic::Builds);
    Ok(id)
}

/// Stores the next state of a deployment.
///
/// # Errors
/// When the store cannot be written.
pub fn save(tx: &Tx<'_>, id: i64, state: &DeploymentState) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_result SET state = $1, word = $2 WHERE id = $3",
        params![serde_json::to_string(state)?, state.word(), id],
    )?;
    tx.wake(Topic::Builds);
    Ok(())
}

/// Keeps what the agent reported at the end.
///
/// # Errors
/// When the store cannot be written.
pub fn set_outcome(tx: &Tx<'_>, id: i64, outcome: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_result SET outcome = $1 WHERE id = $2",
        params![outcome, id],
    )?;
    Ok(())
}

/// The deployment with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<DeploymentResult>, StoreError> {
    tx.first(&format!("{RESULT} WHERE id = $1"), params![id], read_result)
}

/// Deployments that may begin, in the order in which they are to: one at a time for each environment.
///
/// # Errors
/// When the store cannot be read.
pub fn ready(tx: &Tx<'_>, limit: i64) -> Result<Vec<DeploymentResult>, StoreError> {
    tx.all(
        &format!(
            "{RESULT} waiting WHERE word = 'queued'
               AND NOT EXISTS (SELECT 1 FROM deployment_result busy
                 WHERE busy.environment_id = waiting.environment_id AND busy.word IN ('leased', 'running'))
               AND NOT EXISTS (SELECT 1 FROM deployment_result earlier
                 WHERE earlier.environment_id = waiting.environment_id AND earlier.word = 'queued'
                   AND earlier.id < waiting.id)
             ORDER BY queued_ms, id LIMIT $1"
        ),
        params![limit],
        read_result,
    )
}

/// Deployments that wait, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn queued(tx: &Tx<'_>) -> Result<Vec<DeploymentResult>, StoreError> {
    tx.all(
        &format!("{RESULT} WHERE word = 'queued' ORDER BY queued_ms, id"),
        &[],
        read_result,
    )
}

/// Deployments that agents have.
///
/// # Errors
/// When the store cannot be read.
pub fn held(tx: &Tx<'_>) -> Result<Vec<DeploymentResult>, StoreError> {
    tx.all(
        &format!("{RESULT} WHERE word IN ('leased', 'running') ORDER BY id"),
        &[],
        read_result,
    )
}

/// Deployments to an environment that agents have, and then those that wait, each oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn active_of_environment(tx: &Tx<'_>, environment_id: i64) -> Result<Vec<DeploymentResult>, StoreError> {
    let mut active = tx.all(
        &format!("{RESULT} WHERE environment_id = $1 AND word IN ('leased', 'running') ORDER BY id"),
        params![environment_id],
        read_result,
    )?;
    // The queue is short, and an environment's history may be long (`+` keeps the engine from that index).
    active.extend(tx.all(
        &format!("{RESULT} WHERE +environment_id = $1 AND word = 'queued' ORDER BY queued_ms, id"),
        params![environment_id],
        read_result,
    )?);
    Ok(active)
}

/// Deployments to an environment, newest first, and how many there are in all.
///
/// # Errors
/// When the store cannot be read.
pub fn of_environment(
    tx: &Tx<'_>,
    environment_id: i64,
    start: i64,
    limit: i64,
) -> Result<(Vec<DeploymentResult>, i64), StoreError> {
    let total = tx
        .first(
            "SELECT COUNT(*) FROM deployment_result WHERE environment_id = $1",
            params![environment_id],
            |row| row.get(0),
        )?
        .unwrap_or(0);
    let found = tx.all(
        &format!("{RESULT} WHERE environment_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3"),
        params![environment_id, limit, start],
        read_result,
    )?;
    Ok((found, total))
}

/// Deployments of a release, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn of_release(tx: &Tx<'_>, release_id: i64) -> Result<Vec<DeploymentResult>, StoreError> {
    tx.all(
        &format!("{RESULT} WHERE release_id = $1 ORDER BY id DESC LIMIT 1000"),
        params![release_id],
        read_result,
    )
}

/// The last successful deployment to an environment before the one with the id `before`: what is there.
///
/// # Errors
/// When the store cannot be read.
pub fn last_success(
    tx: &Tx<'_>,
    environment_id: i64,
    before: i64,
) -> Result<Option<DeploymentResult>, StoreError> {
    tx.first(
        &format!(
            "{RESULT} WHERE environment_id = $1 AND word = 'successful' AND id < $2 ORDER BY id DESC LIMIT 1"
        ),
        params![environment_id, before],
        read_result,
    )
}

/// Whether a deployment to an environment waits or runs.
///
/// # Errors
/// When the store cannot be read.
pub fn is_busy(tx: &Tx<'_>, environment_id: i64) -> Result<bool, StoreError> {
    let busy = tx.first(
        "SELECT 1 FROM deployment_result WHERE environment_id = $1 AND word IN ('queued', 'leased', 'running') LIMIT 1",
        params![environment_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(busy.is_some())
}
