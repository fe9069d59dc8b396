//! Deployment documents of plan files: makes and changes projects, with the ownership that plans have.

use madake_domain::key::PlanKey;
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::plan::{
    DeploymentConfiguration, DeploymentGrant, DeploymentPermission, DeploymentPermissions, EnvironmentGrant,
    EnvironmentPermission,
};
use madake_store::deployment::{self, EnvironmentRow};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, permission, plan};

use crate::EngineError;
use crate::specs::{may_use_project, people};

/// Why a repository may not make or change a deployment project, if it may not. `is_made` says of a plan that is not there
/// whether it is about to be.
pub(crate) fn refusal(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &DeploymentConfiguration,
    is_made: &dyn Fn(&PlanKey) -> bool,
) -> Result<Option<String>, EngineError> {
    let name = &configuration.name;
    if let Some(existing) = deployment::by_name(tx, name)?
        && existing.specs_repository_id != Some(found.id)
    {
        let owner = match existing.specs_repository_id {
            Some(owner) => {
                repository::by_id(tx, owner)?.map_or_else(|| "another repository".into(), |one| one.name)
            }
            None => "this server's administrators".to_owned(),
        };
        return Ok(Some(format!(
            "the deployment project {name} belongs to {owner}: nothing is changed; give the project another name"
        )));
    }
    // Its tasks get what the plan made, and the plan's variables with it.
    let plan_key = &configuration.source_plan;
    let Some(source_plan) = plan::by_key(tx, plan_key)? else {
        return Ok((!is_made(plan_key))
            .then(|| format!("the deployment project {name} is not changed: there is no plan {plan_key}")));
    };
    if source_plan.specs_repository_id != Some(found.id)
        && let Err(refusal) = may_use_project(tx, found, &plan_key.project())?
    {
        return Ok(Some(format!(
            "the deployment project {name} may not release results of {plan_key}: {refusal}"
        )));
    }
    Ok(None)
}

/// Makes or changes one deployment project. The inner error says why the repository may not.
pub(crate) fn put_in_force(
    tx: &Tx<'_>,
    found: &Repository,
    configuration: &DeploymentConfiguration,
    source: &str,
    now: Millis,
) -> Result<Result<(), String>, EngineError> {
    if let Some(refusal) = refusal(tx, found, configuration, &|_| false)? {
        return Ok(Err(refusal));
    }
    let existing = deployment::by_name(tx, &configuration.name)?;
    let id = match existing {
        Some(existing) => existing.id,
        None => deployment::insert(tx, configuration, Some(found.id), now)?,
    };
    let version_id = deployment::ensure_version(tx, id, configuration, source, now)?;
    let Some(row) = deployment::by_id(tx, id)? else {
        return Ok(Ok(()));
    };
    if row.version_id != version_id {
        let before: Vec<i64> = deployment::environments(tx, id)?
            .into_iter()
            .map(|one| one.id)
            .collect();
        deployment::adopt_version(tx, &row, version_id, configuration, now)?;
        if let Some(permissions) = deployment::permissions(tx, id)? {
            for environment in deployment::environments(tx, id)? {
                if !before.contains(&environment.id) {
                    grant_on_environment(tx, &permissions, &environment, now)?;
                }
            }
        }
    }
    Ok(Ok(()))
}

/// Why a repository may not set the permissions of a deployment project, if it may not. `is_made`: one that is not there is
/// about to be.
pub(crate) fn permissions_refusal(
    tx: &Tx<'_>,
    found: &Repository,
    name: &str,
    is_made: bool,
) -> Result<Option<String>, EngineError> {
    Ok(match deployment::by_name(tx, name)? {
        Some(existing) if existing.specs_repository_id != Some(found.id) => Some(format!(
            "permissions of {name}: the deployment project belongs to another repository; nothing is changed"
        )),
        None if !is_made => Some(format!(
            "permissions of {name}: there is no such deployment project"
        )),
        _ => None,
    })
}

