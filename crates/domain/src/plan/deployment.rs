//! Deployment projects: releases of a plan's results, the environments that they go to, and who may do so
//! (bamboo-specs.md 13, 14).

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::{Docker, EnvironmentNotification, Requirement, Task, Variable};
use crate::key::PlanKey;

/// Everything that a deployment document says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentConfiguration {
    /// The project's name, by which it is known.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// The plan whose results become releases.
    pub source_plan: PlanKey,
    /// How releases are named.
    pub release_naming: ReleaseNaming,
    /// The environments in order.
    pub environments: Vec<Environment>,
}

/// How releases are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseNaming {
    /// The name of the next release, with variables of the result in it.
    pub next_version_name: String,
    /// Whether releases of branches are named so too; otherwise they are `BRANCH-NUMBER`.
    #[serde(skip_serializing_if = "is_default")]
    pub applies_to_branches: bool,
    /// Whether the last number of the name is counted up after each release.
    #[serde(skip_serializing_if = "is_default")]
    pub auto_increment: bool,
    /// Variables in the name that are counted up too.
    #[serde(skip_serializing_if = "is_default")]
    pub auto_increment_variables: Vec<String>,
}

/// Where releases go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Its name, unique in the project.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Tasks in order; there is no implicit checkout.
    pub tasks: Vec<Task>,
    /// Tasks that run after the others whatever happened.
    #[serde(skip_serializing_if = "is_default")]
    pub final_tasks: Vec<Task>,
    /// Variables, over those of the release.
    #[serde(skip_serializing_if = "is_default")]
    pub variables: Vec<Variable>,
    /// Capabilities that an agent must have.
    #[serde(skip_serializing_if = "is_default")]
    pub requirements: Vec<Requirement>,
    /// What starts a deployment; empty: only a person.
    #[serde(skip_serializing_if = "is_default")]
    pub triggers: Vec<EnvironmentTrigger>,
    /// Who is told of what.
    #[serde(skip_serializing_if = "is_default")]
    pub notifications: Vec<EnvironmentNotification>,
    /// The image that the tasks run in.
    #[serde(skip_serializing_if = "is_default")]
    pub docker: Option<Docker>,
    /// What a release needs before it may be deployed here.
    #[serde(skip_serializing_if = "is_default")]
    pub release_approval: ReleaseApproval,
}

/// What a release needs before it may be deployed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseApproval {
    /// Nobody may have called it broken. The default.
    #[default]
    NotBroken,
    /// Somebody must have approved it.
    Approved,
    /// Nothing.
    None,
}

/// What starts a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentTrigger {
    /// What the trigger is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// What it listens to.
    #[serde(flatten)]
    pub kind: EnvironmentTriggerKind,
}

/// What starts a deployment (bamboo-specs.md 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EnvironmentTriggerKind {
    /// A successful build of the source plan makes a release, which is deployed.
    BuildSuccess {
        /// The branch of the plan; `None`: the plan itself.
        #[serde(default, skip_serializing_if = "is_default")]
        branch: Option<String>,
    },
    /// A successful stage of the source plan.
    StageSuccess {
        /// The stage's name.
        stage: String,
        /// The branch of the plan; `None`: the plan itself.
        #[serde(default, skip_serializing_if = "is_default")]
        branch: Option<String>,
    },
    /// A successful deployment to another environment of the project.
    EnvironmentSuccess {
        /// The environment's name.
        environment: String,
    },
    /// Fixed times.
    Cron {
        /// A Quartz cron expression.
        expression: String,
        /// The branch of the plan whose newest result becomes the release; `None`: the plan itself.
        #[serde(default, skip_serializing_if = "is_default")]
        artifact_branch: Option<String>,
        /// Whether nothing happens when that result is deployed already.
        #[serde(default, skip_serializing_if = "is_default")]
        skip_if_version_deployed: bool,
    },
}

/// Permissions that a deployment permissions document sets. What is `None` is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentPermissions {
    /// The deployment project's name.
    pub deployment: String,
    /// On the project itself.
    #[serde(default)]
    pub project: Option<Vec<DeploymentGrant>>,
    /// On environments that are not named.
    #[serde(default)]
    pub default_environment: Option<Vec<EnvironmentGrant>>,
    /// On environments by name.
    #[serde(default)]
    pub environments: Vec<(String, Vec<EnvironmentGrant>)>,
}

/// Who may do what with a deployment project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentGrant {
    /// User names.
    pub users: Vec<String>,
    /// Group names.
    pub groups: Vec<String>,
    /// Everyone who is logged in.
    pub logged_in: bool,
    /// Everyone.
    pub anonymous: bool,
    /// What they may do.
    pub permissions: Vec<DeploymentPermission>,
}

/// Who may do what with an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentGrant {
    /// User names.
    pub users: Vec<String>,
    /// Group names.
    pub groups: Vec<String>,
    /// Everyone who is logged in.
    pub logged_in: bool,
    /// Everyone.
    pub anonymous: bool,
    /// What they may do.
    pub permissions: Vec<EnvironmentPermission>,
}

/// What somebody may do with a deployment project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentPermission {
    /// See it.
    View,
    /// See its configuration.
    ViewConfiguration,
    /// Change it.
    Edit,
    /// Copy it.
    Clone,
    /// Everything.
    Admin,
    /// Approve releases, or call them broken.
    ApproveRelease,
    /// Make releases.
    CreateRelease,
}

/// What somebody may do with an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentPermission {
    /// See it.
    View,
    /// See its configuration.
    ViewConfiguration,
    /// Change it.
    Edit,
    /// Deploy to it.
    Deploy,
}
