//! Tasks and their conditions.

use madake_domain::plan::{
    ArtifactDownloadTask, DockerTask, DockerTaskAction, Dockerfile, InjectScope, Interpreter, NodeTask,
    NodeTool, Registry, RegistryLogin, RemoteAuthentication, RemoteLogin, ScriptSource, ScriptTask,
    SecretText, Task, TaskAction, TaskCondition, TaskTests, TestFormat,
};

use super::job;
use super::yaml::{Entries, Out, item, named, texts_of};

/// A list of tasks; those that cannot be written are left out.
pub(super) fn tasks(tasks: &[Task]) -> Vec<Out> {
    tasks.iter().filter_map(task).collect()
}

fn task(task: &Task) -> Option<Out> {
    let mut entries = Entries::default();
    let name = match &task.action {
        TaskAction::Script(task) => {
            script(&mut entries, task);
            "script"
        }
        TaskAction::Checkout(task) => {
            entries.maybe_text("repository", task.repository.as_deref());
            entries.some_text("path", &task.path);
            entries.flag_unless("force-clean-build", task.force_clean_build, false);
            "checkout"
        }
        TaskAction::Clean => "clean",
        TaskAction::DumpVariables => "dump-variables",
        TaskAction::ArtifactDownload(task) => {
            download(&mut entries, task);
            "artifact-download"
        }
        TaskAction::InjectVariables(task) => {
            entries.text("file", task.file.as_str());
            if task.scope == InjectScope::Result {
                entries.text("scope", "RESULT");
            }
            if task.namespace != "inject" {
                entries.text("namespace", task.namespace.as_str());
            }
            "inject-variables"
        }
        TaskAction::TestParser(task) => {
            match &task.format {
                TestFormat::Known(kind) => entries.text("type", kind.as_str()),
                TestFormat::Variable(text) => entries.text("type", text.as_str()),
            }
            entries.texts("test-results", &task.patterns);
            entries.flag_unless("ignore-time", task.ignore_time, false);
            "test-parser"
        }
        TaskAction::Maven(task) => {
            entries.text("executable", task.executable.as_str());
            entries.some_text("jdk", &task.jdk);
            entries.text("goal", task.goal.as_str());
            match &task.tests {
                TaskTests::None => {}
                TaskTests::Usual => entries.flag("tests", true),
                TaskTests::Pattern(pattern) => entries.text("tests", pattern.as_str()),
            }
            entries.some_text("environment", &task.environment);
            entries.some_text("working-dir", &task.working_directory);
            entries.some_text("project-file", &task.project_file);
            entries.flag_unless("use-return-code", task.use_return_code, false);
            "maven"
        }
        TaskAction::Command(task) => {
            entries.text("executable", task.executable.as_str());
            entries.some_text("argument", &task.argument);
            entries.some_text("environment", &task.environment);
            entries.some_text("working-dir", &task.working_directory);
            "command"
        }
        TaskAction::Ssh(task) => {
            login(&mut entries, &task.login);
            entries.text("command", task.command.as_str());
            "ssh"
        }
        TaskAction::Scp(task) => {
            login(&mut entries, &task.login);
            entries.text("local-path", task.local_path.as_str());
            entries.flag_unless("use-ant-pattern", task.use_ant_pattern, false);
            entries.some_text("destination-path", &task.destination_path);
            "scp"
        }
        TaskAction::StopJob(task) => {
            entries.flag_unless("success", task.success, false);
            "stop-job"
        }
        TaskAction::VcsTag(task) => {
            entries.text("tag", task.tag.as_str());
            repository(&mut entries, task.repository.as_deref(), &task.working_directory);
            "vcs-tag"
        }
        TaskAction::VcsBranch(task) => {
            entries.text("branch", task.branch.as_str());
            repository(&mut entries, task.repository.as_deref(), &task.working_directory);
            "vcs-branch"
        }
        TaskAction::VcsCommit(task) => {
            entries.text("message", task.message.as_str());
            repository(&mut entries, task.repository.as_deref(), &task.working_directory);
            "vcs-commit"
        }
        TaskAction::VcsPush(task) => {
            repository(&mut entries, task.repository.as_deref(), &task.working_directory);
            "vcs-push"
        }
        TaskAction::Unsupported { .. } => return None,
        app => {
            any_task(&mut entries, app);
            "any-task"
        }
    };
    entries.some_text("description", &task.description);
    entries.flag_unless("enabled", task.enabled, true);
    entries.list("conditions", task.conditions.iter().map(condition).collect());
    Some(item(name, entries))
}

