//! Tasks of Node.js and its family, which the app `bamboo-nodejs-plugin` has (bamboo-specs.md 4.5).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use madake_domain::plan::{NodeTask, NodeTool, TaskTests};
use serde_json::Value;

use super::program::{NODE, ProgramError, ProgramLine, with_first_folder};
use super::{Job, TaskEnd};
use crate::artifact::open_file;
use crate::capability_detection::is_program;
use crate::supervisor::confine;
use crate::supervisor::interruption::Lookout;

/// The most that is read of a `package.json`, in bytes.
const LONGEST_PACKAGE: u64 = 1 << 20;

/// How a tool of the family is run.
struct ToolUsage {
    /// Its usual place below the working directory; empty: it is not a script of the project.
    place: &'static str,
    /// The packages that may have it, where it is not in its usual place: their `package.json` says where.
    packages: &'static [&'static str],
    /// The option in front of its configuration file.
    configuration: &'static str,
    /// Arguments when its test reports are to be read.
    reporting: &'static [&'static str],
}

fn usage(tool: NodeTool) -> ToolUsage {
    type Texts = &'static [&'static str];
    let (place, packages, configuration, reporting): (_, Texts, _, Texts) = match tool {
        NodeTool::Node | NodeTool::Npm => ("", &[], "", &[]),
        NodeTool::Grunt => (
            "node_modules/grunt-cli/bin/grunt",
            &["grunt-cli", "grunt"],
            "--gruntfile",
            &[],
        ),
        NodeTool::Gulp => ("node_modules/gulp/bin/gulp.js", &["gulp"], "--gulpfile", &[]),
        NodeTool::Bower => ("node_modules/bower/bin/bower", &["bower"], "", &[]),
        NodeTool::Mocha => (
            "node_modules/mocha/bin/mocha",
            &["mocha"],
            "",
            &["--reporter", "mocha-bamboo-reporter"],
        ),
        NodeTool::Nodeunit => (
            "node_modules/nodeunit/bin/nodeunit",
            &["nodeunit"],
            "",
            &["--reporter", "junit", "--output", "test-reports"],
        ),
    };
    ToolUsage {
        place,
        packages,
        configuration,
        reporting,
    }
}

impl Job<'_> {
    pub(super) fn run_node(&mut self, task: &NodeTask, lookout: &Lookout<'_>) -> TaskEnd {
        let line = self.node_line(task);
        self.run_line(line, lookout)
    }

    fn node_line<'a>(&self, task: &'a NodeTask) -> Result<ProgramLine<'a>, ProgramError> {
        let environment = &self.environment;
        let usage = usage(task.tool);
        let node = self.program(&NODE, &self.substituted(&task.runtime)?)?;
        let folder = Path::new(&node).parent().filter(|folder| folder.is_absolute());
        // Scripts of npm and tools of the project look for `node` themselves.
        let mut of_program: Vec<_> = folder
            .and_then(|folder| with_first_folder(folder, environment))
            .into_iter()
            .collect();
        let mut arguments = Vec::new();
        let mut program = node.clone();
        match task.tool {
            NodeTool::Node => {}
            NodeTool::Npm => {
                let beside = folder.map(|folder| folder.join("npm"));
                program = match beside.filter(|npm| is_program(npm)) {
                    Some(npm) => npm.to_string_lossy().into_owned(),
                    None => "npm".to_owned(),
                };
                if task.isolated_cache {
                    let cache = self.directory.tmp_path().join("npm-cache");
                    of_program.push(("npm_config_cache".into(), cache.into()));
                }
            }
            _ => arguments.push(self.tool_path(task, &usage)?),
        }
        arguments.extend(environment.words(&task.command)?);
        if task.tests != TaskTests::None {
            arguments.extend(usage.reporting.iter().copied().map(str::to_owned));
        }
        if !usage.configuration.is_empty() && !task.config_file.is_empty() {
            let file = environment.substituted(&task.config_file);
            arguments.extend([usage.configuration.to_owned(), file]);
        }
        arguments.extend(environment.words(&task.arguments)?);
        Ok(ProgramLine {
            kind: &NODE,
            program,
            arguments,
            of_program,
            environment: &task.environment,
            working_directory: &task.working_directory,
        })
    }

    /// Where the tool's own program is, below the working directory. Newer versions of a tool have it elsewhere than plans
    /// say that were written for older ones, so the package is asked where the usual place is empty.
    fn tool_path(&self, task: &NodeTask, usage: &ToolUsage) -> Result<String, ProgramError> {
        let given = self.environment.substituted(&task.tool_path);
        let place = if given.is_empty() { usage.place } else { &given };
        let root = &self.order.working_directory;
        let in_path = |what| move |source| ProgramError::Path { what, source };
        let directory = confine::existing(root, &self.environment.substituted(&task.working_directory))
            .map_err(in_path("working directory"))?;
        let found = confine::existing(&directory, place)
            .or_else(|error| confine::existing(root, place).map_err(|_| error));
        match found {
            Ok(path) => return Ok(path.to_string_lossy().into_owned()),
            Err(confine::Refused::Io { .. }) => {}
            Err(error) => return Err(in_path("path of the tool")(error)),
        }
        let packages = if place == usage.place { usage.packages } else { &[] };
        let of_package = [&directory, root].into_iter().find_map(|folder| {
            packages
                .iter()
                .find_map(|package| place_in_package(folder, package, task.tool.as_str()))
        });
        of_package
            .map(|path| path.to_string_lossy().into_owned())
            .ok_or_else(|| {
                ProgramError::Refused(format!(
                    "`{place}` is not there: let a task before this one run `npm install`, with {0} among the project's \
                     `devDependencies`, or say where {0} is",
                    task.tool.as_str()
                ))
            })
    }
}

/// Where a package below `node_modules` of a folder has its program of this name, as the `bin` of its `package.json` says.
fn place_in_package(folder: &Path, package: &str, name: &str) -> Option<PathBuf> {
    let home = confine::existing(folder, &format!("node_modules/{package}")).ok()?;
    let mut text = Vec::new();
    let file = open_file(&home, "package.json").ok()?;
    file.take(LONGEST_PACKAGE).read_to_end(&mut text).ok()?;
    let described: Value = serde_json::from_slice(&text).ok()?;
    let bin = &described["bin"];
    let place = bin.as_str().or_else(|| bin[name].as_str())?;
    confine::existing(&home, place).ok()
}
