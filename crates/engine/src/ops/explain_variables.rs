//! Says which variables the builds of a plan get, where each comes from, and which wins.

use std::collections::BTreeSet;

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::Variable;
use madake_domain::variables::looks_secret;
use madake_store::plan;
use madake_store::variable::{self, StoredValue, VariableScope};

use crate::access::{Caller, Target, may, plan_for};
use crate::{Engine, EngineError};

/// Where a variable of a plan's builds comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VariableSource {
    /// It was set for the plan.
    Plan,
    /// The plan file has it.
    File,
    /// It was set for the plan's project.
    Project,
    /// It was set for the server.
    Server,
}

impl VariableSource {
    /// Where that is, in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Plan => "set for the plan",
            Self::File => "the plan file",
            Self::Project => "the project",
            Self::Server => "the server",
        }
    }
}

/// A variable in one of the places that it may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedVariable {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub source: VariableSource,
    /// Its value there; `None` for secrets, and for values that the caller may not see.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// Whether the file has a value that another server encrypted and nobody can read here.
    pub is_foreign: bool,
    /// The place whose value builds get instead; `None`: they get this one.
    pub beaten_by: Option<VariableSource>,
}

/// The variables of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedVariables {
    /// The key of the plan.
    pub plan: PlanKey,
    /// By name, the strongest place first.
    pub variables: Vec<ExplainedVariable>,
    /// Whether the caller may change the server's.
    pub may_change_server: bool,
    /// Whether the caller may change the project's.
    pub may_change_project: bool,
}

impl Engine {
    /// The variables that builds of a plan get before their own, and what stands behind others. Values of the server and the
    /// project are given to their administrators.
    ///
    /// # Errors
    /// When the caller does not administrate the plan, or there is none.
    pub async fn explain_variables(
        &self,
        caller: &Caller,
        key: &PlanKey,
    ) -> Result<ExplainedVariables, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .read(move |tx| {
                let (found, _) = plan_for(tx, &caller, &key, Permission::Administration)?;
                let project = found.key.project();
                let may_change = |target| may(tx, &caller, Permission::Administration, target);
                let may_change_server = may_change(Target::Global)?;
                let may_change_project = may_change(Target::Project(project.as_str()))?;
                let mut all = Vec::new();
                let mut sealed = BTreeSet::new();
                for (source, scope, is_visible) in [
                    (
                        VariableSource::Plan,
                        VariableScope::Plan(found.key.to_string()),
                        true,
                    ),
                    (
                        VariableSource::Project,
                        VariableScope::Project(project.to_string()),
                        may_change_project,
                    ),
                    (VariableSource::Server, VariableScope::Global, may_change_server),
                ] {
                    for one in variable::all(tx, &scope)? {
                        let value = match one.value {
                            StoredValue::Plain(text) => Some(text),
                            StoredValue::Sealed(_) => {
                                sealed.insert(one.name.clone());
                                None
                            }
                        };
                        all.push((one.name, source, value, is_visible));
                    }
                }
                let file = plan::configuration(tx, found.version_id)?.variables;
                Ok(ExplainedVariables {
                    variables: explained(all, &file, &sealed),
                    plan: found.key,
                    may_change_server,
                    may_change_project,
                })
            })
            .await
    }
}

/// Puts what was set and what the file says together, as [`crate::variables::SetVariables`] does for builds. Names in
/// `sealed` are those of secrets.
fn explained(
    set: Vec<(String, VariableSource, Option<String>, bool)>,
    file: &[Variable],
    sealed: &BTreeSet<String>,
) -> Vec<ExplainedVariable> {
    let mut all: Vec<ExplainedVariable> = set
        .into_iter()
        .map(|(name, source, value, is_visible)| ExplainedVariable {
            value: value.filter(|_| is_visible),
            source,
            is_secret: false,
            is_foreign: false,
            beaten_by: None,
            name,
        })
        .collect();
    all.extend(file.iter().map(|one| ExplainedVariable {
        name: one.name.clone(),
        source: VariableSource::File,
        value: Some(one.value.clone()),
        is_secret: false,
        is_foreign: one.is_foreign_secret(),
        beaten_by: None,
    }));
    let names: BTreeSet<String> = all.iter().map(|one| one.name.clone()).collect();
    for name in &names {
        let of_file = file.iter().find(|one| one.name == *name);
        // A value of the file wins over one that was set for the plan, which is for what the file cannot say.
        let says_something = of_file.is_some_and(|one| !one.value.is_empty() && !one.is_foreign_secret());
        let mut order = [
            VariableSource::Plan,
            VariableSource::File,
            VariableSource::Project,
            VariableSource::Server,
        ];
        if says_something {
            order.swap(0, 1);
        }
        let there = |source| {
            all.iter()
                .any(|one| one.name == *name && one.source == source && !one.is_foreign)
        };
        let winner = order.into_iter().find(|source| there(*source));
        let rank = |source| order.iter().position(|one| *one == source);
        let is_secret = looks_secret(name) || sealed.contains(name);
        for one in all.iter_mut().filter(|one| one.name == *name) {
            one.is_secret = is_secret;
            one.beaten_by = winner.filter(|winner| *winner != one.source);
            if is_secret {
                one.value = None;
            }
        }
        all.sort_by(|one, other| {
            if one.name == *name && other.name == *name {
                rank(one.source).cmp(&rank(other.source))
            } else {
                one.name.cmp(&other.name)
            }
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::SetVariables;

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn what_wins_is_what_builds_get() {
        use VariableSource::{File, Plan, Project, Server};
        let set = |name: &str, source, value: &str| (name.to_owned(), source, Some(value.to_owned()), true);
        let file = [
            variable("api_secret", "BAMSCRT@0@0@abc"),
            variable("empty", ""),
            variable("extra", "file"),
            variable("lost_secret", "BAMSCRT@0@0@def"),
        ];
        let all = explained(
            vec![
                set("api_secret", Plan, "entered"),
                set("empty", Plan, "filled"),
                set("extra", Plan, "set"),
                set("extra", Server, "of the server"),
                set("lost_secret", Project, "of the project"),
                set("region", Project, "eu"),
                set("region", Server, "us"),
            ],
            &file,
            &BTreeSet::new(),
        );
        let shown: Vec<(&str, VariableSource, Option<&str>, Option<VariableSource>)> = all
            .iter()
            .map(|one| (one.name.as_str(), one.source, one.value.as_deref(), one.beaten_by))
            .collect();
        assert_eq!(
            shown,
            [
                ("api_secret", Plan, None, None),
                ("api_secret", File, None, Some(Plan)),
                ("empty", Plan, Some("filled"), None),
                ("empty", File, Some(""), Some(Plan)),
                ("extra", File, Some("file"), None),
                ("extra", Plan, Some("set"), Some(File)),
                ("extra", Server, Some("of the server"), Some(File)),
                ("lost_secret", File, None, Some(Project)),
                ("lost_secret", Project, None, None),
                ("region", Project, Some("eu"), None),
                ("region", Server, Some("us"), Some(Project)),
            ]
        );
        assert_eq!(
            SetVariables::default().of_file(&file).len(),
            2,
            "foreign ones are left out"
        );
    }
}
