//! Tasks that work on other machines over SSH.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::secret_text::SecretText;

/// Runs commands on other machines (bamboo-specs.md 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTask {
    /// Where and as whom.
    pub login: RemoteLogin,
    /// The commands, which a shell over there runs.
    pub command: String,
}

/// Copies files to other machines (bamboo-specs.md 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScpTask {
    /// Where and as whom.
    pub login: RemoteLogin,
    /// The files: paths below the working directory, or Ant patterns.
    pub local_path: String,
    /// Whether `local_path` holds Ant patterns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub use_ant_pattern: bool,
    /// The folder over there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination_path: String,
}

/// Machines, and as whom to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteLogin {
    /// Names or addresses of the machines; they take their turns.
    pub hosts: Vec<String>,
    /// The port; `None`: 22.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// The fingerprint of the host's key, where the file gives one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_fingerprint: Option<String>,
    /// The user's name over there; empty where shared credentials have one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub username: String,
    /// How the user is known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authentication: RemoteAuthentication,
}

/// How a user is known on another machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum RemoteAuthentication {
    /// The file does not say: whatever the agent of the job has.
    #[default]
    Agent,
    /// By a password.
    Password {
        /// The password.
        password: SecretText,
    },
    /// By a private key.
    Key {
        /// The key, in PEM.
        key: SecretText,
        /// What opens the key.
        #[serde(default, skip_serializing_if = "is_default")]
        passphrase: Option<SecretText>,
    },
    /// By credentials that the server keeps.
    Shared {
        /// Their name.
        name: String,
    },
}
