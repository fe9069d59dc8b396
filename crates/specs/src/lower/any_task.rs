//! Tasks of apps: those that we know become what they mean, others are kept as they are (bamboo-specs.md 4.5).

use madake_domain::plan::{
    AntTask, CommandTask, InjectScope, InjectVariablesTask, Interpreter, MavenTask, NodeTask, NodeTool,
    PluginTask, ScriptSource, ScriptTask, Task, TaskAction, TaskTests, TestFormat, TestParserTask,
    TestReportKind, VariableUpdateTask, VcsBranchTask, VcsCommitTask, VcsPushTask, VcsTagTask,
};

use super::item::Item;
use super::settings::Settings;
use super::task::Common;
use super::{Context, docker_task, script};
use crate::language::{State, app, task as language};
use crate::report::{Finding, nearest, shown};

/// Settings that tasks of apps have in common, for suggestions.
const SETTINGS: [&str; 12] = [
    "environmentVariables",
    "workingSubDirectory",
    "buildJdk",
    "label",
    "runtime",
    "testChecked",
    "testResultsDirectory",
    "pickupOutdatedFiles",
    "command",
    "arguments",
    "selectedRepository",
    "commandOption",
];

pub(super) fn any_task(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::ANY_TASK)?;
    let common = Common::of(cx, &mut fields);
    let plugin_key = fields.need_text(cx, "plugin-key");
    let configuration = fields.entry("configuration");
    fields.finish(cx);
    let plugin_key = plugin_key?;
    let known = app::APPS.iter().find(|app| app.name == plugin_key);
    let place = configuration.map_or(item.span, |entry| entry.key.span);
    let mut settings = Settings::of(cx, configuration.map(|entry| &entry.value), place);
    let action = match known {
        Some(_) => {
            let action = action(cx, &plugin_key, &mut settings)?;
            for setting in settings.rest() {
                let message = format!("the setting `{}` of this task is not known", shown(&setting.name));
                let suggestion = nearest(&setting.name, SETTINGS);
                cx.add(
                    Finding::warning("unknown-key", setting.key_span, message)
                        .suggestion(suggestion)
                        .note("it has no effect"),
                );
            }
            action
        }
        None => TaskAction::Plugin(PluginTask {
            plugin_key: plugin_key.clone(),
            configuration: settings.into_left(),
        }),
    };
    match known.map(|app| app.state) {
        Some(State::Acts) => {}
        Some(State::NotYet(instead)) => {
            cx.not_run(
                item.span,
                &format!("the task `{}` of an app", action.type_name()),
                instead,
            );
        }
        None => cx.not_run(
            item.span,
            &format!(
                "the task `{}`, which is of an app that is not known here",
                shown(&plugin_key)
            ),
            "the job fails with a message when it comes to this task",
        ),
    }
    Some(common.task(action))
}

