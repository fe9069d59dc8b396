//! Lists the secrets that another server encrypted and whose values are still to be entered here.

use std::collections::BTreeSet;

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_store::plan;
use madake_store::variable::{self, VariableScope};

use crate::access::{Caller, Target, may};
use crate::specs::examine::command_to_enter;
use crate::{Engine, EngineError};

/// A secret that builds of a plan do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSecret {
    /// The plan.
    pub plan: PlanKey,
    /// The name of the variable.
    pub name: String,
    /// The command that enters its value.
    pub command: String,
}

impl Engine {
    /// The secrets that are still to be entered, over all plans whose variables the caller may set.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_missing_secrets(&self, caller: &Caller) -> Result<Vec<MissingSecret>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mut missing = BTreeSet::new();
                for (_, configuration) in plan::configurations(tx)? {
                    let overridden = configuration
                        .branch_overrides
                        .iter()
                        .flat_map(|one| one.variables.iter().flatten());
                    let all = configuration.variables.iter().chain(overridden);
                    let foreign: BTreeSet<&str> = all
                        .filter(|one| one.is_foreign_secret())
                        .map(|one| one.name.as_str())
                        .collect();
                    let key = &configuration.key;
                    if foreign.is_empty() || !may(tx, &caller, Permission::Administration, Target::Plan(key))?
                    {
                        continue;
                    }
                    let scope = VariableScope::Plan(key.to_string());
                    for name in foreign {
                        if variable::by_name(tx, &scope, name)?.is_none() {
                            missing.insert((key.clone(), name.to_owned()));
                        }
                    }
                }
                let all = missing.into_iter().map(|(plan, name)| MissingSecret {
                    command: command_to_enter(&plan, &name),
                    plan,
                    name,
                });
                Ok(all.collect())
            })
            .await
    }
}
