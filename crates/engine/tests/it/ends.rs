//! What jobs may use is asked when each begins, and an end that nobody waits for holds up nothing.

use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::schedule::ResultState;
use madake_engine::access::Caller;
use madake_engine::ops::trigger_build::TriggerBuild;
use madake_store::{expiry, permission};

use crate::fixture::{Fixture, ZERO, plan_file};

#[tokio::test(flavor = "multi_thread")]
async fn repository_of_another_project_is_asked_for_at_each_build() {
    let fixture = Fixture::start().await;
    let lib = fixture.repository("lib");
    let _ = lib.push("master", &[("treasure", "gold")]);
    fixture
        .engine
        .attach_repository(&Caller::local(), "LIB/secret", &lib.bare)
        .await
        .expect("attached");
    let grantee = || Grantee::Repository("PROJ/app".into());
    fixture
        .engine
        .store()
        .write(move |tx| {
            let (scope, key) = (Scope::Repository, "LIB/secret");
            permission::grant(tx, scope, key, &grantee(), Permission::Read, 0)
        })
        .await
        .expect("granted");
    let app = fixture.attached("app").await;
    let file = plan_file(
        "cat lib/treasure",
        "repositories:\n  - PROJ/app\n  - LIB/secret:\n      scope: global\n",
    )
    .replace(
        "  tasks:\n",
        "  tasks:\n    - checkout: {repository: LIB/secret, path: lib}\n",
    );
    let first = app.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].schedule.summary().state, ResultState::Successful);

    // Taken back: the plan is as it was, and the next build of it gets nothing of the repository.
    fixture
        .engine
        .store()
        .write(move |tx| {
            let (scope, key) = (Scope::Repository, "LIB/secret");
            permission::revoke(tx, scope, key, &grantee(), Permission::Read)
        })
        .await
        .expect("revoked");
    let key = "PROJ-PLAN".parse().expect("a key");
    let asked = TriggerBuild::default();
    fixture
        .engine
        .trigger_build(&Caller::local(), &key, asked)
        .await
        .expect("queued");
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].version_id, builds[0].version_id);
    assert_eq!(builds[1].schedule.summary().state, ResultState::Failed);
    let log = fixture.log(builds[1].id);
    assert!(!log.contains("gold"), "{log}");
    assert!(log.contains("LIB/secret"), "the log says which: {log}");
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_a_job_whose_build_is_gone_frees_its_agent() {
    let fixture = Fixture::start_with(|settings| settings.agents = 1).await;
    let work = fixture.attached("app").await;
    let go = fixture.path().join("go");
    // It leaves the results of a test, so that there is something to store.
    let script = format!(
        "mkdir -p test-reports; printf '<testsuite><testcase name=\"a\"/></testsuite>' > test-reports/a.xml\n\
         while [ ! -e '{}' ]; do sleep 0.05; done",
        go.display()
    );
    let file = plan_file(&script, "").trim_end().to_owned()
        + "\n    - test-parser: {type: junit, test-results: '**/a.xml'}\n";
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let build = fixture
        .wait_for("the script to run", || async {
            let build = fixture.builds("PROJ-PLAN").await.pop()?;
            let runs = fixture
                .path()
                .join("home/workspaces/1/PROJ-PLAN-JOB1/test-reports/a.xml");
            (runs.exists() && build.started_ms.is_some()).then_some(build)
        })
        .await;
    fixture
        .engine
        .store()
        .write(move |tx| expiry::remove(tx, build.id))
        .await
        .expect("removed");
    std::fs::write(&go, "").expect("the script goes on");
    let second = work.push("master", &[("x", "1")]);
    fixture.hook("PROJ/app", &first, &second, "master").await;
    // The only agent takes the next build.
    let builds = fixture.ended("PROJ-PLAN", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(second.as_str()));
    assert_eq!(builds[0].schedule.summary().state, ResultState::Successful);
    fixture.engine.stop().await;
}
