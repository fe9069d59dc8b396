//! Shared credentials: what a push says of them, what linked repositories are read with, and who sees what.

use madake_testkit::{Server, git, try_git};
use reqwest::Method;
use serde_json::Value;

use crate::hostile_support::{settled, status_as, user};
use crate::hostile_webhook::payload;
use crate::plan_files::one_job;

const CREDENTIALS: &str = "/rest/madake/1.0/credentials";

/// A plan whose only job logs in with a credential of this name.
fn plan(credential: &str) -> String {
    let task = format!(
        "    - ssh: {{host: 127.0.0.1, port: 1, command: ls, authentication: {{shared-credentials: {credential}}}}}"
    );
    one_job("echo one", &task)
}

#[tokio::test(flavor = "multi_thread")]
async fn push_says_which_credential_is_missing_or_not_allowed() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let push = |text: &str| {
        let _ = work.commit("plan file", &[("bamboo-specs/bamboo.yml", text)]);
        let output = try_git(&work.path, &["push", "origin", "HEAD:master"]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = push(&plan("deploy"));
    assert!(
        said.contains("bamboo.yml:13:") && said.contains("warning: the server knows no credential `deploy`"),
        "{said}"
    );
    settled(&server).await;
    server.madake_with_input(
        &[
            "credential",
            "add",
            "deploy",
            "--username",
            "joe",
            "--password-stdin",
        ],
        "correct-horse-battery",
    );
    let said = push(&plan("deploy").replace("Build it", "Another name"));
    assert!(
        said.contains(
            "error: plans of PROJ/app may not use the credential `deploy`: an administrator allows it"
        ),
        "{said}"
    );
    settled(&server).await;
    let name = async || server.get("/rest/api/latest/plan/PROJ-PLAN").await["shortName"].clone();
    assert_eq!(name().await, "Build it", "what is refused is not put in force");
    server.madake(&["credential", "grant", "deploy", "--repository", "PROJ/app"]);
    let said = push(&plan("deploy").replace("Build it", "A third name"));
    assert!(!said.contains("remote:"), "{said}");
    settled(&server).await;
    assert_eq!(name().await, "A third name");

    // Without a server, that it has to be there is all that can be said.
    let file = work.path.join("bamboo-specs/bamboo.yml");
    let said = server.madake(&["specs", "validate", &file.display().to_string()]);
    assert!(
        said.contains("the server has to know the credential `deploy` and allow this repository to use it"),
        "{said}"
    );
    assert!(!server.log().contains("horse"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_they_may_use_and_pass_on_what_they_hold() {
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app").push("master", &[("a", "1")]);
    user(&server, "joe", "joes-password");
    user(&server, "ann", "anns-password");
    server.madake_with_input(
        &[
            "credential",
            "add",
            "deploy",
            "--username",
            "robot",
            "--password-stdin",
        ],
        "correct-horse-battery",
    );
    server.madake(&["credential", "grant", "deploy", "--user", "joe"]);
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "ADMINISTRATION",
        "--user",
        "joe",
    ]);
    let call = async |method: Method, path: &str, name: &str, body: &str| {
        let request = server
            .anonymous(method, path)
            .basic_auth(name, Some(format!("{name}s-password")));
        let request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (_, seen) = call(Method::GET, CREDENTIALS, "joe", "").await;
    assert!(
        seen.contains("\"robot\"") && seen.contains("\"grants\":null"),
        "{seen}"
    );
    let (_, seen) = call(Method::GET, CREDENTIALS, "ann", "").await;
    assert_eq!(seen, "{\"credentials\":[]}");
    assert_eq!(
        server
            .anonymous(Method::GET, CREDENTIALS)
            .send()
            .await
            .expect("an answer")
            .status(),
        401
    );

    let give = |to: &str| format!("{{\"name\": \"deploy\", \"to\": \"repository\", \"grantee\": \"{to}\"}}");
    let path = format!("{CREDENTIALS}/grant");
    let other = server.hosted("PROJ/other").push("master", &[("a", "1")]);
    assert!(!other.is_empty());
    // What joe holds goes to what joe administrates, and to nothing else; ann holds nothing.
    assert_eq!(call(Method::POST, &path, "joe", &give("PROJ/other")).await.0, 403);
    assert_eq!(call(Method::POST, &path, "ann", &give("PROJ/app")).await.0, 403);
    assert_eq!(call(Method::POST, &path, "joe", &give("PROJ/app")).await.0, 200);
    let put = "{\"name\": \"deploy\", \"username\": \"x\", \"password\": \"y-is-long\", \"replace\": true}";
    assert_eq!(call(Method::PUT, CREDENTIALS, "joe", put).await.0, 403);
    let gone = format!("{CREDENTIALS}?name=deploy&force=true");
    assert_eq!(
        status_as(&server, Method::DELETE, &gone, "joe", "joes-password").await,
        403
    );
    let listed = server.get(CREDENTIALS).await.to_string();
    assert!(
        listed.contains("PROJ/app") && !listed.contains("PROJ/other"),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_repositories_are_read_with_a_credential_and_get_its_new_password() {
    let host = Server::start().await;
    let work = host.hosted("PROJ/app");
    let _ = work.push("main", &[("a", "1")]);
    settled(&host).await;
    user(&host, "ci", "the first password");
    host.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "--user",
        "ci",
    ]);
    let server = Server::start().await;
    let url = format!("{}/scm/proj/app.git", host.url());
    let add = [
        "credential",
        "add",
        "host",
        "--username",
        "ci",
        "--password-stdin",
    ];
    server.madake_with_input(&add, "the first password");
    server.madake(&["repo", "link", "lib", &url, "--credential", "host"]);
    let listed = server.get(CREDENTIALS).await;
    assert_eq!(
        listed["credentials"][0]["uses"][0], "linked repository lib",
        "{listed}"
    );

    host.madake_with_input(
        &["user", "set-password", "ci", "--password-stdin"],
        "the second password",
    );
    server.madake_with_input(&[&add[..], &["--replace"]].concat(), "the second password");
    let made = server.madake(&["webhook", "create", "lib", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let hook = made["url"].as_str().expect("an address").to_owned();
    let _ = work.push("main", &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))]);
    let (old, new) = (
        git(&work.path, &["rev-parse", "HEAD~1"]),
        git(&work.path, &["rev-parse", "HEAD"]),
    );
    let body = payload("app", &[("refs/heads/main", &old, &new, "UPDATE")]);
    let sent = server
        .anonymous(Method::POST, &hook[hook.find("/intake/").expect("the path")..])
        .header("content-type", "application/json")
        .body(body.to_string());
    assert_eq!(sent.send().await.expect("an answer").status(), 202);
    let ended = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(ended[0]["vcsRevisionKey"], new.as_str());
    let listed = server.get(CREDENTIALS).await;
    assert_eq!(listed["credentials"][0]["lastUsedBy"], "lib", "{listed}");
    assert!(
        listed["credentials"][0]["lastUsedMs"].as_i64().is_some(),
        "{listed}"
    );

    server.madake(&["credential", "remove", "host", "--force"]);
    assert_eq!(
        server.get(CREDENTIALS).await["credentials"],
        serde_json::json!([])
    );
    assert!(!server.log().contains("second password"));
}
