//! Reads a log while it grows: whole lines from an offset on.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// A piece of a log is read at least this long, so that the longest line fits.
const SHORTEST_PIECE: usize = 256 * 1024;

/// Lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPiece {
    /// Whole lines, each with its line feed; see [`madake_protocol::log::LogLine`].
    pub text: String,
    /// The offset in bytes to read on from.
    pub next_offset: u64,
}

impl LogPiece {
    /// The lines without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }
}

/// Reads the whole lines behind `from_offset`, as many as fit into `most_bytes` (but at least 256 KiB are read).
/// A log that does not exist yet is empty. An offset behind the end gives nothing.
///
/// # Errors
/// When the file cannot be read.
pub fn tail(log_path: &Path, from_offset: u64, most_bytes: usize) -> io::Result<LogPiece> {
    let nothing = LogPiece {
        text: String::new(),
        next_offset: from_offset,
    };
    let mut file = match File::open(log_path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing),
        file => file?,
    };
    file.seek(SeekFrom::Start(from_offset))?;
    let mut bytes = Vec::new();
    file.take(most_bytes.max(SHORTEST_PIECE) as u64)
        .read_to_end(&mut bytes)?;
    let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(nothing);
    };
    bytes.truncate(last + 1);
    Ok(LogPiece {
        next_offset: from_offset + bytes.len() as u64,
        text: String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_read_from_an_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert_eq!(tail(&path, 0, 0).unwrap(), LogPiece::default());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let piece = tail(&path, 0, 0).unwrap();
        assert_eq!(
            (piece.lines().collect::<Vec<_>>(), piece.next_offset),
            (vec!["one", "two"], 8)
        );
        assert_eq!(tail(&path, 8, 0).unwrap().next_offset, 8);
        assert_eq!(tail(&path, 4, 0).unwrap().text, "two\n");
        assert_eq!(tail(&path, 99, 0).unwrap().text, "");
    }
}