/// Replaces what is granted on a project and its environments, as far as the document speaks of them. The inner error
/// says why the repository may not.
pub(crate) fn set_permissions(
    tx: &Tx<'_>,
    found: &Repository,
    permissions: &DeploymentPermissions,
    now: Millis,
) -> Result<Result<(), String>, EngineError> {
    let name = &permissions.deployment;
    if let Some(refusal) = permissions_refusal(tx, found, name, false)? {
        return Ok(Err(refusal));
    }
    let Some(existing) = deployment::by_name(tx, name)? else {
        return Ok(Ok(()));
    };
    if let Some(grants) = &permissions.project {
        let key = existing.id.to_string();
        permission::revoke_all(tx, Scope::Deployment, &key)?;
        for grant in grants {
            let granted = grant.permissions.iter().map(|one| of_project(*one));
            grant_all(tx, Scope::Deployment, &key, &whom(grant), granted, now)?;
        }
    }
    for environment in deployment::environments(tx, existing.id)? {
        grant_on_environment(tx, permissions, &environment, now)?;
    }
    deployment::set_permissions(tx, existing.id, permissions)?;
    let unknown = permissions.environments.iter().map(|(name, _)| name).find(|name| {
        !matches!(deployment::environment_by_name(tx, existing.id, name), Ok(Some(row)) if row.name == **name)
    });
    match unknown {
        Some(unknown) => Ok(Err(format!(
            "permissions of {name}: it has no environment {unknown}; the others are set"
        ))),
        None => Ok(Ok(())),
    }
}

/// What the document says of the environment itself, or of environments that it does not name.
fn grant_on_environment(
    tx: &Tx<'_>,
    permissions: &DeploymentPermissions,
    environment: &EnvironmentRow,
    now: Millis,
) -> Result<(), EngineError> {
    let own = permissions
        .environments
        .iter()
        .find(|(name, _)| *name == environment.name)
        .map(|(_, grants)| grants);
    let Some(grants) = own.or(permissions.default_environment.as_ref()) else {
        return Ok(());
    };
    let key = environment.id.to_string();
    permission::revoke_all(tx, Scope::Environment, &key)?;
    deployment::set_restricted(tx, environment.id, true)?;
    for grant in grants {
        let granted = grant.permissions.iter().map(|one| of_environment(*one));
        grant_all(tx, Scope::Environment, &key, &whom_there(grant), granted, now)?;
    }
    Ok(())
}

fn grant_all(
    tx: &Tx<'_>,
    scope: Scope,
    key: &str,
    whom: &[Grantee],
    granted: impl Iterator<Item = Permission>,
    now: Millis,
) -> Result<(), EngineError> {
    for one in granted {
        for grantee in whom {
            people::grant(tx, scope, key, grantee, one, now)?;
        }
    }
    Ok(())
}

fn whom(grant: &DeploymentGrant) -> Vec<Grantee> {
    grantees(&grant.users, &grant.groups, grant.logged_in, grant.anonymous)
}

fn whom_there(grant: &EnvironmentGrant) -> Vec<Grantee> {
    grantees(&grant.users, &grant.groups, grant.logged_in, grant.anonymous)
}

fn grantees(users: &[String], groups: &[String], logged_in: bool, anonymous: bool) -> Vec<Grantee> {
    let users = users.iter().cloned().map(Grantee::User);
    let groups = groups.iter().cloned().map(Grantee::Group);
    users
        .chain(groups)
        .chain(logged_in.then_some(Grantee::LoggedIn))
        .chain(anonymous.then_some(Grantee::Anonymous))
        .collect()
}

fn of_project(permission: DeploymentPermission) -> Permission {
    match permission {
        DeploymentPermission::View => Permission::Read,
        DeploymentPermission::ViewConfiguration => Permission::ViewConfiguration,
        DeploymentPermission::Edit => Permission::Write,
        DeploymentPermission::Clone => Permission::Clone,
        DeploymentPermission::Admin => Permission::Administration,
        DeploymentPermission::ApproveRelease => Permission::ApproveRelease,
        DeploymentPermission::CreateRelease => Permission::CreateRelease,
    }
}

fn of_environment(permission: EnvironmentPermission) -> Permission {
    match permission {
        EnvironmentPermission::View => Permission::Read,
        EnvironmentPermission::ViewConfiguration => Permission::ViewConfiguration,
        EnvironmentPermission::Edit => Permission::Write,
        EnvironmentPermission::Deploy => Permission::Build,
    }
}
