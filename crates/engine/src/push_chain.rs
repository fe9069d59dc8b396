//! How many pushes of builds in a row led to a push: read from the ledger, so that nothing has to be carried along.

use madake_domain::push_chain::{Cause, pushes_that_led_here, refusal};
use madake_domain::repository::RepositoryKind;
use madake_store::build::{self, Build, Reason};
use madake_store::event::{self, Content};
use madake_store::{Tx, build_query, deployment, deployment_release, repository};

use crate::job_right::pushing_build;
use crate::own_push::{Moved, Of, OwnPushes};
use crate::reading::{ref_of_tag, refs_of_branch};
use crate::{Engine, EngineError};

/// Why nothing is built of what this pusher pushed, where too many pushes of builds in a row led to it.
pub(crate) async fn refused(engine: &Engine, pusher: Option<&str>) -> Result<Option<String>, EngineError> {
    let limit = engine.settings().pushes_in_a_row;
    let Some(last) = pusher.and_then(pushing_build).filter(|_| limit > 0) else {
        return Ok(None);
    };
    let last = last.to_owned();
    let pushes = OwnPushes::now(engine, None, Of::All).await?;
    engine
        .store()
        .read(move |tx| too_many(tx, &pushes, &last, limit))
        .await
}

/// Why nothing is built of what the build `last` pushed, where too many pushes of builds in a row led to it.
pub(crate) fn too_many(
    tx: &Tx<'_>,
    pushes: &OwnPushes,
    last: &str,
    limit: usize,
) -> Result<Option<String>, EngineError> {
    let pushing = pushes_that_led_here(last, limit, &mut |key| cause_of(tx, pushes, key))?;
    Ok(refusal(&pushing, limit))
}

/// What started a build, as the arrival says that it came from. Of a build that is gone nothing is known.
fn cause_of(tx: &Tx<'_>, pushes: &OwnPushes, key: &str) -> Result<Cause, EngineError> {
    let Some(started) = build::by_key(tx, key)? else {
        return Ok(Cause::Other);
    };
    let arrival = match started.event_id {
        Some(event_id) => event::by_id(tx, event_id)?,
        None => None,
    };
    let Some(arrival) = arrival else {
        return Ok(Cause::Other);
    };
    Ok(match &arrival.content {
        Content::Push { pusher, .. } => match pusher.as_deref().and_then(pushing_build) {
            Some(before) => Cause::Push(before.to_owned()),
            // A person may put a branch where a build had put another one.
            None if is_hosted(tx, arrival.repository_id)? => Cause::Other,
            None => found_push(tx, pushes, &started, arrival.repository_id)?,
        },
        Content::Poll { .. } | Content::RemoteTrigger { .. } => {
            found_push(tx, pushes, &started, arrival.repository_id)?
        }
        Content::Parent { build, .. } => Cause::Build(build.clone()),
        Content::Deployment { project, release, .. } => {
            let found = match deployment::by_name(tx, project)? {
                Some(found) => deployment_release::by_name(tx, found.id, release)?,
                None => None,
            };
            found.map_or(Cause::Other, |release| Cause::Build(release.build_key))
        }
        _ => Cause::Other,
    })
}

/// Whether the server itself takes the pushes of a repository, and knows who pushes.
fn is_hosted(tx: &Tx<'_>, repository_id: Option<i64>) -> Result<bool, EngineError> {
    let found = match repository_id {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    Ok(found.is_some_and(|one| one.kind == RepositoryKind::Hosted))
}

/// The build whose push a build is of, where that was found and nobody said who pushed.
fn found_push(
    tx: &Tx<'_>,
    pushes: &OwnPushes,
    started: &Build,
    repository_id: Option<i64>,
) -> Result<Cause, EngineError> {
    let revisions = build_query::revisions(tx, started.id)?;
    let built = revisions
        .iter()
        .find(|one| repository_id.is_none() || one.repository_id == repository_id);
    let Some((built, repository_id)) = built.and_then(|one| Some((one, one.repository_id?))) else {
        return Ok(Cause::Other);
    };
    let refs = match (
        &started.reason,
        &built.branch,
        repository::by_id(tx, repository_id)?,
    ) {
        (Reason::Tag { name }, _, Some(found)) => Some(vec![ref_of_tag(found.scm, name)]),
        (_, Some(branch), Some(found)) => Some(refs_of_branch(found.scm, branch)),
        _ => None,
    };
    let moved = Moved {
        repository_id,
        is_ref: &|name| match &refs {
            Some(refs) => refs.iter().any(|one| one == name),
            None => !name.starts_with("refs/tags/"),
        },
        revision: &built.revision,
        considered: built.previous.as_deref(),
    };
    let found = pushes.build_of(tx, None, moved)?;
    Ok(found.map_or(Cause::Other, Cause::Push))
}
