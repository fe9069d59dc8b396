//! Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over id, time of the attempt and body.
//!
//! Three headers go with a body: `webhook-id`, the same over all retries; `webhook-timestamp`, the seconds
//! since 1970 of this attempt; `webhook-signature`, `v1,` and Base64, one for each active secret. A receiver
//! that knows either the old or the new secret is content while one replaces the other. These headers
//! disturb nobody and may go with bodies of other formats (push-payloads.md F.1).

use std::fmt;

use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Header with the id of the message.
pub const ID_HEADER: &str = "webhook-id";
/// Header with the time of the attempt.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Header with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// How far the time of an attempt may be from the receiver's, either way, in milliseconds.
pub const TOLERANCE_MS: i64 = 5 * 60 * 1000;

const SECRET_PREFIX: &str = "whsec_";
const SIGNATURE_PREFIX: &str = "v1,";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const MAC_BYTES: usize = 32;
/// More signatures than anybody has secrets; the rest of a header is not read.
const SIGNATURES_READ: usize = 16;
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret of 24 to 64 bytes. Its debug form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Reads the text form: `whsec_` and Base64, padding as you like.
    ///
    /// # Errors
    ///
    /// [`SecretProblem`] says what is wrong, without repeating any of it.
    pub fn parse(text: &str) -> Result<Self, SecretProblem> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(SecretProblem::Prefix)?;
        let bytes = ANY_PADDING.decode(encoded).map_err(|_| SecretProblem::Encoding)?;
        Self::from_bytes(bytes)
    }

    /// Takes random bytes: a new secret.
    ///
    /// # Errors
    ///
    /// [`SecretProblem::Length`] for fewer than 24 or more than 64 bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretProblem> {
        if SECRET_BYTES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretProblem::Length(bytes.len()))
        }
    }

    /// The text form, for showing the secret to its owner.
    pub fn to_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("hmac takes keys of every length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningSecret(..)")
    }
}

/// Why a text is not a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretProblem {
    /// It does not begin with `whsec_`.
    #[error("signing secret does not begin with whsec_")]
    Prefix,
    /// What follows is not Base64.
    #[error("signing secret has something else than base64 after whsec_")]
    Encoding,
    /// Too few or too many bytes.
    #[error("signing secret has {0} bytes; it takes 24 to 64, as base64")]
    Length(usize),
}

/// Why a body could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The id is empty, or has a dot, a space or something else than visible ASCII.
    #[error("message id must be visible ascii without dots, since it is a part of what is signed")]
    Id,
    /// There is nothing to sign with.
    #[error("there is no signing secret")]
    NoSecret,
}

/// The three headers for one attempt: `now_ms` is its time, and each secret adds a signature, in the order
/// given (the current one first while another is being replaced).
///
/// # Errors
///
/// [`SigningError`] when the id cannot be signed unambiguously, or there is no secret.
pub fn headers(
    id: &str,
    now_ms: i64,
    body: &[u8],
    secrets: &[&SigningSecret],
) -> Result<[(&'static str, String); 3], SigningError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.') {
        return Err(SigningError::Id);
    }
    if secrets.is_empty() {
        return Err(SigningError::NoSecret);
    }
    let timestamp = now_ms.div_euclid(1000).to_string();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let mac = secret.mac(id, &timestamp, body);
            format!("{SIGNATURE_PREFIX}{}", STANDARD.encode(mac))
        })
        .collect();
    Ok([
        (ID_HEADER, id.to_owned()),
        (TIMESTAMP_HEADER, timestamp),
        (SIGNATURE_HEADER, signatures.join(" ")),
    ])
}

/// What the signature of a message is worth. Only [`MessageCheck::Valid`] lets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum MessageCheck {
    /// Made with one of the active secrets, now.
    Valid,
    /// One of the three headers is absent; which.
    Missing(&'static str),
    /// One of them is given twice or is not of the documented form; which.
    Malformed(&'static str),
    /// The attempt is older than [`TOLERANCE_MS`]: a replay, or a clock that is wrong.
    TooOld,
    /// The attempt is further ahead than that.
    TooNew,
    /// Made with another secret or over something else, or by an unknown method.
    Mismatch,
}

/// Checks the signature of a message over its raw body.
///
/// `headers` are (name, value) pairs as received, names in any case. `secrets` are the active ones; without
/// any, a well-formed signature is a [`MessageCheck::Mismatch`]. Signatures of other versions than `v1` are
/// passed over. Repeats within the tolerance are not noticed: the caller remembers the id.
///
/// The time taken depends on the length of the body and the numbers of secrets and signatures, not on where
/// a signature differs.
pub fn check(headers: &[(&str, &str)], body: &[u8], secrets: &[&SigningSecret], now_ms: i64) -> MessageCheck {
    match read(headers) {
        Err(refusal) => refusal,
        Ok(message) => message.check(body, secrets, now_ms),
    }
}

struct Message<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    signatures: &'a str,
}

fn read<'a>(headers: &[(&str, &'a str)]) -> Result<Message<'a>, MessageCheck> {
    let sole = |wanted: &'static str| {
        let found = super::sole_header(headers, wanted).map_err(|_| MessageCheck::Malformed(wanted))?;
        found.ok_or(MessageCheck::Missing(wanted))
    };
    let (id, timestamp) = (sole(ID_HEADER)?, sole(TIMESTAMP_HEADER)?);
    let signatures = sole(SIGNATURE_HEADER)?;
    if id.is_empty() || id.contains('.') {
        return Err(MessageCheck::Malformed(ID_HEADER));
    }
    // Digits alone: a sign, or a point, could move bytes between the parts that are signed.
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse().ok().filter(|_| digits);
    Ok(Message {
        id,
        timestamp,
        seconds: seconds.ok_or(MessageCheck::Malformed(TIMESTAMP_HEADER))?,
        signatures,
    })
}

impl Message<'_> {
    fn check(&self, body: &[u8], secrets: &[&SigningSecret], now_ms: i64) -> MessageCheck {
        let mut claimed = Vec::new();
        let mut well_formed = false;
        for signature in self.signatures.split(' ').take(SIGNATURES_READ) {
            well_formed |= signature.contains(',');
            let Some(encoded) = signature.strip_prefix(SIGNATURE_PREFIX) else {
                continue;
            };
            claimed.extend(
                STANDARD
                    .decode(encoded)
                    .ok()
                    .and_then(|bytes| <[u8; MAC_BYTES]>::try_from(bytes).ok()),
            );
        }
        if !well_formed {
            return MessageCheck::Malformed(SIGNATURE_HEADER);
        }
        let mut matched = Choice::from(0);
        for secret in secrets {
            let expected = secret.mac(self.id, self.timestamp, body);
            for signature in &claimed {
                matched |= expected.ct_eq(signature);
            }
        }
        let sent_ms = self.seconds.saturating_mul(1000);
        if !bool::from(matched) {
            MessageCheck::Mismatch
        } else if now_ms.saturating_sub(sent_ms) > TOLERANCE_MS {
            MessageCheck::TooOld
        } else if sent_ms.saturating_sub(now_ms) > TOLERANCE_MS {
            MessageCheck::TooNew
        } else {
            MessageCheck::Valid
        }
    }
}
