//! New tags of linked repositories: however they are come across, each plan that builds tags is asked about each once.

use madake_engine::access::Caller;

use crate::fixture::{Fixture, WorkTree, git, plan_file};

/// A linked repository with the plan `PLAN`, which is called, and the plan `TAGS`, which builds tags; it was looked at, so
/// that tags from now on are new.
async fn linked_with_two_plans(fixture: &Fixture) -> WorkTree {
    let work = fixture.repository("lib");
    let called = plan_file("echo called", "triggers:\n  - remote\n");
    let tagged = plan_file("echo tagged", "triggers:\n  - tag\n")
        .replace("key: PLAN", "key: TAGS")
        .replace("Build it", "Build tags");
    let both = format!("{called}{tagged}");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &both)]);
    fixture.link("lib", None, &work.bare).await;
    fixture
        .wait_for("the first look", || async {
            (kinds(fixture).await.iter().any(|kind| kind == "poll")).then_some(())
        })
        .await;
    fixture.settled().await;
    work
}

async fn kinds(fixture: &Fixture) -> Vec<String> {
    let entries = fixture
        .engine
        .list_events(&Caller::local(), i64::MAX, None, 100)
        .await
        .expect("entries");
    entries.into_iter().map(|one| one.kind).collect()
}

async fn call_the_other_plan(fixture: &Fixture) {
    let key = "PROJ-PLAN".parse().expect("a key");
    fixture
        .engine
        .trigger_remotely(&Caller::local(), &key, false, None)
        .await
        .expect("taken");
    fixture.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_that_a_call_of_another_plan_comes_across_is_built_once() {
    let fixture = Fixture::start().await;
    let work = linked_with_two_plans(&fixture).await;
    git(&work.tree, &["tag", "v1"]);
    git(&work.tree, &["push", "--quiet", "origin", "v1"]);
    call_the_other_plan(&fixture).await;
    let builds = fixture.ended("PROJ-TAGS", 1).await;
    assert_eq!(builds[0].revision.as_deref(), Some(work.head().as_str()));
    call_the_other_plan(&fixture).await;
    assert_eq!(fixture.builds("PROJ-TAGS").await.len(), 1);
    let kinds = kinds(&fixture).await;
    let entered = kinds.iter().filter(|kind| *kind == "reconciliation").count();
    assert_eq!(entered, 1, "{kinds:?}");
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_beyond_the_limit_are_named_as_such() {
    let fixture = Fixture::start_with(|settings| settings.refs_per_push = 1).await;
    let work = linked_with_two_plans(&fixture).await;
    git(&work.tree, &["tag", "v1"]);
    git(&work.tree, &["tag", "v2"]);
    git(&work.tree, &["push", "--quiet", "origin", "v1", "v2"]);
    call_the_other_plan(&fixture).await;
    let builds = fixture.ended("PROJ-TAGS", 1).await;
    assert_eq!(builds.len(), 1);
    let key = "PROJ-TAGS".parse().expect("a key");
    let why = fixture
        .engine
        .explain_plan(&Caller::local(), &key, None, 10)
        .await
        .expect("why");
    let decisions = why
        .iter()
        .map(|(one, ..)| (one.decision.code.as_str(), one.decision.sentence.as_str()));
    let decisions: Vec<(&str, &str)> = decisions.collect();
    let too_many = decisions.iter().find(|(code, _)| *code == "too-many-tags");
    assert_eq!(
        too_many.map(|(_, sentence)| *sentence),
        Some(
            "nothing is built for v2: more tags were pushed at once than are taken up (1); start a build by hand"
        ),
        "{decisions:?}"
    );
    assert!(
        decisions.iter().all(|(code, _)| *code != "tag-ignored"),
        "{decisions:?}"
    );
    fixture.engine.stop().await;
}
