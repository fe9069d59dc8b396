//! What is left in the home when plans, jobs and branches go, or when a server dies while it clears up.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use madake_testkit::{Server, ServerOptions, git, wait_for};
use reqwest::{Method, StatusCode};

use crate::plan_files::one_job;

/// The names below all folders of agents.
fn workspaces(server: &Server) -> BTreeSet<String> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        entries
            .map(|entry| entry.file_name().into_string().expect("text"))
            .collect()
    };
    let root = server.home().join("workspaces");
    let slots = names(&root).into_iter();
    slots.flat_map(|slot| names(&root.join(slot))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn working_directories_go_with_their_jobs_and_git_directories_with_those() {
    let mut server = Server::start_with(ServerOptions {
        configuration: "[builds]\nagents = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let work = server.hosted("PROJ/app");
    let file = |jobs: &[&str]| {
        let stage = jobs.join(", ");
        let jobs: String = jobs
            .iter()
            .map(|job| format!("{job}:\n  key: {job}\n  tasks:\n    - checkout\n    - script: [ls]\n"))
            .collect();
        format!(
            "version: 2\nplan: {{project-key: PROJ, key: PLAN, name: A plan}}\nstages:\n  - Build: [{stage}]\n{jobs}"
        )
    };
    let _ = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &file(&["ONE", "TWO", "THREE"]))],
    );
    server.ended("PROJ-PLAN", 1).await;
    let all: Vec<String> = ["ONE", "TWO", "THREE"]
        .iter()
        .flat_map(|job| [format!("PROJ-PLAN-{job}"), format!("PROJ-PLAN-{job}.checkouts")])
        .collect();
    assert_eq!(workspaces(&server), all.iter().cloned().collect());
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file(&["ONE", "THREE"]))]);
    server.ended("PROJ-PLAN", 2).await;
    server.stop();
    let slot = server.home().join("workspaces/1");
    fs::remove_dir_all(slot.join("PROJ-PLAN-ONE")).expect("removed");
    fs::create_dir(slot.join("notes")).expect("a folder of the owner");
    server.launch().await;
    let left = ["PROJ-PLAN-THREE", "PROJ-PLAN-THREE.checkouts", "notes"].map(str::to_owned);
    wait_for("what nothing is built in to go", || async {
        (workspaces(&server) == BTreeSet::from(left.clone())).then_some(())
    })
    .await;
    let _ = work.push("master", &[("a.txt", "1")]);
    let results = server.ended("PROJ-PLAN", 3).await;
    assert_eq!(results[0]["state"], "Successful", "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_a_dead_server_did_not_remove_go_at_the_next_start() {
    let mut server = Server::start_with(ServerOptions {
        configuration: "[expiry]\nremove = [\"logs\"]\nmost-builds = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let work = server.hosted("PROJ/app");
    for number in 1..=2 {
        let script = if number == 1 { "exit 1" } else { "echo 2" };
        let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &one_job(script, ""))]);
        server.ended("PROJ-PLAN", number).await;
    }
    let log = |build: i64| server.home().join("logs/0").join(build.to_string());
    let (first, second, unknown) = (log(1), log(2), log(77));
    server.stop();
    server.launch().await;
    wait_for("the first log to go", || async {
        (!first.exists()).then_some(())
    })
    .await;
    server.kill();
    // As if the server had died between the rows and the files.
    for folder in [&first, &unknown] {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join("1-1.log"), "old").expect("a log");
    }
    server.launch().await;
    wait_for("what was left to go", || async {
        (!first.exists() && !unknown.exists()).then_some(())
    })
    .await;
    assert!(second.exists());

    // Whoever starts an old result again gets a log, and keeps it over a restart.
    let again = server.request(Method::PUT, "/rest/api/latest/queue/PROJ-PLAN-1");
    assert_eq!(again.send().await.expect("an answer").status(), StatusCode::OK);
    server.ended("PROJ-PLAN", 2).await;
    assert!(first.exists());
}

/// Makes everything that was built ten days older.
fn grow_old(server: &Server) {
    let script = "import sqlite3, sys; store = sqlite3.connect(sys.argv[1]); \
                  store.execute('UPDATE build SET finished_ms = finished_ms - 864000000'); store.commit()";
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(server.home().join("madake.db"))
        .status()
        .expect("python3 runs");
    assert!(done.success());
}

async fn is_gone(server: &Server, result: &str) -> bool {
    let path = format!("/rest/api/latest/result/{result}");
    let answer = server.request(Method::GET, &path).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_removed_branches_go_by_their_age_alone() {
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let more = "branches:\n  create: for-new-branch\n  delete: {after-deleted-days: 0}\nother:\n  all-other-apps:\n    \
                custom:\n      buildExpiryConfig:\n        enabled: true\n        expiryTypeResult: true\n        \
                duration: 2\n        period: days\n";
    let file = one_job("echo built", more);
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    server.ended("PROJ-PLAN", 1).await;
    let _ = work.push("topic", &[("a.txt", "1")]);
    server.ended("PROJ-PLAN0", 1).await;
    git(&work.path, &["push", "--quiet", "origin", ":topic"]);
    wait_for("the deletion to be taken in", || async {
        let why = server.madake(&["why", "PROJ-PLAN0"]);
        why.contains("delete").then_some(())
    })
    .await;
    assert!(!is_gone(&server, "PROJ-PLAN0-1").await);
    server.stop();
    grow_old(&server);
    server.launch().await;
    wait_for("the results of the branch to go", || async {
        is_gone(&server, "PROJ-PLAN0-1").await.then_some(())
    })
    .await;
    assert!(
        !is_gone(&server, "PROJ-PLAN-1").await,
        "the latest of a branch that is there stays"
    );
}
