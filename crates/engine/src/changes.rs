//! Looks up the commits that are new in a build, off the path of the push: people read them later.

use std::sync::atomic::Ordering;

use madake_domain::text::inert;
use madake_store::build::{self, Build, Change};
use madake_store::{build_query, plan, repository};
use madake_vcs::name::ObjectId;
use madake_vcs::text::display_text;

use crate::listening::forks;
use crate::{Engine, EngineError};

/// Commits that are kept for one build at most, and paths for one commit.
const COMMITS: usize = 100;
const PATHS: usize = 200;

/// Looks up the commits of builds that have none yet.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    loop {
        let after = engine.changes_seen().load(Ordering::Relaxed);
        let builds = engine
            .store()
            .read(move |tx| build_query::without_changes(tx, after))
            .await?;
        let Some(last) = builds.last().map(|build| build.id) else {
            return Ok(());
        };
        for one in &builds {
            if engine.stopping().is_cancelled() {
                return Ok(());
            }
            if let Err(error) = look_up(engine, one).await {
                tracing::warn!(build.key = %one.key, "the commits of {} could not be looked up: {error}", one.key);
            }
        }
        engine.changes_seen().store(last, Ordering::Relaxed);
    }
}

/// Looks up the commits of one build; a second call changes nothing.
pub(crate) async fn look_up(engine: &Engine, one: &Build) -> Result<(), EngineError> {
    let (build_id, plan_branch_id) = (one.id, one.plan_branch_id);
    let found = engine
        .store()
        .read(move |tx| {
            let Some(first) = build_query::revisions(tx, build_id)?.into_iter().next() else {
                return Ok(None);
            };
            let Some(id) = first.repository_id else {
                return Ok(None);
            };
            let of_fork = forks::is_of_fork(tx, &plan::branch_by_id(tx, plan_branch_id)?)?;
            let found = repository::by_id(tx, id)?;
            let found = found.map(|found| if of_fork { forks::with_forks(&found) } else { found });
            Ok::<_, EngineError>(found.map(|found| (first, found)))
        })
        .await?;
    let Some((revision, found)) = found else {
        return Ok(());
    };
    let reader = engine.open_repository(&found)?;
    let Ok(new) = ObjectId::parse(&revision.revision) else {
        return Ok(());
    };
    let old = match revision
        .previous
        .as_deref()
        .and_then(|old| ObjectId::parse(old).ok())
    {
        Some(old) if reader.exists(&old).await? => Some(old),
        _ => None,
    };
    // A first build shows the commit that it builds, not all of history.
    let commits = match &old {
        Some(_) => {
            let range = reader.commits_between(old.as_ref(), &new, &[], COMMITS).await?;
            range.commits
        }
        None => vec![reader.commit(&new).await?],
    };
    let mut changes = Vec::with_capacity(commits.len());
    for commit in commits {
        let paths = reader
            .changed_paths(commit.parents.first(), &commit.id, PATHS)
            .await?;
        changes.push(Change {
            changeset: commit.id.to_string(),
            author: inert(&commit.author.name, 255),
            email: inert(&commit.author.email, 255),
            message: display_text(&commit.message, 16 * 1024),
            at_ms: commit.author.time_ms,
            files: paths.paths.into_iter().map(|path| path.path).collect(),
        });
    }
    engine
        .store()
        .write(move |tx| build::insert_changes(tx, build_id, &changes))
        .await?;
    Ok(())
}
