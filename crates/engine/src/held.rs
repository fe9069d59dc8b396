//! Builds that a parent holds back (`block-strategy`), until it has ended.
//!
//! Atlassian's page on dependency blocking says of a change that it is not built while a parent builds or waits to build, so
//! that a tree of plans is built from its root. Bamboo has not considered the change then, and its next look finds it
//! again: after a parent that was successful the child is built by the parent, and after one that failed or was stopped by
//! that look. Pushes are told once here, so what is held back is kept, and built when no parent is in its way any more.

use std::collections::BTreeSet;
use std::time::Duration;

use madake_store::event;
use madake_store::held_build::{self, HeldBuild};
use madake_store::{Millis, Tx, decision, plan};

use crate::dependencies::wait_for_parents;
use crate::enqueue::{BuildRequest, Enqueued, enqueue_change};
use crate::{Engine, EngineError, clock};

/// Keeps what is not built now in place of an older one of the same plan branch.
pub(crate) fn hold(
    tx: &Tx<'_>,
    request: &BuildRequest,
    (decision_id, revision): (i64, String),
    now: Millis,
) -> Result<(), EngineError> {
    let older = held_build::take(tx, request.plan_branch_id)?;
    if let Some(older) = &older {
        decision::set_outcome(
            tx,
            older.decision_id,
            None,
            "superseded: a newer change waits as well",
        )?;
    }
    let held = HeldBuild {
        plan_branch_id: request.plan_branch_id,
        decision_id,
        revision,
        content: serde_json::to_string(request).map_err(madake_store::StoreError::from)?,
        since_ms: older.map_or(now, |older| older.since_ms),
    };
    held_build::insert(tx, &held)?;
    Ok(())
}

/// Forgets what is held back of a plan branch, as something newer is built or waits for a place.
pub(crate) fn overtaken(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    build: Option<(i64, &str)>,
) -> Result<(), EngineError> {
    if let Some(held) = held_build::take(tx, plan_branch_id)? {
        let (id, outcome) = match build {
            Some((id, key)) => (Some(id), format!("became part of {key}")),
            None => (None, "superseded: a newer change is built".to_owned()),
        };
        decision::set_outcome(tx, held.decision_id, id, &outcome)?;
    }
    Ok(())
}

/// Starts what no parent holds back any more.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let held = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(held_build::all(tx)?))
        .await?;
    if held.is_empty() {
        return Ok(None);
    }
    let limit = engine.settings().concurrent_builds;
    for one in held {
        let branch_id = one.plan_branch_id;
        let released = engine
            .store()
            .write(move |tx| match held_build::of(tx, branch_id)? {
                Some(one) => release(tx, &one, limit, clock::now_ms()),
                None => Ok(()),
            })
            .await;
        match released {
            Ok(()) => {}
            Err(error @ EngineError::Unavailable(_)) => return Err(error),
            // One that cannot be read holds back no other.
            Err(error) => {
                tracing::error!("a build that waited for its parents could not be released: {error}");
            }
        }
    }
    Ok(None)
}

fn release(tx: &Tx<'_>, held: &HeldBuild, limit: Option<u32>, now: Millis) -> Result<(), EngineError> {
    let branch = plan::branch_by_id(tx, held.plan_branch_id)?;
    let found = plan::by_id(tx, branch.plan_id)?;
    let configuration = plan::configuration(tx, found.version_id)?;
    let gone = if plan::branch_by_key(tx, &branch.key)?.is_none() {
        Some("the plan branch is gone")
    } else if branch.missing_since_ms.is_some() {
        Some("the branch was deleted")
    } else if !found.enabled || !configuration.enabled || !branch.enabled {
        Some("it is disabled by now")
    } else {
        None
    };
    if let Some(why) = gone {
        held_build::take(tx, branch.id)?;
        decision::set_outcome(tx, held.decision_id, None, &format!("not built: {why}"))?;
        return Ok(());
    }
    // A parent was successful, and starts it at its newest revision.
    if event::is_started_by_parent(tx, branch.key.as_str())? {
        return Ok(());
    }
    let strategy = configuration.dependencies.block_strategy;
    if wait_for_parents(tx, strategy, &found, &branch, &BTreeSet::new())?.is_some() {
        return Ok(());
    }
    let request: BuildRequest =
        serde_json::from_str(&held.content).map_err(madake_store::StoreError::from)?;
    let request = BuildRequest {
        version_id: branch.version_id.unwrap_or(found.version_id),
        ..request
    };
    held_build::take(tx, branch.id)?;
    if let Some(first) = request.revisions.first() {
        plan::set_last_revision(tx, branch.id, &first.revision, now)?;
    }
    let (build_id, outcome) = match enqueue_change(tx, &request, held.decision_id, limit, now)? {
        Enqueued::Started(build) => {
            tracing::info!(build.key = %build.key, "queued build {}, which waited for its parents", build.key);
            (
                Some(build.id),
                format!("waited for its parents and became {}", build.key),
            )
        }
        Enqueued::Waiting => (
            None,
            "waited for its parents, and waits: as many builds of the plan branch run as may run at once"
                .to_owned(),
        ),
        Enqueued::Late(reason) => (None, format!("superseded: {reason}")),
    };
    decision::set_outcome(tx, held.decision_id, build_id, &outcome)?;
    Ok(())
}
