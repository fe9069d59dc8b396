//! Deployment projects, the immutable versions of their configuration, their environments, and notes on why something
//! was or was not deployed.

use madake_domain::deployment::NamingState;
use madake_domain::key::PlanKey;
use madake_domain::plan::{DeploymentConfiguration, DeploymentPermissions};
use sha2::{Digest as _, Sha256};

use crate::{Millis, StoreError, Topic, Tx, params};

/// A deployment project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The row's id, by which the REST API knows it.
    pub id: i64,
    /// The name, by which plan files know it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The plan whose results become releases.
    pub plan: PlanKey,
    /// The version in force.
    pub version_id: i64,
    /// The repository whose `bamboo-specs/` wrote it.
    pub specs_repository_id: Option<i64>,
    /// Where the naming of releases stands.
    pub naming: NamingState,
    /// When it was made.
    pub created_ms: Millis,
}

/// An environment of a deployment project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRow {
    /// The row's id, by which the REST API knows it.
    pub id: i64,
    /// The project's id.
    pub deployment_id: i64,
    /// The name, unique in the project.
    pub name: String,
    /// The place in the project, from 0.
    pub position: i64,
    /// What it is for.
    pub description: String,
    /// Has permissions of its own; otherwise who may see and change the project may see and change it.
    pub restricted: bool,
    /// The project does not list it any more.
    pub removed: bool,
}

/// Why something was or was not deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentNote {
    /// The row's id.
    pub id: i64,
    /// The environment that it is about.
    pub environment_id: Option<i64>,
    /// The release that it is about.
    pub release_id: Option<i64>,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// One sentence.
    pub text: String,
    /// When it was written.
    pub at_ms: Millis,
}

const DEPLOYMENT: &str =
    "SELECT id, name, description, plan_key, version_id, specs_repository_id, naming, created_ms
  FROM deployment_project";

fn read_deployment(row: &crate::Row<'_>) -> Result<Deployment, StoreError> {
    Ok(Deployment {
        id: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        plan: row
            .get::<String>(3)?
            .parse()
            .map_err(|error| StoreError::Damaged(format!("{error}")))?,
        version_id: row.get(4)?,
        specs_repository_id: row.get(5)?,
        naming: row.json(6)?,
        created_ms: row.get(7)?,
    })
}

/// The project with this name, in any case.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, name: &str) -> Result<Option<Deployment>, StoreError> {
    tx.first(
        &format!("{DEPLOYMENT} WHERE folded = $1"),
        params![name.to_lowercase()],
        read_deployment,
    )
}

/// The project with this id, unless it was removed.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Deployment>, StoreError> {
    tx.first(
        &format!("{DEPLOYMENT} WHERE id = $1 AND removed_ms IS NULL"),
        params![id],
        read_deployment,
    )
}

/// All projects by name.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Deployment>, StoreError> {
    tx.all(
        &format!("{DEPLOYMENT} WHERE removed_ms IS NULL ORDER BY folded"),
        &[],
        read_deployment,
    )
}

/// The projects that release results of a plan, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn of_plan(tx: &Tx<'_>, plan: &PlanKey) -> Result<Vec<Deployment>, StoreError> {
    tx.all(
        &format!("{DEPLOYMENT} WHERE plan_key = $1 AND removed_ms IS NULL ORDER BY folded"),
        params![plan.as_str()],
        read_deployment,
    )
}

/// Adds a project without a version yet.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn insert(
    tx: &Tx<'_>,
    configuration: &DeploymentConfiguration,
    specs_repository_id: Option<i64>,
    now: Millis,
) -> Result<i64, StoreError> {
    let naming = NamingState {
        next: configuration.release_naming.next_version_name.clone(),
        ..NamingState::default()
    };
    let id = tx.insert(
        "INSERT INTO deployment_project (name, folded, description, plan_key, version_id, specs_repository_id, naming,
           created_ms) VALUES ($1, $2, $3, $4, 0, $5, $6, $7) RETURNING id",
        params![
            configuration.name,
            configuration.name.to_lowercase(),
            configuration.description,
            configuration.source_plan.as_str(),
            specs_repository_id,
            serde_json::to_string(&naming)?,
            now
        ],
    )?;
    tx.wake(Topic::Plans);
    Ok(id)
}

/// Stores a version of a project's configuration and gives its id; one that it had before keeps its id.
///
/// # Errors
/// When the store cannot be written.
pub fn ensure_version(
    tx: &Tx<'_>,
    deployment_id: i64,
    configuration: &DeploymentConfiguration,
    source: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    let text = serde_json::to_string(configuration)?;
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let existing = tx.first(
        "SELECT id FROM deployment_version WHERE deployment_id = $1 AND digest = $2",
        params![deployment_id, digest],
        |row| row.get(0),
    )?;
    match existing {
        Some(id) => Ok(id),
        None => tx.insert(
            "INSERT INTO deployment_version (deployment_id, configuration, digest, source, created_ms)
             VALUES ($1, $2, $3, $4, $5) RETURNING id",
            params![deployment_id, text, digest, source, now],
        ),
    }
}

