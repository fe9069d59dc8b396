//! Sections of a plan that some branches have instead (bamboo-specs.md 8.1).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::{
    BranchConfig, BranchPolicy, Docker, Job, Notification, PlanConfiguration, PlanOther, Stage, Trigger,
    Variable,
};

/// What the plan is on branches whose whole name matches. Each section that is given replaces the plan's whole one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BranchOverride {
    /// A regular expression that the whole name of the branch must match.
    pub pattern: String,
    /// Stages in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub stages: Option<Vec<Stage>>,
    /// Jobs: each takes the place of the plan's job of that name, or comes to them.
    #[serde(skip_serializing_if = "is_default")]
    pub jobs: Vec<Job>,
    /// Variables in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub variables: Option<Vec<Variable>>,
    /// Triggers in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub triggers: Option<Vec<Trigger>>,
    /// When plan branches are made and removed, in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub branches: Option<BranchPolicy>,
    /// The image in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub docker: Option<Docker>,
    /// Labels in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: Option<Vec<String>>,
    /// Notifications in place of the plan's.
    #[serde(skip_serializing_if = "is_default")]
    pub notifications: Option<Vec<Notification>>,
    /// What the branch itself is like.
    #[serde(skip_serializing_if = "is_default")]
    pub branch_config: Option<BranchConfig>,
    /// `other` in place of the plan's, with its limit of concurrent builds.
    #[serde(skip_serializing_if = "is_default")]
    pub other: Option<(Option<u32>, PlanOther)>,
}

impl BranchOverride {
    /// The plan as it is on a branch to which this applies. It has no overrides of its own any more.
    #[must_use]
    pub fn applied_to(&self, plan: &PlanConfiguration) -> PlanConfiguration {
        let mut changed = plan.clone();
        changed.branch_overrides = Vec::new();
        if let Some(stages) = &self.stages {
            changed.stages.clone_from(stages);
        }
        let places: HashMap<&str, usize> = plan
            .jobs
            .iter()
            .enumerate()
            .map(|(at, job)| (job.name.as_str(), at))
            .collect();
        for job in &self.jobs {
            match places.get(job.name.as_str()) {
                Some(at) => changed.jobs[*at] = job.clone(),
                None => changed.jobs.push(job.clone()),
            }
        }
        if let Some(variables) = &self.variables {
            changed.variables.clone_from(variables);
        }
        if let Some(triggers) = &self.triggers {
            changed.triggers = Some(triggers.clone());
        }
        if let Some(branches) = &self.branches {
            changed.branches = branches.clone();
        }
        if let Some(docker) = &self.docker {
            changed.docker = Some(docker.clone());
        }
        if let Some(labels) = &self.labels {
            changed.labels = Some(labels.clone());
        }
        if let Some(notifications) = &self.notifications {
            changed.notifications.clone_from(notifications);
        }
        if let Some(branch_config) = &self.branch_config {
            changed.branch_config = branch_config.clone();
        }
        if let Some((concurrent_builds, other)) = &self.other {
            changed.concurrent_builds = *concurrent_builds;
            changed.other = other.clone();
        }
        changed
    }
}
