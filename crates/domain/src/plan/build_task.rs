//! Tasks that run a program which is found by capability: Maven, Ant, Node.js and its family, any command.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;

/// Runs any program (bamboo-specs.md 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandTask {
    /// The label of the capability that knows the program.
    pub executable: String,
    /// Arguments, split as a shell splits words.
    #[serde(skip_serializing_if = "is_default")]
    pub argument: String,
    /// `NAME=value` pairs, as in a script.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Runs Maven (bamboo-specs.md 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MavenTask {
    /// The label of the capability that knows Maven.
    pub executable: String,
    /// The label of the JDK; empty: the agent's own.
    pub jdk: String,
    /// Goals and options.
    pub goal: String,
    /// Which test reports are read afterwards.
    pub tests: TaskTests,
    /// `NAME=value` pairs, as in a script.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(skip_serializing_if = "is_default")]
    pub working_directory: String,
    /// The project's file, where it is not `pom.xml`.
    #[serde(skip_serializing_if = "is_default")]
    pub project_file: String,
    /// Whether Maven's exit code decides, and not the log.
    #[serde(skip_serializing_if = "is_default")]
    pub use_return_code: bool,
}

/// Which test reports a build tool leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskTests {
    /// None are read.
    #[default]
    None,
    /// Those in the tool's usual place.
    Usual,
    /// Those that match an Ant pattern.
    Pattern(String),
}

/// Runs Ant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AntTask {
    /// The label of the capability that knows Ant.
    pub executable: String,
    /// The label of the JDK; empty: the agent's own.
    pub jdk: String,
    /// Targets and options.
    pub target: String,
    /// The build file; empty: `build.xml`.
    #[serde(skip_serializing_if = "is_default")]
    pub build_file: String,
    /// Which test reports are read afterwards.
    pub tests: TaskTests,
    /// `NAME=value` pairs, as in a script.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Runs Node.js or a tool of its family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTask {
    /// Which tool.
    pub tool: NodeTool,
    /// The label of the capability that knows Node.js.
    #[serde(default)]
    pub runtime: String,
    /// The path of the tool's own program below the working directory; empty: the tool's usual place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tool_path: String,
    /// What it is to do: npm's or Bower's command, the task of Grunt or Gulp, the script of Node.js, the tests of
    /// Mocha and Nodeunit.
    #[serde(default)]
    pub command: String,
    /// Further arguments.
    #[serde(default, skip_serializing_if = "is_default")]
    pub arguments: String,
    /// The tool's configuration file, where it is not in its usual place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub config_file: String,
    /// Whether npm keeps its cache below the working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolated_cache: bool,
    /// Whether the test reports of the tool are read afterwards.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tests: TaskTests,
    /// `NAME=value` pairs, as in a script.
    #[serde(default, skip_serializing_if = "is_default")]
    pub environment: String,
    /// Folder below the job's working directory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub working_directory: String,
}

/// Node.js and its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeTool {
    /// Node.js itself.
    Node,
    /// Its package manager.
    Npm,
    /// Grunt.
    Grunt,
    /// Gulp.
    Gulp,
    /// Bower.
    Bower,
    /// Mocha.
    Mocha,
    /// Nodeunit.
    Nodeunit,
}

impl NodeTool {
    /// Every tool.
    pub const ALL: [Self; 7] = [
        Self::Node,
        Self::Npm,
        Self::Grunt,
        Self::Gulp,
        Self::Bower,
        Self::Mocha,
        Self::Nodeunit,
    ];

    /// The tool's name in lower case, which is also the end of its plugin key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Npm => "npm",
            Self::Grunt => "grunt",
            Self::Gulp => "gulp",
            Self::Bower => "bower",
            Self::Mocha => "mocha",
            Self::Nodeunit => "nodeunit",
        }
    }
}

/// Counts a variable up or gives it a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariableUpdateTask {
    /// The variable's name.
    pub variable: String,
    /// How it changes, in the app's words.
    pub strategy: String,
    /// Whose variable it is, in the app's words.
    pub scope: String,
    /// Further settings of the app.
    #[serde(skip_serializing_if = "is_default")]
    pub settings: Vec<(String, String)>,
}
