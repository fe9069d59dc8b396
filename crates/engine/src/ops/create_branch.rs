//! Makes a plan branch by hand: `PUT /plan/{plan}/branch/{name}`.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::repository::Scm;
use madake_store::plan::{self, NewBranch, PlanBranch};
use madake_store::{Tx, repository};

use crate::access::{Caller, plan_for};
use crate::ops::create_repository::checked_branch;
use crate::{Engine, EngineError, clock};

/// What a plan branch is made of.
#[derive(Debug, Clone)]
pub struct CreateBranch {
    /// The display name.
    pub name: String,
    /// The branch of the repository, with or without `refs/heads/` in front; `None`: no override.
    pub vcs_branch: Option<String>,
    /// Builds at all.
    pub enabled: bool,
    /// Goes when its branch goes or rests.
    pub cleanup_enabled: bool,
}

impl Engine {
    /// Makes a plan branch.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for names that will not do, [`EngineError::Exists`] when the plan has one of that
    /// name or for that branch.
    pub async fn create_branch(
        &self,
        caller: &Caller,
        key: &PlanKey,
        new: CreateBranch,
    ) -> Result<PlanBranch, EngineError> {
        if new.name.is_empty() || new.name.len() > 255 || new.name.chars().any(char::is_control) {
            return Err(EngineError::Invalid(
                "a plan branch's name has 1 to 255 printable characters".into(),
            ));
        }
        let (caller, key) = (caller.clone(), key.clone());
        self.store()
            .write(move |tx| {
                let (plan_row, _) = plan_for(tx, &caller, &key, Permission::CreatePlanBranch)?;
                let vcs_branch = match new.vcs_branch.as_deref() {
                    Some(given) => {
                        let given = given.strip_prefix('/').unwrap_or(given);
                        let short = given.strip_prefix("refs/heads/").unwrap_or(given);
                        Some(checked_branch(scm_of(tx, plan_row.id)?, short)?)
                    }
                    None => None,
                };
                let taken = plan::branches(tx, plan_row.id)?.into_iter().find(|known| {
                    !known.is_master
                        && (known.display_name == new.name
                            || (vcs_branch.is_some() && known.vcs_branch == vcs_branch))
                });
                if let Some(taken) = taken {
                    return Err(EngineError::Exists(format!(
                        "Invalid parameters while trying to create new branch: the branchName {} is already used by {}.",
                        new.name, taken.key
                    )));
                }
                let row = NewBranch {
                    vcs_branch,
                    display_name: new.name,
                    enabled: new.enabled,
                    cleanup_enabled: new.cleanup_enabled,
                    automatic: false,
                    pull_request_id: None,
                };
                Ok(plan::insert_branch(tx, &plan_row, &row, clock::now_ms())?)
            })
            .await
    }
}

/// The system of the repository that the plan's branches are in.
fn scm_of(tx: &Tx<'_>, plan_id: i64) -> Result<Scm, EngineError> {
    let first = plan::repositories(tx, plan_id)?.into_iter().next();
    let found = match first.and_then(|first| first.repository_id) {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    Ok(found.map_or(Scm::Git, |found| found.scm))
}
