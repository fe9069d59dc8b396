//! What a job is about to push.

use serde::{Deserialize, Serialize};

use crate::message::MessageError;

/// That a ref is about to be pushed. Written before anything goes over the network, a line for each ref, so that the
/// server knows whose push it is whenever it finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedPush {
    /// The repository, by [`crate::PushRight::repository_id`].
    pub repository_id: i64,
    /// The full name of the ref, `refs/heads/...`.
    pub ref_name: String,
    /// Where it will be.
    pub revision: String,
}

impl AnnouncedPush {
    /// Reads lines. One that is not whole is being written: its push has not begun.
    #[must_use]
    pub fn from_lines(text: &[u8]) -> Vec<Self> {
        text.split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }

    /// The line, with its end.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_line(&self) -> Result<Vec<u8>, MessageError> {
        let mut line = crate::message::write("announced push", self)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_that_is_not_whole_is_no_push_yet() {
        let one = AnnouncedPush {
            repository_id: 3,
            ref_name: "refs/heads/a\"b".into(),
            revision: "5".repeat(40),
        };
        let line = one.to_line().unwrap();
        let mut text = line.clone();
        text.extend_from_slice(&line[..line.len() - 2]);
        assert_eq!(AnnouncedPush::from_lines(&text), [one]);
        assert_eq!(AnnouncedPush::from_lines(b""), []);
    }
}
