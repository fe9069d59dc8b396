//! Whole stories with random answers, latencies and crashes: what must hold whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::lanes::next_wake_ms;
use super::*;

const LEASE_MS: i64 = 60_000;

/// How a simulated receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Good,
    Dead,
    /// Each answer is drawn from the stream of random numbers.
    Fickle,
}

struct Delivery {
    receiver: i64,
    repository: Option<i64>,
    created_ms: i64,
    progress: Progress,
    /// When the attempt that is being made ends, and how; `None` when its holder has died.
    answer: Option<(i64, Answer)>,
    /// The moments at which attempts began.
    began_ms: Vec<i64>,
}

struct World {
    now_ms: i64,
    random: u64,
    schedule: Schedule,
    policy: Policy,
    limits: Limits,
    crashes: bool,
    receivers: BTreeMap<i64, (Manner, Receiver)>,
    deliveries: BTreeMap<i64, Delivery>,
}

impl World {
    fn new(manners: &[Manner], limits: Limits, seed: u64) -> Self {
        let receivers = (0..).zip(manners.iter().map(|manner| (*manner, Receiver::default())));
        Self {
            now_ms: 1_000_000,
            random: seed,
            schedule: Schedule::standard(),
            policy: Policy::default(),
            limits,
            crashes: false,
            receivers: receivers.collect(),
            deliveries: BTreeMap::new(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn jitter(&mut self) -> f64 {
        self.draw(1001) as f64 / 1000.0
    }

    fn push(&mut self, receiver: i64, repository: Option<i64>, created_ms: i64) {
        let jitter = self.jitter();
        let id = i64::try_from(self.deliveries.len()).unwrap();
        self.deliveries.insert(
            id,
            Delivery {
                receiver,
                repository,
                created_ms,
                progress: Progress::new(&self.schedule, created_ms, jitter),
                answer: None,
                began_ms: Vec::new(),
            },
        );
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.deliveries
            .iter()
            .filter_map(|(id, delivery)| {
                let (due_ms, leased_until_ms) = match delivery.progress {
                    Progress::Waiting { due_ms, .. } => (due_ms, None),
                    Progress::Leased {
                        since_ms, until_ms, ..
                    } => (since_ms, Some(until_ms)),
                    Progress::Ended { .. } => return None,
                };
                Some(Candidate {
                    delivery: *id,
                    receiver: delivery.receiver,
                    ordering: delivery.repository,
                    sequence: *id,
                    due_ms,
                    leased_until_ms,
                })
            })
            .collect()
    }

    fn start(&mut self, id: i64) {
        let now_ms = self.now_ms;
        let (manner, gate) = {
            let (manner, receiver) = &self.receivers[&self.deliveries[&id].receiver];
            (*manner, receiver.gate(now_ms))
        };
        assert!(
            matches!(gate, Gate::Open | Gate::OneAtATime),
            "sent through a closed gate"
        );
        self.assert_order(id);
        let statuses = [200, 204, 301, 404, 410, 429, 500, 503];
        let answer = match manner {
            Manner::Good => (now_ms + 50, Answer::Status(200)),
            Manner::Dead => (now_ms + 30_000, Answer::Error(ErrorKind::Timeout)),
            Manner::Fickle => {
                let at_ms = now_ms + i64::try_from(self.draw(30_000)).unwrap();
                let answer = match self.draw(10) {
                    8 => Answer::Error(ErrorKind::Connect),
                    9 => Answer::Error(ErrorKind::Busy),
                    // A 410 ends most stories at once, so it is made rare.
                    4 if self.draw(20) > 0 => Answer::Status(500),
                    other => Answer::Status(statuses[usize::try_from(other).unwrap()]),
                };
                (at_ms, answer)
            }
        };
        let died = self.crashes && self.draw(10) == 0;
        let delivery = self.deliveries.get_mut(&id).unwrap();
        if let Progress::Waiting { due_ms, .. } = delivery.progress {
            assert!(due_ms <= now_ms, "attempt before its time");
        }
        delivery.began_ms.push(now_ms);
        delivery.progress = delivery
            .progress
            .clone()
            .lease(now_ms, now_ms + LEASE_MS)
            .unwrap();
        delivery.answer = (!died).then_some(answer);
    }

    fn assert_order(&self, id: i64) {
        let delivery = &self.deliveries[&id];
        if delivery.repository.is_some() {
            let overtaken = self.deliveries.range(..id).find(|(_, other)| {
                (other.receiver, other.repository) == (delivery.receiver, delivery.repository)
                    && !matches!(other.progress, Progress::Ended { .. })
            });
            assert!(overtaken.is_none(), "an earlier delivery was overtaken");
        }
    }

    /// Enters answers and lost leases whose time has come, then ends what has expired.
    fn settle(&mut self) {
        let now_ms = self.now_ms;
        let ids: Vec<i64> = self.deliveries.keys().copied().collect();
        for id in ids {
            let jitter = self.jitter();
            let delivery = self.deliveries.get_mut(&id).unwrap();
            let receiver = self.receivers.get_mut(&delivery.receiver).unwrap();
            match (delivery.progress.clone(), delivery.answer) {
                (Progress::Leased { since_ms, .. }, Some((at_ms, answer))) if at_ms <= now_ms => {
                    delivery.answer = None;
                    delivery.progress = delivery
                        .progress
                        .clone()
                        .answered(&self.schedule, answer, now_ms, None, jitter)
                        .unwrap();
                    let input = Input::Answered {
                        answer,
                        began_ms: since_ms,
                        retry_after: None,
                    };
                    receiver.1 = step(&self.policy, receiver.1.clone(), input, now_ms).0;
                }
                (leased @ Progress::Leased { until_ms, .. }, None) if until_ms <= now_ms => {
                    delivery.progress = leased.reclaim(&self.schedule, now_ms, jitter).unwrap();
                }
                (waiting @ Progress::Waiting { .. }, _) => {
                    delivery.progress =
                        waiting.expire(&self.schedule, &receiver.1, delivery.created_ms, now_ms);
                }
                _ => {}
            }
        }
    }

    /// Runs until everything has ended, and fails when it does not.
    fn run(&mut self) {
        for _ in 0..200_000 {
            self.settle();
            let candidates = self.candidates();
            if candidates.is_empty() {
                return;
            }
            let now_ms = self.now_ms;
            let gates: BTreeMap<i64, Gate> = self
                .receivers
                .iter()
                .map(|(id, (_, receiver))| (*id, receiver.gate(now_ms)))
                .collect();
            for id in sendable(&candidates, |receiver| gates[&receiver], self.limits, now_ms) {
                self.start(id);
            }
            let candidates = self.candidates();
            for receiver in gates.keys() {
                let flying = candidates
                    .iter()
                    .filter(|row| row.receiver == *receiver && row.leased_until_ms > Some(now_ms))
                    .count();
                assert!(flying <= self.limits.per_receiver);
            }
            let answers = self
                .deliveries
                .values()
                .filter(|delivery| matches!(delivery.progress, Progress::Leased { .. }))
                .filter_map(|delivery| delivery.answer.map(|(at_ms, _)| at_ms));
            let expiries = self.deliveries.values().filter_map(|delivery| {
                match (&delivery.progress, &self.receivers[&delivery.receiver].1) {
                    (Progress::Waiting { .. }, Receiver::Disabled { at_ms, .. }) => {
                        Some(delivery.created_ms.max(*at_ms) + self.schedule.longest_span_ms())
                    }
                    _ => None,
                }
            });
            let wake = next_wake_ms(&candidates, |receiver| gates[&receiver], now_ms);
            self.now_ms = answers
                .chain(expiries)
                .chain(wake)
                .filter(|at_ms| *at_ms > now_ms)
                .min()
                .expect("something waits, so something must be able to happen");
        }
        panic!("deliveries did not end");
    }

    fn ending(&self, id: i64) -> &Ending {
        match &self.deliveries[&id].progress {
            Progress::Ended { ending, .. } => ending,
            other => panic!("delivery {id} is {other:?}"),
        }
    }

    fn begun_by(&self, receiver: i64) -> Vec<Vec<i64>> {
        self.deliveries
            .values()
            .filter(|delivery| delivery.receiver == receiver)
            .map(|delivery| delivery.began_ms.clone())
            .collect()
    }
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![Just(Manner::Good), Just(Manner::Dead), Just(Manner::Fickle)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_delivery_ends_once_in_order_and_in_time(
        manners in proptest::collection::vec(manner(), 1..5),
        pushes in proptest::collection::vec((0usize..5, proptest::option::of(0i64..2), 0i64..7_200_000), 1..40),
        per_receiver in 1usize..4,
        crashes in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let limits = Limits { per_receiver, total: 6 };
        let mut world = World::new(&manners, limits, seed);
        world.crashes = crashes;
        for (receiver, repository, after_ms) in &pushes {
            let receiver = i64::try_from(receiver % manners.len()).unwrap();
            world.push(receiver, *repository, 1_000_000 + after_ms);
        }
        world.run();
        for (id, delivery) in &world.deliveries {
            let ending = world.ending(*id);
            prop_assert!(delivery.progress.attempts() <= world.schedule.attempts());
            match manners[usize::try_from(delivery.receiver).unwrap()] {
                Manner::Dead => prop_assert_ne!(ending, &Ending::Delivered),
                Manner::Good if !crashes => prop_assert_eq!(ending, &Ending::Delivered),
                Manner::Good | Manner::Fickle => {}
            }
            if let Ending::Exhausted { .. } = ending {
                prop_assert_eq!(delivery.progress.attempts(), world.schedule.attempts());
            }
        }
    }

    #[test]
    fn dead_receivers_delay_nobody(
        dead in 1usize..6,
        pushes in proptest::collection::vec(0i64..600_000, 1..20),
    ) {
        let story = |dead: usize| {
            let mut manners = vec![Manner::Good];
            manners.extend(vec![Manner::Dead; dead]);
            let mut world = World::new(&manners, Limits { per_receiver: 2, total: 12 }, 7);
            for after_ms in &pushes {
                world.push(0, None, 1_000_000 + after_ms);
            }
            for after_ms in &pushes {
                for receiver in 1..=dead {
                    world.push(i64::try_from(receiver).unwrap(), None, 1_000_000 + after_ms);
                }
            }
            world.run();
            world.begun_by(0)
        };
        prop_assert_eq!(story(dead), story(0));
    }
}

#[test]
fn outage_of_an_hour_is_followed_by_every_delivery() {
    let mut world = World::new(&[Manner::Dead], Limits::default(), 3);
    for minute in 0..60 {
        world.push(0, Some(1), 1_000_000 + minute * 60_000);
    }
    let end_ms = 1_000_000 + 3_600_000;
    while world.now_ms < end_ms {
        world.settle();
        let now_ms = world.now_ms;
        let gate = world.receivers[&0].1.gate(now_ms);
        for id in sendable(&world.candidates(), |_| gate, world.limits, now_ms) {
            world.start(id);
        }
        world.now_ms += 1000;
    }
    world.receivers.get_mut(&0).unwrap().0 = Manner::Good;
    world.run();
    assert!((0..60).all(|id| world.ending(id) == &Ending::Delivered));
    // The first attempt of the schedule after the outage: 30 m, then 2 h with the jitter at its latest.
    assert!(world.now_ms < end_ms + 3 * 3_600_000, "{}", world.now_ms);
}
