//! Stops deployments: `DELETE /queue/deployment/{id}`, `madake deployment stop`.

use madake_domain::permission::Permission;
use madake_store::{Topic, deployment, deployment_result};

use super::rights;
use crate::access::Caller;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Stops a deployment; one that has ended stays as it is, and that is no error.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn stop_deployment(&self, caller: &Caller, result_id: i64) -> Result<(), EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let found = super::show::result_for(tx, &caller, result_id)?;
                let (project, environment) =
                    rights::environment_for(tx, &caller, found.environment_id, Permission::Build)?;
                let now = clock::now_ms();
                let Ok(next) = found.state.clone().stop(caller.name(), now) else {
                    return Ok(());
                };
                deployment_result::save(tx, found.id, &next)?;
                if next.outcome().is_some() {
                    super::tell::tell(tx, &found, &next, now)?;
                }
                let text = format!("{} stopped the deployment to {}", caller.name(), environment.name);
                let about = (Some(environment.id), Some(found.release_id));
                deployment::note(tx, project.id, about, "info", &text, now)?;
                tx.wake(Topic::Cancel);
                tx.wake(Topic::Queue);
                Ok(())
            })
            .await
    }
}
