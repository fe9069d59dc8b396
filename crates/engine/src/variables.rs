//! The variables that a build gets: those that people set, those of its plan, those of its own.

use std::collections::BTreeSet;

use madake_domain::plan::Variable;
use madake_domain::variables::{ResolvedVariable, VariableLayers, looks_secret, resolve};
use madake_protocol::JobVariable;
use madake_store::Tx;
use madake_store::plan::Plan;
use madake_store::seal::Sealer;
use madake_store::variable::{self, StoredValue, VariableScope};

use crate::EngineError;

/// What people set that bears on a plan, with the secrets opened.
#[derive(Default)]
pub(crate) struct SetVariables {
    global: Vec<Variable>,
    project: Vec<Variable>,
    /// Values of plan variables that the plan file does not give.
    plan: Vec<Variable>,
    /// The names of those that are secrets.
    secrets: BTreeSet<String>,
}

/// What a job has besides what people set.
#[derive(Clone, Copy, Default)]
pub(crate) struct JobLayers<'a> {
    /// The plan's, as [`SetVariables::of_file`] gives them.
    pub(crate) plan: &'a [Variable],
    /// Those given by hand.
    pub(crate) manual: &'a [Variable],
    /// What jobs of earlier stages handed on.
    pub(crate) injected: &'a [Variable],
    /// What the build is.
    pub(crate) build_specific: &'a [Variable],
}

impl SetVariables {
    /// Reads what was set for the server, the plan's project and the plan.
    pub(crate) fn of_plan(tx: &Tx<'_>, sealer: &Sealer, plan: &Plan) -> Result<Self, EngineError> {
        let mut set = Self::default();
        let project = VariableScope::Project(plan.key.project().to_string());
        let own = VariableScope::Plan(plan.key.to_string());
        for (scope, target) in [
            (VariableScope::Global, &mut set.global),
            (project, &mut set.project),
            (own, &mut set.plan),
        ] {
            for one in variable::all(tx, &scope)? {
                let value = match one.value {
                    StoredValue::Plain(text) => text,
                    StoredValue::Sealed(sealed) => {
                        let opened = sealer.open_sealed(&scope.place(&one.name), &sealed)?;
                        set.secrets.insert(one.name.clone());
                        String::from_utf8_lossy(&opened).into_owned()
                    }
                };
                target.push(Variable {
                    name: one.name,
                    value,
                });
            }
        }
        Ok(set)
    }

    /// Those of the server.
    pub(crate) fn global(&self) -> &[Variable] {
        &self.global
    }

    /// Those of the plan's project.
    pub(crate) fn project(&self) -> &[Variable] {
        &self.project
    }

