//! Keeps secrets out of logs, reports and messages: plainly written, and in the forms that programs give them on the
//! way (hostile-inputs.md S1 to S6).
//!
//! Found are the text itself, each of its longer lines, base64 in any alignment and both alphabets, hexadecimal,
//! percent-encoded, as JSON and XML write it, as `set -x` quotes it, and reversed. All forms of all secrets are
//! looked for in one pass. What stands one character in each line cannot be covered any more when it is noticed;
//! [`LeakWatch`] notices it.

mod forms;
mod leak_watch;
mod searcher;
mod weakness;

use std::borrow::Cow;
use std::collections::BTreeSet;

use searcher::Searcher;

pub use leak_watch::LeakWatch;
pub use weakness::{SecretWeakness, weakness};

/// What stands in place of a secret.
pub const COVER: &str = "********";

/// All that must not be shown.
#[derive(Default)]
pub struct Masks {
    /// `None`: there is no secret.
    forms: Option<Searcher>,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(..)")
    }
}

impl Masks {
    /// Masks for these secrets. Those that are [too weak](weakness()) to be told from ordinary words are left alone.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = BTreeSet::new();
        for secret in secrets {
            forms::add(secret, &mut all);
        }
        Self {
            forms: Searcher::new(all),
        }
    }

    /// Masks for what is looked through as a whole, such as files of an artifact: there, what a person would read as a
    /// coincidence must not be found. Secrets of fewer than eight characters are left alone, and those of several lines
    /// count as a whole: single lines of keys and of documents stand in other files too.
    #[must_use]
    pub fn of_whole_secrets<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = BTreeSet::new();
        for secret in secrets {
            forms::add_whole(secret, &mut all);
        }
        Self {
            forms: Searcher::new(all),
        }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forms.is_none()
    }

    /// Where the first secret begins and ends in these bytes.
    #[must_use]
    pub fn first(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        self.forms.as_ref().and_then(|forms| forms.find(bytes, 0))
    }

    /// The length in bytes of the longest text that is looked for; 0 when there is no secret. Who looks at a
    /// stream piece by piece keeps this much back.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.forms.as_ref().map_or(0, Searcher::longest)
    }

    /// The bytes with each secret covered.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut kept = 0;
        for (from, to) in spans {
            masked.extend_from_slice(&text[kept..from]);
            masked.extend_from_slice(COVER.as_bytes());
            kept = to;
        }
        masked.extend_from_slice(&text[kept..]);
        Cow::Owned(masked)
    }

    /// The text with each secret covered.
    #[must_use]
    pub fn apply_to_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.apply(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
        }
    }

    /// Where secrets stand, from the first to the last; those that overlap are one, so no remainder shows.
    #[must_use]
    pub fn spans(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        let Some(forms) = &self.forms else { return spans };
        let mut at = 0;
        while let Some((from, to)) = forms.find(text, at) {
            match spans.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => spans.push((from, to)),
            }
            at = from + 1;
        }
        spans
    }
}

#[cfg(test)]
mod tests;
