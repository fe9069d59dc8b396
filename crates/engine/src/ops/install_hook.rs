//! Puts our hook into an attached repository of Git, beside those that are there; for one of Mercurial, writes the
//! configuration that whoever serves it includes.

use std::path::{Path, PathBuf};

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::repository::{self, Repository};
use madake_vcs::git::hook::{HookState, HookTarget, install_hook, uninstall_hook};
use madake_vcs::hg;
use madake_vcs::hg::hook::{AttachedRepository, HookFiles, write_hook};

use crate::access::{Caller, Target, require};
use crate::ops::attach_repository::repository_at;
use crate::{Engine, EngineError};

/// What became of the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookChange {
    /// Of Git, in the repository itself.
    Git(HookState),
    /// Of Mercurial, in files of ours, which the repository's owner includes.
    Hg {
        /// Whether the hook now tells of the repository.
        installed: bool,
        /// The files.
        files: HookFiles,
    },
}

impl Engine {
    /// Installs the hook for the attached repository at `path`, or with `remove` takes it out again.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when no repository is attached from there.
    pub async fn install_hook(
        &self,
        caller: &Caller,
        path: &Path,
        remove: bool,
    ) -> Result<HookChange, EngineError> {
        let check = caller.clone();
        self.store()
            .read(move |tx| require(tx, &check, Permission::Administration, Target::Global))
            .await?;
        let (_, folder) = repository_at(path)
            .ok_or_else(|| EngineError::Invalid(format!("there is no repository at {}", path.display())))?;
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
        let change = match found.scm {
            Scm::Git => HookChange::Git(self.change_git_hook(&found, folder, remove).await?),
            Scm::Hg => HookChange::Hg {
                installed: !remove,
                files: self.write_hg_hook(&found, remove).await?,
            },
        };
        let (id, installed) = (
            found.id,
            !matches!(
                change,
                HookChange::Git(HookState::NotInstalled) | HookChange::Hg { installed: false, .. }
            ),
        );
        self.store()
            .write(move |tx| repository::set_hook_installed(tx, id, installed))
            .await?;
        Ok(change)
    }

    async fn change_git_hook(
        &self,
        found: &Repository,
        folder: PathBuf,
        remove: bool,
    ) -> Result<HookState, EngineError> {
        let (git, home, program) = (
            self.git().clone(),
            self.home().clone(),
            self.settings().program.clone(),
        );
        let name = found.name.clone();
        tokio::task::spawn_blocking(move || {
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
        .map_err(|error| EngineError::Invalid(error.to_string()))
    }

    /// Writes the files for all attached repositories that have the hook, with or without this one.
    async fn write_hg_hook(&self, changed: &Repository, remove: bool) -> Result<HookFiles, EngineError> {
        let all = self
            .store()
            .read(|tx| Ok::<_, EngineError>(repository::all(tx)?))
            .await?;
        let told: Vec<Repository> = all
            .into_iter()
            .filter(|one| one.kind == RepositoryKind::Attached && one.scm == Scm::Hg)
            .filter(|one| match one.id == changed.id {
                true => !remove,
                false => one.hook_installed && hg::is_repository(Path::new(&one.path)),
            })
            .collect();
        let (home, program) = (self.home().clone(), self.settings().program.clone());
        tokio::task::spawn_blocking(move || {
            let target = hg::hook::HookTarget {
                program: &program,
                home: home.root(),
            };
            let repositories: Vec<AttachedRepository<'_>> = told
                .iter()
                .map(|one| AttachedRepository {
                    path: Path::new(&one.path),
                    name: &one.name,
                })
                .collect();
            write_hook(&home.hg_hook(), &target, &repositories)
        })
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
        .map_err(|error| EngineError::Invalid(error.to_string()))
    }
}
