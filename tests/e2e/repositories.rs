//! Repositories come and go: another password of a linked one, and removal.

use std::path::Path;

use madake_testkit::{Server, WorkTree, git, try_git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{settled, status_as, user};
use crate::hostile_webhook::{OLD, payload};
use crate::plan_files::one_job;

const API: &str = "/rest/madake/1.0/repositories";

async fn remove(server: &Server, name: &str) -> (u16, Value) {
    let name = name.replace('/', "%2F");
    let answer = server
        .request(Method::DELETE, &format!("{API}?name={name}"))
        .header("content-type", "application/json")
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn hosted_repository_goes_to_the_trash_and_its_name_starts_anew() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/Old");
    let commit = work.push("main", &[("secret", "1")]);
    settled(&server).await;
    user(&server, "joe", "a password for joe");
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/Old",
        "READ",
        "WRITE",
        "--user",
        "joe",
    ]);
    let path = format!("{API}?name=PROJ%2FOld");
    let refused = status_as(&server, Method::DELETE, &path, "joe", "a password for joe").await;
    assert_eq!(refused, 403, "WRITE is not enough");

    let out = server.madake(&["repo", "remove", "proj/old"]);
    let trash = out.lines().nth(1).and_then(|line| line.split(" is in ").nth(1));
    let trash = Path::new(trash.expect("where it is now"));
    assert!(
        out.contains("removed PROJ/Old") && trash.starts_with(server.home().join("trash")),
        "{out}"
    );
    assert_eq!(git(trash, &["rev-parse", "refs/heads/main"]), commit);
    assert_eq!(server.get(API).await["repositories"], json!([]));
    assert!(!try_git(&work.path, &["ls-remote", "origin"]).status.success());
    assert_eq!(remove(&server, "PROJ/Old").await.0, 404);
    // The ledger still has the push.
    let events = server.get("/rest/madake/1.0/events").await;
    let pushes = events["events"].as_array().expect("a list").iter();
    let push = pushes
        .filter(|event| event["summary"].to_string().contains("PROJ/Old"))
        .find(|event| event["kind"] == "push")
        .unwrap_or_else(|| panic!("the push: {events}"));
    let entry = server
        .get(&format!("/rest/madake/1.0/events/{}", push["id"]))
        .await;
    assert_eq!(entry["content"]["refs"][0]["new"], commit.as_str());

    // The next one of that name has neither what was pushed nor who could read it.
    let again = server.hosted("PROJ/old");
    assert_eq!(git(&again.path, &["ls-remote", "origin"]), "");
    let refs = "/scm/proj/old.git/info/refs?service=git-upload-pack";
    let read = status_as(&server, Method::GET, refs, "joe", "a password for joe").await;
    assert_eq!(read, 403);
    let _ = again.push("main", &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))]);
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["state"], "Successful");

    // Now a plan uses it.
    let (status, answer) = remove(&server, "PROJ/old").await;
    let message = answer["message"].as_str().expect("a message");
    assert!(status == 400 && message.contains("PROJ-PLAN"), "{answer}");
    assert_eq!(server.get(API).await["repositories"][0]["name"], "PROJ/old");
    assert!(!git(&again.path, &["ls-remote", "origin"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_repository_loses_the_hook_and_a_linked_one_its_copy_and_webhooks() {
    let server = Server::start().await;
    let (attached, linked) = (
        server.scratch().join("attached.git"),
        server.scratch().join("linked.git"),
    );
    for bare in [&attached, &linked] {
        let _ = WorkTree::with_bare(bare).push("master", &[("a", "1")]);
    }
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    server.madake(&["repo", "attach", "TOOLS/tools", &text(&attached)]);
    server.madake(&["hook", "install", &text(&attached)]);
    assert!(attached.join("hooks/post-receive").exists());
    server.madake(&["repo", "link", "lib", &text(&linked)]);
    let made = server.madake(&["webhook", "create", "lib", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let hook = made["url"].as_str().expect("an address");
    let hook = &hook[hook.find("/intake/").expect("the path")..];
    let deliver = async || {
        let tip = git(&linked, &["rev-parse", "master"]);
        let body = payload("linked", &[("refs/heads/master", OLD, &tip, "UPDATE")]);
        let request = server.anonymous(Method::POST, hook);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await;
        answer.expect("an answer").status()
    };
    assert_eq!(deliver().await, 202);
    settled(&server).await;
    for name in ["TOOLS/tools", "lib"] {
        let (status, answer) = remove(&server, name).await;
        assert_eq!(
            (status, &answer["trash"], &answer["note"]),
            (200, &Value::Null, &Value::Null),
            "{name}: {answer}"
        );
    }
    assert_eq!(deliver().await, 404);
    assert!(!attached.join("hooks/post-receive").exists());
    assert!(attached.join("HEAD").exists() && linked.join("HEAD").exists());
    let copies = std::fs::read_dir(server.home().join("mirrors")).expect("a folder");
    assert_eq!(copies.count(), 0);
    assert_eq!(server.get(API).await["repositories"], json!([]));
    server.madake(&["repo", "link", "lib", &text(&linked)]);
    let hooks = server.get("/rest/madake/1.0/webhooks?repository=lib").await;
    assert_eq!(hooks["webhooks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_repository_gets_another_password_that_its_host_takes() {
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
    let with = ["--username", "ci", "--password-stdin"];
    let link = [&["repo", "link", "lib", &url][..], &with].concat();
    server.madake_with_input(&link, "the first password");
    host.madake_with_input(
        &["user", "set-password", "ci", "--password-stdin"],
        "the second password",
    );

    let put = async |name: &str, password: &str| {
        let body = json!({"name": name, "username": "ci", "password": password});
        let answer = server
            .request(Method::PUT, &format!("{API}/credential"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (status, text) = put("lib", "a wrong password").await;
    assert!(
        status == 400 && text.contains("not kept") && !text.contains("a wrong"),
        "{text}"
    );
    let set = [&["repo", "set-credential", "lib"][..], &with].concat();
    let out = server.madake_with_input(&set, "the second password");
    assert!(out.contains("lets ci in"), "{out}");
    let listed = server.get(API).await;
    assert_eq!(listed["repositories"][0]["problem"], Value::Null, "{listed}");
    // It is what the server reads with from now on.
    let plan = one_job("echo built", "");
    let _ = work.push("main", &[("bamboo-specs/bamboo.yml", &plan)]);
    let made = server.madake(&["webhook", "create", "lib", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let hook = made["url"].as_str().expect("an address").to_owned();
    let old = git(&work.path, &["rev-parse", "HEAD~1"]);
    let new = git(&work.path, &["rev-parse", "HEAD"]);
    let body = payload("app", &[("refs/heads/main", &old, &new, "UPDATE")]);
    let sent = server
        .anonymous(Method::POST, &hook[hook.find("/intake/").expect("the path")..])
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(sent.status(), 202);
    assert_eq!(
        server.ended("PROJ-PLAN", 1).await[0]["vcsRevisionKey"],
        new.as_str()
    );

    // Only linked ones have a password.
    server.madake(&["repo", "create", "PROJ/here"]);
    let (status, text) = put("PROJ/here", "x").await;
    assert!(status == 400 && text.contains("not linked"), "{text}");
    assert_eq!(put("nowhere", "x").await.0, 404);
    assert!(!server.log().contains("password for") && !server.log().contains("second password"));
}
