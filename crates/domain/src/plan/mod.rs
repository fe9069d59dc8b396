//! A plan's configuration: what to build, in which stages, with which tasks, and when.
//!
//! A [`PlanConfiguration`] is immutable once stored: it becomes a numbered version, and a build keeps the
//! version that it ran. It is stored as JSON by the store; it is never sent to outsiders in this form.

//!
//! Homes of older versions hold plan versions without the later fields, so each of those has a default, and is left
//! out where it says nothing: a file that did not change gives the same JSON as before.

mod artifact;
mod branch;
mod branch_override;
mod build_task;
mod defaults;
mod dependency;
mod deployment;
mod docker_task;
mod notification;
mod other;
mod own_file;
mod remote_task;
mod repository;
mod secret_text;
mod task;
mod test_parser;
mod trigger;
mod trigger_words;
mod vcs_task;

pub use artifact::{Artifact, ArtifactDownloadItem, ArtifactDownloadTask, ArtifactSubscription};
pub use branch::{
    BranchConfig, BranchCreation, BranchIntegration, BranchPolicy, IntegrationStrategy, MasterBranch,
};
pub use branch_override::BranchOverride;
pub use build_task::{AntTask, CommandTask, MavenTask, NodeTask, NodeTool, TaskTests, VariableUpdateTask};
pub use dependency::{BlockStrategy, Dependencies};
pub use deployment::{
    DeploymentConfiguration, DeploymentGrant, DeploymentPermission, DeploymentPermissions, Environment,
    EnvironmentGrant, EnvironmentPermission, EnvironmentTrigger, EnvironmentTriggerKind, ReleaseApproval,
    ReleaseNaming,
};
pub use docker_task::{
    DockerBuild, DockerPull, DockerPush, DockerRun, DockerTask, DockerTaskAction, Dockerfile, Registry,
    RegistryLogin,
};
pub use notification::{EnvironmentEvent, EnvironmentNotification, Notification, PlanEvent, Recipient};
pub use other::{
    BuildExpiry, ConcurrencyStrategy, ExpiryPeriod, HangingDetection, JobOther, PatternLabel, PlanOther,
};
pub use remote_task::{RemoteAuthentication, RemoteLogin, ScpTask, SshTask};
pub use repository::{
    ChangeDetection, FileFilter, PlanRepository, QuietPeriod, RepositoryAuthentication, RepositoryDefinition,
    RepositoryOptions, RepositoryScope, RepositorySource, SharedCredentials,
};
pub use secret_text::SecretText;
pub use task::{
    CheckoutTask, InjectScope, InjectVariablesTask, Interpreter, PluginTask, ScriptSource, ScriptTask,
    StopJobTask, Task, TaskAction, TaskCondition,
};
pub use test_parser::{TestFormat, TestParserTask, TestReportKind};
pub use trigger::{Trigger, TriggerCondition, TriggerKind};
pub use vcs_task::{VcsBranchTask, VcsCommitTask, VcsPushTask, VcsTagTask};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{PlanKey, ProjectKey};
use defaults::{is_default, is_true, yes};

/// Everything that a plan document says (bamboo-specs.md 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanConfiguration {
    /// The project that the plan belongs to.
    pub project_key: ProjectKey,
    /// The full key of the plan.
    pub key: PlanKey,
    /// The plan's name.
    pub name: String,
    /// What the plan is for.
    #[serde(default)]
    pub description: String,
    /// Whether the plan builds at all.
    pub enabled: bool,
    /// Stages in the order in which they run.
    pub stages: Vec<Stage>,
    /// Jobs by name; a stage names them. A job that no stage names never runs.
    pub jobs: Vec<Job>,
    /// Plan variables, in the order of the file.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// The repositories, the default one first. `None`: the repository that holds the plan file.
    /// `Some` of an empty list: the plan has no repository and no implicit checkout.
    #[serde(default)]
    pub repositories: Option<Vec<PlanRepository>>,
    /// What starts a build. `None`: the file says nothing, which means build on push where pushes are known to
    /// us, else poll every 180 seconds (bamboo-specs.md 3.9). `Some` of an empty list: only by hand.
    #[serde(default)]
    pub triggers: Option<Vec<Trigger>>,
    /// When plan branches are made and removed.
    #[serde(default)]
    pub branches: BranchPolicy,
    /// How many builds of one plan branch may run at once. `None`: the server's default.
    #[serde(default)]
    pub concurrent_builds: Option<u32>,
    /// Docker image that the jobs run in, when the file names one.
    #[serde(default)]
    pub docker: Option<Docker>,
    /// Labels that each result gets; `None` leaves them alone.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Whether failed jobs of a build may be run again.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub rerunnable: bool,
    /// The branch of the default repository that the plan itself builds, in place of the repository's own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub master_branch: Option<MasterBranch>,
    /// Plans that a success of this one starts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dependencies: Dependencies,
    /// Who is told of what.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notifications: Vec<Notification>,
    /// Sections that other branches have instead; the first whose pattern matches counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub branch_overrides: Vec<BranchOverride>,
    /// What the file says of the branch that it stands on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub branch_config: BranchConfig,
    /// The rest of `other`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub other: PlanOther,
}

