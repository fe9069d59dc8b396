//! Repositories of a plan: where they are, how they are checked out, and which changes count.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::secret_text::SecretText;

/// A repository of a plan (bamboo-specs.md 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRepository {
    /// The name that tasks and triggers use.
    pub name: String,
    /// Where the repository is.
    pub source: RepositorySource,
    /// The branch of the plan itself, where the file names one.
    #[serde(default)]
    pub branch: Option<String>,
    /// Which changed files count.
    #[serde(default)]
    pub change_detection: ChangeDetection,
    /// Whose name it is, where the file says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Option<RepositoryScope>,
    /// How the file describes a repository of its own; `source` has the address that this comes to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub definition: Option<RepositoryDefinition>,
    /// How it is fetched and checked out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: RepositoryOptions,
}

impl PlanRepository {
    /// The repository that the server knows by this name, with nothing else said.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: RepositorySource::Named,
            branch: None,
            change_detection: ChangeDetection::default(),
            scope: None,
            definition: None,
            options: RepositoryOptions::default(),
        }
    }
}

/// Whose a named repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryScope {
    /// Linked to the server.
    Global,
    /// Of the plan's project.
    Project,
}

/// How a plan file describes a repository of its own (bamboo-specs.md 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RepositoryDefinition {
    /// Any Git repository.
    Git {
        /// Its address.
        url: String,
        /// As whom it is read.
        #[serde(default, skip_serializing_if = "is_default")]
        authentication: RepositoryAuthentication,
    },
    /// One of Bitbucket Cloud.
    BitbucketCloud {
        /// `owner/repository`
        slug: String,
        /// As whom it is read.
        #[serde(default, skip_serializing_if = "is_default")]
        authentication: RepositoryAuthentication,
    },
    /// One of Bitbucket Server or Data Center.
    BitbucketServer {
        /// The name of the link to that server.
        #[serde(default)]
        server: String,
        /// The key of the project over there.
        #[serde(default)]
        project: String,
        /// The repository's slug over there.
        #[serde(default)]
        slug: String,
        /// Its address.
        clone_url: String,
        /// The public half of the access key.
        #[serde(default, skip_serializing_if = "is_default")]
        public_key: Option<String>,
        /// The private half of the access key.
        #[serde(default, skip_serializing_if = "is_default")]
        private_key: Option<SecretText>,
    },
    /// One of GitHub or GitHub Enterprise.
    GitHub {
        /// `owner/repository`
        repository: String,
        /// The address of the server; `None`: github.com.
        #[serde(default, skip_serializing_if = "is_default")]
        base_url: Option<String>,
        /// As whom it is read.
        #[serde(default, skip_serializing_if = "is_default")]
        authentication: RepositoryAuthentication,
        /// Whether a webhook is set up over there.
        #[serde(default, skip_serializing_if = "is_default")]
        webhook_enabled: Option<bool>,
    },
    /// One of an app, with its settings by dotted name: Subversion, Perforce.
    App {
        /// The app's key.
        plugin_key: String,
        /// Its settings, with `server-config.`, `branch-config.` or `branch-detection-config.` in front.
        settings: Vec<(String, String)>,
    },
}

/// As whom a repository is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum RepositoryAuthentication {
    /// As nobody.
    #[default]
    None,
    /// By name and password.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        #[serde(default, skip_serializing_if = "is_default")]
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
    /// As an app of GitHub.
    GitHubApp {
        /// The app's number.
        app_id: String,
        /// The app's private key, in PEM.
        #[serde(default, skip_serializing_if = "is_default")]
        key: SecretText,
    },
    /// By credentials that the server keeps.
    Shared(SharedCredentials),
}

/// Credentials that the server keeps, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedCredentials {
    /// Their name.
    pub name: String,
    /// Whose they are, where the file says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Option<RepositoryScope>,
}

/// How a repository is fetched and checked out; what is `None` is as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositoryOptions {
    /// Minutes after which a command is given up.
    #[serde(skip_serializing_if = "is_default")]
    pub command_timeout_minutes: Option<u32>,
    /// Whether files of Git LFS are fetched.
    #[serde(skip_serializing_if = "is_default")]
    pub lfs: Option<bool>,
    /// Whether git says in the log what it does.
    #[serde(skip_serializing_if = "is_default")]
    pub verbose_logs: Option<bool>,
    /// Whether only the newest commits are fetched.
    #[serde(skip_serializing_if = "is_default")]
    pub use_shallow_clones: Option<bool>,
    /// Whether agents keep a copy.
    #[serde(skip_serializing_if = "is_default")]
    pub cache_on_agents: Option<bool>,
    /// Whether submodules are checked out.
    #[serde(skip_serializing_if = "is_default")]
    pub submodules: Option<bool>,
    /// Whether only the newest commits of submodules are fetched.
    #[serde(skip_serializing_if = "is_default")]
    pub submodules_use_shallow_clones: Option<bool>,
    /// Whether the key opens the submodules too.
    #[serde(skip_serializing_if = "is_default")]
    pub ssh_key_applies_to_submodules: Option<bool>,
    /// Whether all branches are fetched.
    #[serde(skip_serializing_if = "is_default")]
    pub fetch_all: Option<bool>,
    /// What links to sources are made by, by dotted name.
    #[serde(skip_serializing_if = "is_default")]
    pub viewer: Vec<(String, String)>,
}

/// Where a plan's repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepositorySource {
    /// One that the server knows by this name: linked by name, or hosted or attached as `OWNER/SLUG`.
    Named,
    /// One that the file describes by its address.
    Url(String),
}

/// Which changes of a repository start a build (bamboo-specs.md 6, "change-detection").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDetection {
    /// A filter over the changed paths.
    #[serde(default)]
    pub file_filter: Option<FileFilter>,
    /// Commits whose message matches this regular expression do not count.
    #[serde(default)]
    pub exclude_changeset_pattern: Option<String>,
    /// How long to wait for further commits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quiet_period: Option<QuietPeriod>,
    /// Whether each commit is built by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub commit_isolation: Option<bool>,
}

/// A wait for further commits before a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietPeriod {
    /// Seconds without a commit that it takes.
    pub seconds: u32,
    /// How often it begins anew at most.
    pub max_retries: u32,
}

/// A filter over changed paths: a regular expression that must match the whole path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFilter {
    /// Only a change that touches a matching path counts.
    IncludeOnly(String),
    /// A change that touches nothing but matching paths does not count.
    ExcludeAll(String),
}
