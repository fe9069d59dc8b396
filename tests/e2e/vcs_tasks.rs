//! What builds push: to whom their right is good, for how long, and in Mercurial. Scenarios show the rest.

use madake_testkit::{Server, hg, try_git, wait_for};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::hostile_support::{ledger, settled};

const SPECS: &str = "bamboo-specs/bamboo.yml";

/// A plan of one job with these tasks.
fn plan(tasks: &str) -> String {
    format!(
        "version: 2\nplan: {{project-key: PROJ, key: PLAN, name: Pushes}}\nstages:\n  - Build: [Compile]\n\
         Compile:\n  key: JOB1\n  tasks:\n{tasks}"
    )
}

/// The password that the only job of the server pushes with, once the job runs.
async fn right_of_job(server: &Server) -> String {
    wait_for("the order of the job", || async {
        let jobs = std::fs::read_dir(server.home().join("jobs")).ok()?;
        let order = jobs.flatten().find_map(|job| {
            let started = job.path().join("started.json").exists();
            started.then(|| std::fs::read(job.path().join("order.json")).ok())?
        })?;
        let order: Value = serde_json::from_slice(&order).ok()?;
        Some(order["push_rights"][0]["password"].as_str()?.to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn right_of_a_job_is_good_for_its_repository_alone_and_ends_with_the_job() {
    let server = Server::start().await;
    let other = server.hosted("PROJ/other");
    let _revision = other.push("master", &[("a", "1")]);
    let tasks = "    - script: sleep 600\n    - vcs-tag: never\n";
    let _revision = server.hosted("PROJ/app").push("master", &[(SPECS, &plan(tasks))]);
    let right = right_of_job(&server).await;
    let url = |slug: &str| {
        server
            .url()
            .replace("http://", &format!("http://x-job-auth:{right}@"))
            + "/scm/proj/"
            + slug
    };
    let refs = |slug: &str| {
        try_git(&server.scratch(), &["ls-remote", &url(slug)])
            .status
            .success()
    };
    let tag = |name: &str| {
        try_git(
            &server.scratch().join("PROJ-app"),
            &["push", &url("app.git"), &format!("HEAD:refs/tags/{name}")],
        )
        .status
        .success()
    };
    assert!(refs("app.git") && tag("by-hand"));
    assert!(!refs("other.git"));
    for path in [
        "/rest/api/latest/plan",
        "/rest/madake/1.0/status",
        "/projects/PROJ/repos/app",
    ] {
        let answer = server
            .anonymous(Method::GET, path)
            .basic_auth("x-job-auth", Some(&right));
        let status = answer.send().await.expect("an answer").status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    server.madake(&["build", "stop", "PROJ-PLAN-1"]);
    let _results = server.ended("PROJ-PLAN", 1).await;
    wait_for("the end of the right", || async {
        (!refs("app.git")).then_some(())
    })
    .await;
    assert!(!tag("too-late"));
    let forged = right.replace(&right[right.len() - 4..], "0000");
    let url = server
        .url()
        .replace("http://", &format!("http://x-job-auth:{forged}@"))
        + "/scm/proj/app.git";
    assert!(!try_git(&server.scratch(), &["ls-remote", &url]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_commit_and_begin_branches_in_mercurial() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let tasks = "    - checkout\n    - vcs-tag: begun\n    - script: echo built > made.txt\n\
                 \x20   - vcs-commit: {message: 'Release ${bamboo.buildNumber}'}\n\
                 \x20   - vcs-push\n    - vcs-tag: released\n    - vcs-branch: {branch: 'release-${bamboo.buildNumber}'}\n";
    let _revision = clone.push("plan", &[(SPECS, &plan(tasks))]);
    let results = server.ended("PROJ-PLAN", 1).await;
    let job_log = server
        .request(
            Method::GET,
            "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-1.log",
        )
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a log");
    assert_eq!(results[0]["buildState"], "Successful", "{job_log}");
    settled(&server).await;
    hg(&clone.path, &["pull"]);
    let log = hg(&clone.path, &["log", "--template", "{branch}: {desc}\n"]);
    for line in ["default: Release 1", "release-1: Begin the branch release-1"] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    let made = hg(&clone.path, &["cat", "--rev", "default", "made.txt"]);
    assert_eq!(made.trim(), "built");
    let at = |revision: &str| hg(&clone.path, &["log", "--rev", revision, "--template", "{desc}"]);
    assert_eq!(at("released"), "Release 1");
    assert_ne!(at("begun"), "Release 1");
    assert!(
        at("heads(branch(default))").starts_with("Added tag released"),
        "{log}"
    );
    let pushers: Vec<Value> = ledger(&server)
        .await
        .iter()
        .map(|entry| entry["content"]["pusher"].clone())
        .collect();
    assert_eq!(
        pushers.iter().filter(|name| *name == "build PROJ-PLAN-1").count(),
        4,
        "{pushers:?}"
    );
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
}
