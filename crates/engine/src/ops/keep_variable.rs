//! Sets, lists and removes variables of the server, of projects and of plans. Secrets are never given back.

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::mask::weakness;
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_domain::variables::looks_secret;
use madake_store::variable::{self, StoredValue, StoredVariable, VariableScope};
use madake_store::{Tx, plan, project};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

/// The longest name, in bytes.
const NAME_LIMIT: usize = 250;
/// The longest value, in bytes.
const VALUE_LIMIT: usize = 256 * 1024;

/// A variable that is to be set.
#[derive(Clone)]
pub struct NewVariable {
    /// The name; a `bamboo.` in front is taken off.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether it is a secret; `None`: if it was one, or its name says so.
    pub secret: Option<bool>,
    /// A plan that is not there yet gets it when it comes, if its project is there.
    pub for_coming_plan: bool,
}

impl std::fmt::Debug for NewVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewVariable")
            .field("name", &self.name)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// What came of setting a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetVariable {
    /// The variable as it is kept.
    pub variable: StoredVariable,
    /// There was none of that name.
    pub is_new: bool,
    /// What is worth knowing about it.
    pub warning: Option<String>,
}

impl Engine {
    /// Sets a variable.
    ///
    /// # Errors
    /// When the caller does not administrate what it belongs to, or the name or value will not do.
    pub async fn set_variable(
        &self,
        caller: &Caller,
        scope: VariableScope,
        new: NewVariable,
    ) -> Result<SetVariable, EngineError> {
        let name = new.name.strip_prefix("bamboo.").unwrap_or(&new.name).to_owned();
        check(&name, &new.value)?;
        let (caller, sealer) = (caller.clone(), self.sealer().clone());
        self.store()
            .write(move |tx| {
                let coming = match &scope {
                    VariableScope::Plan(key) if new.for_coming_plan => coming_plan(tx, &caller, key)?,
                    _ => None,
                };
                if coming.is_none() {
                    administrate(tx, &caller, &scope)?;
                }
                // A secret stays one, unless somebody says that it is none.
                let was = variable::by_name(tx, &scope, &name)?.is_some_and(|one| one.is_secret());
                let secret = new.secret.unwrap_or(was) || looks_secret(&name);
                let weak = if secret { weakness(&new.value) } else { None };
                let coming =
                    coming.map(|key| format!("there is no plan {key} yet: the value is kept for it"));
                let weak = weak.map(|why| why.to_string());
                let warnings: Vec<String> = coming.into_iter().chain(weak).collect();
                let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
                let value = if secret {
                    StoredValue::Sealed(sealer.seal(&scope.place(&name), new.value.as_bytes())?)
                } else {
                    StoredValue::Plain(new.value)
                };
                let is_new = variable::set(tx, &scope, &name, &value, caller.name(), clock::now_ms())?;
                let kept = variable::by_name(tx, &scope, &name)?;
                Ok(SetVariable {
                    variable: kept.ok_or_else(|| EngineError::Internal("the new variable is gone".into()))?,
                    is_new,
                    warning,
                })
            })
            .await
    }

    /// The variables that were set for the server, a project or a plan, by name.
    ///
    /// # Errors
    /// When the caller does not administrate what they belong to.
    pub async fn list_variables(
        &self,
        caller: &Caller,
        scope: VariableScope,
    ) -> Result<Vec<StoredVariable>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let all = variable::all(tx, &scope)?;
                administrate_kept(tx, &caller, &scope, all.is_empty())?;
                Ok(all)
            })
            .await
    }

    /// Removes a variable.
    ///
    /// # Errors
    /// When the caller does not administrate what it belongs to, or there is none.
    pub async fn remove_variable(
        &self,
        caller: &Caller,
        scope: VariableScope,
        name: &str,
    ) -> Result<(), EngineError> {
        let caller = caller.clone();
        let name = name.strip_prefix("bamboo.").unwrap_or(name).to_owned();
        self.store()
            .write(move |tx| {
                let nothing = variable::all(tx, &scope)?.is_empty();
                administrate_kept(tx, &caller, &scope, nothing)?;
                if variable::remove(tx, &scope, &name)? {
                    return Ok(());
                }
                Err(EngineError::NotFound(format!(
                    "there is no variable {}",
                    inert(&name, 80)
                )))
            })
            .await
    }
}

