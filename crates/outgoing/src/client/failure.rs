//! Why a request had no answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use madake_domain::delivery::ErrorKind;
use madake_domain::text::inert;

use super::resolver::Unresolved;
use super::seconds;
use super::stopwatch::Timings;
use crate::guard::{Refused, Target};

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// What happened, for the owner of the receiver: no secrets, and of the address only scheme, host and port.
    pub sentence: String,
    /// How long it took.
    pub timings: Timings,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, sentence: String) -> Self {
        Self {
            kind,
            sentence,
            timings: Timings::default(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is the function that turns one error into the other"
    )]
    pub(super) fn refused(refused: Refused) -> Self {
        Self::new(ErrorKind::RefusedAddress, refused.to_string())
    }

    pub(super) fn unresolved(name: &str, reason: &str) -> Self {
        Self::new(
            ErrorKind::Dns,
            format!(
                "the name `{}` could not be resolved: {}",
                inert(name, 80),
                inert(reason, 200)
            ),
        )
    }

    pub(super) fn after(self, timings: Timings) -> Self {
        Self { timings, ..self }
    }

    /// Finds the cause in the chain of errors. The text of the client's own error is never shown: it has the whole
    /// address in it.
    pub(super) fn of_request(error: &reqwest::Error, target: &Target, connect_timeout: Duration) -> Self {
        let host = target.shown();
        let mut protocol = None;
        let mut deepest = String::new();
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        while let Some(cause) = next {
            if let Some(refused) = cause.downcast_ref::<Refused>() {
                return Self::refused(refused.clone());
            }
            if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
                return Self::unresolved(&target.host().to_string(), &unresolved.reason);
            }
            if let Some(tls) = tls_error(cause) {
                return Self::new(ErrorKind::Tls, tls_sentence(tls, &host));
            }
            if let Some(http) = cause.downcast_ref::<hyper::Error>() {
                protocol = Some(http_failure(http, &host));
            }
            deepest = inert(&cause.to_string(), 200);
            next = cause.source();
        }
        if error.is_timeout() && error.is_connect() {
            return Self::new(
                ErrorKind::Timeout,
                format!("no connection to {host} within {}", seconds(connect_timeout)),
            );
        }
        if error.is_timeout() {
            return Self::new(ErrorKind::Timeout, format!("{host} took too long to answer"));
        }
        if error.is_connect() {
            return Self::new(ErrorKind::Connect, format!("no connection to {host}: {deepest}"));
        }
        protocol.unwrap_or_else(|| {
            Self::new(
                ErrorKind::Protocol,
                format!("the connection to {host} broke: {deepest}"),
            )
        })
    }
}

fn http_failure(error: &hyper::Error, host: &str) -> Failure {
    if error.is_parse_too_large() {
        return Failure::new(
            ErrorKind::TooLarge,
            format!("the answer of {host} has too many headers, or too long ones"),
        );
    }
    let what = if error.is_parse() {
        "is not HTTP/1.1"
    } else if error.is_incomplete_message() {
        "broke off before its end"
    } else {
        "could not be read"
    };
    Failure::new(ErrorKind::Protocol, format!("the answer of {host} {what}"))
}

/// A TLS error, also one that has been put into an I/O error, which hides it from the chain.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return io.get_ref().and_then(|inner| tls_error(inner));
    }
    cause.downcast_ref::<rustls::Error>()
}

fn tls_sentence(error: &rustls::Error, host: &str) -> String {
    use rustls::{AlertDescription, CertificateError};

    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "the certificate of {host} is signed by an unknown authority; give the receiver the certificate of \
             that authority"
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("the certificate of {host} has expired"),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the certificate of {host} is for another name"),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure,
        ) => format!("{host} did not accept the TLS handshake; it may want a client certificate: {error}"),
        other => format!(
            "the TLS handshake with {host} failed: {}",
            inert(&other.to_string(), 200)
        ),
    }
}
