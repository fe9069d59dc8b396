//! Removes a repository. Nothing that people pushed is deleted: a hosted one goes to the trash of the home.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use madake_domain::permission::{Permission, Scope};
use madake_domain::repository::RepositoryKind;
use madake_store::repository::{self, Repository};
use madake_store::{Tx, permission};

use crate::access::{Caller, Target, require};
use crate::listening::forks;
use crate::{Engine, EngineError, clock};

/// What became of a repository that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// Where the folder of a hosted one is now.
    pub trash: Option<PathBuf>,
    /// What is left to do by hand.
    pub note: Option<String>,
}

impl Engine {
    /// Removes the repository with this name, with its webhooks and the grants on it; the ledger keeps what arrived. A
    /// hosted one's folder goes to the trash, the copy of a linked one is deleted, an attached one only loses our hook.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] with the plans that use it, or when a push to it is going on.
    pub async fn remove_repository(&self, caller: &Caller, name: &str) -> Result<Removed, EngineError> {
        let found = self
            .repository_for(caller, name, Permission::Administration)
            .await?;
        let (id, asking) = (found.id, caller.clone());
        self.store().read(move |tx| check(tx, &asking, id)).await?;
        if self.push_in_flight(id) {
            return Err(EngineError::Conflict(format!(
                "somebody pushes to {} just now: try again in a moment",
                found.name
            )));
        }
        // The hook first: without the row nobody would know of it.
        let note = match found.kind == RepositoryKind::Attached && found.hook_installed {
            true => self
                .install_hook(&Caller::local(), Path::new(&found.path), true)
                .await
                .err()
                .map(|error| format!("our hook may still be in {}: {error}", found.path)),
            false => None,
        };
        // The folder before the row: one that stays behind without a row would be taken over, with all that is in it,
        // by the next repository of that name.
        let trash = match found.kind {
            RepositoryKind::Hosted => self.to_trash(&found)?,
            RepositoryKind::Attached | RepositoryKind::Linked => None,
        };
        let asking = caller.clone();
        let removed = self
            .store()
            .write(move |tx| {
                let found = check(tx, &asking, id)?;
                permission::revoke_all(tx, Scope::Repository, &found.name)?;
                permission::rename_repository(tx, &found.name, None)?;
                Ok::<_, EngineError>(repository::remove(tx, id)?)
            })
            .await;
        if let Err(error) = removed {
            if let Some(trash) = &trash
                && let Err(back) = std::fs::rename(trash, &found.path)
            {
                tracing::error!(repository = %found.name, "{} could not be moved back from {}: {back}", found.path, trash.display());
            }
            return Err(error);
        }
        if found.kind == RepositoryKind::Linked {
            // Our copy; what is left of it is in nobody's way.
            let _ = std::fs::remove_dir_all(&found.path);
            let _ = std::fs::remove_dir_all(forks::folder(&found));
        }
        let by = caller.name();
        tracing::info!(repository = %found.name, principal = %by, "{by} removed the {} repository {}", found.kind.as_str(), found.name);
        Ok(Removed {
            name: found.name,
            trash,
            note,
        })
    }

    /// Moves the folder of a hosted repository away; `None` when it is gone already.
    fn to_trash(&self, found: &Repository) -> Result<Option<PathBuf>, EngineError> {
        let folder = self.home().trash();
        let to = folder.join(format!(
            "{}-{}-{}.{}",
            found.owner.to_lowercase(),
            found.slug.to_lowercase(),
            clock::now_ms(),
            found.scm.as_str()
        ));
        let moved = std::fs::create_dir_all(&folder).and_then(|()| std::fs::rename(&found.path, &to));
        match moved {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EngineError::Unavailable(format!(
                "{} cannot be moved to {}: {error}",
                found.path,
                to.display()
            ))),
        }
    }
}

/// Whether the repository may go; gives it as it is now.
fn check(tx: &Tx<'_>, caller: &Caller, id: i64) -> Result<Repository, EngineError> {
    let found = repository::by_id(tx, id)?
        .ok_or_else(|| EngineError::NotFound("the repository does not exist any more".into()))?;
    let target = match found.kind {
        RepositoryKind::Hosted => Target::Repository(&found),
        // Those who add them administrate the server.
        RepositoryKind::Attached | RepositoryKind::Linked => Target::Global,
    };
    require(tx, caller, Permission::Administration, target)?;
    let plans = repository::plans_of(tx, id)?;
    if !plans.is_empty() {
        return Err(EngineError::Conflict(format!(
            "{} is used by {}: take it out of their plan files first; a plan whose plan file is in it stays with it",
            found.name,
            plans.join(", ")
        )));
    }
    if repository::is_awaited(tx, id)? {
        return Err(EngineError::Conflict(format!(
            "a push to {} waits to be decided: try again in a moment",
            found.name
        )));
    }
    Ok(found)
}
