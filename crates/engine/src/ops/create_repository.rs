//! Makes a hosted repository.

use std::path::PathBuf;

use madake_domain::change::acceptable_branch_name;
use madake_domain::key::ProjectKey;
use madake_domain::permission::{Grantee, Permission, Principal, Scope};
use madake_domain::repository::{RepositoryKind, RepositoryPath, Scm};
use madake_store::repository::{self, NewRepository, Repository};
use madake_store::{Tx, permission, plan, project};
use madake_vcs::name::BranchName;
use madake_vcs::{git, hg};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Makes a hosted repository. Master plans build `default_branch`; `None`: what is usual for the system.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for names that will not do, [`EngineError::Exists`] when it is there.
    pub async fn create_repository(
        &self,
        caller: &Caller,
        name: &str,
        scm: Scm,
        default_branch: Option<&str>,
    ) -> Result<Repository, EngineError> {
        let path: RepositoryPath = name
            .parse()
            .map_err(|error| EngineError::Invalid(format!("{error}")))?;
        let branch = checked_branch(scm, default_branch.unwrap_or(scm.first_branch()))?;
        let (check, folded, owner) = (caller.clone(), path.folded(), path.owner.clone());
        self.store()
            .read(move |tx| {
                require(tx, &check, Permission::CreateRepository, Target::Project(&owner))?;
                match repository::with_name(tx, &folded)? {
                    Some(found) => Err(EngineError::Exists(format!(
                        "a repository named {} exists already",
                        found.name
                    ))),
                    None => Ok(()),
                }
            })
            .await?;
        let folder = self.free_folder(&path, scm).await?;
        // One that exists is the folder of a creation that died before its row was stored; it is empty, as nobody could
        // push to it.
        match scm {
            Scm::Git => {
                let first =
                    BranchName::parse(&branch).map_err(|error| EngineError::Invalid(error.to_string()))?;
                match git::host::create_repository(self.git(), &folder, &first).await {
                    Ok(()) | Err(git::host::HostError::Exists { .. }) => {}
                    Err(error) => return Err(EngineError::Unavailable(error.to_string())),
                }
            }
            Scm::Hg => match hg::host::create_repository(self.mercurial()?.program(), &folder).await {
                Ok(()) | Err(hg::host::HostError::Exists { .. }) => {}
                Err(error) => return Err(EngineError::Unavailable(error.to_string())),
            },
        }
        let new = NewRepository {
            kind: RepositoryKind::Hosted,
            scm,
            name: path.to_string(),
            owner: path.owner,
            slug: path.slug,
            path: folder.display().to_string(),
            url: String::new(),
            default_branch: branch,
        };
        let caller = caller.clone();
        self.store().write(move |tx| insert(tx, &caller, &new)).await
    }

    /// Where a hosted repository of this name lives: not where one does that had the name before.
    async fn free_folder(&self, path: &RepositoryPath, scm: Scm) -> Result<PathBuf, EngineError> {
        let owner = self.home().repositories().join(path.owner.to_lowercase());
        let (slug, ending) = (path.slug.to_lowercase(), scm.as_str());
        self.store()
            .read(move |tx| {
                let mut folder = owner.join(format!("{slug}.{ending}"));
                let mut number = 1;
                while repository::by_path(tx, &folder.display().to_string())?.is_some() {
                    number += 1;
                    // No slug has such a character.
                    folder = owner.join(format!("{slug}+{number}.{ending}"));
                }
                Ok::<_, EngineError>(folder)
            })
            .await
    }

    /// All repositories that the caller may read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_repositories(&self, caller: &Caller) -> Result<Vec<Repository>, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                let mut readable = Vec::new();
                for one in repository::all(tx)? {
                    if crate::access::may(tx, &caller, Permission::Read, Target::Repository(&one))? {
                        readable.push(one);
                    }
                }
                Ok(readable)
            })
            .await
    }

    /// The repository with this name, if the caller has the permission.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], or what lacks.
    pub async fn repository_for(
        &self,
        caller: &Caller,
        name: &str,
        needed: Permission,
    ) -> Result<Repository, EngineError> {
        let (caller, name) = (caller.clone(), name.to_owned());
        self.store()
            .read(move |tx| {
                let found = repository::by_name(tx, &name)?;
                match found {
                    Some(found) => {
                        require(tx, &caller, needed, Target::Repository(&found))?;
                        Ok(found)
                    }
                    // An anonymous caller is asked to log in whether or not it is there: names are not told.
                    None if !caller.principal.is_logged_in() => Err(EngineError::Unauthenticated {
                        needed,
                        subject: format!("repository {name}"),
                    }),
                    None => Err(EngineError::NotFound(format!(
                        "a repository named {name} does not exist"
                    ))),
                }
            })
            .await
    }
}

/// A name that a branch of the system can have.
pub(crate) fn checked_branch(scm: Scm, name: &str) -> Result<String, EngineError> {
    let problem = match scm {
        Scm::Git => BranchName::parse(name).err().map(|error| error.to_string()),
        Scm::Hg => acceptable_branch_name(name, scm)
            .err()
            .map(|reason| format!("it {reason}")),
    };
    match problem {
        None => Ok(name.to_owned()),
        Some(problem) => Err(EngineError::Invalid(format!(
            "`{}` cannot be a branch: {problem}",
            madake_domain::text::inert(name, 200)
        ))),
    }
}

/// Stores a new repository: its project if the owner is one, what its maker may do, plans that waited for it.
pub(crate) fn insert(tx: &Tx<'_>, caller: &Caller, new: &NewRepository) -> Result<Repository, EngineError> {
    let now = clock::now_ms();
    let id = repository::insert(tx, new, now)?;
    if let Ok(key) = new.owner.parse::<ProjectKey>() {
        project::ensure(tx, &key, now)?;
    }
    if let Principal::User(user) = &caller.principal {
        let maker = Grantee::User(user.name.clone());
        permission::grant(
            tx,
            Scope::Repository,
            &new.name,
            &maker,
            Permission::Administration,
            now,
        )?;
    }
    plan::resolve_repository_name(tx, &new.name, id)?;
    repository::by_id(tx, id)?.ok_or_else(|| EngineError::Internal("the new repository is gone".into()))
}
