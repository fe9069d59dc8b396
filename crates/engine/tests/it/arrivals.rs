//! What arrives without a push of its own: reconciliation, polling, cron; and what waits behind a limit.

use madake_engine::access::Caller;
use madake_engine::ops::trigger_build::TriggerBuild;

use crate::fixture::{Fixture, ZERO, git, plan_file};

#[tokio::test(flavor = "multi_thread")]
async fn push_that_nobody_told_of_is_found_by_reconciliation() {
    let fixture = Fixture::start_with(|settings| settings.reconcile_seconds = 1).await;
    let work = fixture.repository("app");
    let first = work.push(
        "master",
        &[(
            "bamboo-specs/bamboo.yml",
            &plan_file("echo built", "triggers:\n  - bitbucket-server-trigger\n"),
        )],
    );
    fixture
        .engine
        .attach_repository(&Caller::local(), "PROJ/app", &work.bare)
        .await
        .expect("attached");
    assert!(
        fixture.builds("PROJ-PLAN").await.is_empty(),
        "{first} is the starting point, and not a push"
    );
    let second = work.push("master", &[("x", "1")]);
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(second.as_str()));
    let entries = fixture
        .engine
        .list_events(&Caller::local(), i64::MAX, None, 10)
        .await
        .expect("entries");
    assert_eq!(entries[0].kind, "reconciliation");
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_finds_changes_and_leaves_no_trace_of_looks_without() {
    let fixture = Fixture::start().await;
    let work = fixture.repository("lib");
    let file = plan_file("echo built", "triggers:\n  - polling: 1\n");
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.link("lib", None, &work.bare).await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(first.as_str()));
    let second = work.push("master", &[("x", "1")]);
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].revision.as_deref(), Some(second.as_str()));
    let entries = fixture
        .engine
        .list_events(&Caller::local(), i64::MAX, None, 100)
        .await
        .expect("entries");
    assert_eq!(entries.iter().filter(|one| one.kind == "poll").count(), 2);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_trigger_builds_whether_or_not_anything_changed() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let file = plan_file("echo built", "triggers:\n  - cron: '* * * * * ?'\n");
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert!(
        builds
            .iter()
            .all(|build| build.revision.as_deref() == Some(first.as_str()))
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revision_behind_the_limit_is_built_or_recorded_as_superseded() {
    let fixture = Fixture::start_with(|settings| settings.concurrent_builds = Some(1)).await;
    let work = fixture.attached("app").await;
    let script = "until [ -e ../../../../go ]; do sleep 0.05; done";
    let mut revisions = vec![work.push("master", &[("bamboo-specs/bamboo.yml", &plan_file(script, ""))])];
    fixture.hook("PROJ/app", ZERO, &revisions[0], "master").await;
    fixture
        .wait_for("the first build to run", || async {
            fixture
                .builds("PROJ-PLAN")
                .await
                .first()
                .and_then(|build| build.started_ms)
        })
        .await;
    for round in 1..4 {
        let next = work.push("master", &[("x", &round.to_string())]);
        fixture
            .hook("PROJ/app", &revisions[round - 1], &next, "master")
            .await;
        fixture.settled().await;
        revisions.push(next);
    }
    let key = "PROJ-PLAN".parse().expect("a key");
    let refused = fixture
        .engine
        .trigger_build(&Caller::local(), &key, TriggerBuild::default())
        .await;
    let sentence = refused.expect_err("a build by hand does not wait").to_string();
    assert!(
        sentence.contains("maximum number of concurrent builds"),
        "{sentence}"
    );
    std::fs::write(fixture.path().join("go"), "").expect("a signal");
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    let built: Vec<_> = builds
        .iter()
        .map(|build| build.revision.clone().unwrap_or_default())
        .collect();
    assert_eq!(built, [revisions[0].clone(), revisions[3].clone()]);
    for skipped in &revisions[1..3] {
        let why = fixture
            .engine
            .explain_plan(&Caller::local(), &key, Some(skipped.clone()), 5)
            .await
            .expect("why");
        let outcome = why[0].0.decision.outcome.clone().unwrap_or_default();
        assert!(outcome.starts_with("superseded"), "{skipped}: {outcome}");
    }
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn condition_of_a_trigger_holds_a_build_back_and_says_why() {
    let fixture = Fixture::start().await;
    let work = fixture.repository("lib");
    let file = plan_file(
        "echo built",
        "triggers:\n  - remote:\n      conditions:\n        - minimum-commits: 3\n",
    );
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.link("lib", None, &work.bare).await;
    let key = "PROJ-PLAN".parse().expect("a key");
    let mut built = Vec::new();
    for round in 0..3 {
        let _ = work.push("master", &[("x", &round.to_string())]);
        fixture
            .engine
            .trigger_remotely(&Caller::local(), &key, false, None)
            .await
            .expect("taken");
        fixture.settled().await;
        built.push(fixture.builds("PROJ-PLAN").await.len());
    }
    // The first commit of the repository and two more make three.
    assert_eq!(
        built,
        [0, 1, 1],
        "the third push brings one commit since the build"
    );
    let why = fixture
        .engine
        .explain_plan(&Caller::local(), &key, None, 1)
        .await
        .expect("why");
    assert_eq!(
        why[0].0.decision.code, "condition-failed",
        "{:?}",
        why[0].0.decision
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_does_not_answer_delays_nobody_else_and_is_tried_again() {
    let fixture = Fixture::start().await;
    let away = fixture.repository("away");
    let file = plan_file("echo built", "triggers:\n  - remote\n").replace("PLAN", "AWAY");
    let _ = away.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.link("away", None, &away.bare).await;
    let hidden = away.bare.with_extension("hidden");
    std::fs::rename(&away.bare, &hidden).expect("the host is gone");
    let key = "PROJ-AWAY".parse().expect("a key");
    fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken all the same");

    let here = fixture.repository("here");
    fixture
        .engine
        .attach_repository(&Caller::local(), "PROJ/here", &here.bare)
        .await
        .expect("attached");
    let first = here.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan_file("echo built", ""))],
    );
    fixture.hook("PROJ/here", ZERO, &first, "master").await;
    fixture.ended("PROJ-PLAN", 1).await;
    assert!(fixture.builds("PROJ-AWAY").await.is_empty());

    std::fs::rename(&hidden, &away.bare).expect("the host is back");
    fixture.ended("PROJ-AWAY", 1).await;
    git(&away.tree, &["fetch", "--quiet"]);
    fixture.engine.stop().await;
}
