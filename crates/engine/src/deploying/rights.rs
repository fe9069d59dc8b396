//! Who may do what with deployment projects and environments.
//!
//! What is granted on the project of the source plan, or on the server, counts for seeing and for administration only:
//! who may build everywhere may not therefore deploy everywhere. An environment without permissions of its own is seen
//! and changed by those who may see and change its deployment project; to deploy needs a grant on the environment.

use madake_domain::permission::{Grant, Permission, Principal, Scope, Verdict, decide};
use madake_store::deployment::{self, Deployment, EnvironmentRow};
use madake_store::{Tx, permission};

use crate::EngineError;
use crate::access::Caller;

/// Whether the caller may do what needs `needed` with a project.
///
/// # Errors
/// When the store cannot be read.
pub fn may(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    found: &Deployment,
) -> Result<bool, EngineError> {
    Ok(verdict(tx, caller, needed, found, None)?.is_allowed())
}

/// Whether the caller may do what needs `needed` with an environment.
///
/// # Errors
/// When the store cannot be read.
pub fn may_there(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    found: &Deployment,
    environment: &EnvironmentRow,
) -> Result<bool, EngineError> {
    Ok(verdict(tx, caller, needed, found, Some(environment))?.is_allowed())
}

/// The project with this id, if the caller may do what needs `needed`. Strangers get the same refusal for one that is
/// hidden and for one that is not there.
///
/// # Errors
/// [`EngineError::NotFound`], [`EngineError::Unauthenticated`] or [`EngineError::Forbidden`].
pub fn deployment_for(
    tx: &Tx<'_>,
    caller: &Caller,
    id: i64,
    needed: Permission,
) -> Result<Deployment, EngineError> {
    let subject = format!("deployment project {id}");
    let Some(found) = deployment::by_id(tx, id)? else {
        return Err(missing(
            caller,
            needed,
            subject,
            "There is no such deployment project.",
        ));
    };
    match verdict(tx, caller, needed, &found, None)? {
        Verdict::Allowed => Ok(found),
        refused => Err(refusal(caller, needed, subject, &refused)),
    }
}

/// The project with this name or id, if the caller may do what needs `needed`.
///
/// # Errors
/// As [`deployment_for`].
pub fn deployment_named(
    tx: &Tx<'_>,
    caller: &Caller,
    name: &str,
    needed: Permission,
) -> Result<Deployment, EngineError> {
    let found = match deployment::by_name(tx, name)? {
        Some(found) => Some(found),
        None => match name.parse() {
            Ok(id) => deployment::by_id(tx, id)?,
            Err(_) => None,
        },
    };
    let shown = madake_domain::text::inert(name, 80);
    let subject = format!("deployment project {shown}");
    let Some(found) = found else {
        let sentence = format!("There is no deployment project {shown}.");
        return Err(missing(caller, needed, subject, &sentence));
    };
    match verdict(tx, caller, needed, &found, None)? {
        Verdict::Allowed => Ok(found),
        refused => Err(refusal(caller, needed, subject, &refused)),
    }
}

/// The environment with this id and its project, if the caller may do what needs `needed` there. One that the project
/// does not list any more is found while its project is.
///
/// # Errors
/// As [`deployment_for`].
pub fn environment_for(
    tx: &Tx<'_>,
    caller: &Caller,
    id: i64,
    needed: Permission,
) -> Result<(Deployment, EnvironmentRow), EngineError> {
    let subject = format!("environment {id}");
    let found = match deployment::environment(tx, id)? {
        Some(environment) => deployment::by_id(tx, environment.deployment_id)?.map(|one| (one, environment)),
        None => None,
    };
    let Some((found, environment)) = found else {
        return Err(missing(caller, needed, subject, "There is no such environment."));
    };
    match verdict(tx, caller, needed, &found, Some(&environment))? {
        Verdict::Allowed => Ok((found, environment)),
        refused => Err(refusal(caller, needed, subject, &refused)),
    }
}

