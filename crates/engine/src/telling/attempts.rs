//! What has a place is sent, and what came of it is stored, many results in one transaction when many come.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use madake_domain::delivery::{Effect, Input, Policy, Receiver as Health, Schedule, step};
use madake_store::receiver::{self, Receiver};
use madake_store::{Topic, delivery};

use super::deliver::{Sent, jitter, send};
use super::lanes::{Finished, Place};
use super::owner;
use crate::{Engine, EngineError, clock};

/// So many results at once are a flood: stored a moment later, more of them share a commit.
const FLOOD: usize = 4;
/// That moment.
const GATHERING: Duration = Duration::from_millis(5);

/// Sends what has a place.
pub(super) fn dispatch(engine: &Engine) {
    if engine.stopping().is_cancelled() {
        return;
    }
    for place in engine.telling_lanes().start(clock::now_ms()) {
        let task = engine.clone();
        engine.loops().spawn(async move { attempt(&task, place).await });
    }
}

/// As [`dispatch`], after something has ended; wakes the loop when more could be leased.
fn go_on(engine: &Engine) {
    dispatch(engine);
    if engine.telling_lanes().hungry(clock::now_ms()) {
        engine.store().wakes().ring(Topic::Outbox);
    }
}

async fn attempt(engine: &Engine, place: Place) {
    let began_ms = clock::now_ms();
    let (receiver, one, lease) = (
        Arc::clone(&place.receiver),
        &place.leased.delivery,
        &place.leased.progress,
    );
    let id = one.id;
    let body = engine
        .store()
        .look_up(|tx| Ok::<_, EngineError>(delivery::body(tx, id)?));
    match body {
        Ok(Some(body)) => {
            let sent = send(engine, &receiver, one, lease, body, began_ms).await;
            engine.telling_lanes().finished(Finished {
                receiver,
                delivery: id,
                uid: one.uid.clone(),
                lease: lease.clone(),
                began_ms,
                sent,
            });
        }
        Ok(None) => tracing::error!(
            delivery = id,
            "delivery {} has no body and cannot be sent",
            one.uid
        ),
        Err(error) => tracing::error!(
            delivery = id,
            "delivery {} cannot be read and is tried again when its lease ends: {error}",
            one.uid
        ),
    }
    drop(place);
    go_on(engine);
    store_results(engine).await;
}

/// Stores the results of attempts, many at once when many come; one task does it at a time, for all.
async fn store_results(engine: &Engine) {
    let Some((mut storing, mut results)) = engine.telling_lanes().begin_storing() else {
        return;
    };
    while !results.is_empty() {
        if results.len() >= FLOOD {
            tokio::time::sleep(GATHERING).await;
            results.extend(storing.more());
        }
        store_some(engine, results).await;
        go_on(engine);
        results = storing.end();
    }
}

async fn store_some(engine: &Engine, results: Vec<Finished>) {
    let results = Arc::new(results);
    let stored = store_all(engine, &results, 0..results.len()).await;
    let Err(error) = stored else { return };
    // One that cannot be stored takes no other with it.
    tracing::warn!("results of deliveries are stored one by one: {error}");
    for at in 0..results.len() {
        if let Err(error) = store_all(engine, &results, at..at + 1).await {
            let one = &results[at];
            tracing::error!(
                delivery = one.delivery,
                "delivery {} could not be recorded and is tried again when its lease ends: {error}",
                one.uid
            );
            let failures = usize::from(one.failed());
            engine.telling_lanes().stored(one.receiver.id, failures, None);
        }
    }
}

/// What a receiver's results came to.
struct Outcome {
    receiver: Arc<Receiver>,
    failures: usize,
    health: Option<Health>,
    changed: bool,
    effects: Vec<Effect>,
}

async fn store_all(
    engine: &Engine,
    results: &Arc<Vec<Finished>>,
    range: std::ops::Range<usize>,
) -> Result<(), EngineError> {
    let results = Arc::clone(results);
    let outcomes = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let schedule = Schedule::standard();
            let mut outcomes: BTreeMap<i64, Outcome> = BTreeMap::new();
            for one in &results[range] {
                let outcome = match outcomes.entry(one.receiver.id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(Outcome {
                        receiver: Arc::clone(&one.receiver),
                        failures: 0,
                        health: receiver::by_id(tx, one.receiver.id)?.map(|row| row.health),
                        changed: false,
                        effects: Vec::new(),
                    }),
                };
                outcome.failures += usize::from(one.failed());
                delivery::insert_attempt(tx, one.delivery, &one.sent.attempt)?;
                let Sent {
                    answer, retry_after, ..
                } = one.sent;
                let to = one
                    .lease
                    .clone()
                    .answered(&schedule, answer, now, retry_after, jitter())
                    .map_err(|error| EngineError::Internal(error.to_string()))?;
                if !delivery::settle(tx, one.delivery, &one.lease, &to, Some(answer))? {
                    continue;
                }
                if let Some(before) = outcome.health.take() {
                    let input = Input::Answered {
                        answer,
                        began_ms: one.began_ms,
                        retry_after,
                    };
                    let (after, effects) = step(&Policy::default(), before.clone(), input, now);
                    outcome.changed |= after != before;
                    outcome.health = Some(after);
                    outcome.effects.extend(effects);
                }
            }
            for (id, outcome) in &outcomes {
                if let Some(health) = outcome.health.as_ref().filter(|_| outcome.changed) {
                    receiver::set_health(tx, *id, health)?;
                }
            }
            Ok::<_, EngineError>(outcomes)
        })
        .await?;
    let mut look_again = false;
    for (id, outcome) in outcomes {
        if !outcome.effects.is_empty() {
            // A mail server takes its time, and results are waited for.
            let (task, told, effects) = (engine.clone(), Arc::clone(&outcome.receiver), outcome.effects);
            engine
                .loops()
                .spawn(async move { owner::tell(&task, &told, &effects).await });
        }
        look_again |= outcome.changed || outcome.failures > 0;
        engine
            .telling_lanes()
            .stored(id, outcome.failures, outcome.health);
    }
    if look_again {
        engine.store().wakes().ring(Topic::Outbox);
    }
    Ok(())
}
