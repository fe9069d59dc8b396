//! Takes a push to a hosted repository: entered in the ledger before the pusher is told that it went well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use madake_domain::text::counted;
use madake_store::event::{self, Content, NewEvent, Received, RefUpdate, Via};
use madake_store::repository::Repository;
use madake_vcs::git::smart_http::PushReport;
use madake_vcs::hg;
use uuid::Uuid;

use crate::access::Caller;
use crate::{Engine, EngineError, clock};

/// Names that cannot be refs, of one push, that the entry tells of at most.
const REFUSED_NAMED: usize = 50;

/// Repositories to which somebody pushes just now, with the number of pushes.
#[derive(Debug, Clone, Default)]
pub(crate) struct PushesInFlight {
    counts: Arc<Mutex<HashMap<i64, usize>>>,
}

/// A push that is going on; it ends with the drop.
#[derive(Debug)]
pub struct PushInFlight {
    counts: Arc<Mutex<HashMap<i64, usize>>>,
    repository_id: i64,
}

impl Drop for PushInFlight {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.repository_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.repository_id);
            }
        }
    }
}

impl PushesInFlight {
    pub(crate) fn contains(&self, repository_id: i64) -> bool {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&repository_id)
    }
}

impl Engine {
    /// Notes that a push to a hosted repository begins; reconciliation leaves it alone until the guard is dropped.
    #[must_use]
    pub fn begin_push(&self, repository_id: i64) -> PushInFlight {
        let counts = Arc::clone(&self.pushes_in_flight().counts);
        *counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(repository_id)
            .or_default() += 1;
        PushInFlight {
            counts,
            repository_id,
        }
    }

    /// Enters the refs that a push to a hosted repository moved. After this returns, the push is safe.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when nothing can be stored; reconciliation enters the push later.
    pub async fn receive_push(
        &self,
        caller: &Caller,
        found: &Repository,
        report: &PushReport,
        via: Via,
    ) -> Result<Option<Received>, EngineError> {
        self.note_rewrites(caller, found, report).await;
        let id = |id: madake_vcs::name::ObjectId| (!id.is_zero()).then(|| id.to_string());
        let updates: Vec<RefUpdate> = report
            .moved()
            .map(|update| RefUpdate {
                name: update.name.to_string(),
                old: id(update.old),
                new: id(update.new),
            })
            .collect();
        self.enter_push(
            caller,
            found,
            updates,
            report.push_options.clone(),
            Vec::new(),
            via,
        )
        .await
    }

    /// As [`Self::receive_push`], for what hg tells. Names that cannot be refs are noted in the entry.
    ///
    /// # Errors
    /// As [`Self::receive_push`].
    pub(crate) async fn receive_hg_push(
        &self,
        caller: &Caller,
        found: &Repository,
        report: &hg::serve::PushReport,
        via: Via,
    ) -> Result<Option<Received>, EngineError> {
        let id = |id: madake_vcs::name::ObjectId| (!id.is_zero()).then(|| id.to_string());
        let mut moves: Vec<_> = report.moves.iter().collect();
        // Commits are told with the first name that has them: a branch before a bookmark, and that before a tag.
        moves.sort_by_key(|one| one.kind);
        let updates = moves.into_iter().map(|one| RefUpdate {
            name: one.name.to_string(),
            old: id(one.old),
            new: id(one.new),
        });
        self.enter_push(
            caller,
            found,
            updates.collect(),
            Vec::new(),
            report.refused.clone(),
            via,
        )
        .await
    }

    async fn enter_push(
        &self,
        caller: &Caller,
        found: &Repository,
        updates: Vec<RefUpdate>,
        options: Vec<String>,
        refused: Vec<String>,
        via: Via,
    ) -> Result<Option<Received>, EngineError> {
        if updates.is_empty() {
            return Ok(None);
        }
        let raw = updates.iter().fold(String::new(), |mut text, update| {
            let shown = |id: &Option<String>| id.clone().unwrap_or_else(|| "0".repeat(40));
            text.push_str(&format!(
                "{} {} {}\n",
                shown(&update.old),
                shown(&update.new),
                update.name
            ));
            text
        });
        let current = self.current_refs(found, &updates).await;
        let new = NewEvent {
            kind: "push",
            delivery_id: Some(Uuid::now_v7().to_string()),
            address: caller.address.clone(),
            principal: caller.name().to_owned(),
            repository_id: Some(found.id),
            plan_key: None,
            summary: format!("push to {} ({})", found.name, counted(updates.len(), "ref")),
            raw: raw.into_bytes(),
            content: Content::Push {
                via,
                updates,
                pusher: Some(caller.name().to_owned()),
                options,
            },
        };
        let received = self
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let received = event::receive_push(tx, new, Some(&current), now)?;
                for name in refused.iter().take(REFUSED_NAMED) {
                    event::note(tx, received.id(), "warning", &format!("not built: {name}"), now)?;
                }
                Ok::<_, EngineError>(received)
            })
            .await?;
        Ok(Some(received))
    }
}
