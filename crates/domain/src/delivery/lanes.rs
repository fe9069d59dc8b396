//! Which deliveries may be sent now.
//!
//! Each receiver has a lane of its own. Lanes are served in turn, so that a full one delays no other, and those that
//! are failing go one request at a time and never fill more than half of all places. Where order is kept, a delivery
//! waits until the one before it for the same repository and receiver has ended.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// One delivery that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The id of the delivery.
    pub delivery: i64,
    /// The id of the receiver.
    pub receiver: i64,
    /// Deliveries of one receiver with the same key (the id of the repository) keep their order; `None`: no order.
    pub ordering: Option<i64>,
    /// The place in the order: that of the events. Smaller goes first.
    pub sequence: i64,
    /// The earliest moment of the next attempt, in milliseconds since 1970.
    pub due_ms: i64,
    /// When the lease of the attempt that is being made runs out, in milliseconds since 1970; `None` for a delivery
    /// that waits. One that has run out must be taken back before the delivery can go again.
    pub leased_until_ms: Option<i64>,
}

/// Whether deliveries may go to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// As many at a time as the limit says.
    Open,
    /// One at a time: it is failing, or this is the probe of a pause.
    OneAtATime,
    /// None before this moment.
    Hold {
        /// Milliseconds since 1970.
        until_ms: i64,
    },
    /// None: it is disabled.
    Closed,
}

/// How many requests may be under way at the same time. Zero counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To one receiver.
    pub per_receiver: usize,
    /// To all of them.
    pub total: usize,
}

impl Default for Limits {
    /// Four to one receiver, 64 altogether.
    fn default() -> Self {
        Self {
            per_receiver: 4,
            total: 64,
        }
    }
}

/// The ids of the deliveries that may be sent now, in the order in which to start them.
///
/// `candidates` holds every delivery that has not ended, those that are leased included: they fill places and keep
/// their order. `gate` answers for a receiver (see [`super::receiver::Receiver::gate`]). A receiver's own deliveries
/// go by the moment at which they were due.
#[must_use]
pub fn sendable(
    candidates: &[Candidate],
    gate: impl Fn(i64) -> Gate,
    limits: Limits,
    now_ms: i64,
) -> Vec<i64> {
    let lanes = lanes(candidates, &gate, limits, now_ms);
    let in_flight = |wanted: fn(Gate) -> bool| -> usize {
        lanes
            .values()
            .filter(|lane| wanted(lane.gate))
            .map(|lane| lane.in_flight)
            .sum()
    };
    let total = limits.total.max(1);
    let mut free = total.saturating_sub(in_flight(|_| true));
    // With a single place there is no half to keep free.
    let mut free_for_failing = (total / 2)
        .max(1)
        .saturating_sub(in_flight(|gate| gate != Gate::Open));
    let mut waiting: Vec<Lane> = lanes
        .into_values()
        .filter(|lane| lane.room > 0 && !lane.due.is_empty())
        .collect();
    // Healthy lanes first; among equals the one that has waited longest.
    waiting.sort_by_key(|lane| (lane.gate != Gate::Open, lane.due.front().copied()));

    let mut chosen = Vec::new();
    let mut turn: VecDeque<Lane> = waiting.into();
    while let Some(mut lane) = turn.pop_front() {
        if free == 0 {
            break;
        }
        if lane.gate != Gate::Open {
            if free_for_failing == 0 {
                continue;
            }
            free_for_failing -= 1;
        }
        let Some((_, _, delivery)) = lane.due.pop_front() else {
            continue;
        };
        chosen.push(delivery);
        free -= 1;
        lane.room -= 1;
        if lane.room > 0 && !lane.due.is_empty() {
            turn.push_back(lane);
        }
    }
    chosen
}

/// The next moment at which a delivery may become sendable without anything else happening, in milliseconds since
/// 1970: one becomes due, a hold ends, or a lease runs out. Moments that have passed are left out: what could go has
/// been chosen by [`sendable`], and what waits for a place or its turn is freed by the end of another.
#[must_use]
pub fn next_wake_ms(candidates: &[Candidate], gate: impl Fn(i64) -> Gate, now_ms: i64) -> Option<i64> {
    let heads = heads(candidates);
    candidates
        .iter()
        .filter_map(|candidate| match candidate.leased_until_ms {
            Some(until_ms) => Some(until_ms),
            None if !is_head(&heads, candidate) => None,
            None => match gate(candidate.receiver) {
                Gate::Open | Gate::OneAtATime => Some(candidate.due_ms),
                Gate::Hold { until_ms } => Some(until_ms.max(candidate.due_ms)),
                Gate::Closed => None,
            },
        })
        .filter(|at_ms| *at_ms > now_ms)
        .min()
}

struct Lane {
    gate: Gate,
    in_flight: usize,
    room: usize,
    /// Due, sequence and id of what could go, the first first.
    due: VecDeque<(i64, i64, i64)>,
}

