//! Holds new jobs back, and lets them go again. It stays so over a restart.

use std::sync::atomic::Ordering;

use madake_domain::permission::Permission;
use madake_store::{Topic, meta};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError};

/// The name in the store; its value is who paused the server.
const PAUSED_BY: &str = "paused-by";

impl Engine {
    /// Holds new jobs back, or lets them go. Jobs that run go on; arrivals are taken and decided all the same.
    ///
    /// # Errors
    /// When the caller lacks ADMINISTRATION, or the store cannot be written: then nothing has changed.
    pub async fn set_paused(&self, caller: &Caller, paused: bool) -> Result<(), EngineError> {
        // What is in memory must be the last that was stored, whoever asks at the same time.
        let _one_at_a_time = self.pausing().lock().await;
        let asking = caller.clone();
        self.store()
            .write(move |tx| {
                require(tx, &asking, Permission::Administration, Target::Global)?;
                Ok::<_, EngineError>(meta::set(tx, PAUSED_BY, paused.then_some(asking.name()))?)
            })
            .await?;
        self.paused().store(paused, Ordering::Relaxed);
        self.store().wakes().ring(Topic::Queue);
        let (by, word) = (caller.name(), if paused { "paused" } else { "resumed" });
        tracing::info!(principal = %by, "{by} {word} the server");
        Ok(())
    }

    /// Whether new jobs are held back.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused().load(Ordering::Relaxed)
    }

    /// Stays paused if the last server was.
    pub(crate) async fn recall_pause(&self) -> Result<(), EngineError> {
        let by = self
            .store()
            .read(|tx| Ok::<_, EngineError>(meta::get(tx, PAUSED_BY)?))
            .await?;
        if let Some(by) = by {
            self.paused().store(true, Ordering::Relaxed);
            tracing::warn!(
                principal = %by,
                "the server is still paused, as {by} left it: new jobs are held back until `madake server resume`"
            );
        }
        Ok(())
    }
}