    /// The values of all secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let all = self.global.iter().chain(&self.project).chain(&self.plan);
        all.filter(|one| self.is_secret(&one.name))
            .map(|one| one.value.as_str())
    }

    /// Whether a variable of this name is a secret: it was set as one, or its name says so.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        looks_secret(name) || self.secrets.contains(name)
    }

    /// Takes the secrets away: strangers wrote what runs.
    pub(crate) fn without_secrets(mut self) -> Self {
        let secrets = self.secrets.clone();
        for layer in [&mut self.global, &mut self.project, &mut self.plan] {
            layer.retain(|one| !looks_secret(&one.name) && !secrets.contains(&one.name));
        }
        self
    }

    /// The plan's variables: those of its file, where another server's secret has the value that was entered for it or is
    /// left out, and those that were set for the plan and are not in the file.
    pub(crate) fn of_file(&self, file: &[Variable]) -> Vec<Variable> {
        let entered = |name: &str| self.plan.iter().find(|one| one.name == name);
        let mut all: Vec<Variable> = file
            .iter()
            .filter_map(|one| match (one.is_foreign_secret(), entered(&one.name)) {
                (true, entered) => entered.cloned(),
                (false, Some(entered)) if one.value.is_empty() => Some(entered.clone()),
                (false, _) => Some(one.clone()),
            })
            .collect();
        let not_in_file = self
            .plan
            .iter()
            .filter(|one| file.iter().all(|known| known.name != one.name));
        all.extend(not_in_file.cloned());
        all
    }

    /// The variables of a job: what was set for the server and its project, and these.
    pub(crate) fn resolve(&self, job: &JobLayers<'_>) -> Vec<JobVariable> {
        let layers = VariableLayers {
            global: &self.global,
            project: &self.project,
            plan: job.plan,
            manual: job.manual,
            injected: job.injected,
            build_specific: job.build_specific,
            ..VariableLayers::default()
        };
        resolve(&layers).into_iter().map(|one| self.of_job(one)).collect()
    }

    /// A variable as a job gets it.
    pub(crate) fn of_job(&self, one: ResolvedVariable) -> JobVariable {
        JobVariable {
            secret: self.is_secret(&one.name),
            // Only what people wrote who may configure may refer to other variables, not what a commit or a caller says.
            may_refer: one.source.may_refer(),
            name: one.name,
            value: one.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            name: name.into(),
            value: value.into(),
        }
    }

    fn set() -> SetVariables {
        SetVariables {
            global: vec![variable("region", "eu"), variable("token", "global-token")],
            project: vec![variable("region", "us"), variable("db.password", "of-project")],
            plan: vec![variable("api_secret", "entered"), variable("extra", "set")],
            secrets: BTreeSet::from(["token".to_owned(), "api_secret".to_owned()]),
        }
    }

    fn shown(variables: &[JobVariable]) -> Vec<(&str, &str, bool)> {
        let shown = variables
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_str(), one.secret));
        shown.collect()
    }

    #[test]
    fn secrets_of_another_server_have_the_value_that_was_entered_or_none() {
        let file = [
            variable("api_secret", "BAMSCRT@0@0@abc"),
            variable("lost_secret", "BAMSCRT@0@0@def"),
            variable("extra", "file"),
            variable("plain", "1"),
        ];
        let set = set();
        let plan = set.of_file(&file);
        assert_eq!(
            plan,
            [
                variable("api_secret", "entered"),
                variable("extra", "file"),
                variable("plain", "1")
            ]
        );
        let resolved = set.resolve(&JobLayers {
            plan: &plan,
            manual: &[variable("plain", "by hand")],
            build_specific: &[variable("planKey", "P-Q")],
            ..JobLayers::default()
        });
        assert_eq!(
            shown(&resolved),
            [
                ("api_secret", "entered", true),
                ("db.password", "of-project", true),
                ("extra", "file", false),
                ("plain", "by hand", false),
                ("planKey", "P-Q", false),
                ("region", "us", false),
                ("token", "global-token", true),
            ]
        );
    }

    #[test]
    fn strangers_get_no_secret_of_any_kind() {
        let set = set().without_secrets();
        let plan = set.of_file(&[variable("api_secret", "BAMSCRT@0@0@abc")]);
        let resolved = set.resolve(&JobLayers {
            plan: &plan,
            ..JobLayers::default()
        });
        assert_eq!(
            shown(&resolved),
            [("extra", "set", false), ("region", "us", false)]
        );
    }

    #[test]
    fn all_that_is_to_be_covered_is_named() {
        let set = set();
        assert_eq!(
            set.secrets().collect::<Vec<_>>(),
            ["global-token", "of-project", "entered"]
        );
    }

    #[test]
    fn what_a_caller_says_refers_to_nothing() {
        let set = set();
        let resolved = set.resolve(&JobLayers {
            manual: &[variable("region", "${bamboo.token}")],
            ..JobLayers::default()
        });
        let region = resolved.iter().find(|one| one.name == "region").expect("there");
        assert!(!region.may_refer);
        let extra = set.resolve(&JobLayers {
            plan: &set.of_file(&[]),
            ..JobLayers::default()
        });
        assert!(extra.iter().all(|one| one.may_refer));
    }
}
