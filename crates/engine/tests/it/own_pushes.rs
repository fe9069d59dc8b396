//! What a build pushes does not start its own plan again, whoever finds it.

use std::path::Path;
use std::process::Command;

use madake_domain::repository::Scm;
use madake_store::{decision, plan};

use crate::fixture::{Fixture, WorkTree, git};

const SPECS: &str = "bamboo-specs/bamboo.yml";

/// A plan whose only job does these tasks.
fn plan_of(tasks: &str, more: &str) -> String {
    format!(
        "version: 2\nplan: {{project-key: PROJ, key: PLAN, name: Pushes}}\nstages:\n  - Build: [Compile]\n\
         Compile:\n  key: JOB1\n  tasks:\n    - checkout\n{tasks}\n{more}\n"
    )
}

/// Commits and pushes something new at each build.
const COMMITS: &str = "    - script: echo ${bamboo.buildNumber} > made.txt\n    - vcs-commit: {message: 'Release'}\n    - vcs-push";

/// Waits for so many decisions that passed a push of the plan's own builds over; gives their plan branches.
async fn passed_over(fixture: &Fixture, count: usize) -> Vec<String> {
    fixture
        .wait_for("pushes to be passed over", || async {
            let found = fixture.engine.store().read(|tx| {
                let plan = plan::by_key(tx, &"PROJ-PLAN".parse().expect("a key"))?;
                let plan_id = plan.map_or(0, |plan| plan.id);
                decision::of_plan(tx, plan_id, None, None, 1000)
            });
            let all = found.await.expect("decisions");
            let own: Vec<String> = all
                .into_iter()
                .filter(|one| one.code == "own-push" && !one.build)
                .map(|one| one.plan_key)
                .collect();
            (own.len() >= count).then_some(own)
        })
        .await
}

/// Takes what the build pushed into the work tree.
fn pull(work: &WorkTree) {
    git(&work.tree, &["pull", "--quiet", "--ff-only", "origin", "master"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_of_a_linked_repository_passes_over_what_the_plan_pushed() {
    let fixture = Fixture::start().await;
    let work = fixture.repository("lib");
    let file = plan_of(COMMITS, "triggers:\n  - polling: 1");
    let _first = work.push("master", &[(SPECS, &file)]);
    fixture.link("lib", None, &work.bare).await;
    let _builds = fixture.ended("PROJ-PLAN", 1).await;
    passed_over(&fixture, 1).await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 1);
    pull(&work);
    let by_hand = work.push("master", &[("x", "1")]);
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].revision.as_deref(), Some(by_hand.as_str()));
    passed_over(&fixture, 2).await;
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 2);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn branch_that_a_build_began_is_not_built_when_polling_finds_it() {
    let fixture = Fixture::start().await;
    let work = fixture.repository("lib");
    let tasks = "    - vcs-branch: {branch: 'rel/${bamboo.planKey}-${bamboo.buildNumber}'}";
    let more = "branches: {create: for-new-branch}\ntriggers:\n  - polling: 1";
    let _first = work.push("master", &[(SPECS, &plan_of(tasks, more))]);
    fixture.link("lib", None, &work.bare).await;
    let _builds = fixture.ended("PROJ-PLAN", 1).await;
    let keys = passed_over(&fixture, 1).await;
    assert_eq!(keys, ["PROJ-PLAN0"]);
    assert!(fixture.builds("PROJ-PLAN0").await.is_empty());
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 1);
    fixture.engine.stop().await;
}

/// A build of an attached repository that has pushed and does not end; gives what it pushed and where.
async fn pushed_and_waiting(fixture: &Fixture) -> (WorkTree, String, String) {
    let work = fixture.attached("app").await;
    let gate = fixture.path().join("gate");
    let tasks = format!(
        "{COMMITS}\n    - script: 'while [ ! -e {} ]; do sleep 0.05; done'",
        gate.display()
    );
    let file = plan_of(&tasks, "triggers:\n  - bitbucket-server-trigger");
    let first = work.push("master", &[(SPECS, &file)]);
    fixture
        .hook("PROJ/app", crate::fixture::ZERO, &first, "master")
        .await;
    let pushed = fixture
        .wait_for("the build to push", || async {
            let head = head_of(&work.bare);
            (head != first).then_some(head)
        })
        .await;
    (work, first, pushed)
}

