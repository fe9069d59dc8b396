//! Branch permissions with real git over HTTP and SSH: what a rule forbids, to whom, and what is said of it.

use std::process::{Command, Stdio};

use madake_testkit::{HgClone, PASSWORD, Server, ServerOptions, WorkTree, git, hg, try_git, try_hg};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{last_refusal, refusals, settled, status_as, user};
use crate::mercurial::hg_as;
use crate::ssh;

const API: &str = "/rest/madake/1.0/branch-permissions";

/// Rewrites the newest commit of the branch that the work tree is on.
fn amend(work: &WorkTree) -> String {
    git(
        &work.path,
        &["commit", "--quiet", "--amend", "--allow-empty", "-m", "rewritten"],
    );
    git(&work.path, &["rev-parse", "HEAD"])
}

fn push(work: &WorkTree, arguments: &[&str]) -> (bool, String) {
    let output = try_git(&work.path, &[&["push", "origin"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

fn as_user(work: &WorkTree, server: &Server, name: &str, password: &str) -> WorkTree {
    let url = server.clone_url("PROJ/app");
    let at = url.find('@').expect("credentials");
    let url = format!("http://{name}:{}{}", password.replace(' ', "%20"), &url[at..]);
    git(&work.path, &["remote", "set-url", "origin", &url]);
    work.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_branches_are_neither_rewritten_nor_deleted_and_other_refs_pass() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let first = work.push("main", &[("a", "1")]);
    git(
        &work.path,
        &["push", "--quiet", "origin", "main:side", "main:release/1"],
    );
    settled(&server).await;
    let out = server.madake(&["repo", "protect", "PROJ/app", "main", "--no-force", "--no-delete"]);
    assert!(
        out.contains("main of PROJ/app: fast-forward-only, no-deletes"),
        "{out}"
    );
    server.madake(&["repo", "protect", "PROJ/app", "release/*", "--read-only"]);
    let before = refusals(&server).await;

    let rewritten = amend(&work);
    let (success, said) = push(
        &work,
        &["--force", "main", "main:side", ":release/1", "main:free"],
    );
    assert!(!success);
    for told in [
        "main -> main (main may not be rewritten, only moved forward (branch permission 1 on main))",
        "release/1 (release/1 is read-only (branch permission 2 on release/*))",
        "main -> side (forced update)",
        "main -> free",
    ] {
        assert!(said.contains(told), "`{told}` is not in {said}");
    }
    let heads = git(&work.path, &["ls-remote", "--heads", "origin"]);
    let mut lines: Vec<String> = heads.lines().map(|line| line.replace('\t', " ")).collect();
    lines.sort_by_key(|line| line[41..].to_owned());
    assert_eq!(
        lines,
        [
            format!("{rewritten} refs/heads/free"),
            format!("{first} refs/heads/main"),
            format!("{first} refs/heads/release/1"),
            format!("{rewritten} refs/heads/side"),
        ]
    );
    // One entry for what was refused at once, one for what was when the objects had arrived.
    assert_eq!(refusals(&server).await, before + 2);
    let entry = last_refusal(&server).await;
    assert_eq!(entry["principal"], "admin");
    assert!(
        entry["reason"]
            .as_str()
            .expect("why")
            .contains("main may not be rewritten"),
        "{entry}"
    );
    assert!(server.log().contains("refused refs of a push to PROJ/app"));

    let (success, said) = push(&work, &["--delete", "main"]);
    assert!(!success && said.contains("main may not be deleted"), "{said}");
    let (success, said) = push(&work, &["--force", "--atomic", "main", "main:other"]);
    assert!(!success && said.contains("main may not be rewritten"), "{said}");
    assert!(!git(&work.path, &["ls-remote", "origin"]).contains("other"));
    // Forward is free, and so is everything once the rule is gone.
    git(&work.path, &["reset", "--quiet", "--hard", &first]);
    let _ = work.push("main", &[("a", "2")]);
    let out = server.madake(&["repo", "protections", "PROJ/app"]);
    assert!(
        out.contains("release/*") && out.contains("fast-forward-only, no-deletes"),
        "{out}"
    );
    server.madake(&["repo", "unprotect", "PROJ/app", "main"]);
    amend(&work);
    let (success, said) = push(&work, &["--force", "main"]);
    assert!(success, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exempt_users_and_groups_pass_and_a_group_that_is_gone_exempts_nobody() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("main", &[("a", "1")]);
    let password = "a long password";
    for name in ["ann", "joe"] {
        user(&server, name, password);
        let grant = [
            "permission",
            "grant",
            "repository",
            "PROJ/app",
            "READ",
            "WRITE",
            "--user",
            name,
        ];
        server.madake(&grant);
    }
    server.madake(&["group", "create", "releasers"]);
    server.madake(&["group", "add", "releasers", "ann"]);
    let protect = [
        "repo",
        "protect",
        "PROJ/app",
        "**",
        "--read-only",
        "--only-group",
        "releasers",
    ];
    server.madake(&protect);
    for (name, allowed) in [("joe", false), ("admin", false), ("ann", true)] {
        let password = if name == "admin" { PASSWORD } else { password };
        let work = as_user(&work, &server, name, password);
        let branch = format!("main:by-{name}");
        let (success, said) = push(&work, &[&branch]);
        assert_eq!(success, allowed, "{name}: {said}");
    }
    server.madake(&["group", "remove", "releasers"]);
    server.madake(&["group", "create", "releasers"]);
    server.madake(&["group", "add", "releasers", "ann"]);
    let (success, said) = push(&as_user(&work, &server, "ann", password), &["main:again"]);
    assert!(!success && said.contains("is read-only"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_over_ssh() {
    let server = Server::start_with(ServerOptions {
        configuration: "[ssh]\nlisten = \"127.0.0.1:0\"\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let made = server.madake(&["repo", "create", "PROJ/app", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let key = server.scratch().join("key");
    let made_key = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", "ed25519", "-f"])
        .arg(&key)
        .stdin(Stdio::null())
        .status();
    assert!(made_key.expect("ssh-keygen is there").success());
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("the public half");
    server.madake_with_input(&["key", "add", "--user", "admin"], &public);
    let work = WorkTree::new(
        server.scratch().join("work"),
        made["sshUrl"].as_str().expect("an address"),
    );
    let ssh = format!(
        "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        key.display()
    );
    git(&work.path, &["config", "core.sshCommand", &ssh]);
    let first = work.push("main", &[("a", "1")]);
    git(&work.path, &["push", "--quiet", "origin", "main:side"]);
    server.madake(&["repo", "protect", "PROJ/app", "main", "--no-force", "--no-delete"]);
    amend(&work);
    let (success, said) = push(&work, &["--force", "main", "main:side"]);
    assert!(!success);
    assert!(said.contains("main may not be rewritten"), "{said}");
    assert!(said.contains("main -> side (forced update)"), "{said}");
    let (success, said) = push(&work, &["--delete", "main"]);
    assert!(!success && said.contains("main may not be deleted"), "{said}");
    git(&work.path, &["reset", "--quiet", "--hard", &first]);
    let _ = work.push("main", &[("a", "2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_kept_by_those_who_administer_the_repository() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("main", &[("a", "1")]);
    user(&server, "joe", "a long password");
    let grant = [
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "WRITE",
        "--user",
        "joe",
    ];
    server.madake(&grant);
    let ask = async |body: Value| {
        let request = server.request(Method::POST, API).json(&body);
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.expect("JSON"),
        )
    };
    let rule = json!({"repository": "PROJ/app", "pattern": "refs/heads/main", "restrictions": ["no-deletes"], "users": ["JOE"]});
    let (status, kept) = ask(rule.clone()).await;
    let expected =
        json!({"id": 1, "pattern": "main", "restrictions": ["no-deletes"], "users": ["joe"], "groups": []});
    assert_eq!((status, &kept), (201, &expected));
    // The same pattern again is the same rule.
    let again =
        json!({"repository": "proj/APP", "pattern": "main", "restrictions": ["read-only", "no-deletes"]});
    let (_, kept) = ask(again).await;
    assert_eq!(kept["id"], 1);
    assert_eq!(kept["restrictions"], json!(["no-deletes", "read-only"]));
    for (field, value, word) in [
        ("pattern", json!("a b"), "a b"),
        ("pattern", json!("tags/*"), "only branches"),
        ("restrictions", json!([]), "what is forbidden"),
        ("restrictions", json!(["all"]), "not a restriction"),
        ("users", json!(["nobody"]), "no user"),
        ("groups", json!(["nobody"]), "no group"),
    ] {
        let mut bad = rule.clone();
        bad[field] = value;
        let (status, answer) = ask(bad).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["message"].as_str().expect("why").contains(word),
            "{answer}"
        );
    }
    let list = format!("{API}?repository=PROJ/app");
    assert_eq!(
        status_as(&server, Method::GET, &list, "joe", "a long password").await,
        200
    );
    let gone = format!("{list}&pattern=main");
    assert_eq!(
        status_as(&server, Method::DELETE, &gone, "joe", "a long password").await,
        403
    );
    assert_eq!(
        server
            .anonymous(Method::GET, &list)
            .send()
            .await
            .expect("an answer")
            .status(),
        401
    );
    // With the repository go its rules.
    server.madake(&["repo", "remove", "PROJ/app"]);
    server.madake(&["repo", "create", "PROJ/app"]);
    assert_eq!(server.get(&list).await["branchPermissions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_a_repository_are_shown_and_changed() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let shown = "/rest/madake/1.0/repositories/attributes?name=PROJ/app";
    let before = server.get(shown).await;
    assert_eq!(
        (&before["description"], &before["lastPushMs"]),
        (&json!(""), &Value::Null)
    );
    let _ = work.push("main", &[("a", "1")]);
    git(&work.path, &["push", "--quiet", "origin", "main:trunk"]);
    settled(&server).await;
    let edit = [
        "repo",
        "edit",
        "PROJ/app",
        "--description",
        "The <app>",
        "--default-branch",
        "trunk",
    ];
    let out = server.madake(&edit);
    assert!(out.contains("The <app>") && out.contains("trunk"), "{out}");
    let head = git(&work.path, &["ls-remote", "--symref", "origin", "HEAD"]);
    assert!(head.starts_with("ref: refs/heads/trunk"), "{head}");
    let after = server.get(shown).await;
    assert_eq!(after["defaultBranch"], "trunk");
    assert_eq!(after["description"], "The <app>");
    assert_eq!(after["lastPusher"], "admin");
    assert!(
        after["lastPushMs"].as_i64() > before["createdMs"].as_i64(),
        "{after}"
    );
    assert!(after["sizeBytes"].as_u64() > Some(0), "{after}");
    let out = server.madake(&["repo", "show", "PROJ/app"]);
    assert!(out.contains("last push") && out.contains("by admin"), "{out}");
    let bad = server
        .request(Method::PUT, "/rest/madake/1.0/repositories/attributes")
        .json(&json!({"name": "PROJ/app", "defaultBranch": "nowhere"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(bad.status(), 400);
    server.madake(&["repo", "edit", "PROJ/app", "--description", ""]);
    assert_eq!(server.get(shown).await["description"], "");
}

/// Where the branches and bookmarks of a Mercurial repository are, as its readers see them.
async fn hg_refs(server: &Server, name: &str) -> Vec<(String, String)> {
    let (owner, slug) = name.split_once('/').expect("an owner");
    let page = server
        .get(&format!("/rest/api/1.0/projects/{owner}/repos/{slug}/branches"))
        .await;
    let values = page["values"].as_array().expect("branches");
    let text = |one: &Value, field: &str| one[field].as_str().expect("text").to_owned();
    values
        .iter()
        .map(|one| (text(one, "id"), text(one, "latestCommit")))
        .collect()
}

/// What the person who pushes reads.
fn refused(output: &std::process::Output) -> String {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.status.success(), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_for_branches_and_bookmarks_of_mercurial() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let push = |arguments: &[&str]| try_hg(&clone.path, &[&["push"], arguments].concat());
    let first = clone.push("first", &[("a", "1")]);
    hg(&clone.path, &["branch", "--quiet", "my stable"]);
    let stable = clone.push("stable", &[("b", "1")]);
    hg(&clone.path, &["bookmark", "mark"]);
    assert!(matches!(push(&["--bookmark", "mark"]).status.code(), Some(0 | 1)));
    hg(&clone.path, &["bookmark", "--inactive", "mark"]);
    settled(&server).await;
    let out = server.madake(&[
        "repo",
        "protect",
        "PROJ/lib",
        "my stable",
        "--no-force",
        "--no-delete",
    ]);
    assert!(
        out.contains("my stable of PROJ/lib: fast-forward-only, no-deletes"),
        "{out}"
    );
    server.madake(&["repo", "protect", "PROJ/lib", "mark", "--no-force", "--no-delete"]);
    server.madake(&["repo", "protect", "PROJ/lib", "release/*", "--read-only"]);
    let before = refusals(&server).await;
    let refs = hg_refs(&server, "PROJ/lib").await;

    // Another head of a protected branch, beside a commit on one that is free: a push moves as a whole.
    hg(&clone.path, &["update", "--quiet", &first]);
    let free = clone.commit("free", &[("c", "1")]);
    hg(&clone.path, &["branch", "--quiet", "--force", "my stable"]);
    let _ = clone.commit("elsewhere", &[("d", "1")]);
    let said = refused(&push(&["--force"]));
    assert!(
        said.contains("my stable may not be rewritten, only moved forward (branch permission 1 on my stable): the push makes another head of it"),
        "{said}"
    );
    assert_eq!(hg_refs(&server, "PROJ/lib").await, refs);
    assert_eq!(refusals(&server).await, before + 1);
    let entry = last_refusal(&server).await;
    assert_eq!(entry["principal"], "admin");
    assert!(
        entry["reason"]
            .as_str()
            .is_some_and(|why| why.contains("another head")),
        "{entry}"
    );
    assert!(server.log().contains("refused refs of a push to PROJ/lib"));
    assert!(push(&["--rev", &free]).status.success());

    // Closing it, and making a branch that may not be pushed to.
    hg(&clone.path, &["update", "--quiet", &stable]);
    hg(&clone.path, &["commit", "--close-branch", "-m", "closed"]);
    let said = refused(&push(&["--rev", "."]));
    assert!(
        said.contains("my stable may not be deleted") && said.contains("closes it"),
        "{said}"
    );
    hg(&clone.path, &["update", "--quiet", &first]);
    hg(&clone.path, &["branch", "--quiet", "release/1"]);
    let _ = clone.commit("release", &[("e", "1")]);
    let said = refused(&push(&["--rev", ".", "--new-branch"]));
    assert!(said.contains("release/1 is read-only"), "{said}");

    // Bookmarks: neither backwards nor away, but forward.
    hg(&clone.path, &["bookmark", "--force", "--rev", &first, "mark"]);
    let said = refused(&push(&["--rev", &first, "--bookmark", "mark"]));
    assert!(said.contains("mark may not be rewritten"), "{said}");
    hg(&clone.path, &["bookmark", "--delete", "mark"]);
    let said = refused(&push(&["--rev", &first, "--bookmark", "mark"]));
    assert!(said.contains("mark may not be deleted"), "{said}");
    hg(&clone.path, &["update", "--quiet", &stable]);
    let forward = clone.commit("forward", &[("f", "1")]);
    hg(&clone.path, &["bookmark", "mark"]);
    let output = push(&["--rev", ".", "--bookmark", "mark"]);
    assert!(output.status.success(), "{output:?}");
    let now = hg_refs(&server, "PROJ/lib").await;
    for name in ["refs/heads/my%20stable", "refs/bookmarks/mark"] {
        assert!(now.contains(&(name.to_owned(), forward.clone())), "{now:?}");
    }
    assert!(!now.iter().any(|(name, _)| name.contains("release")), "{now:?}");

    // Who is exempt may, alone or in a group.
    user(&server, "ann", "a long password");
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/lib",
        "READ",
        "WRITE",
        "--user",
        "ann",
    ]);
    server.madake(&["group", "create", "releasers"]);
    server.madake(&[
        "repo",
        "protect",
        "PROJ/lib",
        "release/*",
        "--read-only",
        "--only-group",
        "releasers",
    ]);
    let url = server.hg_url("PROJ/lib", "ann", "a%20long%20password");
    let release = ["push", "--quiet", "--new-branch", "--rev", "release/1", &url];
    let said = refused(&try_hg(&clone.path, &release));
    assert!(said.contains("release/1 is read-only"), "{said}");
    server.madake(&["group", "add", "releasers", "ann"]);
    let output = try_hg(&clone.path, &release);
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_mercurial_hold_over_ssh() {
    let server = ssh::start().await;
    let made = server.madake(&["repo", "create", "PROJ/lib", "--scm", "hg", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let url = made["sshUrl"].as_str().expect("an address for SSH");
    let key = ssh::key(&server, "writer", "ed25519");
    ssh::register(&server, &key, &["--user", "admin"]);
    let path = server.scratch().join("work");
    let text = path.to_str().expect("text");
    let cloned = hg_as(&key, std::path::Path::new("/"), &["clone", "-q", url, text]);
    assert!(cloned.status.success(), "{cloned:?}");
    let clone = HgClone { path };
    let first = clone.commit("first", &[("a", "1")]);
    let second = clone.commit("second", &[("a", "2")]);
    hg(&clone.path, &["bookmark", "--inactive", "mark"]);
    let pushed = hg_as(&key, &clone.path, &["push", "-q", "--bookmark", "mark"]);
    assert!(pushed.status.success(), "{pushed:?}");
    settled(&server).await;
    server.madake(&["repo", "protect", "PROJ/lib", "**", "--no-force", "--no-delete"]);
    let before = refusals(&server).await;
    hg(&clone.path, &["update", "--quiet", &first]);
    let _ = clone.commit("another head", &[("b", "1")]);
    let said = refused(&hg_as(&key, &clone.path, &["push", "--force"]));
    assert!(said.contains("default may not be rewritten"), "{said}");
    hg(&clone.path, &["bookmark", "--force", "--rev", &first, "mark"]);
    for legacy in ["", "bookmarks"] {
        // Clients without bundles of the second kind move bookmarks by a command of their own, and say less.
        let legacy = format!("devel.legacy.exchange={legacy}");
        let arguments = ["--config", &legacy, "push", "--rev", &first, "--bookmark", "mark"];
        let _ = refused(&hg_as(&key, &clone.path, &arguments));
    }
    assert!(refusals(&server).await > before);
    let refs = hg_refs(&server, "PROJ/lib").await;
    for name in ["refs/heads/default", "refs/bookmarks/mark"] {
        assert!(refs.contains(&(name.to_owned(), second.clone())), "{refs:?}");
    }
}
