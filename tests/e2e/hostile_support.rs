//! What the scenarios of hostile input share: the ledger, signatures, raw connections, a git that is watched.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use madake_testkit::{Server, ServerOptions, wait_for};
use reqwest::Method;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Refusals in the ledger with the repeats that are counted on them.
pub(crate) async fn refusals(server: &Server) -> i64 {
    let answer = server
        .get("/rest/madake/1.0/events?state=refused&limit=1000")
        .await;
    let events = answer["events"].as_array().expect("a list");
    events
        .iter()
        .map(|event| 1 + event["repeats"].as_i64().expect("a number"))
        .sum()
}

/// The newest refusal.
pub(crate) async fn last_refusal(server: &Server) -> Value {
    server.get("/rest/madake/1.0/events?state=refused&limit=1").await["events"][0].take()
}

/// All entries, newest first.
pub(crate) async fn ledger(server: &Server) -> Vec<Value> {
    let answer = server.get("/rest/madake/1.0/events?limit=1000").await;
    answer["events"].as_array().cloned().expect("a list")
}

/// An entry with notes and decisions, once it is decided.
pub(crate) async fn decided(server: &Server, event: i64) -> Value {
    wait_for(&format!("the decision about event {event}"), || async {
        let entry = server.get(&format!("/rest/madake/1.0/events/{event}")).await;
        (entry["state"] != "received").then_some(entry)
    })
    .await
}

/// Waits until nothing in the ledger waits for a decision.
pub(crate) async fn settled(server: &Server) {
    wait_for("all entries decided", || async {
        let waiting = server.get("/rest/madake/1.0/events?state=received").await;
        waiting["events"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    })
    .await;
}

/// `X-Hub-Signature` of a body.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A server whose git is a script that writes down its arguments first; and the file that it writes.
pub(crate) async fn watched(configuration: &str) -> (Server, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, seen) = (folder.path().join("git"), folder.path().join("seen"));
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$$ $*\" >> '{}'\nexec git \"$@\"\n",
        seen.display()
    );
    std::fs::write(&program, text).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("runnable");
    let environment = vec![(
        "MADAKE__REPOSITORIES__GIT".to_owned(),
        program.display().to_string(),
    )];
    let server = Server::start_with(ServerOptions {
        environment,
        configuration: configuration.to_owned(),
    })
    .await;
    (server, seen, folder)
}

/// What the watched git was called with.
pub(crate) fn calls(seen: &Path) -> String {
    std::fs::read_to_string(seen).unwrap_or_default()
}

/// A connection without a client's manners.
pub(crate) async fn connect(server: &Server) -> TcpStream {
    let address = server.url().replace("http://", "");
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends bytes as they are and gives what comes back until the end, at most ten seconds.
pub(crate) async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server).await;
    // A server that refuses early may close before all is sent; what it said is still there.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of a raw answer; 0 without one.
pub(crate) fn status_of(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1);
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The most memory that a process had so far, in KiB.
pub(crate) fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).expect("a number")
}

/// A user with a password who may do nothing yet.
pub(crate) fn user(server: &Server, name: &str, password: &str) {
    server.madake_with_input(&["user", "add", name, "--password-stdin"], password);
}

/// The status of a request with these credentials.
pub(crate) async fn status_as(
    server: &Server,
    method: Method,
    path: &str,
    name: &str,
    password: &str,
) -> u16 {
    let request = server
        .anonymous(method, path)
        .basic_auth(name, Some(password))
        .header("accept", "application/json")
        .header("content-type", "application/json");
    request.send().await.expect("an answer").status().as_u16()
}
