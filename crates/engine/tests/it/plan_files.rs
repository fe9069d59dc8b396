//! Plans as code: what a push of a plan file changes, and what it may not.

use madake_engine::access::Caller;

use crate::fixture::{Fixture, ZERO, plan_file};

#[tokio::test(flavor = "multi_thread")]
async fn plan_file_with_a_mistake_leaves_the_version_in_force_and_is_noted_with_its_line() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let first = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan_file("echo one", ""))],
    );
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    let before = fixture.ended("PROJ-PLAN", 1).await[0].version_id;
    let broken = plan_file("echo two", "stagess: []\n").replace("[Compile]", "[Nowhere]");
    let second = work.push("master", &[("bamboo-specs/bamboo.yml", &broken)]);
    fixture.hook("PROJ/app", &first, &second, "master").await;
    let builds = fixture.ended("PROJ-PLAN", 2).await;
    assert_eq!(builds[1].version_id, before, "the version in force stays");
    let event = builds[1].event_id.expect("its event");
    let explained = fixture
        .engine
        .explain_event(&Caller::local(), event)
        .await
        .expect("explained");
    let notes: Vec<&str> = explained.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("bamboo-specs/bamboo.yml:") && note.contains("Nowhere")),
        "{notes:?}"
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_key_of_another_repository_is_not_taken_over() {
    let fixture = Fixture::start().await;
    for (name, script) in [("one", "echo one"), ("two", "echo two")] {
        let work = fixture.repository(name);
        let full = format!("PROJ/{name}");
        fixture
            .engine
            .attach_repository(&Caller::local(), &full, &work.bare)
            .await
            .expect("attached");
        let commit = work.push("master", &[("bamboo-specs/bamboo.yml", &plan_file(script, ""))]);
        fixture.hook(&full, ZERO, &commit, "master").await;
        fixture.settled().await;
    }
    assert_eq!(
        fixture.ended("PROJ-PLAN", 1).await.len(),
        1,
        "the second repository builds nothing"
    );
    let entries = fixture
        .engine
        .list_events(&Caller::local(), i64::MAX, None, 1)
        .await
        .expect("entries");
    let explained = fixture
        .engine
        .explain_event(&Caller::local(), entries[0].id)
        .await
        .expect("explained");
    assert!(
        explained
            .notes
            .iter()
            .any(|note| note.text.contains("belongs to PROJ/one")),
        "{:?}",
        explained.notes
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn branch_runs_the_plan_file_of_its_own_and_the_master_keeps_its() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &plan_file("exit 0", ""))]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture.ended("PROJ-PLAN", 1).await;
    let second = work.push("topic", &[("bamboo-specs/bamboo.yml", &plan_file("exit 4", ""))]);
    fixture.hook("PROJ/app", ZERO, &second, "topic").await;
    let branch = fixture.ended("PROJ-PLAN0", 1).await;
    assert!(
        !branch[0].schedule.summary().successful,
        "the branch ran its own script"
    );
    work.push("master", &[("x", "1")]);
    let third = work.head();
    fixture.hook("PROJ/app", &first, &third, "master").await;
    let master = fixture.ended("PROJ-PLAN", 2).await;
    assert!(master[1].schedule.summary().successful);
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_document_replaces_what_was_granted() {
    use madake_domain::permission::{Grantee, Permission, Scope};
    use madake_engine::ops::change_permission::Subject;
    use madake_engine::ops::create_user::CreateUser;
    let fixture = Fixture::start().await;
    let joe = CreateUser {
        name: "joe".into(),
        full_name: String::new(),
        email: String::new(),
        password: None,
        administrator: false,
    };
    fixture
        .engine
        .create_user(&Caller::local(), joe)
        .await
        .expect("joe");
    let work = fixture.attached("app").await;
    let file = format!(
        "{}---\nversion: 2\nplan: PROJ-PLAN\nplan-permissions:\n  - users: [joe]\n    roles: [anonymous]\n    permissions: [view]\n",
        plan_file("echo x", "")
    );
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture.ended("PROJ-PLAN", 1).await;
    let subject = Subject {
        scope: Scope::Plan,
        key: "PROJ-PLAN".into(),
    };
    let grants = fixture
        .engine
        .list_grants(&Caller::local(), subject)
        .await
        .expect("grants");
    let found: Vec<_> = grants
        .iter()
        .map(|grant| (grant.grantee.clone(), grant.permission))
        .collect();
    assert_eq!(
        found,
        [
            (Grantee::User("joe".into()), Permission::Read),
            (Grantee::Anonymous, Permission::Read)
        ]
    );
    fixture.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_of_the_plan_whose_key_was_corrected_and_at_the_document_that_they_are_about() {
    let fixture = Fixture::start().await;
    let work = fixture.attached("app").await;
    let plan = plan_file(
        "echo x",
        "plan-permissions: [{roles: logged-in, permissions: [view]}]",
    )
    .replace("project-key: PROJ", "project-key: LIB")
    .replace("key: PLAN", "key: lib-my-plan");
    let at_plan = plan
        .lines()
        .position(|line| line.starts_with("plan-permissions"))
        .expect("there")
        + 1;
    let file = format!(
        "{plan}---\nversion: 2\ndeployment: Nowhere\ndeployment-permissions: [{{roles: logged-in, permissions: [view]}}]\n"
    );
    let at_deployment = file
        .lines()
        .position(|line| line.starts_with("deployment:"))
        .expect("there")
        + 1;
    let first = work.push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    fixture.hook("PROJ/app", ZERO, &first, "master").await;
    fixture.ended("LIB-MYPLAN", 1).await;
    // Whoever makes a plan says who sees it; behind that, the project is another's.
    let second = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &file.replace("echo x", "echo y"))],
    );
    fixture.hook("PROJ/app", &first, &second, "master").await;
    fixture.ended("LIB-MYPLAN", 2).await;
    let key = "LIB-MYPLAN".parse().expect("a key");
    let shown = fixture
        .engine
        .show_plan(&Caller::local(), &key)
        .await
        .expect("shown");
    let mut refused: Vec<_> = shown
        .findings
        .iter()
        .map(|one| &one.finding)
        .filter(|one| one.code == "specs::permissions-refused")
        .map(|one| (one.line as usize, one.subject.as_deref().unwrap_or_default()))
        .collect();
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            (at_plan, "plan LIB-MYPLAN"),
            (at_deployment, "permissions of deployment project Nowhere")
        ]
    );
    fixture.engine.stop().await;
}
