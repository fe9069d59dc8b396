//! Notices secrets that were written one character, or two, in each line (hostile-inputs.md S1).

use super::searcher::Searcher;
use super::weakness::weakness;

/// Lines with more characters are not pieces of a word that was taken apart.
const LONGEST_PIECE: usize = 2;
/// Shorter secrets would be found by chance.
const SHORTEST_SECRET: usize = 6;

/// Puts very short lines of a log together again, and looks for secrets in what they give.
pub struct LeakWatch {
    secrets: Option<Searcher>,
    pub(super) pieces: Vec<u8>,
    suspected: bool,
}

impl std::fmt::Debug for LeakWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeakWatch")
            .field("suspected", &self.suspected)
            .finish_non_exhaustive()
    }
}

impl LeakWatch {
    /// A watch over these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: Vec<String> = secrets
            .into_iter()
            .filter(|secret| weakness(secret).is_none())
            .map(without_blanks)
            .filter(|secret| secret.chars().count() >= SHORTEST_SECRET)
            .flat_map(|secret| [secret.chars().rev().collect(), secret])
            .collect();
        Self {
            secrets: Searcher::new(texts.into_iter().map(String::into_bytes)),
            pieces: Vec::new(),
            suspected: false,
        }
    }

    /// Looks at the next line of the log.
    pub fn line(&mut self, line: &[u8]) {
        let Some(secrets) = &self.secrets else { return };
        if self.suspected {
            return;
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if line.len() > LONGEST_PIECE * 4
            || std::str::from_utf8(line).is_ok_and(|text| text.chars().count() > LONGEST_PIECE)
        {
            self.pieces.clear();
            return;
        }
        self.pieces.extend_from_slice(line);
        let unseen = secrets.longest() + line.len();
        let from = self.pieces.len().saturating_sub(unseen);
        self.suspected = secrets.find(&self.pieces, from).is_some();
        if self.pieces.len() > unseen * 4 {
            self.pieces.drain(..from);
        }
    }

    /// Whether a secret seems to have been written in pieces.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.suspected
    }
}

fn without_blanks(secret: &str) -> String {
    secret.chars().filter(|letter| !letter.is_whitespace()).collect()
}
