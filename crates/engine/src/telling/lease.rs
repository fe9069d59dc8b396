//! Which deliveries are next: leases are taken for what is due, and given back or taken back where nothing came of
//! them.

use std::collections::HashMap;
use std::time::Duration;

use madake_domain::delivery::lanes::next_wake_ms;
use madake_domain::delivery::{Candidate, Gate, Limits, Progress, Receiver as Health, Schedule, sendable};
use madake_store::delivery::{self, Delivery};
use madake_store::receiver::{self, Receiver};
use madake_store::{Millis, Tx};

use super::attempts::dispatch;
use super::broker::{BROKER, BrokerSettings};
use super::deliver::{LONGEST_TIMEOUT_SECONDS, jitter};
use super::lanes::{Leased, Wish, gate};
use crate::{Engine, EngineError, clock};

/// How many deliveries of one receiver are looked at: those behind wait for these.
const LOOKED_AT: i64 = 200;
/// How much longer than the longest attempt a lease lasts: the longest wait for a place and for a connection, and some
/// more. A server that starts takes all leases back, so their length delays nothing.
const LEASE_MARGIN_MS: Millis = 180_000;
/// After a look at this many receivers or more the loop rests a little.
const CROWD: usize = 10;
/// For each of them so long.
const REST_FOR_EACH: Duration = Duration::from_micros(100);
/// And never longer than this.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// Takes back what the last server left, and gives back what this one will not send any more when it stops.
///
/// # Errors
/// When the store cannot be read or written.
pub(crate) async fn recover(engine: &Engine) -> Result<(), EngineError> {
    // A home is used by one process, so nobody else holds a lease.
    let left = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(delivery::leases(tx, Millis::MAX)?))
        .await?;
    let now = clock::now_ms();
    let schedule = Schedule::standard();
    settle(engine, left, move |one| {
        one.progress.clone().abandon(&schedule, now).ok()
    })
    .await?;
    let stopping = engine.clone();
    engine.loops().spawn(async move {
        stopping.stopping().cancelled().await;
        let leased = stopping.telling_lanes().let_go();
        if let Err(error) = give_back(&stopping, leased).await {
            tracing::warn!("deliveries that were about to be sent are sent after the next start: {error}");
        }
    });
    Ok(())
}

/// Leases what is due, sends it, and says when something is due next.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let now = clock::now_ms();
    let lanes = engine.telling_lanes();
    if lanes.sweep_is_due(now) {
        sweep(engine, now).await?;
    }
    give_back(engine, lanes.unsendable(now)).await?;
    let looking = engine.clone();
    let looked = engine.store().read(move |tx| look(&looking, tx, now)).await?;
    let Looked { looks, mut next } = looked;
    let receivers = looks.len();
    let mut leases = Vec::new();
    let mut fills = Vec::new();
    for one in looks {
        let (leased, more, later) = choose(&one, now);
        next = next.into_iter().chain(later).min();
        fills.push((one.receiver, one.wish, leased.len(), more));
        leases.extend(leased);
    }
    let taken = take(engine, leases).await?;
    let mut taken = taken.into_iter();
    for (receiver, wish, asked, more) in fills {
        let leased = taken.by_ref().take(asked).flatten();
        lanes.fill(&receiver, wish, leased, more, now);
    }
    dispatch(engine);
    if receivers >= CROWD {
        // Many receivers are told together: what comes meanwhile shares the next look.
        let rest = REST_FOR_EACH.saturating_mul(u32::try_from(receivers).unwrap_or(u32::MAX));
        tokio::time::sleep(rest.min(LONGEST_REST)).await;
    }
    let pause = next.map_or(60_000, |next| (next - clock::now_ms()).clamp(1, 60_000));
    Ok(Some(Duration::from_millis(
        u64::try_from(pause).unwrap_or(60_000),
    )))
}

/// What was read of one receiver.
struct Look {
    receiver: Receiver,
    wish: Wish,
    open: Vec<Delivery>,
}

struct Looked {
    looks: Vec<Look>,
    /// When a receiver that is left alone may be tried again.
    next: Option<Millis>,
}

/// Reads the oldest open deliveries of receivers that could take some up.
fn look(engine: &Engine, tx: &Tx<'_>, now: Millis) -> Result<Looked, EngineError> {
    let lanes = engine.telling_lanes();
    let (mut looks, mut next, mut all) = (Vec::new(), None, Vec::new());
    while let Some(id) = delivery::next_open_receiver(tx, all.last().copied().unwrap_or(0))? {
        all.push(id);
        let answers = lanes.answers(id);
        let Some(receiver) = receiver::by_id(tx, id)? else {
            continue;
        };
        if let Gate::Hold { until_ms } = gate(&receiver, now) {
            next = next.into_iter().chain([until_ms]).min();
        }
        let wish = lanes.wish(&receiver, answers, now);
        if wish.wanted > 0 {
            let open = delivery::open_of(tx, id, LOOKED_AT)?;
            looks.push(Look { receiver, wish, open });
        }
    }
    lanes.only(&all);
    Ok(Looked { looks, next })
}

