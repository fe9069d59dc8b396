//! The one way to spawn: environment, limits, diagnostics.

use std::time::{Duration, Instant};

use madake_vcs::process::{GitProgram, ProcessError, clean_diagnostic};
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};

use crate::fixture::{Sandbox, write_script};

const OPEN: UrlPolicy = UrlPolicy {
    allow_local_paths: true,
    allow_private_hosts: true,
};

/// A program in place of git.
fn fake_git(sandbox: &Sandbox, script: &str) -> GitProgram {
    let path = sandbox.path("fake-git");
    write_script(&path, &format!("#!/bin/sh\n{script}\n"));
    GitProgram::new(path)
}

#[tokio::test]
async fn environment_is_scrubbed() {
    let sandbox = Sandbox::new();
    let git = fake_git(&sandbox, "env");
    let output = git.command("version").run().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for expected in [
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_TERMINAL_PROMPT=0",
        "GIT_ASKPASS=",
        "GIT_ALLOW_PROTOCOL=",
        "HOME=/nonexistent",
        "LC_ALL=C",
    ] {
        assert!(lines.contains(&expected), "{expected} in {text}");
    }
    // Cargo sets these for every test, so they stand for whatever the server was started with.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!text.contains("CARGO_MANIFEST_DIR"));
}

#[tokio::test]
async fn credential_travels_by_environment_bound_to_its_host() {
    let sandbox = Sandbox::new();
    let git = fake_git(&sandbox, "echo \"arguments: $*\"; env");
    let url = RepositoryUrl::parse("https://example.org:8443/r", OPEN).unwrap();
    let credential = Credential::new("ann", "s3cret$(id)'").unwrap();
    let output = git
        .command("fetch")
        .network(&url, Some(&credential))
        .arg("--")
        .arg(url.display())
        .run()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let arguments = text.lines().next().unwrap();
    assert!(
        arguments.ends_with("-- https://example.org:8443/r") && !arguments.contains("s3cret"),
        "{arguments}"
    );
    assert!(text.contains("GIT_CONFIG_KEY_1=credential.https://example.org:8443.helper"));
    assert!(text.contains("MADAKE_VCS_PASSWORD=s3cret$(id)'"));
    assert!(text.contains("GIT_ALLOW_PROTOCOL=https\n"));
}

#[tokio::test]
async fn git_gets_the_credential_for_its_host_only() {
    let url = RepositoryUrl::parse("https://example.org/r", OPEN).unwrap();
    let credential = Credential::new("ann", "p=a$(id)'\"\\n%s").unwrap();
    let fill = |host: &str| {
        GitProgram::default()
            .command("credential")
            .network(&url, Some(&credential))
            .arg("fill")
            .input(format!("protocol=https\nhost={host}\n\n").into_bytes())
            .run()
    };
    let output = fill("example.org").await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("username=ann\npassword=p=a$(id)'\"\\n%s\n"),
        "{text}"
    );
    let error = fill("evil.example.net").await.unwrap_err().to_string();
    assert!(error.contains("terminal prompts disabled"), "{error}");
    let error = fill("example.org:8080").await.unwrap_err().to_string();
    assert!(error.contains("terminal prompts disabled"), "{error}");
}

#[tokio::test]
async fn slow_program_is_ended_with_everything_it_started() {
    let sandbox = Sandbox::new();
    let marker = sandbox.path("grandchild");
    let script = format!("(sleep 300; :) & echo $! > {}; wait", marker.display());
    let git = fake_git(&sandbox, &script);
    let started = Instant::now();
    let asynchronous = git
        .command("fetch")
        .timeout(Duration::from_millis(300))
        .run()
        .await
        .unwrap_err();
    let first: i32 = std::fs::read_to_string(&marker).unwrap().trim().parse().unwrap();
    let blocking = git
        .command("fetch")
        .timeout(Duration::from_millis(300))
        .run_blocking()
        .unwrap_err();
    let second: i32 = std::fs::read_to_string(&marker).unwrap().trim().parse().unwrap();
    for error in [asynchronous, blocking] {
        assert!(
            matches!(
                error,
                ProcessError::TimedOut {
                    subcommand: "fetch",
                    limit_ms: 300
                }
            ),
            "{error}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(60));
    for process in [first, second] {
        wait_for_end(process);
    }
}

/// A killed process may stay a moment longer, as a zombie that nobody has waited for.
fn wait_for_end(process: i32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(format!("/proc/{process}/stat")) {
            Err(_) => return,
            Ok(stat) if stat.contains(") Z ") => return,
            Ok(_) => assert!(Instant::now() < deadline, "process {process} still runs"),
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn endless_output_is_cut() {
    let sandbox = Sandbox::new();
    let git = fake_git(&sandbox, "yes");
    let limit = 100_000;
    let asynchronous = git
        .command("rev-list")
        .output_limit(limit)
        .run()
        .await
        .unwrap_err();
    let blocking = git
        .command("rev-list")
        .output_limit(limit)
        .run_blocking()
        .unwrap_err();
    for error in [asynchronous, blocking] {
        assert!(
            matches!(
                error,
                ProcessError::OutputTooLarge {
                    limit_bytes: 100_000,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn endless_diagnostics_are_cut_without_stopping_the_program() {
    let sandbox = Sandbox::new();
    let git = fake_git(&sandbox, "yes error | head -c 1000000 >&2; echo done");
    let asynchronous = git.command("fetch").run().await.unwrap();
    let blocking = git.command("fetch").run_blocking().unwrap();
    for output in [asynchronous, blocking] {
        assert_eq!(output.stdout, b"done\n");
        assert!(output.stderr.len() <= 16 * 1024);
    }
}

#[tokio::test]
async fn failure_tells_the_code_and_an_inert_redacted_reason() {
    let sandbox = Sandbox::new();
    let git = fake_git(
        &sandbox,
        r"printf 'fatal: \033[2Jno https://u:hunter2@host/x s3cret\r\b\n' >&2; exit 128",
    );
    let url = RepositoryUrl::parse("https://u:s3cret@example.org/r", OPEN).unwrap();
    let asynchronous = git
        .command("fetch")
        .network(&url, url.credential())
        .run()
        .await
        .unwrap_err();
    let blocking = git
        .command("fetch")
        .network(&url, url.credential())
        .run_blocking()
        .unwrap_err();
    for error in [asynchronous, blocking] {
        assert_eq!(
            error.to_string(),
            "git fetch ended with code 128: fatal: no https://host/x ***"
        );
    }
}

#[tokio::test]
async fn missing_program_is_an_error_that_names_it() {
    let error = GitProgram::new("/nowhere/git")
        .command("version")
        .run()
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("cannot start /nowhere/git"),
        "{error}"
    );
}

#[tokio::test]
async fn input_is_handed_over_even_if_large() {
    let sandbox = Sandbox::new();
    let git = fake_git(&sandbox, "wc -c");
    let output = git
        .command("hash-object")
        .input(vec![b'x'; 1_000_000])
        .run()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1000000");
    let output = git
        .command("hash-object")
        .input(vec![b'x'; 1_000_000])
        .run_blocking()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1000000");
}

#[test]
fn every_password_in_a_diagnostic_is_hidden() {
    let text = b"a https://u:p@h/x b ssh://me@h c http://x@y@z/ d ://nothing https://h/a@b";
    assert_eq!(
        clean_diagnostic(text, &[]),
        "a https://h/x b ssh://h c http://z/ d ://nothing https://h/a@b"
    );
}
