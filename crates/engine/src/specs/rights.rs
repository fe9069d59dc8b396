//! What the plan file of a repository may change and use.
//!
//! Whoever may push to a repository writes its plan file, so the file may do no more than its repository was given:
//! plans in the project that it belongs to, and in one that nobody else uses; repositories of that project, and those that
//! every user may read. The rest is granted by administrators, to the repository. A linked repository was linked by an
//! administrator of the server, who answers for it.

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::permission::{Grantee, Permission, Scope, repository_holds};
use madake_domain::repository::RepositoryKind;
use madake_store::plan::Plan;
use madake_store::repository::{self, Repository};
use madake_store::variable::{self, VariableScope};
use madake_store::{Tx, credential, permission, plan, project};

use crate::EngineError;

fn belongs_to(found: &Repository, project: &str) -> bool {
    found
        .project()
        .is_none_or(|owner| owner.eq_ignore_ascii_case(project))
}

fn granted(
    tx: &Tx<'_>,
    found: &Repository,
    needed: Permission,
    scope: Scope,
    key: &str,
    project: Option<&str>,
) -> Result<bool, EngineError> {
    let grants = permission::bearing_on(tx, scope, key, project)?;
    Ok(repository_holds(&found.name, needed, &grants))
}

/// Whether it may make plans in a project: its own, a new one, or one in which there is nothing but plans of its own.
pub(crate) fn may_create_plans(
    tx: &Tx<'_>,
    found: &Repository,
    key: &ProjectKey,
) -> Result<bool, EngineError> {
    if belongs_to(found, key.as_str()) {
        return Ok(true);
    }
    let Some(project) = project::by_key(tx, key)? else {
        return Ok(true);
    };
    let foreign = plan::of_project(tx, project.id)?
        .into_iter()
        .any(|one| one.specs_repository_id != Some(found.id));
    // Builds get the project's secrets, so a project that somebody has begun to use is not there for the taking.
    let used = foreign
        || !permission::on(tx, Scope::Project, key.as_str())?.is_empty()
        || !variable::all(tx, &VariableScope::Project(key.to_string()))?.is_empty()
        || credential::concerns_project(tx, key.as_str())?
        || kept_for_coming_plans(tx, key)?
        || repository::has_others(tx, key.as_str(), found.id)?;
    if !used {
        return Ok(true);
    }
    granted(
        tx,
        found,
        Permission::Create,
        Scope::Project,
        key.as_str(),
        Some(key.as_str()),
    )
}

/// Whether somebody set variables for a plan of the project that is not there yet.
fn kept_for_coming_plans(tx: &Tx<'_>, project: &ProjectKey) -> Result<bool, EngineError> {
    for key in variable::plans_of_project(tx, project.as_str())? {
        let plan = match key.parse::<PlanKey>() {
            Ok(key) => plan::by_key(tx, &key)?,
            Err(_) => None,
        };
        if plan.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether its plans may use another repository: see what is in it, with the credential that it is read with.
pub(crate) fn may_use_repository(
    tx: &Tx<'_>,
    found: &Repository,
    other: &Repository,
) -> Result<bool, EngineError> {
    if found.id == other.id || found.kind == RepositoryKind::Linked {
        return Ok(true);
    }
    if let Some(owner) = other.project()
        && belongs_to(found, owner)
    {
        return Ok(true);
    }
    let grants = permission::bearing_on(tx, Scope::Repository, &other.name, other.project())?;
    let open = grants.iter().any(|grant| {
        matches!(grant.grantee, Grantee::LoggedIn | Grantee::Anonymous)
            && grant.permission.implies(Permission::Read)
    });
    Ok(open || repository_holds(&found.name, Permission::Read, &grants))
}

/// Whether jobs of its plans may push to another repository.
pub(crate) fn may_push_to(tx: &Tx<'_>, found: &Repository, other: &Repository) -> Result<bool, EngineError> {
    if found.id == other.id || other.project().is_some_and(|owner| belongs_to(found, owner)) {
        return Ok(true);
    }
    granted(
        tx,
        found,
        Permission::Write,
        Scope::Repository,
        &other.name,
        other.project(),
    )
}

/// Whether it may say who may do what with a plan, which may be another repository's.
pub(crate) fn may_set_permissions(
    tx: &Tx<'_>,
    found: &Repository,
    key: &PlanKey,
    owner_id: Option<i64>,
) -> Result<bool, EngineError> {
    let project = key.project();
    if owner_id == Some(found.id) && belongs_to(found, project.as_str()) {
        return Ok(true);
    }
    granted(
        tx,
        found,
        Permission::Administration,
        Scope::Plan,
        key.as_str(),
        Some(project.as_str()),
    )
}

/// Whether its plans may start builds of a plan.
pub(crate) fn may_start(tx: &Tx<'_>, found: &Repository, child: &Plan) -> Result<bool, EngineError> {
    let project = child.key.project();
    if child.specs_repository_id == Some(found.id) || belongs_to(found, project.as_str()) {
        return Ok(true);
    }
    granted(
        tx,
        found,
        Permission::Build,
        Scope::Plan,
        child.key.as_str(),
        Some(project.as_str()),
    )
}