/// The configuration of a version.
///
/// # Errors
/// When the store cannot be read, or there is no such version.
pub fn configuration(tx: &Tx<'_>, version_id: i64) -> Result<DeploymentConfiguration, StoreError> {
    tx.first(
        "SELECT configuration FROM deployment_version WHERE id = $1",
        params![version_id],
        |row| row.json(0),
    )?
    .ok_or_else(|| StoreError::Missing(format!("the deployment version with the id {version_id}")))
}

/// Where a version came from, for people.
///
/// # Errors
/// When the store cannot be read.
pub fn source(tx: &Tx<'_>, version_id: i64) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT source FROM deployment_version WHERE id = $1",
        params![version_id],
        |row| row.get(0),
    )
}

/// Puts a version in force: the project's texts, its environments in order, and, where the file names releases in
/// another way than before, their naming from the start. Cron triggers are counted anew.
///
/// # Errors
/// When the store cannot be written.
pub fn adopt_version(
    tx: &Tx<'_>,
    found: &Deployment,
    version_id: i64,
    configuration: &DeploymentConfiguration,
    now: Millis,
) -> Result<(), StoreError> {
    let before = match found.version_id {
        0 => None,
        version => Some(self::configuration(tx, version)?.release_naming),
    };
    let mut naming = found.naming.clone();
    if before.is_some_and(|before| before != configuration.release_naming) {
        naming = NamingState {
            next: configuration.release_naming.next_version_name.clone(),
            ..NamingState::default()
        };
    }
    tx.execute(
        "UPDATE deployment_project SET version_id = $1, description = $2, plan_key = $3, naming = $4, name = $5
         WHERE id = $6",
        params![
            version_id,
            configuration.description,
            configuration.source_plan.as_str(),
            serde_json::to_string(&naming)?,
            configuration.name,
            found.id
        ],
    )?;
    tx.execute(
        "UPDATE deployment_environment SET removed_ms = $1 WHERE deployment_id = $2 AND removed_ms IS NULL",
        params![now, found.id],
    )?;
    for (environment, position) in configuration.environments.iter().zip(0_i64..) {
        tx.execute(
            "INSERT INTO deployment_environment (deployment_id, name, position, description, restricted)
             VALUES ($1, $2, $3, $4, 0)
             ON CONFLICT (deployment_id, name) DO UPDATE SET position = $3, description = $4, removed_ms = NULL",
            params![found.id, environment.name, position, environment.description],
        )?;
    }
    tx.execute(
        "DELETE FROM deployment_timer WHERE environment_id IN
           (SELECT id FROM deployment_environment WHERE deployment_id = $1)",
        params![found.id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

/// Where the naming of releases stands from now on.
///
/// # Errors
/// When the store cannot be written.
pub fn set_naming(tx: &Tx<'_>, deployment_id: i64, naming: &NamingState) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_project SET naming = $1 WHERE id = $2",
        params![serde_json::to_string(naming)?, deployment_id],
    )?;
    Ok(())
}

/// Gives a project another name.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn rename(tx: &Tx<'_>, deployment_id: i64, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_project SET name = $1, folded = $2 WHERE id = $3",
        params![name, name.to_lowercase(), deployment_id],
    )?;
    Ok(())
}

/// Gives an environment another name.
///
/// # Errors
/// [`StoreError::Duplicate`] when the project had one of that name.
pub fn rename_environment(tx: &Tx<'_>, environment_id: i64, name: &str) -> Result<(), StoreError> {
    // One that was removed keeps its results, and lets its name go.
    tx.execute(
        "UPDATE deployment_environment SET name = name || ' (removed ' || id || ')'
         WHERE deployment_id = (SELECT deployment_id FROM deployment_environment WHERE id = $2)
           AND name = $1 AND removed_ms IS NOT NULL",
        params![name, environment_id],
    )?;
    tx.execute(
        "UPDATE deployment_environment SET name = $1 WHERE id = $2",
        params![name, environment_id],
    )?;
    Ok(())
}

/// Takes a project out of use: its name is free again, its results stay in the store.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, deployment_id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_project SET folded = NULL, removed_ms = $1 WHERE id = $2",
        params![now, deployment_id],
    )?;
    tx.wake(Topic::Plans);
    Ok(())
}

/// What a deployment-permissions document last said of the project.
///
/// # Errors
/// When the store cannot be read.
pub fn permissions(tx: &Tx<'_>, deployment_id: i64) -> Result<Option<DeploymentPermissions>, StoreError> {
    let text = tx.first(
        "SELECT permissions FROM deployment_project WHERE id = $1",
        params![deployment_id],
        |row| row.get::<Option<String>>(0),
    )?;
    Ok(match text.flatten() {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => None,
    })
}

/// Keeps what a deployment-permissions document says, for environments that come later.
///
/// # Errors
/// When the store cannot be written.
pub fn set_permissions(
    tx: &Tx<'_>,
    deployment_id: i64,
    permissions: &DeploymentPermissions,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_project SET permissions = $1 WHERE id = $2",
        params![serde_json::to_string(permissions)?, deployment_id],
    )?;
    Ok(())
}

