//! Reads the plan file of a repository again, without a push: what stood in its way may be gone.

use madake_domain::permission::Permission;
use madake_specs::Diagnostic;
use madake_store::repository::Repository;
use madake_store::{StoreError, plan, plan_file};
use madake_vcs::name::ObjectId;

use crate::access::Caller;
use crate::specs::{apply, findings};
use crate::{Engine, EngineError};

/// How often the file is read when the branch moves meanwhile.
const ATTEMPTS: u32 = 5;

/// A plan file that was read again, and what came of it.
#[derive(Debug, Clone)]
pub struct RereadFile {
    /// The repository.
    pub repository: String,
    /// The commit that was read.
    pub revision: String,
    /// The plans that belong to the repository.
    pub plans: Vec<String>,
    /// What was found.
    pub findings: Vec<Diagnostic>,
}

impl Engine {
    /// Puts the plan file of a repository's default branch in force once more, as a push that changes it does. Nothing is
    /// built by that.
    ///
    /// # Errors
    /// When the caller may not push to the repository, its plan files are not read, or it has no commit.
    pub async fn reread_specs(&self, caller: &Caller, name: &str) -> Result<RereadFile, EngineError> {
        let found = self.repository_for(caller, name, Permission::Write).await?;
        if !found.specs_enabled {
            return Err(EngineError::Conflict(format!(
                "plan files of {} are not read: it was attached or linked without them",
                found.name
            )));
        }
        let reread = reread(self, &found).await?.ok_or_else(|| {
            EngineError::Conflict(format!(
                "the branch {} of {} has no commit: there is nothing to read",
                found.default_branch, found.name
            ))
        })?;
        let by = caller.name();
        tracing::info!(repository = %found.name, principal = %by, "{by} had the plan file of {} read again", found.name);
        Ok(reread)
    }

    /// Reads the plan file of a repository again if the last reading had errors: what was just granted may have been all
    /// that it lacked. A file that cannot be read is logged; the grant stands.
    pub(crate) async fn reread_after_grant(&self, found: &Repository) -> Option<RereadFile> {
        match reread_if_refused(self, found).await {
            Ok(reread) => reread,
            Err(error) => {
                tracing::warn!(repository = %found.name, "the plan file of {} could not be read after a grant: {error}", found.name);
                None
            }
        }
    }
}

async fn reread_if_refused(engine: &Engine, found: &Repository) -> Result<Option<RereadFile>, EngineError> {
    if !found.specs_enabled || !findings::had_errors(engine, found).await? {
        return Ok(None);
    }
    reread(engine, found).await
}

/// `None`: there is no commit.
async fn reread(engine: &Engine, found: &Repository) -> Result<Option<RereadFile>, EngineError> {
    let head = async || {
        let head = engine.local_head(found, &found.default_branch).await?;
        Ok::<_, EngineError>(head.and_then(|id| ObjectId::parse(&id).ok()))
    };
    for _ in 0..ATTEMPTS {
        let Some(commit) = head().await? else {
            return Ok(None);
        };
        apply::default_branch(engine, found, &commit, None).await?;
        // A push that was taken in meanwhile must not be undone by what was read before it.
        if head().await?.as_ref() == Some(&commit) {
            return what_came(engine, found, commit.to_string()).await.map(Some);
        }
    }
    Err(EngineError::Unavailable(format!(
        "the branch {} of {} is moving: try again",
        found.default_branch, found.name
    )))
}

async fn what_came(engine: &Engine, found: &Repository, revision: String) -> Result<RereadFile, EngineError> {
    let found = found.clone();
    engine
        .store()
        .read(move |tx| {
            let id = found.id;
            let plans = plan::all(tx)?;
            let own = plans
                .into_iter()
                .filter(|one| one.specs_repository_id == Some(id));
            let findings = plan_file::findings_of_branch(tx, id, &found.default_branch)?
                .into_iter()
                .map(|one| serde_json::from_str(&one.finding).map_err(StoreError::from))
                .collect::<Result<_, _>>()?;
            Ok(RereadFile {
                repository: found.name,
                revision,
                plans: own.map(|one| one.key.to_string()).collect(),
                findings,
            })
        })
        .await
}
