//! A repository gets another name: what belongs to it stays with it, and its old name leads to it until it is given anew.

use madake_testkit::{Server, ServerOptions, WorkTree, git, hg, try_git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{settled, status_as, user};
use crate::plan_files::one_job;

const API: &str = "/rest/madake/1.0/repositories";
const JOE: &str = "a password for joe";

async fn names(server: &Server) -> Vec<String> {
    let listed = server.get(API).await;
    let all = listed["repositories"].as_array().expect("a list");
    all.iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

async fn rename(server: &Server, name: &str, new_name: &str) -> (u16, String) {
    let answer = server
        .request(Method::PUT, &format!("{API}/name"))
        .json(&json!({ "name": name, "newName": new_name }))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// Where an address leads.
async fn location(server: &Server, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let answer = client
        .get(format!("{}{path}", server.url()))
        .basic_auth("admin", Some(madake_testkit::PASSWORD))
        .send()
        .await
        .expect("an answer");
    let to = answer.headers().get("location");
    let to = to.map_or("", |to| to.to_str().expect("text")).to_owned();
    (answer.status().as_u16(), to)
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_repository_keeps_what_belongs_to_it_and_is_found_by_its_old_name() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/Old");
    let plan = one_job("echo built", "");
    let _ = work.push("main", &[("bamboo-specs/bamboo.yml", &plan), ("a", "1\n")]);
    server.ended("PROJ-PLAN", 1).await;
    user(&server, "joe", JOE);
    user(&server, "eve", JOE);
    let grant = [
        "permission",
        "grant",
        "repository",
        "PROJ/Old",
        "READ",
        "WRITE",
        "--user",
        "joe",
    ];
    server.madake(&grant);
    server.madake(&["repo", "protect", "PROJ/Old", "main", "--no-force", "--no-delete"]);
    server.madake(&["repo", "create", "PROJ/taken"]);

    for (name, new_name, status, told) in [
        ("PROJ/Old", "PROJ/taken", 400, "exists already"),
        ("PROJ/Old", "no name", 400, "no name"),
        ("PROJ/Old", "../x", 400, "../x"),
        ("PROJ/none", "PROJ/x", 404, "does not exist"),
    ] {
        let (found, text) = rename(&server, name, new_name).await;
        assert!(
            found == status && text.contains(told),
            "{new_name}: {found} {text}"
        );
    }
    for name in ["joe", "eve"] {
        let request = server.anonymous(Method::PUT, &format!("{API}/name"));
        let answer = request
            .basic_auth(name, Some(JOE))
            .json(&json!({ "name": "PROJ/Old", "newName": "PROJ/mine" }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 403, "{name}");
    }

    let out = server.madake(&["repo", "rename", "proj/old", "TOOLS/New"]);
    assert!(
        out.contains("renamed to TOOLS/New") && out.contains("/scm/tools/new.git"),
        "{out}"
    );
    assert_eq!(names(&server).await, ["PROJ/taken", "TOOLS/New"]);
    let rules = server
        .get("/rest/madake/1.0/branch-permissions?repository=TOOLS/New")
        .await;
    assert_eq!(rules["branchPermissions"][0]["pattern"], "main");
    for (old, new) in [
        (
            "/projects/PROJ/repos/Old/browse/a?at=main",
            "/projects/TOOLS/repos/New/browse/a?at=main",
        ),
        ("/projects/proj/repos/old", "/projects/TOOLS/repos/New"),
        ("/PROJ/Old/branch/main", "/TOOLS/New/branch/main"),
    ] {
        assert_eq!(location(&server, old).await, (303, new.to_owned()), "{old}");
    }
    // Strangers are told as much as of a name that never was.
    let secret = "/projects/PROJ/repos/Old/browse";
    assert_eq!(status_as(&server, Method::GET, secret, "eve", JOE).await, 404);
    let page = "/projects/TOOLS/repos/New/browse";
    assert_eq!(status_as(&server, Method::GET, page, "joe", JOE).await, 200);

    // Those who have the old address in their clones push on, and the plan builds.
    let commit = work.push("main", &[("a", "2\n")]);
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    git(
        &work.path,
        &["remote", "set-url", "origin", &server.clone_url("TOOLS/New")],
    );
    assert!(git(&work.path, &["ls-remote", "origin"]).contains(&commit));

    // The old name starts anew, with nothing of the other.
    server.madake(&["repo", "create", "PROJ/Old"]);
    let anew = WorkTree::new(server.scratch().join("anew"), &server.clone_url("PROJ/Old"));
    assert_eq!(names(&server).await, ["PROJ/Old", "PROJ/taken", "TOOLS/New"]);
    assert_eq!(git(&anew.path, &["ls-remote", "origin"]), "");
    let other = anew.push("main", &[("b", "1")]);
    assert_eq!(status_as(&server, Method::GET, secret, "joe", JOE).await, 404);
    assert!(!git(&work.path, &["ls-remote", "origin"]).contains(&other));
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "TOOLS/New",
        "READ",
        "--user",
        "eve",
    ]);
    assert_eq!(status_as(&server, Method::GET, secret, "eve", JOE).await, 404);

    // Back again is not possible while the name is taken, and after that it is.
    assert_eq!(rename(&server, "TOOLS/New", "proj/OLD").await.0, 400);
    server.madake(&["repo", "remove", "PROJ/Old"]);
    assert_eq!(rename(&server, "TOOLS/New", "PROJ/Old").await.0, 200);
    assert!(
        try_git(
            &work.path,
            &["fetch", "--quiet", &server.clone_url("PROJ/Old"), "main"]
        )
        .status
        .success()
    );
    settled(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_mercurial_repository_is_pulled_and_pushed_by_both_names() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let _ = clone.push("first", &[("a", "1")]);
    server.madake(&["repo", "rename", "PROJ/lib", "PROJ/libs"]);
    let second = clone.push("second", &[("a", "2")]);
    let url = server.hg_url("PROJ/libs", "admin", madake_testkit::PASSWORD);
    assert_eq!(hg(&clone.path, &["id", "--id", &url]), second[..12]);
    let (status, to) = location(&server, "/hg/proj/lib").await;
    assert_eq!((status, to.as_str()), (303, "/projects/PROJ/repos/libs/browse"));
    settled(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_receiver_at_the_same_time_are_all_kept() {
    let server = Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n".into(),
        ..ServerOptions::default()
    })
    .await;
    server.madake(&["repo", "create", "PROJ/app"]);
    let made = server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        "http://127.0.0.1:9999/hook",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let path = format!("/rest/madake/1.0/receivers/{}", made["id"]);
    for round in 0..10 {
        let profile = if round % 2 == 0 { "bitbucket-dc" } else { "stash3" };
        let changes = [
            json!({ "name": format!("name {round}") }),
            json!({ "profile": profile }),
            json!({ "active": round % 2 == 0 }),
            json!({ "url": format!("http://127.0.0.1:9999/hook/{round}") }),
            json!({ "settings": { "ordered": round % 2 == 0 } }),
        ];
        let mut all = tokio::task::JoinSet::new();
        for change in changes {
            let request = server.request(Method::PUT, &path).json(&change);
            all.spawn(async move { request.send().await.expect("an answer").status().as_u16() });
        }
        let answers = all.join_all().await;
        assert_eq!(answers, [200; 5]);
        let now = server.get(&path).await;
        assert_eq!(
            (&now["name"], &now["profile"], &now["active"], &now["url"]),
            (
                &json!(format!("name {round}")),
                &json!(profile),
                &json!(round % 2 == 0),
                &json!(format!("http://127.0.0.1:9999/hook/{round}")),
            ),
            "{now}"
        );
        assert_eq!(now["settings"]["ordered"], json!(round % 2 == 0), "{now}");
    }
}
