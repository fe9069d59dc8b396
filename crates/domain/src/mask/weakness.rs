//! Secrets that cannot be masked without blanking out ordinary words (hostile-inputs.md S3).

use std::fmt;

/// Secrets with fewer characters are left alone.
const SHORTEST_SECRET: usize = 4;

/// Words that logs are full of.
const COMMON_WORDS: [&str; 47] = [
    "admin",
    "agent",
    "bamboo",
    "branch",
    "build",
    "changeme",
    "code",
    "completed",
    "debug",
    "default",
    "demo",
    "develop",
    "error",
    "false",
    "failed",
    "file",
    "guest",
    "info",
    "jenkins",
    "latest",
    "localhost",
    "madake",
    "main",
    "master",
    "maven",
    "none",
    "null",
    "passed",
    "password",
    "prod",
    "production",
    "release",
    "root",
    "secret",
    "server",
    "success",
    "successful",
    "test",
    "tests",
    "token",
    "true",
    "undefined",
    "user",
    "username",
    "version",
    "warn",
    "warning",
];

/// Why a secret is not masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretWeakness {
    /// It has fewer than four characters.
    TooShort,
    /// It is an ordinary word, or a short number.
    CommonWord,
}

impl fmt::Display for SecretWeakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => {
                "the value has fewer than 4 characters and will not be masked in logs; choose a longer one"
            }
            Self::CommonWord => {
                "the value is a common word and will not be masked in logs; choose one that nobody can guess"
            }
        })
    }
}

/// Why this secret is not masked, if it is not: what a person is warned of who saves it.
#[must_use]
pub fn weakness(secret: &str) -> Option<SecretWeakness> {
    let text = secret.trim();
    if text.chars().count() < SHORTEST_SECRET {
        return Some(SecretWeakness::TooShort);
    }
    let is_small_number = text.len() == SHORTEST_SECRET && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_common = is_small_number || COMMON_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    is_common.then_some(SecretWeakness::CommonWord)
}
