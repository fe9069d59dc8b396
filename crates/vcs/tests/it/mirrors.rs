//! Linked repositories: listings, mirrors, hostile servers (G1, G3, G8-G10).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use madake_vcs::git::mirror::{MirrorError, RefScope, RemoteLimits, fetch, ls_remote, mirror_path};
use madake_vcs::name::RefName;
use madake_vcs::process::{GitProgram, ProcessError};
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fixture::{Sandbox, write_script};
use crate::http::{Behaviour, serve};

const OPEN: UrlPolicy = UrlPolicy {
    allow_local_paths: true,
    allow_private_hosts: true,
};

fn local(path: &Path) -> RepositoryUrl {
    RepositoryUrl::parse(path.to_str().unwrap(), OPEN).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_of_remote_and_local_repositories_are_listed() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("wo'rk $(x)", &[("a", "1")]);
    sandbox.git(&work, &["tag", "-a", "-m", "x", "v1"]);
    let head = sandbox.revision(&work, "HEAD");
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let remote = RepositoryUrl::parse(&serve(hosted, Behaviour::default()).await, OPEN).unwrap();
    for url in [remote, local(&work)] {
        let (git, limits) = (GitProgram::default(), RemoteLimits::default());
        let all = ls_remote(&git, &url, None, RefScope::Everything, &limits)
            .await
            .unwrap();
        assert_eq!(all.head.unwrap().as_str(), "refs/heads/master");
        let few = ls_remote(&git, &url, None, RefScope::BranchesAndTags, &limits)
            .await
            .unwrap();
        for list in [all.list, few.list] {
            let names: Vec<_> = list
                .refs
                .iter()
                .map(|found| (found.name.as_str(), found.peeled.is_some()))
                .collect();
            assert_eq!(names, [("refs/heads/master", false), ("refs/tags/v1", true)]);
            assert_eq!((list.refs[0].id, list.refs[1].peeled), (head, Some(head)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_follows_its_source() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    sandbox.git(&work, &["branch", "gone"]);
    sandbox.git(&work, &["tag", "v1"]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let http = RepositoryUrl::parse(&serve(hosted.clone(), Behaviour::default()).await, OPEN).unwrap();
    for (url, name) in [(http, "http"), (local(&hosted), "local")] {
        let (git, limits) = (GitProgram::default(), RemoteLimits::default());
        let mirror = mirror_path(&sandbox.path("mirrors"), name, &url);
        fetch(&git, &mirror, &url, None, &[], &limits).await.unwrap();
        let first = sandbox.revision(&hosted, "master");
        assert_eq!(sandbox.ref_in(&mirror, "refs/heads/master"), Some(first));
        assert!(sandbox.ref_in(&mirror, "refs/tags/v1").is_some());
        sandbox.git(&hosted, &["branch", "-f", "gone", "master"]);
        fetch(&git, &mirror, &url, None, &[], &limits).await.unwrap();
        assert!(sandbox.ref_in(&mirror, "refs/heads/gone").is_some());

        sandbox.git(&work, &["commit", "-q", "--amend", "-m", name]);
        sandbox.git(
            &work,
            &["push", "-q", "-f", hosted.to_str().unwrap(), "master", ":gone"],
        );
        let wanted = [RefName::parse("refs/heads/master").unwrap()];
        fetch(&git, &mirror, &url, None, &wanted, &limits).await.unwrap();
        assert_eq!(
            sandbox.ref_in(&mirror, "refs/heads/master"),
            Some(sandbox.revision(&work, "master"))
        );
        assert!(sandbox.ref_in(&mirror, "refs/heads/gone").is_some());
        fetch(&git, &mirror, &url, None, &[], &limits).await.unwrap();
        assert_eq!(sandbox.ref_in(&mirror, "refs/heads/gone"), None);
    }
}

#[tokio::test]
async fn repository_of_another_owner_can_be_mirrored() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let path = sandbox.path("git-as-stranger");
    write_script(
        &path,
        "#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec git \"$@\"\n",
    );
    let git = GitProgram::new(path);
    let (url, mirror) = (local(&work), sandbox.path("mirror.git"));
    let refs = ls_remote(&git, &url, None, RefScope::Everything, &RemoteLimits::default())
        .await
        .unwrap();
    assert_eq!(refs.list.refs.len(), 1);
    fetch(&git, &mirror, &url, None, &[], &RemoteLimits::default())
        .await
        .unwrap();
    assert!(sandbox.ref_in(&mirror, "refs/heads/master").is_some());
    let unsafe_owner = git
        .command("upload-pack")
        .arg("--")
        .arg(work.join(".git"))
        .run()
        .await
        .unwrap_err();
    assert!(
        unsafe_owner.to_string().contains("dubious ownership"),
        "{unsafe_owner}"
    );
}

#[test]
fn mirrors_of_equal_names_and_different_addresses_are_apart() {
    let root = Path::new("/mirrors");
    let url = |text| RepositoryUrl::parse(text, OPEN).unwrap();
    let here = mirror_path(root, "app", &url("https://example.org/app.git"));
    assert_ne!(
        here,
        mirror_path(root, "app", &url("https://example.org/App.git"))
    );
    assert_ne!(
        here,
        mirror_path(root, "app", &url("https://example.com/app.git"))
    );
    assert_ne!(
        here,
        mirror_path(root, "other", &url("https://example.org/app.git"))
    );
    assert_eq!(
        here,
        mirror_path(root, "app", &url("https://u:p@EXAMPLE.org:443/app.git/"))
    );
    assert_eq!(here.parent(), Some(root));
    assert_eq!(
        mirror_path(root, "../../x", &url("https://example.org/r")).parent(),
        Some(root)
    );
}

/// A server that answers every request with `answer`, again and again if it is `endless`.
async fn hostile_server(answer: Vec<u8>, endless: bool) -> RepositoryUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                while connection.write_all(&answer).await.is_ok() && endless {}
            });
        }
    });
    RepositoryUrl::parse(&format!("http://u:s3cret@{address}/r"), OPEN).unwrap()
}

