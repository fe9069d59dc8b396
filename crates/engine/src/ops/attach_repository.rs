//! Attaches a repository of this machine that others push to.

use std::path::{Path, PathBuf};

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, RepositoryPath, Scm};
use madake_store::repository::{self, NewRepository, Repository};
use madake_vcs::git::git_directory;
use madake_vcs::git::read::refs::head_branch;
use madake_vcs::hg::is_repository;
use madake_vcs::name::ObjectId;

use crate::access::{Caller, Target, require};
use crate::heads::unreadable;
use crate::ops::create_repository::insert;
use crate::{Engine, EngineError, clock, specs};

impl Engine {
    /// Attaches the repository at `path` under the name `OWNER/SLUG`. Its refs as they are become the starting
    /// point; its plan file is read.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is no repository at the path, [`EngineError::Exists`] for a taken name.
    pub async fn attach_repository(
        &self,
        caller: &Caller,
        name: &str,
        path: &Path,
    ) -> Result<Repository, EngineError> {
        let named: RepositoryPath = name
            .parse()
            .map_err(|error| EngineError::Invalid(format!("{error}")))?;
        let check = caller.clone();
        // A path on the server's machine is for those who administrate the server.
        self.store()
            .read(move |tx| require(tx, &check, Permission::Administration, Target::Global))
            .await?;
        let (scm, folder) = repository_at(path).ok_or_else(|| {
            EngineError::Invalid(format!(
                "there is no repository of Git or Mercurial at {}; of Git, give the path of a bare one",
                path.display()
            ))
        })?;
        let default_branch = match scm {
            Scm::Git => head_branch(&folder)
                .map_err(unreadable)?
                .and_then(|name| name.branch())
                .map_or_else(|| "master".to_owned(), |branch| branch.to_string()),
            Scm::Hg => scm.first_branch().to_owned(),
        };
        let new = NewRepository {
            kind: RepositoryKind::Attached,
            scm,
            name: named.to_string(),
            owner: named.owner,
            slug: named.slug,
            path: folder.display().to_string(),
            url: String::new(),
            default_branch,
        };
        let maker = caller.clone();
        let made = self
            .store()
            .write(move |tx| match repository::by_path(tx, &new.path)? {
                Some(other) => Err(EngineError::Exists(format!(
                    "{} is attached as {} already",
                    new.path, other.name
                ))),
                None => insert(tx, &maker, &new),
            })
            .await?;
        self.start_from_here(&made).await?;
        self.repository_for(caller, &made.name, Permission::Read).await
    }

    /// Takes the refs of a new attached or linked repository as the starting point, and reads its plan file.
    pub(crate) async fn start_from_here(&self, made: &Repository) -> Result<(), EngineError> {
        let read = self.refs(made).await?;
        let default = read.head(&made.default_branch).cloned();
        let id = made.id;
        self.store()
            .write(move |tx| {
                let now = clock::now_ms();
                for (name, object_id) in &read.refs {
                    repository::set_ref(tx, id, name, Some(object_id), None, now)?;
                }
                repository::set_refs_known(tx, id)?;
                repository::note_checked(tx, id, None, now)
            })
            .await?;
        if let Some(commit) = default.and_then(|id| ObjectId::parse(&id).ok()) {
            specs::apply::default_branch(self, made, &commit, None).await?;
        }
        Ok(())
    }
}

/// Which system's repository is at a path, and where exactly.
pub(crate) fn repository_at(path: &Path) -> Option<(Scm, PathBuf)> {
    let (scm, folder) = match is_repository(path) {
        true => (Scm::Hg, path.to_owned()),
        false => (Scm::Git, git_directory(path)?),
    };
    Some((scm, folder.canonicalize().ok()?))
}
