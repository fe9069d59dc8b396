//! Listening to other forges: which webhook serves which linked repository, and how well we hear.

mod known;
pub(crate) mod untold;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use madake_store::Millis;

pub(crate) use self::known::{KnownWebhook, KnownWebhooks, Scope};

/// How long a note of a webhook stands for those that follow it: in a flood, one a second is enough.
const NOTED_FOR_MS: Millis = 1000;

/// When it was last noted that a webhook told of a repository.
#[derive(Debug, Default)]
pub(crate) struct ToldNotes(Mutex<HashMap<i64, (i64, Millis)>>);

impl ToldNotes {
    /// Whether a delivery of `webhook_id` about a repository is to be noted now. If it is, the caller notes it.
    pub(crate) fn is_due(&self, repository_id: i64, webhook_id: i64, now: Millis) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get(&repository_id) {
            Some((by, at)) if *by == webhook_id && now < at + NOTED_FOR_MS && *at <= now => false,
            _ => {
                noted.insert(repository_id, (webhook_id, now));
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
            (1, 10, 0),
            (1, 10, 999),
            (1, 11, 999),
            (2, 10, 999),
            (1, 11, 1998),
            (1, 11, 1999),
        ]
        .into_iter()
        .map(|(repository, webhook, now)| notes.is_due(repository, webhook, now))
        .collect();
        assert_eq!(due, [true, false, true, true, false, true]);
        notes.forget(1);
        assert!(notes.is_due(1, 11, 2000));
        // A clock that was set back does not silence it.
        assert!(notes.is_due(1, 11, 5));
    }
}
