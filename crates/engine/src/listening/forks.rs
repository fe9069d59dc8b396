//! Commits of forks, kept apart: what strangers wrote never comes into the copy that everything else is read from.
//!
//! They go into a repository beside our copy, which borrows its objects. So no branch, no custom revision and no page of
//! the linked repository can lead to them; only builds of their pull requests do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_store::Tx;
use madake_store::plan::PlanBranch;
use madake_store::pull_request;
use madake_store::repository::Repository;
use madake_vcs::git::mirror::{RemoteLimits, fetch_beside};
use madake_vcs::name::RefName;
use madake_vcs::url::RepositoryUrl;

use crate::{Engine, EngineError};

/// How long a fetch of a fork may take, and how large it may be in bytes: arrivals of the repository wait for it, and
/// whoever can open a pull request chooses what it brings.
const FETCH_LIMIT: Duration = Duration::from_secs(120);
const PACK_LIMIT_BYTES: u64 = 1 << 30;

/// Where the commits of forks of a linked repository are.
pub(crate) fn folder(found: &Repository) -> PathBuf {
    let copy = Path::new(&found.path);
    let name = copy.file_stem().map(|name| name.to_string_lossy().into_owned());
    copy.with_file_name(format!("{}.forks.git", name.unwrap_or_default()))
}

/// The repository as builds of forks see it.
pub(crate) fn with_forks(found: &Repository) -> Repository {
    Repository {
        path: folder(found).to_string_lossy().into_owned(),
        ..found.clone()
    }
}

/// Whether a plan branch builds what comes from a fork.
pub(crate) fn is_of_fork(tx: &Tx<'_>, branch: &PlanBranch) -> Result<bool, EngineError> {
    let Some(id) = branch.pull_request_id else {
        return Ok(false);
    };
    // One whose pull request nobody knows any more is trusted no further.
    Ok(pull_request::by_id(tx, id)?.is_none_or(|one| one.from_fork))
}

impl Engine {
    /// Fetches what a pull request's ref shows, and gives the commit; `None`: there is no such ref.
    pub(crate) async fn fork_head(
        &self,
        found: &Repository,
        name: &str,
    ) -> Result<Option<String>, EngineError> {
        let invalid = |error: &dyn std::fmt::Display| EngineError::Invalid(error.to_string());
        let name = RefName::parse(name).map_err(|error| invalid(&error))?;
        let url = RepositoryUrl::parse(&found.url, self.url_policy()).map_err(|error| invalid(&error))?;
        let credential = self.credential(found)?;
        let beside = folder(found);
        let limits = RemoteLimits {
            timeout: FETCH_LIMIT,
            max_pack_bytes: PACK_LIMIT_BYTES,
            ..RemoteLimits::default()
        };
        let head = fetch_beside(
            self.git(),
            Path::new(&found.path),
            &beside,
            &url,
            credential.as_ref(),
            &name,
            &limits,
        );
        let head = head
            .await
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        Ok(head.map(|id| id.to_string()))
    }
}
