//! Why an operation did not happen, in the terms that its caller can act on.

use madake_domain::permission::Permission;
use madake_store::StoreError;

/// Why an operation did not happen. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// What the request names is not there (or the caller may not know that it is).
    #[error("{0}")]
    NotFound(String),
    /// The request is not one that can be carried out.
    #[error("{0}")]
    Invalid(String),
    /// Something of that name exists already.
    #[error("{0}")]
    Exists(String),
    /// The caller is not logged in, and must be.
    #[error("log in first: {needed} on {subject} is needed and anonymous callers do not have it")]
    Unauthenticated {
        /// The permission that lacked.
        needed: Permission,
        /// The thing that it is needed on.
        subject: String,
    },
    /// The caller may not.
    #[error("{principal} lacks the permission {needed} on {subject}{}", if *.token { ", as the access token does not include it" } else { "" })]
    Forbidden {
        /// The caller.
        principal: String,
        /// The permission that lacked.
        needed: Permission,
        /// The thing that it is needed on.
        subject: String,
        /// The token is what stands in the way.
        token: bool,
    },
    /// A rule other than a permission keeps the caller out, such as a list of addresses.
    #[error("{subject} is refused: {reason}")]
    Refused {
        /// The thing.
        subject: String,
        /// The rule and what it looked at.
        reason: String,
    },
    /// The state of things does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// Nothing can be stored now; try again later.
    #[error("{0}")]
    Unavailable(String),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Duplicate(_) => Self::Exists(text),
            StoreError::Missing(_) => Self::NotFound(text),
            StoreError::Unavailable(_) => Self::Unavailable(text),
            StoreError::Refused(_) => Self::Invalid(text),
            _ => Self::Internal(text),
        }
    }
}
