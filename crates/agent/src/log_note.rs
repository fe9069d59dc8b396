//! A word in the log of a job that no supervisor runs.

use std::io;
use std::path::Path;

use madake_protocol::log::LogKind;

use crate::log::{Log, Stamp};

/// Appends a text to the log at `path`, which is made when missing; each line of the text becomes a line of it.
/// `time_zone` is an IANA name.
///
/// # Errors
/// When the log cannot be opened.
pub fn append(path: &Path, time_zone: &str, kind: LogKind, text: &str) -> io::Result<()> {
    let log = Log::open(path, Stamp::new(time_zone), &[], None)?;
    log.say(kind, text);
    Ok(())
}
