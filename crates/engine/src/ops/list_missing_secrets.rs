//! Lists the secrets that another server encrypted and whose values are still to be entered here.

use std::collections::{BTreeMap, BTreeSet};

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::Variable;
use madake_store::variable::{self, VariableScope};
use madake_store::{deployment, plan};

use crate::access::{Caller, Target, may};
use crate::deploying::rights;
use crate::specs::examine::command_to_enter;
use crate::{Engine, EngineError};

/// A secret that builds of a plan, or deployments of what it built, do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSecret {
    /// The plan for which it is entered, once for all.
    pub plan: PlanKey,
    /// Who does not have it: the plan, environments.
    pub wanted_by: Vec<String>,
    /// The name of the variable.
    pub name: String,
    /// The command that enters its value.
    pub command: String,
}

impl Engine {
    /// The secrets that are still to be entered, over all plans whose variables the caller may set. What an environment
    /// names is entered for the plan whose results are deployed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_missing_secrets(&self, caller: &Caller) -> Result<Vec<MissingSecret>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mut named: BTreeMap<(PlanKey, String), Vec<String>> = BTreeMap::new();
                let mut name = |plan: &PlanKey, all: BTreeSet<&str>, wanted_by: &str| {
                    for one in all {
                        let found = named.entry((plan.clone(), one.to_owned())).or_default();
                        if !found.iter().any(|known| known == wanted_by) {
                            found.push(wanted_by.to_owned());
                        }
                    }
                };
                for (_, configuration) in plan::configurations(tx)? {
                    let overridden = configuration
                        .branch_overrides
                        .iter()
                        .flat_map(|one| one.variables.iter().flatten());
                    let all = configuration.variables.iter().chain(overridden);
                    let key = &configuration.key;
                    name(key, foreign(all), &format!("plan {key}"));
                }
                for project in deployment::all(tx)? {
                    let rows = deployment::environments(tx, project.id)?;
                    for environment in deployment::configuration(tx, project.version_id)?.environments {
                        // What the caller may not see is not named.
                        let is_seen = match rows.iter().find(|row| row.name == environment.name) {
                            Some(row) => rights::may_there(tx, &caller, Permission::Read, &project, row)?,
                            None => rights::may(tx, &caller, Permission::Read, &project)?,
                        };
                        let wanted_by = if is_seen {
                            format!("environment {} of {}", environment.name, project.name)
                        } else {
                            "an environment that deploys its results".to_owned()
                        };
                        name(&project.plan, foreign(environment.variables.iter()), &wanted_by);
                    }
                }
                let mut missing = Vec::new();
                for ((plan, name), wanted_by) in named {
                    let scope = VariableScope::Plan(plan.to_string());
                    if may(tx, &caller, Permission::Administration, Target::Plan(&plan))?
                        && variable::by_name(tx, &scope, &name)?.is_none()
                    {
                        missing.push(MissingSecret {
                            command: command_to_enter(&plan, &name),
                            plan,
                            wanted_by,
                            name,
                        });
                    }
                }
                Ok(missing)
            })
            .await
    }
}

/// The names of those that another server encrypted, each once.
fn foreign<'a>(all: impl Iterator<Item = &'a Variable>) -> BTreeSet<&'a str> {
    all.filter(|one| one.is_foreign_secret())
        .map(|one| one.name.as_str())
        .collect()
}
