//! Who watches a plan, and who is responsible for its failure: both are told where the plan's notifications say so.

use madake_domain::key::PlanKey;
use madake_domain::permission::{Permission, Principal};
use madake_store::build_query::{self, Filter};
use madake_store::user::{self, User};
use madake_store::{Tx, watcher};

use crate::access::{Caller, Target, plan_for, require};
use crate::notifying::people::{self, Seen};
use crate::{Engine, EngineError, clock, notifying};

impl Engine {
    /// Has a user watch a plan or plan branch, or no more. For others than oneself it takes ADMINISTRATION on the plan.
    ///
    /// # Errors
    /// When the plan or the user is not there, the user may not see the plan, or the caller may not.
    pub async fn watch_plan(
        &self,
        caller: &Caller,
        key: &PlanKey,
        name: Option<String>,
        watches: bool,
    ) -> Result<(), EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .write(move |tx| {
                let (plan, branch) = plan_for(tx, &caller, &key, Permission::Read)?;
                let user = match name {
                    Some(name) => {
                        let found = existing(tx, &name)?;
                        if !is_self(&caller, &found) {
                            require(tx, &caller, Permission::Administration, Target::Plan(&plan.key))?;
                        }
                        if watches {
                            require_sight(tx, &found, &plan.key)?;
                        }
                        found.id
                    }
                    None => own_id(&caller, &key)?,
                };
                if watches {
                    watcher::watch(tx, branch.id, user, clock::now_ms())?;
                } else {
                    watcher::unwatch(tx, branch.id, user)?;
                }
                Ok(())
            })
            .await
    }

    /// Those who watch a plan or plan branch, and those who are responsible for its failure.
    ///
    /// # Errors
    /// When the plan is not there, or the caller may not see it.
    pub async fn watchers(
        &self,
        caller: &Caller,
        key: &PlanKey,
    ) -> Result<(Vec<User>, Vec<User>), EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .read(move |tx| {
                let (_, branch) = plan_for(tx, &caller, &key, Permission::Read)?;
                Ok((
                    watcher::watchers(tx, branch.id)?,
                    watcher::responsible(tx, branch.id)?,
                ))
            })
            .await
    }

    /// Makes users responsible for the failure of a plan or plan branch, and nobody else.
    ///
    /// # Errors
    /// When the plan or a user is not there, a user may not see the plan, or the caller may not.
    pub async fn assign_responsibility(
        &self,
        caller: &Caller,
        key: &PlanKey,
        names: Vec<String>,
    ) -> Result<(), EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .write(move |tx| {
                let (plan, branch) = plan_for(tx, &caller, &key, Permission::Build)?;
                let mut ids = Vec::with_capacity(names.len());
                for name in &names {
                    let found = existing(tx, name)?;
                    require_sight(tx, &found, &plan.key)?;
                    ids.push(found.id);
                }
                let before: Vec<i64> = watcher::responsible(tx, branch.id)?
                    .iter()
                    .map(|one| one.id)
                    .collect();
                let now = clock::now_ms();
                watcher::set_responsible(tx, branch.id, &ids, caller.name(), now)?;
                let changed = before.len() != ids.len() || before.iter().any(|one| !ids.contains(one));
                if changed && let Some(last) = build_query::latest(tx, branch.id, &Filter::default())? {
                    notifying::responsibility_changed(tx, last.id, caller.name(), now)?;
                }
                Ok(())
            })
            .await
    }
}

fn existing(tx: &Tx<'_>, name: &str) -> Result<User, EngineError> {
    user::by_name(tx, name)?.ok_or_else(|| {
        let shown = madake_domain::text::inert(name, 80);
        EngineError::NotFound(format!("there is no user named {shown}"))
    })
}

/// Refuses who would never be told: users hear only of plans that they may see.
fn require_sight(tx: &Tx<'_>, found: &User, plan: &PlanKey) -> Result<(), EngineError> {
    if people::may_read(tx, found, Seen::Plan(plan))? {
        return Ok(());
    }
    Err(EngineError::Invalid(format!(
        "{} may not see {plan} and would not be told: grant READ on it first",
        found.name
    )))
}

fn is_self(caller: &Caller, found: &User) -> bool {
    matches!(&caller.principal, Principal::User(own) if own.id == found.id)
}

fn own_id(caller: &Caller, key: &PlanKey) -> Result<i64, EngineError> {
    match &caller.principal {
        Principal::User(own) => Ok(own.id),
        Principal::Local => Err(EngineError::Invalid("say which user watches: name one".into())),
        _ => Err(EngineError::Unauthenticated {
            needed: Permission::Read,
            subject: format!("what you watch of {key}"),
        }),
    }
}
