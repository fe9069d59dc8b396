//! Passwords: argon2id, checked in constant time, and as slowly for a user who does not exist.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use crate::EngineError;

/// The shortest password that is accepted, in characters.
pub const MINIMUM_LENGTH: usize = 8;

/// Hashes a password. Takes tens of milliseconds of a processor: call it where blocking is allowed.
///
/// # Errors
/// [`EngineError::Invalid`] when the password is too short or unreasonably long.
pub fn hash(password: &str) -> Result<String, EngineError> {
    if password.chars().count() < MINIMUM_LENGTH || password.len() > 1024 {
        return Err(EngineError::Invalid(format!(
            "a password has at least {MINIMUM_LENGTH} characters and at most 1024 bytes"
        )));
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| EngineError::Internal(format!("the password could not be hashed: {error}")))
}

/// Whether `password` is the one that `hash` was made of. `None` takes as long and is never right.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let parsed = PasswordHash::new(hash.unwrap_or_else(|| nobody())).or_else(|_| PasswordHash::new(nobody()));
    let Ok(parsed) = parsed else { return false };
    let right = Argon2::default()
        .verify_password(password.as_bytes(), &parsed)
        .is_ok();
    right && hash.is_some()
}

/// The hash of nothing in particular: checking it costs what checking a real one costs.
fn nobody() -> &'static str {
    static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this password").unwrap_or_default());
    &NOBODY
}

/// A random token of 160 bits, as text of letters and digits.
///
/// # Errors
/// When the machine gives no random bytes.
pub fn random_token(prefix: &str) -> Result<String, EngineError> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes)
        .map_err(|error| EngineError::Internal(format!("no random bytes: {error}")))?;
    Ok(format!("{prefix}{}", hex::encode(bytes)))
}

/// A password that people can type: 20 characters without look-alikes, about 99 bits.
///
/// # Errors
/// When the machine gives no random bytes.
pub fn random_password() -> Result<String, EngineError> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes)
        .map_err(|error| EngineError::Internal(format!("no random bytes: {error}")))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 31)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_verify_only_against_their_own_hash() {
        let stored = hash("correct horse").expect("hashed");
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("wrong horse", Some(&stored)));
        assert!(!verify("correct horse", None));
        assert!(hash("short").is_err());
    }

    #[test]
    fn an_unknown_user_is_checked_against_a_hash_of_the_same_cost() {
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        let stored = hash("another password").expect("hashed");
        assert_eq!(cost(nobody()), cost(&stored));
    }
}
