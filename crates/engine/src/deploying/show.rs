//! What callers may see of deployments: the same questions for REST, pages and the command line.

use std::collections::HashMap;

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::{DeploymentConfiguration, Environment};
use madake_store::Tx;
use madake_store::deployment::{self, Deployment, DeploymentNote, EnvironmentRow};
use madake_store::deployment_release::{self, Release};
use madake_store::deployment_result::{self, DeploymentResult};

pub use super::order::result_key;
use super::rights;
use crate::access::Caller;
use crate::{Engine, EngineError};

/// What the caller may do with a project or an environment.
#[derive(Debug, Clone, Copy)]
pub struct Operations {
    /// See it.
    pub view: bool,
    /// Change it.
    pub edit: bool,
    /// Remove it.
    pub delete: bool,
    /// Deploy to it.
    pub execute: bool,
    /// Make releases.
    pub create_release: bool,
    /// Approve releases, or call them broken.
    pub judge_release: bool,
}

/// An environment as a caller sees it.
#[derive(Debug, Clone)]
pub struct ShownEnvironment {
    /// The environment.
    pub row: EnvironmentRow,
    /// What the version in force says of it; `None`: it is not listed any more.
    pub definition: Option<Environment>,
    /// What the caller may do.
    pub operations: Operations,
    /// The newest deployment to it.
    pub newest: Option<ShownResult>,
    /// Those that run, and then those that wait, each oldest first.
    pub active: Vec<ShownResult>,
    /// The newest successful one: what is there.
    pub deployed: Option<ShownResult>,
}

/// A project as a caller sees it.
#[derive(Debug, Clone)]
pub struct ShownProject {
    /// The project.
    pub found: Deployment,
    /// The version in force.
    pub configuration: DeploymentConfiguration,
    /// Where that came from.
    pub source: String,
    /// The environments that the caller may see, in order.
    pub environments: Vec<ShownEnvironment>,
    /// What the caller may do.
    pub operations: Operations,
}

/// A deployment with its release.
#[derive(Debug, Clone)]
pub struct ShownResult {
    /// The deployment.
    pub result: DeploymentResult,
    /// What is deployed.
    pub release: Release,
}

/// A project, if the caller may see it.
///
/// # Errors
/// When it is not there, or the caller may not.
pub fn project(tx: &Tx<'_>, caller: &Caller, id: i64) -> Result<ShownProject, EngineError> {
    let found = rights::deployment_for(tx, caller, id, Permission::Read)?;
    shown_project(tx, caller, found)
}

/// The projects that the caller may see, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn projects(tx: &Tx<'_>, caller: &Caller) -> Result<Vec<ShownProject>, EngineError> {
    let all = visible(tx, caller)?.into_iter();
    all.map(|found| shown_project(tx, caller, found)).collect()
}

/// The same without what is in them.
///
/// # Errors
/// When the store cannot be read.
pub fn visible(tx: &Tx<'_>, caller: &Caller) -> Result<Vec<Deployment>, EngineError> {
    let mut seen = Vec::new();
    for found in deployment::all(tx)? {
        if rights::may(tx, caller, Permission::Read, &found)? {
            seen.push(found);
        }
    }
    Ok(seen)
}

/// The first `limit` projects that the caller may see, by name, of the plans that are asked for; and whether there are more.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn first_projects(
    tx: &Tx<'_>,
    caller: &Caller,
    is_asked: &dyn Fn(&PlanKey) -> bool,
    limit: usize,
) -> Result<(Vec<ShownProject>, bool), EngineError> {
    let mut shown = Vec::new();
    for found in deployment::all(tx)? {
        if is_asked(&found.plan) && rights::may(tx, caller, Permission::Read, &found)? {
            if shown.len() == limit {
                return Ok((shown, true));
            }
            shown.push(shown_project(tx, caller, found)?);
        }
    }
    Ok((shown, false))
}

/// What a caller who may see a project may do with it and its releases.
///
/// # Errors
/// When the store cannot be read.
pub fn operations(tx: &Tx<'_>, caller: &Caller, found: &Deployment) -> Result<Operations, EngineError> {
    let may = |needed| rights::may(tx, caller, needed, found);
    Ok(Operations {
        view: true,
        edit: may(Permission::Write)?,
        delete: may(Permission::Administration)?,
        execute: false,
        create_release: may(Permission::CreateRelease)?,
        judge_release: may(Permission::ApproveRelease)?,
    })
}

