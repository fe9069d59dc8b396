//! What a repository is about and how it stands: description, default branch, size, last push.

use std::path::{Path, PathBuf};

use madake_domain::change::acceptable_branch_name;
use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::text::inert;
use madake_store::Millis;
use madake_store::repository::{self, Repository};
use madake_store::repository_attributes;
use madake_vcs::git::host::set_head_branch;
use madake_vcs::name::{BranchName, ObjectId};

use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, specs};

/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 4096;

/// What is to change of a repository; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct RepositoryEdit {
    /// What it is about; an empty text takes the description away.
    pub description: Option<String>,
    /// The branch that a clone checks out and that master plans build.
    pub default_branch: Option<String>,
}

/// A repository and how it stands.
#[derive(Debug, Clone)]
pub struct RepositoryDetails {
    /// The repository.
    pub repository: Repository,
    /// What it is about; may be empty.
    pub description: String,
    /// What its folder takes on the disk, in bytes; of a linked one, our mirror.
    pub size_bytes: u64,
    /// When it was made known to this server.
    pub created_ms: Millis,
    /// When the last push arrived; none if there was none.
    pub last_push_ms: Option<Millis>,
    /// Who made it, as far as that is known.
    pub last_pusher: Option<String>,
}

impl Engine {
    /// Changes what a repository is about, and its default branch. The `HEAD` of a hosted repository follows; where an
    /// attached or linked one is cloned, its owner decides about that.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a description that is too long and a branch that is not there; when the repository
    /// is not there, or the caller may not.
    pub async fn edit_repository(
        &self,
        caller: &Caller,
        name: &str,
        edit: RepositoryEdit,
    ) -> Result<RepositoryDetails, EngineError> {
        let found = self
            .repository_for(caller, name, Permission::Administration)
            .await?;
        let description = edit.description.map(|text| text.trim().to_owned());
        if let Some(text) = &description
            && (text.len() > MAX_DESCRIPTION || text.chars().any(|one| one.is_control() && one != '\n'))
        {
            return Err(EngineError::Invalid(format!(
                "a description has at most {MAX_DESCRIPTION} bytes and no control characters"
            )));
        }
        let branch = edit
            .default_branch
            .filter(|branch| *branch != found.default_branch);
        let head = match &branch {
            Some(branch) => self.new_default(&found, branch).await?,
            None => None,
        };
        if let Some(branch) = &branch
            && found.kind == RepositoryKind::Hosted
            && found.scm == Scm::Git
        {
            let name = BranchName::parse(branch).map_err(|error| EngineError::Invalid(error.to_string()))?;
            set_head_branch(self.git(), Path::new(&found.path), &name)
                .await
                .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        }
        let (by, stored) = (caller.clone(), found.clone());
        let named = branch.clone();
        self.store()
            .write(move |tx| {
                require(tx, &by, Permission::Administration, Target::Repository(&stored))?;
                if let Some(text) = &description {
                    repository_attributes::set_description(tx, stored.id, text)?;
                }
                if let Some(branch) = &named {
                    repository::set_default_branch(tx, stored.id, branch)?;
                }
                Ok::<_, EngineError>(())
            })
            .await?;
        if let Some(branch) = branch {
            let by = caller.name();
            tracing::info!(repository = %found.name, principal = %by, "{by} made {branch} the default branch of {}", found.name);
            let changed = Repository {
                default_branch: branch,
                ..found.clone()
            };
            if let Some(head) = head
                && found.specs_enabled
            {
                specs::apply::default_branch(self, &changed, &head, None).await?;
            }
        }
        self.repository_details(caller, &found.name).await
    }

    /// A repository and how it stands.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not read it.
    pub async fn repository_details(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<RepositoryDetails, EngineError> {
        let found = self.repository_for(caller, name, Permission::Read).await?;
        let id = found.id;
        let (description, last_push, created_ms) = self
            .store()
            .read(move |tx| {
                Ok::<_, EngineError>((
                    repository_attributes::description(tx, id)?,
                    repository_attributes::last_push(tx, id)?,
                    repository_attributes::created_ms(tx, id)?,
                ))
            })
            .await?;
        let folder = PathBuf::from(&found.path);
        let size_bytes = tokio::task::spawn_blocking(move || folder_size(&folder))
            .await
            .unwrap_or_default();
        let (last_push_ms, last_pusher) = last_push.unzip();
        Ok(RepositoryDetails {
            repository: found,
            description,
            size_bytes,
            created_ms,
            last_push_ms,
            last_pusher,
        })
    }

    /// What a repository that the caller may read is about; may be empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repository_description(&self, found: &Repository) -> Result<String, EngineError> {
        let id = found.id;
        self.store()
            .read(move |tx| Ok::<_, EngineError>(repository_attributes::description(tx, id)?))
            .await
    }

    /// The branch that is to be the default one, and where it is. In a repository without branches it may be any.
    async fn new_default(&self, found: &Repository, branch: &str) -> Result<Option<ObjectId>, EngineError> {
        acceptable_branch_name(branch, found.scm).map_err(|problem| {
            EngineError::Invalid(format!(
                "`{}` cannot be a branch: it {problem}",
                inert(branch, 80)
            ))
        })?;
        if let Some(head) = self.current_head(found, branch).await? {
            return Ok(ObjectId::parse(&head).ok());
        }
        if self.refs(found).await?.heads().is_empty() {
            return Ok(None);
        }
        Err(EngineError::Invalid(format!(
            "{} has no branch `{branch}`: push it first",
            found.name
        )))
    }
}

/// The bytes of all files below a folder. Links are not followed; what goes away meanwhile counts nothing.
fn folder_size(folder: &Path) -> u64 {
    let mut total = 0;
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => waiting.push(entry.path()),
                Ok(found) => total += found.len(),
                Err(_) => {}
            }
        }
    }
    total
}
