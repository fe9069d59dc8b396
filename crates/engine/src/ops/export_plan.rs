//! Writes a plan as a plan file.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;

use crate::access::{Caller, plan_for};
use crate::{Engine, EngineError};

impl Engine {
    /// The version of a plan, or of a plan branch, that is in force, as the text of a plan file. Secrets in it are
    /// covered.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] or a refusal unless the caller may see the plan's configuration.
    pub async fn export_plan(&self, caller: &Caller, key: &PlanKey) -> Result<String, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        let version_id = self
            .store()
            .read(move |tx| {
                let (plan, branch) = plan_for(tx, &caller, &key, Permission::ViewConfiguration)?;
                // That of the plan has all overrides, those for its default branch too.
                let own = branch.version_id.filter(|_| !branch.is_master);
                Ok::<_, EngineError>(own.unwrap_or(plan.version_id))
            })
            .await?;
        let configuration = self.configuration(version_id).await?;
        Ok(madake_specs::export_covered(&configuration))
    }
}
