//! Mercurial: hosting, serving, reading, mirroring, checking out, and hooks in repositories of others.
//!
//! Only the configuration of the server counts: `.hg/hgrc` of a repository is never read, subrepositories are never
//! followed, and no extension is loaded but ours (`madake.py`).

pub mod checkout;
pub mod hook;
pub mod host;
pub mod job_push;
pub mod mirror;
pub mod name;
pub mod read;
pub mod serve;

use std::path::Path;
use std::time::Duration;

use thiserror::Error;

pub use crate::pool::PoolLimits;
use crate::process::{HgProgram, ProcessError};

/// The oldest Mercurial that is known to work.
pub const OLDEST_VERSION: (u32, u32) = (6, 1);

/// Why a program is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It could not be asked.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It is too old, or is something else.
    #[error("hg {found:?} is not Mercurial 6.1 or later: install a newer one or name its path")]
    Unfit {
        /// What it said that it is.
        found: String,
    },
}

/// The version of the program, such as `6.3.2`.
///
/// # Errors
/// [`VersionError::Unfit`] before [`OLDEST_VERSION`].
pub async fn version(hg: &HgProgram) -> Result<String, VersionError> {
    let command = hg.command("hg version").args(["-T", "{ver}"]);
    let output = command.timeout(Duration::from_secs(30)).run().await?;
    let found = crate::text::display_line(String::from_utf8_lossy(&output.stdout).trim(), 100);
    let mut numbers = found
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST_VERSION => Ok(found),
        // `7` alone, as a version of a year might be.
        (Some(Ok(major)), _) if major > OLDEST_VERSION.0 => Ok(found),
        _ => Err(VersionError::Unfit { found }),
    }
}

/// Whether there is a Mercurial repository at `path`.
#[must_use]
pub fn is_repository(path: &Path) -> bool {
    path.join(".hg").is_dir()
}
