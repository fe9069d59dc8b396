//! Compares the refs of hosted and attached repositories with the ledger: what a lost hook, or a crash between
//! `receive-pack` and the ledger, left out is found and entered, once.
//!
//! Also sweeps what a lost wake-up or a crash between two transactions left behind.

use std::path::Path;

use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::text::counted;
use madake_store::event::{self, Content, NewEvent, RefUpdate, Via};
use madake_store::repository::{self, Repository};
use madake_store::{Topic, build};

use crate::enqueue::start_waiting;
use crate::settled::Stamps;
use crate::{Engine, EngineError, clock};

/// Reconciles every hosted and attached repository, and starts what waits for a place that is free.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let all = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(repository::all(tx)?))
        .await?;
    for one in all.into_iter().filter(|one| one.kind != RepositoryKind::Linked) {
        if engine.stopping().is_cancelled() {
            return Ok(());
        }
        if let Err(error) = repository_refs(engine, &one).await {
            tracing::warn!(repository = %one.name, "the refs of {} could not be compared: {error}", one.name);
        }
    }
    let limit = engine.settings().concurrent_builds;
    engine
        .store()
        .write(move |tx| {
            for branch in build::branches_waiting(tx)? {
                start_waiting(tx, branch, limit, clock::now_ms())?;
            }
            tx.wake(Topic::Queue);
            Ok::<_, EngineError>(())
        })
        .await
}

/// Enters the refs of one repository that moved without our being told.
pub(crate) async fn repository_refs(engine: &Engine, one: &Repository) -> Result<(), EngineError> {
    let Some(updates) = compare(engine, one).await? else {
        return Ok(());
    };
    tracing::info!(
        repository = %one.name,
        refs = updates.len(),
        "{} of {} had moved without our being told, as is entered now",
        counted(updates.len(), "ref"),
        one.name
    );
    let new = NewEvent {
        kind: "reconciliation",
        delivery_id: None,
        address: String::new(),
        principal: "reconciliation".into(),
        repository_id: Some(one.id),
        plan_key: None,
        summary: format!(
            "{} of {} had moved without our being told",
            counted(updates.len(), "ref"),
            one.name
        ),
        raw: Vec::new(),
        content: Content::Push {
            via: Via::Reconciliation,
            updates,
            pusher: None,
            options: Vec::new(),
        },
    };
    engine
        .store()
        .write(move |tx| event::receive(tx, new, clock::now_ms()))
        .await?;
    Ok(())
}

/// How the refs of a repository on this machine differ from the ledger; none if they do not, or somebody pushes to it
/// just now.
pub(crate) async fn compare(
    engine: &Engine,
    one: &Repository,
) -> Result<Option<Vec<RefUpdate>>, EngineError> {
    if engine.push_in_flight(one.id) {
        // Its refs move just now, and the push itself will be entered.
        return Ok(None);
    }
    let stamps = match one.scm {
        Scm::Git => None,
        Scm::Hg => Stamps::of(Path::new(&one.path)),
    };
    if let Some(stamps) = &stamps
        && engine.settled().knows(one.id, stamps)
    {
        return Ok(None);
    }
    let id = one.id;
    let known = engine.store().read(move |tx| repository::refs(tx, id)).await?;
    let read = engine.refs(one).await?;
    let updates = read.moved_since(&known);
    if updates.is_empty()
        && let Some(stamps) = stamps
    {
        engine.settled().note(one.id, stamps, clock::now_ms());
    }
    if updates.is_empty() || engine.push_in_flight(one.id) {
        return Ok(None);
    }
    Ok(Some(updates))
}
