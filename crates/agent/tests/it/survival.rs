//! Ends of servers and supervisors at bad moments: nothing runs twice, nothing is lost unnoticed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use madake_agent::local::{Adoption, JobEnd, LocalAgentError};
use madake_agent::supervisor::SupervisorExit;
use madake_protocol::JobResult;

use crate::bench::{Bench, await_that, is_alive, kill_hard, script};

/// Counts until the file `go` appears.
const COUNTING: &str = "
    i=0
    while [ ! -e go ]; do i=$((i+1)); echo line $i; [ $i = 50 ] && touch ready; done
    echo $i > count";

#[tokio::test]
async fn job_goes_on_when_the_server_is_killed_and_its_log_is_complete() {
    let bench = Bench::new();
    let mut order = bench.order(vec![script(COUNTING), script("echo second task")]);
    order.final_tasks = vec![script("echo final task")];
    let mut server = bench.serve(&order, &[]);
    bench.await_file("ready");
    server.kill().unwrap();
    server.wait().unwrap();
    let length = bench.log_text().len();
    await_that("more lines", || bench.log_text().len() > length);

    let Adoption::Running(mut job) = bench.agent.adopt(bench.directory()).await.unwrap() else {
        panic!("the job does not run")
    };
    bench.touch("go");
    let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
        panic!("the job got lost")
    };
    assert_eq!(outcome.result, JobResult::Successful);
    let count: usize = bench.await_file("count").trim().parse().unwrap();
    let mut expected: Vec<_> = (1..=count).map(|i| format!("line {i}")).collect();
    expected.extend(["second task".to_owned(), "final task".to_owned()]);
    assert_eq!(bench.output(), expected);
    assert_eq!(outcome.log_lines, bench.log().len() as u64);
    let again = bench.agent.adopt(bench.directory()).await.unwrap();
    assert!(matches!(again, Adoption::Finished(same) if same == outcome));
    bench.agent.remove(&bench.directory()).unwrap();
    assert!(bench.agent.job_directories().unwrap().is_empty());
}

#[tokio::test]
async fn second_supervisor_leaves_while_the_first_runs_and_after_it_has_run() {
    let bench = Bench::new();
    let order = bench.order(vec![script(
        "echo once; touch ready; while [ ! -e go ]; do sleep 0.01; done",
    )]);
    let mut job = bench.agent.start(&order).unwrap();
    bench.await_file("ready");
    let code = bench.supervisor().wait().unwrap().code();
    assert_eq!(code, Some(SupervisorExit::AlreadyRunning as i32));
    assert!(matches!(
        bench.agent.start(&order),
        Err(LocalAgentError::BegunBefore {
            job_id: 1,
            attempt: 1
        })
    ));
    assert!(matches!(
        bench.agent.remove(job.directory()),
        Err(LocalAgentError::StillRuns(_))
    ));
    bench.touch("go");
    assert!(matches!(job.finished().await.unwrap(), JobEnd::Finished(_)));
    let code = bench.supervisor().wait().unwrap().code();
    assert_eq!(code, Some(SupervisorExit::AlreadyStarted as i32));
    assert_eq!(bench.output(), ["once"]);
}

#[tokio::test]
async fn many_supervisors_at_once_run_the_job_once() {
    let bench = Bench::new();
    let order = bench.order(vec![script("echo once; echo run >> runs")]);
    bench.write_order(&order);
    let supervisors: Vec<_> = (0..8).map(|_| bench.supervisor()).collect();
    let mut job = bench.agent.start(&order).ok();
    let mut codes: Vec<_> = supervisors
        .into_iter()
        .map(|mut supervisor| supervisor.wait().unwrap().code().unwrap())
        .collect();
    if let Some(job) = &mut job {
        assert!(matches!(job.finished().await.unwrap(), JobEnd::Finished(_)));
    }
    codes.retain(|code| *code == SupervisorExit::Finished as i32);
    assert!(codes.len() <= 1);
    assert_eq!(bench.await_file("runs"), "run\n");
    assert_eq!(bench.output(), ["once"]);
}

#[tokio::test]
async fn killed_supervisor_is_noticed_at_once_and_what_it_left_is_ended() {
    let bench = Bench::new();
    let body = "
        sleep 1000 & echo $! > child
        setsid sh -c 'echo $$ > daemon; while :; do sleep 1000; done' &
        env -i sh -c 'echo $$ > bare; while :; do sleep 1000; done' &
        while [ ! -s daemon ] || [ ! -s bare ]; do sleep 0.01; done
        echo $$ > self; touch ready; while :; do sleep 1000; done";
    let mut job = bench.agent.start(&bench.order(vec![script(body)])).unwrap();
    bench.await_file("ready");
    let started = bench.directory().read_started().unwrap().unwrap();
    kill_hard(started.pid);
    let JobEnd::Lost {
        reason,
        ran_a_command,
    } = job.finished().await.unwrap()
    else {
        panic!("it is not lost")
    };
    assert!(ran_a_command);
    assert!(
        reason.starts_with("the job's supervisor is gone without an outcome"),
        "{reason}"
    );
    assert!(reason.ends_with("(signal: 9 (SIGKILL))"), "{reason}");
    for name in ["self", "child", "daemon", "bare"] {
        let pid = bench.await_file(name);
        await_that(name, || !is_alive(&pid));
    }
    let again = bench.agent.adopt(bench.directory()).await.unwrap();
    assert!(matches!(
        again,
        Adoption::Lost {
            ran_a_command: true,
            ..
        }
    ));
    let code = bench.supervisor().wait().unwrap().code();
    assert_eq!(code, Some(SupervisorExit::AlreadyStarted as i32));
}