fn lanes(
    candidates: &[Candidate],
    gate: &impl Fn(i64) -> Gate,
    limits: Limits,
    now_ms: i64,
) -> BTreeMap<i64, Lane> {
    let heads = heads(candidates);
    let mut lanes: BTreeMap<i64, Lane> = BTreeMap::new();
    for candidate in candidates {
        let lane = lanes.entry(candidate.receiver).or_insert_with(|| Lane {
            gate: gate(candidate.receiver),
            in_flight: 0,
            room: 0,
            due: VecDeque::new(),
        });
        match candidate.leased_until_ms {
            Some(until_ms) if until_ms > now_ms => lane.in_flight += 1,
            Some(_) => {}
            None if candidate.due_ms <= now_ms && is_head(&heads, candidate) => {
                lane.due
                    .push_back((candidate.due_ms, candidate.sequence, candidate.delivery));
            }
            None => {}
        }
    }
    for lane in lanes.values_mut() {
        let most = match lane.gate {
            Gate::Open => limits.per_receiver.max(1),
            Gate::OneAtATime => 1,
            Gate::Hold { until_ms } if until_ms <= now_ms => 1,
            Gate::Hold { .. } | Gate::Closed => 0,
        };
        lane.room = most.saturating_sub(lane.in_flight);
        lane.due.make_contiguous().sort_unstable();
    }
    lanes
}

/// The first delivery that has not ended of each receiver and ordering key.
fn heads(candidates: &[Candidate]) -> HashMap<(i64, i64), (i64, i64)> {
    let mut heads = HashMap::new();
    for candidate in candidates {
        if let Some(key) = candidate.ordering {
            let place = (candidate.sequence, candidate.delivery);
            heads
                .entry((candidate.receiver, key))
                .and_modify(|head: &mut (i64, i64)| *head = (*head).min(place))
                .or_insert(place);
        }
    }
    heads
}

fn is_head(heads: &HashMap<(i64, i64), (i64, i64)>, candidate: &Candidate) -> bool {
    candidate.ordering.is_none_or(|key| {
        heads.get(&(candidate.receiver, key)) == Some(&(candidate.sequence, candidate.delivery))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(delivery: i64, receiver: i64, due_ms: i64) -> Candidate {
        Candidate {
            delivery,
            receiver,
            ordering: None,
            sequence: delivery,
            due_ms,
            leased_until_ms: None,
        }
    }

    fn ordered(delivery: i64, receiver: i64, due_ms: i64) -> Candidate {
        Candidate {
            ordering: Some(1),
            ..waiting(delivery, receiver, due_ms)
        }
    }

    fn leased(candidate: Candidate, until_ms: i64) -> Candidate {
        Candidate {
            leased_until_ms: Some(until_ms),
            ..candidate
        }
    }

    fn limits(per_receiver: usize, total: usize) -> Limits {
        Limits { per_receiver, total }
    }

    #[test]
    fn receivers_take_turns() {
        let rows: Vec<Candidate> = (1..=4)
            .map(|id| waiting(id, 1, 0))
            .chain([waiting(9, 2, 5)])
            .collect();
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(3, 3), 10), [1, 9, 2]);
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(2, 10), 10), [1, 9, 2]);
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(0, 0), 10), [1]);
    }

    #[test]
    fn nothing_goes_before_its_time() {
        let rows = [waiting(1, 1, 11), waiting(2, 1, 10)];
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(9, 9), 10), [2]);
        assert_eq!(next_wake_ms(&rows, |_| Gate::Open, 10), Some(11));
    }

    #[test]
    fn later_one_waits_for_the_earlier_to_end() {
        let rows = [
            ordered(2, 1, 0),
            ordered(1, 1, 50),
            ordered(1, 2, 0),
            waiting(3, 1, 0),
        ];
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(9, 9), 10), [1, 3]);
        let rows = [leased(ordered(1, 1, 0), 50), ordered(2, 1, 0)];
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(9, 9), 10), [0i64; 0]);
        assert_eq!(sendable(&rows, |_| Gate::Open, limits(9, 9), 60), [0i64; 0]);
        assert_eq!(sendable(&rows[1..], |_| Gate::Open, limits(9, 9), 10), [2]);
    }

    #[test]
    fn failing_receiver_gets_one_request_at_a_time() {
        let rows = [waiting(1, 1, 0), waiting(2, 1, 0)];
        let gate = |_| Gate::OneAtATime;
        assert_eq!(sendable(&rows, gate, limits(4, 9), 10), [1]);
        let rows = [leased(waiting(1, 1, 0), 50), waiting(2, 1, 0)];
        assert_eq!(sendable(&rows, gate, limits(4, 9), 10), [0i64; 0]);
        assert_eq!(sendable(&rows, gate, limits(4, 9), 60), [2]);
    }

    #[test]
    fn failing_receivers_leave_half_of_the_places_to_others() {
        let gate = |receiver| match receiver {
            0 => Gate::Open,
            _ => Gate::OneAtATime,
        };
        let failing: Vec<Candidate> = (1..100).map(|id| waiting(id, id, 0)).collect();
        assert_eq!(sendable(&failing, gate, limits(4, 8), 10), [1, 2, 3, 4]);
        let mut rows: Vec<Candidate> = failing
            .iter()
            .map(|row| if row.delivery <= 4 { leased(*row, 50) } else { *row })
            .collect();
        rows.push(waiting(200, 0, 9));
        assert_eq!(sendable(&rows, gate, limits(4, 8), 10), [200]);
    }

    #[test]
    fn held_and_disabled_receivers_wait() {
        let rows = [waiting(1, 1, 0), waiting(2, 2, 0)];
        let gate = |receiver| match receiver {
            1 => Gate::Hold { until_ms: 30 },
            _ => Gate::Closed,
        };
        assert_eq!(sendable(&rows, gate, limits(4, 8), 10), [0i64; 0]);
        assert_eq!(next_wake_ms(&rows, gate, 10), Some(30));
        assert_eq!(next_wake_ms(&rows[1..], gate, 10), None);
    }
}
