//! Branches of a plan: when they are made and removed, and how they are merged before they are built.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;

/// When plan branches are made and removed (bamboo-specs.md 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchPolicy {
    /// When a new branch of the repository becomes a plan branch.
    pub create: BranchCreation,
    /// Days after which the plan branch of a deleted branch goes; `None`: never.
    pub delete_after_deleted_days: Option<u32>,
    /// Days without a commit after which a plan branch goes; `None`: never.
    pub delete_after_inactive_days: Option<u32>,
    /// How branches are merged before they are built.
    #[serde(default, skip_serializing_if = "is_default")]
    pub integration: Option<BranchIntegration>,
    /// Whether branches named after an issue are shown with it; `None`: the server's way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub link_to_jira: Option<bool>,
}

impl Default for BranchPolicy {
    /// What a file that says nothing means: each new branch, 1 day, 30 days (bamboo-specs.md 3.9).
    fn default() -> Self {
        Self {
            create: BranchCreation::ForNewBranch { pattern: None },
            delete_after_deleted_days: Some(1),
            delete_after_inactive_days: Some(30),
            integration: None,
            link_to_jira: None,
        }
    }
}

/// When a new branch of the repository becomes a plan branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "create", rename_all = "kebab-case")]
pub enum BranchCreation {
    /// Only by hand.
    Manually,
    /// For each new branch, or for those whose whole name matches the regular expression.
    ForNewBranch {
        /// A regular expression; `None`: each branch.
        #[serde(default)]
        pattern: Option<String>,
    },
    /// For pull requests, which come from a forge.
    ForPullRequest {
        /// Whether those of forks count.
        #[serde(default)]
        accept_fork: bool,
    },
}

/// How branches are merged before they are built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchIntegration {
    /// Which way.
    pub strategy: IntegrationStrategy,
    /// Whether the merge is pushed when the build was successful.
    #[serde(default)]
    pub push_on_success: bool,
}

/// Which way a merge goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntegrationStrategy {
    /// The named branch is merged into the one that is built (branch updater).
    MergeFrom(String),
    /// The branch that is built is merged into the named one (gatekeeper).
    MergeTo(String),
}

/// What a file says of the branch that it stands on (bamboo-specs.md 8.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BranchConfig {
    /// How the branch is merged before it is built.
    #[serde(skip_serializing_if = "is_default")]
    pub integration: Option<BranchIntegration>,
    /// Whether the branch's results stay whatever their age; `None`: the plan's way.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_expiry: Option<bool>,
}

/// The branch that the plan itself builds (bamboo-specs.md 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterBranch {
    /// The branch of the default repository.
    pub name: String,
    /// What people read in its place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub display_name: Option<String>,
}
