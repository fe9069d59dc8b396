//! Which environments something that happened starts a deployment to.

use crate::plan::{Environment, EnvironmentTriggerKind};

/// What a plan branch is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchNames<'a> {
    /// It is the plan itself.
    pub is_master: bool,
    /// The name that people gave it.
    pub display_name: &'a str,
    /// The branch of the repository.
    pub vcs_branch: Option<&'a str>,
}

impl BranchNames<'_> {
    /// Whether a trigger or a caller that names `branch` means this one; no name means the plan itself.
    #[must_use]
    pub fn is_meant_by(&self, branch: Option<&str>) -> bool {
        match branch {
            None => self.is_master,
            Some(name) => self.vcs_branch == Some(name) || self.display_name == name,
        }
    }
}

/// Something that environments listen to.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// A build of the source plan was successful.
    BuildSucceeded {
        /// What it was of.
        branch: BranchNames<'a>,
    },
    /// A stage of a build was successful.
    StageSucceeded {
        /// The stage's name.
        stage: &'a str,
        /// What the build is of.
        branch: BranchNames<'a>,
    },
    /// A deployment was successful.
    EnvironmentSucceeded {
        /// Where it went, last, and before it the environments whose success led there.
        chain: &'a [String],
    },
}

/// An environment that is to get a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triggered {
    /// The environment's index in the project.
    pub environment: usize,
    /// The environments start each other in a circle: the release has been there, and goes no further.
    pub circle: bool,
}

/// The environments that listen to what happened, each once, in the order of the project.
#[must_use]
pub fn triggered(environments: &[Environment], happening: Happening<'_>) -> Vec<Triggered> {
    let hears = |kind: &EnvironmentTriggerKind| match (kind, happening) {
        (EnvironmentTriggerKind::BuildSuccess { branch: meant }, Happening::BuildSucceeded { branch }) => {
            branch.is_meant_by(meant.as_deref())
        }
        (
            EnvironmentTriggerKind::StageSuccess {
                stage: wanted,
                branch: meant,
            },
            Happening::StageSucceeded { stage, branch },
        ) => wanted == stage && branch.is_meant_by(meant.as_deref()),
        (
            EnvironmentTriggerKind::EnvironmentSuccess { environment },
            Happening::EnvironmentSucceeded { chain },
        ) => chain.last() == Some(environment),
        _ => false,
    };
    let chain = match happening {
        Happening::EnvironmentSucceeded { chain } => chain,
        _ => &[],
    };
    environments
        .iter()
        .enumerate()
        .filter(|(_, one)| one.triggers.iter().any(|trigger| hears(&trigger.kind)))
        .map(|(environment, one)| Triggered {
            environment,
            circle: chain.contains(&one.name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::EnvironmentTrigger;
    use proptest::prelude::*;

    const MASTER: BranchNames<'_> = BranchNames {
        is_master: true,
        display_name: "Plan",
        vcs_branch: None,
    };
    const FEATURE: BranchNames<'_> = BranchNames {
        is_master: false,
        display_name: "feature-x",
        vcs_branch: Some("feature/x"),
    };

    fn environment(name: &str, kinds: Vec<EnvironmentTriggerKind>) -> Environment {
        Environment {
            name: name.into(),
            triggers: kinds
                .into_iter()
                .map(|kind| EnvironmentTrigger {
                    description: String::new(),
                    kind,
                })
                .collect(),
            ..Environment::default()
        }
    }

    fn build(branch: Option<&str>) -> EnvironmentTriggerKind {
        EnvironmentTriggerKind::BuildSuccess {
            branch: branch.map(str::to_owned),
        }
    }

    fn stage(stage: &str, branch: Option<&str>) -> EnvironmentTriggerKind {
        EnvironmentTriggerKind::StageSuccess {
            stage: stage.into(),
            branch: branch.map(str::to_owned),
        }
    }

    fn after(environment: &str) -> EnvironmentTriggerKind {
        EnvironmentTriggerKind::EnvironmentSuccess {
            environment: environment.into(),
        }
    }

    fn names(environments: &[Environment], happening: Happening<'_>) -> Vec<(String, bool)> {
        triggered(environments, happening)
            .into_iter()
            .map(|one| (environments[one.environment].name.clone(), one.circle))
            .collect()
    }

    #[test]
    fn environments_hear_what_they_listen_to() {
        let all = [
            environment("QA", vec![build(None), build(None)]),
            environment("Branches", vec![build(Some("feature/x"))]),
            environment("By name", vec![build(Some("feature-x"))]),
            environment(
                "Early",
                vec![stage("Build", None), stage("Test", Some("feature/x"))],
            ),
            environment("Staging", vec![after("QA")]),
            environment("Production", vec![]),
        ];
        let of_build = |branch| Happening::BuildSucceeded { branch };
        let of_stage = |stage, branch| Happening::StageSucceeded { stage, branch };
        let chain = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let table: [(Happening<'_>, &[&str]); 7] = [
            (of_build(MASTER), &["QA"]),
            (of_build(FEATURE), &["Branches", "By name"]),
            (of_stage("Build", MASTER), &["Early"]),
            (of_stage("Build", FEATURE), &[]),
            (of_stage("Test", FEATURE), &["Early"]),
            (of_stage("Test", MASTER), &[]),
            (of_stage("build", MASTER), &[]),
        ];
        for (happening, expected) in table {
            let found: Vec<String> = names(&all, happening).into_iter().map(|(name, _)| name).collect();
            assert_eq!(found, expected, "{happening:?}");
        }
        let to_qa = chain(&["QA"]);
        let found = names(&all, Happening::EnvironmentSucceeded { chain: &to_qa });
        assert_eq!(found, [("Staging".to_owned(), false)]);
        let further = chain(&["QA", "Staging"]);
        assert!(names(&all, Happening::EnvironmentSucceeded { chain: &further }).is_empty());
    }

    #[test]
    fn environments_that_start_each_other_stop_after_one_round() {
        let all = [
            environment("A", vec![after("B")]),
            environment("B", vec![after("A")]),
        ];
        let chain = vec!["A".to_owned(), "B".to_owned()];
        let found = names(&all, Happening::EnvironmentSucceeded { chain: &chain });
        assert_eq!(found, [("A".to_owned(), true)]);
    }

    proptest! {
        /// Whoever follows the triggers and heeds `circle` comes to rest, however the environments are tied together.
        #[test]
        fn chains_of_environments_come_to_rest(links in prop::collection::vec(prop::collection::vec(0..6_usize, 0..4), 6)) {
            let all: Vec<Environment> = links
                .iter()
                .enumerate()
                .map(|(at, heard)| environment(&at.to_string(), heard.iter().map(|one| after(&one.to_string())).collect()))
                .collect();
            let mut open: Vec<Vec<String>> = vec![vec!["0".to_owned()]];
            let mut steps = 0;
            while let Some(chain) = open.pop() {
                steps += 1;
                prop_assert!(steps < 10_000);
                prop_assert!(chain.len() <= all.len());
                for one in triggered(&all, Happening::EnvironmentSucceeded { chain: &chain }) {
                    if !one.circle {
                        let mut longer = chain.clone();
                        longer.push(all[one.environment].name.clone());
                        open.push(longer);
                    }
                }
            }
        }
    }
}
