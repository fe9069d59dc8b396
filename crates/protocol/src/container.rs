//! Containers that jobs run in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The container that a job runs in (bamboo-specs.md 3.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerOrder {
    /// The image, with references to variables.
    pub image: String,
    /// Folder of the machine, or name of a volume, to folder of the container; with references to variables.
    #[serde(default)]
    pub volumes: Vec<(String, String)>,
    /// Whose volumes those with a name are: it stands in front of the name that the engine knows them by.
    #[serde(default)]
    pub volume_scope: String,
    /// Whether the working directory and the folder for temporary files are where they are outside.
    #[serde(default)]
    pub default_volumes: bool,
    /// Further options of `docker run`.
    #[serde(default)]
    pub run_arguments: Vec<String>,
    /// Whether the container may have a network.
    #[serde(default)]
    pub network: bool,
    /// What an administrator allows.
    #[serde(default)]
    pub policy: ContainerPolicy,
}

/// What an administrator allows to containers of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPolicy {
    /// Folders of the machine that plans may mount, with what is below them.
    #[serde(default)]
    pub volumes: Vec<PathBuf>,
    /// Whether plans may ask for privileges, capabilities, devices and other users.
    #[serde(default)]
    pub privileges: bool,
    /// The most memory of one container, in megabytes; 0: no limit.
    #[serde(default)]
    pub memory_megabytes: u64,
    /// The most processors of one container; 0: no limit.
    #[serde(default)]
    pub processors: u32,
    /// The most processes of one container; 0: no limit.
    #[serde(default)]
    pub processes: u32,
}