impl PlanConfiguration {
    /// The plan with this key and name, without stages and with nothing else said.
    #[must_use]
    pub fn new(key: PlanKey, name: impl Into<String>) -> Self {
        Self {
            project_key: key.project(),
            key,
            name: name.into(),
            description: String::new(),
            enabled: true,
            stages: Vec::new(),
            jobs: Vec::new(),
            variables: Vec::new(),
            repositories: None,
            triggers: None,
            branches: BranchPolicy::default(),
            concurrent_builds: None,
            docker: None,
            labels: None,
            rerunnable: true,
            master_branch: None,
            dependencies: Dependencies::default(),
            notifications: Vec::new(),
            branch_overrides: Vec::new(),
            branch_config: BranchConfig::default(),
            other: PlanOther::default(),
        }
    }

    /// The tasks of a job as they run: a job that checks nothing out begins with a checkout of the default repository, if
    /// there is one (bamboo-specs.md 3.9).
    #[must_use]
    pub fn tasks_of(&self, job: &Job) -> Vec<Task> {
        let has_repository = self.repositories.as_ref().is_none_or(|list| !list.is_empty());
        let checks_out = |task: &Task| matches!(task.action, TaskAction::Checkout(_));
        let mut tasks = job.tasks.clone();
        if has_repository && !tasks.iter().any(checks_out) {
            let checkout = Task {
                description: "Checkout Default Repository".into(),
                ..Task::from(TaskAction::Checkout(CheckoutTask::default()))
            };
            tasks.insert(0, checkout);
        }
        tasks
    }

    /// The job with this name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }
}

/// One stage (bamboo-specs.md 3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's name, unique in the plan.
    pub name: String,
    /// What the stage is for.
    #[serde(default)]
    pub description: String,
    /// Waits for a person before it starts.
    #[serde(default)]
    pub manual: bool,
    /// Runs whatever happened before.
    #[serde(default, rename = "final")]
    pub final_stage: bool,
    /// Names of the jobs, which run beside each other.
    pub jobs: Vec<String>,
}

/// One job (bamboo-specs.md 3.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The root key of the job's definition.
    pub name: String,
    /// The short key: `JOB1` in `PROJ-PLAN-JOB1`. Given by the file or made from the name.
    pub key: String,
    /// What the job is for.
    #[serde(default)]
    pub description: String,
    /// Whether the job runs at all.
    pub enabled: bool,
    /// Tasks in order; the first that fails ends the list.
    pub tasks: Vec<Task>,
    /// Tasks that run after the others whatever happened, also after a stop.
    #[serde(default)]
    pub final_tasks: Vec<Task>,
    /// Capabilities that an agent must have.
    #[serde(default)]
    pub requirements: Vec<Requirement>,
    /// Docker image of this job, in place of the plan's.
    #[serde(default)]
    pub docker: Option<Docker>,
    /// The longest time that the job may run, in seconds. `None`: the server's default.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Empties the working directory after the build.
    #[serde(default)]
    pub clean_working_directory: bool,
    /// Files that are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub artifacts: Vec<Artifact>,
    /// Shared artifacts of earlier stages that the job gets. `None`: all of them, into the working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub artifact_subscriptions: Option<Vec<ArtifactSubscription>>,
    /// The rest of `other`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub other: JobOther,
}

impl Job {
    /// The job with this name and key, without tasks and with nothing else said.
    #[must_use]
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            description: String::new(),
            enabled: true,
            tasks: Vec::new(),
            final_tasks: Vec::new(),
            requirements: Vec::new(),
            docker: None,
            timeout_seconds: None,
            clean_working_directory: false,
            artifacts: Vec::new(),
            artifact_subscriptions: None,
            other: JobOther::default(),
        }
    }
}

/// A capability that a job asks for (bamboo-specs.md 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The capability's key.
    pub key: String,
    /// A regular expression that the whole value must match; `None`: the capability must exist.
    #[serde(default)]
    pub matches: Option<String>,
}

/// An image to run in (bamboo-specs.md 3.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docker {
    /// The image's name.
    pub image: String,
    /// Host folder to container folder.
    #[serde(default)]
    pub volumes: Vec<(String, String)>,
    /// Further arguments of `docker run`.
    #[serde(default)]
    pub run_arguments: Vec<String>,
    /// Whether the job's working directory and folder for temporary files are mounted where they are outside.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub use_default_volumes: bool,
}

/// A variable of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name without the `bamboo.` in front.
    pub name: String,
    /// The value.
    pub value: String,
}

/// What values start with that another server encrypted and nobody else can read (bamboo-specs.md 5).
pub const FOREIGN_SECRET_PREFIX: &str = "BAMSCRT@";

impl Variable {
    /// Whether the value was encrypted by another server, so that it has to be entered anew.
    #[must_use]
    pub fn is_foreign_secret(&self) -> bool {
        self.value.starts_with(FOREIGN_SECRET_PREFIX)
    }
}

/// Permissions that a plan-permissions document sets (bamboo-specs.md 12). It replaces all that the plan has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPermissions {
    /// The plan.
    pub plan: PlanKey,
    /// One entry for each list item.
    pub entries: Vec<PermissionEntry>,
}

/// Who gets which permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionEntry {
    /// User names.
    #[serde(default)]
    pub users: Vec<String>,
    /// Group names.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Everyone who is logged in.
    #[serde(default)]
    pub logged_in: bool,
    /// Everyone.
    #[serde(default)]
    pub anonymous: bool,
    /// What they may do.
    pub permissions: Vec<crate::permission::Permission>,
}

/// Values of variables by name, as a build resolved them.
pub type VariableValues = BTreeMap<String, String>;
