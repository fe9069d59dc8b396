//! Mirrors: a repository that follows another server, and what is pushed here going on to others.

use std::path::Path;
use std::time::Duration;

use madake_testkit::{Server, ServerOptions, WorkTree, git, try_git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{ledger, settled, status_as, user};
use crate::hostile_webhook::{OLD, payload};
use crate::plan_files::one_job;

pub(crate) const API: &str = "/rest/madake/1.0/mirrors";

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// All branches and tags at an address.
pub(crate) fn refs(address: &str) -> String {
    git(Path::new("/"), &["ls-remote", "--heads", "--tags", address])
}

pub(crate) async fn mirrors(server: &Server) -> Vec<Value> {
    let answer = server.get(API).await;
    answer["mirrors"].as_array().cloned().expect("a list")
}

/// Waits until the one mirror of a server has nothing to do, its last run having gone well.
pub(crate) async fn at_rest(server: &Server) -> Value {
    wait_for("the mirror at rest", || async {
        let one = mirrors(server).await.pop()?;
        let rests = one["problem"].is_null() && one["pendingPushes"] == 0 && one["lastSuccessMs"].is_i64();
        let now = one["nextMs"].as_i64()? <= one["lastAttemptMs"].as_i64()?;
        (rests && !now).then_some(one)
    })
    .await
}

/// Waits until two addresses have the same branches and tags.
pub(crate) async fn same(left: &str, right: &str) {
    wait_for(&format!("{right} as {left}"), || async {
        (refs(left) == refs(right)).then_some(())
    })
    .await;
}

pub(crate) async fn failed(server: &Server) -> Value {
    wait_for("a mirror that fails", || async {
        mirrors(server)
            .await
            .pop()
            .filter(|one| one["problem"].is_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_here_goes_on_to_another_server() {
    let (here, there) = (Server::start().await, Server::start().await);
    let work = here.hosted("PROJ/app");
    there.madake(&["repo", "create", "COPY/app"]);
    let first = work.push("master", &[("x", "1")]);
    let target = format!("{}/scm/copy/app.git", there.url());
    let asked = [
        "repo",
        "mirror-to",
        "PROJ/app",
        &target,
        "--username",
        "admin",
        "--password-stdin",
    ];
    let out = here.madake_with_input(&asked, madake_testkit::PASSWORD);
    assert!(out.contains("goes on to") && !out.contains("horse"), "{out}");
    let (ours, theirs) = (here.clone_url("PROJ/app"), there.clone_url("COPY/app"));
    same(&ours, &theirs).await;
    assert!(refs(&theirs).contains(&first));

    // Branches, tags, a rewritten branch, and one that is deleted.
    let _ = work.push("feature", &[("y", "2")]);
    git(&work.path, &["tag", "-a", "-m", "one", "v1"]);
    git(&work.path, &["push", "--quiet", "origin", "v1"]);
    same(&ours, &theirs).await;
    git(
        &work.path,
        &["commit", "--quiet", "--amend", "--message", "rewritten"],
    );
    git(&work.path, &["push", "--quiet", "--force", "origin", "feature"]);
    same(&ours, &theirs).await;
    git(
        &work.path,
        &["push", "--quiet", "origin", ":feature", ":refs/tags/v1"],
    );
    same(&ours, &theirs).await;
    // A folder of branches where a branch was.
    git(&work.path, &["push", "--quiet", "origin", "feature:nested"]);
    same(&ours, &theirs).await;
    git(&work.path, &["push", "--quiet", "origin", ":nested"]);
    git(&work.path, &["push", "--quiet", "origin", "feature:nested/one"]);
    same(&ours, &theirs).await;
    let shown = at_rest(&here).await;
    assert_eq!(shown["credential"], true);
    assert!(!shown.to_string().contains("horse"));
    assert!(here.madake(&["repo", "mirrors"]).contains(&target));
    settled(&there).await;
    let entered = ledger(&there).await;
    assert!(
        entered
            .iter()
            .any(|entry| entry["kind"] == "push" && entry["principal"] == "admin")
    );

    // What is only there stays, unless it was once here.
    let elsewhere = WorkTree::new(there.scratch().join("elsewhere"), &theirs);
    let _ = elsewhere.push("theirs", &[("z", "3")]);
    let _ = work.push("master", &[("x", "4")]);
    wait_for("the push", || async {
        refs(&theirs)
            .contains(&git(&work.path, &["rev-parse", "master"]))
            .then_some(())
    })
    .await;
    assert!(refs(&theirs).contains("refs/heads/theirs"));
    let mut pruning = asked.to_vec();
    pruning.push("--prune");
    here.madake_with_input(&pruning, madake_testkit::PASSWORD);
    same(&ours, &theirs).await;
    assert_eq!(mirrors(&here).await.len(), 1, "the same mirror");

    // Ended: nothing goes on, and nothing is undone.
    let id = shown["id"].to_string();
    here.madake(&["repo", "mirror-end", &id]);
    let before = refs(&theirs);
    let _ = work.push("master", &[("x", "5")]);
    settled(&here).await;
    assert_eq!(mirrors(&here).await, Vec::<Value>::new());
    assert_eq!(refs(&theirs), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_push_is_lost_while_the_remote_is_away_or_the_server_is_killed() {
    let mut here = Server::start().await;
    let mut there = Server::start().await;
    let work = here.hosted("PROJ/app");
    there.madake(&["repo", "create", "COPY/app"]);
    let _ = work.push("master", &[("x", "0")]);
    let _ = work.push("doomed", &[("y", "0")]);
    let target = format!("{}/scm/copy/app.git", there.url());
    here.madake_with_input(
        &[
            "repo",
            "mirror-to",
            "PROJ/app",
            &target,
            "--username",
            "admin",
            "--password-stdin",
        ],
        madake_testkit::PASSWORD,
    );
    let theirs = there.clone_url("COPY/app");
    same(&here.clone_url("PROJ/app"), &theirs).await;
    at_rest(&here).await;

    there.kill();
    let _ = work.push("master", &[("x", "1")]);
    git(&work.path, &["push", "--quiet", "origin", ":doomed"]);
    let shown = failed(&here).await;
    assert!(shown["pendingPushes"] != 0 && shown["lagMs"].is_i64(), "{shown}");
    assert!(shown["problem"].to_string().contains(&target), "{shown}");
    let table = here.madake(&["repo", "mirrors"]);
    assert!(table.contains("failed") && table.contains("push"), "{table}");
    here.kill();
    here.launch().await;
    git(
        &work.path,
        &["remote", "set-url", "origin", &here.clone_url("PROJ/app")],
    );
    let _ = work.push("master", &[("x", "2")]);
    there.launch().await;
    assert_eq!(there.clone_url("COPY/app"), theirs, "the port is kept");
    let id = shown["id"].to_string();
    here.madake(&["repo", "mirror-sync", &id]);
    same(&here.clone_url("PROJ/app"), &theirs).await;
    assert!(!refs(&theirs).contains("doomed"));
    let shown = at_rest(&here).await;
    assert_eq!((&shown["failures"], &shown["lagMs"]), (&json!(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_that_a_remote_refuses_do_not_keep_the_others() {
    let here = Server::start().await;
    let bare = here.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&bare);
    git(&bare, &["config", "receive.denyNonFastForwards", "true"]);
    let work = here.hosted("PROJ/app");
    let _ = work.push("master", &[("x", "1")]);
    here.madake(&["repo", "mirror-to", "PROJ/app", text(&bare)]);
    same(&here.clone_url("PROJ/app"), text(&bare)).await;
    at_rest(&here).await;
    git(
        &work.path,
        &["commit", "--quiet", "--amend", "--message", "rewritten"],
    );
    git(&work.path, &["branch", "other"]);
    git(
        &work.path,
        &["push", "--quiet", "--force", "origin", "master", "other"],
    );
    let shown = failed(&here).await;
    assert!(
        shown["problem"].to_string().contains("refs/heads/master"),
        "{shown}"
    );
    assert!(refs(text(&bare)).contains("refs/heads/other"));
    git(&bare, &["config", "receive.denyNonFastForwards", "false"]);
    here.madake(&["repo", "mirror-sync", &shown["id"].to_string()]);
    same(&here.clone_url("PROJ/app"), text(&bare)).await;
    at_rest(&here).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repository_that_follows_a_remote_is_equal_to_it_and_builds() {
    let server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let remote = WorkTree::with_bare(&bare);
    let first = remote.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("cat x || true", ""))],
    );
    let out = server.madake(&["repo", "mirror-from", "PROJ/copy", text(&bare)]);
    assert!(out.contains("takes no pushes"), "{out}");
    let url = server.clone_url("PROJ/copy");
    same(text(&bare), &url).await;
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["state"], "Successful");
    settled(&server).await;
    let entered = ledger(&server).await;
    let entry = entered
        .iter()
        .find(|entry| entry["kind"] == "mirror")
        .expect("what was fetched");
    assert_eq!(entry["content"]["via"], "mirror");
    assert!(entry["content"].to_string().contains(&first));
    assert!(
        !entered.iter().any(|entry| entry["kind"] == "reconciliation"),
        "{entered:?}"
    );

    // A webhook of the remote's host hurries it: the mirror itself looks every three minutes.
    let made = server.madake(&["webhook", "create", "PROJ/copy", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let hook = made["url"].as_str().expect("an address");
    let hook = hook[hook.find("/intake/").expect("the path")..].to_owned();
    let deliver = async || {
        let tip = git(&bare, &["rev-parse", "master"]);
        let body = payload("remote", &[("refs/heads/master", OLD, &tip, "UPDATE")]).to_string();
        let answer = server
            .anonymous(Method::POST, &hook)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        answer.expect("an answer").status().as_u16()
    };
    at_rest(&server).await;
    let second = remote.push("master", &[("x", "2")]);
    assert_eq!(deliver().await, 202);
    same(text(&bare), &url).await;
    let built = server.ended("PROJ-PLAN", 2).await;
    assert!(
        built.iter().any(|result| result.to_string().contains(&second)),
        "{built:?}"
    );

    // Rewritten, deleted, tagged.
    let _ = remote.push("gone", &[("y", "3")]);
    remote.switch("master");
    git(
        &remote.path,
        &["commit", "--quiet", "--amend", "--message", "rewritten"],
    );
    git(&remote.path, &["tag", "-a", "-m", "one", "v1"]);
    git(
        &remote.path,
        &["push", "--quiet", "--force", "origin", "master", "v1"],
    );
    assert_eq!(deliver().await, 202);
    same(text(&bare), &url).await;
    git(&remote.path, &["push", "--quiet", "origin", ":gone"]);
    let id = mirrors(&server).await[0]["id"].to_string();
    server.madake(&["repo", "mirror-sync", &id]);
    same(text(&bare), &url).await;

    // Pushes are refused with a sentence, and move nothing.
    let copy = WorkTree::new(server.scratch().join("copy"), &url);
    git(&copy.path, &["pull", "--quiet", "origin", "master"]);
    let _ = copy.commit("mine", &[("mine", "1")]);
    let pushed = try_git(&copy.path, &["push", "origin", "master"]);
    let said = String::from_utf8_lossy(&pushed.stderr);
    assert!(!pushed.status.success(), "{said}");
    assert!(
        said.contains("is a mirror of") && said.contains("push there"),
        "{said}"
    );
    assert_eq!(refs(text(&bare)), refs(&url));

    // A remote that lost everything takes nothing away here.
    for name in ["refs/heads/master", "refs/tags/v1"] {
        git(&bare, &["update-ref", "-d", name]);
    }
    let before = refs(&url);
    server.madake(&["repo", "mirror-sync", &id]);
    let shown = failed(&server).await;
    assert!(shown["problem"].to_string().contains("no branch"), "{shown}");
    assert_eq!(refs(&url), before);

    // Ended: it takes pushes.
    server.madake(&["repo", "mirror-end", &id]);
    git(&copy.path, &["push", "--quiet", "origin", "master"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_on_schedule_and_across_a_restart() {
    let mut server = Server::start_with(ServerOptions {
        environment: vec![("MADAKE__REPOSITORIES__RECONCILE_SECONDS".into(), "1".into())],
        ..ServerOptions::default()
    })
    .await;
    let bare = server.scratch().join("remote.git");
    let remote = WorkTree::with_bare(&bare);
    let _ = remote.push("master", &[("x", "1")]);
    server.madake(&["repo", "mirror-from", "PROJ/copy", text(&bare), "--period", "10"]);
    same(text(&bare), &server.clone_url("PROJ/copy")).await;
    server.kill();
    let _ = remote.push("master", &[("x", "2")]);
    server.launch().await;
    let url = server.clone_url("PROJ/copy");
    same(text(&bare), &url).await;
    // Each move is in the ledger once.
    wait_for("the entry", || async {
        let entered = ledger(&server).await;
        let moves = entered
            .iter()
            .filter(|entry| entry["content"]["refs"].is_array())
            .count();
        (moves == 2).then_some(())
    })
    .await;
    let _ = remote.push("master", &[("x", "3")]);
    same(text(&bare), &url).await;
    tokio::time::timeout(Duration::from_secs(20), settled(&server))
        .await
        .expect("decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_made_by_administrators_and_overwrite_nothing_unasked() {
    let server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&bare).push("master", &[("x", "1")]);
    let work = server.hosted("PROJ/app");
    let mine = work.push("main", &[("mine", "1")]);
    user(&server, "joe", "a-password-for-joe");
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "ADMINISTRATION",
        "--user",
        "joe",
    ]);
    let create = async |body: Value, name: &str, password: &str| {
        let request = server
            .anonymous(Method::POST, API)
            .basic_auth(name, Some(password));
        let answer = request.json(&body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a body"))
    };
    let from = json!({ "repository": "PROJ/app", "direction": "from", "url": text(&bare) });
    assert_eq!(create(from.clone(), "joe", "a-password-for-joe").await.0, 403);
    let (status, said) = create(from.clone(), "admin", madake_testkit::PASSWORD).await;
    assert!(status == 400 && said.contains("has branches"), "{status} {said}");
    for (url, part) in [
        ("ext::sh -c id", "cannot be used"),
        ("/nowhere/at/all.git", "does not answer"),
        ("http://127.0.0.1:9/x.git", "does not answer"),
    ] {
        let body = json!({ "repository": "PROJ/app", "direction": "to", "url": url });
        let (status, said) = create(body, "admin", madake_testkit::PASSWORD).await;
        assert!(status == 400 && said.contains(part), "{url}: {status} {said}");
    }
    assert_eq!(mirrors(&server).await, Vec::<Value>::new());
    assert!(refs(&server.clone_url("PROJ/app")).contains(&mine));

    // Asked for, it is overwritten.
    let mut replacing = from;
    replacing["replace"] = json!(true);
    let (status, said) = create(replacing, "admin", madake_testkit::PASSWORD).await;
    assert_eq!(status, 201, "{said}");
    same(text(&bare), &server.clone_url("PROJ/app")).await;
    // Who administrates the repository sees it and may hurry it, and not more.
    let id = mirrors(&server).await[0]["id"].to_string();
    let (joe, password) = ("joe", "a-password-for-joe");
    for (method, path, expected) in [
        (Method::GET, format!("{API}?repository=PROJ%2Fapp"), 200),
        (Method::DELETE, format!("{API}/{id}"), 403),
        (Method::DELETE, format!("{API}/999"), 403),
    ] {
        assert_eq!(
            status_as(&server, method, &path, joe, password).await,
            expected,
            "{path}"
        );
    }
    at_rest(&server).await;
    server.madake(&["repo", "remove", "PROJ/app"]);
    assert_eq!(mirrors(&server).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_go_along_both_ways() {
    let (here, there) = (Server::start().await, Server::start().await);
    let work = here.hosted("PROJ/app");
    there.madake(&["repo", "create", "COPY/app"]);
    git(&work.path, &["lfs", "install", "--local"]);
    git(&work.path, &["lfs", "track", "*.bin"]);
    let _ = work.push("master", &[("a.bin", "first")]);
    let _ = work.push("master", &[("a.bin", "second")]);
    let password = madake_testkit::PASSWORD;
    let remote = |server: &Server, name: &str| format!("{}/scm/{name}.git", server.url());
    let credential = ["--username", "admin", "--password-stdin"];
    let to = remote(&there, "copy/app");
    let asked = [&["repo", "mirror-to", "PROJ/app", &to][..], &credential].concat();
    here.madake_with_input(&asked, password);
    at_rest(&here).await;
    let from = remote(&there, "copy/app");
    let asked = [&["repo", "mirror-from", "BACK/app", &from][..], &credential].concat();
    let third = Server::start().await;
    third.madake_with_input(&asked, password);
    at_rest(&third).await;
    // All of the history, in each of them.
    for (server, name) in [(&there, "COPY/app"), (&third, "BACK/app")] {
        let copy = WorkTree::new(server.scratch().join("clone"), &server.clone_url(name));
        git(&copy.path, &["lfs", "install", "--local"]);
        git(&copy.path, &["pull", "--quiet", "origin", "master"]);
        let read = || std::fs::read_to_string(copy.path.join("a.bin")).expect("a file");
        assert_eq!(read(), "second", "{name}");
        git(&copy.path, &["checkout", "--quiet", "HEAD~1"]);
        assert_eq!(read(), "first", "{name}");
    }
}
