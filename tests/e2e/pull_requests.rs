//! Pull requests of a linked repository: the forge is a second Madake whose refs show them as the forges of the world do,
//! and whose webhooks are written here.

use madake_testkit::{WorkTree, git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{settled, signature};
use crate::listening::{SECRET, SSH_AGENT, Scene};
use crate::plan_files::one_job;

const SECTIONS: &str = "branches:\n  create:\n    for-pull-request:\n      accept-fork: true\n\
                        variables:\n  deploy_password: the-crown-jewels\n  greeting: hello\n";

/// A scene whose plan follows pull requests and shows what its builds know.
async fn scene() -> Scene {
    scene_with(SECTIONS).await
}

/// The same with other sections of the plan file.
async fn scene_with(sections: &str) -> Scene {
    let scene = Scene::new(86_400, sections).await;
    let script = "echo \"secret <$(printf %s \"$bamboo_deploy_password\" | wc -c)> greeting <$bamboo_greeting>\"\n\
                  echo \"number <$bamboo_repository_pr_key> from <$bamboo_repository_pr_sourceBranch>\"\n\
                  echo \"agent <$SSH_AUTH_SOCK>\"\ncat shoots || true";
    let head = scene.work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job(script, sections))],
    );
    scene
        .taken(
            "the plan",
            &json!({"repository": scene.address()}),
            &signed(&json!({"repository": scene.address()})),
        )
        .await;
    scene.built("the plan", 2, &head).await;
    settled(&scene.server).await;
    scene
}

/// The header that signs a body, kept for the length of a test.
fn signed(body: &Value) -> [(&'static str, &'static str); 1] {
    let signature = signature(SECRET, body.to_string().as_bytes());
    [("x-hub-signature-256", Box::leak(signature.into_boxed_str()))]
}

/// What GitHub tells of pull request 7; `moment` counts seconds.
fn told(scene: &Scene, action: &str, fork: Option<&str>, branch: &str, moment: u32) -> Value {
    let address = scene.address();
    let repository = |owner: &str, number: u32| json!({"id": number, "full_name": format!("{owner}/Tools")});
    json!({
        "action": action, "number": 7,
        "pull_request": {
            "number": 7, "state": if action == "closed" { "closed" } else { "open" }, "title": "Better tools",
            "user": {"login": fork.unwrap_or("hana")}, "updated_at": format!("2024-05-01T10:00:{moment:02}Z"),
            "head": {"ref": branch, "sha": "0".repeat(40), "repo": fork.map_or(repository("FORGE", 1), |owner| repository(owner, 2))},
            "base": {"ref": "master", "repo": repository("FORGE", 1)},
        },
        "repository": {
            "id": 1, "name": "Tools", "full_name": "FORGE/Tools", "owner": {"login": "FORGE"}, "html_url": address,
            "clone_url": format!("{address}.git"),
        },
        "sender": {"login": "bob"},
    })
}

/// Tells it and gives the one decision.
async fn tell(scene: &Scene, body: &Value) -> Value {
    let mut headers = vec![("x-github-event", "pull_request")];
    headers.extend(signed(body));
    let entry = scene.taken("a pull request", body, &headers).await;
    assert_eq!(entry["kind"], "pull-request", "{entry}");
    let decisions = entry["decisions"].as_array().expect("a list");
    assert_eq!(decisions.len(), 1, "{entry}");
    decisions[0].clone()
}

/// Commits in the tree of a fork and shows them as the newest of pull request 7.
fn propose(fork: &WorkTree, content: &str) -> String {
    let head = fork.commit(content, &[("shoots", content)]);
    git(
        &fork.path,
        &["push", "--quiet", "--force", "origin", "HEAD:refs/pull/7/head"],
    );
    head
}

fn fork_of(scene: &Scene) -> WorkTree {
    let fork = WorkTree::new(
        scene.forge.scratch().join("fork"),
        &scene.forge.clone_url("FORGE/tools"),
    );
    git(&fork.path, &["pull", "--quiet", "origin", "master"]);
    fork
}

