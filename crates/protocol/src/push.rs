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
    /// Where the ref was before, unless it was new or at what the job builds: what came to it meanwhile may be somebody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
    /// The repository refused it: what was announced last of this ref and revision was not made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

impl AnnouncedPush {
    /// Reads lines, and gives what was not refused. One that is not whole is being written: its push has not begun.
    #[must_use]
    pub fn from_lines(text: &[u8]) -> Vec<Self> {
        let mut made: Vec<Self> = Vec::new();
        let lines = text.split(|byte| *byte == b'\n');
        for one in lines.filter_map(|line| serde_json::from_slice::<Self>(line).ok()) {
            if !one.refused {
                made.push(one);
            } else if let Some(last) = made.iter().rposition(|before| before.is_of(&one)) {
                made.remove(last);
            }
        }
        made
    }

    fn is_of(&self, other: &Self) -> bool {
        self.repository_id == other.repository_id
            && self.ref_name == other.ref_name
            && self.revision == other.revision
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

    fn push(ref_name: &str, digit: &str) -> AnnouncedPush {
        AnnouncedPush {
            repository_id: 3,
            ref_name: ref_name.into(),
            revision: digit.repeat(40),
            onto: None,
            refused: false,
        }
    }

    #[test]
    fn line_that_is_not_whole_is_no_push_yet() {
        let one = push("refs/heads/a\"b", "5");
        let line = one.to_line().unwrap();
        let mut text = line.clone();
        text.extend_from_slice(&line[..line.len() - 2]);
        assert_eq!(AnnouncedPush::from_lines(&text), [one]);
        assert_eq!(AnnouncedPush::from_lines(b""), []);
    }

    #[test]
    fn refused_push_takes_back_the_last_announcement_of_its_ref_alone() {
        let first = push("refs/heads/master", "5");
        let again = AnnouncedPush {
            onto: Some("4".repeat(40)),
            ..first.clone()
        };
        let others = [push("refs/heads/other", "5"), push("refs/heads/master", "6")];
        let refused = AnnouncedPush {
            refused: true,
            ..first.clone()
        };
        let mut text = Vec::new();
        for line in [&first, &others[0], &again, &others[1], &refused] {
            text.extend(line.to_line().unwrap());
        }
        let [other, later] = others;
        assert_eq!(
            AnnouncedPush::from_lines(&text),
            [first.clone(), other.clone(), later.clone()]
        );
        text.extend(refused.to_line().unwrap());
        assert_eq!(AnnouncedPush::from_lines(&text), [other, later]);
    }
}
