//! The hook of attached repositories, and what a push feels of it.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::Place;

const LINE: &str =
    "0000000000000000000000000000000000000000 1111111111111111111111111111111111111111 refs/heads/main\n";

fn git(place: &Place, arguments: &[&str]) {
    let done = Command::new("git")
        .args(arguments)
        .current_dir(place.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "Kim"),
            ("GIT_AUTHOR_EMAIL", "kim@example.com"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "Kim"),
            ("GIT_COMMITTER_EMAIL", "kim@example.com"),
        ])
        .env("REMOTE_USER", "kim")
        .output()
        .expect("git starts");
    assert!(
        done.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn dead_server_neither_fails_nor_delays_a_push() {
    let place = Place::new();
    let receive = ["hook", "receive", "--repository", "PROJ/app"];
    let began = Instant::now();
    let done = place.run_with(&receive, LINE);
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (Some(0), "", "")
    );

    // A socket that takes calls and never answers.
    std::fs::create_dir_all(place.home()).expect("a home");
    let silent = std::os::unix::net::UnixListener::bind(place.home().join("madake.sock")).expect("a socket");
    let done = place.run_with(&receive, LINE);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    drop(silent);

    // A socket that nobody listens on any more.
    let done = place.run_with(&receive, LINE);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn refused_report_is_a_line_for_the_pusher_and_no_failure() {
    let place = Place::new();
    let _serving = place.serve();
    let done = place.run_with(&["hook", "receive", "--repository", "PROJ/nope"], LINE);
    assert_eq!(done.code, Some(0));
    assert!(
        done.err.contains("no repository is attached as PROJ/nope"),
        "{}",
        done.err
    );
}

#[test]
fn push_to_an_attached_repository_is_in_the_ledger_with_its_pusher() {
    let place = Place::new();
    git(
        &place,
        &["init", "--quiet", "--bare", "--initial-branch=main", "app.git"],
    );
    git(&place, &["init", "--quiet", "--initial-branch=main", "work"]);
    git(
        &place,
        &["-C", "work", "commit", "--quiet", "--allow-empty", "-m", "first"],
    );
    let _serving = place.serve();
    place.run(&["repo", "attach", "PROJ/app", "app.git"]).ok();
    let out = place.run(&["hook", "install", "app.git"]).ok();
    assert!(out.contains("the hook is in"), "{out}");
    git(&place, &["-C", "work", "push", "--quiet", "../app.git", "main"]);
    let events = place.run(&["events", "--json"]).json();
    let event = &events["events"][0];
    assert_eq!(
        (&event["kind"], &event["principal"]),
        (&"push".into(), &"kim".into())
    );
    assert_eq!(event["content"]["refs"][0]["ref"], "refs/heads/main");
    let why = place.run(&["why", &event["id"].to_string()]).ok();
    assert!(
        why.contains("from kim") && why.contains("refs/heads/main  nothing →"),
        "{why}"
    );
    let out = place.run(&["hook", "remove", "app.git"]).ok();
    assert!(out.contains("no hook of ours"), "{out}");
}
