//! Files of Git LFS in linked repositories: their content is brought into our mirror before a job begins, as the job
//! itself has no credential.

use std::path::{Path, PathBuf};

use madake_domain::repository::RepositoryKind;
use madake_protocol::JobOrder;
use madake_store::repository::{self, Repository};
use madake_vcs::git::lfs::checkout::find_git_lfs;
use madake_vcs::git::lfs::fetch::fetch_content;
use madake_vcs::git::mirror::RemoteLimits;
use madake_vcs::name::ObjectId;
use madake_vcs::url::RepositoryUrl;

use crate::{Engine, EngineError};

/// An attributes file is looked at up to this size, in bytes.
const ATTRIBUTES_LIMIT: u64 = 1024 * 1024;

/// Content that a job needs and that may have to be fetched.
pub(crate) struct WantedContent {
    repository: Repository,
    revision: ObjectId,
}

/// Whether this server moves content between repositories. Without git-lfs it cannot; and hosts name the addresses that
/// objects come from, which a guard against private ones cannot see.
pub(crate) fn is_moved(engine: &Engine) -> bool {
    find_git_lfs().is_some() && engine.settings().private_repositories
}

/// Whether a commit has files in Git LFS, going by the attributes at its root.
pub(crate) async fn has_large_files(engine: &Engine, path: &Path, revision: &ObjectId) -> bool {
    let attributes = engine
        .reader()
        .file_at(path, revision, ".gitattributes", ATTRIBUTES_LIMIT)
        .await;
    matches!(attributes, Ok(Some(text)) if String::from_utf8_lossy(&text).contains("filter=lfs"))
}

/// What of the repositories of an order is linked and has files in Git LFS, going by the attributes at its root.
pub(crate) async fn wanted(engine: &Engine, order: &JobOrder) -> Vec<WantedContent> {
    let mut wanted = Vec::new();
    // The checkout says what it leaves out.
    if !is_moved(engine) {
        return wanted;
    }
    for one in &order.repositories {
        let (path, Ok(revision)) = (one.source.clone(), ObjectId::parse(&one.revision)) else {
            continue;
        };
        if !path.starts_with(engine.home().mirrors()) || !path.join("HEAD").is_file() {
            continue;
        }
        if has_large_files(engine, &path, &revision).await
            && let Ok(Some(repository)) = linked_at(engine, path).await
        {
            wanted.push(WantedContent { repository, revision });
        }
    }
    wanted
}

async fn linked_at(engine: &Engine, path: PathBuf) -> Result<Option<Repository>, EngineError> {
    let path = path.display().to_string();
    let found = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::by_path(tx, &path)?))
        .await?;
    Ok(found.filter(|found| found.kind == RepositoryKind::Linked))
}

/// Fetches it. What cannot be had stays out: the checkout says which files it leaves as pointers.
pub(crate) async fn bring(engine: &Engine, wanted: Vec<WantedContent>) {
    for one in wanted {
        let found = &one.repository;
        if let Err(error) = fetch(engine, &one).await {
            tracing::warn!(repository = %found.name, "the Git LFS content of {} cannot be fetched from {}: {error}", found.name, found.url);
        }
    }
}

async fn fetch(engine: &Engine, one: &WantedContent) -> Result<(), EngineError> {
    let found = &one.repository;
    let url = RepositoryUrl::parse(&found.url, engine.url_policy())
        .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    let credential = engine.credential(found)?;
    fetch_content(
        engine.git(),
        &engine.local_path(found),
        &url,
        credential.as_ref(),
        &one.revision,
        &RemoteLimits::default(),
    )
    .await
    .map_err(|error| EngineError::Unavailable(error.to_string()))
}
