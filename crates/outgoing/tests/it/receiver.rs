//! Receivers that follow a script, on real sockets.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use madake_outgoing::client::{Client, ClientSettings, Request, RequestOptions};
use madake_outgoing::guard::AddressPolicy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does once it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    /// Writes this and keeps the connection.
    Say(String),
    /// Writes this and closes the connection.
    SayAndClose(String),
    /// Writes the first text, then the second for ever, with a pause before each time.
    Endless(String, String, Duration),
    /// Says nothing at all.
    Silent,
    /// Says nothing until the gate has this many permits.
    WaitFor(Arc<tokio::sync::Semaphore>),
    /// Answers with what it was sent.
    Reflect,
}

/// A scripted receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_at("127.0.0.1:0", script).await
    }

    pub(crate) async fn start_at(address: &str, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            written: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&receiver.requests), Arc::clone(&receiver.connections));
        let written = Arc::clone(&receiver.written);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(
                    stream,
                    script.clone(),
                    Arc::clone(&requests),
                    Arc::clone(&written),
                ));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The requests that came, with their bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bytes an endless answer has got rid of.
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

async fn converse(
    mut stream: TcpStream,
    script: Script,
    requests: Arc<Mutex<Vec<String>>>,
    written: Arc<AtomicUsize>,
) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request.clone());
        match &script {
            Script::Say(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Script::SayAndClose(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Script::Endless(first, then, pause) => {
                if stream.write_all(first.as_bytes()).await.is_err() {
                    return;
                }
                loop {
                    tokio::time::sleep(*pause).await;
                    if stream.write_all(then.as_bytes()).await.is_err() {
                        return;
                    }
                    written.fetch_add(then.len(), Ordering::SeqCst);
                }
            }
            Script::Silent => std::future::pending().await,
            Script::WaitFor(gate) => {
                gate.acquire().await.unwrap().forget();
                let _ = stream.write_all(ok("").as_bytes()).await;
            }
            Script::Reflect => {
                let _ = stream.write_all(ok(&request).as_bytes()).await;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(head_end) = text.find("\r\n\r\n") {
            let length: usize = text
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if bytes.len() >= head_end + 4 + length {
                return Some(text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A complete answer with status 200.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Short limits, so that tests of slowness are quick.
pub(crate) fn quick() -> ClientSettings {
    ClientSettings {
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_millis(600),
        idle_timeout: Duration::from_millis(200),
        queue_timeout: Duration::from_millis(300),
        ..ClientSettings::default()
    }
}

/// Limits that no test reaches unless the machine stands still.
pub(crate) fn patient() -> ClientSettings {
    ClientSettings {
        connect_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(60),
        ..ClientSettings::default()
    }
}

/// A policy with these entries in `[outgoing] allow`.
pub(crate) fn allowing(entries: &[&str]) -> AddressPolicy {
    AddressPolicy {
        allow: entries.iter().map(|entry| entry.parse().unwrap()).collect(),
        ..AddressPolicy::default()
    }
}

/// A client that may reach this machine.
pub(crate) fn client(settings: ClientSettings) -> Client {
    Client::new(allowing(&["127.0.0.0/8"]), settings)
}

pub(crate) fn post(url: &str) -> Request {
    Request {
        method: Method::POST,
        url: url.to_owned(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: b"{\"push\":1}".to_vec(),
        options: RequestOptions::default(),
    }
}
