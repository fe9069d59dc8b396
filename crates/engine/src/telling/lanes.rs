//! What the deliverer has in hand: for each receiver the deliveries that were leased for it and wait for a place, and
//! those that are being sent. All of it is in the store as well: what is lost here is found there.
//!
//! Leases are taken some at a time, ahead of the places: more and more for a receiver that answers quickly, none for
//! one that fails. So a commit serves many deliveries, and a dead receiver holds none back for long.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use madake_domain::delivery::{Candidate, Class, Gate, Limits, Progress, Receiver as Health, sendable};
use madake_store::Millis;
use madake_store::delivery::Delivery;
use madake_store::receiver::Receiver;

use super::deliver::Sent;

/// How many deliveries are leased at first for a receiver that nothing is known of.
const FIRST_AHEAD: usize = 4;
/// How many are leased at most for one receiver.
const MOST_AHEAD: usize = 128;
/// Used up within this time, twice as many are leased the next time.
const QUICK_MS: Millis = 1000;
/// What waits longer than this for a place is given back.
const LONGEST_WAIT_MS: Millis = 30_000;
/// With this many results that are not stored yet, nothing more is sent.
const MOST_UNSTORED: usize = 512;
/// How long a lane without deliveries is remembered.
const REMEMBERED_MS: Millis = 60_000;
/// How often the store is searched for what was left behind.
const SWEEP_MS: Millis = 60_000;

/// The lanes of all receivers.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<i64, Lane>,
    /// Results that are not stored yet.
    results: Vec<Finished>,
    /// Whether somebody stores results.
    storing: bool,
    /// When the store was searched for what was left behind.
    swept_ms: Millis,
}

#[derive(Debug)]
struct Lane {
    receiver: Arc<Receiver>,
    /// Counts the results that were stored, so that what was read before is known to be old.
    answers: u64,
    waiting: VecDeque<Leased>,
    /// Failures that are not stored yet: until the receiver's health is known again, nothing more is sent.
    failures: usize,
    /// The deliveries that are being sent, with the ends of their leases.
    under_way: BTreeMap<i64, Millis>,
    ahead: usize,
    filled_ms: Millis,
    /// Whether the store may have more that is due.
    more: bool,
}

/// A delivery whose lease was taken.
#[derive(Debug, Clone)]
pub(super) struct Leased {
    pub(super) delivery: Delivery,
    /// The lease.
    pub(super) progress: Progress,
}

/// A delivery that may be sent now. Its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    lanes: Arc<Lanes>,
    pub(super) receiver: Arc<Receiver>,
    pub(super) leased: Leased,
}

/// An attempt that was made and is not stored yet.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) receiver: Arc<Receiver>,
    pub(super) delivery: i64,
    pub(super) uid: String,
    pub(super) lease: Progress,
    pub(super) began_ms: Millis,
    pub(super) sent: Sent,
}

/// Whoever stores results; only one does at a time.
#[derive(Debug)]
pub(super) struct Storing<'a> {
    lanes: &'a Lanes,
    ended: bool,
}

/// How many deliveries a receiver could take up, and what was known when that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// How many may be leased or under way altogether.
    pub(super) most: usize,
    /// How many more are wanted.
    pub(super) wanted: usize,
    answers: u64,
}

impl Finished {
    pub(super) fn failed(&self) -> bool {
        !matches!(self.sent.answer.class(), Class::Success | Class::Nothing)
    }
}

impl Leased {
    fn until_ms(&self) -> Millis {
        match self.progress {
            Progress::Leased { until_ms, .. } => until_ms,
            _ => 0,
        }
    }

    fn since_ms(&self) -> Millis {
        match self.progress {
            Progress::Leased { since_ms, .. } => since_ms,
            _ => 0,
        }
    }
}

/// Whether deliveries may go to a receiver.
pub(super) fn gate(receiver: &Receiver, now: Millis) -> Gate {
    if receiver.active {
        receiver.health.gate(now)
    } else {
        Gate::Closed
    }
}

impl Lane {
    fn new(receiver: Arc<Receiver>, now: Millis) -> Self {
        Self {
            receiver,
            answers: 0,
            waiting: VecDeque::new(),
            failures: 0,
            under_way: BTreeMap::new(),
            ahead: FIRST_AHEAD,
            filled_ms: now,
            more: true,
        }
    }

    /// Takes over what was read of the receiver, but for a health that results have overtaken.
    fn learn(&mut self, receiver: &Receiver, answers: u64) {
        if *self.receiver == *receiver {
            return;
        }
        let mut receiver = receiver.clone();
        if self.answers != answers {
            receiver.health = self.receiver.health.clone();
        }
        self.receiver = Arc::new(receiver);
    }

