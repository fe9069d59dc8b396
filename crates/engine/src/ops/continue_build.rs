//! Lets a build go on at a manual stage, or runs its failed jobs again: `PUT /queue/{plan}-{n}`.

use madake_domain::key::ResultKey;
use madake_domain::permission::Permission;
use madake_domain::schedule::Input;
use madake_domain::stage_selection::{ContinuationKind, StageRequest, plan_continuation};
use madake_domain::variables::give;
use madake_domain::waiting::{Newcomer, admit};
use madake_store::build::{self, Build, Reason};
use madake_store::event;

use crate::access::{Caller, plan_for};
use crate::enqueue::limit_of;
use crate::ops::trigger_build::check_variables;
use crate::schedule::apply;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Continues a build by the algorithm of bamboo-rest.md 6.3.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] with the sentence of the refusal when it is not in a state to go on, when the
    /// stage is unknown or has been run, or at the concurrency limit.
    pub async fn continue_build(
        &self,
        caller: &Caller,
        key: &ResultKey,
        request: StageRequest,
        variables: Vec<(String, String)>,
    ) -> Result<Build, EngineError> {
        check_variables(&variables)?;
        let (caller, key, default_limit) = (caller.clone(), key.clone(), self.settings().concurrent_builds);
        self.store()
            .write(move |tx| {
                let now = clock::now_ms();
                let (_, branch) = plan_for(tx, &caller, &key.plan, Permission::Build)?;
                let found = build::by_number(tx, branch.id, key.number)?.ok_or_else(|| {
                    EngineError::NotFound(format!("Result {} for {} not found.", key.number, key.plan))
                })?;
                let continuation = plan_continuation(&found.schedule, &request)
                    .map_err(|refusal| EngineError::Conflict(refusal.sentence()))?;
                let configuration = madake_store::plan::configuration(tx, found.version_id)?;
                let running = build::count_active(tx, branch.id)?;
                admit(
                    running,
                    limit_of(&configuration, default_limit),
                    &[],
                    Newcomer::Manual,
                )
                .map_err(|refusal| EngineError::Conflict(refusal.sentence().to_owned()))?;
                let user = caller.name().to_owned();
                let reason = match continuation.kind {
                    ContinuationKind::RerunUnsuccessful => Reason::Rebuilt { user: user.clone() },
                    _ => Reason::StageContinued {
                        user: user.clone(),
                        stage: found
                            .schedule
                            .stages()
                            .get(continuation.from)
                            .map(|stage| stage.name.clone())
                            .unwrap_or_default(),
                    },
                };
                let given = give(found.variables.clone(), &variables, continuation.from);
                build::set_variables(tx, found.id, &given)?;
                build::set_reason(tx, found.id, &reason)?;
                if let Some(event_id) = found.event_id {
                    event::note(
                        tx,
                        event_id,
                        "info",
                        &format!("{user} let {} go on", found.key),
                        now,
                    )?;
                }
                apply(tx, found.id, Input::Continue { request }, now)
            })
            .await
    }
}
