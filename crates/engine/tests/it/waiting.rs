//! People are told of a job that waits too long for an agent.

use madake_engine::access::Caller;
use madake_engine::ops::trigger_build::TriggerBuild;
use madake_store::StoreError;

use crate::fixture::{Fixture, ZERO, plan_file};

#[tokio::test(flavor = "multi_thread")]
async fn job_that_waits_too_long_in_the_queue_is_told_once_with_the_reason() {
    let fixture = Fixture::start_with(|settings| {
        settings.agents = 1;
        settings.hanging.minutes_queue_timeout = 30;
    })
    .await;
    let go = fixture.path().join("go");
    let work = fixture.attached("app").await;
    let file = plan_file(
        &format!("while [ ! -e '{}' ]; do sleep 0.05; done", go.display()),
        "notifications:\n  - recipients: [{webhook: {name: all, url: 'http://127.0.0.1:1/'}}]\n    events: [job-queue-timeout]\n",
    );
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture
        .wait_for("the first build to run", || async {
            let build = fixture.builds("PROJ-PLAN").await.pop()?;
            build.started_ms.is_some().then_some(())
        })
        .await;
    let key = "PROJ-PLAN".parse().expect("a key");
    fixture
        .engine
        .trigger_build(&Caller::local(), &key, TriggerBuild::default())
        .await
        .expect("queued");
    // It has waited for half an hour: the hour at which it began to wait is moved.
    fixture
        .engine
        .store()
        .write(|tx| {
            let text = tx.first("SELECT schedule FROM build WHERE number = 2", &[], |row| {
                row.get::<String>(0)
            })?;
            let text = text.expect("the second build");
            let (front, rest) = text.split_once("\"since_ms\":").expect("it waits");
            let digits = rest
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(rest.len());
            let (since, behind) = rest.split_at(digits);
            let earlier = since.parse::<i64>().expect("a time") - 31 * 60_000;
            let changed = format!("{front}\"since_ms\":{earlier}{behind}");
            let count = tx.execute("UPDATE build SET schedule = $1 WHERE number = 2", &[&changed])?;
            assert_eq!(count, 1);
            Ok::<_, StoreError>(())
        })
        .await
        .expect("moved");
    let told = fixture
        .wait_for("somebody to be told", || async {
            let told = fixture
                .engine
                .notifications(&Caller::local(), Some(&key), i64::MAX, 10)
                .await;
            Some(told.expect("messages")).filter(|told| !told.is_empty())
        })
        .await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].build_key.as_deref(), Some("PROJ-PLAN-2"));
    assert!(told[0].message.event.contains("queue"), "{:?}", told[0]);
    let entry = fixture.builds("PROJ-PLAN").await[1].event_id.expect("its entry");
    let explained = fixture
        .engine
        .explain_event(&Caller::local(), entry)
        .await
        .expect("explained");
    let notes: Vec<&str> = explained.notes.iter().map(|note| note.text.as_str()).collect();
    let expected = "PROJ-PLAN-JOB1-2 waits too long: it has waited for an agent for 31 minutes, and the limit is 30 minutes: \
                    the only agent is at work";
    assert!(notes.iter().any(|note| note.starts_with(expected)), "{notes:?}");
    std::fs::write(&go, "").expect("the script goes on");
    fixture.ended("PROJ-PLAN", 2).await;
    fixture.engine.stop().await;
}
