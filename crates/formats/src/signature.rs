//! Signatures over the raw bytes of a body: HMAC-SHA256 in `X-Hub-Signature` and `X-Hub-Signature-256`.
//!
//! Bitbucket Data Center and Cloud send the first, GitHub and its relatives the second
//! (push-payloads.md B.1, C.4, D). The one accepted form is `sha256=` and 64 lower-case hexadecimal
//! digits; everything else is refused with its own word, and no answer ever holds the expected value.
//! [`standard_webhooks`] has the scheme that also covers the id and the time of a delivery, and [`delivery`] takes
//! whichever of the schemes a sender uses.

pub mod delivery;
pub mod standard_webhooks;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Header of GitHub and its relatives. It wins over [`HEADER`], which they fill with SHA-1.
pub const HEADER_256: &str = "X-Hub-Signature-256";
/// Header of Bitbucket.
pub const HEADER: &str = "X-Hub-Signature";

const PREFIX: &str = "sha256=";
const MAC_BYTES: usize = 32;
const UNSUPPORTED: [&str; 5] = ["sha1", "sha224", "sha384", "sha512", "md5"];

/// What a signature is worth. Only [`SignatureCheck::Valid`] lets a delivery in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SignatureCheck {
    /// Made with one of the active secrets.
    Valid,
    /// There is no signature header (hostile-inputs.md W3).
    Missing,
    /// Not the documented form: upper-case digits, white space, wrong length, several headers (W2).
    Malformed,
    /// The right form, but made with another secret or over other bytes (W1, W4).
    Mismatch,
    /// A known algorithm other than SHA-256, by its name in the header (W5).
    Unsupported(&'static str),
}

/// Signs a body: the value for [`HEADER`] or [`HEADER_256`].
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(mac(secret, body)))
}

/// Signs a body while several secrets are active: with the first, since the header holds one signature
/// only. A receiver must know it before it becomes the first. `None` without a secret; empty ones do not
/// count.
pub fn sign_first(secrets: &[&[u8]], body: &[u8]) -> Option<String> {
    let secret = secrets.iter().find(|secret| !secret.is_empty())?;
    Some(sign(secret, body))
}

/// The headers with which GitHub signs: [`HEADER_256`], and [`HEADER`] by SHA-1 for receivers that know no other, such
/// as Buildbot (push-payloads.md D). The first secret signs, as in [`sign_first`].
pub fn sign_as_github(secrets: &[&[u8]], body: &[u8]) -> Option<[(&'static str, String); 2]> {
    let secret = secrets.iter().find(|secret| !secret.is_empty())?;
    let mut legacy = Hmac::<Sha1>::new_from_slice(secret).expect("hmac takes keys of every length");
    legacy.update(body);
    let legacy = hex::encode(legacy.finalize().into_bytes());
    Some([
        (HEADER_256, sign(secret, body)),
        (HEADER, format!("sha1={legacy}")),
    ])
}

/// Checks the signature of a delivery over its raw body.
///
/// `headers` are (name, value) pairs as received, names in any case. `secrets` are the active ones, more
/// than one while a secret is being replaced; empty secrets never match, and without any secret a
/// well-formed signature is a [`SignatureCheck::Mismatch`]. Whether a repository needs a signature at all
/// is the caller's business.
///
/// The time taken depends on the length of the body and the number of secrets, not on where a signature
/// differs nor on whether it is well formed.
pub fn check(headers: &[(&str, &str)], body: &[u8], secrets: &[&[u8]]) -> SignatureCheck {
    let header = match sole_header(headers, HEADER_256) {
        Ok(None) => sole_header(headers, HEADER),
        found => found,
    };
    let claimed = match header {
        Ok(Some(value)) => read(value),
        Ok(None) => return SignatureCheck::Missing,
        Err(refusal) => Err(refusal),
    };
    let candidate = claimed.unwrap_or([0; MAC_BYTES]);
    let mut matched = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        matched |= mac(secret, body).ct_eq(&candidate);
    }
    match claimed {
        Err(refusal) => refusal,
        Ok(_) if bool::from(matched) => SignatureCheck::Valid,
        Ok(_) => SignatureCheck::Mismatch,
    }
}

fn mac(secret: &[u8], body: &[u8]) -> [u8; MAC_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("hmac takes keys of every length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn sole_header<'a>(headers: &[(&str, &'a str)], wanted: &str) -> Result<Option<&'a str>, SignatureCheck> {
    let mut values = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let first = values.next().map(|(_, value)| *value);
    if values.next().is_some() {
        Err(SignatureCheck::Malformed)
    } else {
        Ok(first)
    }
}

fn read(header: &str) -> Result<[u8; MAC_BYTES], SignatureCheck> {
    let Some(digits) = header.strip_prefix(PREFIX) else {
        let algorithm = header.split('=').next().unwrap_or_default();
        let known = UNSUPPORTED.into_iter().find(|name| *name == algorithm);
        return Err(known.map_or(SignatureCheck::Malformed, SignatureCheck::Unsupported));
    };
    read_digits(digits).ok_or(SignatureCheck::Malformed)
}

/// Exactly 64 lower-case hexadecimal digits.
fn read_digits(digits: &str) -> Option<[u8; MAC_BYTES]> {
    let lower_case = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; MAC_BYTES];
    (lower_case && hex::decode_to_slice(digits, &mut bytes).is_ok()).then_some(bytes)
}
