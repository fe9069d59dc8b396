//! Shows how we hear of pushes to each linked repository.

use madake_domain::hearing::Hearing;
use madake_domain::permission::Permission;
use madake_store::hearing::{self, Heard};
use madake_store::repository::{self, Repository};
use madake_store::webhook;

use crate::access::{Caller, Target, may};
use crate::{Engine, EngineError};

/// A linked repository and how we hear of it.
#[derive(Debug, Clone)]
pub struct ShownHearing {
    /// The repository.
    pub repository: Repository,
    /// What is known.
    pub heard: Heard,
    /// How many webhooks of its own it has.
    pub webhooks: usize,
    /// The pause between looks at the server's interval, in milliseconds. Plans may ask for shorter ones.
    pub pause_ms: i64,
    /// In a word how it stands.
    pub state: HearingState,
}

/// How it stands with hearing of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HearingState {
    /// Webhooks tell us, and none was missed since.
    Told,
    /// Webhooks told us, and then a look found what none had announced.
    Missed,
    /// No webhook ever told us: it is looked at.
    Polled,
    /// It cannot be read.
    Unreachable,
}

impl HearingState {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Missed => "missed",
            Self::Polled => "polled",
            Self::Unreachable => "unreachable",
        }
    }

    fn of(repository: &Repository, hearing: &Hearing) -> Self {
        if repository.problem.is_some() {
            Self::Unreachable
        } else if hearing.is_reliable() {
            Self::Told
        } else if hearing.told_ms.is_some() {
            Self::Missed
        } else {
            Self::Polled
        }
    }
}

impl Engine {
    /// How we hear of each linked repository that the caller may read, and how many webhooks serve them all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn show_hearing(&self, caller: &Caller) -> Result<(Vec<ShownHearing>, usize), EngineError> {
        let caller = caller.clone();
        let shortest_ms =
            i64::try_from(self.settings().poll_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        self.store()
            .read(move |tx| {
                let mut shown = Vec::new();
                for one in repository::linked(tx)? {
                    if !may(tx, &caller, Permission::Read, Target::Repository(&one))? {
                        continue;
                    }
                    let heard = hearing::of(tx, one.id)?;
                    shown.push(ShownHearing {
                        webhooks: webhook::of_repository(tx, one.id)?.len(),
                        pause_ms: heard.hearing.pause_ms(shortest_ms),
                        state: HearingState::of(&one, &heard.hearing),
                        repository: one,
                        heard,
                    });
                }
                Ok((shown, webhook::of_all(tx)?.len()))
            })
            .await
    }
}
