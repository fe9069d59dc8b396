//! Takes pushes to hosted Mercurial repositories: what hg asks while it serves one.

use std::sync::{Mutex, PoisonError};

use madake_store::event::Via;
use madake_store::repository::Repository;
use madake_vcs::hg::serve::{PushKeeper, PushReport};

use super::receive_push::PushInFlight;
use crate::Engine;
use crate::access::Caller;
use crate::specs::tell_pusher::Moved;

/// Answers for the pushes of one session with one repository.
#[derive(Debug)]
pub struct HgPushKeeper {
    engine: Engine,
    caller: Caller,
    repository: Repository,
    via: Via,
    /// There from the moment at which a push may become visible until it is in the ledger. A session also reads, for as
    /// long as the client likes, and reconciliation need not wait for that.
    in_flight: Mutex<Option<PushInFlight>>,
}

impl Engine {
    /// What answers for the pushes of `caller` to a hosted repository.
    #[must_use]
    pub fn hg_push_keeper(&self, caller: Caller, repository: Repository, via: Via) -> HgPushKeeper {
        HgPushKeeper {
            engine: self.clone(),
            caller,
            repository,
            via,
            in_flight: Mutex::new(None),
        }
    }
}

impl HgPushKeeper {
    fn set_in_flight(&self, push: Option<PushInFlight>) {
        *self.in_flight.lock().unwrap_or_else(PoisonError::into_inner) = push;
    }
}

impl PushKeeper for HgPushKeeper {
    async fn permit(&self, push: PushReport) -> Result<(), String> {
        // That the caller may push at all was found out before hg was started.
        self.engine
            .judge_hg_push(&self.caller, &self.repository, &push.changes)
            .await?;
        self.set_in_flight(Some(self.engine.begin_push(self.repository.id)));
        Ok(())
    }

    async fn denied(&self) {
        self.engine.note_denied_push(&self.caller, &self.repository).await;
    }

    async fn record(&self, push: PushReport) -> Result<Vec<String>, String> {
        let name = &self.repository.name;
        let recorded = self
            .engine
            .receive_hg_push(&self.caller, &self.repository, &push, self.via)
            .await;
        self.set_in_flight(None);
        match recorded {
            Ok(Some(received)) => {
                tracing::info!(repository = %name, event = received.id(), "push to {name} entered as event {}", received.id());
                let id = |id: madake_vcs::name::ObjectId| (!id.is_zero()).then_some(id);
                let moved: Vec<Moved> = push
                    .moves
                    .iter()
                    .map(|one| (one.name.to_string(), id(one.old), id(one.new)))
                    .collect();
                Ok(self.engine.tell_pusher(&self.repository, &moved).await)
            }
            Ok(None) => Ok(Vec::new()),
            Err(error) => {
                tracing::error!(repository = %name, "a push to {name} is in the repository but not in the ledger yet: {error}");
                Err(format!(
                    "the push is stored but could not be recorded; it will be found and built later ({error})"
                ))
            }
        }
    }
}
