//! Git over SSH with the real ssh and git: what a key may, and what the ledger says of what it may not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use madake_testkit::{Server, ServerOptions, WorkTree, git};
use serde_json::Value;

use crate::hostile_support::{last_refusal, ledger, refusals, settled, user};
use crate::plan_files::one_job;

pub(crate) async fn start() -> Server {
    Server::start_with(ServerOptions {
        configuration: "[ssh]\nlisten = \"127.0.0.1:0\"\n".into(),
        ..ServerOptions::default()
    })
    .await
}

/// Makes a key pair and gives the path of its private half.
pub(crate) fn key(server: &Server, name: &str, kind: &str) -> PathBuf {
    let path = server.scratch().join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name, "-t", kind, "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen is there");
    assert!(made.success());
    path
}

pub(crate) fn register(server: &Server, key: &Path, owner: &[&str]) -> Value {
    let text = std::fs::read_to_string(key.with_extension("pub")).expect("the public half");
    let answer = server.madake_with_input(&[&["key", "add", "--json"], owner].concat(), &text);
    serde_json::from_str(&answer).expect("JSON")
}

/// How git or hg is to call ssh: with this key alone.
pub(crate) fn ssh(key: &Path) -> String {
    format!(
        "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        key.display()
    )
}

pub(crate) fn git_as(key: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSH_COMMAND", ssh(key))
        .output()
        .expect("git is there")
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes a hosted repository and gives its address for SSH.
pub(crate) fn hosted(server: &Server, name: &str) -> String {
    let made = server.madake(&["repo", "create", name, "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    made["sshUrl"].as_str().expect("an address for SSH").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn push_over_ssh_becomes_a_build() {
    let server = start().await;
    let url = hosted(&server, "PROJ/app");
    assert!(
        url.starts_with("ssh://git@127.0.0.1:") && url.ends_with("/proj/app.git"),
        "{url}"
    );
    for kind in ["ed25519", "rsa"] {
        let key = key(&server, kind, kind);
        let made = register(&server, &key, &["--user", "admin"]);
        assert_eq!(made["comment"], kind);
        assert_eq!(made["lastUsedMs"], Value::Null);
        let fingerprint = made["fingerprint"].as_str().expect("text").to_owned();

        let work = WorkTree::new(server.scratch().join(format!("{kind}-work")), &url);
        if kind == "rsa" {
            succeeded(&git_as(&key, &work.path, &["pull", "--quiet", "origin", "main"]));
        }
        let plan = one_job(&format!("cat file; echo {kind}"), "");
        let _ = work.commit(kind, &[("file", kind), ("bamboo-specs/bamboo.yml", &plan)]);
        succeeded(&git_as(
            &key,
            &work.path,
            &["push", "--quiet", "origin", "HEAD:main"],
        ));
        let commit = git(&work.path, &["rev-parse", "HEAD"]);
        settled(&server).await;
        let entry = ledger(&server).await.remove(0);
        assert_eq!(
            (&entry["kind"], &entry["principal"]),
            (&"push".into(), &"admin".into()),
            "{entry}"
        );
        assert_eq!(entry["content"]["via"], "ssh", "{entry}");

        let clone = server.scratch().join(format!("{kind}-clone"));
        let target = clone.to_str().expect("text");
        succeeded(&git_as(
            &key,
            &server.scratch(),
            &["clone", "--quiet", "--branch=main", &url, target],
        ));
        assert_eq!(git(&clone, &["rev-parse", "HEAD"]), commit);
        let listed = server.madake(&["key", "list", "--user", "admin"]);
        let line = listed
            .lines()
            .find(|line| line.contains(&fingerprint))
            .expect("the key");
        assert!(!line.contains("never"), "{line}");
    }
    let results = server.ended("PROJ-PLAN", 2).await;
    assert!(
        results.iter().all(|result| result["state"] == "Successful"),
        "{results:?}"
    );

    let archive = git_as(
        &server.scratch().join("rsa"),
        &server.scratch(),
        &["archive", &format!("--remote={url}"), "main", "file"],
    );
    succeeded(&archive);
    assert!(
        String::from_utf8_lossy(&archive.stdout).contains("rsa"),
        "the archive has the file"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_in_or_push_is_refused_with_a_trace() {
    let server = start().await;
    let url = hosted(&server, "PROJ/app");
    let other = hosted(&server, "PROJ/other");
    let missing = url.replace("/app.git", "/missing.git");
    let (owner, stranger, reader, writer, eve) = (
        key(&server, "owner", "ed25519"),
        key(&server, "stranger", "ed25519"),
        key(&server, "reader", "ed25519"),
        key(&server, "writer", "ecdsa"),
        key(&server, "eve", "ed25519"),
    );
    user(&server, "eve", "a-password-for-eve");
    let made = register(&server, &owner, &["--user", "admin"]);
    register(&server, &eve, &["--user", "eve"]);
    register(&server, &reader, &["--repository", "PROJ/app"]);
    register(&server, &writer, &["--repository", "PROJ/app", "--write"]);
    let work = WorkTree::new(server.scratch().join("work"), &url);
    let first = work.commit("first", &[("x", "1")]);
    succeeded(&git_as(
        &owner,
        &work.path,
        &["push", "--quiet", "origin", "HEAD:main"],
    ));
    let tip = || {
        let listed = git_as(&owner, &work.path, &["ls-remote", "origin", "main"]);
        String::from_utf8_lossy(&listed.stdout)
            .split_whitespace()
            .next()
            .map(str::to_owned)
    };
    assert_eq!(tip(), Some(first.clone()));

    // A key that nobody registered.
    let before = refusals(&server).await;
    let output = git_as(&stranger, &work.path, &["ls-remote", &url]);
    assert!(
        !output.status.success() && said(&output).contains("Permission denied"),
        "{}",
        said(&output)
    );
    assert!(refusals(&server).await > before);
    let entry = last_refusal(&server).await;
    assert!(
        entry["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("not registered")),
        "{entry}"
    );
    let shown = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(&stranger)
        .output()
        .expect("ssh-keygen");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let fingerprint = shown.split_whitespace().nth(1).expect("a fingerprint");
    assert!(server.log().contains(fingerprint), "the log names the key");

    // Keys that come in and lack a permission. A hidden repository is as a missing one.
    let second = work.commit("second", &[("x", "2")]);
    let before = refusals(&server).await;
    succeeded(&git_as(
        &reader,
        &work.path,
        &["fetch", "--quiet", "origin", "main"],
    ));
    let rows: [(&Path, &str, &[&str]); 4] = [
        (&reader, "a key that reads", &["push", &url, "HEAD:main"]),
        (&writer, "another repository", &["ls-remote", &other]),
        (&writer, "pushing to another", &["push", &other, "HEAD:main"]),
        (&eve, "a user without permission", &["ls-remote", &url]),
    ];
    for (number, (key, row, arguments)) in (1..).zip(rows) {
        let output = git_as(key, &work.path, arguments);
        assert!(!output.status.success(), "{row}");
        assert!(
            said(&output).contains("there is no repository"),
            "{row}: {}",
            said(&output)
        );
        assert_eq!(refusals(&server).await, before + number, "{row}");
    }
    assert_eq!(tip(), Some(first), "nothing moved");
    let hidden = said(&git_as(&eve, &work.path, &["ls-remote", &url]));
    let unknown = said(&git_as(&eve, &work.path, &["ls-remote", &missing]));
    assert_eq!(
        hidden.replace("proj/app", "X"),
        unknown.replace("proj/missing", "X")
    );

    // A key of the repository that may push, in a name of its own.
    succeeded(&git_as(
        &writer,
        &work.path,
        &["push", "--quiet", "origin", "HEAD:main"],
    ));
    assert_eq!(tip(), Some(second));
    let pushed = ledger(&server)
        .await
        .into_iter()
        .find(|entry| entry["kind"] == "push")
        .expect("the push");
    let principal = pushed["principal"].as_str().expect("text");
    assert!(
        principal.starts_with("access key ") && principal.ends_with(" of PROJ/app"),
        "{principal}"
    );

    // A key that was removed does not come in, and those of a removed repository neither.
    server.madake(&["key", "remove", &made["id"].to_string()]);
    assert!(!git_as(&owner, &work.path, &["ls-remote", &url]).status.success());
    server.madake(&["repo", "remove", "PROJ/app"]);
    let output = git_as(&writer, &work.path, &["ls-remote", &url]);
    assert!(said(&output).contains("Permission denied"), "{}", said(&output));
    assert!(!server.madake(&["key", "list"]).contains("PROJ/app"));
}
