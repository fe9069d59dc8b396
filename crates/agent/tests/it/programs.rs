//! Tasks that run a program by its label, and what keeps a task from running.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use madake_domain::plan::{
    AntTask, CommandTask, DockerBuild, DockerPull, DockerPush, DockerRun, DockerTask, DockerTaskAction,
    Dockerfile, MavenTask, NodeTask, NodeTool, PluginTask, Registry, RegistryLogin, SecretText, StopJobTask,
    Task, TaskAction, TaskCondition, TaskTests,
};
use madake_protocol::{Bubblewrap, CredentialContent, Isolation, JobCredential, JobOrder, JobResult, Secret};

use crate::bench::{Bench, script, secret, task, variable};
use crate::sandboxes::sandbox;

/// A program that shows what it was called with and a few variables.
const SHOWS: &str = "#!/bin/sh\necho \"$(basename \"$0\")$(printf ' [%s]' \"$@\")\"\n\
                     echo \"A=$A JAVA_HOME=$JAVA_HOME in $(basename \"$PWD\")\"\nexit ${CODE:-0}\n";

fn program(bench: &Bench, path: &str) -> PathBuf {
    let path = bench.home().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, SHOWS).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn knows(order: &mut JobOrder, key: &str, path: &Path) {
    order.capabilities.push((key.to_owned(), text(path)));
}

fn command(change: impl FnOnce(&mut CommandTask)) -> Task {
    let mut command = CommandTask::default();
    change(&mut command);
    task(TaskAction::Command(command))
}

fn node(tool: NodeTool, change: impl FnOnce(&mut NodeTask)) -> Task {
    let mut node = NodeTask {
        tool,
        runtime: "Node.js 20".into(),
        tool_path: String::new(),
        command: String::new(),
        arguments: String::new(),
        config_file: String::new(),
        isolated_cache: false,
        tests: TaskTests::None,
        environment: String::new(),
        working_directory: String::new(),
    };
    change(&mut node);
    task(TaskAction::Node(node))
}

#[tokio::test]
async fn command_is_found_by_its_label_and_gets_words_environment_and_folder() {
    let bench = Bench::new();
    let tool = program(&bench, "tools/paint");
    fs::create_dir_all(bench.work().join("sub")).unwrap();
    let mut order = bench.order(vec![command(|it| {
        it.executable = "${bamboo.tool}".into();
        it.argument = "--fast \"two words\" ${bamboo.branch} $HOME ; `id`".into();
        it.environment = "A=\"x ${bamboo.branch}\"".into();
        it.working_directory = "sub".into();
    })]);
    knows(&mut order, "system.builder.command.Paint 2", &tool);
    let mut branch = variable("branch", "b' --evil");
    branch.may_refer = false;
    order.variables = vec![variable("tool", "Paint 2"), branch];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        bench.output(),
        [
            "paint [--fast] [two words] [b' --evil] [$HOME] [;] [`id`]",
            "A=x b' --evil JAVA_HOME= in sub"
        ]
    );
    assert!(outcome.first_command_started_ms.is_some());
}