/// The id that grants on a project or an environment are stored under, if the caller may change them.
///
/// # Errors
/// As [`deployment_for`].
pub(crate) fn grants_of(
    tx: &Tx<'_>,
    caller: &Caller,
    scope: Scope,
    key: &str,
) -> Result<String, EngineError> {
    let needed = Permission::Administration;
    if scope == Scope::Deployment {
        return Ok(deployment_named(tx, caller, key, needed)?.id.to_string());
    }
    let id = match key.parse() {
        Ok(id) => id,
        Err(_) => {
            // Names of projects may have slashes in them, and so may names of environments.
            let mut found = None;
            for (at, _) in key.match_indices('/') {
                if let Some(project) = deployment::by_name(tx, &key[..at])? {
                    found = deployment::environment_by_name(tx, project.id, &key[at + 1..])?.or(found);
                }
            }
            let subject = format!("environment {}", madake_domain::text::inert(key, 80));
            found
                .ok_or_else(|| {
                    let sentence = "There is no such environment: give its id, or PROJECT/ENVIRONMENT.";
                    missing(caller, needed, subject, sentence)
                })?
                .id
        }
    };
    Ok(environment_for(tx, caller, id, needed)?.1.id.to_string())
}

/// Notes that an environment has permissions of its own from now on.
pub(crate) fn note_grant(tx: &Tx<'_>, scope: Scope, key: &str) -> Result<(), EngineError> {
    if scope == Scope::Environment
        && let Ok(id) = key.parse()
    {
        deployment::set_restricted(tx, id, true)?;
    }
    Ok(())
}

fn missing(caller: &Caller, needed: Permission, subject: String, sentence: &str) -> EngineError {
    if caller.principal.is_logged_in() {
        EngineError::NotFound(sentence.to_owned())
    } else {
        EngineError::Unauthenticated { needed, subject }
    }
}

fn refusal(caller: &Caller, needed: Permission, subject: String, verdict: &Verdict) -> EngineError {
    if !caller.principal.is_logged_in() {
        return EngineError::Unauthenticated { needed, subject };
    }
    EngineError::Forbidden {
        principal: caller.name().to_owned(),
        needed,
        subject,
        token: matches!(
            verdict,
            Verdict::Lacking {
                limited_by_token: true,
                ..
            }
        ),
    }
}

fn verdict(
    tx: &Tx<'_>,
    caller: &Caller,
    needed: Permission,
    found: &Deployment,
    environment: Option<&EnvironmentRow>,
) -> Result<Verdict, EngineError> {
    if caller.principal == Principal::Local {
        return Ok(Verdict::Allowed);
    }
    let project = found.plan.project();
    let mut grants = permission::on(tx, Scope::Deployment, &found.id.to_string())?;
    let mut around = permission::on(tx, Scope::Project, project.as_str())?;
    around.extend(permission::on(tx, Scope::Global, "")?);
    grants.extend(narrowed(around, &[Permission::Administration, Permission::Read]));
    if let Some(environment) = environment {
        let kept: &[Permission] = if environment.restricted {
            &[Permission::Administration]
        } else {
            &[
                Permission::Administration,
                Permission::Write,
                Permission::ViewConfiguration,
                Permission::Read,
            ]
        };
        grants = narrowed(grants, kept);
        grants.extend(permission::on(
            tx,
            Scope::Environment,
            &environment.id.to_string(),
        )?);
    }
    Ok(decide(&caller.principal, needed, Some(project.as_str()), &grants))
}

/// The grants with no more than the first of `kept` that each of them implies; what implies none of them is left out.
fn narrowed(grants: Vec<Grant>, kept: &[Permission]) -> Vec<Grant> {
    grants
        .into_iter()
        .filter_map(|grant| {
            let permission = *kept.iter().find(|one| grant.permission.implies(**one))?;
            Some(Grant { permission, ..grant })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use madake_domain::permission::Grantee;

    #[test]
    fn grants_from_around_are_narrowed_to_seeing_and_administration() {
        let kept = [Permission::Administration, Permission::Read];
        let table = [
            (Permission::Build, Some(Permission::Read)),
            (Permission::Write, Some(Permission::Read)),
            (Permission::Administration, Some(Permission::Administration)),
            (Permission::Create, None),
            (Permission::CreateRepository, None),
        ];
        for (granted, expected) in table {
            let grant = Grant {
                grantee: Grantee::LoggedIn,
                permission: granted,
            };
            let left = narrowed(vec![grant], &kept);
            assert_eq!(left.first().map(|one| one.permission), expected, "{granted}");
        }
    }
}