    fn wish(&self, now: Millis) -> Wish {
        let held = self.waiting.len() + self.under_way.len();
        let (most, wanted) = match gate(&self.receiver, now) {
            Gate::Open if self.waiting.len() * 4 <= self.ahead => {
                (self.ahead + held, self.ahead - self.waiting.len())
            }
            Gate::Open => (self.ahead + held, 0),
            Gate::OneAtATime => (1, 1_usize.saturating_sub(held)),
            Gate::Hold { .. } | Gate::Closed => (0, 0),
        };
        Wish {
            most,
            wanted,
            answers: self.answers,
        }
    }

    /// How many may stay in line.
    fn tolerated(&self, now: Millis) -> usize {
        match gate(&self.receiver, now) {
            Gate::Open => usize::MAX,
            Gate::OneAtATime => 1_usize.saturating_sub(self.under_way.len()),
            Gate::Hold { .. } | Gate::Closed => 0,
        }
    }
}

impl Lanes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to search the store for what was left behind; says so once.
    pub(super) fn sweep_is_due(&self, now: Millis) -> bool {
        let mut state = self.state();
        let due = now - state.swept_ms >= SWEEP_MS;
        if due {
            state.swept_ms = now;
        }
        due
    }

    /// How many results of a receiver were stored; asked before its row is read.
    pub(super) fn answers(&self, receiver_id: i64) -> u64 {
        let state = self.state();
        state.lanes.get(&receiver_id).map_or(0, |lane| lane.answers)
    }

    /// What a receiver could take up, judged by its row, which was read after there had been so many `answers`.
    pub(super) fn wish(&self, receiver: &Receiver, answers: u64, now: Millis) -> Wish {
        let mut state = self.state();
        match state.lanes.get_mut(&receiver.id) {
            Some(lane) => {
                lane.learn(receiver, answers);
                // What is not looked at now may have grown.
                lane.more = true;
                lane.wish(now)
            }
            None => Lane::new(Arc::new(receiver.clone()), now).wish(now),
        }
    }

    /// Puts leased deliveries in line. `more` says whether there were others that are due.
    pub(super) fn fill(
        &self,
        receiver: &Receiver,
        wish: Wish,
        leased: impl IntoIterator<Item = Leased>,
        more: bool,
        now: Millis,
    ) {
        let mut state = self.state();
        let lane = state
            .lanes
            .entry(receiver.id)
            .or_insert_with(|| Lane::new(Arc::new(receiver.clone()), now));
        lane.learn(receiver, wish.answers);
        lane.more = more;
        let before = lane.waiting.len();
        lane.waiting.extend(leased);
        if lane.waiting.len() > before {
            lane.ahead = match now - lane.filled_ms {
                passed if passed > QUICK_MS => (lane.ahead / 2).max(FIRST_AHEAD),
                _ => (lane.ahead * 2).min(MOST_AHEAD),
            };
            lane.filled_ms = now;
        }
    }

    /// Takes out what can no longer be sent soon, so that its lease is given back, and forgets lanes that are idle.
    pub(super) fn unsendable(&self, now: Millis) -> Vec<Leased> {
        let mut state = self.state();
        let mut back = Vec::new();
        for lane in state.lanes.values_mut() {
            let tolerated = lane.tolerated(now).min(lane.waiting.len());
            back.extend(lane.waiting.split_off(tolerated));
            while lane
                .waiting
                .front()
                .is_some_and(|one| now - one.since_ms() > LONGEST_WAIT_MS)
            {
                back.extend(lane.waiting.pop_front());
            }
        }
        state.lanes.retain(|_, lane| {
            !lane.waiting.is_empty() || !lane.under_way.is_empty() || now - lane.filled_ms < REMEMBERED_MS
        });
        back
    }

    /// Takes out everything that was leased and not begun.
    pub(super) fn let_go(&self) -> Vec<Leased> {
        let mut state = self.state();
        let lanes = state.lanes.values_mut();
        lanes.flat_map(|lane| lane.waiting.drain(..)).collect()
    }

    /// These receivers alone have deliveries in the store that have not ended.
    pub(super) fn only(&self, receivers: &[i64]) {
        for (id, lane) in &mut self.state().lanes {
            lane.more &= receivers.contains(id);
        }
    }

    /// Gives places to deliveries.
    pub(super) fn start(self: &Arc<Self>, now: Millis) -> Vec<Place> {
        let limits = Limits::default();
        let mut state = self.state();
        let mut places = Vec::new();
        if state.results.len() < MOST_UNSTORED {
            let mut candidates = Vec::new();
            for lane in state.lanes.values() {
                let receiver = lane.receiver.id;
                let sent = lane.under_way.iter().map(|(delivery, until_ms)| Candidate {
                    delivery: *delivery,
                    receiver,
                    ordering: None,
                    sequence: *delivery,
                    due_ms: 0,
                    leased_until_ms: Some(*until_ms),
                });
                // Order was kept when leases were taken.
                let next = lane
                    .waiting
                    .iter()
                    .take(limits.per_receiver)
                    .map(|one| Candidate {
                        delivery: one.delivery.id,
                        receiver,
                        ordering: None,
                        sequence: one.delivery.id,
                        due_ms: one.since_ms(),
                        leased_until_ms: None,
                    });
                candidates.extend(sent.chain(next));
            }
            let lanes = &state.lanes;
            let gates = |id: i64| {
                let known = lanes.get(&id).filter(|lane| lane.failures == 0);
                known.map_or(Gate::Closed, |lane| gate(&lane.receiver, now))
            };
            let chosen = sendable(&candidates, gates, limits, now);
            let receivers: HashMap<i64, i64> = candidates
                .iter()
                .map(|one| (one.delivery, one.receiver))
                .collect();
            for id in chosen {
                let lane = receivers
                    .get(&id)
                    .and_then(|receiver| state.lanes.get_mut(receiver));
                let Some(lane) = lane else { continue };
                let Some(at) = lane.waiting.iter().position(|one| one.delivery.id == id) else {
                    continue;
                };
                let Some(leased) = lane.waiting.remove(at) else {
                    continue;
                };
                lane.under_way.insert(id, leased.until_ms());
                places.push(Place {
                    lanes: Arc::clone(self),
                    receiver: Arc::clone(&lane.receiver),
                    leased,
                });
            }
        }
        places
    }

    /// Whether more should be leased for some receiver.
    pub(super) fn hungry(&self, now: Millis) -> bool {
        let state = self.state();
        let mut lanes = state.lanes.values();
        lanes.any(|lane| lane.more && lane.wish(now).wanted > 0)
    }

    /// Keeps the result of an attempt until it is stored.
    pub(super) fn finished(&self, result: Finished) {
        let mut state = self.state();
        if result.failed()
            && let Some(lane) = state.lanes.get_mut(&result.receiver.id)
        {
            lane.failures += 1;
        }
        state.results.push(result);
    }

    /// The results that are to be stored, unless somebody else stores results now; that one takes these too.
    pub(super) fn begin_storing(&self) -> Option<(Storing<'_>, Vec<Finished>)> {
        let mut state = self.state();
        if state.storing || state.results.is_empty() {
            return None;
        }
        state.storing = true;
        let results = std::mem::take(&mut state.results);
        drop(state);
        let storing = Storing {
            lanes: self,
            ended: false,
        };
        Some((storing, results))
    }

    /// Results of a receiver were stored, `failures` of them bad; or they could not be, and its health is not known.
    pub(super) fn stored(&self, receiver_id: i64, failures: usize, health: Option<Health>) {
        let mut state = self.state();
        let Some(lane) = state.lanes.get_mut(&receiver_id) else {
            return;
        };
        lane.answers += 1;
        lane.failures = lane.failures.saturating_sub(failures);
        if let Some(health) = health
            && lane.receiver.health != health
        {
            lane.ahead = FIRST_AHEAD;
            let mut receiver = Receiver::clone(&lane.receiver);
            receiver.health = health;
            lane.receiver = Arc::new(receiver);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.lanes.state().lanes.get_mut(&self.receiver.id) {
            lane.under_way.remove(&self.leased.delivery.id);
        }
    }
}

impl Storing<'_> {
    /// What was finished meanwhile.
    pub(super) fn more(&self) -> Vec<Finished> {
        std::mem::take(&mut self.lanes.state().results)
    }

    /// Ends, unless something was finished meanwhile: then that is to be stored first.
    pub(super) fn end(&mut self) -> Vec<Finished> {
        let mut state = self.lanes.state();
        if state.results.is_empty() {
            state.storing = false;
            self.ended = true;
        }
        std::mem::take(&mut state.results)
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Whoever stored was cut off: the next result finds nobody storing.
            self.lanes.state().storing = false;
        }
    }
}

#[cfg(test)]
mod tests;
