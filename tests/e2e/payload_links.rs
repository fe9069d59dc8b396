//! Every link of every payload leads to a page: real pushes, a real receiver, and every link followed.

use madake_testkit::{Server, ServerOptions, git, hg};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::browse::shown;
use crate::hostile_support::settled;

/// Every string of a payload that is an address of this server, or of a page of it.
fn addresses(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with("http") || text.starts_with('/') => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| addresses(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| addresses(field, found)),
        _ => {}
    }
}

/// An endpoint that takes one request at a time and gives their bodies.
async fn receiver() -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (bodies, received) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let body = loop {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).await.unwrap_or(0);
                bytes.extend_from_slice(&chunk[..read]);
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                let whole = end.and_then(|end| {
                    let (head, body) = (&bytes[..end], &bytes[end + 4..]);
                    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
                    let length = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length:"))?;
                    (body.len() >= length.trim().parse().ok()?)
                        .then(|| String::from_utf8_lossy(body).into_owned())
                });
                if let Some(body) = whole {
                    break body;
                }
                if read == 0 {
                    break String::new();
                }
            };
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
            if bodies.send(body).await.is_err() {
                return;
            }
        }
    });
    (url, received)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_payload_leads_to_a_page() {
    let server = Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n".into(),
        ..ServerOptions::default()
    })
    .await;
    for (name, is_hg) in [
        ("PROJ/App.one", false),
        ("~joe/tools", false),
        ("PROJ/Lib.one", true),
        ("~joe/hg.tools", true),
    ] {
        let second_push = first_push(&server, name, is_hg);
        settled(&server).await;
        let (url, mut bodies) = receiver().await;
        let profiles = [
            "stash2",
            "stash3",
            "bbs5",
            "cloud-post",
            "bitbucket-dc",
            "bitbucket-cloud",
            "post-webhooks",
            "github",
            "native",
        ];
        for profile in &profiles {
            server.madake(&["receiver", "create", name, &url, "--profile", profile]);
        }
        let moved = second_push();
        let mut followed = std::collections::BTreeSet::new();
        // GitHub's tells of one ref in each delivery.
        for _ in 0..profiles.len() + moved - 1 {
            let body = tokio::time::timeout(std::time::Duration::from_secs(60), bodies.recv())
                .await
                .expect("in time")
                .expect("a delivery");
            let payload = match body.strip_prefix("payload=") {
                Some(form) => {
                    let text = form.replace('+', " ");
                    serde_json::from_str(&decoded(&text)).expect("JSON")
                }
                None => serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")),
            };
            let mut all = Vec::new();
            addresses(&payload, &mut all);
            followed.extend(all);
            // The Cloud's POST service says both apart.
            if let Some(canon) = payload["canon_url"].as_str() {
                let absolute = payload["repository"]["absolute_url"].as_str().expect("a path");
                for commit in payload["commits"].as_array().expect("commits") {
                    let node = commit["node"].as_str().expect("twelve digits");
                    assert_eq!(node.len(), 12);
                    followed.insert(format!("{canon}{absolute}commits/{node}"));
                }
            }
        }
        let (mut pages, mut anchors) = (0, 0);
        for link in &followed {
            let path = link.strip_prefix(&server.url()).unwrap_or(link);
            let other_face = ["/api/2.0/", "/rest/"].iter().any(|root| path.starts_with(root));
            if !path.starts_with('/') || other_face {
                continue;
            }
            let (path, fragment) = path.split_once('#').unwrap_or((path, ""));
            let text = shown(&server, if path.is_empty() { "/" } else { path }).await;
            if !fragment.is_empty() {
                let id = fragment.replace('&', "&amp;").replace('\'', "&#39;");
                assert!(text.contains(&format!("id=\"{id}\"")), "{link}: no anchor {id}");
                anchors += 1;
            }
            pages += 1;
        }
        assert!(pages >= 12 && anchors >= 4, "{followed:#?}");
    }
}

/// Names of files that are not easily shown: a direction mark, and one that is longer than a line of a page.
fn odd_names() -> [String; 3] {
    [
        "竹/<b>&'.txt".to_owned(),
        "turned\u{202e}txt".to_owned(),
        format!("{0}/{0}/{0}", "long".repeat(40)),
    ]
}

/// Makes a repository with a first push; the second moves as many refs as the function gives.
fn first_push(server: &Server, name: &str, is_hg: bool) -> Box<dyn Fn() -> usize> {
    let first = [("README.md", "# App\n"), ("src/a b#1.txt", "one\ntwo\n")];
    let names = odd_names();
    let changed = move || {
        let mut files = vec![("src/a b#1.txt".to_owned(), "one\nthree\n")];
        files.extend(names.iter().map(|name| (name.clone(), "new\n")));
        files
    };
    if is_hg {
        let clone = server.hosted_hg(name);
        let _ = clone.push("first", &first);
        return Box::new(move || {
            let files = changed();
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
            let _ = clone.commit("rewrite", &files);
            hg(&clone.path, &["bookmark", "an idea"]);
            hg(&clone.path, &["tag", "v 1.0"]);
            hg(&clone.path, &["branch", "--quiet", "feature/x y"]);
            let _ = clone.commit("on a branch", &[("b", "1")]);
            hg(
                &clone.path,
                &["push", "--quiet", "--new-branch", "--bookmark", "an idea"],
            );
            4
        });
    }
    let work = server.hosted(name);
    let _ = work.push("main", &first);
    Box::new(move || {
        git(&work.path, &["branch", "feature/x"]);
        let files = changed();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let _ = work.commit("rewrite", &files);
        git(&work.path, &["tag", "-a", "-m", "a tag", "v1.0"]);
        git(
            &work.path,
            &["push", "--quiet", "origin", "main", "feature/x", "v1.0"],
        );
        3
    })
}

/// Percent-decoded text.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("digits"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("text")
}