fn condition(condition: &TaskCondition) -> Out {
    let map = |operator: &str, variable: &str, value: &str| {
        named(operator, named(variable, Out::Text(value.to_owned())))
    };
    named(
        "variable",
        match condition {
            TaskCondition::Equals { variable, value } => map("equals", variable, value),
            TaskCondition::NotEquals { variable, value } => map("not-equals", variable, value),
            TaskCondition::Matches { variable, pattern } => map("matches", variable, pattern),
            TaskCondition::Exists { variable } => named("exists", Out::Text(variable.clone())),
            TaskCondition::NotExists { variable } => named("not-exists", Out::Text(variable.clone())),
        },
    )
}

fn script(entries: &mut Entries, task: &ScriptTask) {
    match task.interpreter {
        Interpreter::Shell => {}
        Interpreter::BinShOrCmdExe => entries.text("interpreter", "BINSH_OR_CMDEXE"),
        Interpreter::PowerShell => entries.text("interpreter", "WINDOWS_POWER_SHELL"),
        Interpreter::CmdExe => entries.text("interpreter", "cmd.exe"),
    }
    match &task.source {
        ScriptSource::Inline(body) => entries.put("scripts", Out::List(vec![Out::Text(body.clone())])),
        ScriptSource::File(file) => entries.text("file", file.as_str()),
    }
    entries.some_text("argument", &task.argument);
    entries.some_text("environment", &task.environment);
    entries.some_text("working-dir", &task.working_directory);
}

fn download(entries: &mut Entries, task: &ArtifactDownloadTask) {
    if let Some(plan) = &task.source_plan {
        entries.text("source-plan", plan.as_str());
    }
    entries.maybe_text("custom-branch", task.custom_branch.as_deref());
    let items = task.items.iter().map(|one| {
        let mut entries = Entries::default();
        entries.maybe_text("name", one.name.as_deref());
        entries.some_text("destination", &one.destination);
        Out::Map(entries)
    });
    entries.list("artifacts", items.collect());
}

fn login(entries: &mut Entries, login: &RemoteLogin) {
    entries.put("host", texts_of(&login.hosts));
    entries.maybe_number("port", login.port);
    entries.maybe_text("host-fingerprint", login.host_fingerprint.as_deref());
    let mut authentication = Entries::default();
    authentication.some_text("username", &login.username);
    match &login.authentication {
        RemoteAuthentication::Agent => {}
        RemoteAuthentication::Password { password } => authentication.text("password", password.reveal()),
        RemoteAuthentication::Key { key, passphrase } => {
            authentication.text("ssh-key", key.reveal());
            authentication.maybe_text("ssh-key-passphrase", passphrase.as_ref().map(SecretText::reveal));
        }
        RemoteAuthentication::Shared { name } => authentication.text("shared-credentials", name.as_str()),
    }
    entries.map("authentication", authentication);
}

fn repository(entries: &mut Entries, repository: Option<&str>, working_directory: &str) {
    entries.maybe_text("repository", repository);
    entries.some_text("working-dir", working_directory);
}

/// A task that only the app's key can name, with the app's settings.
fn any_task(entries: &mut Entries, action: &TaskAction) {
    let mut settings = Entries::default();
    let plugin_key = match action {
        TaskAction::Ant(task) => {
            settings.text("label", task.executable.as_str());
            settings.some_text("buildJdk", &task.jdk);
            settings.some_text("target", &task.target);
            settings.some_text("buildFile", &task.build_file);
            match &task.tests {
                TaskTests::None => {}
                TaskTests::Usual => settings.flag("testChecked", true),
                TaskTests::Pattern(pattern) => {
                    settings.flag("testChecked", true);
                    settings.text("testResultsDirectory", pattern.as_str());
                }
            }
            settings.some_text("environmentVariables", &task.environment);
            settings.some_text("workingSubDirectory", &task.working_directory);
            "com.atlassian.bamboo.plugins.ant:task.builder.ant".to_owned()
        }
        TaskAction::Node(task) => {
            node(&mut settings, task);
            format!(
                "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.{}",
                task.tool.as_str()
            )
        }
        TaskAction::Docker(task) => {
            docker(&mut settings, task);
            "com.atlassian.bamboo.plugins.bamboo-docker-plugin:task.docker.cli".to_owned()
        }
        TaskAction::UpdateVariable(task) => {
            settings.text("variable", task.variable.as_str());
            settings.some_text("strategy", &task.strategy);
            settings.some_text("variableScope", &task.scope);
            job::settings_into(&mut settings, &task.settings);
            "com.atlassian.bamboo.plugins.variable.updater.variable-updater-generic:variable-updater"
                .to_owned()
        }
        TaskAction::Plugin(task) => {
            entries.text("plugin-key", task.plugin_key.as_str());
            if !task.configuration.is_empty() {
                entries.put("configuration", job::settings(&task.configuration));
            }
            return;
        }
        other => other.type_name().to_owned(),
    };
    entries.text("plugin-key", plugin_key);
    entries.map("configuration", settings);
}

