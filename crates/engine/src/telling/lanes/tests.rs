//! What is leased ahead, what goes at once, and what is held back.

use madake_domain::delivery::{Answer, Failures};

use super::*;
use crate::telling::deliver::sent_for_tests;

const NOW: Millis = 1_000_000;

fn receiver(id: i64, health: Health) -> Receiver {
    Receiver {
        id,
        repository_id: 1,
        kind: "webhook".into(),
        profile: "native".into(),
        name: String::new(),
        url: String::new(),
        active: true,
        settings: "{}".into(),
        secrets: None,
        health,
        made_by: "admin".into(),
        created_ms: 0,
        updated_ms: 0,
    }
}

fn failing() -> Health {
    Health::Failing {
        failures: Failures {
            since_ms: 0,
            count: 1,
            warned_at_ms: None,
        },
        hold_until_ms: None,
    }
}

fn leased(id: i64, receiver_id: i64, since_ms: Millis) -> Leased {
    Leased {
        delivery: Delivery {
            id,
            uid: id.to_string(),
            receiver_id,
            event_id: None,
            kind: "push".into(),
            summary: String::new(),
            ordering: None,
            progress: Progress::Waiting {
                attempts: 0,
                due_ms: 0,
            },
            last_answer: None,
            created_ms: 0,
        },
        progress: Progress::Leased {
            attempts: 1,
            since_ms,
            until_ms: since_ms + 300_000,
        },
    }
}

/// Asks for as many as are wanted, as the loop does, with ids from `first` on; says how many those were.
fn fill(lanes: &Lanes, receiver: &Receiver, first: i64, more: bool, now: Millis) -> usize {
    let wish = lanes.wish(receiver, lanes.answers(receiver.id), now);
    let ids = (first..).take(wish.wanted);
    let rows: Vec<Leased> = ids.map(|id| leased(id, receiver.id, now)).collect();
    lanes.fill(receiver, wish, rows, more, now);
    wish.wanted
}

fn finish(lanes: &Lanes, place: Place, answer: Answer) {
    lanes.finished(Finished {
        receiver: Arc::clone(&place.receiver),
        delivery: place.leased.delivery.id,
        uid: place.leased.delivery.uid.clone(),
        lease: place.leased.progress.clone(),
        began_ms: NOW,
        sent: sent_for_tests(answer),
    });
    drop(place);
}

#[test]
fn quick_receiver_gets_more_and_more_at_a_time_and_a_slow_one_fewer() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    let mut counts = Vec::new();
    let mut first = 1;
    for _ in 0..4 {
        let count = fill(&lanes, &one, first, true, NOW);
        first += i64::try_from(count).unwrap();
        counts.push(count);
        for _ in 0..count {
            if let Some(place) = lanes.start(NOW).into_iter().next() {
                drop(place);
            }
        }
        while !lanes.start(NOW).is_empty() {}
    }
    assert_eq!(counts[0], FIRST_AHEAD);
    assert!(counts.windows(2).all(|pair| pair[1] == pair[0] * 2), "{counts:?}");
    let later = NOW + QUICK_MS + 1;
    fill(&lanes, &one, first, true, later);
    while !lanes.start(later).is_empty() {}
    assert!(fill(&lanes, &one, first + 1000, true, later) < counts[3] * 2);
}

#[test]
fn four_go_to_one_receiver_at_the_same_time() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    let wish = lanes.wish(&one, 0, NOW);
    lanes.fill(&one, wish, (1..=10).map(|id| leased(id, 1, NOW)), false, NOW);
    let places = lanes.start(NOW);
    let ids: Vec<i64> = places.iter().map(|place| place.leased.delivery.id).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert!(lanes.start(NOW).is_empty());
    drop(places);
    assert_eq!(lanes.start(NOW).len(), 4);
}

#[test]
fn nothing_is_sent_after_a_failure_until_it_is_stored() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    let wish = lanes.wish(&one, 0, NOW);
    lanes.fill(&one, wish, (1..=10).map(|id| leased(id, 1, NOW)), false, NOW);
    for place in lanes.start(NOW) {
        finish(&lanes, place, Answer::Status(500));
    }
    assert!(lanes.start(NOW).is_empty());
    let (mut storing, results) = lanes.begin_storing().expect("results");
    assert_eq!(results.len(), 4);
    assert!(lanes.begin_storing().is_none(), "one stores at a time");
    lanes.stored(1, 4, Some(failing()));
    assert!(storing.end().is_empty());
    let back: Vec<i64> = lanes.unsendable(NOW).iter().map(|one| one.delivery.id).collect();
    assert_eq!(back, [6, 7, 8, 9, 10]);
    assert_eq!(lanes.start(NOW).len(), 1);
}

#[test]
fn what_is_finished_while_others_store_is_stored_too() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    let wish = lanes.wish(&one, 0, NOW);
    lanes.fill(&one, wish, (1..=2).map(|id| leased(id, 1, NOW)), false, NOW);
    let mut places = lanes.start(NOW);
    finish(&lanes, places.remove(0), Answer::Status(200));
    let (mut storing, _) = lanes.begin_storing().expect("a result");
    finish(&lanes, places.remove(0), Answer::Status(200));
    assert_eq!(storing.end().len(), 1);
    assert!(storing.end().is_empty());
    assert!(lanes.begin_storing().is_none(), "nothing is left");
}

#[test]
fn what_waits_for_too_long_and_what_is_let_go_is_handed_out() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    let wish = lanes.wish(&one, 0, NOW);
    let rows = [leased(1, 1, NOW - LONGEST_WAIT_MS - 1), leased(2, 1, NOW)];
    lanes.fill(&one, wish, rows, false, NOW);
    assert_eq!(lanes.unsendable(NOW).len(), 1);
    assert_eq!(lanes.let_go().len(), 1);
    assert!(lanes.start(NOW).is_empty());
}

#[test]
fn loop_is_called_only_for_receivers_that_may_have_more() {
    let lanes = Arc::new(Lanes::default());
    let one = receiver(1, Health::default());
    fill(&lanes, &one, 1, true, NOW);
    assert!(!lanes.hungry(NOW), "its line is full");
    let places = lanes.start(NOW);
    assert!(lanes.hungry(NOW));
    lanes.only(&[]);
    assert!(!lanes.hungry(NOW), "nothing is left in the store");
    drop(places);
    let disabled = Health::Disabled {
        at_ms: 0,
        reason: madake_domain::delivery::DisabledReason::ByHand,
    };
    assert_eq!(fill(&lanes, &receiver(2, disabled), 50, true, NOW), 0);
    assert!(!lanes.hungry(NOW));
}

#[test]
fn receiver_that_is_enabled_by_hand_is_sent_to_at_once() {
    let lanes = Arc::new(Lanes::default());
    let disabled = Health::Disabled {
        at_ms: 0,
        reason: madake_domain::delivery::DisabledReason::ByHand,
    };
    let one = receiver(1, Health::default());
    fill(&lanes, &one, 1, true, NOW);
    drop(lanes.start(NOW));
    lanes.stored(1, 0, Some(disabled));
    assert_eq!(lanes.wish(&one, 0, NOW).wanted, 0, "what was read before is old");
    assert!(lanes.wish(&one, lanes.answers(1), NOW).wanted > 0);
}
