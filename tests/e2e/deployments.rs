//! Deployments over crashes, and who may see and start them; the rest is in `tests/scenarios`.

use std::fs;
use std::process::Command;

use madake_testkit::{Server, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{status_as, user};

const PASSWORD: &str = "a password of its own";

/// A plan, and a deployment project with an environment that a build starts and one for people.
fn file(script: &str, more: &str) -> String {
    format!(
        "version: 2\nplan:\n  project-key: PROJ\n  key: PLAN\n  name: A plan\nstages:\n  - Build: [Job]\n\
         Job:\n  key: JOB1\n  tasks:\n    - script: [echo built]\n\
         ---\nversion: 2\ndeployment: {{name: Deploy it, source-plan: PROJ-PLAN}}\nrelease-naming: r-${{bamboo.buildNumber}}\n\
         environments: [QA, Production]\n\
         QA:\n  triggers: [build-success]\n  tasks:\n    - script: [{script}]\n\
         Production:\n  tasks:\n    - script: [echo live]\n{more}"
    )
}

async fn result(server: &Server, id: i64) -> Option<Value> {
    let path = format!("/rest/api/latest/deploy/result/{id}?includeLogs=true");
    let answer = server
        .request(Method::GET, &path)
        .header("accept", "application/json")
        .send()
        .await
        .ok()?;
    answer.json().await.ok()
}

/// The deployment, once its answer is as wanted.
async fn when(server: &Server, id: i64, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || async {
        result(server, id).await.filter(|found| wanted(found))
    })
    .await
}

fn has(found: &Value, text: &str) -> bool {
    found["logEntries"].to_string().contains(text)
}

