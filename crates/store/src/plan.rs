//! Plans, their immutable versions, and plan branches. A plan branch is a row and not a copy of a plan; the
//! master is the branch row whose key is the plan's own.

use madake_domain::key::PlanKey;
use madake_domain::plan::PlanConfiguration;
use sha2::{Digest as _, Sha256};

use crate::{Millis, StoreError, Topic, Tx, params};

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The row's id.
    pub id: i64,
    /// The project's id.
    pub project_id: i64,
    /// `PROJ-PLAN`
    pub key: PlanKey,
    /// The name without the project's.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Builds at all.
    pub enabled: bool,
    /// The version in force.
    pub version_id: i64,
    /// The repository whose `bamboo-specs/` wrote it.
    pub specs_repository_id: Option<i64>,
    /// When it was made.
    pub created_ms: Millis,
}

/// A plan branch, or the master itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanBranch {
    /// The row's id.
    pub id: i64,
    /// The plan's id.
    pub plan_id: i64,
    /// `PROJ-PLAN` of the master, `PROJ-PLAN0` of a branch.
    pub key: PlanKey,
    /// Is the master.
    pub is_master: bool,
    /// The branch of the default repository; `None` for a master that follows the repository's default branch,
    /// and for a branch that was made without one.
    pub vcs_branch: Option<String>,
    /// The name that people and hook scripts read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Builds at all.
    pub enabled: bool,
    /// Goes when its branch goes or rests, by the plan's policy.
    pub cleanup_enabled: bool,
    /// Made by change detection and not by a person.
    pub automatic: bool,
    /// A version of its own, from the plan file on its branch; `None`: the plan's.
    pub version_id: Option<i64>,
    /// The number that its next build gets.
    pub next_build_number: i64,
    /// The last revision that was considered: built, waiting, superseded, or not built for a reason.
    pub last_revision: Option<String>,
    /// When that was.
    pub last_change_ms: Millis,
    /// Since when its branch is gone from the repository.
    pub missing_since_ms: Option<Millis>,
    /// When it was made.
    pub created_ms: Millis,
    /// The pull request that it was made for.
    pub pull_request_id: Option<i64>,
}

const PLAN: &str = "SELECT id, project_id, key, name, description, enabled, version_id, specs_repository_id,
  created_ms FROM plan";

fn key_column(row: &crate::Row<'_>, index: usize) -> Result<PlanKey, StoreError> {
    row.get::<String>(index)?
        .parse()
        .map_err(|error| StoreError::Damaged(format!("{error}")))
}

fn read_plan(row: &crate::Row<'_>) -> Result<Plan, StoreError> {
    Ok(Plan {
        id: row.get(0)?,
        project_id: row.get(1)?,
        key: key_column(row, 2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        enabled: row.get(5)?,
        version_id: row.get(6)?,
        specs_repository_id: row.get(7)?,
        created_ms: row.get(8)?,
    })
}

/// The plan with this key; never a branch.
///
/// # Errors
/// When the store cannot be read.
pub fn by_key(tx: &Tx<'_>, key: &PlanKey) -> Result<Option<Plan>, StoreError> {
    tx.first(
        &format!("{PLAN} WHERE key = $1"),
        params![key.as_str()],
        read_plan,
    )
}

/// The plan with this id.
///
/// # Errors
/// When the store cannot be read, or there is none.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Plan, StoreError> {
    tx.first(&format!("{PLAN} WHERE id = $1"), params![id], read_plan)?
        .ok_or_else(|| StoreError::Missing(format!("the plan with the id {id}")))
}

/// All plans by key.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Plan>, StoreError> {
    tx.all(&format!("{PLAN} ORDER BY key"), &[], read_plan)
}

/// The plans of a project by key.
///
/// # Errors
/// When the store cannot be read.
pub fn of_project(tx: &Tx<'_>, project_id: i64) -> Result<Vec<Plan>, StoreError> {
    tx.all(
        &format!("{PLAN} WHERE project_id = $1 ORDER BY key"),
        params![project_id],
        read_plan,
    )
}

/// The ids of the plans that use a repository, in any place of their list.
///
/// # Errors
/// When the store cannot be read.
pub fn using_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT DISTINCT plan_id FROM plan_repository WHERE repository_id = $1 ORDER BY plan_id",
        params![repository_id],
        |row| row.get(0),
    )
}