const ENVIRONMENT: &str = "SELECT id, deployment_id, name, position, description, restricted, removed_ms FROM deployment_environment";

fn read_environment(row: &crate::Row<'_>) -> Result<EnvironmentRow, StoreError> {
    Ok(EnvironmentRow {
        id: row.get(0)?,
        deployment_id: row.get(1)?,
        name: row.get(2)?,
        position: row.get(3)?,
        description: row.get(4)?,
        restricted: row.get(5)?,
        removed: row.get::<Option<i64>>(6)?.is_some(),
    })
}

/// The environments of a project in order, without removed ones.
///
/// # Errors
/// When the store cannot be read.
pub fn environments(tx: &Tx<'_>, deployment_id: i64) -> Result<Vec<EnvironmentRow>, StoreError> {
    tx.all(
        &format!("{ENVIRONMENT} WHERE deployment_id = $1 AND removed_ms IS NULL ORDER BY position"),
        params![deployment_id],
        read_environment,
    )
}

/// The environment with this id, also one that was removed.
///
/// # Errors
/// When the store cannot be read.
pub fn environment(tx: &Tx<'_>, id: i64) -> Result<Option<EnvironmentRow>, StoreError> {
    tx.first(
        &format!("{ENVIRONMENT} WHERE id = $1"),
        params![id],
        read_environment,
    )
}

/// The environment of a project with this name, as it is or else in any case.
///
/// # Errors
/// When the store cannot be read.
pub fn environment_by_name(
    tx: &Tx<'_>,
    deployment_id: i64,
    name: &str,
) -> Result<Option<EnvironmentRow>, StoreError> {
    let all = environments(tx, deployment_id)?;
    let exact = all.iter().find(|one| one.name == name).cloned();
    Ok(exact.or_else(|| {
        let folded = name.to_lowercase();
        all.into_iter().find(|one| one.name.to_lowercase() == folded)
    }))
}

/// Says whether an environment has permissions of its own.
///
/// # Errors
/// When the store cannot be written.
pub fn set_restricted(tx: &Tx<'_>, environment_id: i64, restricted: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_environment SET restricted = $1 WHERE id = $2",
        params![restricted, environment_id],
    )?;
    Ok(())
}

/// When a cron trigger of an environment is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvironmentTimer {
    /// The environment.
    pub environment_id: i64,
    /// The place of the trigger in the environment's list.
    pub position: i64,
    /// When it is due.
    pub next_ms: Millis,
    /// When that was found out.
    pub set_ms: Millis,
}

/// When the cron triggers of environments are due.
///
/// # Errors
/// When the store cannot be read.
pub fn timers(tx: &Tx<'_>) -> Result<Vec<EnvironmentTimer>, StoreError> {
    tx.all(
        "SELECT environment_id, position, next_ms, set_ms FROM deployment_timer",
        &[],
        |row| {
            Ok(EnvironmentTimer {
                environment_id: row.get(0)?,
                position: row.get(1)?,
                next_ms: row.get(2)?,
                set_ms: row.get(3)?,
            })
        },
    )
}

/// Sets when a cron trigger is due; `None`: never again.
///
/// # Errors
/// When the store cannot be written.
pub fn set_timer(
    tx: &Tx<'_>,
    environment_id: i64,
    position: i64,
    next_ms: Option<Millis>,
    now: Millis,
) -> Result<(), StoreError> {
    match next_ms {
        Some(next_ms) => tx.execute(
            "INSERT INTO deployment_timer (environment_id, position, next_ms, set_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (environment_id, position) DO UPDATE SET next_ms = $3, set_ms = $4",
            params![environment_id, position, next_ms, now],
        )?,
        None => tx.execute(
            "DELETE FROM deployment_timer WHERE environment_id = $1 AND position = $2",
            params![environment_id, position],
        )?,
    };
    Ok(())
}

/// Notes why something was or was not deployed.
///
/// # Errors
/// When the store cannot be written.
pub fn note(
    tx: &Tx<'_>,
    deployment_id: i64,
    about: (Option<i64>, Option<i64>),
    level: &str,
    text: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let (environment_id, release_id) = about;
    tx.execute(
        "INSERT INTO deployment_note (deployment_id, environment_id, release_id, level, text, at_ms)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![deployment_id, environment_id, release_id, level, text, now],
    )?;
    Ok(())
}

/// The newest notes of a project, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn notes(tx: &Tx<'_>, deployment_id: i64, limit: i64) -> Result<Vec<DeploymentNote>, StoreError> {
    tx.all(
        "SELECT id, environment_id, release_id, level, text, at_ms FROM deployment_note
         WHERE deployment_id = $1 ORDER BY id DESC LIMIT $2",
        params![deployment_id, limit],
        |row| {
            Ok(DeploymentNote {
                id: row.get(0)?,
                environment_id: row.get(1)?,
                release_id: row.get(2)?,
                level: row.get(3)?,
                text: row.get(4)?,
                at_ms: row.get(5)?,
            })
        },
    )
}
