//! Load: many connections that post bodies, each with a commit of its own and signed anew.
//!
//! One thread serves all connections, as in `wrk`: many threads that wake each other would themselves be the limit on
//! the one processor that the load has.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sha2::{Digest as _, Sha256};

use super::report::{Figure, figure, quantile};

/// What stands in the body's text where the commit is to stand.
pub(crate) const COMMIT: &str = "{commit}";

/// What is posted, and where.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    /// Host and port.
    pub(crate) address: &'a str,
    /// The path.
    pub(crate) path: &'a str,
    /// The body, with [`COMMIT`] in it.
    pub(crate) body: &'a str,
    /// Headers of each request.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// With it, `X-Hub-Signature` is the HMAC of each body.
    pub(crate) secret: Option<&'a str>,
    /// How many connections at once.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Requests that were answered with 2xx.
    pub(crate) accepted: u64,
    /// Requests that were answered otherwise or not at all.
    pub(crate) refused: u64,
    seconds: f64,
    /// Milliseconds from sending to the answer of each accepted request, sorted.
    latencies: Vec<f64>,
}

/// How long after the end of the load an answer may still come.
const DEADLINE: Duration = Duration::from_secs(60);

/// The most headers that an answer may have.
const HEADERS: usize = 64;

impl Load<'_> {
    /// Posts until the time is over, and waits for the answers to what is on its way; each connection has one request
    /// on its way at a time.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers what is no HTTP.
    pub(crate) fn run(&self) -> anyhow::Result<Loaded> {
        let address: SocketAddr = self.address.parse().context("no address of a server")?;
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(self.connections);
        let mut loaded = Loaded::default();
        let mut number = 0;
        let mut next = || {
            number += 1;
            self.request(number, &headers)
        };
        let began = Instant::now();
        let mut connections = (0..self.connections)
            .map(|index| Connection::open(address, &poll, Token(index), next()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut open = connections.len();
        while open > 0 {
            if began.elapsed() > self.duration + DEADLINE {
                loaded.refused += u64::try_from(open)?;
                break;
            }
            poll.poll(&mut events, Some(Duration::from_secs(1)))?;
            for event in &events {
                let connection = &mut connections[event.token().0];
                let Some(answer) = connection.proceed()? else {
                    continue;
                };
                if answer.is_success {
                    loaded.accepted += 1;
                    loaded
                        .latencies
                        .push(connection.sent.elapsed().as_secs_f64() * 1000.0);
                } else {
                    loaded.refused += 1;
                }
                if began.elapsed() >= self.duration {
                    poll.registry().deregister(&mut connection.stream)?;
                    open -= 1;
                } else if answer.keep {
                    connection.send(next())?;
                } else {
                    *connection = Connection::open(address, &poll, event.token(), next())?;
                }
            }
        }
        loaded.seconds = began.elapsed().as_secs_f64();
        loaded.latencies.sort_by(f64::total_cmp);
        Ok(loaded)
    }

    /// The request with the number's own commit, signed.
    fn request(&self, number: u64, headers: &str) -> Vec<u8> {
        let body = self.body.replace(COMMIT, &commit(number));
        let signature = self.secret.map_or_else(String::new, |secret| {
            format!("X-Hub-Signature: {}\r\n", signature(secret, body.as_bytes()))
        });
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}{signature}\r\n{body}",
            self.path,
            self.address,
            body.len()
        )
        .into_bytes()
    }
}

/// A connection with one request on its way.
struct Connection {
    stream: TcpStream,
    /// What is still to be written.
    request: Vec<u8>,
    /// What was read of the answer.
    read: Vec<u8>,
    sent: Instant,
}

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    is_success: bool,
    /// Whether the connection takes another request.
    keep: bool,
}

impl Connection {
    fn open(address: SocketAddr, poll: &Poll, token: Token, request: Vec<u8>) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // Registered before anything is written: being connected is an event too.
        poll.registry()
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            request,
            read: Vec::new(),
            sent: Instant::now(),
        })
    }

    /// Starts the next request.
    fn send(&mut self, request: Vec<u8>) -> anyhow::Result<()> {
        self.request = request;
        self.read.clear();
        self.sent = Instant::now();
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        while !self.request.is_empty() {
            match self.stream.write(&self.request) {
                Ok(count) => drop(self.request.drain(..count)),
                Err(error) if waits(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes and reads what can be; the answer, once it is whole.
    fn proceed(&mut self) -> anyhow::Result<Option<Answer>> {
        self.write()?;
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) if self.read.is_empty() => {
                    return Ok(Some(Answer {
                        is_success: false,
                        keep: false,
                    }));
                }
                Ok(0) => anyhow::bail!("the server went away in the middle of an answer"),
                Ok(count) => {
                    self.read.extend_from_slice(&chunk[..count]);
                    if let Some(answer) = answer(&self.read)? {
                        return Ok(Some(answer));
                    }
                }
                Err(error) if waits(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn waits(error: &std::io::Error) -> bool {
    // While a connection is being made, it is not connected.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// The answer in `bytes`, if it is whole.
///
/// # Errors
/// When it is no HTTP, or has a body of neither a length nor chunks.
fn answer(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let value = |name: &str| {
        response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let status = response.code.unwrap_or(0);
    let body = &bytes[head..];
    let whole = if let Some(length) = value("content-length") {
        body.len() >= length.parse()?
    } else if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        body.ends_with(b"0\r\n\r\n")
    } else {
        anyhow::ensure!(status == 204, "an answer with a body of unknown length");
        true
    };
    Ok(whole.then(|| Answer {
        is_success: (200..300).contains(&status),
        keep: !value("connection").is_some_and(|word| word.eq_ignore_ascii_case("close")),
    }))
}

impl Loaded {
    /// Rate and latencies.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let at = |q| quantile(&self.latencies, q).unwrap_or(0.0);
        vec![
            figure("accepted", "1/s", self.accepted_f64() / self.seconds.max(0.001)),
            figure("latency p50", "ms", at(0.5)),
            figure("latency p99", "ms", at(0.99)),
            figure("latency p99.9", "ms", at(0.999)),
        ]
    }

    /// The accepted requests as a number to divide by.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
    pub(crate) fn accepted_f64(&self) -> f64 {
        self.accepted as f64
    }
}

/// The number's own commit: 40 hexadecimal digits.
fn commit(number: u64) -> String {
    hex::encode(&Sha256::digest(number.to_be_bytes())[..20])
}

/// The header that signs `body`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_as_forges_do() {
        assert_eq!(
            signature("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }

    #[test]
    fn answers_are_whole_by_their_length_or_their_last_chunk() {
        let taken = Some(Answer {
            is_success: true,
            keep: true,
        });
        let whole = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(answer(&whole[..whole.len() - 1]).unwrap(), None);
        assert_eq!(answer(whole).unwrap(), taken);
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n";
        assert_eq!(answer(&chunks[..chunks.len() - 5]).unwrap(), None);
        assert_eq!(answer(chunks).unwrap(), taken);
        assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), taken);
    }

    #[test]
    fn refusals_and_closed_connections_are_told_apart() {
        let refused =
            answer(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(
            refused.unwrap(),
            Some(Answer {
                is_success: false,
                keep: false,
            })
        );
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").is_err());
    }

    #[test]
    fn commits_differ_and_have_the_length_of_commits() {
        assert_ne!(commit(1), commit(2));
        assert_eq!(commit(1).len(), 40);
    }
}
