//! What a job leaves behind while it goes on: processes, links and settings that would have the agent, which works
//! outside of the job's isolation, do something else.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use madake_domain::plan::{
    CommandTask, DockerPush, DockerRun, DockerTask, DockerTaskAction, InjectScope, InjectVariablesTask,
    Registry, RegistryLogin, SecretText, Task, TaskAction,
};
use madake_protocol::{Isolation, JobResult};

use crate::bench::{Bench, inline, is_alive, script, secret, task};
use crate::checkouts::with_repository;
use crate::sandboxes::{sandbox, sandboxed};

const SENTENCE: &str = "Ended processes that the job left running, because this task works on the files";

/// A process that keeps swapping what a checkout trusts and leads its files elsewhere.
fn tamper(outside: &str) -> Task {
    script(&format!(
        "cat > tamper <<'END'
while :; do
  printf '[filter \"x\"]\\n\\tsmudge = touch {outside}/filter\\n[core]\\n\\tfsmonitor = touch {outside}/monitor\\n' > .git/config
  mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {outside}/hook\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/*
  rm -f app.txt; ln -s {outside}/carried app.txt
  : > begun
done
END
sh tamper > /dev/null 2>&1 &
echo $! > pid
while [ ! -e begun ]; do :; done"
    ))
}

#[tokio::test]
async fn what_a_job_left_running_is_ended_before_a_later_checkout() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let isolations = [
        Some(Isolation::default()),
        sandbox(&bench).await.map(Isolation::Bubblewrap),
    ];
    for isolation in isolations.into_iter().flatten() {
        let bench = Bench::new();
        let mut order = with_repository(&bench);
        let is_plain = isolation == Isolation::default();
        order.isolation = isolation;
        let checkout = order.tasks[0].clone();
        order.tasks.extend([
            tamper(&outside.path().display().to_string()),
            checkout,
            script("cat app.txt; echo"),
        ]);
        let outcome = bench.run(&order).await;
        let text = bench.log_text();
        assert_eq!(outcome.result, JobResult::Successful, "{text}");
        assert!(text.contains(SENTENCE), "{text}");
        assert!(bench.output().contains(&"second".to_owned()), "{text}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let config = fs::read_to_string(bench.work().join(".git/config")).unwrap();
        assert!(
            !config.contains("smudge") && !bench.work().join(".git/hooks").exists(),
            "{config}"
        );
        if is_plain {
            assert!(!is_alive(&fs::read_to_string(bench.work().join("pid")).unwrap()));
        }
    }
}

#[tokio::test]
async fn background_process_outlives_tasks_that_only_read_what_cannot_be_swapped() {
    let bench = Bench::new();
    let inject = InjectVariablesTask {
        file: "made.txt".into(),
        namespace: "made".into(),
        scope: InjectScope::Local,
    };
    let order = bench.order(vec![
        script("sleep 1000 & echo $! > pid; echo a=1 > made.txt"),
        task(TaskAction::InjectVariables(inject)),
        script("kill -0 \"$(cat pid)\" && echo \"alive $bamboo_made_a\""),
    ]);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output().last().unwrap(), "alive 1");
}

#[tokio::test]
async fn environment_of_a_plan_does_not_reach_the_program_that_makes_the_sandbox() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    // The loader of programs writes down what it does, as whoever runs the program; inside, the place is read-only.
    let trace = bench.home().join("trace");
    let mut task = inline("echo \"[$A] [$B]\"; env | grep -c ^LD_DEBUG_OUTPUT=");
    task.environment = format!("LD_DEBUG=libs LD_DEBUG_OUTPUT={} A=\"x y\" B=", trace.display());
    let mut order = sandboxed(&bench, &settings, &[]);
    order.tasks = vec![Task::from(TaskAction::Script(task))];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert!(
        bench.output().contains(&"[x y] []".to_owned()),
        "{:?}",
        bench.output()
    );
    let written: Vec<_> = fs::read_dir(bench.home())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("trace"))
        .collect();
    assert_eq!(written, [""; 0]);
}

#[tokio::test]
async fn value_that_would_be_further_arguments_of_the_sandbox_is_refused() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let mut order = sandboxed(&bench, &settings, &["echo ran"]);
    let value = format!("x\0--bind\0{home}\0{home}\0", home = bench.home().display());
    order.environment = vec![("A".into(), value)];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("the environment variable `A`"),
        "{}",
        outcome.message
    );
    assert_eq!(bench.output(), [""; 0]);
}

#[tokio::test]
async fn login_and_variables_of_docker_are_in_files_of_the_job_wherever_it_made_their_names_lead() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("config.json"), "precious").unwrap();
    fs::write(outside.path().join("env"), "precious").unwrap();
    let tool = bench.home().join("docker");
    fs::write(
        &tool,
        "#!/bin/sh\necho \"$(printf ' [%s]' \"$@\")\" | sed 's/\\[--env-file=[^]]*\\]/[file]/'\n\
         for word; do case $word in --env-file=*) stat -c %a \"${word#*=}\"; cat \"${word#*=}\" > \"$OUT\";; esac; done\n\
         printf '%s' \"$LINES_OF\" | wc -l\n",
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let docker = |action| {
        task(TaskAction::Docker(Box::new(DockerTask {
            action,
            environment: "OUT=${bamboo.build.working.directory}/out".into(),
            working_directory: String::new(),
        })))
    };
    let run = docker(DockerTaskAction::Run(DockerRun {
        image: "busybox".into(),
        variables: "\"TOKEN=${bamboo.token.password}\" \"LINES_OF=one\ntwo\n\" FROM_HERE".into(),
        arguments: "-e A=1 --env=B=2 --init -eC=3".into(),
        volumes: vec![("/data".into(), "/inside".into())],
        name: "one".into(),
        ..DockerRun::default()
    }));
    let push = docker(DockerTaskAction::Push(DockerPush {
        image: "registry.example.com/app:7".into(),
        registry: Registry::Custom,
        login: RegistryLogin::Password {
            username: "anna".into(),
            password: SecretText::new("correct horse"),
        },
    }));
    let links = script(&format!(
        "ln -s {0}/env \"$bamboo_tmp_directory/docker-1.env\"",
        outside.path().display()
    ));
    let mut order = bench.order(vec![links.clone(), run]);
    order.capabilities = vec![("system.docker.executable".into(), tool.to_str().unwrap().into())];
    order.variables = vec![secret("token.password", "hunter22 # x")];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        bench.output(),
        [
            " [run] [--rm] [--name=one] [--volume=/data:/inside] [file] [--init] [--env=LINES_OF] [--env=FROM_HERE] [busybox]",
            "600",
            "2",
        ]
    );
    assert_eq!(
        fs::read_to_string(bench.work().join("out")).unwrap(),
        "TOKEN=hunter22 # x\nA=1\nB=2\nC=3\n"
    );
    assert_eq!(
        fs::read_to_string(outside.path().join("env")).unwrap(),
        "precious"
    );

    let link = script(&format!(
        "ln -s {0} \"$bamboo_tmp_directory/docker\"",
        outside.path().display()
    ));
    order.attempt = 2;
    order.tasks = vec![link, push];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("cannot write for docker"),
        "{}",
        outcome.message
    );
    assert_eq!(
        fs::read_to_string(outside.path().join("config.json")).unwrap(),
        "precious"
    );
}

#[tokio::test]
async fn secret_in_an_argument_is_pointed_at() {
    let told = "The arguments hold a secret, which the machine's list of processes shows";
    for (argument, is_told) in [("${bamboo.token.password}", true), ("plain", false)] {
        let bench = Bench::new();
        let mut order = bench.order(vec![task(TaskAction::Command(CommandTask {
            executable: "true".into(),
            argument: argument.into(),
            ..CommandTask::default()
        }))]);
        order.variables = vec![secret("token.password", "hunter22")];
        assert_eq!(
            bench.run(&order).await.result,
            JobResult::Successful,
            "{}",
            bench.log_text()
        );
        assert_eq!(bench.log_text().contains(told), is_told, "{}", bench.log_text());
    }
}

#[tokio::test]
async fn file_of_variables_that_is_a_pipe_or_a_link_is_not_read() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "a=1\n").unwrap();
    for made in [
        "mkfifo made.txt",
        &format!("ln -s {}/secret made.txt", outside.path().display()),
    ] {
        let bench = Bench::new();
        let inject = InjectVariablesTask {
            file: "made.txt".into(),
            namespace: "made".into(),
            scope: InjectScope::Local,
        };
        let order = bench.order(vec![script(made), task(TaskAction::InjectVariables(inject))]);
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed, "{}", bench.log_text());
    }
}

#[tokio::test]
async fn script_file_that_became_a_pipe_does_not_hold_the_agent() {
    let bench = Bench::new();
    let mut file = inline("");
    file.source = madake_domain::plan::ScriptSource::File("run.sh".into());
    let order = bench.order(vec![
        script("mkfifo run.sh"),
        Task::from(TaskAction::Script(file)),
    ]);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(outcome.message.contains("it is no file"), "{}", outcome.message);
}

#[tokio::test]
async fn settings_that_a_job_left_take_no_part_in_the_checkout_of_a_later_build() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let mut order = with_repository(&bench);
    order.tasks.push(script(&format!(
        "git update-index --skip-worktree app.txt; echo tampered > app.txt
         git config core.fsmonitor 'touch {0}/monitor'; git config filter.x.smudge 'touch {0}/filter'
         echo '* filter=x' > .git/info-attributes; mkdir -p .git/info; echo '* filter=x' > .git/info/attributes",
        outside.path().display()
    )));
    assert_eq!(
        bench.run(&order).await.result,
        JobResult::Successful,
        "{}",
        bench.log_text()
    );
    symlink(outside.path(), bench.work().join("left")).unwrap();
    order.attempt = 2;
    order.tasks.pop();
    order
        .tasks
        .push(script("cat app.txt; echo; git status --porcelain"));
    assert_eq!(
        bench.run(&order).await.result,
        JobResult::Successful,
        "{}",
        bench.log_text()
    );
    let output = bench.output();
    assert!(
        output.ends_with(&["second", "?? left"].map(str::to_owned)),
        "{output:?}"
    );
    assert!(bench.log_text().contains("in the folder of an earlier build"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}