/// The key, if it is that of no plan and no plan branch, its project is there, and the caller administrates what a plan of
/// that key would be in.
fn coming_plan(tx: &Tx<'_>, caller: &Caller, key: &str) -> Result<Option<PlanKey>, EngineError> {
    let Ok(key) = key.parse::<PlanKey>() else {
        return Ok(None);
    };
    if plan::by_key(tx, &key)?.is_some()
        || plan::branch_by_key(tx, &key)?.is_some()
        || project::by_key(tx, &key.project())?.is_none()
    {
        return Ok(None);
    }
    require(tx, caller, Permission::Administration, Target::Plan(&key))?;
    Ok(Some(key))
}

/// Asks for what [`administrate`] asks; variables may also have been kept for a plan that is not there yet.
fn administrate_kept(
    tx: &Tx<'_>,
    caller: &Caller,
    scope: &VariableScope,
    nothing_is_kept: bool,
) -> Result<(), EngineError> {
    match scope {
        VariableScope::Plan(key) if !nothing_is_kept && coming_plan(tx, caller, key)?.is_some() => Ok(()),
        _ => administrate(tx, caller, scope),
    }
}

fn administrate(tx: &Tx<'_>, caller: &Caller, scope: &VariableScope) -> Result<(), EngineError> {
    let needed = Permission::Administration;
    match scope {
        VariableScope::Global => require(tx, caller, needed, Target::Global),
        VariableScope::Project(key) => {
            let missing = || EngineError::NotFound(format!("Project {} not found.", inert(key, 80)));
            // Asked before the key is read: strangers learn nothing of keys.
            require(tx, caller, needed, Target::Project(key))?;
            let key: ProjectKey = key.parse().map_err(|_| missing())?;
            project::by_key(tx, &key)?.map(|_| ()).ok_or_else(missing)
        }
        VariableScope::Plan(key) => {
            let missing = || EngineError::NotFound(format!("Plan {} not found.", inert(key, 80)));
            let Ok(key) = key.parse::<PlanKey>() else {
                require(tx, caller, needed, Target::Global)?;
                return Err(missing());
            };
            require(tx, caller, needed, Target::Plan(&key))?;
            plan::by_key(tx, &key)?.map(|_| ()).ok_or_else(missing)
        }
    }
}

fn check(name: &str, value: &str) -> Result<(), EngineError> {
    let unfit = |c: char| c.is_control() || c.is_whitespace() || "=${}".contains(c);
    if name.is_empty() || name.len() > NAME_LIMIT || name.chars().any(unfit) {
        return Err(EngineError::Invalid(format!(
            "`{}` is not the name of a variable: it has 1 to {NAME_LIMIT} characters, none of them white space, `=`, `$` \
             or a brace",
            inert(name, 60)
        )));
    }
    if value.len() > VALUE_LIMIT || value.contains('\0') {
        return Err(EngineError::Invalid(format!(
            "the value of {name} cannot be kept: it has at most {VALUE_LIMIT} bytes, and none is 0"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_that_a_reference_can_carry_them() {
        for good in ["a", "release.version", "A_b-c", "größe"] {
            assert!(check(good, "x").is_ok(), "{good}");
        }
        for bad in ["", "a b", "a=b", "a}", "${x}", "a\n", &"a".repeat(251)] {
            assert!(check(bad, "x").is_err(), "{bad:?}");
        }
        assert!(check("a", "x\0y").is_err());
        assert!(check("a", &"x".repeat(VALUE_LIMIT + 1)).is_err());
    }
}
