//! Listening to other forges: which webhook serves which linked repository, and how well we hear.

pub(crate) mod forks;
mod known;
pub(crate) mod moved;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use madake_store::Millis;

pub(crate) use self::known::{KnownWebhook, KnownWebhooks, Scope};

/// How long a note of a webhook stands for those that follow it: in a flood, one a second is enough.
const NOTED_FOR_MS: Millis = 1000;

/// When it was last noted that a webhook told of a repository.
#[derive(Debug, Default)]
pub(crate) struct ToldNotes(Mutex<HashMap<i64, (Teller, Millis)>>);

/// A webhook, and the format in which it tells.
type Teller = (i64, &'static str);

impl ToldNotes {
    /// Whether a delivery about a repository is to be noted now. If it is, the caller notes it.
    pub(crate) fn is_due(&self, repository_id: i64, teller: Teller, now: Millis) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get(&repository_id) {
            Some((by, at)) if *by == teller && now < at + NOTED_FOR_MS && *at <= now => false,
            _ => {
                noted.insert(repository_id, (teller, now));
                true
            }
        }
    }

    /// Forgets that it was noted: storing it failed.
    pub(crate) fn forget(&self, repository_id: i64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&repository_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_deliveries_is_noted_once_a_second() {
        let notes = ToldNotes::default();
        let due: Vec<bool> = [
            (1, (10, "github"), 0),
            (1, (10, "github"), 999),
            (1, (11, "github"), 999),
            (2, (10, "github"), 999),
            (1, (11, "github"), 1998),
            (1, (11, "github"), 1999),
            (1, (11, "gitlab"), 1999),
        ]
        .into_iter()
        .map(|(repository, teller, now)| notes.is_due(repository, teller, now))
        .collect();
        assert_eq!(due, [true, false, true, true, false, true, true]);
        notes.forget(1);
        assert!(notes.is_due(1, (11, "gitlab"), 2000));
        // A clock that was set back does not silence it.
        assert!(notes.is_due(1, (11, "gitlab"), 5));
    }
}
