//! Names that resolve to one thing when they are checked and to another when they are used (hostile-inputs.md O2).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use madake_domain::delivery::ErrorKind;
use madake_outgoing::client::{Client, Resolve, Resolving};

use crate::receiver::{Receiver, Script, allowing, ok, patient, post};

/// Gives a prepared answer to each question; the last one for ever.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    questions: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|addresses| addresses.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            questions: Mutex::default(),
        })
    }

    fn questions(&self) -> Vec<String> {
        self.questions.lock().unwrap().clone()
    }
}

impl Resolve for Scripted {
    fn resolve(&self, name: String) -> Resolving {
        self.questions.lock().unwrap().push(name);
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            0 => Err(io::Error::other("no such host")),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().unwrap()),
        };
        Box::pin(async move { answer })
    }
}

/// 127.0.0.1 plays the public address, 127.0.0.2 the private one.
fn client(resolver: &Arc<Scripted>) -> Client {
    let resolver: Arc<dyn Resolve> = Arc::<Scripted>::clone(resolver);
    Client::with_resolver(allowing(&["127.0.0.1"]), patient(), resolver)
}

#[tokio::test]
async fn o2_name_that_flips_after_the_check_is_refused_at_the_connection() {
    let inner = Receiver::start_at("127.0.0.2:0", Script::Say(ok("inner"))).await;
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = client(&resolver);
    let url = format!("http://Rebind.Example:{}/hook", inner.address.port());
    client.check(&url).await.unwrap();
    let failure = client.send(post(&url)).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::RefusedAddress);
    assert_eq!(
        failure.sentence,
        "`rebind.example` has the address 127.0.0.2, which is a loopback address; an administrator can allow it \
         in the configuration: [outgoing] allow = [\"127.0.0.0/8\"]"
    );
    assert_eq!(inner.connections(), 0);
    assert_eq!(resolver.questions(), ["rebind.example", "rebind.example"]);
}

#[tokio::test]
async fn o2_what_was_checked_is_what_is_connected_to() {
    let outer = Receiver::start_at("127.0.0.1:0", Script::Say(ok("outer"))).await;
    let port = outer.address.port();
    let inner = Receiver::start_at(&format!("127.0.0.2:{port}"), Script::Say(ok("inner"))).await;
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let outcome = client(&resolver)
        .send(post(&format!("http://rebind.example:{port}/hook")))
        .await
        .unwrap();
    assert_eq!(outcome.body_start, b"outer");
    assert_eq!(outcome.remote_address, Some("127.0.0.1".parse().unwrap()));
    assert!(outcome.timings.dns.is_some());
    assert_eq!(
        resolver.questions().len(),
        1,
        "a second question could have another answer"
    );
    assert_eq!(inner.connections(), 0);
    assert!(
        outer.requests()[0]
            .to_ascii_lowercase()
            .contains("host: rebind.example:")
    );
}

#[tokio::test]
async fn private_addresses_among_public_ones_are_left_out() {
    let outer = Receiver::start(Script::Say(ok("outer"))).await;
    let port = outer.address.port();
    let inner = Receiver::start_at(&format!("127.0.0.2:{port}"), Script::Say(ok("inner"))).await;
    let resolver = Scripted::new(&[&["127.0.0.2", "::ffff:127.0.0.2", "127.0.0.1"]]);
    let outcome = client(&resolver)
        .send(post(&format!("http://mixed.example:{port}/hook")))
        .await
        .unwrap();
    assert_eq!(outcome.body_start, b"outer");
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn unknown_and_empty_names_are_dns_failures() {
    for (answers, reason) in [
        (vec![], "no such host"),
        (vec![&[] as &[&str]], "it has no addresses"),
    ] {
        let client = client(&Scripted::new(&answers));
        let expected = format!("the name `gone.example` could not be resolved: {reason}");
        let sent = client.send(post("http://gone.example/hook")).await.unwrap_err();
        assert_eq!((sent.kind, sent.sentence), (ErrorKind::Dns, expected.clone()));
        let checked = client.check("http://gone.example/hook").await.unwrap_err();
        assert_eq!((checked.kind, checked.sentence), (ErrorKind::Dns, expected));
    }
}

#[tokio::test]
async fn host_that_is_allowed_by_name_may_have_any_address() {
    let inner = Receiver::start_at("127.0.0.2:0", Script::Say(ok("inner"))).await;
    let resolver: Arc<dyn Resolve> = Scripted::new(&[&["127.0.0.2"]]);
    let client = Client::with_resolver(allowing(&["*.corp.example"]), patient(), resolver);
    let url = format!("http://ci.corp.example.:{}/hook", inner.address.port());
    assert_eq!(client.send(post(&url)).await.unwrap().body_start, b"inner");
}

#[tokio::test]
async fn names_of_this_machine_are_judged_by_their_addresses() {
    let receiver = Receiver::start(Script::Say(ok("local"))).await;
    let url = format!("http://localhost:{}/hook", receiver.address.port());
    let open = Client::new(allowing(&["127.0.0.0/8"]), patient());
    assert_eq!(open.send(post(&url)).await.unwrap().body_start, b"local");
    let closed = Client::new(allowing(&["10.0.0.0/8"]), patient());
    assert_eq!(
        closed.send(post(&url)).await.unwrap_err().kind,
        ErrorKind::RefusedAddress
    );
}
