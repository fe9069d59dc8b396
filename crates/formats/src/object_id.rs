//! Object ids as text: full, lower-case hexadecimal, 40 or 64 digits (hostile-inputs.md W12).

use std::fmt;

/// A full object id of Git (SHA-1 or SHA-256) or Mercurial (SHA-1). Never all zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectIdText(String);

impl ObjectIdText {
    /// Reads an id that must name an object.
    ///
    /// # Errors
    ///
    /// [`ObjectIdProblem`] for every other text, the all-zero id among them.
    pub fn parse(text: &str) -> Result<Self, ObjectIdProblem> {
        Self::parse_or_zero(text)?.ok_or(ObjectIdProblem::Zero)
    }

    /// Reads an id where the all-zero id means "no object": the `from` of an addition, the `to` of a
    /// deletion.
    ///
    /// # Errors
    ///
    /// [`ObjectIdProblem`] when the text is not 40 or 64 lower-case hexadecimal digits.
    pub fn parse_or_zero(text: &str) -> Result<Option<Self>, ObjectIdProblem> {
        if !matches!(text.len(), 40 | 64) {
            return Err(ObjectIdProblem::Length);
        }
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ObjectIdProblem::Digits);
        }
        Ok(text
            .bytes()
            .any(|byte| byte != b'0')
            .then(|| Self(text.to_owned())))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectIdText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is not a full object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectIdProblem {
    /// Not 40 and not 64 bytes long.
    #[error("not 40 or 64 digits long; abbreviated ids are not accepted")]
    Length,
    /// Something else than `0`-`9` and `a`-`f`.
    #[error("has something else than the digits 0-9 and a-f in lower case")]
    Digits,
    /// All zeros where an object is needed.
    #[error("is the all-zero id, which names no object")]
    Zero,
    /// The two ids of one change are of different kinds.
    #[error("differs in length from the other id of the same change")]
    MixedLengths,
}

#[cfg(test)]
mod tests {
    use super::{ObjectIdProblem, ObjectIdText};

    #[test]
    fn only_full_lower_case_ids_are_accepted() {
        let upper = "A".repeat(40);
        let table = [
            ("W12 option", "-n1", Err(ObjectIdProblem::Length)),
            ("W12 39 digits", &"a".repeat(39), Err(ObjectIdProblem::Length)),
            ("W12 41 digits", &"a".repeat(41), Err(ObjectIdProblem::Length)),
            ("W12 upper case", &upper, Err(ObjectIdProblem::Digits)),
            (
                "W12 option of 40 bytes",
                &format!("-{}", "a".repeat(39)),
                Err(ObjectIdProblem::Digits),
            ),
            (
                "W12 40 bytes of letters beyond ascii",
                &"é".repeat(20),
                Err(ObjectIdProblem::Digits),
            ),
            ("empty", "", Err(ObjectIdProblem::Length)),
            ("40 zeros", &"0".repeat(40), Ok(None)),
            ("64 zeros", &"0".repeat(64), Ok(None)),
            ("sha-1", &"a1".repeat(20), Ok(Some("a1".repeat(20)))),
            ("sha-256", &"0f".repeat(32), Ok(Some("0f".repeat(32)))),
        ];
        for (case, text, expected) in table {
            let read = ObjectIdText::parse_or_zero(text).map(|id| id.map(|id| id.to_string()));
            assert_eq!(read, expected, "{case}");
        }
        assert_eq!(ObjectIdText::parse(&"0".repeat(40)), Err(ObjectIdProblem::Zero));
    }
}
