//! Whether a delivery was made by somebody who knows the secret, in the way of whichever product sent it.
//!
//! | header | what it holds | who sends it |
//! | - | - | - |
//! | `webhook-signature` | HMAC-SHA256 over id, time and body, with a time window | Standard Webhooks, ours, GitLab's signing token |
//! | `X-Forgejo-Signature`, `X-Gitea-Signature`, `X-Gogs-Signature` | HMAC-SHA256 over the body, 64 digits | those |
//! | `X-Hub-Signature-256`, `X-Hub-Signature` | the same behind `sha256=` | GitHub, Bitbucket |
//! | `X-Gitlab-Token` | the secret itself | GitLab |
//!
//! The first of them that is there decides, and is never fallen back from (push-payloads.md D).

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::standard_webhooks::{self, MessageCheck, SigningSecret};
use super::{HEADER, HEADER_256, MAC_BYTES, SignatureCheck, mac, read_digits, sole_header};

/// Headers with the bare digits, the more specific sender first.
const BARE: [&str; 3] = ["X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"];
/// Header with the secret itself.
const TOKEN: &str = "X-Gitlab-Token";

/// What the proof of a delivery is worth. Only [`DeliveryCheck::Valid`] lets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum DeliveryCheck {
    /// Made with one of the active secrets.
    Valid,
    /// There is none of the headers (hostile-inputs.md W3).
    Missing,
    /// This header is not of its documented form, or is there twice (W2).
    Malformed(&'static str),
    /// This header was made with another secret, or over other bytes (W1, W4).
    Mismatch(&'static str),
    /// A known algorithm other than SHA-256, by its name (W5).
    Unsupported(&'static str),
    /// A signed time more than five minutes ago: a replay, or a clock that is wrong.
    TooOld,
    /// A signed time more than five minutes ahead.
    TooNew,
}

/// Checks the proof of a delivery over its raw body.
///
/// `headers` are (name, value) pairs as received, names in any case. `secrets` are the active ones; empty ones never
/// match. A secret that begins with `whsec_` signs Standard Webhooks with the bytes that it encodes, any other with its
/// own. `now_ms` is the time in milliseconds since 1970, for the time window of Standard Webhooks.
///
/// The time taken depends on the lengths of body and header and on the number of secrets, not on where they differ.
pub fn check(headers: &[(&str, &str)], body: &[u8], secrets: &[&[u8]], now_ms: i64) -> DeliveryCheck {
    let signature = standard_webhooks::SIGNATURE_HEADER;
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if has(signature) {
        return by_message(headers, body, secrets, now_ms);
    }
    if let Some(name) = BARE.into_iter().find(|name| has(name)) {
        return by_digits(headers, name, body, secrets);
    }
    if has(HEADER_256) || has(HEADER) {
        let name = if has(HEADER_256) { HEADER_256 } else { HEADER };
        return match super::check(headers, body, secrets) {
            SignatureCheck::Valid => DeliveryCheck::Valid,
            SignatureCheck::Missing => DeliveryCheck::Missing,
            SignatureCheck::Malformed => DeliveryCheck::Malformed(name),
            SignatureCheck::Mismatch => DeliveryCheck::Mismatch(name),
            SignatureCheck::Unsupported(algorithm) => DeliveryCheck::Unsupported(algorithm),
        };
    }
    match sole_header(headers, TOKEN) {
        Ok(Some(token)) => by_token(token, secrets),
        Ok(None) => DeliveryCheck::Missing,
        Err(_) => DeliveryCheck::Malformed(TOKEN),
    }
}

fn by_message(headers: &[(&str, &str)], body: &[u8], secrets: &[&[u8]], now_ms: i64) -> DeliveryCheck {
    let keys: Vec<SigningSecret> = secrets
        .iter()
        .filter_map(|secret| signing_secret(secret))
        .collect();
    let keys: Vec<&SigningSecret> = keys.iter().collect();
    match standard_webhooks::check(headers, body, &keys, now_ms) {
        MessageCheck::Valid => DeliveryCheck::Valid,
        MessageCheck::Missing(name) | MessageCheck::Malformed(name) => DeliveryCheck::Malformed(name),
        MessageCheck::TooOld => DeliveryCheck::TooOld,
        MessageCheck::TooNew => DeliveryCheck::TooNew,
        MessageCheck::Mismatch => DeliveryCheck::Mismatch(standard_webhooks::SIGNATURE_HEADER),
    }
}

fn signing_secret(secret: &[u8]) -> Option<SigningSecret> {
    let text = std::str::from_utf8(secret).ok();
    match text.filter(|text| text.starts_with("whsec_")) {
        Some(text) => SigningSecret::parse(text).ok(),
        None => SigningSecret::from_bytes(secret.to_vec()).ok(),
    }
}

fn by_digits(headers: &[(&str, &str)], name: &'static str, body: &[u8], secrets: &[&[u8]]) -> DeliveryCheck {
    let claimed = match sole_header(headers, name) {
        Ok(Some(digits)) => read_digits(digits),
        _ => None,
    };
    let candidate = claimed.unwrap_or([0; MAC_BYTES]);
    let mut matched = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        matched |= mac(secret, body).ct_eq(&candidate);
    }
    match claimed {
        None => DeliveryCheck::Malformed(name),
        Some(_) if bool::from(matched) => DeliveryCheck::Valid,
        Some(_) => DeliveryCheck::Mismatch(name),
    }
}

/// Digests are compared, so that not even the length of the secret shows.
fn by_token(token: &str, secrets: &[&[u8]]) -> DeliveryCheck {
    let claimed = Sha256::digest(token.as_bytes());
    let mut matched = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        matched |= Sha256::digest(secret).ct_eq(&claimed);
    }
    if bool::from(matched) {
        DeliveryCheck::Valid
    } else {
        DeliveryCheck::Mismatch(TOKEN)
    }
}
