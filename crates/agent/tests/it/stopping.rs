//! Jobs that are ended before their tasks are done.

use std::fs;

use madake_agent::local::JobEnd;
use madake_protocol::{JobOrder, JobOutcome, JobResult};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, await_that, is_alive, script};

/// Starts an order, waits until it says that it is ready, asks it to stop, and returns what came of it.
async fn stop(bench: &Bench, order: &JobOrder) -> JobOutcome {
    let mut job = bench.agent.start(order).unwrap();
    bench.await_file("ready");
    bench.agent.request_stop(job.directory(), "anna").unwrap();
    match job.finished().await.unwrap() {
        JobEnd::Finished(outcome) => outcome,
        lost => panic!("{lost:?}"),
    }
}

#[tokio::test]
async fn stop_is_friendly_first() {
    let bench = Bench::new();
    let body = "trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let mut order = bench.order(vec![script(body), script("echo next")]);
    order.final_tasks = vec![script("echo final")];
    let outcome = stop(&bench, &order).await;
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Stopped, None));
    assert_eq!(outcome.message, "task 1 of 2, 'Script', was stopped by anna");
    assert_eq!(bench.output(), ["bye", "final"]);
}

#[tokio::test]
async fn stop_ends_those_who_do_not_listen_with_all_their_children() {
    let bench = Bench::new();
    let body = "
        trap '' TERM
        sleep 1000 & echo $! > child
        setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1000; done' &
        while [ ! -s daemon ]; do sleep 0.01; done
        echo $$ > self; touch ready
        while :; do sleep 1000; done";
    let mut order = bench.order(vec![script(body)]);
    order.stop_grace_seconds = 0;
    order.final_tasks = vec![script("echo final")];
    let outcome = stop(&bench, &order).await;
    assert_eq!(outcome.result, JobResult::Stopped);
    for name in ["self", "child", "daemon"] {
        assert!(!is_alive(&bench.await_file(name)), "{name}");
    }
    assert_eq!(bench.output(), ["final"]);
}

#[tokio::test]
async fn group_gets_its_grace_even_when_its_leader_ends_at_once() {
    let bench = Bench::new();
    let body = "
        sh -c 'trap \"sleep 0.2; echo saved > saved; exit\" TERM; touch ready; while :; do sleep 0.01; done' &
        wait";
    let outcome = stop(&bench, &bench.order(vec![script(body)])).await;
    assert_eq!(outcome.result, JobResult::Stopped);
    assert_eq!(bench.await_file("saved"), "saved\n");
}

#[tokio::test]
async fn request_that_comes_before_the_job_stops_it_before_its_first_task() {
    let bench = Bench::new();
    let directory = bench.directory();
    fs::create_dir_all(directory.path()).unwrap();
    bench.agent.request_stop(&directory, "anna").unwrap();
    let outcome = bench.run_script("echo one").await;
    assert_eq!(outcome.result, JobResult::Stopped);
    assert!(bench.output().is_empty());
}

#[tokio::test]
async fn supervisor_that_does_not_react_is_ended_by_force() {
    let bench = Bench::new();
    let body = "sleep 1000 & echo $! > child; touch ready; wait";
    let mut job = bench.agent.start(&bench.order(vec![script(body)])).unwrap();
    bench.await_file("ready");
    let supervisor = bench.directory().read_started().unwrap().unwrap().pid;
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::STOP).unwrap();
    bench.agent.request_stop(job.directory(), "anna").unwrap();
    assert!(bench.agent.force_end(job.directory()).unwrap());
    assert!(matches!(job.finished().await.unwrap(), JobEnd::Lost { .. }));
    let child = bench.await_file("child");
    await_that("the end of the child", || !is_alive(&child));
    assert!(
        !bench.agent.force_end(job.directory()).unwrap(),
        "nothing is left to end"
    );
}

#[tokio::test]
async fn time_limit_ends_the_job_and_final_tasks_have_one_of_their_own() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script("sleep 1000"), script("echo next")]);
    order.timeout_seconds = Some(1);
    order.stop_grace_seconds = 1;
    order.final_tasks_seconds = 1;
    order.final_tasks = vec![script("echo final"), script("sleep 1000"), script("echo last")];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::TimedOut);
    assert_eq!(
        outcome.message,
        "task 1 of 2, 'Script', was ended because the time limit of 1 second is over"
    );
    assert_eq!(bench.output(), ["final", "last"]);
}

#[tokio::test]
async fn process_in_the_background_neither_holds_the_job_up_nor_outlives_it() {
    let bench = Bench::new();
    let first = "sleep 1000 & echo $! > background; (sleep 0.3; echo late; touch late) & echo first";
    let second = "while [ ! -e late ]; do sleep 0.01; done; echo second";
    let outcome = bench.run(&bench.order(vec![script(first), script(second)])).await;
    assert_eq!(outcome.result, JobResult::Successful);
    assert!(outcome.finished_ms - outcome.started_ms < 20_000);
    let pid = bench.await_file("background");
    await_that("the end of the process", || !is_alive(&pid));
    let mut output = bench.output();
    assert_eq!(output[0], "first");
    output.sort();
    assert_eq!(output, ["first", "late", "second"]);
    assert!(
        bench
            .log_text()
            .contains("Ended processes that the job left running: sleep (")
    );
}