fn shown_project(tx: &Tx<'_>, caller: &Caller, found: Deployment) -> Result<ShownProject, EngineError> {
    let configuration = deployment::configuration(tx, found.version_id)?;
    let operations = operations(tx, caller, &found)?;
    let mut environments = Vec::new();
    for row in deployment::environments(tx, found.id)? {
        let definition = configuration.environments.iter().find(|one| one.name == row.name);
        if let Some(shown) = shown_environment(tx, caller, &found, row, definition.cloned(), operations)? {
            environments.push(shown);
        }
    }
    Ok(ShownProject {
        source: deployment::source(tx, found.version_id)?.unwrap_or_default(),
        found,
        configuration,
        environments,
        operations,
    })
}

fn shown_environment(
    tx: &Tx<'_>,
    caller: &Caller,
    found: &Deployment,
    row: EnvironmentRow,
    definition: Option<Environment>,
    of_project: Operations,
) -> Result<Option<ShownEnvironment>, EngineError> {
    let may = |needed| rights::may_there(tx, caller, needed, found, &row);
    if !may(Permission::Read)? {
        return Ok(None);
    }
    let operations = Operations {
        view: true,
        edit: may(Permission::Write)?,
        delete: may(Permission::Administration)?,
        execute: definition.is_some() && may(Permission::Build)?,
        ..of_project
    };
    let newest = deployment_result::of_environment(tx, row.id, 0, 1)?
        .0
        .into_iter()
        .next();
    let deployed = deployment_result::last_success(tx, row.id, i64::MAX)?;
    let active = deployment_result::active_of_environment(tx, row.id)?;
    let shown = |result: Option<DeploymentResult>| result.map(|one| with_release(tx, one)).transpose();
    Ok(Some(ShownEnvironment {
        newest: shown(newest)?,
        active: with_releases(tx, active)?,
        deployed: shown(deployed)?,
        row,
        definition,
        operations,
    }))
}

/// An environment with its project, if the caller may see it.
///
/// # Errors
/// When it is not there, or the caller may not.
pub fn environment(
    tx: &Tx<'_>,
    caller: &Caller,
    id: i64,
) -> Result<(Deployment, ShownEnvironment), EngineError> {
    let (found, row) = rights::environment_for(tx, caller, id, Permission::Read)?;
    let configuration = deployment::configuration(tx, found.version_id)?;
    let may = |needed| rights::may(tx, caller, needed, &found);
    let of_project = Operations {
        view: true,
        edit: false,
        delete: false,
        execute: false,
        create_release: may(Permission::CreateRelease)?,
        judge_release: may(Permission::ApproveRelease)?,
    };
    let definition = match row.removed {
        true => None,
        false => configuration
            .environments
            .into_iter()
            .find(|one| one.name == row.name),
    };
    let shown = shown_environment(tx, caller, &found, row, definition, of_project)?;
    let shown = shown.ok_or_else(|| EngineError::NotFound("There is no such environment.".to_owned()))?;
    Ok((found, shown))
}

/// Puts its release beside a deployment.
///
/// # Errors
/// When the store cannot be read.
pub fn with_release(tx: &Tx<'_>, result: DeploymentResult) -> Result<ShownResult, EngineError> {
    let release = deployment_release::by_id(tx, result.release_id)?
        .ok_or_else(|| EngineError::Internal(format!("the release {} is gone", result.release_id)))?;
    Ok(ShownResult { result, release })
}

/// Puts their releases beside deployments.
///
/// # Errors
/// When the store cannot be read.
pub fn with_releases(tx: &Tx<'_>, results: Vec<DeploymentResult>) -> Result<Vec<ShownResult>, EngineError> {
    results.into_iter().map(|one| with_release(tx, one)).collect()
}