async fn log_of(scene: &Scene, build: &str) -> String {
    scene.server.madake(&["build", "log", build])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_from_a_branch_has_a_plan_branch_as_long_as_it_is_open() {
    let scene = scene().await;
    let push = async |row: &str, new: &str| {
        let body = json!({"repository": scene.address(), "ref": "topic", "after": new});
        scene.taken(row, &body, &signed(&body)).await
    };
    let first = scene.work.push("topic", &[("y", "1")]);
    let entry = push("the branch", &first).await;
    assert_eq!(
        entry["decisions"][0]["code"], "new-branch-for-pull-request",
        "{entry}"
    );
    let decision = tell(&scene, &told(&scene, "opened", None, "topic", 1)).await;
    assert_eq!(
        (&decision["code"], &decision["revision"]),
        (&json!("first-build"), &json!(first))
    );
    let results = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], first.as_str());
    let log = log_of(&scene, "PROJ-PLAN0-1").await;
    assert!(
        log.contains("secret <16> greeting <hello>")
            && log.contains("number <7> from <topic>")
            && log.contains(&format!("agent <{SSH_AGENT}>")),
        "{log}"
    );
    // News without a new commit build nothing, late news are none, and a push is built once.
    let decision = tell(&scene, &told(&scene, "edited", None, "topic", 2)).await;
    assert_eq!(decision["code"], "no-changes");
    let second = scene.work.push("topic", &[("y", "2")]);
    let decision = tell(&scene, &told(&scene, "synchronize", None, "topic", 3)).await;
    assert_eq!(decision["code"], "changed");
    let entry = push("told by both", &second).await;
    assert_eq!(entry["decisions"][0]["code"], "no-changes", "{entry}");
    assert_eq!(scene.server.ended("PROJ-PLAN0", 2).await.len(), 2);
    let late = told(&scene, "closed", None, "topic", 2);
    let mut headers = vec![("x-github-event", "pull_request")];
    headers.extend(signed(&late));
    let entry = scene.taken("late", &late, &headers).await;
    let reason = entry["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the delivery came late"), "{entry}");

    let decision = tell(&scene, &told(&scene, "closed", None, "topic", 4)).await;
    assert_eq!(decision["code"], "pull-request-closed", "{decision}");
    // From now on its branch is a branch without a plan branch.
    let third = scene.work.push("topic", &[("y", "3")]);
    let entry = push("after it was closed", &third).await;
    assert_eq!(
        entry["decisions"][0]["code"], "new-branch-for-pull-request",
        "{entry}"
    );
    assert_eq!(scene.server.results("PROJ-PLAN0").await.len(), 2);
    let decision = tell(&scene, &told(&scene, "reopened", None, "topic", 5)).await;
    assert_eq!(
        (&decision["code"], &decision["plan"], &decision["revision"]),
        (&json!("changed"), &json!("PROJ-PLAN0"), &json!(third))
    );
    // A payload that calls a stranger's commits its own gets what the branch holds, or nothing.
    let lie = told(&scene, "synchronize", None, "no-such-branch", 6);
    let decision = tell(&scene, &lie).await;
    assert_eq!(decision["code"], "branch-not-found", "{decision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_are_built_as_far_as_the_administrator_allows_and_without_secrets() {
    let scene = scene().await;
    let fork = fork_of(&scene);
    let first = propose(&fork, "bamboo");
    let mut moment = 0;
    let mut news = |action: &str, author: &str| {
        moment += 1;
        told(&scene, action, Some(author), "master", moment)
    };
    let decision = tell(&scene, &news("opened", "mallory")).await;
    assert_eq!(decision["code"], "fork-not-allowed", "{decision}");
    let sentence = decision["sentence"].as_str().expect("text");
    assert!(sentence.contains("`forks` is `never`"), "{decision}");
    let listed = || async {
        let all = scene
            .server
            .get("/rest/madake/1.0/pull-requests?repository=tools")
            .await;
        all["pullRequests"][0].clone()
    };
    assert_eq!(listed().await["head"], Value::Null, "nothing of it was fetched");

    scene.server.madake(&["repo", "forks", "tools", "ask"]);
    let decision = tell(&scene, &news("synchronize", "mallory")).await;
    assert_eq!(decision["code"], "fork-not-allowed", "{decision}");
    let row = listed().await;
    assert_eq!(
        (&row["head"], &row["fromFork"], &row["author"]),
        (&json!(first), &json!(true), &json!("mallory"))
    );
    let refused = async |head: &str| {
        let body = json!({"repository": "tools", "number": 7, "head": head});
        let request = scene
            .server
            .request(Method::POST, "/rest/madake/1.0/pull-requests/allow");
        let answer = request.json(&body).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 400, "{head}");
        answer.text().await.expect("a body")
    };
    let said = refused("0123456789").await;
    assert!(
        said.contains(&format!("the newest commit of pull request 7 is {first}")),
        "{said}"
    );
    let said = refused(&first[..5]).await;
    assert!(said.contains("at least 7 digits"), "{said}");
    let said = scene
        .server
        .madake(&["repo", "allow", "tools", "7", &first[..12]]);
    assert!(said.contains("madake why"), "{said}");
    let results = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], first.as_str());
    let log = log_of(&scene, "PROJ-PLAN0-1").await;
    assert!(
        log.contains("secret <0> greeting <hello>")
            && log.contains("number <7> from <master>")
            && log.contains("agent <>")
            && log.contains("bamboo"),
        "{log}"
    );

    // The next commit needs leave of its own, unless its author is trusted.
    let second = propose(&fork, "shoots of bamboo");
    let decision = tell(&scene, &news("synchronize", "mallory")).await;
    assert_eq!(decision["code"], "fork-not-allowed", "{decision}");
    scene
        .server
        .madake(&["repo", "forks", "tools", "trusted-authors", "--trust", "Mallory"]);
    let decision = tell(&scene, &news("edited", "mallory")).await;
    assert_eq!(
        (&decision["code"], &decision["revision"], &decision["plan"]),
        (&json!("changed"), &json!(second), &json!("PROJ-PLAN0"))
    );
    assert_eq!(scene.server.ended("PROJ-PLAN0", 2).await.len(), 2);

    // Nothing else leads to what a stranger wrote: neither a build by hand nor a revision by its id.
    let by_hand = scene
        .server
        .request(Method::POST, "/rest/api/latest/queue/PROJ-PLAN0");
    assert_eq!(by_hand.send().await.expect("an answer").status().as_u16(), 400);
    let path = format!("/rest/api/latest/queue/PROJ-PLAN?customRevision={second}");
    let by_id = scene.server.request(Method::POST, &path);
    let answer = by_id.send().await.expect("an answer");
    assert_eq!(
        answer.status().as_u16(),
        200,
        "{}",
        answer.text().await.expect("a body")
    );
    // bamboo-rest.md: a revision that does not exist is accepted, and its result has nothing built.
    let result = scene.server.get("/rest/api/latest/result/PROJ-PLAN-3").await;
    assert_eq!(
        (
            &result["lifeCycleState"],
            &result["buildState"],
            &result["onceOff"]
        ),
        (&json!("NotBuilt"), &json!("Unknown"), &json!(true)),
        "{result}"
    );

    let decision = tell(&scene, &news("closed", "mallory")).await;
    assert_eq!(decision["code"], "pull-request-closed", "{decision}");
    let _ = propose(&fork, "too late");
    assert_eq!(scene.server.results("PROJ-PLAN0").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_changes_neither_the_plan_nor_who_it_is_and_strangers_allow_nothing() {
    let scene = scene().await;
    scene.server.madake(&["repo", "forks", "tools", "always"]);
    let fork = fork_of(&scene);
    let plan = one_job("echo the plan of a stranger", SECTIONS);
    let _ = fork.commit("a plan of its own", &[("bamboo-specs/bamboo.yml", &plan)]);
    let _ = propose(&fork, "bamboo");
    let decision = tell(&scene, &told(&scene, "opened", Some("mallory"), "master", 1)).await;
    assert_eq!(decision["code"], "first-build", "{decision}");
    let results = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["buildState"], "Successful", "{results:?}");
    let log = log_of(&scene, "PROJ-PLAN0-1").await;
    assert!(log.contains("secret <0>") && !log.contains("a stranger"), "{log}");
    // Once a fork, always a fork, and whose it was it stays.
    let _ = tell(&scene, &told(&scene, "edited", None, "master", 2)).await;
    let all = scene
        .server
        .get("/rest/madake/1.0/pull-requests?repository=tools")
        .await;
    let row = &all["pullRequests"][0];
    assert_eq!(
        (&row["fromFork"], &row["author"]),
        (&json!(true), &json!("mallory"))
    );
    for (method, path, body) in [
        (
            Method::PUT,
            "/rest/madake/1.0/forks",
            json!({"repository": "tools", "policy": "always"}),
        ),
        (
            Method::POST,
            "/rest/madake/1.0/pull-requests/allow",
            json!({"repository": "tools", "number": 7, "head": "0123456789"}),
        ),
    ] {
        let request = scene.server.anonymous(method, path).json(&body);
        assert_eq!(
            request.send().await.expect("an answer").status().as_u16(),
            401,
            "{path}"
        );
    }
    // A ref that is not there, or that git refuses, holds nobody up.
    git(&fork.path, &["push", "--quiet", "origin", ":refs/pull/7/head"]);
    let decision = tell(&scene, &told(&scene, "synchronize", Some("mallory"), "master", 3)).await;
    assert_eq!(decision["code"], "fork-not-allowed", "{decision}");
    assert!(
        decision["sentence"]
            .as_str()
            .is_some_and(|text| text.contains("does not show its commits")),
        "{decision}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fork_brings_is_neither_released_nor_deployed() {
    let scene = scene_with(&format!(
        "{SECTIONS}---\nversion: 2\ndeployment: {{name: Ship, source-plan: PROJ-PLAN}}\n\
         release-naming: r-${{bamboo.buildNumber}}\nenvironments: [QA]\nQA:\n  triggers:\n    \
         - build-success: {{branch: pull-request-7}}\n  tasks:\n    - script: [echo shipped]\n"
    ))
    .await;
    scene.server.madake(&["repo", "forks", "tools", "always"]);
    let fork = fork_of(&scene);
    let _ = propose(&fork, "bamboo");
    let decision = tell(&scene, &told(&scene, "opened", Some("mallory"), "master", 1)).await;
    assert_eq!(decision["code"], "first-build", "{decision}");
    let results = scene.server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["buildState"], "Successful", "{results:?}");

    let reason = "PROJ-PLAN0-1 builds what a fork brings, and such results are not released";
    let why = scene.server.madake(&["deployment", "why", "Ship"]);
    assert!(why.contains(reason), "{why}");
    for name in [Value::Null, json!("by hand")] {
        let path = "/rest/api/latest/deploy/project/1/version";
        let request = scene.server.request(Method::POST, path);
        let body = json!({"planResultKey": "PROJ-PLAN0-1", "name": name});
        let answer = request.json(&body).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 400, "{name}");
        let text = answer.text().await.expect("a body");
        assert!(text.contains(reason), "{text}");
    }
    let made = scene
        .server
        .get("/rest/api/latest/deploy/project/1/versions")
        .await;
    assert_eq!(made["size"], 0, "{made}");
    let deployed = scene
        .server
        .get("/rest/api/latest/deploy/environment/1/results")
        .await;
    assert_eq!(deployed["size"], 0, "{deployed}");
}