fn action(cx: &mut Context<'_>, plugin_key: &str, settings: &mut Settings) -> Option<TaskAction> {
    let end = plugin_key.rsplit(':').next().unwrap_or(plugin_key);
    if let Some(tool) = end
        .strip_prefix("task.builder.")
        .and_then(|name| NodeTool::ALL.into_iter().find(|tool| tool.as_str() == name))
    {
        return Some(TaskAction::Node(node(cx, tool, settings)));
    }
    Some(match end {
        "task.builder.script" => TaskAction::Script(script_task(cx, settings)?),
        "task.builder.command" => TaskAction::Command(CommandTask {
            executable: settings.need(cx, "label")?,
            argument: settings.text("argument"),
            environment: settings.text("environmentVariables"),
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "task.builder.mvn2" | "task.builder.mvn3" => TaskAction::Maven(MavenTask {
            executable: settings.need(cx, "label")?,
            jdk: settings.text("buildJdk"),
            goal: settings.need(cx, "goal")?,
            tests: tests(cx, settings, "testDirectoryOption"),
            environment: settings.text("environmentVariables"),
            working_directory: settings.path(cx, "workingSubDirectory"),
            project_file: settings.text("projectFile"),
            use_return_code: settings.flag(cx, "useMavenReturnCode"),
        }),
        "task.builder.ant" => TaskAction::Ant(AntTask {
            executable: settings.need(cx, "label")?,
            jdk: settings.text("buildJdk"),
            target: settings.text("target"),
            build_file: settings.text("buildFile"),
            tests: tests(cx, settings, "testDirectoryOption"),
            environment: settings.text("environmentVariables"),
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "task.reporter.mocha" => {
            let patterns = patterns(&settings.text("testPattern"));
            parser(cx, TestReportKind::Mocha, patterns, settings)
        }
        "task.testresultparser.junit" => reports(cx, TestReportKind::Junit, settings),
        "task.testresultparser.testng" => reports(cx, TestReportKind::Testng, settings),
        "nunit" => reports(cx, TestReportKind::Nunit, settings),
        "mstest" => {
            let patterns = patterns(&settings.text("mstestTestResultsDirectory"));
            parser(cx, TestReportKind::Mstest, patterns, settings)
        }
        "msbuild" | "devenv" => {
            without_effect(cx, settings, &["vsEnvironment"]);
            TaskAction::Command(CommandTask {
                executable: settings.need(cx, "label")?,
                argument: words([settings.text("options"), word(&settings.need(cx, "solution")?)]),
                environment: settings.text("environmentVariables"),
                working_directory: settings.path(cx, "workingSubDirectory"),
            })
        }
        "nunitRunner" => {
            without_effect(cx, settings, &["run", "include", "exclude", "nunitResultsFile"]);
            TaskAction::Command(CommandTask {
                executable: settings.need(cx, "label")?,
                argument: words([
                    word(&settings.need(cx, "nunitTestFiles")?),
                    settings.text("commandLineOptions"),
                ]),
                environment: settings.text("environmentVariables"),
                working_directory: settings.path(cx, "workingSubDirectory"),
            })
        }
        "maven-pom-parser-plugin" => TaskAction::Plugin(PluginTask {
            plugin_key: plugin_key.to_owned(),
            configuration: settings.take_left(),
        }),
        "task.docker.cli" => TaskAction::Docker(Box::new(docker_task::docker(cx, settings)?)),
        "task.vcs.tagging" => TaskAction::VcsTag(VcsTagTask {
            repository: repository(settings),
            tag: settings.need(cx, "tagName")?,
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "task.vcs.branching" => TaskAction::VcsBranch(VcsBranchTask {
            repository: repository(settings),
            branch: settings.need(cx, "branchName")?,
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "task.vcs.commit" => TaskAction::VcsCommit(VcsCommitTask {
            repository: repository(settings),
            message: settings.need(cx, "commitMessage")?,
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "task.vcs.push" => TaskAction::VcsPush(VcsPushTask {
            repository: repository(settings),
            working_directory: settings.path(cx, "workingSubDirectory"),
        }),
        "inject" => TaskAction::InjectVariables(InjectVariablesTask {
            file: settings.need(cx, "filePath")?,
            scope: if settings.text("variableScope").eq_ignore_ascii_case("result") {
                InjectScope::Result
            } else {
                InjectScope::Local
            },
            namespace: settings.take("namespace").unwrap_or_else(|| "inject".to_owned()),
        }),
        "dump" => TaskAction::DumpVariables,
        _ => TaskAction::UpdateVariable(VariableUpdateTask {
            variable: settings.need(cx, "variable")?,
            strategy: settings.text("strategy"),
            scope: settings.text("variableScope"),
            settings: settings.take_left(),
        }),
    })
}

/// Says of settings that the app has, and that are not acted on.
fn without_effect(cx: &mut Context<'_>, settings: &mut Settings, names: &[&str]) {
    for name in names {
        let setting = settings.take_placed(name);
        if let Some(setting) = setting.filter(|setting| !setting.value.trim().is_empty()) {
            let what = format!("the setting `{name}` of this task");
            cx.not_run(setting.key_span, &what, "it has no effect yet");
        }
    }
}

/// A text as one word of arguments.
fn word(text: &str) -> String {
    if text.contains(char::is_whitespace) && !text.contains(['"', '\'']) {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    }
}

/// Words of arguments, without those that are empty.
fn words(parts: [String; 2]) -> String {
    let given: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    given.join(" ")
}

fn script_task(cx: &mut Context<'_>, settings: &mut Settings) -> Option<ScriptTask> {
    let interpreter = settings.take_placed("interpreter");
    let location = settings.text("scriptLocation");
    let (body, file) = (settings.text("scriptBody"), settings.text("script"));
    let source = if location.eq_ignore_ascii_case("file") || (body.is_empty() && !file.is_empty()) {
        ScriptSource::File(file)
    } else {
        ScriptSource::Inline(body)
    };
    Some(ScriptTask {
        interpreter: match interpreter {
            Some(setting) => script::interpreter_named(cx, setting.span, &setting.value)?,
            None => Interpreter::Shell,
        },
        source,
        argument: settings.text("argument"),
        environment: settings.text("environmentVariables"),
        working_directory: settings.path(cx, "workingSubDirectory"),
    })
}

/// Reports that a build tool leaves: `testChecked`, `testResultsDirectory` and which of the two it is.
fn tests(cx: &mut Context<'_>, settings: &mut Settings, option: &str) -> TaskTests {
    let checked = settings.flag(cx, "testChecked");
    let directory = settings.text("testResultsDirectory");
    let usual = settings.text(option).to_ascii_lowercase().contains("standard");
    match (checked, usual || directory.is_empty()) {
        (false, _) => TaskTests::None,
        (true, true) => TaskTests::Usual,
        (true, false) => TaskTests::Pattern(directory),
    }
}

fn node(cx: &mut Context<'_>, tool: NodeTool, settings: &mut Settings) -> NodeTask {
    let name = tool.as_str();
    let (command, arguments) = match tool {
        NodeTool::Node => (settings.text("command"), settings.text("arguments")),
        NodeTool::Npm | NodeTool::Bower => (settings.text("command"), String::new()),
        NodeTool::Grunt | NodeTool::Gulp => (settings.text("task"), String::new()),
        NodeTool::Mocha | NodeTool::Nodeunit => (settings.text("testFiles"), settings.text("arguments")),
    };
    let tests = settings.flag(cx, "parseTestResults");
    let directory = settings.take("testResultsDirectory");
    let pattern = directory
        .or_else(|| settings.take("testResultsDir"))
        .unwrap_or_default();
    NodeTask {
        tool,
        runtime: settings.text("runtime"),
        tool_path: settings.text(&format!("{name}Runtime")),
        command,
        arguments,
        config_file: settings.text("configFile"),
        isolated_cache: settings.flag(cx, "isolatedCache"),
        tests: match (tests, pattern.is_empty()) {
            (false, _) => TaskTests::None,
            (true, true) => TaskTests::Usual,
            (true, false) => TaskTests::Pattern(pattern),
        },
        environment: settings.text("environmentVariables"),
        working_directory: settings.path(cx, "workingSubDirectory"),
    }
}

fn reports(cx: &mut Context<'_>, kind: TestReportKind, settings: &mut Settings) -> TaskAction {
    let patterns = patterns(&settings.text("testResultsDirectory"));
    parser(cx, kind, patterns, settings)
}

fn parser(
    cx: &mut Context<'_>,
    kind: TestReportKind,
    patterns: Vec<String>,
    settings: &mut Settings,
) -> TaskAction {
    TaskAction::TestParser(TestParserTask {
        format: TestFormat::Known(kind),
        patterns,
        ignore_time: settings.flag(cx, "pickupOutdatedFiles"),
    })
}

fn patterns(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The repository of a task; `None` is the default one.
fn repository(settings: &mut Settings) -> Option<String> {
    settings
        .take("selectedRepository")
        .filter(|name| name != "defaultRepository" && !name.is_empty())
}
