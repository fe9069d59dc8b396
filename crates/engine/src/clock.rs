//! The one place that reads the wall clock. Everything else gets the time as an argument.

use jiff::Timestamp;

/// The time now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time now in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    now().as_millisecond()
}
