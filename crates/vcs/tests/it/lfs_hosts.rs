//! Hosts of Git LFS that mean harm: other content, without end, somewhere else; and remotes of pushes that do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madake_vcs::git::lfs::fetch::{fetch_content, push_history};
use madake_vcs::git::lfs::{LfsId, LfsObjects};
use madake_vcs::git::mirror::{MirrorError, RemoteLimits};
use madake_vcs::git::mirror_push::push;
use madake_vcs::name::{ObjectId, RefName};
use madake_vcs::process::{GitProgram, ProcessError};
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::fixture::Sandbox;

const OPEN: UrlPolicy = UrlPolicy {
    allow_local_paths: true,
    allow_private_hosts: true,
};
const CONTENT: &str = "the content of a large file";

/// What a host answers: a head with its body, and whether the body goes on for ever.
type Answers = dyn Fn(&str) -> (String, bool) + Send + Sync;

/// A host that keeps the heads of what it was asked.
async fn host(
    answers: impl Fn(&str) -> (String, bool) + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (asked, answers): (_, Arc<Answers>) = (Arc::clone(&seen), Arc::new(answers));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut connection = BufReader::new(connection);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if connection.read_line(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let lower = head.to_lowercase();
                let length = lower
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |text| text.parse().unwrap());
                let mut body = vec![0; length];
                let _ = connection.read_exact(&mut body).await;
                asked.lock().unwrap().push(head.clone());
                let (text, endless) = answers(&head);
                let mut sent = connection.write_all(text.as_bytes()).await;
                while endless && sent.is_ok() {
                    sent = connection.write_all(&[b'x'; 65_536]).await;
                }
            });
        }
    });
    (address, seen)
}

