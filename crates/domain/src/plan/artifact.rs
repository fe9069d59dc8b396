//! Artifacts: what a job keeps, what it gets from earlier stages, and the task that fetches more.

use serde::{Deserialize, Serialize};

use super::defaults::{is_default, is_true, yes};
use crate::key::PlanKey;

/// Files that a job keeps (bamboo-specs.md 3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name; unique among the shared ones of the plan.
    pub name: String,
    /// Folder below the working directory that the pattern starts from; empty or `.`: the working directory.
    #[serde(default)]
    pub location: String,
    /// Ant patterns of the files below `location`, separated by commas or blanks.
    pub pattern: String,
    /// Whether the job fails when nothing matches.
    #[serde(default)]
    pub required: bool,
    /// Whether later stages, other plans and deployments may get it. True unless the file says otherwise.
    #[serde(default = "yes")]
    pub shared: bool,
    /// Whether it may be sent compressed.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub http_compression: bool,
}

/// A shared artifact of an earlier stage that a job gets (bamboo-specs.md 3.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSubscription {
    /// The artifact's name.
    pub artifact: String,
    /// Folder below the working directory that it is put into; empty: the working directory.
    #[serde(default)]
    pub destination: String,
}

/// Fetches artifacts of this plan, of another one or of a release (bamboo-specs.md 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDownloadTask {
    /// The plan whose artifacts are meant. `None`: this plan, or in a deployment the release.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_plan: Option<PlanKey>,
    /// The branch of the source plan whose last successful result counts; `None`: the plan itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub custom_branch: Option<String>,
    /// What is fetched; never empty.
    pub items: Vec<ArtifactDownloadItem>,
}

/// One artifact that is fetched, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDownloadItem {
    /// The artifact's name; `None`: all artifacts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Folder below the working directory; empty: the working directory, which is also what `/` means.
    #[serde(default)]
    pub destination: String,
}
