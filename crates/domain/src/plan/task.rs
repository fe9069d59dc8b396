//! Tasks: what a job or an environment does, step by step (bamboo-specs.md 4).

use serde::{Deserialize, Serialize};

use super::defaults::is_default;
use super::{
    AntTask, ArtifactDownloadTask, CommandTask, DockerTask, MavenTask, NodeTask, ScpTask, SshTask,
    TestParserTask, VariableUpdateTask, VcsBranchTask, VcsCommitTask, VcsPushTask, VcsTagTask,
};

/// One task of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What the task is for; shown in the log.
    #[serde(default)]
    pub description: String,
    /// Whether the task runs.
    pub enabled: bool,
    /// Conditions that must all hold; otherwise the task is passed over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conditions: Vec<TaskCondition>,
    /// What it does.
    #[serde(flatten)]
    pub action: TaskAction,
}

impl From<TaskAction> for Task {
    /// The task that does this, with nothing else said.
    fn from(action: TaskAction) -> Self {
        Self {
            description: String::new(),
            enabled: true,
            conditions: Vec::new(),
            action,
        }
    }
}

/// A condition of a task. Names of variables have no `bamboo.` in front (bamboo-specs.md 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case")]
pub enum TaskCondition {
    /// The variable has this value.
    Equals {
        /// The variable.
        variable: String,
        /// The value.
        value: String,
    },
    /// The variable has another value.
    NotEquals {
        /// The variable.
        variable: String,
        /// The value.
        value: String,
    },
    /// The variable's whole value matches.
    Matches {
        /// The variable.
        variable: String,
        /// A regular expression.
        pattern: String,
    },
    /// There is such a variable.
    Exists {
        /// The variable.
        variable: String,
    },
    /// There is no such variable.
    NotExists {
        /// The variable.
        variable: String,
    },
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
    /// Fetches artifacts.
    ArtifactDownload(ArtifactDownloadTask),
    /// Makes variables of a file.
    InjectVariables(InjectVariablesTask),
    /// Reads test reports.
    TestParser(TestParserTask),
    /// Runs Maven.
    Maven(MavenTask),
    /// Runs any program.
    Command(CommandTask),
    /// Runs commands on other machines.
    Ssh(SshTask),
    /// Copies files to other machines.
    Scp(ScpTask),
    /// Ends the job here.
    StopJob(StopJobTask),
    /// Tags the revision.
    VcsTag(VcsTagTask),
    /// Makes a branch.
    VcsBranch(VcsBranchTask),
    /// Commits what the job changed.
    VcsCommit(VcsCommitTask),
    /// Pushes the commits that the job made.
    VcsPush(VcsPushTask),
    /// Runs Ant.
    Ant(AntTask),
    /// Runs Node.js or a tool of its family.
    Node(NodeTask),
    /// Works with images.
    Docker(Box<DockerTask>),
    /// Writes the variables into the log.
    DumpVariables,
    /// Changes a variable.
    UpdateVariable(VariableUpdateTask),
    /// A task of an app that this version does not know; it fails with a message that names the app.
    Plugin(PluginTask),
    /// A task that an older version stored without its settings; it fails with a message.
    Unsupported {
        /// The task's name or plugin key as the file gives it.
        name: String,
    },
}

impl TaskAction {
    /// The name that plan files have for it, or the key of its app.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Script(_) => "script",
            Self::Checkout(_) => "checkout",
            Self::Clean => "clean",
            Self::ArtifactDownload(_) => "artifact-download",
            Self::InjectVariables(_) => "inject-variables",
            Self::TestParser(_) => "test-parser",
            Self::Maven(_) => "maven",
            Self::Command(_) => "command",
            Self::Ssh(_) => "ssh",
            Self::Scp(_) => "scp",
            Self::StopJob(_) => "stop-job",
            Self::VcsTag(_) => "vcs-tag",
            Self::VcsBranch(_) => "vcs-branch",
            Self::VcsCommit(_) => "vcs-commit",
            Self::VcsPush(_) => "vcs-push",
            Self::Ant(_) => "ant",
            Self::Node(node) => node.tool.as_str(),
            Self::Docker(_) => "docker",
            Self::DumpVariables => "dump-variables",
            Self::UpdateVariable(_) => "variable-updater",
            Self::Plugin(plugin) => &plugin.plugin_key,
            Self::Unsupported { name } => name,
        }
    }
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
    /// `cmd.exe` of Windows.
    CmdExe,
}

/// A checkout (bamboo-specs.md 4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Makes variables of the lines `key=value` of a file: `bamboo.NAMESPACE.key` (bamboo-specs.md 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectVariablesTask {
    /// The file below the working directory.
    pub file: String,
    /// Who sees them.
    #[serde(default)]
    pub scope: InjectScope,
    /// What stands in front of their names.
    pub namespace: String,
}

/// Who sees injected variables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InjectScope {
    /// The tasks behind it in the job. The default.
    #[default]
    Local,
    /// Later stages too, and releases made of the result.
    Result,
}

/// Ends the job before its other tasks (bamboo-specs.md 4.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StopJobTask {
    /// Whether the job counts as successful.
    pub success: bool,
}

/// A task of an app (bamboo-specs.md 4.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginTask {
    /// The app's key.
    pub plugin_key: String,
    /// Its settings, in the order of the file.
    #[serde(default)]
    pub configuration: Vec<(String, String)>,
}
