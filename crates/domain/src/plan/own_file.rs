//! What a plan is on one of its branches: the plan file of the branch itself, its overrides, and the settings that only
//! the default branch may give (bamboo-specs.md 1.1, 8.1).
//!
//! Whoever may push to some branch writes the plan file there. So that file says how the branch is built, and nothing of
//! what the plan is, what it may reach, how much it may use, and what it does to others.

use super::PlanConfiguration;
use crate::change::matches_whole;

impl PlanConfiguration {
    /// The plan as its file has it on a branch other than the default one: with the first override whose pattern matches
    /// the whole name. An override whose pattern cannot be read matches nothing.
    #[must_use]
    pub fn on_branch(&self, branch: &str) -> Self {
        match self
            .branch_overrides
            .iter()
            .find(|one| matches_whole(&one.pattern, branch))
        {
            Some(applying) => applying.applied_to(self),
            None => self.clone(),
        }
    }

    /// What the plan file of a branch, `own`, makes of this plan, which is the one that the default branch has for the
    /// branch. What is protected stays as it is here; the second part names what the file has different of that.
    #[must_use]
    pub fn with_own_file(&self, own: Self) -> (Self, Vec<&'static str>) {
        let mut differing = Vec::new();
        let mut note = |differs: bool, name: &'static str| {
            if differs {
                differing.push(name);
            }
        };
        note(self.name != own.name, "name");
        note(self.enabled != own.enabled, "enabled");
        note(self.repositories != own.repositories, "repositories");
        note(self.master_branch != own.master_branch, "master-branch");
        note(self.branches != own.branches, "branches");
        note(self.dependencies != own.dependencies, "dependencies");
        note(
            self.branch_config.integration != own.branch_config.integration,
            "integration",
        );
        note(
            (self.concurrent_builds, &self.other) != (own.concurrent_builds, &own.other),
            "other",
        );
        let plan = Self {
            project_key: self.project_key.clone(),
            key: self.key.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            enabled: self.enabled,
            rerunnable: self.rerunnable,
            repositories: self.repositories.clone(),
            master_branch: self.master_branch.clone(),
            branches: self.branches.clone(),
            dependencies: self.dependencies.clone(),
            concurrent_builds: self.concurrent_builds,
            other: self.other.clone(),
            branch_config: super::BranchConfig {
                integration: self.branch_config.integration.clone(),
                disable_expiry: own.branch_config.disable_expiry,
            },
            branch_overrides: Vec::new(),
            ..own
        };
        (plan, differing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        BlockStrategy, BranchOverride, BranchPolicy, Dependencies, Job, PlanRepository, Stage, Trigger,
        TriggerKind, Variable,
    };

    fn plan() -> PlanConfiguration {
        PlanConfiguration::new("PROJ-PLAN".parse().expect("a key"), "Plan")
    }

    fn variable(value: &str) -> Vec<Variable> {
        vec![Variable {
            name: "channel".into(),
            value: value.into(),
        }]
    }

    #[test]
    fn first_override_that_matches_the_whole_name_counts() {
        let over = |pattern: &str, value: &str| BranchOverride {
            pattern: pattern.into(),
            variables: Some(variable(value)),
            ..BranchOverride::default()
        };
        let plan = PlanConfiguration {
            variables: variable("edge"),
            branch_overrides: vec![
                over("(", "unreadable"),
                over("^beta-v[0-9]+", "beta"),
                over("^.*-v[0-9]+", "release"),
            ],
            ..plan()
        };
        for (branch, value) in [
            ("beta-v1", "beta"),
            ("rc-v1", "release"),
            ("beta-v1.2", "edge"),
            ("x/beta-v1", "release"),
            ("main", "edge"),
        ] {
            let on = plan.on_branch(branch);
            assert_eq!(on.variables, variable(value), "{branch}");
        }
        assert!(plan.on_branch("beta-v1").branch_overrides.is_empty());
    }

    #[test]
    fn file_of_a_branch_says_how_it_is_built_and_nothing_else() {
        let trusted = PlanConfiguration {
            repositories: Some(vec![PlanRepository::named("app")]),
            dependencies: Dependencies {
                plans: vec!["PROJ-CHILD".parse().expect("a key")],
                ..Dependencies::default()
            },
            concurrent_builds: Some(1),
            ..plan()
        };
        let own = PlanConfiguration {
            name: "Renamed".into(),
            enabled: false,
            stages: vec![Stage {
                name: "Build".into(),
                description: String::new(),
                manual: false,
                final_stage: false,
                jobs: vec!["Compile".into()],
            }],
            jobs: vec![Job::new("Compile", "JOB1")],
            variables: variable("own"),
            triggers: Some(vec![Trigger::from(TriggerKind::Push)]),
            labels: Some(vec!["own".into()]),
            repositories: Some(vec![PlanRepository::named("secret")]),
            dependencies: Dependencies {
                block_strategy: BlockStrategy::ParentInProgress,
                ..Dependencies::default()
            },
            concurrent_builds: Some(1000),
            branches: BranchPolicy {
                delete_after_deleted_days: None,
                ..BranchPolicy::default()
            },
            ..plan()
        };
        let (made, differing) = trusted.with_own_file(own.clone());
        assert_eq!((&made.stages, &made.jobs), (&own.stages, &own.jobs));
        assert_eq!((&made.variables, &made.triggers), (&own.variables, &own.triggers));
        assert_eq!(made.labels, own.labels);
        assert_eq!((made.name.as_str(), made.enabled), ("Plan", true));
        assert_eq!(made.repositories, trusted.repositories);
        assert_eq!(made.dependencies, trusted.dependencies);
        assert_eq!(made.concurrent_builds, Some(1));
        assert_eq!(made.branches, trusted.branches);
        assert_eq!(
            differing,
            [
                "name",
                "enabled",
                "repositories",
                "branches",
                "dependencies",
                "other"
            ]
        );
        let (_, none) = trusted.with_own_file(trusted.clone());
        assert!(none.is_empty());
    }
}
