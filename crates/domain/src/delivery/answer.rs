//! What the answer to an attempt means.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The receiver answered with this HTTP status.
    Status(u16),
    /// There was no answer.
    Error(ErrorKind),
    /// It was taken, by something whose answer is no HTTP status of success: a mail server, a program, a service that
    /// answers in its own way.
    Taken,
    /// It was not taken now; another attempt may help.
    Later,
    /// It was not taken, and another attempt would give the same.
    Refused,
    /// There was nothing to tell.
    Nothing,
}

/// What an answer means for the delivery and its receiver (Standard Webhooks 1.0; push-payloads.md F.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2xx: delivered.
    Success,
    /// 410: the receiver is gone for good and is disabled.
    Gone,
    /// 429, 502, 503, 504: the receiver wants fewer requests.
    Throttle,
    /// Any other answer, redirects included, or none.
    Failure,
    /// Nothing was sent, for want of a free connection here. The receiver is not to blame, and no attempt is used.
    NotSent,
    /// Not taken for good: the delivery ends, and the receiver is to blame.
    Refused,
    /// Nothing was to be sent: the delivery ends, and says nothing of the receiver.
    Nothing,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// The address, port or scheme is one that requests may not go to.
    RefusedAddress,
    /// No connection came about.
    Connect,
    /// The TLS handshake failed, or a certificate was not accepted.
    Tls,
    /// Too slow.
    Timeout,
    /// The head of the answer was too large, or had too many headers.
    TooLarge,
    /// The answer was not HTTP, or was cut off.
    Protocol,
    /// The request could not be made: a header, certificate or method that is none.
    Request,
    /// All connections to the host were in use for too long; nothing was sent.
    Busy,
}

/// A stored code that names no [`ErrorKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a kind of delivery error; one of dns, refused-address, connect, tls, timeout, too-large, protocol, request, busy"
)]
pub struct UnknownErrorKind;

/// The wait that a receiver asked for in `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryAfter {
    /// A number of seconds, here in milliseconds.
    AfterMs(i64),
    /// A date, in milliseconds since 1970.
    AtMs(i64),
}

impl Answer {
    /// What the answer means.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Status(200..=299) => Class::Success,
            Self::Status(410) => Class::Gone,
            Self::Status(429 | 502 | 503 | 504) => Class::Throttle,
            Self::Error(ErrorKind::Busy) => Class::NotSent,
            Self::Taken => Class::Success,
            Self::Refused => Class::Refused,
            Self::Nothing => Class::Nothing,
            Self::Status(_) | Self::Error(_) | Self::Later => Class::Failure,
        }
    }

    /// The word of the Bitbucket REST API for this end: `SUCCESS` for 2xx, `FAILURE` for other answers, `ERROR` when
    /// there was none (push-payloads.md B.4).
    #[must_use]
    pub fn bitbucket_outcome(self) -> &'static str {
        match (self, self.class()) {
            (_, Class::Success) => "SUCCESS",
            (Self::Error(_), _) => "ERROR",
            _ => "FAILURE",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status @ 300..=399) => write!(
                f,
                "answered {status}; redirects are not followed, so enter the address that it points to"
            ),
            Self::Status(410) => f.write_str("answered 410: the receiver is gone"),
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Error(kind) => write!(f, "no answer ({kind})"),
            Self::Taken => f.write_str("taken"),
            Self::Later => f.write_str("asked to be told again later"),
            Self::Refused => f.write_str("refused"),
            Self::Nothing => f.write_str("nothing to send"),
        }
    }
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Dns,
        Self::RefusedAddress,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::TooLarge,
        Self::Protocol,
        Self::Request,
        Self::Busy,
    ];

    /// The stable code: `dns`, `refused-address`, `connect`, `tls`, `timeout`, `too-large`, `protocol`, `request` or
    /// `busy`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::RefusedAddress => "refused-address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::Protocol => "protocol",
            Self::Request => "request",
            Self::Busy => "busy",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(code: &str) -> Result<Self, UnknownErrorKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or(UnknownErrorKind)
    }
}

impl RetryAfter {
    /// The wait from `now_ms` on, in milliseconds; 0 for a moment that has passed.
    #[must_use]
    pub fn wait_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::AfterMs(wait_ms) => wait_ms,
            Self::AtMs(at_ms) => at_ms.saturating_sub(now_ms),
        }
        .max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_standard_webhooks_says() {
        for (status, class, word) in [
            (200, Class::Success, "SUCCESS"),
            (204, Class::Success, "SUCCESS"),
            (299, Class::Success, "SUCCESS"),
            (101, Class::Failure, "FAILURE"),
            (301, Class::Failure, "FAILURE"),
            (304, Class::Failure, "FAILURE"),
            (400, Class::Failure, "FAILURE"),
            (410, Class::Gone, "FAILURE"),
            (429, Class::Throttle, "FAILURE"),
            (500, Class::Failure, "FAILURE"),
            (502, Class::Throttle, "FAILURE"),
            (503, Class::Throttle, "FAILURE"),
            (504, Class::Throttle, "FAILURE"),
            (0, Class::Failure, "FAILURE"),
            (999, Class::Failure, "FAILURE"),
        ] {
            let answer = Answer::Status(status);
            assert_eq!(
                (answer.class(), answer.bitbucket_outcome()),
                (class, word),
                "{status}"
            );
        }
    }

    #[test]
    fn only_a_busy_host_here_spares_the_attempt() {
        for kind in ErrorKind::ALL {
            let class = Answer::Error(kind).class();
            assert_eq!(class == Class::NotSent, kind == ErrorKind::Busy, "{kind}");
            assert_eq!(Answer::Error(kind).bitbucket_outcome(), "ERROR");
        }
    }

    #[test]
    fn codes_are_read_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.code().parse(), Ok(kind));
        }
        assert_eq!("dnss".parse::<ErrorKind>(), Err(UnknownErrorKind));
    }

    #[test]
    fn retry_after_counts_from_now() {
        assert_eq!(RetryAfter::AfterMs(5000).wait_ms(9), 5000);
        assert_eq!(RetryAfter::AtMs(5000).wait_ms(2000), 3000);
        assert_eq!(RetryAfter::AtMs(5000).wait_ms(9000), 0);
        assert_eq!(RetryAfter::AtMs(i64::MIN).wait_ms(9000), 0);
    }

    #[test]
    fn a_redirect_says_what_to_do() {
        assert_eq!(
            Answer::Status(302).to_string(),
            "answered 302; redirects are not followed, so enter the address that it points to"
        );
    }
}
