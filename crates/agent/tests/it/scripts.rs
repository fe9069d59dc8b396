//! The spellings of a script task, and what a script sees.

use std::fs;
use std::os::unix::fs::symlink;

use madake_domain::plan::{Interpreter, ScriptSource, ScriptTask, Task, TaskAction};
use madake_protocol::JobResult;

use crate::bench::{Bench, inline, script, secret, task, variable};

fn with(change: impl FnOnce(&mut ScriptTask), body: &str) -> Task {
    let mut script = inline(body);
    change(&mut script);
    task(TaskAction::Script(script))
}

#[tokio::test]
async fn body_is_run_by_its_first_line_else_by_the_shell() {
    let bench = Bench::new();
    let order = bench.order(vec![
        script("echo ${BASH_VERSION:-no bash}"),
        script("#!/bin/bash\necho ${BASH_VERSION:+bash}"),
        script("#!/usr/bin/env bash\r\necho ${BASH_VERSION:+bash}"),
        script("#!/usr/bin/awk -f\nBEGIN { print \"awk\" }"),
        with(
            |it| it.interpreter = Interpreter::BinShOrCmdExe,
            "#!/bin/bash\necho ${BASH_VERSION:-no bash}",
        ),
        script("cd / \npwd"),
        script("false\ntrue"),
    ]);
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["no bash", "bash", "bash", "awk", "no bash", "/"]);
}

