//! Receivers of pushes: a push is told once it is decided, and is not forgotten when the server dies.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use madake_testkit::{Server, ServerOptions, git, wait_for};
use serde_json::Value;

/// What a receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// A receiver that writes down what it gets, and answers with the status that is set.
#[derive(Clone)]
pub(crate) struct Listening {
    port: u16,
    pub(crate) status: Arc<AtomicU16>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Listening {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let made = Self {
            port: listener.local_addr().expect("an address").port(),
            status: Arc::new(AtomicU16::new(200)),
            got: Arc::default(),
        };
        let served = made.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                std::thread::spawn(move || served.serve(stream));
            }
        });
        made
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let path = line.split(' ').nth(1)?.to_owned();
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).ok()?;
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    break;
                };
                headers.push((name.to_owned(), value.to_owned()));
            }
            let mut got = Got {
                path,
                headers,
                body: Vec::new(),
            };
            let length = got
                .header("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            got.body.resize(length, 0);
            reader.read_exact(&mut got.body).ok()?;
            self.got.lock().expect("not poisoned").push(got);
            let status = self.status.load(Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 2\r\n\r\nok");
            reader.get_mut().write_all(answer.as_bytes()).ok()?;
        }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("not poisoned").clone()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Got> {
        wait_for("the receiver to be told", || async {
            let got = self.got();
            (got.len() >= count).then_some(got)
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// A server that may tell receivers on this machine.
pub(crate) async fn server() -> Server {
    Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.1\"]\n".into(),
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_in_the_form_of_post_receive_webhooks() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    server.madake(&["receiver", "create", "PROJ/app", &receiver.url("/hook")]);
    let first = work.push("main", &[("a.txt", "1")]);
    let second = work.push("main", &[("a.txt", "2"), ("sub/b.sh", "3")]);
    let got = receiver.wait_for(2).await;
    assert_eq!(got[0].path, "/hook");
    assert_eq!(got[0].header("x-atlassian-token"), Some("no-check"));
    let told = got
        .iter()
        .map(Got::json)
        .find(|body| body["refChanges"][0]["type"] == "UPDATE")
        .expect("the second push");
    assert_eq!(told["repository"]["slug"], "app");
    assert_eq!(told["repository"]["project"]["key"], "PROJ");
    assert_eq!(told["refChanges"][0]["refId"], "refs/heads/main");
    assert_eq!(told["refChanges"][0]["fromHash"], first.as_str());
    assert_eq!(told["refChanges"][0]["toHash"], second.as_str());
    let changeset = &told["changesets"]["values"][0];
    assert_eq!(changeset["toCommit"]["id"], second.as_str());
    assert_eq!(changeset["fromCommit"]["id"], first.as_str());
    let paths: Vec<&str> = changeset["changes"]["values"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| change["path"]["toString"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["a.txt", "sub/b.sh"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_outlives_the_server_and_keeps_its_id() {
    let mut server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    receiver.status.store(500, Ordering::SeqCst);
    let made = server.madake(&[
        "--json",
        "receiver",
        "create",
        "PROJ/app",
        &receiver.url("/native"),
        "--profile",
        "native",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let secret = made["newSecret"].as_str().expect("a secret").to_owned();
    let commit = work.push("main", &[("a", "1")]);
    let refused = receiver.wait_for(1).await;
    let id = made["id"].to_string();
    let delivery = {
        let listed: Value =
            serde_json::from_str(&server.madake(&["--json", "receiver", "deliveries", &id])).expect("JSON");
        listed["deliveries"][0]["id"].to_string()
    };
    // An attempt whose answer was not stored yet is not in the log.
    wait_for("the refusal to be stored", || async {
        let shown: Value =
            serde_json::from_str(&server.madake(&["--json", "delivery", "show", &delivery])).ok()?;
        (!shown["log"].as_array()?.is_empty()).then_some(())
    })
    .await;
    server.kill();
    receiver.status.store(204, Ordering::SeqCst);
    server.launch().await;
    // The schedule would wait some seconds; a person does not.
    wait_for("the delivery to be free again", || async {
        let got = receiver.got();
        if got.len() > 1 {
            return Some(());
        }
        let outcome = server
            .request(
                reqwest::Method::POST,
                &format!("/rest/madake/1.0/deliveries/{delivery}/redeliver"),
            )
            .header("Content-Type", "application/json")
            .body("{}")
            .send()
            .await
            .expect("an answer");
        outcome.status().is_success().then_some(())
    })
    .await;
    let got = receiver.wait_for(2).await;
    assert_eq!(got[1].header("webhook-id"), refused[0].header("webhook-id"));
    assert!(
        got[1]
            .header("webhook-signature")
            .is_some_and(|value| value.starts_with("v1,"))
    );
    assert!(String::from_utf8_lossy(&got[1].body).contains(&commit));
    wait_for("the log to say that it was delivered", || async {
        let shown: Value =
            serde_json::from_str(&server.madake(&["--json", "delivery", "show", &delivery])).ok()?;
        (shown["state"] == "ended" && shown["log"].as_array()?.len() >= 2).then_some(())
    })
    .await;
    assert!(!server.log().contains(&secret), "the secret is in the log");
    assert_eq!(receiver.got().len(), 2, "it was delivered more than once");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_allowed_are_refused_when_they_are_saved() {
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app");
    for url in [
        "http://127.0.0.1:1/x",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "file:///etc/passwd",
        "http://2130706433/",
    ] {
        let answer = server
            .request(reqwest::Method::POST, "/rest/madake/1.0/receivers")
            .json(&serde_json::json!({ "repository": "PROJ/app", "url": url }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 400, "{url}");
        let text = answer.text().await.expect("a body");
        assert!(text.contains("url: "), "{url}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_told_no_more() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    receiver.status.store(410, Ordering::SeqCst);
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        &receiver.url("/"),
        "--profile",
        "bitbucket-dc",
    ]);
    let _ = work.push("main", &[("a", "1")]);
    receiver.wait_for(1).await;
    wait_for("the receiver to be switched off", || async {
        server
            .madake(&["receiver", "list", "PROJ/app"])
            .contains("disabled")
            .then_some(())
    })
    .await;
    let _ = work.push("main", &[("a", "2")]);
    wait_for("the second push to be decided", || async {
        let events = server.madake(&["events"]);
        (events.matches("push to PROJ/app").count() >= 2).then_some(())
    })
    .await;
    assert_eq!(receiver.got().len(), 1);
    assert_eq!(receiver.got()[0].header("x-event-key"), Some("repo:refs_changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_of_one_push_share_their_commits_newest_first() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let base = work.push("main", &[("a", "1")]);
    let receiver = Listening::start();
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        &receiver.url("/"),
        "--profile",
        "native",
    ]);
    work.switch("one");
    let one = [
        work.commit("one", &[("b", "1")]),
        work.commit("one more", &[("b", "2")]),
    ];
    work.switch("two");
    let two = work.commit("two", &[("c", "1")]);
    git(&work.path, &["push", "-q", "origin", "one", "two"]);
    let told = receiver.wait_for(1).await[0].json();
    let ids = |value: &Value| -> Vec<String> {
        let commits = value.as_array().expect("commits").iter();
        commits
            .map(|one| {
                one["id"]
                    .as_str()
                    .or_else(|| one.as_str())
                    .expect("an id")
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(
        ids(&told["data"]["commits"]),
        [two.as_str(), one[1].as_str(), one[0].as_str()]
    );
    let refs = &told["data"]["refs"];
    assert_eq!(
        (&refs[0]["name"], &refs[1]["name"]),
        (&"one".into(), &"two".into())
    );
    assert_eq!(ids(&refs[0]["commits"]), [one[1].as_str(), one[0].as_str()]);
    assert_eq!(ids(&refs[1]["commits"]), [two.as_str()]);
    assert!(
        !told.to_string().contains(&format!("\"id\":\"{base}\"")),
        "what was there before is not new"
    );
}