fn page(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/vnd.git-lfs+json\r\nConnection: close\r\n{more}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// A bare repository with a commit of one file in Git LFS, whose content it does not have, and the content's name.
fn wanting(sandbox: &Sandbox) -> (PathBuf, ObjectId, LfsId) {
    let (bare, work) = (sandbox.path("mirror.git"), sandbox.path("work"));
    fs::create_dir_all(&work).unwrap();
    sandbox.git(&work, &["init", "--quiet", "--initial-branch=master"]);
    sandbox.git(&work, &["lfs", "install", "--local"]);
    sandbox.git(&work, &["lfs", "track", "*.bin"]);
    let commit = sandbox.commit(&work, &[("a.bin", CONTENT)], "large");
    let path = bare.to_str().unwrap();
    sandbox.git(&work, &["init", "--quiet", "--bare", path]);
    sandbox.git(&work, &["push", "--quiet", "--no-verify", path, "master"]);
    let pointer = sandbox.git(&bare, &["cat-file", "blob", "master:a.bin"]);
    let name = pointer.lines().find_map(|line| line.strip_prefix("oid sha256:"));
    (bare, commit, LfsId::parse(name.unwrap()).unwrap())
}

/// A batch answer that sends for the object to `href`.
fn batch(name: &LfsId, href: &str) -> String {
    let size = CONTENT.len();
    let action = format!("{{\"download\":{{\"href\":\"{href}\"}}}}");
    let body = format!(
        "{{\"transfer\":\"basic\",\"objects\":[{{\"oid\":\"{name}\",\"size\":{size},\"actions\":{action}}}]}}"
    );
    page("200 OK", "", &body)
}

async fn fetched(
    bare: &Path,
    url: &str,
    commit: &ObjectId,
    limits: &RemoteLimits,
) -> Result<(), ProcessError> {
    let url = RepositoryUrl::parse(&format!("{url}/r.git"), OPEN).unwrap();
    let credential = Credential::new("joe", "s3cret-of-joe").unwrap();
    fetch_content(
        &GitProgram::default(),
        bare,
        &url,
        Some(&credential),
        commit,
        limits,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_stays_with_the_host_whoever_has_the_objects() {
    let sandbox = Sandbox::new();
    let (bare, commit, name) = wanting(&sandbox);
    for challenges in [true, false] {
        let (elsewhere, seen) = host(move |_| {
            let challenge = "WWW-Authenticate: Basic realm=\"joe\"\r\n";
            let answer = match challenges {
                true => page("401 Unauthorized", challenge, ""),
                false => page("200 OK", "", CONTENT),
            };
            (answer, false)
        })
        .await;
        let (href, id) = (format!("{elsewhere}/o"), name.clone());
        let (near, asked) = host(move |head| {
            let known = head.to_lowercase().contains("authorization: basic");
            let answer = match known {
                true => batch(&id, &href),
                false => page("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
            };
            (answer, false)
        })
        .await;
        let outcome = fetched(&bare, &near, &commit, &RemoteLimits::default()).await;
        assert_eq!(outcome.is_ok(), !challenges, "{outcome:?}");
        let said = format!("{outcome:?}");
        assert!(!said.contains("s3cret"), "{said}");
        let known = |heads: &Mutex<Vec<String>>| {
            heads
                .lock()
                .unwrap()
                .concat()
                .to_lowercase()
                .contains("authorization")
        };
        assert!(known(&asked), "the host itself is shown it");
        assert!(!seen.lock().unwrap().is_empty());
        assert!(!known(&seen), "{:?}", seen.lock().unwrap());
        let there = LfsObjects::of(&bare).size_of(&name).unwrap();
        assert_eq!(there.is_some(), !challenges);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_its_name_says_is_not_kept() {
    let sandbox = Sandbox::new();
    let (bare, commit, name) = wanting(&sandbox);
    let other = "THE content of a large file";
    let limits = RemoteLimits {
        max_pack_bytes: 1_000_000,
        timeout: Duration::from_secs(20),
        ..RemoteLimits::default()
    };
    let endless =
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000000000\r\n\r\n";
    let evil = "\x1b[2J\x1b]52;c;eA==\x07 http://joe:pa55word@host/x";
    let message = format!("{{\"message\":{}}}", serde_json::Value::from(evil));
    for (what, object, goes_on) in [
        ("other bytes", page("200 OK", "", other), false),
        ("too few", page("200 OK", "", &CONTENT[1..]), false),
        ("no end", endless.to_owned(), true),
        (
            "a failure",
            page("500 Internal Server Error", "", &message),
            false,
        ),
        ("nothing", String::new(), false),
        (
            "elsewhere",
            page("302 Found", "Location: file:///etc/passwd\r\n", ""),
            false,
        ),
    ] {
        let (object, id) = (object.clone(), name.clone());
        let (near, _) = host(move |head| match head.starts_with("POST") {
            true => {
                let place = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
                (batch(&id, &format!("http://{place}/o")), false)
            }
            false => (object.clone(), goes_on),
        })
        .await;
        let outcome = fetched(&bare, &near, &commit, &limits).await;
        let said = outcome.expect_err(what).to_string();
        assert!(
            !said.contains(['\x1b', '\x07']) && !said.contains("pa55word"),
            "{what}: {said}"
        );
        assert_eq!(LfsObjects::of(&bare).size_of(&name).unwrap(), None, "{what}");
    }
    assert!(!sandbox.path("evil").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_batch_bring_nothing() {
    // Git LFS asks again and again after each of these: all at once.
    let mut asked = tokio::task::JoinSet::new();
    for (what, answer) in [
        (
            "a path",
            "{\"objects\":[{\"oid\":\"../../../evil\",\"size\":4,\"actions\":{\"download\":{\"href\":\"file:///etc/passwd\"}}}]}",
        ),
        ("no JSON", "<html>"),
        ("nothing", "{}"),
        ("another way", "{\"transfer\":\"evil\",\"objects\":[]}"),
    ] {
        asked.spawn(async move {
            let sandbox = Sandbox::new();
            let (bare, commit, name) = wanting(&sandbox);
            let limits = RemoteLimits {
                timeout: Duration::from_secs(10),
                ..RemoteLimits::default()
            };
            let (near, _) = host(move |_| (page("200 OK", "", answer), false)).await;
            let outcome = fetched(&bare, &near, &commit, &limits).await;
            let kept = LfsObjects::of(&bare).size_of(&name).unwrap();
            assert_eq!(kept, None, "{what}: {outcome:?}");
            assert!(!sandbox.path("evil").exists(), "{what}");
        });
    }
    asked.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_to_a_hostile_remote_ends_with_an_inert_reason() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let git = GitProgram::default();
    let name = [RefName::parse("refs/heads/master").unwrap()];
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let advertised = line("# service=git-receive-pack\n")
        + "0000"
        + &line(&format!(
            "{} capabilities^{{}}\0report-status side-band-64k\n",
            "0".repeat(40)
        ))
        + "0000";
    let kind = "Content-Type: application/x-git-receive-pack-advertisement\r\n";
    let result = "Content-Type: application/x-git-receive-pack-result\r\n";
    let whole = |kind: &str, body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\n{kind}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let forged = line("\x02\x1b[2J\x1b]52;c;eA==\x07 http://joe:pa55word@host/x \u{202e}forged\r\x08\n")
        + &line(&format!(
            "\x01{}{}0000",
            line("unpack ok\n"),
            line("ng refs/heads/master \x1b[31mno http://u:pa55word@h/\n")
        ))
        + "0000";
    let limits = RemoteLimits {
        timeout: Duration::from_secs(10),
        ..RemoteLimits::default()
    };
    for (what, first, second, endless) in [
        ("codes", whole(kind, &advertised), whole(result, &forged), false),
        (
            "no answer to the pack",
            whole(kind, &advertised),
            String::new(),
            false,
        ),
        (
            "garbage",
            whole(kind, &advertised),
            whole(result, "zzzz\x1b[2J"),
            false,
        ),
        (
            "an error",
            whole(kind, &line("ERR \x1b[2Jno http://u:pa55word@h/\n")),
            String::new(),
            false,
        ),
        ("no end", "HTTP/1.1 200 OK\r\nX: ".to_owned(), String::new(), true),
    ] {
        let (address, _) = host(move |head| match head.starts_with("GET") {
            true => (first.clone(), endless),
            false => (second.clone(), false),
        })
        .await;
        let url = RepositoryUrl::parse(&format!("{address}/r.git"), OPEN).unwrap();
        let credential = Credential::new("joe", "s3cret-of-joe").unwrap();
        let pushed = push(
            &git,
            &work.join(".git"),
            &url,
            Some(&credential),
            (&name, &[]),
            &limits,
        )
        .await;
        let error = pushed.expect_err(what);
        let said = error.to_string();
        assert!(
            !said.contains(['\x1b', '\x07', '\x08', '\r', '\u{202e}'])
                && !said.contains("pa55word")
                && !said.contains("s3cret"),
            "{what}: {said:?}"
        );
        if what == "codes" {
            assert!(
                matches!(error, MirrorError::Refused(_)) && said.contains("refs/heads/master"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_on_pointers_that_lie_costs_the_repository_nothing() {
    let sandbox = Sandbox::new();
    let (bare, _, name) = wanting(&sandbox);
    LfsObjects::of(&bare)
        .receive(&name, CONTENT.len() as u64, CONTENT.as_bytes())
        .await
        .unwrap();
    // The name is right and the size is not.
    let work = sandbox.path("work");
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize 4\n");
    sandbox.commit(&work, &[("lying.bin", &pointer)], "lying");
    sandbox.git(
        &work,
        &["push", "--quiet", "--no-verify", bare.to_str().unwrap(), "master"],
    );
    let remote = sandbox.path("remote.git");
    sandbox.git(&work, &["init", "--quiet", "--bare", remote.to_str().unwrap()]);
    let url = RepositoryUrl::parse(remote.to_str().unwrap(), OPEN).unwrap();
    let refs = [RefName::parse("refs/heads/master").unwrap()];
    let sent = push_history(
        &GitProgram::default(),
        &bare,
        &url,
        None,
        &refs,
        &RemoteLimits::default(),
    )
    .await;
    let kept = fs::read_to_string(LfsObjects::of(&bare).path_of(&name)).unwrap();
    assert_eq!(kept, CONTENT, "{sent:?}");
}