/// A repository of a plan, in the order of the plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRepositoryRow {
    /// The name that the plan uses.
    pub name: String,
    /// The repository; `None`: the server knows none of that name yet.
    pub repository_id: Option<i64>,
}

/// The repositories of a plan, the default one first.
///
/// # Errors
/// When the store cannot be read.
pub fn repositories(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<PlanRepositoryRow>, StoreError> {
    tx.all(
        "SELECT name, repository_id FROM plan_repository WHERE plan_id = $1 ORDER BY position",
        params![plan_id],
        |row| {
            Ok(PlanRepositoryRow {
                name: row.get(0)?,
                repository_id: row.get(1)?,
            })
        },
    )
}

/// Sets the repositories of a plan.
///
/// # Errors
/// When the store cannot be written.
pub fn set_repositories(tx: &Tx<'_>, plan_id: i64, rows: &[PlanRepositoryRow]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM plan_repository WHERE plan_id = $1", params![plan_id])?;
    for (row, position) in rows.iter().zip(0_i64..) {
        tx.execute(
            "INSERT INTO plan_repository (plan_id, position, name, repository_id) VALUES ($1, $2, $3, $4)",
            params![plan_id, position, row.name, row.repository_id],
        )?;
    }
    Ok(())
}

/// Points plans that name a repository which was not known until now at it.
///
/// # Errors
/// When the store cannot be written.
pub fn resolve_repository_name(tx: &Tx<'_>, name: &str, repository_id: i64) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE plan_repository SET repository_id = $1 WHERE repository_id IS NULL AND lower(name) = $2",
        params![repository_id, name.to_lowercase()],
    )
}

/// Adds a plan and its master branch, without a version yet.
///
/// # Errors
/// [`StoreError::Duplicate`] when the key is taken.
pub fn insert(
    tx: &Tx<'_>,
    project_id: i64,
    configuration: &PlanConfiguration,
    specs_repository_id: Option<i64>,
    now: Millis,
) -> Result<i64, StoreError> {
    let id = tx.insert(
        "INSERT INTO plan (project_id, key, name, description, enabled, version_id, specs_repository_id,
           next_branch_number, created_ms) VALUES ($1, $2, $3, $4, $5, 0, $6, 0, $7) RETURNING id",
        params![
            project_id,
            configuration.key.as_str(),
            configuration.name,
            configuration.description,
            configuration.enabled,
            specs_repository_id,
            now
        ],
    )?;
    tx.execute(
        "INSERT INTO plan_branch (plan_id, key, is_master, vcs_branch, display_name, description, enabled,
           cleanup_enabled, automatic, next_build_number, last_change_ms, created_ms)
         VALUES ($1, $2, 1, NULL, $3, '', 1, 0, 0, 1, $4, $4)",
        params![id, configuration.key.as_str(), configuration.name, now],
    )?;
    tx.wake(Topic::Plans);
    Ok(id)
}

/// Stores a version of a plan's configuration and gives its id and whether it is new; a configuration that the
/// plan had before keeps its version.
///
/// # Errors
/// When the store cannot be written.
pub fn ensure_version(
    tx: &Tx<'_>,
    plan_id: i64,
    configuration: &PlanConfiguration,
    source: &str,
    now: Millis,
) -> Result<(i64, bool), StoreError> {
    let text = serde_json::to_string(configuration)?;
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let existing = tx.first(
        "SELECT id FROM plan_version WHERE plan_id = $1 AND digest = $2",
        params![plan_id, digest],
        |row| row.get(0),
    )?;
    if let Some(id) = existing {
        return Ok((id, false));
    }
    let id = tx.insert(
        "INSERT INTO plan_version (plan_id, configuration, digest, source, notifies, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        params![
            plan_id,
            text,
            digest,
            source,
            !configuration.notifications.is_empty(),
            now
        ],
    )?;
    Ok((id, true))
}

