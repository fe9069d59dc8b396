//! How many plans, or the branches of one plan, stand: one question for a whole page, however many there are.

use madake_domain::key::PlanKey;
use madake_domain::permission::{Grant, Scope};

use crate::permission::read_grant;
use crate::{Millis, StoreError, Tx, params};

/// The newest result of a plan branch whose build is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastResult {
    /// `PROJ-PLAN-7`
    pub key: String,
    /// The number.
    pub number: i64,
    /// `lifeCycleState`: `Finished`, `NotBuilt`.
    pub life_cycle: String,
    /// `state`: `Successful`, `Failed`, `Unknown`.
    pub state: String,
    /// When its first job began.
    pub started_ms: Option<Millis>,
    /// When it ended; where it never began, when it was made.
    pub ended_ms: Millis,
}

/// A plan and how its master stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStanding {
    /// The plan's id.
    pub plan_id: i64,
    /// `PROJ-PLAN`
    pub key: PlanKey,
    /// The name without the project's.
    pub name: String,
    /// The name of the project.
    pub project_name: String,
    /// Builds at all.
    pub enabled: bool,
    /// Its newest result; `None`: there is none.
    pub last: Option<LastResult>,
}

/// A plan branch and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchStanding {
    /// `PROJ-PLAN0`
    pub key: PlanKey,
    /// The name that people read.
    pub display_name: String,
    /// Builds at all.
    pub enabled: bool,
    /// Its newest result; `None`: there is none.
    pub last: Option<LastResult>,
}

/// A build that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// The plan's id.
    pub plan_id: i64,
    /// The plan's name.
    pub plan_name: String,
    /// The key of the plan branch, or of the plan itself.
    pub branch_key: PlanKey,
    /// The name of the plan branch; `None`: the plan itself.
    pub branch_name: Option<String>,
    /// `PROJ-PLAN-7`
    pub key: String,
    /// `lifeCycleState`: `Pending`, `Queued`, `InProgress`.
    pub life_cycle: String,
    /// When it began to run; while it waits, when it was made.
    pub since_ms: Millis,
}

/// A grant, and what it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOnPlans {
    /// The plan, the project or the server.
    pub scope: Scope,
    /// The key of the plan or of the project; empty for the server.
    pub subject: String,
    /// The grant.
    pub grant: Grant,
}

/// What is read of a result, behind the columns of what it belongs to.
const LAST: &str = "build.key, build.number, build.life_cycle, build.state, build.started_ms,
  COALESCE(build.finished_ms, build.created_ms)";

/// The newest build of `branch` that is over.
const NEWEST: &str = "LEFT JOIN build ON build.id = (SELECT newest.id FROM build newest
  WHERE newest.plan_branch_id = branch.id AND newest.active = 0 ORDER BY newest.number DESC LIMIT 1)";

fn read_last(row: &crate::Row<'_>, at: usize) -> Result<Option<LastResult>, StoreError> {
    let Some(key) = row.get::<Option<String>>(at)? else {
        return Ok(None);
    };
    Ok(Some(LastResult {
        key,
        number: row.get(at + 1)?,
        life_cycle: row.get(at + 2)?,
        state: row.get(at + 3)?,
        started_ms: row.get(at + 4)?,
        ended_ms: row.get(at + 5)?,
    }))
}

fn key(text: &str) -> Result<PlanKey, StoreError> {
    text.parse()
        .map_err(|error| StoreError::Damaged(format!("{error}")))
}

/// All plans with the newest result of each, by project and name.
///
/// # Errors
/// When the store cannot be read.
pub fn plans(tx: &Tx<'_>) -> Result<Vec<PlanStanding>, StoreError> {
    let mut all = tx.all(
        &format!(
            "SELECT plan.id, plan.key, plan.name, project.name, plan.enabled, branch.enabled, {LAST}
               FROM plan JOIN project ON project.id = plan.project_id
               JOIN plan_branch branch ON branch.key = plan.key {NEWEST}"
        ),
        &[],
        |row| {
            let (plan, branch): (bool, bool) = (row.get(4)?, row.get(5)?);
            Ok(PlanStanding {
                plan_id: row.get(0)?,
                key: key(&row.get::<String>(1)?)?,
                name: row.get(2)?,
                project_name: row.get(3)?,
                enabled: plan && branch,
                last: read_last(row, 6)?,
            })
        },
    )?;
    all.sort_by_cached_key(|one| {
        (
            one.project_name.to_lowercase(),
            one.key.project().to_string(),
            one.name.to_lowercase(),
            one.key.to_string(),
        )
    });
    Ok(all)
}