fn page(status: &str, body: &[u8]) -> Vec<u8> {
    let kind = "application/x-git-upload-pack-advertisement";
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

#[tokio::test]
async fn list_of_too_many_refs_is_cut_and_says_so() {
    let id = "1".repeat(40);
    let mut body = line("# service=git-upload-pack\n") + "0000" + &line(&format!("{id} HEAD\0agent=x\n"));
    for number in 0..5000 {
        body += &line(&format!("{id} refs/heads/b{number:05}\n"));
    }
    body += "0000";
    let url = hostile_server(page("200 OK", body.as_bytes()), false).await;
    let limits = RemoteLimits {
        max_refs: 1000,
        ..RemoteLimits::default()
    };
    let git = GitProgram::default();
    let refs = ls_remote(&git, &url, None, RefScope::Everything, &limits)
        .await
        .unwrap();
    assert_eq!((refs.list.refs.len(), refs.list.truncated), (1000, true));
}

#[tokio::test]
async fn hostile_answers_are_errors_without_codes_or_credentials() {
    let error_line = line("ERR \u{1b}[2Jgo to http://x:y@evil/ \u{202e}now\n");
    let body = line("# service=git-upload-pack\n") + "0000" + &error_line;
    for answer in [
        page("200 OK", body.as_bytes()),
        page("200 OK", b"zzzz"),
        page("401 Unauthorized", b""),
        page("500 Internal Server Error", b"\x1b[2J"),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/r\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"garbage".to_vec(),
        Vec::new(),
    ] {
        let url = hostile_server(answer, false).await;
        let git = GitProgram::default();
        let limits = RemoteLimits::default();
        let error = ls_remote(&git, &url, None, RefScope::BranchesAndTags, &limits)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("git ls-remote ended with code 128: "),
            "{error}"
        );
        assert!(
            !error.contains(['\u{1b}', '\u{202e}']) && !error.contains("s3cret"),
            "{error}"
        );
        assert!(!error.contains("x:y"), "{error}");
    }
}

