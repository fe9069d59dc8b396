//! Libraries that scripts for Bitbucket are written with drive the server unchanged.

use std::process::{Command, Stdio};

use madake_testkit::{PASSWORD, git};
use serde_json::{Value, json};

use crate::real_receivers::python_tool;
use crate::telling::{Listening, server};

/// What the libraries are made to do.
const SCRIPT: &str = include_str!("bitbucket_clients.py");

#[tokio::test(flavor = "multi_thread")]
async fn libraries_for_bitbucket_read_and_administer_a_repository() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    let first = work.push("main", &[("README.md", "one"), ("src/package.json", "{}")]);
    git(&work.path, &["tag", "v1"]);
    git(&work.path, &["push", "origin", "v1"]);
    let tip = work.push("main", &[("src/a.txt", "2")]);
    let output = Command::new(python_tool("python"))
        .args(["-c", SCRIPT])
        .env("MADAKE_URL", server.url())
        .env("MADAKE_PASSWORD", PASSWORD)
        .env("RECEIVER", receiver.url(""))
        .env("TIP", &tip)
        .stdin(Stdio::null())
        .output()
        .expect("python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let hook = "com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook";
    for (what, expected) in [
        ("webhooks", json!(["Renamed"])),
        ("commits", json!([tip, first])),
        ("changed", json!(["src/a.txt"])),
        ("changelog", json!([tip])),
        ("branches", json!(["main"])),
        ("default_branch", json!("refs/heads/main")),
        ("tags", json!(["v1"])),
        ("files", json!(["README.md", "src/a.txt", "src/package.json"])),
        ("content", json!("{}")),
        ("repository", json!("app")),
        ("projects", json!(["PROJ"])),
        ("repositories", json!(["app"])),
        ("hooks", json!([hook])),
        ("hook_enabled", json!(true)),
        ("hook_settings", json!({ "hook-url-0": receiver.url("/hook") })),
        ("stashy_commits", json!([tip])),
        ("stashy_changes", json!(["ADD"])),
        ("stashy_lines", json!(["{}"])),
        ("stashy_type", json!("DIRECTORY")),
        ("stashy_files", json!(["a.txt", "package.json"])),
        (
            "stashy_error",
            json!("a repository named PROJ/nope does not exist"),
        ),
        ("cloud_name", json!("PROJ/app")),
        ("cloud_branches", json!(["main"])),
        ("cloud_commits", json!([tip, first])),
        ("cloud_hooks", json!([receiver.url("/cloud")])),
    ] {
        assert_eq!(seen[what], expected, "{what}");
    }
    assert!(seen["commit"].as_str().is_some_and(|message| !message.is_empty()));
    let last = work.push("main", &[("src/a.txt", "3")]);
    let got = receiver.wait_for(3).await;
    for path in ["/webhook", "/hook", "/cloud"] {
        let told = got.iter().find(|one| one.path == path).expect(path);
        assert!(String::from_utf8_lossy(&told.body).contains(&last), "{path}");
    }
}