#[tokio::test]
async fn missing_interpreter_is_named() {
    let bench = Bench::new();
    let outcome = bench.run_script("#!/opt/none/such -x\n").await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome
            .message
            .contains("cannot run `/opt/none/such`: No such file"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn file_of_the_checkout_gets_arguments_split_as_a_shell_splits_them() {
    let bench = Bench::new();
    fs::create_dir_all(bench.work().join("ci")).unwrap();
    fs::write(
        bench.work().join("ci/show.sh"),
        "for a in \"$@\"; do echo \"[$a]\"; done; pwd",
    )
    .unwrap();
    let file = |it: &mut ScriptTask, name: &str| it.source = ScriptSource::File(name.into());
    let mut order = bench.order(vec![
        with(
            |it| {
                file(it, "ci/show.sh");
                it.argument = "--fast \"two words\" $HOME '`id`' ${bamboo.options} ${bamboo.branch}".into();
            },
            "",
        ),
        with(
            |it| {
                file(it, "show.sh");
                it.working_directory = "ci".into();
            },
            "",
        ),
        with(
            |it| {
                file(it, "ci/show.sh");
                it.working_directory = "ci".into();
            },
            "",
        ),
    ]);
    let mut branch = variable("branch", "a'b ${bamboo.options} $(id)");
    branch.may_refer = false;
    order.variables = vec![variable("options", "--x '--y z'"), branch];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let work = bench.work().canonicalize().unwrap();
    let (work, ci) = (work.display().to_string(), work.join("ci").display().to_string());
    assert_eq!(
        bench.output(),
        [
            "[--fast]",
            "[two words]",
            "[$HOME]",
            "[`id`]",
            "[--x]",
            "[--y z]",
            "[a'b ${bamboo.options} $(id)]",
            &work,
            &ci,
            &ci
        ]
    );
}

#[tokio::test]
async fn variables_are_put_into_bodies_and_environment() {
    let bench = Bench::new();
    let body = r#"
        echo "${bamboo.release.version} $bamboo_release_version $bamboo_full"
        echo "$bamboo_branch"
        [ "${bamboo.working.directory}" = "$bamboo_working_directory" ] && echo same
        [ "$bamboo_build_working_directory" = "$(pwd)" ] && echo here
        [ -d "$bamboo_tmp_directory" ] && echo tmp
        echo "$A|$B|$FROM_ORDER"
        echo '${bamboo.unknown}'"#;
    let mut order = bench.order(vec![with(
        |it| it.environment = "A=1 B=\"${bamboo.release.version} b\"".into(),
        body,
    )]);
    let mut branch = variable("branch", "${bamboo.release.version}");
    branch.may_refer = false;
    order.variables = vec![
        variable("release.version", "1.2"),
        variable("full", "v${bamboo.release.version}"),
        branch,
    ];
    order.environment = vec![("FROM_ORDER".into(), "yes".into())];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        bench.output(),
        [
            "1.2 1.2 v1.2",
            "${bamboo.release.version}",
            "same",
            "here",
            "tmp",
            "1|1.2 b|yes",
            "${bamboo.unknown}"
        ]
    );
}

#[tokio::test]
async fn secrets_of_the_server_do_not_reach_a_script() {
    let bench = Bench::new();
    let order = bench.order(vec![script("env | cut -d= -f1; echo end")]);
    let environment = [
        ("MADAKE_TOKEN", "x"),
        ("GIT_DIR", "/x"),
        ("DATABASE_URL", "x"),
        ("MY_SECRET_THING", "x"),
        ("NOTIFY_SOCKET", "/x"),
        ("bamboo_old", "x"),
        ("HARMLESS", "x"),
    ];
    assert!(bench.serve(&order, &environment).wait().unwrap().success());
    let names = bench.output();
    for (name, _) in &environment[..6] {
        assert!(!names.iter().any(|it| it == name), "{name}");
    }
    for name in [
        "HARMLESS",
        "PATH",
        "bamboo_working_directory",
        "bamboo_tmp_directory",
        "end",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[tokio::test]
async fn folders_and_files_outside_the_working_directory_are_refused() {
    let bench = Bench::new();
    fs::create_dir_all(bench.work()).unwrap();
    fs::write(bench.home().join("outside.sh"), "echo outside").unwrap();
    symlink("/", bench.work().join("root")).unwrap();
    symlink("../outside.sh", bench.work().join("linked.sh")).unwrap();
    for (attempt, folder) in ["..", "/", "/tmp", "sub/../..", "root", "root/tmp", "missing"]
        .into_iter()
        .enumerate()
    {
        let mut order = bench.order(vec![with(
            |it| it.working_directory = folder.into(),
            "echo outside",
        )]);
        order.attempt = attempt as i64 + 10;
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed, "{folder}");
        assert!(
            outcome
                .message
                .contains(&format!("the working directory `{folder}`")),
            "{}",
            outcome.message
        );
    }
    for (attempt, file) in ["../outside.sh", "/bin/true", "linked.sh", "missing.sh"]
        .into_iter()
        .enumerate()
    {
        let mut order = bench.order(vec![with(|it| it.source = ScriptSource::File(file.into()), "")]);
        order.attempt = attempt as i64 + 20;
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed, "{file}");
        assert!(
            outcome.message.contains(&format!("the script file `{file}`")),
            "{}",
            outcome.message
        );
    }
    assert!(bench.output().is_empty());
}

#[tokio::test]
async fn s1_secrets_are_covered_in_log_and_outcome() {
    let bench = Bench::new();
    let body = r#"
        set -x
        echo "plain $bamboo_password"
        printf %s "$bamboo_password" | base64
        printf 'user:%s' "$bamboo_password" | base64
        printf %s "$bamboo_password" | od -An -tx1 | tr -d ' \n'; echo
        printf 'hunter'; sleep 0.05; printf '22!x\n'
        echo "body ${bamboo.password}" >&2
        echo "$MASKED"
        echo "short $bamboo_pin""#;
    let mut failing = script("exit 1");
    failing.description = "uses hunter22!x".into();
    let mut order = bench.order(vec![script(body), failing]);
    order.variables = vec![secret("password", "hunter22!x"), secret("pin", "set")];
    order.environment = vec![("MASKED".into(), "correct horse".into())];
    order.masks = vec![madake_protocol::Secret::new("correct horse")];
    let outcome = bench.run(&order).await;
    let text = bench.log_text();
    for form in [
        "hunter22!x",
        "aHVudGVyMjIh",
        "VudGVyMjIhe",
        "68756e74657232322178",
        "correct horse",
    ] {
        assert!(!text.contains(form), "{form} in\n{text}");
    }
    assert!(
        text.contains("plain ********") && text.contains("body ********"),
        "{text}"
    );
    assert!(outcome.message.contains("'uses ********'"), "{}", outcome.message);
    assert!(text.contains("short set"), "{text}");
}

#[tokio::test]
async fn s5_what_the_job_may_not_read_is_not_covered_either() {
    let bench = Bench::new();
    let guesses = "for guess in hunter22 hunter23 correct-horse; do echo \"guess $guess\"; done";
    let mut order = bench.order(vec![script(guesses)]);
    order.variables = vec![secret("password", "hunter22")];
    bench.run(&order).await;
    // Only what the job has in its hands shows as covered: a list of guesses tells nothing of others.
    assert_eq!(
        bench.output(),
        ["guess ********", "guess hunter23", "guess correct-horse"]
    );
}

#[tokio::test]
async fn s1_secret_in_pieces_is_told_at_the_end_of_the_log() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("printf %s \"$bamboo_password\" | fold -w 1")]);
    order.variables = vec![secret("password", "hunter22!x")];
    bench.run(&order).await;
    let text = bench.log_text();
    assert!(
        text.contains("A secret may have been written one character in each line"),
        "{text}"
    );

    let mut harmless = bench.order(vec![script("printf 'a\\nb\\nc\\n'")]);
    harmless.attempt = 2;
    harmless.variables = order.variables;
    bench.run(&harmless).await;
    let text = bench.log_text();
    assert_eq!(text.matches("A secret may have been").count(), 1, "{text}");
}

#[tokio::test]
async fn interpreters_of_windows_are_refused_with_what_runs_here() {
    for (interpreter, sentence) in [
        (
            Interpreter::CmdExe,
            "the script is one for `cmd.exe`, and this agent runs Linux",
        ),
        (
            Interpreter::PowerShell,
            "PowerShell scripts need the program `pwsh`",
        ),
    ] {
        let bench = Bench::new();
        let order = bench.order(vec![with(|it| it.interpreter = interpreter, "echo hello")]);
        let environment = [("PATH", "/none:/usr/bin/none")];
        assert!(bench.serve(&order, &environment).wait().unwrap().success());
        let log = bench.log_text();
        assert!(log.contains(sentence), "{log}");
        assert_eq!(bench.output(), [""; 0]);
    }
}