/// Deployments to an environment, newest first, and how many there are in all.
///
/// # Errors
/// When the environment is not there, or the caller may not see it.
pub fn history(
    tx: &Tx<'_>,
    caller: &Caller,
    environment_id: i64,
    start: i64,
    limit: i64,
) -> Result<(EnvironmentRow, Vec<ShownResult>, i64), EngineError> {
    let (_, row) = rights::environment_for(tx, caller, environment_id, Permission::Read)?;
    let (results, total) = deployment_result::of_environment(tx, row.id, start, limit)?;
    Ok((row, with_releases(tx, results)?, total))
}

/// A deployment, if the caller may see its environment.
///
/// # Errors
/// When it is not there, or the caller may not.
pub fn result_for(tx: &Tx<'_>, caller: &Caller, id: i64) -> Result<DeploymentResult, EngineError> {
    let missing = || {
        if caller.principal.is_logged_in() {
            EngineError::NotFound(format!("There is no deployment result with the id {id}."))
        } else {
            EngineError::Unauthenticated {
                needed: Permission::Read,
                subject: format!("deployment result {id}"),
            }
        }
    };
    let found = deployment_result::by_id(tx, id)?.ok_or_else(missing)?;
    match rights::environment_for(tx, caller, found.environment_id, Permission::Read) {
        Ok(_) => Ok(found),
        Err(EngineError::Unauthenticated { .. } | EngineError::NotFound(_)) => Err(missing()),
        Err(error) => Err(error),
    }
}

/// A release and its project, if the caller may do what needs `needed` there.
///
/// # Errors
/// When it is not there, or the caller may not.
pub fn release_for(
    tx: &Tx<'_>,
    caller: &Caller,
    id: i64,
    needed: Permission,
) -> Result<(Deployment, Release), EngineError> {
    let missing = || {
        if caller.principal.is_logged_in() {
            EngineError::NotFound(format!("There is no release with the id {id}."))
        } else {
            EngineError::Unauthenticated {
                needed,
                subject: format!("release {id}"),
            }
        }
    };
    let release = deployment_release::by_id(tx, id)?.ok_or_else(missing)?;
    match rights::deployment_for(tx, caller, release.deployment_id, needed) {
        Ok(found) => Ok((found, release)),
        Err(EngineError::Unauthenticated { .. } | EngineError::NotFound(_)) => Err(missing()),
        Err(error) => Err(error),
    }
}

/// Notes of a project that the caller may see, newest first.
///
/// # Errors
/// When the project is not there, or the caller may not see it.
pub fn notes(tx: &Tx<'_>, caller: &Caller, id: i64, limit: i64) -> Result<Vec<DeploymentNote>, EngineError> {
    let found = rights::deployment_for(tx, caller, id, Permission::Read)?;
    let mut shown = Vec::new();
    for note in deployment::notes(tx, found.id, limit)? {
        let visible = match note.environment_id {
            Some(id) => match deployment::environment(tx, id)? {
                Some(row) => rights::may_there(tx, caller, Permission::Read, &found, &row)?,
                None => false,
            },
            None => true,
        };
        if visible {
            shown.push(note);
        }
    }
    Ok(shown)
}

/// The deployments that wait and that the caller may see, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(tx: &Tx<'_>, caller: &Caller) -> Result<Vec<DeploymentResult>, EngineError> {
    let mut seen: HashMap<i64, bool> = HashMap::new();
    let mut waiting = deployment_result::queued(tx)?;
    waiting.retain(|one| {
        *seen.entry(one.environment_id).or_insert_with(|| {
            rights::environment_for(tx, caller, one.environment_id, Permission::Read).is_ok()
        })
    });
    Ok(waiting)
}

impl Engine {
    /// Takes a deployment project out of use.
    ///
    /// # Errors
    /// When it is not there, the caller may not, or something waits or runs.
    pub async fn remove_deployment(&self, caller: &Caller, id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let found = rights::deployment_for(tx, &caller, id, Permission::Administration)?;
                for row in deployment::environments(tx, found.id)? {
                    if deployment_result::is_busy(tx, row.id)? {
                        return Err(EngineError::Conflict(format!(
                            "a deployment to {} waits or runs; stop it first",
                            row.name
                        )));
                    }
                }
                Ok(deployment::remove(tx, found.id, crate::clock::now_ms())?)
            })
            .await
    }
}
