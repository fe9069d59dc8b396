//! Tags of a linked repository, which looks find where no webhook tells of them.

use madake_testkit::{Server, ServerOptions, git, wait_for};

use crate::plan_files::one_job;

#[tokio::test(flavor = "multi_thread")]
async fn new_tags_of_a_linked_repository_are_built_at_their_commits() {
    let forge = Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let server = Server::start_with(ServerOptions {
        configuration: "[repositories]\npoll-seconds = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let work = forge.hosted("FORGE/tools");
    let plan = one_job(
        "echo \"tag <$bamboo_repository_tag> of <$(cat what.txt)>\"",
        "triggers:\n  - tag: {filter: 'v\\d+'}\n",
    );
    let first = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan), ("what.txt", "first")],
    );
    let tag = |arguments: &[&str]| {
        git(&work.path, &[&["tag"], arguments].concat());
        git(&work.path, &["push", "--quiet", "origin", "--tags"]);
    };
    tag(&["v0"]);
    server.madake(&["repo", "link", "tools", &forge.clone_url("FORGE/tools")]);
    wait_for("the plan", || async {
        let request = server.request(reqwest::Method::GET, "/rest/api/latest/plan/PROJ-PLAN");
        let answer = request.send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let _ = work.push("master", &[("what.txt", "second")]);
    // One that stands for an older commit, with a message of its own.
    tag(&["--annotate", "--message", "a release", "v1", &first]);
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], first.as_str());
    let log = server.madake(&["build", "log", "PROJ-PLAN-1"]);
    assert!(log.contains("tag <v1> of <first>"), "{log}");
    // Neither the older tag, nor one that no filter means, nor one that is moved.
    tag(&["nightly"]);
    git(&work.path, &["tag", "--force", "v0", "HEAD"]);
    git(&work.path, &["push", "--quiet", "--force", "origin", "v0"]);
    tag(&["v2"]);
    let results = server.ended("PROJ-PLAN", 2).await;
    let log = server.madake(&["build", "log", "PROJ-PLAN-2"]);
    assert!(log.contains("tag <v2> of <second>"), "{log}");
    assert_eq!(results.len(), 2, "{results:?}");
}
