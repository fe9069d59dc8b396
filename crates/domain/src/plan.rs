//! A plan's configuration: what to build, in which stages, with which tasks, and when.
//!
//! A [`PlanConfiguration`] is immutable once stored: it becomes a numbered version, and a build keeps the
//! version that it ran. It is stored as JSON by the store; it is never sent to outsiders in this form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{PlanKey, ProjectKey};

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
}

impl PlanConfiguration {
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
}

/// One task of a job (bamboo-specs.md 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What the task is for; shown in the log.
    #[serde(default)]
    pub description: String,
    /// Whether the task runs.
    pub enabled: bool,
    /// What it does.
    #[serde(flatten)]
    pub action: TaskAction,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum TaskAction {
    /// Runs a script.
    Script(ScriptTask),
    /// Checks a repository out.
    Checkout(CheckoutTask),
    /// Empties the working directory.
    Clean,
    /// A task that the plan file may name but that this version does not run; it fails with a message.
    Unsupported {
        /// The task's name or plugin key as the file gives it.
        name: String,
    },
}

/// A script (bamboo-specs.md 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptTask {
    /// How the body is run.
    pub interpreter: Interpreter,
    /// What is run.
    pub source: ScriptSource,
    /// Arguments of a script file, split as a shell splits words.
    #[serde(default)]
    pub argument: String,
    /// `NAME=value` pairs, separated by spaces, with double quotes around values that have spaces.
    #[serde(default)]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(default)]
    pub working_directory: String,
}

/// Where the text of a script is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptSource {
    /// The body itself; several items of the file are joined by line feeds.
    Inline(String),
    /// A file of the checkout.
    File(String),
}

/// How a script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpreter {
    /// By its `#!` line, else the platform's shell. The default.
    Shell,
    /// `/bin/sh`, or `cmd.exe` on Windows.
    BinShOrCmdExe,
    /// Windows PowerShell.
    PowerShell,
}

/// A checkout (bamboo-specs.md 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutTask {
    /// The repository by name; `None`: the plan's default repository.
    #[serde(default)]
    pub repository: Option<String>,
    /// Folder below the working directory; empty: the working directory itself.
    #[serde(default)]
    pub path: String,
    /// Empties the folder first.
    #[serde(default)]
    pub force_clean_build: bool,
}

/// A variable of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name without the `bamboo.` in front.
    pub name: String,
    /// The value.
    pub value: String,
}

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
    /// What it listens to.
    #[serde(flatten)]
    pub kind: TriggerKind,
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

/// When plan branches are made and removed (bamboo-specs.md 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchPolicy {
    /// When a new branch of the repository becomes a plan branch.
    pub create: BranchCreation,
    /// Days after which the plan branch of a deleted branch goes; `None`: never.
    pub delete_after_deleted_days: Option<u32>,
    /// Days without a commit after which a plan branch goes; `None`: never.
    pub delete_after_inactive_days: Option<u32>,
}

impl Default for BranchPolicy {
    /// What a file that says nothing means: each new branch, 1 day, 30 days (bamboo-specs.md 3.9).
    fn default() -> Self {
        Self {
            create: BranchCreation::ForNewBranch { pattern: None },
            delete_after_deleted_days: Some(1),
            delete_after_inactive_days: Some(30),
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
