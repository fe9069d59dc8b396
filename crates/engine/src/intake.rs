//! Steps 3 to 6 of the walk: arrivals in the ledger become decisions and builds.
//!
//! Arrivals of one repository are taken in order; those of different repositories do not wait for each other, so
//! that a slow host delays nobody else. An arrival that cannot be decided now (its host does not answer) is tried
//! again for an hour; then the entry says why nothing came of it. It is never dropped in silence.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use madake_store::Topic;
use madake_store::event::{self, Event};

use crate::decide::decide_events;
use crate::{Engine, EngineError, clock};

/// How many arrivals one look takes up.
const BATCH: i64 = 2000;
/// More than this many arrivals in one look are a flood: decided a moment later, they share reads and commits.
const FLOOD: usize = 16;
/// That moment is a millisecond for each of them, and at most this many.
const GATHERING_MS: usize = 250;
/// How long an arrival is tried again, in milliseconds.
const TRIED_FOR_MS: i64 = 60 * 60 * 1000;

/// Which repositories are being worked on, and which arrivals rest after a failure.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    busy: Mutex<HashSet<i64>>,
    resting: Mutex<HashMap<i64, (u32, Instant)>>,
}

impl Lanes {
    fn enter(&self, lane: i64) -> bool {
        self.busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lane)
    }

    fn leave(&self, lane: i64) {
        self.busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&lane);
    }

    fn rests(&self, event_id: i64) -> bool {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting
            .get(&event_id)
            .is_some_and(|(_, until)| Instant::now() < *until)
    }

    /// Lets an arrival rest, longer after each failure; says for how long.
    fn rest(&self, event_id: i64) -> Duration {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = resting.get(&event_id).map_or(0, |(tries, _)| *tries) + 1;
        let pause = Duration::from_secs(1 << tries.min(6));
        resting.insert(event_id, (tries, Instant::now() + pause));
        pause
    }

    fn forget(&self, event_id: i64) {
        self.resting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&event_id);
    }
}

/// Gives each repository with waiting arrivals a task of its own, unless it has one. A look costs a step for each
/// such repository, however many arrivals wait: it runs for each arrival of a flood.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let waiting = engine.store().look_up(|tx| {
        let mut lanes = Vec::new();
        let mut after = -1;
        while let Some((lane, first)) = event::next_waiting_repository(tx, after)? {
            lanes.push((lane, first));
            after = lane;
        }
        Ok::<_, EngineError>(lanes)
    })?;
    for (lane, first) in waiting {
        // Later arrivals of a repository would meet the obstacle of the first, and order is kept.
        if engine.lanes().rests(first) || !engine.lanes().enter(lane) {
            continue;
        }
        let engine = engine.clone();
        engine
            .loops()
            .clone()
            .spawn(async move { work(engine, lane).await });
    }
    Ok(Some(Duration::from_secs(2)))
}

async fn work(engine: Engine, lane: i64) {
    let mut held_up = false;
    let events = engine
        .store()
        .read(move |tx| event::waiting_of(tx, lane, BATCH))
        .await
        .unwrap_or_else(|error| {
            tracing::error!("waiting arrivals cannot be read and are tried again: {error}");
            held_up = true;
            Vec::new()
        });
    let mut rest = &events[..];
    while !rest.is_empty() && !engine.stopping().is_cancelled() {
        let mut decided = 0;
        let outcome = decide_events(&engine, rest, &mut decided).await;
        for one in &rest[..decided] {
            engine.lanes().forget(one.id);
        }
        rest = &rest[decided..];
        let (Err(error), Some(one)) = (outcome, rest.first()) else {
            break;
        };
        let id = one.id;
        if clock::now_ms() - one.received_ms > TRIED_FOR_MS {
            give_up(&engine, one, &error).await;
            rest = &rest[1..];
            continue;
        }
        let pause = engine.lanes().rest(id);
        tracing::warn!(
            event = id,
            "event {id} cannot be decided now and is tried again in {} s: {error}",
            pause.as_secs()
        );
        held_up = true;
        break;
    }
    if events.len() > FLOOD {
        let pause = u64::try_from(events.len().min(GATHERING_MS)).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    engine.lanes().leave(lane);
    if !held_up {
        // What arrived for this repository meanwhile was passed over, as the lane was taken.
        engine.store().wakes().ring(Topic::Events);
    }
}

async fn give_up(engine: &Engine, one: &Event, error: &EngineError) {
    let id = one.id;
    let reason = format!("given up after an hour of tries: {error}");
    tracing::error!(event = id, "event {id} {reason}");
    let outcome = engine
        .store()
        .write(move |tx| {
            event::note(tx, id, "error", &reason, clock::now_ms())?;
            event::mark_processed(tx, id, Some(&reason), clock::now_ms()).map(|_| ())
        })
        .await;
    match outcome {
        Ok(()) => engine.lanes().forget(id),
        Err(error) => tracing::error!(event = id, "event {id} could not even be given up: {error}"),
    }
}