#[tokio::test]
async fn silent_and_endless_servers_are_left_after_the_time_limit() {
    let endless = hostile_server(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), true).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/r", listener.local_addr().unwrap());
    let silent = RepositoryUrl::parse(&silent, OPEN).unwrap();
    let sandbox = Sandbox::new();
    let git = GitProgram::default();
    let limits = RemoteLimits {
        timeout: Duration::from_millis(400),
        ..RemoteLimits::default()
    };
    let started = Instant::now();
    let listed = ls_remote(&git, &silent, None, RefScope::Everything, &limits)
        .await
        .unwrap_err();
    assert!(
        matches!(listed, MirrorError::Git(ProcessError::TimedOut { .. })),
        "{listed}"
    );
    let fetched = fetch(&git, &sandbox.path("m.git"), &silent, None, &[], &limits)
        .await
        .unwrap_err();
    assert!(
        matches!(fetched, MirrorError::Git(ProcessError::TimedOut { .. })),
        "{fetched}"
    );
    assert!(
        ls_remote(&git, &endless, None, RefScope::Everything, &limits)
            .await
            .is_err()
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn pack_over_the_limit_is_cut_off_and_cleared_away() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(state >> 58).unwrap())
    })
    .take(400_000)
    .collect();
    sandbox.commit(&work, &[("big", &noise)], "big");
    let mirror = sandbox.path("mirror.git");
    let limits = RemoteLimits {
        max_pack_bytes: 100_000,
        ..RemoteLimits::default()
    };
    let git = GitProgram::default();
    let error = fetch(&git, &mirror, &local(&work), None, &[], &limits)
        .await
        .unwrap_err();
    assert!(
        matches!(error, MirrorError::TooLarge { limit_bytes: 100_000 }),
        "{error}"
    );
    let left = std::fs::read_dir(mirror.join("objects/pack")).map_or(0, Iterator::count);
    assert_eq!((left, sandbox.ref_in(&mirror, "refs/heads/master")), (0, None));
    fetch(&git, &mirror, &local(&work), None, &[], &RemoteLimits::default())
        .await
        .unwrap();
    assert!(sandbox.ref_in(&mirror, "refs/heads/master").is_some());
}

#[tokio::test]
async fn tree_that_reaches_into_dot_git_is_not_fetched() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let blob = sandbox.revision(&work, "HEAD:a");
    let evil = crate::pushes::hostile_commit(&sandbox, &work, &[(b"100644", b".GIT", &blob)]);
    sandbox.git(&work, &["branch", "evil", &evil.to_string()]);
    let mirror = sandbox.path("mirror.git");
    let fetched = fetch(
        &GitProgram::default(),
        &mirror,
        &local(&work),
        None,
        &[],
        &RemoteLimits::default(),
    )
    .await;
    assert!(fetched.unwrap_err().to_string().contains("hasDotgit"));
    assert_eq!(sandbox.ref_in(&mirror, "refs/heads/evil"), None);
}

#[tokio::test]
async fn local_source_must_be_a_repository_and_its_transport_is_the_only_one() {
    let sandbox = Sandbox::new();
    let url = local(&sandbox.path("nothing"));
    let git = GitProgram::default();
    let error = ls_remote(&git, &url, None, RefScope::Everything, &RemoteLimits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, MirrorError::NoRepository(_)), "{error}");
    // Even a command put together wrongly reaches no other transport.
    let witness = sandbox.path("witness");
    let helper = format!("ext::touch {}", witness.display());
    let credential = Credential::new("u", "password").unwrap();
    let https = RepositoryUrl::parse("https://example.org/r", OPEN).unwrap();
    for command in [
        git.command("ls-remote"),
        git.command("ls-remote").network(&https, Some(&credential)),
    ] {
        let error = command.arg("--").arg(&helper).run().await.unwrap_err();
        assert!(
            error.to_string().contains("transport 'ext' not allowed"),
            "{error}"
        );
    }
    assert!(!witness.exists());
}