#[tokio::test]
async fn exit_code_of_a_program_decides() {
    let bench = Bench::new();
    let tool = program(&bench, "tools/paint");
    let mut order = bench.order(vec![command(|it| {
        it.executable = "system.builder.command.Paint".into();
        it.environment = "CODE=7".into();
    })]);
    knows(&mut order, "system.builder.command.Paint", &tool);
    let outcome = bench.run(&order).await;
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Failed, Some(7)));
    assert!(
        outcome.message.ends_with("the program ended with exit code 7"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn program_that_no_capability_knows_is_looked_for_on_the_path_and_then_told_of() {
    let bench = Bench::new();
    let outcome = bench
        .run(&bench.order(vec![
            command(|it| {
                it.executable = "printf".into();
                it.argument = "'%s|' a 'b c'".into();
            }),
            command(|it| it.executable = "Paint 2".into()),
        ]))
        .await;
    assert_eq!(bench.output(), ["a|b c|"]);
    assert!(
        outcome.message.contains(
            "no executable labelled `Paint 2` on this agent: set the capability `system.builder.command.Paint 2` to \
             its path"
        ),
        "{}",
        outcome.message
    );
    for path in ["/bin/echo", "../echo", "./echo"] {
        let bench = Bench::new();
        let order = bench.order(vec![command(|it| it.executable = path.into())]);
        let outcome = bench.run(&order).await;
        assert!(
            outcome.message.contains("no executable labelled"),
            "{}",
            outcome.message
        );
    }
}

#[tokio::test]
async fn capability_that_names_no_program_is_named() {
    let bench = Bench::new();
    let mut order = bench.order(vec![command(|it| it.executable = "Paint".into())]);
    knows(
        &mut order,
        "system.builder.command.Paint",
        Path::new("/none/paint"),
    );
    let outcome = bench.run(&order).await;
    assert!(
        outcome
            .message
            .contains("the capability `system.builder.command.Paint` of this agent names /none/paint"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn maven_and_ant_get_their_file_goals_and_jdk() {
    let bench = Bench::new();
    program(&bench, "maven/bin/mvn");
    program(&bench, "ant/bin/ant");
    program(&bench, "jdk/bin/java");
    let mut order = bench.order(vec![
        task(TaskAction::Maven(MavenTask {
            executable: "Maven 3".into(),
            jdk: "JDK 21".into(),
            goal: "clean -Dname=\"a b\" install".into(),
            project_file: "parent/pom.xml".into(),
            environment: "A=1".into(),
            ..MavenTask::default()
        })),
        task(TaskAction::Ant(AntTask {
            executable: "Ant".into(),
            target: "dist".into(),
            build_file: "other.xml".into(),
            ..AntTask::default()
        })),
        task(TaskAction::Maven(MavenTask {
            executable: "Maven 3".into(),
            jdk: "JDK 99".into(),
            goal: "x".into(),
            ..MavenTask::default()
        })),
    ]);
    let (maven, ant, jdk) = ["maven", "ant", "jdk"].map(|name| bench.home().join(name)).into();
    knows(&mut order, "system.builder.mvn3.Maven 3", &maven);
    knows(&mut order, "system.builder.ant.Ant", &ant);
    knows(&mut order, "system.jdk.JDK 21", &jdk);
    let outcome = bench.run(&order).await;
    assert_eq!(
        bench.output(),
        [
            "mvn [-f] [parent/pom.xml] [clean] [-Dname=a b] [install]",
            &format!("A=1 JAVA_HOME={} in work", jdk.display()),
            "ant [-f] [other.xml] [dist]",
            "A= JAVA_HOME= in work",
        ]
    );
    assert!(
        outcome.message.contains("no JDK labelled `JDK 99` on this agent"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn jdk_that_is_no_folder_is_named_and_nothing_runs() {
    let bench = Bench::new();
    let maven = program(&bench, "maven/bin/mvn");
    let mut order = bench.order(vec![task(TaskAction::Maven(MavenTask {
        executable: "Maven 3".into(),
        jdk: "JDK 8".into(),
        goal: "x".into(),
        ..MavenTask::default()
    }))]);
    knows(&mut order, "system.builder.mvn3.Maven 3", &maven);
    knows(&mut order, "system.jdk.JDK 8", Path::new("/none/jdk8"));
    let outcome = bench.run(&order).await;
    assert!(
        outcome.message.contains(
            "the capability `system.jdk.JDK 8` of this agent names /none/jdk8, which is no folder; correct it with \
             `madake capability set`"
        ),
        "{}",
        outcome.message
    );
    assert!(bench.output().is_empty(), "{}", bench.log_text());
}

#[tokio::test]
async fn isolated_jobs_say_which_capability_they_do_not_see() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let (maven, jdk) = (program(&bench, "maven/bin/mvn"), bench.home().join("jdk"));
    fs::create_dir(&jdk).unwrap();
    let goal = || {
        task(TaskAction::Maven(MavenTask {
            executable: "Maven 3".into(),
            jdk: "JDK 21".into(),
            goal: "x".into(),
            ..MavenTask::default()
        }))
    };
    for (readable, missing) in [
        (Vec::new(), Some(("system.builder.mvn3.Maven 3", &maven))),
        (
            vec![bench.home().join("maven")],
            Some(("system.jdk.JDK 21", &jdk)),
        ),
        (vec![bench.home().join("maven"), jdk.clone()], None),
    ] {
        let bench = Bench::new();
        let mut order = bench.order(vec![goal()]);
        knows(&mut order, "system.builder.mvn3.Maven 3", &maven);
        knows(&mut order, "system.jdk.JDK 21", &jdk);
        order.isolation = Isolation::Bubblewrap(Bubblewrap {
            readable,
            ..settings.clone()
        });
        let outcome = bench.run(&order).await;
        match missing {
            Some((key, path)) => {
                let told = format!(
                    "the capability `{key}` of this agent names {}, which isolated jobs do not see: name a folder that \
                     holds it in `readable` of `[agent]`",
                    path.display()
                );
                assert!(outcome.message.contains(&told), "{}", outcome.message);
            }
            None => assert_eq!(bench.output()[0], "mvn [x]", "{}", bench.log_text()),
        }
    }
}

#[tokio::test]
async fn tools_of_node_are_run_by_the_runtime_from_the_project() {
    let bench = Bench::new();
    let runtime = program(&bench, "node20/bin/node");
    let reports = "case \"$*\" in *mocha-bamboo-reporter*)\n  \
                   echo '{\"passes\": [{\"title\": \"adds\", \"fullTitle\": \"sum adds\"}]}' > mocha.json;;\nesac\n";
    fs::write(&runtime, SHOWS.replace("exit ", &format!("{reports}exit "))).unwrap();
    program(&bench, "node20/bin/npm");
    let place = |name: &str| {
        let path = bench.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        text(&path.canonicalize().unwrap())
    };
    let gulp = place("node_modules/gulp/bin/gulp.js");
    let mocha = place("tools/mocha");
    let mut order = bench.order(vec![
        node(NodeTool::Node, |it| {
            it.command = "app.js".into();
            it.arguments = "--port 8080".into();
        }),
        node(NodeTool::Npm, |it| it.command = "run build -- --prod".into()),
        node(NodeTool::Gulp, |it| {
            it.command = "dist".into();
            it.config_file = "gulp.prod.js".into();
        }),
        node(NodeTool::Mocha, |it| {
            it.command = "test/".into();
            it.tool_path = "tools/mocha".into();
            it.arguments = "--bail".into();
            it.tests = TaskTests::Usual;
        }),
        node(NodeTool::Grunt, |it| it.command = "x".into()),
    ]);
    knows(&mut order, "system.builder.node.Node.js 20", &runtime);
    let outcome = bench.run(&order).await;
    let lines: Vec<String> = bench
        .output()
        .into_iter()
        .filter(|line| line.contains('['))
        .collect();
    assert_eq!(
        lines,
        [
            "node [app.js] [--port] [8080]".to_owned(),
            "npm [run] [build] [--] [--prod]".to_owned(),
            format!("node [{gulp}] [dist] [--gulpfile] [gulp.prod.js]"),
            format!("node [{mocha}] [test/] [--reporter] [mocha-bamboo-reporter] [--bail]"),
        ]
    );
    assert!(
        outcome.message.contains(
            "`node_modules/grunt-cli/bin/grunt` is not there: let a task before this one run `npm install`"
        ),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn tools_that_moved_are_found_by_what_their_package_says() {
    let bench = Bench::new();
    let runtime = program(&bench, "bin/node");
    let write = |name: &str, content: &str| {
        let path = bench.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    };
    write(
        "node_modules/mocha/package.json",
        r#"{"bin": {"_mocha": "x", "mocha": "./bin/mocha.js"}}"#,
    );
    write("node_modules/mocha/bin/mocha.js", "");
    write("node_modules/bower/package.json", r#"{"bin": "cli.js"}"#);
    write("node_modules/bower/cli.js", "");
    write(
        "node_modules/grunt/package.json",
        r#"{"bin": {"grunt": "bin/grunt"}}"#,
    );
    write("node_modules/grunt/bin/grunt", "");
    write(
        "web/node_modules/gulp/package.json",
        r#"{"bin": {"gulp": "gulp.mjs"}}"#,
    );
    write("web/node_modules/gulp/gulp.mjs", "");
    write(
        "node_modules/nodeunit/package.json",
        r#"{"bin": {"nodeunit": "../../../outside"}}"#,
    );
    fs::write(bench.home().join("outside"), "").unwrap();
    let mut order = bench.order(vec![
        node(NodeTool::Mocha, |it| {
            it.tool_path = "node_modules/mocha/bin/mocha".into();
        }),
        node(NodeTool::Bower, |it| it.command = "install".into()),
        node(NodeTool::Grunt, |_| {}),
        node(NodeTool::Gulp, |it| it.working_directory = "web".into()),
        node(NodeTool::Nodeunit, |_| {}),
    ]);
    knows(&mut order, "system.builder.node.Node.js 20", &runtime);
    let outcome = bench.run(&order).await;
    let lines: Vec<String> = bench
        .output()
        .into_iter()
        .filter(|line| line.contains('['))
        .map(|line| line.replace(&text(&bench.work().canonicalize().unwrap()), ""))
        .collect();
    assert_eq!(
        lines,
        [
            "node [/node_modules/mocha/bin/mocha.js]",
            "node [/node_modules/bower/cli.js] [install]",
            "node [/node_modules/grunt/bin/grunt]",
            "node [/web/node_modules/gulp/gulp.mjs]",
        ]
    );
    assert!(
        outcome
            .message
            .contains("`node_modules/nodeunit/bin/nodeunit` is not there"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn program_that_is_taken_in_the_place_of_another_is_named() {
    let bench = Bench::new();
    let tools = program(&bench, "tools/mvn");
    let mut order = bench.order(vec![
        task(TaskAction::Maven(MavenTask {
            executable: "Maven 2.2.1".into(),
            goal: "validate".into(),
            ..MavenTask::default()
        })),
        task(TaskAction::Maven(MavenTask::default())),
    ]);
    let path = format!("{}:/usr/bin:/bin", tools.parent().unwrap().display());
    order.environment.push(("PATH".into(), path));
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let told: Vec<String> = bench
        .log()
        .into_iter()
        .map(|(_, text)| text.replace(tools.to_str().unwrap(), "MVN"))
        .filter(|text| text.contains("labelled"))
        .collect();
    assert_eq!(
        told,
        [
            "There is no executable labelled `Maven 2.2.1` on this agent; MVN is taken, which is `mvn` along the PATH"
        ]
    );
}

#[tokio::test]
async fn path_of_a_tool_does_not_leave_the_working_directory() {
    for bad in ["../outside", "/bin/true", "link"] {
        let bench = Bench::new();
        let runtime = program(&bench, "bin/node");
        fs::create_dir_all(bench.work()).unwrap();
        symlink("/bin/true", bench.work().join("link")).unwrap();
        let mut order = bench.order(vec![node(NodeTool::Gulp, |it| it.tool_path = bad.into())]);
        knows(&mut order, "system.builder.node.Node.js 20", &runtime);
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed);
        assert!(
            outcome.message.contains("working directory"),
            "{bad}: {}",
            outcome.message
        );
    }
}

fn docker(action: DockerTaskAction) -> Task {
    task(TaskAction::Docker(Box::new(DockerTask {
        action,
        environment: String::new(),
        working_directory: String::new(),
    })))
}

#[tokio::test]
async fn s12_images_are_built_run_and_pushed_without_a_password_among_arguments() {
    let bench = Bench::new();
    let tool = program(&bench, "bin/docker");
    // It shows the login that it finds, as far as a log may show it.
    fs::write(
        &tool,
        "#!/bin/sh\necho \"docker$(printf ' [%s]' \"$@\")\" | sed 's/--env-file=[^]]*/--env-file=FILE/'\n\
         [ -z \"$DOCKER_CONFIG\" ] || { cat \"$DOCKER_CONFIG/config.json\"; echo; stat -c %a \"$DOCKER_CONFIG/config.json\"; }\n",
    )
    .unwrap();
    let mut order = bench.order(vec![
        docker(DockerTaskAction::Build(DockerBuild {
            image: "registry.example.com/app:${bamboo.buildNumber}".into(),
            dockerfile: Dockerfile::Inline("FROM busybox\nRUN echo ${bamboo.buildNumber}".into()),
            no_cache: true,
            save_to: Some("image.tar".into()),
            options: "--label a='b c'".into(),
        })),
        docker(DockerTaskAction::Run(DockerRun {
            image: "busybox".into(),
            name: "side".into(),
            detach: true,
            command: "sh -c 'echo hi'".into(),
            variables: "A=1 B=\"two words\"".into(),
            ports: vec![("8080".into(), "80".into()), (String::new(), "81".into())],
            volumes: vec![("/data".into(), "/inside".into())],
            ..DockerRun::default()
        })),
        docker(DockerTaskAction::Push(DockerPush {
            image: "registry.example.com/app:7".into(),
            registry: Registry::Custom,
            login: RegistryLogin::Password {
                username: "anna".into(),
                password: SecretText::new("${bamboo.registry.password}"),
            },
        })),
    ]);
    order.tasks.push(docker(DockerTaskAction::Pull(DockerPull {
        image: "registry.example.com/base:1".into(),
        registry: Registry::Custom,
        login: RegistryLogin::Shared { id: "1048577".into() },
    })));
    order.credentials = vec![JobCredential {
        name: "1048577".into(),
        content: CredentialContent::Password {
            username: "bert".into(),
            password: Secret::new("stable battery"),
        },
    }];
    knows(&mut order, "system.docker.executable", &tool);
    order.variables = vec![
        variable("buildNumber", "7"),
        secret("registry.password", "correct horse"),
    ];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let file = bench.work().canonicalize().unwrap().join("Dockerfile");
    assert_eq!(fs::read_to_string(&file).unwrap(), "FROM busybox\nRUN echo 7");
    assert_eq!(
        bench.output(),
        [
            &*format!(
                "docker [build] [--no-cache=true] [--tag=registry.example.com/app:7] [--file={}] [--label] [a=b c] [.]",
                file.display()
            ),
            "docker [save] [--output=image.tar] [registry.example.com/app:7]",
            "docker [run] [--detach] [--name=side] [--volume=/data:/inside] [--publish=8080:80] [--publish=81] \
             [--env-file=FILE] [busybox] [sh] [-c] [echo hi]",
            "docker [push] [registry.example.com/app:7]",
            r#"{"auths":{"registry.example.com":{"auth":"********"}}}"#,
            "600",
            "docker [pull] [registry.example.com/base:1]",
            r#"{"auths":{"registry.example.com":{"auth":"********"}}}"#,
            "600",
            "docker [rm] [--force] [side]",
        ]
    );
}

#[tokio::test]
async fn names_of_images_that_are_options_y9_are_refused() {
    for image in ["--privileged", "-v", "a b", ""] {
        let bench = Bench::new();
        let tool = program(&bench, "bin/docker");
        let mut order = bench.order(vec![docker(DockerTaskAction::Run(DockerRun {
            image: image.into(),
            ..DockerRun::default()
        }))]);
        knows(&mut order, "system.docker.executable", &tool);
        let outcome = bench.run(&order).await;
        assert!(
            outcome.message.contains("is not the name of an image"),
            "{}",
            outcome.message
        );
        assert_eq!(bench.output(), [""; 0]);
    }
}

#[tokio::test]
async fn task_of_an_unknown_app_fails_with_its_key() {
    let bench = Bench::new();
    let order = bench.order(vec![task(TaskAction::Plugin(PluginTask {
        plugin_key: "org.example:paint".into(),
        configuration: Vec::new(),
    }))]);
    let outcome = bench.run(&order).await;
    assert!(
        outcome.message.contains("`org.example:paint`"),
        "{}",
        outcome.message
    );
}

fn conditional(body: &str, condition: TaskCondition) -> Task {
    Task {
        conditions: vec![condition],
        ..script(body)
    }
}

#[tokio::test]
async fn tasks_whose_conditions_do_not_hold_are_passed_over() {
    let bench = Bench::new();
    let equals = |value: &str| TaskCondition::Equals {
        variable: "stage".into(),
        value: value.into(),
    };
    let mut order = bench.order(vec![
        conditional("echo prod", equals("prod")),
        conditional("echo dev", equals("dev")),
        Task {
            enabled: false,
            ..script("echo disabled")
        },
        conditional(
            "echo main",
            TaskCondition::Matches {
                variable: "planRepository.branch".into(),
                pattern: "main|release/.*".into(),
            },
        ),
    ]);
    order.final_tasks = vec![
        conditional("echo never", equals("dev")),
        conditional(
            "echo no variable",
            TaskCondition::NotExists {
                variable: "other".into(),
            },
        ),
    ];
    order.variables = vec![
        variable("stage", "${bamboo.where}"),
        variable("where", "prod"),
        variable("planRepository.branch", "release/1.2"),
    ];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["prod", "main", "no variable"]);
    assert!(
        bench
            .log_text()
            .contains("whose condition does not hold: the variable `stage` does not have the value `dev`")
    );
}

#[tokio::test]
async fn condition_that_cannot_be_read_fails_its_task() {
    let bench = Bench::new();
    let condition = TaskCondition::Matches {
        variable: "stage".into(),
        pattern: "(".into(),
    };
    let outcome = bench
        .run(&bench.order(vec![conditional("echo x", condition)]))
        .await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("regular expression"),
        "{}",
        outcome.message
    );
    assert_eq!(bench.output(), [""; 0]);
}

#[tokio::test]
async fn stop_job_ends_the_job_as_it_says_and_final_tasks_run() {
    for (success, result) in [(true, JobResult::Successful), (false, JobResult::Failed)] {
        let bench = Bench::new();
        let mut order = bench.order(vec![
            script("echo before"),
            task(TaskAction::StopJob(StopJobTask { success })),
            script("echo after"),
        ]);
        order.final_tasks = vec![script("echo final")];
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, result);
        assert_eq!(bench.output(), ["before", "final"]);
        assert!(outcome.message.contains("ended the job"), "{}", outcome.message);
    }
}
