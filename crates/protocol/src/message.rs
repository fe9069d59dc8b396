//! Reading and writing of messages as JSON, with a clear word about a format that this version does not know.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The one format of messages that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message was written by a version with another format.
    #[error(
        "the {what} has format {found}, but this version reads format {FORMAT}; \
         run the version of madake that wrote it, or let the job run again"
    )]
    UnknownFormat {
        /// What was read: `job order`, `job outcome`, ...
        what: &'static str,
        /// The format that it names.
        found: u64,
    },
    /// The text is no JSON, or a field is missing or of the wrong type.
    #[error("the {what} is damaged: {source}")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

/// Reads a message; its format is looked at first, so that a newer one is named instead of called damaged.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, MessageError> {
    let damaged = |source| MessageError::Damaged { what, source };
    let found = serde_json::from_slice::<FormatOnly>(json)
        .map_err(damaged)?
        .format;
    if found != u64::from(FORMAT) {
        return Err(MessageError::UnknownFormat { what, found });
    }
    serde_json::from_slice(json).map_err(damaged)
}

/// Writes a message.
pub(crate) fn write<T: Serialize>(what: &'static str, message: &T) -> Result<Vec<u8>, MessageError> {
    serde_json::to_vec(message).map_err(|source| MessageError::Damaged { what, source })
}
