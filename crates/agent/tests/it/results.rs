//! What comes of a job.

use std::fs;
use std::path::Path;

use madake_domain::plan::TaskAction;
use madake_protocol::JobResult;
use madake_protocol::log::LogKind;

use crate::bench::{Bench, script, task};

#[tokio::test]
async fn successful_job_tells_its_story_in_the_log() {
    let bench = Bench::new();
    let mut named = script("echo hello; echo oops >&2");
    named.description = "Greet".into();
    let outcome = bench.run(&bench.order(vec![named])).await;
    assert_eq!(
        (outcome.result.clone(), outcome.exit_code),
        (JobResult::Successful, None)
    );
    assert_eq!(outcome.message, "the task succeeded");
    assert!(outcome.started_ms <= outcome.first_command_started_ms.unwrap());
    assert!(outcome.first_command_started_ms.unwrap() <= outcome.finished_ms);
    let started = bench.directory().read_started().unwrap().unwrap();
    assert!(
        !Path::new(&format!("/proc/{}", started.pid)).exists(),
        "not even a zombie is left"
    );
    let log = bench.log();
    assert_eq!(outcome.log_lines, log.len() as u64);
    assert_eq!(outcome.log_bytes, bench.log_text().len() as u64);
    let (kinds, mut texts): (Vec<_>, Vec<_>) = log.into_iter().unzip();
    assert!(texts[5].starts_with("Running /bin/sh /"), "{}", texts[5]);
    // The two streams of a process have no order between them.
    texts[6..8].sort();
    assert_eq!(
        [&texts[..5], &texts[6..]].concat(),
        [
            "Build PROJ-PLAN-JOB1-7 started building on agent Default Agent",
            &format!("The working directory is {}", bench.work().display()),
            "Executing build Project - Plan - Default Job (PROJ-PLAN-JOB1-7)",
            "Isolation: none; scripts are plain processes of the agent, as agent.isolation says",
            "Starting task 'Greet' of type 'script'",
            "hello",
            "oops",
            "Finished task 'Greet' with result: Success",
            "Finished building PROJ-PLAN-JOB1-7: Successful",
        ]
    );
    assert_eq!(
        kinds[..6],
        [
            LogKind::Simple,
            LogKind::Simple,
            LogKind::Build,
            LogKind::Simple,
            LogKind::Build,
            LogKind::Command
        ]
    );
    assert!(kinds[6..8].contains(&LogKind::Error) && kinds[6..8].contains(&LogKind::Build));
}

#[tokio::test]
async fn first_failing_task_ends_the_list_and_final_tasks_run() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("echo one"), script("exit 3"), script("echo three")]);
    order.final_tasks = vec![script("echo final; exit 4"), script("echo last")];
    let outcome = bench.run(&order).await;
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Failed, Some(3)));
    assert_eq!(
        outcome.message,
        "task 2 of 3, 'Script', failed: the script ended with exit code 3"
    );
    assert_eq!(bench.output(), ["one", "final", "last"]);
}

#[tokio::test]
async fn failing_final_task_fails_a_job_that_was_successful() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("true")]);
    order.final_tasks = vec![script("exit 9"), script("echo last")];
    let outcome = bench.run(&order).await;
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Failed, Some(9)));
    assert_eq!(
        outcome.message,
        "final task 1 of 2, 'Script', failed: the script ended with exit code 9"
    );
    assert_eq!(bench.output(), ["last"]);
}

#[tokio::test]
async fn signal_that_killed_a_script_is_named() {
    let bench = Bench::new();
    let outcome = bench.run_script("kill -SEGV $$").await;
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Failed, None));
    assert!(
        outcome
            .message
            .ends_with("the script was killed by SIGSEGV (signal 11)"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn task_that_this_version_does_not_know_fails_by_its_name() {
    let bench = Bench::new();
    let outcome = bench
        .run(&bench.order(vec![task(TaskAction::Unsupported { name: "maven".into() })]))
        .await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert!(
        outcome.message.contains("does not run tasks of type `maven`"),
        "{}",
        outcome.message
    );
    assert_eq!(outcome.first_command_started_ms, None);
    assert!(!bench.directory().ran_a_command());
}

#[tokio::test]
async fn disabled_task_is_skipped_and_clean_empties_the_folder() {
    let bench = Bench::new();
    fs::create_dir_all(bench.work().join("old/deep")).unwrap();
    let mut disabled = script("exit 1");
    disabled.enabled = false;
    let mut order = bench.order(vec![
        disabled,
        task(TaskAction::Clean),
        script("ls -A | wc -l; echo x > new"),
    ]);
    order.clean_working_directory = true;
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful);
    assert_eq!(bench.output(), ["0"]);
    assert_eq!(fs::read_dir(bench.work()).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(bench.directory().path().join("tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn order_of_another_version_is_answered_by_an_error() {
    let bench = Bench::new();
    bench.write_order(&bench.order(Vec::new()));
    let path = bench.directory().path().join("order.json");
    fs::write(
        &path,
        fs::read_to_string(&path)
            .unwrap()
            .replace("\"format\":1", "\"format\":7"),
    )
    .unwrap();
    assert!(bench.supervisor().wait().unwrap().success());
    let outcome = bench.directory().read_outcome().unwrap().unwrap();
    assert_eq!((outcome.job_id, outcome.attempt), (1, 1));
    assert!(
        matches!(&outcome.result, JobResult::Error(reason) if reason.contains("format 7")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn log_that_cannot_be_opened_is_an_error_and_one_that_cannot_be_written_is_told() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("echo one")]);
    order.log_path = bench.home().to_owned();
    let outcome = bench.run(&order).await;
    assert!(matches!(&outcome.result, JobResult::Error(reason) if reason.starts_with("cannot open the log")));
    order.attempt = 2;
    order.log_path = "/dev/full".into();
    let outcome = bench.run(&order).await;
    assert_eq!((outcome.result, outcome.log_bytes), (JobResult::Successful, 0));
    assert!(outcome.log_problem.unwrap().contains("No space left on device"));
}