/// Which deliveries of a receiver are leased, whether others are due, and when one will be.
fn choose(one: &Look, now: Millis) -> (Vec<(Delivery, Progress)>, bool, Option<Millis>) {
    let candidates: Vec<Candidate> = one.open.iter().filter_map(candidate).collect();
    let gate = |_| gate(&one.receiver, now);
    let limits = Limits {
        per_receiver: one.wish.most,
        total: one.wish.most,
    };
    let mut chosen = sendable(&candidates, gate, limits, now);
    chosen.truncate(one.wish.wanted);
    let due = |row: &&Candidate| row.leased_until_ms.is_none() && row.due_ms <= now;
    let more = candidates.iter().filter(due).count() > chosen.len()
        || i64::try_from(candidates.len()) == Ok(LOOKED_AT);
    let later = next_wake_ms(&candidates, gate, now);
    let until = now + longest_attempt_ms(&one.receiver) + LEASE_MARGIN_MS;
    let open: HashMap<i64, &Delivery> = one.open.iter().map(|row| (row.id, row)).collect();
    let leased = chosen.iter().filter_map(|id| {
        let row = *open.get(id)?;
        let to = row.progress.clone().lease(now, until).ok()?;
        Some((row.clone(), to))
    });
    (leased.collect(), more, later)
}

fn longest_attempt_ms(receiver: &Receiver) -> Millis {
    if receiver.kind == BROKER {
        // What cannot be read is not carried out either.
        BrokerSettings::of(receiver).map_or(0, |kept| kept.longest_attempt_ms())
    } else {
        i64::try_from(LONGEST_TIMEOUT_SECONDS * 1000).unwrap_or(0)
    }
}

fn candidate(one: &Delivery) -> Option<Candidate> {
    let (due_ms, leased_until_ms) = match one.progress {
        Progress::Waiting { due_ms, .. } => (due_ms, None),
        Progress::Leased { until_ms, .. } => (until_ms, Some(until_ms)),
        Progress::Ended { .. } => return None,
    };
    Some(Candidate {
        delivery: one.id,
        receiver: one.receiver_id,
        ordering: one.ordering,
        sequence: one.id,
        due_ms,
        leased_until_ms,
    })
}

/// Takes leases, all in one transaction; `None` stands where somebody else was faster.
async fn take(
    engine: &Engine,
    leases: Vec<(Delivery, Progress)>,
) -> Result<Vec<Option<Leased>>, EngineError> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    engine
        .store()
        .write(move |tx| {
            let mut taken = Vec::with_capacity(leases.len());
            for (delivery, progress) in leases {
                let got = delivery::settle(tx, delivery.id, &delivery.progress, &progress, None)?;
                taken.push(got.then_some(Leased { delivery, progress }));
            }
            Ok::<_, EngineError>(taken)
        })
        .await
}

async fn give_back(engine: &Engine, leased: Vec<Leased>) -> Result<(), EngineError> {
    let rows = leased.into_iter().map(|one| Delivery {
        progress: one.progress,
        ..one.delivery
    });
    settle(engine, rows.collect(), |one| {
        one.progress.clone().give_back().ok()
    })
    .await
}

/// Moves deliveries on, all in one transaction.
async fn settle(
    engine: &Engine,
    rows: Vec<Delivery>,
    to: impl Fn(&Delivery) -> Option<Progress> + Send + 'static,
) -> Result<(), EngineError> {
    if rows.is_empty() {
        return Ok(());
    }
    engine
        .store()
        .write(move |tx| {
            for one in &rows {
                if let Some(to) = to(one).filter(|to| *to != one.progress) {
                    delivery::settle(tx, one.id, &one.progress, &to, None)?;
                }
            }
            Ok::<_, EngineError>(())
        })
        .await
}

/// Now and then: leases that ran out are taken back, what a disabled receiver can get no more is ended, and so is what
/// was entered for a receiver while it was being removed.
async fn sweep(engine: &Engine, now: Millis) -> Result<(), EngineError> {
    let (lost, idle) = engine
        .store()
        .read(move |tx| {
            let mut idle = Vec::new();
            let mut after = 0;
            while let Some(id) = delivery::next_open_receiver(tx, after)? {
                after = id;
                let receiver = receiver::by_id(tx, id)?;
                let health = receiver.as_ref().map(|one| one.health.clone());
                if matches!(health, None | Some(Health::Disabled { .. })) {
                    let open = delivery::open_of(tx, id, LOOKED_AT)?;
                    idle.extend(open.into_iter().map(|one| (one, health.clone())));
                }
            }
            Ok::<_, EngineError>((delivery::leases(tx, now)?, idle))
        })
        .await?;
    let schedule = Schedule::standard();
    settle(engine, lost, move |one| {
        one.progress.clone().reclaim(&schedule, now, jitter()).ok()
    })
    .await?;
    let healths: HashMap<i64, Option<Health>> = idle
        .iter()
        .map(|(one, health)| (one.receiver_id, health.clone()))
        .collect();
    let schedule = Schedule::standard();
    let rows = idle.into_iter().map(|(one, _)| one).collect();
    settle(engine, rows, move |one| match healths.get(&one.receiver_id)? {
        Some(health) => Some(
            one.progress
                .clone()
                .expire(&schedule, health, one.created_ms, now),
        ),
        None => one.progress.clone().cancel(now).ok(),
    })
    .await
}
