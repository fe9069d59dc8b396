//! Hostile repositories, addresses and names (hostile-inputs.md G1, G5 to G7, G9 to G12), towards the real binary.
//!
//! Those of attached and linked repositories and of pushes over SSH are in `hostile_kinds`, of mirrors in
//! `hostile_mirrors`, of Git LFS in `hostile_lfs`. G7's names in pushes are refused in `git_http` and `hostile_webhook`,
//! G11 is in `git_http`; the guards of addresses and names have their own tables in the tests of `madake-vcs`.

use std::process::Command;

use madake_testkit::{Server, WorkTree, git, try_git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{calls, settled, user, watched};
use crate::plan_files::one_job;

#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_g1_are_refused_when_they_are_linked() {
    let (server, seen, _git) = watched("[repositories]\nallow-local-paths = false\n").await;
    let marker = server.scratch().join("executed");
    let touch = format!("touch {}", marker.display());
    let before = calls(&seen).lines().count();
    let addresses = [
        format!("-oProxyCommand={touch}"),
        format!("--upload-pack={touch}"),
        format!("ext::sh -c '{touch}'"),
        format!("ext::sh% -c% {touch}"),
        "fd::17".into(),
        "file:///etc".into(),
        "/etc".into(),
        "../relative".into(),
        "FILE:///etc".into(),
        format!("ssh://-oProxyCommand={touch}/x"),
        "ssh://-oX/".into(),
        "ssh://user@-host/x".into(),
        "git@-host:x".into(),
        "git@host:-x".into(),
        "http://host/a\nb".into(),
        "http://".into(),
        "gopher://host/x".into(),
        "http://host:99999/x".into(),
        String::new(),
    ];
    for address in addresses {
        let answer = server
            .request(Method::POST, "/rest/madake/1.0/repositories/link")
            .header("content-type", "application/json")
            .body(json!({"name": "x", "url": address}).to_string())
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            answer.status(),
            400,
            "G1 {address:?}: {}",
            answer.text().await.expect("a body")
        );
    }
    let listed = server.get("/rest/madake/1.0/repositories").await;
    assert_eq!(listed["repositories"], json!([]));
    assert_eq!(calls(&seen).lines().count(), before, "G1: no process was started");
    assert!(!marker.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_credentials_in_addresses_g9_are_sealed_and_shown_nowhere() {
    const CREDENTIAL: &str = "s3cret-of-the-link";
    let (host, _, _git) = watched("").await;
    let work = host.hosted("PROJ/app");
    let _ = work.push("main", &[("x", "1")]);
    user(&host, "reader", CREDENTIAL);
    host.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "--user",
        "reader",
    ]);
    let (server, seen, _git) = watched("[repositories]\npoll-seconds = 1\n").await;
    let address = host
        .url()
        .replace("http://", &format!("http://reader:{CREDENTIAL}@"))
        + "/scm/proj/app.git";
    server.madake(&["repo", "link", "x", &address]);
    let fetched = calls(&seen);
    assert!(fetched.contains("ls-remote"), "{fetched}");
    // A wrong one is refused without being repeated.
    let wrong = address.replace(CREDENTIAL, "wr0ng-one");
    let answer = server
        .request(Method::POST, "/rest/madake/1.0/repositories/link")
        .header("content-type", "application/json")
        .body(json!({"name": "y", "url": wrong}).to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 400);
    let said = answer.text().await.expect("a body");
    let listed = server.madake(&["repo", "list", "--json"]);
    let events = server.get("/rest/madake/1.0/events?limit=1000").await.to_string();
    let shown = [
        ("an answer", said),
        ("the log", server.log()),
        ("the list", listed),
        ("the ledger", events),
        ("arguments of git", calls(&seen)),
    ];
    for (what, text) in shown {
        for secret in [CREDENTIAL, "wr0ng-one"] {
            assert!(!text.contains(secret), "G9: {what}: {text}");
        }
    }
    let line = std::fs::read(format!("/proc/{}/cmdline", server.process_id())).expect("its arguments");
    assert!(!String::from_utf8_lossy(&line).contains(CREDENTIAL));
    // Nothing in the home has it in the clear: store, its write-ahead log, mirrors with their configuration.
    let found = Command::new("grep")
        .args(["-rlaF", CREDENTIAL])
        .arg(server.home())
        .output()
        .expect("grep");
    let found = String::from_utf8_lossy(&found.stdout);
    assert!(found.is_empty(), "G9: it stands in {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_configuration_g5_of_a_work_tree_is_never_read() {
    let server = Server::start().await;
    let marker = server.scratch().join("executed");
    let work = server.hosted("PROJ/app");
    let touch = format!("touch {}", marker.display());
    let configuration = format!(
        "[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n\thooksPath = hooks\n[diff]\n\texternal = {touch}\n\
         [filter \"evil\"]\n\tsmudge = {touch}\n\tclean = {touch}\n\trequired = true\n"
    );
    let _ = work.push(
        "master",
        &[
            ("bamboo-specs/bamboo.yml", &one_job("git status\ncat data", "")),
            (".gitattributes", "* filter=evil diff=evil\n"),
            ("data", "as it was\n"),
            ("config", &configuration),
            (".gitconfig", &configuration),
            ("hooks/post-checkout", &format!("#!/bin/sh\n{touch}\n")),
        ],
    );
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["state"], "Successful");
    let log = server.madake(&["build", "log", "PROJ-PLAN-1"]);
    assert!(log.contains("as it was"), "{log}");
    let _ = work.push("master", &[("data", "changed\n")]);
    server.ended("PROJ-PLAN", 2).await;
    assert!(!marker.exists(), "G5: something of the repository was run");
    // The addresses of submodules are looked at when they are pushed (G3).
    let modules = "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n";
    let _ = work.commit("a submodule", &[(".gitmodules", modules)]);
    let output = try_git(&work.path, &["push", "origin", "master"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("disallowed submodule url"), "G3: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_g6_that_differ_in_case_are_distinct_branches() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let plan = one_job("cat who", "branches:\n  create: for-new-branch\n");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    server.ended("PROJ-PLAN", 1).await;
    // Composed and decomposed: two names to Git, one to the eye.
    let names = ["Feature", "feature", "caf\u{e9}", "cafe\u{301}"];
    for (index, name) in names.iter().enumerate() {
        git(
            &work.path,
            &["checkout", "--quiet", "-b", &format!("local{index}"), "master"],
        );
        let commit = work.commit("a change", &[("who", name)]);
        git(
            &work.path,
            &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")],
        );
        let results = server.ended(&format!("PROJ-PLAN{index}"), 1).await;
        assert_eq!(results[0]["vcsRevisionKey"], commit.as_str(), "G6 {name}");
        let log = server.madake(&["build", "log", &format!("PROJ-PLAN{index}-1")]);
        assert!(log.contains(name), "G6 {name}: {log}");
    }
    let branches = server
        .get("/rest/api/latest/plan/PROJ-PLAN/branch?max-results=100")
        .await;
    assert_eq!(branches["branches"]["size"], 4, "{branches}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_links_g10_with_one_address_or_one_name_have_mirrors_of_their_own() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for folder in ["a", "b"] {
        let bare = server.scratch().join(folder).join("same.git");
        let work = WorkTree::with_bare(&bare);
        made.push(work.push("master", &[("x", folder)]));
        server.madake(&[
            "repo",
            "link",
            &format!("same-{folder}"),
            bare.to_str().expect("text"),
        ]);
    }
    settled(&server).await;
    let mirrors = server.home().join("mirrors");
    let listed = Command::new("find")
        .arg(&mirrors)
        .args(["-name", "HEAD", "-path", "*.git/HEAD"])
        .output()
        .expect("find");
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert_eq!(listed.lines().count(), 2, "G10: {listed}");
    // The same name again is refused, whatever its address.
    let answer = server
        .request(Method::POST, "/rest/madake/1.0/repositories/link")
        .header("content-type", "application/json")
        .body(json!({"name": "same-a", "url": server.scratch().join("b/same.git")}).to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 400, "{}", answer.text().await.expect("a body"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_g12_are_rendered_inert() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
    );
    server.ended("PROJ-PLAN", 1).await;
    let hostile = "good\u{1b}[2J\u{1b}]52;c;eA==\u{7}\rforged\u{8}\u{8} <script>x</script>";
    std::fs::write(work.path.join("x"), "1").expect("a file");
    git(&work.path, &["add", "x"]);
    git(
        &work.path,
        &[
            "commit",
            "--quiet",
            "--cleanup=verbatim",
            "--author",
            "Eve\u{1b}[31m\u{8} <eve\u{7}@example.org>",
            "-m",
            hostile,
        ],
    );
    git(&work.path, &["push", "--quiet", "origin", "master"]);
    server.ended("PROJ-PLAN", 2).await;
    let control = |text: &str| {
        text.chars()
            .find(|one| one.is_control() && !matches!(one, '\n' | '\t'))
    };
    let paths = [
        "/rest/api/latest/result/PROJ-PLAN-2?expand=changes.change.files,comments,labels",
        "/rest/madake/1.0/builds/PROJ-PLAN-2",
        "/rest/madake/1.0/events?limit=10",
        "/rest/madake/1.0/plans/PROJ-PLAN/why",
    ];
    for path in paths {
        let answer: Value = server.get(path).await;
        let mut texts = Vec::new();
        collect(&answer, &mut texts);
        for text in texts {
            assert_eq!(control(&text), None, "G12 {path}: {text:?}");
        }
    }
    let xml = server
        .request(Method::GET, paths[0])
        .header("accept", "application/xml")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    assert_eq!(control(&xml), None, "G12: {xml:?}");
    assert!(!xml.contains("<script>"), "G12: {xml}");
    for said in [
        server.madake(&["why", "PROJ-PLAN"]),
        server.madake(&["events"]),
        server.madake(&["build", "status", "PROJ-PLAN-2"]),
    ] {
        assert_eq!(control(&said), None, "G12: {said:?}");
    }
    assert!(!server.log().contains("\u{1b}[2J"));
}

/// Every text in an answer.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
