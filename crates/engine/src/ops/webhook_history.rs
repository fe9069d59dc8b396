//! What became of the attempts to reach a receiver: the newest of each outcome, and counts.

use madake_store::delivery::{self, Body};
use madake_store::delivery_history::{self, Counts, Kind, Outcome, Tried};

use crate::access::Caller;
use crate::{Engine, EngineError, clock};

/// How far back counts go: as long as the delivery log is kept.
const WINDOW_MS: i64 = 30 * 24 * 3600 * 1000;

/// An attempt with what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The attempt.
    pub tried: Tried,
    /// What was sent, if it is still kept.
    pub body: Option<Body>,
}

/// How often a receiver was tried, with what outcome, and the newest attempt of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationHistory {
    /// The counts.
    pub counts: Counts,
    /// Since when they count, in milliseconds since 1970.
    pub since_ms: i64,
    /// Until when they count, in milliseconds since 1970.
    pub until_ms: i64,
    /// The newest attempt with each outcome that there was.
    pub newest: Vec<(Outcome, Tried)>,
}

impl Engine {
    /// The newest attempt to reach a receiver.
    ///
    /// # Errors
    /// When the receiver is not there, or the caller may not.
    pub async fn newest_invocation(
        &self,
        caller: &Caller,
        receiver_id: i64,
        kind: Kind,
        outcome: Option<Outcome>,
    ) -> Result<Option<Invocation>, EngineError> {
        self.administered_receiver(caller, receiver_id).await?;
        self.store()
            .read(move |tx| {
                let Some(tried) = delivery_history::newest(tx, receiver_id, kind, outcome)? else {
                    return Ok(None);
                };
                let body = delivery::body(tx, tried.delivery_id)?;
                Ok::<_, EngineError>(Some(Invocation { tried, body }))
            })
            .await
    }

    /// How often a receiver was tried, and how that went.
    ///
    /// # Errors
    /// When the receiver is not there, or the caller may not.
    pub async fn invocation_history(
        &self,
        caller: &Caller,
        receiver_id: i64,
        kind: Kind,
    ) -> Result<InvocationHistory, EngineError> {
        self.administered_receiver(caller, receiver_id).await?;
        let until_ms = clock::now_ms();
        let since_ms = until_ms - WINDOW_MS;
        self.store()
            .read(move |tx| {
                let mut newest = Vec::new();
                for outcome in Outcome::ALL {
                    if let Some(tried) = delivery_history::newest(tx, receiver_id, kind, Some(outcome))? {
                        newest.push((outcome, tried));
                    }
                }
                Ok::<_, EngineError>(InvocationHistory {
                    counts: delivery_history::counts(tx, receiver_id, kind, since_ms)?,
                    since_ms,
                    until_ms,
                    newest,
                })
            })
            .await
    }
}
