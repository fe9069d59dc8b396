//! Stops builds: `DELETE /queue/{plan}-{n}`, `stopPlan.action`, `madake build stop`.

use madake_domain::key::{PlanKey, ResultKey};
use madake_domain::permission::Permission;
use madake_domain::schedule::Input;
use madake_store::{Tx, build, build_query, decision, event};

use crate::access::{Caller, plan_for};
use crate::enqueue::start_waiting;
use crate::schedule::apply;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Stops one build; a build that has ended stays as it is, and that is no error.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn stop_build(&self, caller: &Caller, key: &ResultKey) -> Result<(), EngineError> {
        let (caller, key, limit) = (caller.clone(), key.clone(), self.settings().concurrent_builds);
        self.store()
            .write(move |tx| {
                let (_, branch) = plan_for(tx, &caller, &key.plan, Permission::Build)?;
                let found = build::by_number(tx, branch.id, key.number)?.ok_or_else(|| {
                    EngineError::NotFound(format!("Result {} for {} not found.", key.number, key.plan))
                })?;
                stop(tx, &caller, &found, limit)
            })
            .await
    }

    /// Stops all builds of a plan or plan branch and takes what waits out of the line; says how many it stopped.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn stop_plan(&self, caller: &Caller, key: &PlanKey) -> Result<usize, EngineError> {
        let (caller, key, limit) = (caller.clone(), key.clone(), self.settings().concurrent_builds);
        self.store()
            .write(move |tx| {
                let (_, branch) = plan_for(tx, &caller, &key, Permission::Build)?;
                for waiting in build::waiting(tx, branch.id)? {
                    build::remove_waiting(tx, waiting.id)?;
                    let sentence = format!("{} stopped the plan while the revision waited", caller.name());
                    decision::set_outcome(tx, waiting.decision_id, None, &sentence)?;
                }
                let running = build_query::active_of_branch(tx, branch.id)?;
                for found in &running {
                    stop(tx, &caller, found, limit)?;
                }
                Ok(running.len())
            })
            .await
    }
}

fn stop(tx: &Tx<'_>, caller: &Caller, found: &build::Build, limit: Option<u32>) -> Result<(), EngineError> {
    let now = clock::now_ms();
    match apply(
        tx,
        found.id,
        Input::Stop {
            by: caller.name().to_owned(),
        },
        now,
    ) {
        Ok(stopped) => {
            if let Some(event_id) = found.event_id {
                event::note(
                    tx,
                    event_id,
                    "info",
                    &format!("{} stopped {}", caller.name(), found.key),
                    now,
                )?;
            }
            if build::is_active(stopped.schedule.summary().life_cycle) {
                return Ok(());
            }
            start_waiting(tx, found.plan_branch_id, limit, now)
        }
        // It had ended: nothing is left to stop.
        Err(EngineError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