async fn count(server: &Server, environment: i64) -> Value {
    let path = format!("/rest/api/latest/deploy/environment/{environment}/results");
    server.get(&path).await["size"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_on_while_the_server_is_away_and_runs_once() {
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let script = "echo it has begun, sleep 4, echo it has ended";
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file(script, ""))]);
    when(&server, 1, "the first line", |found| has(found, "it has begun")).await;
    server.kill();
    server.launch().await;
    let ended = when(&server, 1, "the end", |found| {
        found["lifeCycleState"] == "FINISHED"
    })
    .await;
    assert_eq!(ended["deploymentState"], "SUCCESS", "{ended:#}\n{}", server.log());
    assert!(has(&ended, "it has ended"));
    let text = ended["logEntries"].to_string();
    assert_eq!(text.matches("\"log\":\"it has begun\"").count(), 1, "{text}");
    assert_eq!(count(&server, 1).await, 1);
    // It goes after the end is stored.
    wait_for("the folder of the deployment to go", || async {
        let left = fs::read_dir(server.home().join("jobs"))
            .expect("a folder")
            .count();
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_dies_with_the_server_has_failed_and_is_not_tried_again() {
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let script = "echo it has begun, sleep 300";
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file(script, ""))]);
    when(&server, 1, "the first line", |found| has(found, "it has begun")).await;
    server.madake(&["deployment", "start", "Deploy it", "r-1", "QA"]);
    let listed = server.madake(&["deployment", "list", "Deploy it"]);
    for line in ["r-1 is on its way (deployment 1)", "r-1 waits (deployment 2)"] {
        assert_eq!(listed.matches(line).count(), 1, "{listed}");
    }
    let project = server
        .get("/rest/madake/1.0/deployments/project?name=Deploy%20it")
        .await;
    let active = &project["environments"][0]["active"];
    assert_eq!((&active[0]["id"], &active[1]["id"]), (&json!(1), &json!(2)));
    let queue = "/rest/api/latest/queue/deployment.json?expand=queuedDeployments";
    for (more, listed) in [("", 1), ("&start-index=1", 0)] {
        let found = server.get(&format!("{queue}{more}")).await;
        let found = &found["queuedDeployments"];
        assert_eq!(found["size"], 1, "{found:#}");
        let items = found["queuedDeployment"].as_array();
        assert_eq!(items.map(Vec::len), Some(listed), "{found:#}");
    }
    server.madake(&["deployment", "stop", "2"]);
    let folder = fs::read_dir(server.home().join("jobs"))
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.join("started.json").exists())
        .expect("the folder of the deployment");
    let started: Value =
        serde_json::from_slice(&fs::read(folder.join("started.json")).expect("a file")).expect("JSON");
    server.kill();
    let supervisor = started["pid"].to_string();
    let killed = Command::new("kill")
        .args(["-9", &supervisor])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    server.launch().await;
    let ended = when(&server, 1, "the end", |found| {
        found["lifeCycleState"] == "FINISHED"
    })
    .await;
    assert_eq!(ended["deploymentState"], "FAILED", "{ended:#}");
    let why = server
        .get("/rest/madake/1.0/deployments/why?name=Deploy%20it")
        .await;
    assert!(why.to_string().contains("supervisor is gone"), "{why:#}");
    // The environment is free for the next one.
    let path = "/rest/api/latest/queue/deployment?environmentId=2&versionId=1";
    let queued = server
        .request(Method::POST, path)
        .header("accept", "application/json")
        .send()
        .await
        .expect("an answer");
    assert_eq!(queued.status().as_u16(), 200);
    when(&server, 3, "the next one", |found| {
        found["deploymentState"] == "SUCCESS"
    })
    .await;
    assert_eq!(count(&server, 1).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_and_deploy_what_they_may() {
    let server = Server::start().await;
    for name in ["ann", "bob", "cat", "dan"] {
        user(&server, name, PASSWORD);
    }
    // Who may build everywhere may not therefore deploy everywhere.
    server.madake(&["permission", "grant", "project", "PROJ", "BUILD", "--user", "dan"]);
    let work = server.hosted("PROJ/app");
    let permissions = "---\nversion: 2\ndeployment: {name: Deploy it}\ndeployment-permissions:\n\
        \x20 - users: [ann, bob]\n    permissions: view\n\
        \x20 - users: ann\n    permissions: [create-release, approve-release]\n\
        default-environment-permissions:\n  - users: [ann, bob]\n    permissions: [view, deploy]\n\
        environment-permissions:\n  - Production:\n      - users: [ann]\n        permissions: [view, deploy]\n";
    let _ = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &file("echo qa", permissions))],
    );
    when(&server, 1, "the first deployment", |found| {
        found["deploymentState"] == "SUCCESS"
    })
    .await;
    let queue = |environment: i64| {
        format!("/rest/api/latest/queue/deployment?environmentId={environment}&versionId=1")
    };
    let (get, post) = (Method::GET, Method::POST);
    let api = |path: &str| format!("/rest/api/latest/{path}");
    let table = [
        (&get, api("deploy/project/1"), [200, 200, 403, 200, 401]),
        (&get, api("deploy/environment/1"), [200, 200, 403, 403, 401]),
        (&get, api("deploy/environment/2"), [200, 403, 403, 403, 401]),
        (&get, api("deploy/result/1"), [200, 200, 403, 403, 401]),
        (&get, api("deploy/version/1"), [200, 200, 403, 200, 401]),
        (&get, api("deploy/project/99"), [404, 404, 404, 404, 401]),
        (
            &get,
            "/deploy/viewEnvironment.action?id=2".into(),
            [200, 404, 404, 404, 401],
        ),
        (
            &get,
            "/deploy/viewDeploymentResult.action?deploymentResultId=1".into(),
            [200, 200, 404, 404, 401],
        ),
        (&post, queue(1), [200, 200, 403, 403, 401]),
        (&post, queue(2), [200, 403, 403, 403, 401]),
        (
            &post,
            api("deploy/version/1/status/APPROVED"),
            [200, 403, 403, 403, 401],
        ),
        (&post, api("deploy/project/1/version"), [400, 403, 403, 403, 401]),
        (
            &Method::DELETE,
            api("queue/deployment/1"),
            [204, 204, 403, 403, 401],
        ),
        (
            &Method::DELETE,
            api("deploy/project/1"),
            [403, 403, 403, 403, 401],
        ),
    ];
    for (method, path, expected) in table {
        for (name, expected) in ["ann", "bob", "cat", "dan", ""].into_iter().zip(expected) {
            let status = match name {
                "" => {
                    let request = server
                        .anonymous(method.clone(), &path)
                        .header("accept", "application/json")
                        .header("content-type", "application/json");
                    request.send().await.expect("an answer").status().as_u16()
                }
                name => status_as(&server, method.clone(), &path, name, PASSWORD).await,
            };
            assert_eq!(status, expected, "{name}: {method} {path}");
        }
    }
    let listed = |name: &'static str| {
        let request = server
            .anonymous(Method::GET, "/rest/api/latest/deploy/project/all")
            .basic_auth(name, Some(PASSWORD))
            .header("accept", "application/json");
        async move {
            request
                .send()
                .await
                .expect("an answer")
                .text()
                .await
                .expect("a text")
        }
    };
    assert!(listed("bob").await.contains("QA") && !listed("bob").await.contains("Production"));
    assert_eq!(listed("cat").await, "[]");
    server.madake(&[
        "deployment",
        "release",
        "Deploy it",
        "PROJ-PLAN-1",
        "--name",
        "other",
    ]);
    let names = async |name: &str, query: &str| -> Vec<String> {
        let request = server
            .anonymous(Method::GET, &format!("/rest/api/latest/search/{query}"))
            .basic_auth(name, Some(PASSWORD))
            .header("accept", "application/json");
        let answer = request.send().await.expect("an answer");
        let found: Value = answer.json().await.expect("JSON");
        let hits = found["searchResults"].as_array().cloned().unwrap_or_default();
        let named = |hit: &Value| {
            let entity = &hit["searchEntity"];
            entity["projectName"]
                .as_str()
                .or(entity["name"].as_str())
                .map(str::to_owned)
        };
        hits.iter().filter_map(named).collect()
    };
    let versions = "versions?deploymentProjectId=1";
    for (name, query, expected) in [
        ("bob", "deployments", vec!["Deploy it"]),
        ("bob", "deployments?searchTerm=deploy%20i", vec!["Deploy it"]),
        ("bob", "deployments?searchTerm=else", vec![]),
        ("cat", "deployments", vec![]),
        ("bob", versions, vec!["other", "r-1"]),
        (
            "bob",
            "versions?deploymentProjectId=1&chronologicalOrder=true",
            vec!["r-1", "other"],
        ),
        ("bob", "versions?deploymentProjectId=1&searchTerm=R-", vec!["r-1"]),
        ("cat", versions, vec![]),
    ] {
        assert_eq!(names(name, query).await, expected, "{name}: {query}");
    }
    let page = async |name: &str, path: &str| {
        let request = server
            .anonymous(Method::GET, path)
            .basic_auth(name, Some(PASSWORD));
        let answer = request.send().await.expect("an answer");
        answer.text().await.expect("a text")
    };
    let project = "/deploy/viewDeploymentProjectEnvironments.action?id=1";
    for path in [project, "/"] {
        let of_bob = page("bob", path).await;
        assert!(
            of_bob.contains(">QA</a>") && !of_bob.contains("Production"),
            "{path}: {of_bob}"
        );
        let of_dan = page("dan", path).await;
        assert!(
            of_dan.contains("no environment") && !of_dan.contains(">QA</a>"),
            "{path}: {of_dan}"
        );
        assert!(!page("cat", path).await.contains("Deploy it"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_belongs_to_the_repository_that_made_it() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &file("echo mine", ""))]);
    when(&server, 1, "the first deployment", |found| {
        found["deploymentState"] == "SUCCESS"
    })
    .await;
    let other = server.hosted("OTHER/thief");
    let theirs = "version: 2\ndeployment: {name: deploy it, source-plan: PROJ-PLAN}\nrelease-naming: stolen\n\
        environments: [QA]\nQA:\n  tasks: []\n---\n\
        version: 2\ndeployment: {name: Another, source-plan: PROJ-PLAN}\nrelease-naming: stolen\nenvironments: []\n---\n\
        version: 2\ndeployment: {name: Deploy it}\ndeployment-permissions:\n  - roles: [logged-in]\n    permissions: admin\n  - users: [nobody-here]\n    permissions: view\n";
    let _ = other.push("master", &[("bamboo-specs/bamboo.yml", theirs)]);
    let found = wait_for("the findings", || async {
        let events = server.get("/rest/madake/1.0/events").await;
        let event = events["events"]
            .as_array()?
            .iter()
            .find(|one| one["summary"].to_string().contains("OTHER/thief") && one["state"] != "received")?;
        let path = format!("/rest/madake/1.0/events/{}", event["id"]);
        Some(server.get(&path).await.to_string())
    })
    .await;
    for sentence in [
        "the deployment project deploy it belongs to PROJ/app",
        "the deployment project Another may not release results of PROJ-PLAN",
        "permissions of Deploy it: the deployment project belongs to another repository",
    ] {
        assert!(found.contains(sentence), "{sentence}: {found}");
    }
    assert!(
        found.contains("bamboo.yml:14:1:"),
        "the refusal of the permissions has its place: {found}"
    );
    assert!(
        !found.contains("nobody-here"),
        "who may not set permissions is not told who is there: {found}"
    );
    let projects = server.get("/rest/api/latest/deploy/project/all").await;
    assert_eq!(projects.as_array().map(Vec::len), Some(1), "{projects:#}");
    let granted = server.madake(&["permission", "list", "deployment", "Deploy it"]);
    assert!(!granted.contains("ADMINISTRATION"), "{granted}");
}
