//! A secret that a plan file holds in plain.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password, key or passphrase as the plan file gives it, perhaps with variables in it.
///
/// Whoever reads the repository reads it there; so it is stored with the plan version as it is. It is never shown by
/// [`fmt::Debug`], so that it does not come into logs by accident.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The secret with this content.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The content, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether another server encrypted it, so that it has to be entered anew.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.0.starts_with(super::FOREIGN_SECRET_PREFIX)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(********)")
    }
}