/// The branches of a plan without the plan itself, those that changed last first, with the newest result of each; and
/// whether there are more than `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn branches(tx: &Tx<'_>, plan_id: i64, limit: i64) -> Result<(Vec<BranchStanding>, bool), StoreError> {
    let mut found = tx.all(
        &format!(
            "SELECT branch.key, branch.display_name, branch.enabled, {LAST} FROM plan_branch branch {NEWEST}
               WHERE branch.plan_id = $1 AND branch.is_master = 0 AND branch.removed_ms IS NULL
               ORDER BY branch.last_change_ms DESC, branch.id DESC LIMIT $2"
        ),
        params![plan_id, limit.saturating_add(1)],
        |row| {
            Ok(BranchStanding {
                key: key(&row.get::<String>(0)?)?,
                display_name: row.get(1)?,
                enabled: row.get(2)?,
                last: read_last(row, 3)?,
            })
        },
    )?;
    let limit = usize::try_from(limit).unwrap_or(0);
    let is_cut = found.len() > limit;
    found.truncate(limit);
    Ok((found, is_cut))
}

/// The newest results of a plan branch whose builds are over, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn results(tx: &Tx<'_>, plan_branch_id: i64, limit: i64) -> Result<Vec<LastResult>, StoreError> {
    let found = tx.all(
        &format!(
            "SELECT {LAST} FROM build WHERE plan_branch_id = $1 AND active = 0 ORDER BY number DESC LIMIT $2"
        ),
        params![plan_branch_id, limit],
        |row| read_last(row, 0),
    )?;
    Ok(found.into_iter().flatten().collect())
}

/// Sorted by `+id`, since SQLite would else walk over all builds in the order of their ids.
pub(crate) const UNDER_WAY: &str =
    "SELECT plan.id, plan.name, branch.is_master, branch.display_name, build.key, build.life_cycle,
            COALESCE(build.started_ms, build.created_ms), branch.key
       FROM build JOIN plan ON plan.id = build.plan_id JOIN plan_branch branch ON branch.id = build.plan_branch_id
      WHERE build.active = 1 AND build.plan_id = COALESCE($1, build.plan_id) ORDER BY +build.id";

/// The builds that wait or run, oldest first: all of them, or those of one plan.
///
/// # Errors
/// When the store cannot be read.
pub fn under_way(tx: &Tx<'_>, plan_id: Option<i64>) -> Result<Vec<UnderWay>, StoreError> {
    tx.all(UNDER_WAY, params![plan_id], |row| {
        let is_master: bool = row.get(2)?;
        let name: String = row.get(3)?;
        Ok(UnderWay {
            plan_id: row.get(0)?,
            plan_name: row.get(1)?,
            branch_name: (!is_master).then_some(name),
            key: row.get(4)?,
            life_cycle: row.get(5)?,
            since_ms: row.get(6)?,
            branch_key: key(&row.get::<String>(7)?)?,
        })
    })
}

/// All grants on plans, on their projects and on the server.
///
/// # Errors
/// When the store cannot be read.
pub fn grants(tx: &Tx<'_>) -> Result<Vec<GrantOnPlans>, StoreError> {
    tx.all(
        "SELECT grantee_kind, grantee, permission, scope, subject FROM granted
          WHERE scope IN ('global', 'project', 'plan') ORDER BY id",
        &[],
        |row| {
            let scope: String = row.get(3)?;
            Ok(GrantOnPlans {
                grant: read_grant(row)?,
                scope: match scope.as_str() {
                    "plan" => Scope::Plan,
                    "project" => Scope::Project,
                    _ => Scope::Global,
                },
                subject: row.get(4)?,
            })
        },
    )
}
