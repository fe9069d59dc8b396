//! Switches a plan or a plan branch on and off.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_store::plan;

use crate::access::{Caller, plan_for};
use crate::{Engine, EngineError};

impl Engine {
    /// Switches a plan or plan branch on or off.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn enable_plan(
        &self,
        caller: &Caller,
        key: &PlanKey,
        enabled: bool,
    ) -> Result<(), EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .write(move |tx| {
                let (plan_row, branch) = plan_for(tx, &caller, &key, Permission::Write)?;
                if branch.is_master {
                    plan::set_enabled(tx, plan_row.id, enabled)?;
                } else {
                    plan::set_branch_enabled(tx, branch.id, enabled)?;
                }
                Ok(())
            })
            .await
    }
}