/// Puts a version in force for the plan.
///
/// # Errors
/// When the store cannot be written.
pub fn adopt_version(
    tx: &Tx<'_>,
    plan_id: i64,
    version_id: i64,
    configuration: &PlanConfiguration,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan SET version_id = $1, name = $2, description = $3 WHERE id = $4",
        params![version_id, configuration.name, configuration.description, plan_id],
    )?;
    tx.execute(
        "UPDATE plan_branch SET display_name = $1 WHERE plan_id = $2 AND is_master = 1",
        params![configuration.name, plan_id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

/// Gives a plan branch a version of its own, or takes it back.
///
/// # Errors
/// When the store cannot be written.
pub fn set_branch_version(tx: &Tx<'_>, branch_id: i64, version_id: Option<i64>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET version_id = $1 WHERE id = $2",
        params![version_id, branch_id],
    )?;
    // It may have timers of its own.
    tx.wake(Topic::Plans);
    Ok(())
}

/// The configuration of a version.
///
/// # Errors
/// When the store cannot be read, or there is no such version.
pub fn configuration(tx: &Tx<'_>, version_id: i64) -> Result<PlanConfiguration, StoreError> {
    tx.first(
        "SELECT configuration FROM plan_version WHERE id = $1",
        params![version_id],
        |row| row.json(0),
    )?
    .ok_or_else(|| StoreError::Missing(format!("the plan version with the id {version_id}")))
}

/// Where a version was read, and since when there is it.
///
/// # Errors
/// When the store cannot be read, or there is no such version.
pub fn version_source(tx: &Tx<'_>, version_id: i64) -> Result<(String, Millis), StoreError> {
    tx.first(
        "SELECT source, created_ms FROM plan_version WHERE id = $1",
        params![version_id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?
    .ok_or_else(|| StoreError::Missing(format!("the plan version with the id {version_id}")))
}

/// The ids of all versions in force, by plan.
///
/// # Errors
/// When the store cannot be read.
pub fn configurations(tx: &Tx<'_>) -> Result<Vec<(i64, PlanConfiguration)>, StoreError> {
    tx.all(
        "SELECT p.id, v.configuration FROM plan p JOIN plan_version v ON v.id = p.version_id ORDER BY p.id",
        &[],
        |row| Ok((row.get(0)?, row.json(1)?)),
    )
}

/// Whether a version says which plans it starts, or waits for. It need not be read to know.
///
/// # Errors
/// When the store cannot be read.
pub fn has_dependencies(tx: &Tx<'_>, version_id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM plan_version WHERE id = $1 AND configuration LIKE '%\"dependencies\":%'",
        params![version_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// The versions in force that start other plans, by plan; with a `child`, those that name it.
///
/// # Errors
/// When the store cannot be read.
pub fn with_dependencies(
    tx: &Tx<'_>,
    child: Option<&PlanKey>,
) -> Result<Vec<(i64, PlanConfiguration)>, StoreError> {
    starting(
        tx,
        "SELECT p.id, v.configuration FROM plan p JOIN plan_version v ON v.id = p.version_id
         WHERE v.configuration LIKE '%\"dependencies\":%' AND v.configuration LIKE $1 ORDER BY p.id",
        child,
    )
}

/// The plan branches with a version of their own that starts other plans; with a `child`, those whose version names it.
///
/// # Errors
/// When the store cannot be read.
pub fn branches_with_dependencies(
    tx: &Tx<'_>,
    child: Option<&PlanKey>,
) -> Result<Vec<(i64, PlanConfiguration)>, StoreError> {
    starting(
        tx,
        "SELECT b.id, v.configuration FROM plan_branch b JOIN plan_version v ON v.id = b.version_id
         WHERE v.configuration LIKE '%\"dependencies\":%' AND v.configuration LIKE $1 AND b.removed_ms IS NULL
         ORDER BY b.id",
        child,
    )
}

/// The ids and configurations that a question finds and that start other plans. A `child` is looked for in the text of a
/// configuration before anything is parsed.
fn starting(
    tx: &Tx<'_>,
    question: &str,
    child: Option<&PlanKey>,
) -> Result<Vec<(i64, PlanConfiguration)>, StoreError> {
    let naming = child.map_or_else(|| "%".to_owned(), |key| format!("%\"{key}\"%"));
    let mut all = tx.all(question, params![naming], |row| {
        Ok((row.get(0)?, row.json::<PlanConfiguration>(1)?))
    })?;
    all.retain(|(_, one)| !one.dependencies.plans.is_empty());
    Ok(all)
}

/// Gives a plan to a repository: from now on that one's plan file describes it.
///
/// # Errors
/// When the store cannot be written.
pub fn set_owner(tx: &Tx<'_>, plan_id: i64, repository_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan SET specs_repository_id = $1 WHERE id = $2",
        params![repository_id, plan_id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

/// Switches a plan on or off.
///
/// # Errors
/// When the store cannot be written.
pub fn set_enabled(tx: &Tx<'_>, plan_id: i64, enabled: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan SET enabled = $1 WHERE id = $2",
        params![enabled, plan_id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

const BRANCH: &str = "SELECT id, plan_id, key, is_master, vcs_branch, display_name, description, enabled,
  cleanup_enabled, automatic, version_id, next_build_number, last_revision, last_change_ms, missing_since_ms,
  created_ms, pull_request_id FROM plan_branch";

fn read_branch(row: &crate::Row<'_>) -> Result<PlanBranch, StoreError> {
    Ok(PlanBranch {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        key: key_column(row, 2)?,
        is_master: row.get(3)?,
        vcs_branch: row.get(4)?,
        display_name: row.get(5)?,
        description: row.get(6)?,
        enabled: row.get(7)?,
        cleanup_enabled: row.get(8)?,
        automatic: row.get(9)?,
        version_id: row.get(10)?,
        next_build_number: row.get(11)?,
        last_revision: row.get(12)?,
        last_change_ms: row.get(13)?,
        missing_since_ms: row.get(14)?,
        created_ms: row.get(15)?,
        pull_request_id: row.get(16)?,
    })
}

/// The branch, or the master, with this key.
///
/// # Errors
/// When the store cannot be read.
pub fn branch_by_key(tx: &Tx<'_>, key: &PlanKey) -> Result<Option<PlanBranch>, StoreError> {
    tx.first(
        &format!("{BRANCH} WHERE key = $1"),
        params![key.as_str()],
        read_branch,
    )
}

/// The branch with this id.
///
/// # Errors
/// When the store cannot be read, or there is none.
pub fn branch_by_id(tx: &Tx<'_>, id: i64) -> Result<PlanBranch, StoreError> {
    tx.first(&format!("{BRANCH} WHERE id = $1"), params![id], read_branch)?
        .ok_or_else(|| StoreError::Missing(format!("the plan branch with the id {id}")))
}

/// Removes a plan branch from its plan. Its results stay under their keys; a branch of the same name that comes
/// back gets a new plan branch.
///
/// # Errors
/// When the store cannot be written.
pub fn remove_branch(tx: &Tx<'_>, branch_id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET removed_ms = $1, enabled = 0, vcs_branch = NULL WHERE id = $2 AND is_master = 0",
        params![now, branch_id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

/// The branches of a plan, the master first, without removed ones.
///
/// # Errors
/// When the store cannot be read.
pub fn branches(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<PlanBranch>, StoreError> {
    tx.all(
        &format!("{BRANCH} WHERE plan_id = $1 AND removed_ms IS NULL ORDER BY is_master DESC, id"),
        params![plan_id],
        read_branch,
    )
}

/// The branches of a plan that were removed, and whose results are still there.
///
/// # Errors
/// When the store cannot be read.
pub fn removed_branches(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<PlanBranch>, StoreError> {
    tx.all(
        &format!(
            "{BRANCH} WHERE plan_id = $1 AND removed_ms IS NOT NULL
               AND EXISTS (SELECT 1 FROM build WHERE plan_branch_id = plan_branch.id) ORDER BY id"
        ),
        params![plan_id],
        read_branch,
    )
}

/// The master of a plan.
///
/// # Errors
/// When the store cannot be read, or there is none.
pub fn master(tx: &Tx<'_>, plan_id: i64) -> Result<PlanBranch, StoreError> {
    tx.first(
        &format!("{BRANCH} WHERE plan_id = $1 AND is_master = 1"),
        params![plan_id],
        read_branch,
    )?
    .ok_or_else(|| StoreError::Missing(format!("the master of the plan with the id {plan_id}")))
}

/// The plan branch for a branch of the repository; never the master.
///
/// # Errors
/// When the store cannot be read.
pub fn branch_by_vcs(tx: &Tx<'_>, plan_id: i64, vcs_branch: &str) -> Result<Option<PlanBranch>, StoreError> {
    tx.first(
        &format!("{BRANCH} WHERE plan_id = $1 AND vcs_branch = $2 AND is_master = 0"),
        params![plan_id, vcs_branch],
        read_branch,
    )
}

/// What a new plan branch is made of.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// The branch of the repository.
    pub vcs_branch: Option<String>,
    /// The name that people and hook scripts read.
    pub display_name: String,
    /// Builds at all.
    pub enabled: bool,
    /// Goes when its branch goes or rests.
    pub cleanup_enabled: bool,
    /// Made by change detection.
    pub automatic: bool,
    /// The pull request that it is made for.
    pub pull_request_id: Option<i64>,
}

/// Adds a plan branch; its number counts up from 0 and is never used again, and a key that some other plan has
/// is passed over (a plan's own key may end in a digit).
///
/// # Errors
/// [`StoreError::Duplicate`] when the plan has a branch for that branch of the repository.
pub fn insert_branch(
    tx: &Tx<'_>,
    plan: &Plan,
    new: &NewBranch,
    now: Millis,
) -> Result<PlanBranch, StoreError> {
    let mut number = tx
        .first(
            "SELECT next_branch_number FROM plan WHERE id = $1",
            params![plan.id],
            |row| row.get::<i64>(0),
        )?
        .unwrap_or(0);
    let key = loop {
        let candidate = plan.key.branch(u32::try_from(number).unwrap_or(u32::MAX));
        number += 1;
        if branch_by_key(tx, &candidate)?.is_none() {
            break candidate;
        }
    };
    tx.execute(
        "UPDATE plan SET next_branch_number = $1 WHERE id = $2",
        params![number, plan.id],
    )?;
    let id = tx
        .insert(
            "INSERT INTO plan_branch (plan_id, key, is_master, vcs_branch, display_name, description, enabled,
               cleanup_enabled, automatic, next_build_number, last_change_ms, created_ms, pull_request_id)
             VALUES ($1, $2, 0, $3, $4, '', $5, $6, $7, 1, $8, $8, $9) RETURNING id",
            params![
                plan.id,
                key.as_str(),
                new.vcs_branch,
                new.display_name,
                new.enabled,
                new.cleanup_enabled,
                new.automatic,
                now,
                new.pull_request_id
            ],
        )
        .map_err(|error| match error {
            StoreError::Duplicate(_) => StoreError::Duplicate(format!(
                "a plan branch of {} for {}",
                plan.key,
                new.vcs_branch.as_deref().unwrap_or("no branch")
            )),
            other => other,
        })?;
    tx.wake(Topic::Plans);
    branch_by_id(tx, id)
}

/// Forgets the revisions that were considered last of all branches of a plan, which is of another repository now.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_revisions(tx: &Tx<'_>, plan_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET last_revision = NULL WHERE plan_id = $1",
        params![plan_id],
    )?;
    Ok(())
}

/// Notes the revision that was considered last.
///
/// # Errors
/// When the store cannot be written.
pub fn set_last_revision(tx: &Tx<'_>, branch_id: i64, revision: &str, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET last_revision = $1, last_change_ms = $2, missing_since_ms = NULL WHERE id = $3",
        params![revision, now, branch_id],
    )?;
    Ok(())
}

/// Notes that the branch is gone from the repository, or back.
///
/// # Errors
/// When the store cannot be written.
pub fn set_missing(tx: &Tx<'_>, branch_id: i64, since: Option<Millis>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET missing_since_ms = $1 WHERE id = $2",
        params![since, branch_id],
    )?;
    Ok(())
}

/// Switches a plan branch on or off.
///
/// # Errors
/// When the store cannot be written.
pub fn set_branch_enabled(tx: &Tx<'_>, branch_id: i64, enabled: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_branch SET enabled = $1 WHERE id = $2",
        params![enabled, branch_id],
    )?;
    Ok(())
}

/// Takes the next build number of a branch.
///
/// # Errors
/// When the store cannot be written.
pub fn take_build_number(tx: &Tx<'_>, branch_id: i64) -> Result<i64, StoreError> {
    tx.first(
        "UPDATE plan_branch SET next_build_number = next_build_number + 1 WHERE id = $1 RETURNING next_build_number - 1",
        params![branch_id],
        |row| row.get(0),
    )?
    .ok_or_else(|| StoreError::Missing(format!("the plan branch with the id {branch_id}")))
}
