//! Receivers of webhooks, a hundred and more of them on one thread: good ones, ones that always fail, and ones that
//! hang. Each has a port of its own, and what arrives is noted with its time.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::machine::wall_clock;

/// The header with the id of a delivery (Standard Webhooks).
const ID: &str = "webhook-id";
/// The most headers that a delivery may have.
const HEADERS: usize = 64;
/// How long a receiver that hangs keeps a delivery without an answer.
const HANGING: Duration = Duration::from_secs(30);

/// What a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 204, at once.
    Good,
    /// 500, at once.
    Failing,
    /// Nothing for 30 seconds.
    Hanging,
}

/// A delivery that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// The place of its receiver in the list that the receivers were started with.
    pub(crate) receiver: usize,
    /// Its id.
    pub(crate) id: String,
    /// When it had come completely, in seconds since 1970.
    pub(crate) at: f64,
}

/// Running receivers; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Receivers {
    ports: Vec<u16>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receivers {
    /// Starts one receiver for each manner.
    ///
    /// # Errors
    /// When there are not enough ports or files.
    pub(crate) fn start(manners: &[Manner]) -> anyhow::Result<Self> {
        let mut served = Served {
            poll: Poll::new()?,
            listeners: Vec::new(),
            connections: HashMap::new(),
            hanging: VecDeque::new(),
            next: manners.len(),
            arrived: Arc::default(),
        };
        let mut ports = Vec::new();
        for (index, manner) in manners.iter().enumerate() {
            let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
                .context("cannot listen on loopback")?;
            ports.push(listener.local_addr()?.port());
            served
                .poll
                .registry()
                .register(&mut listener, Token(index), Interest::READABLE)?;
            served.listeners.push((listener, *manner));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (arrived, stopped) = (Arc::clone(&served.arrived), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("receivers".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    if let Err(error) = served.turn() {
                        println!("the receivers stopped: {error:#}");
                        return;
                    }
                }
            })?;
        Ok(Self {
            ports,
            arrived,
            stop,
            thread: Some(thread),
        })
    }

    /// The address of a receiver.
    pub(crate) fn url(&self, receiver: usize) -> String {
        format!("http://127.0.0.1:{}/hook", self.ports[receiver])
    }

    /// How many deliveries have arrived so far.
    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What has arrived so far; it is forgotten here.
    pub(crate) fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within one turn; a panic of it was printed already.
            let _ = thread.join();
        }
    }
}

struct Served {
    poll: Poll,
    listeners: Vec<(TcpListener, Manner)>,
    connections: HashMap<usize, Connection>,
    /// Connections that are answered later, in order.
    hanging: VecDeque<(Instant, usize)>,
    next: usize,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

struct Connection {
    stream: TcpStream,
    receiver: usize,
    read: Vec<u8>,
    /// What is still to be written.
    answer: Vec<u8>,
}

impl Served {
    /// Waits a moment for what comes, and serves it.
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(256);
        match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &events {
            let token = event.token().0;
            if token < self.listeners.len() {
                self.accept(token)?;
            } else if !self.proceed(token) {
                self.connections.remove(&token);
            }
        }
        while self
            .hanging
            .front()
            .is_some_and(|(until, _)| *until <= Instant::now())
        {
            let Some((_, token)) = self.hanging.pop_front() else {
                break;
            };
            let gone = self.connections.get_mut(&token).is_some_and(|connection| {
                connection.answer.extend_from_slice(NO_CONTENT);
                !connection.write()
            });
            if gone {
                self.connections.remove(&token);
            }
        }
        Ok(())
    }

    fn accept(&mut self, receiver: usize) -> anyhow::Result<()> {
        loop {
            let mut stream = match self.listeners[receiver].0.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let token = self.next;
            self.next += 1;
            stream.set_nodelay(true)?;
            self.poll.registry().register(
                &mut stream,
                Token(token),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            let connection = Connection {
                stream,
                receiver,
                read: Vec::new(),
                answer: Vec::new(),
            };
            self.connections.insert(token, connection);
        }
    }

    /// Reads, notes and answers; whether the connection goes on.
    fn proceed(&mut self, token: usize) -> bool {
        let Some(connection) = self.connections.get_mut(&token) else {
            return true;
        };
        let open = connection.receive();
        while let Some((length, id)) = request(&connection.read) {
            connection.read.drain(..length);
            let arrived = Arrived {
                receiver: connection.receiver,
                id,
                at: wall_clock(),
            };
            self.arrived
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(arrived);
            match self.listeners[connection.receiver].1 {
                Manner::Good => connection.answer.extend_from_slice(NO_CONTENT),
                Manner::Failing => connection.answer.extend_from_slice(FAILURE),
                Manner::Hanging => self.hanging.push_back((Instant::now() + HANGING, token)),
            }
        }
        connection.write() && open
    }
}

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const FAILURE: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

impl Connection {
    /// Reads what has come; whether more may come.
    fn receive(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => self.read.extend_from_slice(&chunk[..count]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Writes what can be written; whether the connection is still there.
    fn write(&mut self) -> bool {
        while !self.answer.is_empty() {
            match self.stream.write(&self.answer) {
                Ok(count) => drop(self.answer.drain(..count)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

/// The length of the first request in `bytes` and the id of its delivery, once it is whole.
fn request(bytes: &[u8]) -> Option<(usize, String)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else {
        return None;
    };
    let value = |name: &str| {
        let found = request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let length: usize = value("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let whole = head + length;
    (bytes.len() >= whole).then(|| (whole, value(ID).unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::http::Client;
    use super::*;

    #[test]
    fn requests_are_whole_with_their_body() {
        let whole = b"POST /hook HTTP/1.1\r\nHost: x\r\nWebhook-Id: 7\r\nContent-Length: 2\r\n\r\n{}POST";
        assert_eq!(request(&whole[..whole.len() - 5]), None);
        assert_eq!(request(whole), Some((whole.len() - 4, "7".to_owned())));
    }

    #[test]
    fn receivers_note_what_arrives_and_answer_by_their_manner() {
        let receivers = Receivers::start(&[Manner::Good, Manner::Failing]).unwrap();
        for (receiver, status) in [(0, 204), (1, 500)] {
            let address = receivers
                .url(receiver)
                .replace("http://", "")
                .replace("/hook", "");
            let mut client = Client::new(&address, &[(ID, "one")]);
            for _ in 0..2 {
                assert_eq!(client.send("POST", "/hook", &[], b"{}").unwrap().status, status);
            }
        }
        assert_eq!(receivers.count(), 4);
        let arrived = receivers.take();
        assert_eq!(arrived.iter().filter(|one| one.receiver == 1).count(), 2);
        assert!(arrived.iter().all(|one| one.id == "one"));
        assert_eq!(receivers.count(), 0);
    }
}
