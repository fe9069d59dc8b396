//! Puts our hook into an attached repository, beside those that are there.

use std::path::Path;

use madake_domain::permission::Permission;
use madake_domain::repository::RepositoryKind;
use madake_store::repository;
use madake_vcs::git::git_directory;
use madake_vcs::git::hook::{HookState, HookTarget, install_hook, uninstall_hook};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError};

impl Engine {
    /// Installs the hook in the attached repository at `path`, or with `remove` takes it out again.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when no repository is attached from there.
    pub async fn install_hook(
        &self,
        caller: &Caller,
        path: &Path,
        remove: bool,
    ) -> Result<HookState, EngineError> {
        let check = caller.clone();
        self.store()
            .read(move |tx| require(tx, &check, Permission::Administration, Target::Global))
            .await?;
        let folder = git_directory(path)
            .and_then(|folder| folder.canonicalize().ok())
            .ok_or_else(|| {
                EngineError::Invalid(format!("there is no Git repository at {}", path.display()))
            })?;
        let asked = folder.display().to_string();
        let found = self
            .store()
            .read(move |tx| repository::by_path(tx, &asked))
            .await?;
        let found = found
            .filter(|found| found.kind == RepositoryKind::Attached)
            .ok_or_else(|| {
                EngineError::NotFound(format!(
                    "{} is not attached; attach it first: madake repo attach OWNER/SLUG {}",
                    folder.display(),
                    folder.display()
                ))
            })?;
        let (git, home, program) = (
            self.git().clone(),
            self.home().clone(),
            self.settings().program.clone(),
        );
        let name = found.name.clone();
        let state = tokio::task::spawn_blocking(move || {
            let target = HookTarget {
                program: &program,
                home: home.root(),
                repository: &name,
            };
            if remove {
                uninstall_hook(&git, &folder).map(|()| HookState::NotInstalled)
            } else {
                install_hook(&git, &folder, &target)
            }
        })
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
        .map_err(|error| EngineError::Invalid(error.to_string()))?;
        let (id, installed) = (found.id, state != HookState::NotInstalled);
        self.store()
            .write(move |tx| repository::set_hook_installed(tx, id, installed))
            .await?;
        Ok(state)
    }
}
