//! Git over HTTP with the real git: what is fetched and pushed, what is refused, and what the ledger says of it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use madake_testkit::{PASSWORD, Server, WorkTree, git, try_git};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::{decided, ledger, refusals, settled, user};
use crate::plan_files::one_job;

const ZEROS: &str = "0000000000000000000000000000000000000000";

/// Runs git with variables in its environment.
fn traced(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(environment.iter().copied())
        .output()
        .expect("git is there")
}

/// The clone URL of a hosted repository with these credentials in it.
fn url_as(server: &Server, name: &str, login: &str) -> String {
    let host = server.url().replace("http://", "");
    format!("http://{login}@{host}/scm/{}.git", name.to_lowercase())
}

/// Pushes to the ledger, newest first.
async fn pushes(server: &Server) -> Vec<Value> {
    settled(server).await;
    let mut entries = ledger(server).await;
    entries.retain(|entry| entry["kind"] == "push");
    entries
}

fn refs_of(entry: &Value) -> Vec<&str> {
    let refs = entry["content"]["refs"].as_array().expect("a list");
    refs.iter().filter_map(|one| one["ref"].as_str()).collect()
}

fn tip(server: &Server, reference: &str) -> Option<String> {
    let listed = git(
        &server.scratch(),
        &["ls-remote", &server.clone_url("PROJ/app"), reference],
    );
    listed.split_whitespace().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_by_version_2_and_fetches_with_gzip_bodies_over_many_refs() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    work.switch("main");
    let mut commit = String::new();
    for number in 0..20 {
        commit = work.commit(&format!("number {number}"), &[]);
    }
    let mut lines = String::new();
    for number in 0..2000 {
        writeln!(lines, "create refs/tags/v{number} {commit}").expect("text");
    }
    let file = server.scratch().join("refs");
    std::fs::write(&file, lines).expect("a file");
    let input = std::fs::File::open(&file).expect("the file");
    let made = Command::new("git")
        .args(["update-ref", "--stdin"])
        .current_dir(&work.path)
        .stdin(input)
        .status();
    assert!(made.expect("git").success());
    git(&work.path, &["push", "--quiet", "origin", "main", "--tags"]);

    let clone = server.scratch().join("clone");
    let url = server.clone_url("PROJ/app");
    let trace = [("GIT_TRACE_PACKET", "1")];
    let arguments = [
        "-c",
        "protocol.version=2",
        "clone",
        "--quiet",
        &url,
        clone.to_str().expect("text"),
    ];
    let output = traced(&server.scratch(), &trace, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}",
        &said[said.len().saturating_sub(2000)..]
    );
    assert!(said.contains("version 2"), "protocol version 2 is spoken");
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), commit);
    assert_eq!(git(&clone, &["tag"]).lines().count(), 2000);

    // Many commits that the server does not know make a long negotiation, which git packs.
    for number in 0..150 {
        git(
            &clone,
            &[
                "-c",
                "user.name=a",
                "commit",
                "--quiet",
                "--allow-empty",
                "-m",
                &number.to_string(),
            ],
        );
    }
    for version in ["2", "0"] {
        let newer = work.commit("newer", &[("x", version)]);
        git(&work.path, &["push", "--quiet", "origin", "main"]);
        let setting = format!("protocol.version={version}");
        let output = traced(
            &clone,
            &[("GIT_TRACE_CURL", "1")],
            &[
                "-c",
                &setting,
                "fetch",
                "--no-tags",
                "origin",
                "+refs/heads/main:refs/remotes/origin/main",
            ],
        );
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(
            output.status.success(),
            "{}",
            &said[said.len().saturating_sub(2000)..]
        );
        assert!(
            said.contains("content-encoding: gzip"),
            "version {version}: a packed body was sent"
        );
        assert_eq!(git(&clone, &["rev-parse", "origin/main"]), newer);
        git(&clone, &["update-ref", "-d", "refs/remotes/origin/main"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_push_arrives_whole() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    // Noise that does not compress.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(20 * 1024 * 1024);
    while noise.len() < 20 * 1024 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    std::fs::write(work.path.join("noise"), &noise).expect("a file");
    let commit = work.push("main", &[("small", "1")]);
    let clone = server.scratch().join("clone");
    git(
        &server.scratch(),
        &["clone", "--quiet", &server.clone_url("PROJ/app"), "clone"],
    );
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), commit);
    assert!(
        std::fs::read(clone.join("noise")).expect("the file") == noise,
        "every byte is there"
    );
    let entries = pushes(&server).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["content"]["refs"][0]["new"], commit.as_str());
}

fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

#[tokio::test(flavor = "multi_thread")]
async fn push_options_are_data_g11() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let commit = work.push("main", &[("x", "1")]);
    let hostile = "a=b;c $(touch owned) --exec=x";
    git(
        &work.path,
        &[
            "push",
            "--quiet",
            "-o",
            hostile,
            "-o",
            "second",
            "origin",
            "HEAD:refs/heads/topic",
        ],
    );
    let entries = pushes(&server).await;
    assert_eq!(entries[0]["content"]["options"], json!([hostile, "second"]));

    // Git does not send a newline in an option; who does not use git may.
    let options = ["line\nX-Injected: 1\n0000", "semi;colon"];
    let body = format!(
        "{}0000{}0000",
        packet(&format!(
            "{commit} {ZEROS} refs/heads/topic\0 report-status delete-refs push-options"
        )),
        options.map(packet).concat()
    );
    let answer = server
        .request(Method::POST, "/scm/proj/app/git-receive-pack")
        .header("content-type", "application/x-git-receive-pack-request")
        .body(body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    settled(&server).await;
    let newest = pushes(&server).await.remove(0);
    match tip(&server, "refs/heads/topic") {
        // Refused as a whole.
        Some(still) => assert_eq!(still, commit, "{status} {text}"),
        // Or taken: then each option is one entry in the list, as it came.
        None => {
            assert_eq!(refs_of(&newest), ["refs/heads/topic"]);
            let kept = newest["content"]["options"].as_array().expect("a list");
            assert_eq!(kept.len(), 2, "{newest}");
            assert_eq!(kept[1], "semi;colon");
            assert!(kept[0].as_str().expect("text").starts_with("line"), "{newest}");
        }
    }
    let why = server.madake(&["why", &newest["id"].to_string()]);
    assert!(!why.lines().any(|line| line.starts_with("X-Injected")), "{why}");
    assert!(!server.log().lines().any(|line| line.starts_with("X-Injected")));
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_pushes_move_all_refs_or_none_g7() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("main", &[("x", "1")]);
    let before = pushes(&server).await.len();
    for bad in ["refs/heads/-bad", "refs/heads/HEAD", "refs/heads/refs/heads/x"] {
        let refused = format!("HEAD:{bad}");
        let output = try_git(
            &work.path,
            &["push", "--atomic", "origin", "HEAD:refs/heads/good", &refused],
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{bad}: {said}");
        assert_eq!(
            tip(&server, "refs/heads/good"),
            None,
            "{bad}: none of it was done: {said}"
        );
        assert_eq!(tip(&server, bad), None, "{bad}");
    }
    // Our own namespace is closed.
    assert!(
        !try_git(&work.path, &["push", "origin", "HEAD:refs/madake/mine"])
            .status
            .success()
    );
    assert_eq!(
        pushes(&server).await.len(),
        before,
        "nothing moved, nothing is entered"
    );
    // Without --atomic as well: a push with a name that no ref may have is refused before git sees it.
    let output = try_git(
        &work.path,
        &["push", "origin", "HEAD:refs/heads/good", "HEAD:refs/heads/-bad"],
    );
    assert!(!output.status.success(), "the client hears of it");
    assert_eq!(tip(&server, "refs/heads/good"), None);
    // A ref that moved meanwhile holds the others back only in an atomic push.
    let other = work.commit("other", &[]);
    git(
        &work.path,
        &["push", "--quiet", "origin", "HEAD:refs/heads/taken"],
    );
    git(&work.path, &["reset", "--quiet", "--hard", "HEAD~1"]);
    let _ = work.commit("another", &[("y", "1")]);
    let refs = ["HEAD:refs/heads/good", "HEAD:refs/heads/taken"];
    let output = try_git(&work.path, &[&["push", "--atomic", "origin"], &refs[..]].concat());
    assert!(!output.status.success());
    assert_eq!(tip(&server, "refs/heads/good"), None);
    let output = try_git(&work.path, &[&["push", "origin"], &refs[..]].concat());
    assert!(!output.status.success());
    assert!(tip(&server, "refs/heads/good").is_some());
    assert_eq!(tip(&server, "refs/heads/taken"), Some(other));
    let entries = pushes(&server).await;
    assert_eq!(entries.len(), before + 2);
    assert_eq!(refs_of(&entries[0]), ["refs/heads/good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_push_moves_nothing() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let first = work.push("main", &[("x", "1")]);
    user(&server, "joe", "a-password-for-joe");
    user(&server, "eve", "a-password-for-eve");
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "--user",
        "joe",
    ]);
    let made: Value = serde_json::from_str(&server.madake(&["token", "create", "--user", "admin", "--json"]))
        .expect("JSON");
    let token = made["token"].as_str().expect("a token").to_owned();
    let limited = [
        "token",
        "create",
        "--user",
        "admin",
        "--permission",
        "READ",
        "--json",
    ];
    let made: Value = serde_json::from_str(&server.madake(&limited)).expect("JSON");
    let reading = made["token"].as_str().expect("a token").to_owned();

    let second = work.commit("second", &[("x", "2")]);
    let push = |login: &str| {
        let url = url_as(&server, "PROJ/app", login);
        try_git(&work.path, &["push", &url, "main"])
    };
    // Who, and whether the ledger has it: git asks without credentials first, so that is no refusal to enter.
    let rows = [
        ("anonymous", "nobody-gives-a:wrong".to_owned(), true),
        ("READ only", "joe:a-password-for-joe".to_owned(), true),
        ("nothing", "eve:a-password-for-eve".to_owned(), true),
        ("wrong password", "admin:wrong".to_owned(), true),
        ("a token that reads", format!("admin:{reading}"), true),
        ("another's token", format!("joe:{token}"), true),
    ];
    for (row, login, entered) in rows {
        let before = refusals(&server).await;
        let output = push(&login);
        assert!(!output.status.success(), "{row}");
        assert_eq!(
            tip(&server, "refs/heads/main").as_deref(),
            Some(first.as_str()),
            "{row}"
        );
        assert_eq!(refusals(&server).await > before, entered, "{row}");
    }
    let bare = server.url() + "/scm/proj/app.git";
    assert!(
        !try_git(&work.path, &["push", &bare, "main"]).status.success(),
        "without credentials"
    );
    // The one route that writes is closed as well, not only the advertisement before it.
    for (name, password, expected) in [
        ("joe", "a-password-for-joe", 403),
        ("eve", "a-password-for-eve", 403),
    ] {
        let answer = server
            .anonymous(Method::POST, "/scm/proj/app.git/git-receive-pack")
            .basic_auth(name, Some(password))
            .body(
                packet(&format!(
                    "{first} {ZEROS} refs/heads/main\0 report-status delete-refs"
                )) + "0000",
            )
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), expected, "{name}");
    }
    let anonymous = server
        .anonymous(Method::POST, "/scm/proj/app.git/git-receive-pack")
        .send()
        .await;
    assert_eq!(anonymous.expect("an answer").status(), 401);
    assert_eq!(tip(&server, "refs/heads/main").as_deref(), Some(first.as_str()));
    // Joe may read; a token is a password.
    let url = url_as(&server, "PROJ/app", "joe:a-password-for-joe");
    assert!(try_git(&work.path, &["ls-remote", &url]).status.success());
    assert!(push(&format!("admin:{token}")).status.success());
    assert_eq!(tip(&server, "refs/heads/main").as_deref(), Some(second.as_str()));
    for secret in ["a-password-for-joe", &token, &reading, PASSWORD] {
        assert!(!server.log().contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_and_linked_repositories_are_not_pushed_to() {
    let server = Server::start().await;
    let bare = server.scratch().join("bare.git");
    let work = WorkTree::with_bare(&bare);
    let first = work.push("master", &[("x", "1")]);
    let path = bare.to_str().expect("text");
    server.madake(&["repo", "attach", "PROJ/app", path]);
    server.madake(&["repo", "link", "linked", path]);
    let _ = work.commit("second", &[("x", "2")]);
    let before = refusals(&server).await;
    let output = try_git(&work.path, &["push", &server.clone_url("PROJ/app"), "master"]);
    assert!(!output.status.success());
    assert!(refusals(&server).await > before, "the refusal is entered");
    let linked = server.request(
        Method::GET,
        "/scm/linked/linked.git/info/refs?service=git-receive-pack",
    );
    assert!(linked.send().await.expect("an answer").status().is_client_error());
    assert_eq!(git(&bare, &["rev-parse", "master"]), first);
    // Reading an attached one is fine.
    assert_eq!(tip(&server, "refs/heads/master"), Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_and_tags_are_entered_as_what_they_are() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let commit = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
    );
    server.ended("PROJ-PLAN", 1).await;
    git(&work.path, &["tag", "light"]);
    git(&work.path, &["tag", "-a", "heavy", "-m", "a tag"]);
    let heavy = git(&work.path, &["rev-parse", "refs/tags/heavy"]);
    git(
        &work.path,
        &[
            "push",
            "--quiet",
            "origin",
            "light",
            "heavy",
            "HEAD:refs/heads/topic",
        ],
    );
    git(&work.path, &["push", "--quiet", "origin", ":light", ":topic"]);
    let entries = pushes(&server).await;
    let moved = |entry: &Value| -> Vec<(String, Value, Value)> {
        let refs = entry["content"]["refs"].as_array().expect("a list");
        let mut moved: Vec<_> = refs
            .iter()
            .map(|one| {
                (
                    one["ref"].as_str().expect("a name").to_owned(),
                    one["old"].clone(),
                    one["new"].clone(),
                )
            })
            .collect();
        moved.sort_by(|left, right| left.0.cmp(&right.0));
        moved
    };
    let null = Value::Null;
    assert_eq!(
        moved(&entries[0]),
        [
            ("refs/heads/topic".to_owned(), json!(commit), null.clone()),
            ("refs/tags/light".to_owned(), json!(commit), null.clone()),
        ]
    );
    assert_eq!(
        moved(&entries[1]),
        [
            ("refs/heads/topic".to_owned(), null.clone(), json!(commit)),
            ("refs/tags/heavy".to_owned(), null.clone(), json!(heavy)),
            ("refs/tags/light".to_owned(), null, json!(commit)),
        ]
    );
    for entry in &entries[..2] {
        let entry = decided(&server, entry["id"].as_i64().expect("a number")).await;
        let mut decisions = entry["decisions"].as_array().expect("a list").clone();
        // The new branch is built when it comes, and nothing when it goes.
        decisions.retain(|one| one["build"] == true);
        let built: Vec<&str> = decisions.iter().filter_map(|one| one["ref"].as_str()).collect();
        let expected: &[&str] = if entry["content"]["refs"][0]["new"].is_null() {
            &[]
        } else {
            &["topic"]
        };
        assert_eq!(built, expected, "{entry}");
    }
    assert_eq!(
        server.results("PROJ-PLAN").await.len(),
        1,
        "tags and deletions build nothing"
    );
    // The branch that people get by default is not deleted.
    assert!(!try_git(&work.path, &["push", "origin", ":main"]).status.success());
}
