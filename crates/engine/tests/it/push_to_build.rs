//! A push to an attached repository becomes a build; what is repeated, deleted or unchanged does not.

use madake_domain::schedule::ResultState;
use madake_engine::access::Caller;
use madake_engine::ops::trigger_build::TriggerBuild;

use crate::fixture::{Fixture, ZERO, git, plan_file};

#[tokio::test(flavor = "multi_thread")]
async fn push_becomes_a_build_of_the_exact_revision() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let first = work.push(
        "master",
        &[(
            "bamboo-specs/bamboo.yml",
            &plan_file("git rev-parse HEAD > ../seen", ""),
        )],
    );
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(
        builds[0].schedule.summary().state,
        ResultState::Successful,
        "{:?}",
        builds[0]
    );
    assert_eq!(builds[0].revision.as_deref(), Some(first.as_str()));
    let seen = std::fs::read_to_string(fixture.path().join("home/workspaces/1/seen")).expect("the job ran");
    assert_eq!(seen.trim(), first);

    // The same push told twice is one build, and the second entry points at the first.
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 1);
    let entries = fixture
        .engine
        .list_events(&Caller::local(), i64::MAX, None, 10)
        .await
        .expect("entries");
    assert_eq!(entries[0].state, "duplicate");
    assert_eq!(entries[0].duplicate_of, Some(entries[1].id));

    // A new branch becomes a plan branch with a build of its own.
    let second = work.push("feature/bar_baz", &[("x", "1")]);
    fixture.hook("PROJ/app", ZERO, &second, "feature/bar_baz").await;
    let builds = fixture.ended("PROJ-PLAN0", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(second.as_str()));
    assert_eq!(builds[0].vcs_branch.as_deref(), Some("feature/bar_baz"));

    // Its deletion builds nothing.
    fixture.hook("PROJ/app", &second, ZERO, "feature/bar_baz").await;
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN0").await.len(), 1);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_trigger_builds_what_changed_and_says_what_did_not() {
    let fixture = Fixture::start().await;
    let work = fixture.repository("lib");
    let file = plan_file("echo built", "triggers:\n  - remote\n");
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.link("lib", None, &work.bare).await;
    let key = "PROJ-PLAN".parse().expect("a key");
    fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken");
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(first.as_str()));

    let branch = work.push("feature/bar", &[("y", "2")]);
    fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken");
    let builds = fixture.ended("PROJ-PLAN0", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(branch.as_str()));
    assert_eq!(
        fixture.builds("PROJ-PLAN").await.len(),
        1,
        "the master had not changed"
    );

    let triggered = fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken");
    fixture.settled().await;
    let explained = fixture
        .engine
        .explain_event(&Caller::local(), triggered.event_id)
        .await
        .expect("explained");
    let sentences: Vec<&str> = explained
        .decisions
        .iter()
        .map(|one| one.decision.sentence.as_str())
        .collect();
    assert!(
        sentences.contains(&"No changes found for 'PROJ-PLAN0'"),
        "{sentences:?}"
    );
    assert!(
        sentences.contains(&"No changes found for 'PROJ-PLAN'"),
        "{sentences:?}"
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_script_fails_the_build_and_a_stop_ends_one() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &plan_file("exit 3", ""))]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].schedule.summary().state, ResultState::Failed);

    let second = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan_file("sleep 60", ""))],
    );
    fixture.hook("PROJ/app", &first, &second, "master").await;
    fixture
        .wait_for("the job to run", || async {
            let builds = fixture.builds("PROJ-PLAN").await;
            builds.get(1).and_then(|build| build.started_ms)
        })
        .await;
    fixture
        .engine
        .stop_build(&Caller::local(), &"PROJ-PLAN-2".parse().expect("a key"))
        .await
        .expect("stopped");
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].schedule.summary().life_cycle.as_str(), "NotBuilt");
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_goes_on_while_the_engine_is_away() {
    let mut fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 0.1; done";
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &plan_file(script, ""))]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture
        .wait_for("the job to run", || async {
            fixture
                .builds("PROJ-PLAN")
                .await
                .first()
                .and_then(|build| build.started_ms)
        })
        .await;
    fixture.restart().await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].schedule.summary().state, ResultState::Successful);
    let job = builds[0].schedule.stages()[0].jobs[0].id;
    let log = std::fs::read_to_string(fixture.engine.home().job_log(builds[0].id, job, 1)).expect("a log");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\tline ")).collect();
    assert_eq!(lines.len(), 10, "{log}");
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_stage_waits_and_goes_on() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let file = "version: 2\nplan: {project-key: PROJ, key: PLAN, name: Staged}\nstages:\n  - First: [A]\n  - Second: {manual: true, jobs: [B]}\nA:\n  key: A\n  tasks: [{script: echo a}]\nB:\n  key: B\n  tasks: [{script: echo b}]\n";
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert!(builds[0].schedule.summary().continuable);
    let key = "PROJ-PLAN-1".parse().expect("a key");
    fixture
        .engine
        .continue_build(&Caller::local(), &key, Default::default(), Vec::new())
        .await
        .expect("it goes on");
    fixture
        .wait_for("the second stage", || async {
            let builds = fixture.builds("PROJ-PLAN").await;
            let summary = builds[0].schedule.summary();
            (summary.successful && !summary.continuable).then_some(())
        })
        .await;
    let asked = TriggerBuild {
        stages: madake_domain::stage_selection::StageRequest::new(Some("Nope"), None),
        ..TriggerBuild::default()
    };
    let error = fixture
        .engine
        .trigger_build(&Caller::local(), &"PROJ-PLAN".parse().expect("a key"), asked)
        .await
        .expect_err("there is no such stage");
    assert!(error.to_string().contains("Nope"), "{error}");
    assert_eq!(
        fixture.builds("PROJ-PLAN").await.len(),
        1,
        "nothing half-done stays"
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_remote_trigger_over_many_branches_starts_a_handful_of_git_processes() {
    let fixture = Fixture::start_counting().await;
    let work = fixture.repository("lib");
    let file = plan_file("echo built", "triggers:\n  - remote\n");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.link("lib", None, &work.bare).await;
    for number in 0..40 {
        git(
            &work.tree,
            &["push", "--quiet", "origin", &format!("HEAD:refs/heads/b{number}")],
        );
    }
    fixture
        .engine
        .set_paused(&Caller::local(), true)
        .await
        .expect("paused");
    fixture.git_processes();
    let key = "PROJ-PLAN".parse().expect("a key");
    let triggered = fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken");
    fixture.settled().await;
    let explained = fixture
        .engine
        .explain_event(&Caller::local(), triggered.event_id)
        .await
        .expect("explained");
    let builds = explained
        .decisions
        .iter()
        .filter(|one| one.decision.build)
        .count();
    assert_eq!(builds, 41, "the master and each new branch");
    let started = fixture.git_processes();
    assert!(
        started.len() <= 8,
        "{} git processes: {started:#?}",
        started.len()
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_follows_an_unrecorded_one_enters_both() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let first = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan_file("echo built", ""))],
    );
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture.ended("PROJ-PLAN", 1).await;
    let second = work.push("master", &[("x", "1")]);
    let third = work.push("master", &[("x", "2")]);
    // The hook of the second push was lost; that of the third says where it started.
    fixture.hook("PROJ/app", &second, &third, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 3).await;
    let revisions: Vec<_> = builds
        .iter()
        .map(|build| build.revision.clone().unwrap_or_default())
        .collect();
    assert_eq!(revisions, [first.clone(), second.clone(), third]);
    // Then the lost one comes after all: it is entered, and builds nothing again.
    fixture.hook("PROJ/app", &first, &second, "master").await;
    fixture.settled().await;
    assert_eq!(fixture.builds("PROJ-PLAN").await.len(), 3);
    fixture.engine.stop().await;
}
