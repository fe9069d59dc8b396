//! Gives a repository another name. Its old name goes on leading to it until another repository takes that.

use madake_domain::key::ProjectKey;
use madake_domain::permission::{Permission, Scope};
use madake_domain::repository::{RepositoryKind, RepositoryPath};
use madake_store::repository::{self, Repository};
use madake_store::{permission, plan, project};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Renames a hosted or attached repository to `new_name` (`OWNER/SLUG`). Grants, rules, receivers and keys stay with
    /// it, and so does its folder.
    ///
    /// # Errors
    /// [`EngineError::Exists`] where the name is taken, [`EngineError::Conflict`] when a push to it is going on, and what
    /// lacks: ADMINISTRATION on it, CREATEREPOSITORY on the project of another owner.
    pub async fn rename_repository(
        &self,
        caller: &Caller,
        name: &str,
        new_name: &str,
    ) -> Result<Repository, EngineError> {
        let to: RepositoryPath = new_name
            .parse()
            .map_err(|error| EngineError::Invalid(format!("{error}")))?;
        let found = self
            .repository_for(caller, name, Permission::Administration)
            .await?;
        if found.kind == RepositoryKind::Linked {
            return Err(EngineError::Invalid(format!(
                "{} is linked: remove it, and link it under another name",
                found.name
            )));
        }
        if self.push_in_flight(found.id) {
            return Err(EngineError::Conflict(format!(
                "somebody pushes to {} just now: try again in a moment",
                found.name
            )));
        }
        let (asking, id) = (caller.clone(), found.id);
        let renamed = self
            .store()
            .write(move |tx| {
                let found = repository::by_id(tx, id)?
                    .ok_or_else(|| EngineError::NotFound("the repository does not exist any more".into()))?;
                require(
                    tx,
                    &asking,
                    Permission::Administration,
                    Target::Repository(&found),
                )?;
                if !to.owner.eq_ignore_ascii_case(&found.owner) {
                    require(
                        tx,
                        &asking,
                        Permission::CreateRepository,
                        Target::Project(&to.owner),
                    )?;
                }
                let new_name = to.to_string();
                if let Some(taken) = repository::with_name(tx, &new_name)?
                    && taken.id != id
                {
                    return Err(EngineError::Exists(format!(
                        "a repository named {} exists already",
                        taken.name
                    )));
                }
                permission::move_all(tx, Scope::Repository, &found.name, &new_name)?;
                permission::rename_repository(tx, &found.name, Some(&new_name))?;
                repository::rename(tx, &found, &to)?;
                if let Ok(key) = to.owner.parse::<ProjectKey>() {
                    project::ensure(tx, &key, clock::now_ms())?;
                }
                plan::resolve_repository_name(tx, &new_name, id)?;
                repository::by_id(tx, id)?
                    .ok_or_else(|| EngineError::Internal("the renamed repository is gone".into()))
            })
            .await?;
        let by = caller.name();
        tracing::info!(repository = %renamed.name, principal = %by, "{by} renamed {} to {}", found.name, renamed.name);
        Ok(renamed)
    }
}
