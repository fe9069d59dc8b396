//! Promise 1: a `git push` that succeeded gives exactly one build of its tip, whenever the server is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use madake_testkit::{Server, ServerOptions, WorkTree, git, try_git};
use serde_json::Value;

use crate::plan_files::one_job;

/// A small generator; a failing run says its seed, which `MADAKE_SEED` gives again.
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("MADAKE_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);

        Self { seed, state: seed }
    }

    /// What a failing run says, so that it can be repeated.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }
}

pub(crate) fn rounds() -> u64 {
    let long = std::env::var("MADAKE_LONG").is_ok_and(|value| value == "1");
    std::env::var("MADAKE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(if long { 200 } else { 15 })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_successful_push_is_built_once_whenever_the_server_is_killed() {
    let mut chance = Chance::from_environment();
    let mut server = Server::start_with(ServerOptions {
        environment: vec![("MADAKE__REPOSITORIES__RECONCILE_SECONDS".into(), "1".into())],
        configuration: String::new(),
    })
    .await;
    let runs = server.scratch().join("runs");
    std::fs::create_dir_all(&runs).expect("a folder");
    let script = format!(
        "git rev-parse HEAD >> {}/$bamboo_planRepository_revision",
        runs.display()
    );
    let work = server.hosted("PROJ/app");
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &one_job(&script, ""))]);
    server.ended("PROJ-PLAN", 1).await;
    let mut pushed = vec![first];
    for round in 0..rounds() {
        work.switch("master");
        let commit = work.commit("a change", &[("round", &round.to_string())]);
        let pusher = {
            let work = work.clone();
            tokio::task::spawn_blocking(move || push(&work))
        };
        tokio::time::sleep(Duration::from_millis(chance.below(250))).await;
        server.kill();
        let succeeded = pusher.await.expect("the push ends");
        server.launch().await;
        // A push that failed may be tried again; whether or not it had moved the ref, one build is right.
        if !succeeded {
            git(&work.path, &["push", "--quiet", "origin", "master"]);
        }
        pushed.push(commit);
    }
    let began = Instant::now();
    let counts = loop {
        let counts = builds_by_revision(&server.results("PROJ-PLAN").await);
        let mut open = Vec::new();
        for commit in &pushed {
            if !counts.get(commit).is_some_and(|(_, ended)| *ended) && !superseded(&server, commit).await {
                open.push(commit);
            }
        }
        if open.is_empty() {
            break counts;
        }
        if began.elapsed() > Duration::from_secs(60) {
            let states = server.results("PROJ-PLAN").await;
            let why = server
                .get(&format!(
                    "/rest/madake/1.0/plans/PROJ-PLAN/why?revision={}",
                    open[0]
                ))
                .await;
            panic!(
                "MADAKE_SEED={}: neither built nor explained: {open:?}\n{why:#}\n{states:#?}\n{}",
                chance.seed,
                server.log()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for commit in &pushed {
        let built = counts.get(commit).map_or(0, |(count, _)| *count);
        let explained = superseded(&server, commit).await;
        assert!(
            built == 1 || (built == 0 && explained),
            "MADAKE_SEED={}: {commit} was built {built} times\n{}",
            chance.seed,
            server.log()
        );
        let ran = ran(&runs, commit);
        assert_eq!(ran, built, "the job of {commit} ran {ran} times");
    }
}

fn push(work: &WorkTree) -> bool {
    try_git(&work.path, &["push", "--quiet", "origin", "master"])
        .status
        .success()
}

/// How often each revision was built, and whether all of its builds have ended.
fn builds_by_revision(results: &[Value]) -> BTreeMap<String, (usize, bool)> {
    let mut counts: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for result in results {
        let revision = result["vcsRevisionKey"].as_str().unwrap_or_default().to_owned();
        let ended = result["lifeCycleState"] == "Finished";
        let entry = counts.entry(revision).or_insert((0, true));
        entry.0 += 1;
        entry.1 &= ended;
    }
    counts
}

/// Whether the ledger says why a revision was not built.
async fn superseded(server: &Server, commit: &str) -> bool {
    let why = server
        .get(&format!(
            "/rest/madake/1.0/plans/PROJ-PLAN/why?revision={commit}&limit=50"
        ))
        .await;
    why.to_string().contains("superseded")
}

fn ran(runs: &Path, commit: &str) -> usize {
    std::fs::read_to_string(runs.join(commit)).map_or(0, |text| text.lines().count())
}
