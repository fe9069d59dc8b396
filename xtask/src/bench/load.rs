//! Load: many connections that post bodies, each with a commit of its own and signed anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::http::Client;
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

impl Load<'_> {
    /// Posts until the time is over; each connection has one request on its way at a time.
    pub(crate) fn run(&self) -> Loaded {
        let numbers = AtomicU64::new(0);
        let began = Instant::now();
        let parts: Vec<Loaded> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(|| self.connection(&numbers, began)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_default())
                .collect()
        });
        let mut all = Loaded {
            seconds: began.elapsed().as_secs_f64(),
            ..Loaded::default()
        };
        for mut part in parts {
            all.accepted += part.accepted;
            all.refused += part.refused;
            all.latencies.append(&mut part.latencies);
        }
        all.latencies.sort_by(f64::total_cmp);
        all
    }

    fn connection(&self, numbers: &AtomicU64, began: Instant) -> Loaded {
        let mut client = Client::new(self.address, self.headers);
        let mut loaded = Loaded::default();
        while began.elapsed() < self.duration {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let body = self.body.replace(COMMIT, &commit(number));
            let signature = self.secret.map(|secret| signature(secret, body.as_bytes()));
            let headers: Vec<(&str, &str)> = signature
                .iter()
                .map(|signature| ("X-Hub-Signature", signature.as_str()))
                .collect();
            let sent = Instant::now();
            match client.send("POST", self.path, &headers, body.as_bytes()) {
                Ok(answer) if answer.is_success() => {
                    loaded.accepted += 1;
                    loaded.latencies.push(sent.elapsed().as_secs_f64() * 1000.0);
                }
                _ => loaded.refused += 1,
            }
        }
        loaded
    }
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
    fn commits_differ_and_have_the_length_of_commits() {
        assert_ne!(commit(1), commit(2));
        assert_eq!(commit(1).len(), 40);
    }
}
