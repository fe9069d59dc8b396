//! What starts builds of a plan, and under which conditions.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use crate::key::PlanKey;

/// What starts a build of a plan (bamboo-specs.md 7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What the trigger is for.
    #[serde(default)]
    pub description: String,
    /// Names of the repositories that may fire it; empty: all.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Conditions that must all hold.
    #[serde(default)]
    pub conditions: Vec<TriggerCondition>,
    /// Conditions of apps that we do not know, by dotted name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub other_conditions: Vec<(String, String)>,
    /// What it listens to.
    #[serde(flatten)]
    pub kind: TriggerKind,
}

impl From<TriggerKind> for Trigger {
    /// The trigger that listens to this, with nothing else said.
    fn from(kind: TriggerKind) -> Self {
        Self {
            description: String::new(),
            repositories: Vec::new(),
            conditions: Vec::new(),
            other_conditions: Vec::new(),
            kind,
        }
    }
}

/// What a trigger listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum TriggerKind {
    /// The repository (its host, its hook) says that something was pushed (origin 000).
    Remote {
        /// Addresses that may call besides the repository's own host: single ones, CIDR blocks, wildcards.
        #[serde(default)]
        addresses: Vec<String>,
    },
    /// We look for changes at intervals.
    Polling {
        /// Seconds between two looks, unless a cron expression is given.
        #[serde(default)]
        period_seconds: Option<u64>,
        /// A Quartz cron expression that says when to look.
        #[serde(default)]
        cron: Option<String>,
    },
    /// A build at fixed times, whether or not anything changed.
    Cron {
        /// A Quartz cron expression.
        expression: String,
    },
    /// A push to a repository that we host or hear of (`bitbucket-server-trigger` and its kin).
    Push,
    /// A new tag.
    Tag {
        /// A regular expression that the whole name of the tag must match; `None`: each tag.
        #[serde(default, skip_serializing_if = "is_default")]
        filter: Option<String>,
        /// Whether the tagged commit must be on the plan's branch.
        #[serde(default, skip_serializing_if = "is_default")]
        in_branch: bool,
    },
    /// A successful deployment.
    AfterDeployment {
        /// The name of the deployment project.
        deployment_project: String,
        /// The name of the environment; `None`: any.
        #[serde(default, skip_serializing_if = "is_default")]
        environment: Option<String>,
    },
}

/// A condition of a trigger: the four ideas of origin 000, and `green-plan` of Bamboo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case")]
pub enum TriggerCondition {
    /// Only when the pusher or the author of a new commit is one of these (name, user name or e-mail address).
    Committers {
        /// Names, matched without regard to case.
        names: Vec<String>,
    },
    /// Only when at least this many commits are new since the last build.
    MinimumCommits {
        /// The number of commits.
        count: u32,
    },
    /// Only between these times of day; an end before the start goes over midnight.
    TimeWindow {
        /// Minutes after midnight from which it holds; 5 PM is 1020.
        from_minute: u16,
        /// Minutes after midnight until which it holds; 1440 is the end of the day.
        until_minute: u16,
        /// Name of the time zone; `None`: the server's.
        #[serde(default)]
        time_zone: Option<String>,
    },
    /// Only on these days of the week.
    Weekdays {
        /// Days, Monday is 1 and Sunday 7.
        days: Vec<u8>,
        /// Name of the time zone; `None`: the server's.
        #[serde(default)]
        time_zone: Option<String>,
    },
    /// Only while the latest results of these plans are successful.
    GreenPlan {
        /// Keys of the plans.
        plans: Vec<PlanKey>,
    },
}
