//! Regular expressions of plans. The engine takes time linear in the text (hostile-inputs L1); look-around and
//! back references, which Java knows, cannot be read by it.

use regex::{Regex, RegexBuilder};

use crate::text::inert;

/// The most memory that one compiled expression may take, in bytes.
const SIZE_LIMIT: usize = 2 << 20;

/// A pattern as the plan writes it, and what became of it.
pub(crate) struct Pattern {
    text: String,
    regex: Result<Regex, String>,
}

impl Pattern {
    /// One that must match the whole text.
    pub(crate) fn whole(text: &str) -> Self {
        Self::new(text, &format!(r"\A(?:{text})\z"))
    }

    /// One that may match anywhere in the text.
    pub(crate) fn anywhere(text: &str) -> Self {
        Self::new(text, text)
    }

    fn new(text: &str, expression: &str) -> Self {
        // The pattern alone must be readable, so that it cannot close the group around it.
        let regex = Regex::new(text).and_then(|_| {
            RegexBuilder::new(expression)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SIZE_LIMIT)
                .build()
        });
        Self {
            text: inert(text, 200),
            regex: regex.map_err(|error| {
                let text = error.to_string();
                inert(text.lines().last().unwrap_or("it cannot be read"), 200)
            }),
        }
    }

    /// The pattern, printable.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches.
    ///
    /// # Errors
    /// Why the pattern cannot be read.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, &str> {
        match &self.regex {
            Ok(regex) => Ok(regex.is_match(text)),
            Err(problem) => Err(problem),
        }
    }
}