fn node(settings: &mut Entries, task: &NodeTask) {
    settings.some_text("runtime", &task.runtime);
    settings.some_text(&format!("{}Runtime", task.tool.as_str()), &task.tool_path);
    let command = match task.tool {
        NodeTool::Node | NodeTool::Npm | NodeTool::Bower => "command",
        NodeTool::Grunt | NodeTool::Gulp => "task",
        NodeTool::Mocha | NodeTool::Nodeunit => "testFiles",
    };
    settings.some_text(command, &task.command);
    settings.some_text("arguments", &task.arguments);
    settings.some_text("configFile", &task.config_file);
    settings.flag_unless("isolatedCache", task.isolated_cache, false);
    match &task.tests {
        TaskTests::None => {}
        TaskTests::Usual => settings.flag("parseTestResults", true),
        TaskTests::Pattern(pattern) => {
            settings.flag("parseTestResults", true);
            settings.text("testResultsDirectory", pattern.as_str());
        }
    }
    settings.some_text("environmentVariables", &task.environment);
    settings.some_text("workingSubDirectory", &task.working_directory);
}

fn docker(settings: &mut Entries, task: &DockerTask) {
    match &task.action {
        DockerTaskAction::Build(build) => {
            settings.text("commandOption", "build");
            settings.text("repository", build.image.as_str());
            match &build.dockerfile {
                Dockerfile::Existing => settings.text("dockerfileOption", "existing"),
                Dockerfile::Inline(text) => {
                    settings.text("dockerfileOption", "inline");
                    settings.text("dockerfile", text.as_str());
                }
            }
            settings.flag_unless("nocache", build.no_cache, false);
            if let Some(file) = &build.save_to {
                settings.flag("save", true);
                settings.text("filename", file.as_str());
            }
            settings.some_text("buildOptions", &build.options);
        }
        DockerTaskAction::Run(run) => {
            settings.text("commandOption", "run");
            settings.text("image", run.image.as_str());
            settings.some_text("name", &run.name);
            settings.flag_unless("detach", run.detach, false);
            settings.flag_unless("link", run.link, false);
            settings.some_text("command", &run.command);
            settings.some_text("workDir", &run.container_directory);
            settings.some_text("envVars", &run.variables);
            settings.some_text("additionalArgs", &run.arguments);
            for (number, (outside, inside)) in run.ports.iter().enumerate() {
                settings.text(&format!("hostPort_{number}"), outside.as_str());
                settings.text(&format!("containerPort_{number}"), inside.as_str());
            }
            for (number, (outside, inside)) in run.volumes.iter().enumerate() {
                settings.text(&format!("hostDirectory_{number}"), outside.as_str());
                settings.text(&format!("containerDataVolume_{number}"), inside.as_str());
            }
            settings.flag_unless("serviceWait", run.wait_for_service, false);
            settings.some_text("serviceUrlPattern", &run.service_url);
            settings.maybe_number("serviceTimeout", run.service_timeout_seconds);
        }
        DockerTaskAction::Push(push) => {
            settings.text("commandOption", "push");
            settings.text("pushRepository", push.image.as_str());
            registry(settings, "registryOption", push.registry);
            registry_login(
                settings,
                &push.login,
                ["pushSharedCredentialsId", "username", "password"],
            );
        }
        DockerTaskAction::Pull(pull) => {
            settings.text("commandOption", "pull");
            settings.text("pullRepository", pull.image.as_str());
            registry(settings, "pullRegistryOption", pull.registry);
            registry_login(
                settings,
                &pull.login,
                ["pullSharedCredentialsId", "pullUsername", "pullPassword"],
            );
        }
    }
    settings.some_text("environmentVariables", &task.environment);
    settings.some_text("workingSubDirectory", &task.working_directory);
}

fn registry(settings: &mut Entries, key: &str, registry: Registry) {
    if registry == Registry::Custom {
        settings.text(key, "custom");
    }
}

fn registry_login(settings: &mut Entries, login: &RegistryLogin, [shared, user, word]: [&str; 3]) {
    match login {
        RegistryLogin::Agent => {}
        RegistryLogin::Password { username, password } => {
            settings.text(user, username.as_str());
            settings.some_text(word, password.reveal());
        }
        RegistryLogin::Shared { id } => settings.text(shared, id.as_str()),
    }
}
