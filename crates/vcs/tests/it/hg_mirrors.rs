//! Linked Mercurial repositories.

use std::sync::Arc;
use std::time::{Duration, Instant};

use madake_vcs::git::mirror::RemoteLimits;
use madake_vcs::git::read::refs::RefList;
use madake_vcs::hg::mirror::{MirrorError, RemoteHeads, fetch, look, mirror_path, refs};
use madake_vcs::hg::serve::Access;
use madake_vcs::name::ObjectId;
use madake_vcs::process::ProcessError;
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fixture::write_script;
use crate::hg_fixture::{FakeSsh, HgSandbox, Keeper, serve_http, service};

const OPEN: UrlPolicy = UrlPolicy {
    allow_local_paths: true,
    allow_private_hosts: true,
};

fn names(list: &RefList) -> Vec<(&str, ObjectId)> {
    list.refs
        .iter()
        .map(|found| (found.name.as_str(), found.id))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_follows_its_source() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let root = sandbox.revision(&work, ".");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let address = serve_http(
        service(&sandbox.hg),
        hosted.clone(),
        Access::Read,
        Arc::new(Keeper::default()),
    )
    .await;
    let http = RepositoryUrl::parse(&address, OPEN).unwrap();
    let local = RepositoryUrl::parse(hosted.to_str().unwrap(), OPEN).unwrap();
    let (hg, limits, reader) = (&sandbox.hg, RemoteLimits::default(), sandbox.reader());
    let mirrors = [http, local].map(|url| (mirror_path(&sandbox.path("mirrors"), "app", &url), url));
    assert_ne!(mirrors[0].0, mirrors[1].0);
    for (mirror, url) in &mirrors {
        let seen = look(hg, url, None, &limits).await.unwrap();
        assert_eq!(seen.branches["default"], [root]);
        fetch(hg, mirror, url, None, &limits).await.unwrap();
        assert_eq!(
            names(&refs(&reader, mirror, &seen).await.unwrap()),
            [("refs/heads/default", root)]
        );
        assert_eq!(look(hg, url, None, &limits).await.unwrap(), seen);
    }
    sandbox.hg(&work, &["branch", "-q", "old one"]);
    sandbox.commit(&work, &[("b", "1")], "to be closed");
    sandbox.hg(&work, &["commit", "-q", "--close-branch", "-m", "close"]);
    sandbox.hg(&work, &["update", "-q", "default"]);
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    sandbox.hg(&work, &["bookmark", "-i", "-r", &root.to_string(), "mark"]);
    for what in [&["push", "-q", "-f"][..], &["push", "-q", "-B", "mark"]] {
        sandbox.try_hg(&work, &[what, &[hosted.to_str().unwrap()]].concat());
    }
    for (mirror, url) in &mirrors {
        let seen = look(hg, url, None, &limits).await.unwrap();
        fetch(hg, mirror, url, None, &limits).await.unwrap();
        let found = refs(&reader, mirror, &seen).await.unwrap();
        assert_eq!(
            names(&found),
            [("refs/bookmarks/mark", root), ("refs/heads/default", second)]
        );
    }
    // The server loses a commit and a bookmark; the mirror keeps the commit, and the names follow the server.
    sandbox.hg(&hosted, &["bookmark", "-d", "mark"]);
    let strip = [
        "--config",
        "extensions.strip=",
        "strip",
        "-q",
        "--no-backup",
        "-r",
    ];
    sandbox.hg(&hosted, &[&strip[..], &[&second.to_string()]].concat());
    for (mirror, url) in &mirrors {
        let seen = look(hg, url, None, &limits).await.unwrap();
        fetch(hg, mirror, url, None, &limits).await.unwrap();
        let found = refs(&reader, mirror, &seen).await.unwrap();
        assert_eq!(names(&found), [("refs/heads/default", root)]);
        assert!(reader.exists(mirror, &second).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repository_over_ssh_is_mirrored() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let server = FakeSsh::serve(&sandbox, hosted, Access::Read, Arc::new(Keeper::default())).await;
    // Found by its name, so that the command of our settings is what runs.
    let programs = sandbox.path("programs");
    let arguments = sandbox.path("arguments");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{}\nexec {} 'hg -R owner/my\\ slug serve --stdio'\n",
        arguments.display(),
        server.ssh
    );
    write_script(&programs.join("ssh"), &text);
    let hg = sandbox.path("hg-with-ssh");
    let path = std::env::var("PATH").unwrap();
    let text = format!("#!/bin/sh\nPATH={}:{path} exec hg \"$@\"\n", programs.display());
    write_script(&hg, &text);
    let hg = madake_vcs::process::HgProgram::new(&hg, &sandbox.path("settings")).unwrap();
    let url = RepositoryUrl::parse("hg@example.org:owner/app", OPEN).unwrap();
    let seen = look(&hg, &url, None, &RemoteLimits::default()).await.unwrap();
    assert_eq!(seen.branches["default"], [sandbox.revision(&work, ".")]);
    let said = std::fs::read_to_string(&arguments).unwrap();
    assert!(
        said.contains("BatchMode=yes") && said.contains("hg@example.org"),
        "{said}"
    );
    assert!(said.contains("hg -R owner/app serve --stdio"), "{said}");
}

/// A server that asks for a password, and then tells what it got, followed by the arguments of every process here.
async fn curious_server() -> (RepositoryUrl, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hg/app", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let read = connection.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let mut seen = Vec::new();
            let status = if request.to_ascii_lowercase().contains("\r\nauthorization: ") {
                seen.push(request);
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    if let Ok(arguments) = std::fs::read(process.path().join("cmdline")) {
                        seen.push(String::from_utf8_lossy(&arguments).into_owned());
                    }
                }
                "500 s3cret-%-word"
            } else {
                "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\""
            };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.unwrap();
            if !seen.is_empty() {
                return seen;
            }
        }
    });
    (RepositoryUrl::parse(&url, OPEN).unwrap(), server)
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_is_sent_but_stands_in_no_argument() {
    let sandbox = HgSandbox::new();
    let (hg, limits) = (&sandbox.hg, RemoteLimits::default());
    let credential = Credential::new("ann", " s3cret-%-word ").unwrap();
    for command in ["madake-look", "pull"] {
        let (url, server) = curious_server().await;
        let error = if command == "pull" {
            let mirror = sandbox.path("mirror.hg");
            fetch(hg, &mirror, &url, Some(&credential), &limits)
                .await
                .unwrap_err()
        } else {
            look(hg, &url, Some(&credential), &limits).await.unwrap_err()
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), server).await;
        let seen = seen.expect("the credential has been sent").unwrap();
        // "ann: s3cret-%-word " in base 64.
        assert!(
            seen[0].contains("Basic YW5uOiBzM2NyZXQtJS13b3JkIA=="),
            "{}",
            seen[0]
        );
        assert!(seen.iter().any(|arguments| arguments.contains(command)));
        assert!(
            seen[1..]
                .iter()
                .all(|arguments| !arguments.contains("s3cret-%-word"))
        );
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("hg {command} ended with code")),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_servers_are_errors_within_bounds() {
    let sandbox = HgSandbox::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/x?cmd=capabilities\r\nContent-Length: 0\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let page = |body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/mercurial-0.1\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let limits = RemoteLimits {
        timeout: Duration::from_secs(20),
        ..RemoteLimits::default()
    };
    for answer in [
        redirect,
        page("branchmap lookup\u{1b}[2J"),
        page(""),
        "HTTP/1.1 500 \u{1b}[2J\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "garbage".to_owned(),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        let url = RepositoryUrl::parse(&format!("http://u:s3cret@{address}/r"), OPEN).unwrap();
        let error = look(&sandbox.hg, &url, None, &limits)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains(['\u{1b}', '\u{202e}']) && !error.contains("s3cret"),
            "{error}"
        );
        serving.abort();
    }
    // Nobody came to where the redirect led.
    let visited = tokio::time::timeout(Duration::from_millis(10), elsewhere.accept()).await;
    assert!(visited.is_err());

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/r", silent.local_addr().unwrap());
    let url = RepositoryUrl::parse(&url, OPEN).unwrap();
    let limits = RemoteLimits {
        timeout: Duration::from_millis(500),
        ..limits
    };
    let started = Instant::now();
    let error = look(&sandbox.hg, &url, None, &limits).await.unwrap_err();
    assert!(
        matches!(error, MirrorError::Hg(ProcessError::TimedOut { .. })),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn what_is_no_repository_or_another_one_is_said() {
    let sandbox = HgSandbox::new();
    let (hg, limits) = (&sandbox.hg, RemoteLimits::default());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let bundle = sandbox.path("bundle.hg");
    sandbox.hg(&work, &["bundle", "-q", "--all", bundle.to_str().unwrap()]);
    for path in [sandbox.path("nothing"), bundle] {
        let url = RepositoryUrl::parse(path.to_str().unwrap(), OPEN).unwrap();
        let error = look(hg, &url, None, &limits).await.unwrap_err();
        assert!(matches!(error, MirrorError::NoRepository(_)), "{error}");
    }
    let git = RepositoryUrl::parse("git://example.org/x", OPEN).unwrap();
    assert!(matches!(
        look(hg, &git, None, &limits).await,
        Err(MirrorError::Scheme)
    ));

    let mirror = sandbox.path("mirror.hg");
    let url = RepositoryUrl::parse(work.to_str().unwrap(), OPEN).unwrap();
    fetch(hg, &mirror, &url, None, &limits).await.unwrap();
    let other = sandbox.work_tree("other", &[("b", "1")]);
    let url = RepositoryUrl::parse(other.to_str().unwrap(), OPEN).unwrap();
    let error = fetch(hg, &mirror, &url, None, &limits).await.unwrap_err();
    assert!(matches!(error, MirrorError::Unrelated), "{error}");
    assert_eq!(RemoteHeads::default().branches.len(), 0);
}
