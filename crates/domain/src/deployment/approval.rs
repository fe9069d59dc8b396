//! Whether a release may go to an environment.

use serde::{Deserialize, Serialize};

use crate::plan::ReleaseApproval;

/// What people said of a release (bamboo-rest.md 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReleaseStatus {
    /// Nothing.
    #[default]
    Unknown,
    /// It may go on.
    Approved,
    /// It may not.
    Broken,
    /// Somebody is not done with it.
    Incomplete,
}

impl ReleaseStatus {
    /// The word of the REST API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Approved => "APPROVED",
            Self::Broken => "BROKEN",
            Self::Incomplete => "INCOMPLETE",
        }
    }

    /// The status of this word, in any case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Unknown, Self::Approved, Self::Broken, Self::Incomplete]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(word))
    }
}

/// Why a release may not go to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefusal {
    /// Somebody called it broken.
    #[error("the release is marked as broken")]
    Broken,
    /// Nobody approved it.
    #[error("the environment takes approved releases only, and this one is not approved")]
    NotApproved,
}

/// Whether a release with this status may go to an environment that asks for this.
///
/// # Errors
/// What is in the way.
pub fn may_deploy(needed: ReleaseApproval, status: ReleaseStatus) -> Result<(), ApprovalRefusal> {
    match (needed, status) {
        (ReleaseApproval::None, _) | (ReleaseApproval::Approved, ReleaseStatus::Approved) => Ok(()),
        (ReleaseApproval::NotBroken | ReleaseApproval::Approved, ReleaseStatus::Broken) => {
            Err(ApprovalRefusal::Broken)
        }
        (ReleaseApproval::NotBroken, _) => Ok(()),
        (ReleaseApproval::Approved, _) => Err(ApprovalRefusal::NotApproved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prerequisite_takes_the_releases_that_it_says() {
        use ReleaseStatus::{Approved, Broken, Incomplete, Unknown};
        let table = [
            (ReleaseApproval::NotBroken, [true, true, false, true]),
            (ReleaseApproval::Approved, [false, true, false, false]),
            (ReleaseApproval::None, [true, true, true, true]),
        ];
        for (needed, expected) in table {
            let found =
                [Unknown, Approved, Broken, Incomplete].map(|status| may_deploy(needed, status).is_ok());
            assert_eq!(found, expected, "{needed:?}");
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(ReleaseStatus::named("approved"), Some(ReleaseStatus::Approved));
        assert_eq!(ReleaseStatus::named("BROKEN"), Some(ReleaseStatus::Broken));
        assert_eq!(ReleaseStatus::named("fine"), None);
    }
}
