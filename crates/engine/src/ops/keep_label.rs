//! Labels results and plans, and takes labels away.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::text::inert;
use madake_store::build::Build;
use madake_store::{Tx, build, label};

use crate::access::{Caller, Target, plan_for, require};
use crate::{Engine, EngineError, clock};

/// The longest label, in characters.
const LONGEST: usize = 255;

impl Engine {
    /// Labels the result with this key (`PROJ-PLAN-7`); says whether that is new.
    ///
    /// # Errors
    /// When there is no such result, the caller may not build its plan, or the label will not do.
    pub async fn label_result(&self, caller: &Caller, key: &str, name: &str) -> Result<bool, EngineError> {
        let (caller, key, name) = (caller.clone(), key.to_owned(), checked(name)?);
        self.store()
            .write(move |tx| {
                let found = result_for(tx, &caller, &key)?;
                Ok(label::add(tx, found.id, &name, caller.name(), clock::now_ms())?)
            })
            .await
    }

    /// Takes a label from a result.
    ///
    /// # Errors
    /// When there is no such result or it has no such label, or the caller may not build its plan.
    pub async fn unlabel_result(&self, caller: &Caller, key: &str, name: &str) -> Result<(), EngineError> {
        let (caller, key, name) = (caller.clone(), key.to_owned(), name.to_owned());
        self.store()
            .write(move |tx| {
                let found = result_for(tx, &caller, &key)?;
                if label::remove(tx, found.id, &name)? {
                    return Ok(());
                }
                Err(missing(&name, &key))
            })
            .await
    }

    /// Labels a plan, and so its results from now on; says whether that is new. A plan file that names labels takes it away
    /// again.
    ///
    /// # Errors
    /// When there is no such plan, the caller may not change it, or the label will not do.
    pub async fn label_plan(&self, caller: &Caller, key: &PlanKey, name: &str) -> Result<bool, EngineError> {
        let (caller, key, name) = (caller.clone(), key.clone(), checked(name)?);
        self.store()
            .write(move |tx| {
                let (plan, _) = plan_for(tx, &caller, &key, Permission::Write)?;
                Ok(label::add_to_plan(tx, plan.id, &name)?)
            })
            .await
    }

    /// Takes a label from a plan; its results keep theirs.
    ///
    /// # Errors
    /// When there is no such plan or it has no such label, or the caller may not change it.
    pub async fn unlabel_plan(&self, caller: &Caller, key: &PlanKey, name: &str) -> Result<(), EngineError> {
        let (caller, key, name) = (caller.clone(), key.clone(), name.to_owned());
        self.store()
            .write(move |tx| {
                let (plan, _) = plan_for(tx, &caller, &key, Permission::Write)?;
                if label::remove_from_plan(tx, plan.id, &name)? {
                    return Ok(());
                }
                Err(missing(&name, key.as_str()))
            })
            .await
    }
}

fn result_for(tx: &Tx<'_>, caller: &Caller, key: &str) -> Result<Build, EngineError> {
    if !caller.principal.is_logged_in() {
        // They hold READ at most, and learn nothing of keys.
        return Err(EngineError::Unauthenticated {
            needed: Permission::Build,
            subject: format!("result {}", inert(key, 80)),
        });
    }
    let missing = || EngineError::NotFound(format!("Result {} not found.", inert(key, 80)));
    let (plan, number) = key.rsplit_once('-').ok_or_else(missing)?;
    let plan: PlanKey = plan.parse().map_err(|_| missing())?;
    let number: i64 = number.parse().map_err(|_| missing())?;
    let (_, branch) = plan_for(tx, caller, &plan, Permission::Read)?;
    let found = build::by_number(tx, branch.id, number)?.ok_or_else(missing)?;
    let master = madake_store::plan::by_id(tx, branch.plan_id)?.key;
    require(tx, caller, Permission::Build, Target::Plan(&master))?;
    Ok(found)
}

fn checked(name: &str) -> Result<String, EngineError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST || name.chars().any(|c| c.is_control() || c == ',') {
        return Err(EngineError::Invalid(format!(
            "`{}` is not a label: it has 1 to {LONGEST} characters, and no comma among them",
            inert(name, 60)
        )));
    }
    Ok(name.to_owned())
}

fn missing(name: &str, of: &str) -> EngineError {
    EngineError::NotFound(format!("{} has no label {}", inert(of, 80), inert(name, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_lists_of_them_can_be_told_apart() {
        assert_eq!(checked(" nightly ").expect("a label"), "nightly");
        for bad in ["", "  ", "a,b", "a\nb", &"x".repeat(256)] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
