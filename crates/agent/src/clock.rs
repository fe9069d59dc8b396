//! The clock of a job's process, which stamps the log and the outcome.

use std::time::UNIX_EPOCH;

/// The time in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a supervisor is a program of its own: the server's clock is not there when it runs"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