#[tokio::test]
async fn number_of_a_lost_session_that_others_use_now_is_left_alone() {
    let bench = Bench::new();
    let order = bench.order(vec![script("true")]);
    bench.run(&order).await;
    let directory = bench.directory();
    fs::remove_file(directory.path().join("outcome.json")).unwrap();
    let mut bystander = std::process::Command::new("setsid")
        .args(["sh", "-c", "echo ready; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(bystander.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready, "ready\n");
    let mut started = directory.read_started().unwrap().unwrap();
    started.pid = i32::try_from(bystander.id()).unwrap();
    started.session = started.pid;
    fs::write(directory.path().join("started.json"), started.to_json().unwrap()).unwrap();
    let adoption = bench.agent.adopt(directory).await.unwrap();
    assert!(matches!(adoption, Adoption::Lost { .. }));
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn order_that_never_began_is_taken_back_and_a_late_supervisor_finds_nothing() {
    let bench = Bench::new();
    let order = bench.order(vec![script("echo once")]);
    bench.write_order(&order);
    let Adoption::NeverStarted(Some(found)) = bench.agent.adopt(bench.directory()).await.unwrap() else {
        panic!("it began")
    };
    assert_eq!(*found, order);
    let code = bench.supervisor().wait().unwrap().code();
    assert_eq!(code, Some(SupervisorExit::NoOrder as i32));
    let again = bench.agent.adopt(bench.directory()).await.unwrap();
    assert!(matches!(again, Adoption::NeverStarted(None)));
    assert_eq!(bench.run(&order).await.result, JobResult::Successful);
    assert_eq!(bench.output(), ["once"]);
}

#[tokio::test]
async fn adopting_while_a_supervisor_comes_late_either_finds_it_or_forbids_it() {
    for _ in 0..10 {
        let bench = Bench::new();
        let order = bench.order(vec![script("echo once")]);
        bench.write_order(&order);
        let mut late = bench.supervisor();
        let adoption = bench.agent.adopt(bench.directory()).await.unwrap();
        let code = late.wait().unwrap().code().unwrap();
        match adoption {
            Adoption::NeverStarted(_) => {
                assert!(
                    [
                        SupervisorExit::AlreadyRunning as i32,
                        SupervisorExit::NoOrder as i32
                    ]
                    .contains(&code),
                    "{code}"
                );
                assert_eq!(bench.log_text(), "");
            }
            Adoption::Running(mut job) => {
                assert!(matches!(job.finished().await.unwrap(), JobEnd::Finished(_)));
                assert_eq!((code, bench.output()), (0, vec!["once".to_owned()]));
            }
            Adoption::Finished(_) => assert_eq!((code, bench.output()), (0, vec!["once".to_owned()])),
            lost @ Adoption::Lost { .. } => panic!("{lost:?}"),
        }
    }
}

#[tokio::test]
async fn directory_without_an_order_and_one_that_is_gone_never_started() {
    let bench = Bench::new();
    for exists in [false, true] {
        if exists {
            fs::create_dir_all(bench.directory().path()).unwrap();
        }
        let adoption = bench.agent.adopt(bench.directory()).await.unwrap();
        assert!(matches!(adoption, Adoption::NeverStarted(None)));
    }
    bench.agent.remove(&bench.directory()).unwrap();
    bench.agent.remove(&bench.directory()).unwrap();
    assert_eq!(
        bench.supervisor().wait().unwrap().code(),
        Some(SupervisorExit::DirectoryUnusable as i32)
    );
}

#[tokio::test]
async fn supervisor_that_cannot_be_started_is_told_and_nothing_began() {
    let bench = Bench::new();
    let agent = madake_agent::local::LocalAgent::new(bench.home().join("jobs"), "/nonexistent/madake");
    let error = agent.start(&bench.order(Vec::new())).unwrap_err();
    assert!(matches!(error, LocalAgentError::Spawn { .. }), "{error}");
    let agent = madake_agent::local::LocalAgent::new(bench.home().join("jobs"), "/bin/false");
    let end = agent
        .start(&bench.order(Vec::new()))
        .unwrap()
        .finished()
        .await
        .unwrap();
    let JobEnd::Lost {
        reason,
        ran_a_command: false,
    } = end
    else {
        panic!("{end:?}")
    };
    assert_eq!(
        reason,
        "the job's supervisor ended before it began the job (exit status: 1)"
    );
}
