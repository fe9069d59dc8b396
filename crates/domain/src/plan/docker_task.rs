//! Tasks that build, run, push and pull images.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::secret_text::SecretText;

/// Works with images (the app key `task.docker.cli`, bamboo-specs.md 4.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerTask {
    /// What is done.
    pub action: DockerTaskAction,
    /// `NAME=value` pairs for the program itself, as in a script.
    #[serde(default, skip_serializing_if = "is_default")]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// What is done with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum DockerTaskAction {
    /// An image is built.
    Build(DockerBuild),
    /// A container runs.
    Run(DockerRun),
    /// An image is pushed to a registry.
    Push(DockerPush),
    /// An image is pulled from a registry.
    Pull(DockerPull),
}

/// How an image is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerBuild {
    /// Name and tag of the image.
    pub image: String,
    /// Where the instructions are.
    pub dockerfile: Dockerfile,
    /// Whether nothing is taken from the cache.
    #[serde(skip_serializing_if = "is_default")]
    pub no_cache: bool,
    /// A file that the image is saved to.
    #[serde(skip_serializing_if = "is_default")]
    pub save_to: Option<String>,
    /// Further options of `docker build`.
    #[serde(skip_serializing_if = "is_default")]
    pub options: String,
}

/// Where the instructions of an image are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dockerfile {
    /// In `Dockerfile` of the working directory.
    #[default]
    Existing,
    /// In the plan file.
    Inline(String),
}

/// How a container runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerRun {
    /// The image.
    pub image: String,
    /// The container's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Whether it goes on beside the next tasks.
    #[serde(skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Whether containers that ran before are linked.
    #[serde(skip_serializing_if = "is_default")]
    pub link: bool,
    /// What runs in it; empty: the image's own command.
    #[serde(skip_serializing_if = "is_default")]
    pub command: String,
    /// The folder in the container that it runs in.
    #[serde(skip_serializing_if = "is_default")]
    pub container_directory: String,
    /// `NAME=value` pairs for what runs in it.
    #[serde(skip_serializing_if = "is_default")]
    pub variables: String,
    /// Further arguments of `docker run`.
    #[serde(skip_serializing_if = "is_default")]
    pub arguments: String,
    /// Ports outside and inside.
    #[serde(skip_serializing_if = "is_default")]
    pub ports: Vec<(String, String)>,
    /// Folders outside and inside.
    #[serde(skip_serializing_if = "is_default")]
    pub volumes: Vec<(String, String)>,
    /// Whether the task waits until the service in it answers.
    #[serde(skip_serializing_if = "is_default")]
    pub wait_for_service: bool,
    /// The address that is asked, with `${docker.port}` for the port.
    #[serde(skip_serializing_if = "is_default")]
    pub service_url: String,
    /// How long it waits, in seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub service_timeout_seconds: Option<u32>,
}

/// What is pushed, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerPush {
    /// The image, with the registry's address in front unless it is the hub.
    pub image: String,
    /// Where to.
    pub registry: Registry,
    /// As whom.
    #[serde(skip_serializing_if = "is_default")]
    pub login: RegistryLogin,
}

/// What is pulled, and where from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerPull {
    /// The image, with the registry's address in front unless it is the hub.
    pub image: String,
    /// Where from.
    pub registry: Registry,
    /// As whom.
    #[serde(skip_serializing_if = "is_default")]
    pub login: RegistryLogin,
}

/// Where images are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registry {
    /// Docker Hub.
    #[default]
    Hub,
    /// The one whose address stands in front of the image's name.
    Custom,
}

/// As whom to log in to a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum RegistryLogin {
    /// As whoever the agent is logged in as.
    #[default]
    Agent,
    /// By name and password.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretText,
    },
    /// By credentials that the server keeps.
    Shared {
        /// Their name; in files that Bamboo wrote, the number that they have there.
        id: String,
    },
}