fn head_of(bare: &Path) -> String {
    let output = Command::new("git")
        .args(["rev-parse", "master"])
        .current_dir(bare)
        .output()
        .expect("git");
    String::from_utf8(output.stdout).expect("utf-8").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_that_tells_of_a_push_while_its_build_runs_starts_nothing() {
    let fixture = Fixture::start().await;
    let (work, first, pushed) = pushed_and_waiting(&fixture).await;
    fixture.hook("PROJ/app", &first, &pushed, "master").await;
    passed_over(&fixture, 1).await;
    let builds = fixture.builds("PROJ-PLAN").await;
    assert_eq!(builds.len(), 1);
    assert!(builds[0].finished_ms.is_none());
    std::fs::write(fixture.path().join("gate"), "").expect("an open gate");
    let _builds = fixture.ended("PROJ-PLAN", 1).await;
    pull(&work);
    let next = work.push("master", &[("x", "1")]);
    fixture.hook("PROJ/app", &pushed, &next, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].revision.as_deref(), Some(next.as_str()));
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_pushed_is_built_though_a_job_merged_it_into_its_own_push() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let gate = fixture.path().join("gate");
    let pulls = format!(
        "    - script: |\n        while [ ! -e {gate} ]; do sleep 0.05; done\n        git pull --quiet {bare} master\n{COMMITS}",
        gate = gate.display(),
        bare = work.bare.display()
    );
    let file = plan_of(&pulls, "triggers:\n  - bitbucket-server-trigger");
    let first = work.push("master", &[(SPECS, &file)]);
    fixture
        .hook("PROJ/app", crate::fixture::ZERO, &first, "master")
        .await;
    let theirs = work.push("master", &[("x", "1")]);
    std::fs::write(&gate, "").expect("an open gate");
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    let log = fixture.log(builds[0].id);
    assert!(log.contains(&format!("master moved to {theirs} while")), "{log}");
    // Nobody told of theirs.
    let merged = head_of(&work.bare);
    fixture.hook("PROJ/app", &first, &merged, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].revision.as_deref(), Some(merged.as_str()));
    let second = head_of(&work.bare);
    fixture.hook("PROJ/app", &merged, &second, "master").await;
    passed_over(&fixture, 1).await;
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 2);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_of_a_linked_repository_that_push_for_each_other_are_stopped() {
    let fixture = Fixture::start_with(|settings| settings.pushes_in_a_row = 2).await;
    let work = fixture.repository("lib");
    let plan_of = |key: &str, own: &str, others: &str| {
        plan_of(
            &format!("    - vcs-tag: '{own}-${{bamboo.buildNumber}}'"),
            &format!("triggers:\n  - polling: 1\n  - tag: {{filter: '{others}-.*'}}"),
        )
        .replace("key: PLAN", &format!("key: {key}"))
        .replace("Pushes", key)
    };
    let file = format!(
        "{}---\n{}",
        plan_of("PLAN", "ping", "pong"),
        plan_of("PONG", "pong", "ping")
    );
    let _first = work.push("master", &[(SPECS, &file)]);
    fixture.link("lib", None, &work.bare).await;
    let fixture = &fixture;
    let refused = |key: &'static str| async move {
        let found = fixture.engine.store().read(move |tx| {
            let plan = plan::by_key(tx, &key.parse().expect("a key"))?;
            decision::of_plan(tx, plan.map_or(0, |plan| plan.id), None, None, 1000)
        });
        let all = found.await.expect("decisions");
        let of_chain = all.into_iter().find(|one| one.code == "push-chain" && !one.build);
        of_chain.map(|one| one.sentence)
    };
    let ping = fixture
        .wait_for("a row from PONG to end", || refused("PROJ-PLAN"))
        .await;
    let pong = fixture
        .wait_for("a row from PLAN to end", || refused("PROJ-PONG"))
        .await;
    assert!(ping.contains("(PROJ-PLAN-1 -> PROJ-PONG-"), "{ping}");
    assert!(pong.contains("(PROJ-PONG-1 -> PROJ-PLAN-"), "{pong}");
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 2);
    assert_eq!(fixture.builds("PROJ-PONG").await.len(), 2);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn push_of_a_job_that_was_killed_before_it_told_its_end_is_known() {
    let mut fixture = Fixture::start().await;
    let (_work, first, pushed) = pushed_and_waiting(&fixture).await;
    let jobs = fixture.path().join("home/jobs");
    let job = std::fs::read_dir(&jobs)
        .expect("jobs")
        .next()
        .expect("a job")
        .expect("a folder")
        .path();
    let started = std::fs::read(job.join("started.json")).expect("it began");
    let started: serde_json::Value = serde_json::from_slice(&started).expect("JSON");
    fixture.engine.stop().await;
    let killed = Command::new("kill")
        .args(["-9", &started["pid"].to_string()])
        .status()
        .expect("kill");
    assert!(killed.success());
    fixture.restart().await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds.len(), 1);
    fixture
        .wait_for("the directory of the job to go", || async {
            (!job.exists()).then_some(())
        })
        .await;
    fixture.hook("PROJ/app", &first, &pushed, "master").await;
    passed_over(&fixture, 1).await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 1);
    fixture.engine.stop().await;
}

fn hg(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("hg")
        .args(arguments)
        .current_dir(folder)
        .env("HGRCPATH", "/dev/null")
        .env("HGUSER", "Joe Doe <joe@example.org>")
        .status()
        .expect("hg runs");
    assert!(ran.success(), "hg {arguments:?} failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_of_mercurial_passes_over_tags_and_branches_of_the_plan() {
    let fixture = Fixture::start().await;
    let work = fixture.path().join("lib");
    std::fs::create_dir_all(work.join("bamboo-specs")).expect("a folder");
    hg(&work, &["init"]);
    let tasks =
        "    - vcs-tag: 'v${bamboo.buildNumber}'\n    - vcs-branch: {branch: 'rel-${bamboo.buildNumber}'}";
    let more = "branches: {create: for-new-branch}\ntriggers:\n  - polling: 1";
    std::fs::write(work.join(SPECS), plan_of(tasks, more)).expect("a file");
    hg(&work, &["commit", "--quiet", "--addremove", "--message", "first"]);
    fixture.link("lib", Some(Scm::Hg), &work).await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    let log = fixture.log(builds[0].id);
    assert!(log.contains("The branch rel-1 begins at"), "{log}");
    fixture
        .wait_for("both branches to be passed over", || async {
            let keys = passed_over(&fixture, 1).await;
            let both = ["PROJ-PLAN", "PROJ-PLAN0"];
            both.iter()
                .all(|key| keys.iter().any(|one| one == key))
                .then_some(())
        })
        .await;
    assert!(fixture.builds("PROJ-PLAN0").await.is_empty());
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 1);
    fixture.engine.stop().await;
}
