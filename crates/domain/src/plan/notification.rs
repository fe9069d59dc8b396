//! Who is told of which events of plans and environments.

use serde::{Deserialize, Serialize};

/// Events of a plan, and who is told of them (bamboo-specs.md 10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Who is told.
    pub recipients: Vec<Recipient>,
    /// Of what.
    pub events: Vec<PlanEvent>,
}

/// Events of an environment, and who is told of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentNotification {
    /// Who is told.
    pub recipients: Vec<Recipient>,
    /// Of what.
    pub events: Vec<EnvironmentEvent>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Recipient {
    /// Whoever is responsible for the failure.
    Responsible,
    /// Whoever watches the plan.
    Watchers,
    /// Whoever made one of the commits of the build.
    Committers,
    /// A user.
    User {
        /// The user's name.
        name: String,
    },
    /// All of a group.
    Group {
        /// The group's name.
        name: String,
    },
    /// An e-mail address.
    Email {
        /// The address.
        address: String,
    },
    /// A program that is called.
    Webhook {
        /// What it is called in lists.
        name: String,
        /// Its address.
        url: String,
    },
}

/// What happens to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum PlanEvent {
    /// A build failed, or is the first to succeed after that; or the nth build in a row failed.
    PlanFailed {
        /// How many failures in a row it takes; 1 is each failure, and the first success behind it.
        #[serde(default = "one")]
        failures: u32,
    },
    /// A build ended.
    PlanCompleted,
    /// A build ended otherwise than the one before.
    PlanStatusChanged,
    /// Somebody commented on a result.
    PlanCommentAdded,
    /// Somebody else is responsible now.
    PlanResponsibilityChanged,
    /// A job ended.
    JobCompleted,
    /// A job ended otherwise than before.
    JobStatusChanged,
    /// A job failed, or is the first to succeed after that.
    JobFailed,
    /// A job could not be run rightly.
    JobError {
        /// Only the first time in a row.
        #[serde(default)]
        first_only: bool,
    },
    /// The first job that fails in a build.
    JobFirstFailed,
    /// A job seems to hang.
    JobHung,
    /// A job waited for an agent for too long.
    JobQueueTimeout,
    /// No agent can take a job.
    JobQueuedWithoutCapableAgents,
}

fn one() -> u32 {
    1
}

/// What happens in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentEvent {
    /// A deployment began or ended.
    DeploymentStartedAndFinished,
    /// A deployment failed.
    DeploymentFailed,
    /// A deployment ended.
    DeploymentFinished,
}
