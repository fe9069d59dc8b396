//! Tasks that write to repositories. Without a repository the plan's default one is meant.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;

/// Tags the commit that the checkout is at, and pushes the tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcsTagTask {
    /// The tag's name.
    pub tag: String,
    /// The repository by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repository: Option<String>,
    /// Folder of the checkout below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Makes a branch at the commit that the checkout is at, and pushes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcsBranchTask {
    /// The branch's name.
    pub branch: String,
    /// The repository by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repository: Option<String>,
    /// Folder of the checkout below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Commits what the job changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcsCommitTask {
    /// The message of the commit.
    pub message: String,
    /// The repository by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repository: Option<String>,
    /// Folder of the checkout below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Pushes the commits that the job made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcsPushTask {
    /// The repository by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repository: Option<String>,
    /// Folder of the checkout below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}
