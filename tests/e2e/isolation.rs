//! How jobs are kept apart, and what becomes of those that do not come to an end, by a real server.

use madake_testkit::{Server, ServerOptions};
use serde_json::Value;

use crate::plan_files::one_job;

/// The text of the only log that jobs of this server have written.
fn job_log(server: &Server) -> String {
    let mut folders = vec![server.home().join("logs")];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                texts.push(std::fs::read_to_string(entry.path()).expect("a log"));
            }
        }
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    texts.remove(0)
}

fn state(results: &[Value]) -> &str {
    results[0]["buildState"].as_str().unwrap_or_default()
}

/// Whether bubblewrap works here, as the server would find out.
fn bubblewrap_works() -> bool {
    std::process::Command::new("bwrap")
        .args([
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--ro-bind",
            "/",
            "/",
        ])
        .args(["--dev", "/dev", "--proc", "/proc", "--", "/bin/sh", "-c", ":"])
        .status()
        .is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn job_does_not_see_the_server_where_isolation_works_and_the_log_says_which_it_is() {
    let server = Server::start().await;
    let key = server.home().join("secret.key");
    assert!(key.is_file());
    let script = format!(
        "git log --format=%s -1\nif [ -e {} ]; then echo seen; else echo hidden; fi",
        key.display()
    );
    let _revision = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &one_job(&script, ""))]);
    assert_eq!(state(&server.ended("PROJ-PLAN", 1).await), "Successful");
    let log = job_log(&server);
    if bubblewrap_works() {
        assert!(log.contains("\tIsolation: bubblewrap; "), "{log}");
        assert!(log.contains("\thidden\n"), "{log}");
    } else {
        assert!(
            log.contains("\tIsolation: none; scripts are plain processes of the agent, because "),
            "{log}"
        );
        assert!(log.contains("\tseen\n"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn isolation_that_is_asked_for_and_does_not_work_fails_jobs_with_the_reason() {
    let server = Server::start_with(ServerOptions {
        environment: Vec::new(),
        configuration: "[agent]\nisolation = 'bubblewrap'\nbubblewrap = '/nonexistent/bwrap'\n".into(),
    })
    .await;
    let _revision = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &one_job("true", ""))]);
    assert_eq!(state(&server.ended("PROJ-PLAN", 1).await), "Failed");
    let log = server.log();
    let reason = "agent.isolation is `bubblewrap`, but /nonexistent/bwrap cannot be started";
    assert!(log.contains(reason), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_wants_a_container_fails_at_once_where_no_engine_runs() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("DOCKER_HOST".into(), "unix:///nonexistent/docker.sock".into())],
        configuration: String::new(),
    })
    .await;
    let plan = one_job("echo no", "docker: busybox:1\n");
    let _revision = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    assert_eq!(state(&server.ended("PROJ-PLAN", 1).await), "Failed");
    let log = job_log(&server);
    assert!(
        log.contains("the container engine at /nonexistent/docker.sock does not answer"),
        "{log}"
    );
    assert!(!log.contains("Starting task"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_hangs_is_told_of_and_stopped_where_that_is_wanted() {
    let server = Server::start_with(ServerOptions {
        environment: Vec::new(),
        configuration: "[builds]\nhanging-silent-minutes = 0\nwhen-hanging = 'stop'\n".into(),
    })
    .await;
    let _revision = server.hosted("PROJ/app").push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("sleep 1000", ""))],
    );
    server.ended("PROJ-PLAN", 1).await;
    let log = job_log(&server);
    assert!(
        log.contains("The task is stopped by the server, because the job hangs"),
        "{log}"
    );
    let told = server.log();
    let reason = "PROJ-PLAN-JOB1-1 hangs: its log has been silent for";
    assert!(told.contains(reason), "{told}");
    let entry = server.get("/rest/madake/1.0/events/1").await.to_string();
    assert!(entry.contains(reason), "{entry}");
}
