//! Checkout tasks, with real repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use madake_agent::local::JobEnd;
use madake_domain::plan::{CheckoutTask, Task, TaskAction};
use madake_domain::repository::Scm;
use madake_protocol::{JobOrder, JobRepository, JobResult};

use crate::bench::{Bench, script, task};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("HOME", "/nonexistent"),
        ])
        .envs([
            ("GIT_AUTHOR_NAME", "Anna"),
            ("GIT_AUTHOR_EMAIL", "anna@example.com"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "Anna"),
            ("GIT_COMMITTER_EMAIL", "anna@example.com"),
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A bare repository with a file that says `first`, then `second`; the two revisions.
fn repository(home: &Path, name: &str) -> (PathBuf, String, String) {
    let (seed, bare) = (
        home.join(format!("{name}-seed")),
        home.join(format!("{name}.git")),
    );
    std::fs::create_dir(&seed).unwrap();
    git(&seed, &["init", "-q", "-b", "main"]);
    let mut revisions = Vec::new();
    for text in ["first", "second"] {
        std::fs::write(seed.join(format!("{name}.txt")), text).unwrap();
        git(&seed, &["add", "."]);
        git(&seed, &["commit", "-q", "-m", text]);
        revisions.push(git(&seed, &["rev-parse", "HEAD"]));
    }
    git(
        home,
        &[
            "clone",
            "-q",
            "--bare",
            seed.to_str().unwrap(),
            bare.to_str().unwrap(),
        ],
    );
    let second = revisions.pop().unwrap();
    (bare, revisions.pop().unwrap(), second)
}

fn checkout(repository: Option<&str>, path: &str, force_clean_build: bool) -> Task {
    task(TaskAction::Checkout(CheckoutTask {
        repository: repository.map(str::to_owned),
        path: path.into(),
        force_clean_build,
    }))
}

fn offered(name: &str, source: &Path, revision: &str, is_default: bool) -> JobRepository {
    JobRepository {
        name: name.into(),
        scm: Scm::Git,
        source: source.to_owned(),
        revision: revision.into(),
        branch: "main".into(),
        origin: None,
        is_default,
    }
}

/// An order that checks a repository of the bench out at its second revision.
pub(crate) fn with_repository(bench: &Bench) -> JobOrder {
    let (app, _, second) = repository(bench.home(), "app");
    let mut order = bench.order(vec![checkout(None, "", false)]);
    order.repositories = vec![offered("app", &app, &second, true)];
    order
}

#[tokio::test]
async fn exact_revisions_are_checked_out_where_the_plan_says() {
    let bench = Bench::new();
    let (app, first, _) = repository(bench.home(), "app");
    let (lib, _, second) = repository(bench.home(), "lib");
    let mut order = bench.order(vec![
        checkout(None, "", false),
        checkout(Some("lib"), "deps/lib", false),
        script("cat app.txt; echo; cat deps/lib/lib.txt; echo; git rev-parse HEAD; git log --format=%s"),
    ]);
    order.repositories = vec![
        offered("app", &app, &first, true),
        offered("lib", &lib, &second, false),
    ];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let output = bench.output();
    assert!(
        output.ends_with(&["first", "second", &first, "first"].map(str::to_owned)),
        "{output:?}"
    );
    let log = bench.log_text();
    assert!(
        log.contains(&format!(
            "Checking out revision {first} of branch 'main' of repository 'app'"
        )),
        "{log}"
    );
    assert!(log.contains("The checkout took "), "{log}");
}

#[tokio::test]
async fn revisions_of_mercurial_are_checked_out_beside_those_of_git() {
    let bench = Bench::new();
    let (app, first, _) = repository(bench.home(), "app");
    let old = bench.home().join("old");
    let hg = |arguments: &[&str]| {
        let output = Command::new("hg")
            .args(arguments)
            .current_dir(bench.home())
            .env("HGRCPATH", "")
            .env("HGUSER", "Anna <anna@example.com>")
            .output()
            .expect("these tests need Mercurial: install hg 6.1 or later");
        assert!(output.status.success(), "hg {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    hg(&["init", "old"]);
    for text in ["one", "two"] {
        std::fs::write(old.join("old.txt"), text).unwrap();
        hg(&["-R", "old", "commit", "-q", "-A", "-m", text]);
    }
    let revision = hg(&["-R", "old", "log", "-r", "0", "-T", "{node}"]);
    let mut order = bench.order(vec![
        checkout(Some("old"), "old", false),
        checkout(None, "app", false),
        script("cat old/old.txt; echo; cat app/app.txt; echo; ls -d old/.hg app/.git"),
    ]);
    order.repositories = vec![
        offered("app", &app, &first, true),
        JobRepository {
            scm: Scm::Hg,
            ..offered("old", &old, &revision, false)
        },
    ];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let expected = ["one", "first", "app/.git", "old/.hg"].map(str::to_owned);
    assert!(bench.output().ends_with(&expected), "{:?}", bench.output());
}

#[tokio::test]
async fn forced_clean_build_removes_what_an_earlier_build_left() {
    let bench = Bench::new();
    let (app, first, second) = repository(bench.home(), "app");
    let mut order = bench.order(vec![checkout(None, "/", false), script("touch left")]);
    order.repositories = vec![offered("app", &app, &first, true)];
    bench.run(&order).await;
    order.attempt = 2;
    order.repositories[0].revision = second;
    order.tasks = vec![checkout(None, "", false), script("ls; cat app.txt")];
    bench.run(&order).await;
    order.attempt = 3;
    order.tasks = vec![checkout(None, "", true), script("ls")];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let output: Vec<_> = bench
        .output()
        .into_iter()
        .filter(|line| !line.starts_with("checked out"))
        .collect();
    assert_eq!(output, ["app.txt", "left", "second", "app.txt"]);
}

#[tokio::test]
async fn checkout_that_cannot_be_made_fails_with_a_reason() {
    let bench = Bench::new();
    let (app, first, _) = repository(bench.home(), "app");
    std::fs::create_dir_all(bench.work()).unwrap();
    std::os::unix::fs::symlink(bench.home(), bench.work().join("out")).unwrap();
    let missing = "1".repeat(40);
    let table: &[(Option<&str>, &str, &str, &str)] = &[
        (Some("other"), "", &first, "the plan has no repository `other`"),
        (
            None,
            "../up",
            &first,
            "`../up` is not a path below the working directory",
        ),
        (None, "out/x", &first, "leads out of the working directory"),
        (None, "", "main", "`main` is not a revision"),
        (None, "sub", &missing, "is not in the repository"),
    ];
    for (attempt, (name, path, revision, reason)) in table.iter().enumerate() {
        let mut order = bench.order(vec![checkout(*name, path, false)]);
        order.attempt = attempt as i64 + 1;
        order.repositories = vec![offered("app", &app, revision, true)];
        let outcome = bench.run(&order).await;
        assert_eq!(outcome.result, JobResult::Failed);
        assert!(outcome.message.contains(reason), "{}", outcome.message);
    }
    let mut order = bench.order(vec![checkout(None, "", false)]);
    order.attempt = 50;
    assert!(
        bench
            .run(&order)
            .await
            .message
            .contains("no repository to check out")
    );
}

#[tokio::test]
async fn checkout_under_way_is_stopped() {
    let bench = Bench::new();
    let (app, first, _) = repository(bench.home(), "app");
    let slow_git = bench.home().join("slow-git");
    // Written by another process: a file that this one has open for writing could not be run.
    let made = Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\ntouch "%s/ready"\nexec sleep 1000\n' "$2" > "$1"; chmod +x "$1""#,
            "sh",
        ])
        .args([&slow_git, &bench.work()])
        .status();
    assert!(made.unwrap().success());
    let mut order = bench.order(vec![checkout(None, "sub", false)]);
    order.final_tasks = vec![script("echo final")];
    order.repositories = vec![offered("app", &app, &first, true)];
    order.git_program = slow_git;
    let mut job = bench.agent.start(&order).unwrap();
    bench.await_file("ready");
    bench.agent.request_stop(job.directory(), "anna").unwrap();
    let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
        panic!("it got lost")
    };
    assert_eq!(outcome.result, JobResult::Stopped);
    assert_eq!(
        outcome.message,
        "task 1 of 1, 'Checkout Default Repository', was stopped by anna"
    );
    assert_eq!(bench.output(), ["final"]);
}
