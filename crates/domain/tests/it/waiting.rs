//! Admission at the limit of concurrent builds, superseding, and who goes next.

#![expect(
    clippy::unwrap_used,
    reason = "what these helpers unwrap, the test has just made"
)]

use madake_domain::waiting::{
    Admission, AdmissionRefusal, Newcomer, Superseded, Waiting, admit, next_to_start,
};
use proptest::prelude::*;

fn change(branch: i64, revision: &str, event: i64) -> Waiting {
    Waiting::newcomer(branch, revision.to_owned(), event)
}

fn admit_change(running: usize, limit: Option<u32>, waiting: &[Waiting], newcomer: Waiting) -> Admission {
    admit(running, limit, waiting, Newcomer::Change(newcomer)).unwrap()
}

#[test]
fn a_change_starts_while_a_slot_is_free() {
    assert_eq!(admit_change(0, Some(1), &[], change(1, "a", 1)), Admission::Start);
    assert_eq!(admit_change(2, Some(3), &[], change(1, "a", 1)), Admission::Start);
    assert_eq!(admit_change(900, None, &[], change(1, "a", 1)), Admission::Start);
}

#[test]
fn a_change_at_the_limit_waits() {
    let newcomer = change(1, "a", 1);
    assert_eq!(
        admit_change(1, Some(1), &[], newcomer.clone()),
        Admission::Wait(newcomer.clone())
    );
    assert_eq!(
        admit_change(5, Some(1), &[], newcomer.clone()),
        Admission::Wait(newcomer)
    );
}

#[test]
fn a_change_does_not_overtake_those_that_wait_for_the_same_slot() {
    let line = [change(1, "a", 1)];
    let newcomer = change(2, "b", 2);
    assert_eq!(
        admit_change(0, Some(1), &line, newcomer.clone()),
        Admission::Wait(newcomer.clone())
    );
    assert_eq!(admit_change(0, Some(2), &line, newcomer), Admission::Start);
}

#[test]
fn a_newer_revision_takes_the_place_of_the_one_that_waits_and_says_why() {
    let line = [change(1, "aaa", 3), change(2, "bbb", 4)];
    let admission = admit_change(1, Some(1), &line, change(1, "ccc", 9));
    let Admission::WaitSuperseding { waiting, superseded } = admission else {
        panic!("{admission:?}")
    };
    assert_eq!(
        waiting,
        Waiting {
            place: 3,
            ..change(1, "ccc", 9)
        }
    );
    assert_eq!(
        superseded,
        [Superseded {
            waiting: change(1, "aaa", 3),
            by_event: 9,
            reason:
                "Revision aaa (event 3) was not built: while this plan branch waited for a free build slot, \
                     the newer revision ccc (event 9) took its place."
                    .to_owned(),
        }]
    );
}

#[test]
fn asking_again_for_the_same_revision_says_so() {
    let admission = admit_change(1, Some(1), &[change(1, "aaa", 3)], change(1, "aaa", 9));
    let Admission::WaitSuperseding { superseded, .. } = admission else {
        panic!("{admission:?}")
    };
    assert_eq!(
        superseded[0].reason,
        "Event 3 did not start a build of its own: event 9 asked for the same revision aaa of this plan branch \
         while both waited for a free build slot."
    );
}

#[test]
fn an_event_decided_twice_waits_once() {
    let line = [change(1, "aaa", 3)];
    assert_eq!(
        admit_change(1, Some(1), &line, change(1, "aaa", 3)),
        Admission::AlreadyWaiting
    );
}

#[test]
fn an_event_that_comes_after_a_newer_one_is_not_built_and_says_why() {
    let line = [change(1, "new", 8)];
    let admission = admit_change(1, Some(1), &line, change(1, "old", 5));
    let Admission::Late(superseded) = admission else {
        panic!("{admission:?}")
    };
    assert_eq!((superseded.waiting.event, superseded.by_event), (5, 8));
    assert!(
        superseded
            .reason
            .starts_with("Revision old (event 5) was not built")
    );
}

#[test]
fn what_stands_alone_takes_no_place_and_loses_none() {
    let alone = |event: i64, number: i64| Waiting {
        alone: Some(number),
        ..change(1, "t", event)
    };
    let line = [change(1, "a", 10), alone(11, 1), alone(11, 2)];
    assert!(matches!(
        admit_change(1, Some(1), &line, alone(12, 3)),
        Admission::Wait(_)
    ));
    assert_eq!(
        admit_change(1, Some(1), &line, alone(11, 2)),
        Admission::AlreadyWaiting
    );
    let Admission::WaitSuperseding { superseded, .. } = admit_change(1, Some(1), &line, change(1, "b", 12))
    else {
        panic!("the newer revision takes the place of the older one");
    };
    assert_eq!(superseded.len(), 1);
    assert_eq!(superseded[0].waiting, line[0]);
    let started: Vec<&Waiting> = next_to_start(&line, 0, None);
    assert_eq!(started, [&line[0], &line[1], &line[2]]);
}

#[test]
fn a_build_by_hand_is_refused_at_the_limit() {
    assert_eq!(admit(0, Some(1), &[], Newcomer::Manual), Ok(Admission::Start));
    assert_eq!(admit(7, None, &[], Newcomer::Manual), Ok(Admission::Start));
    let refusal = admit(1, Some(1), &[], Newcomer::Manual).unwrap_err();
    assert_eq!(refusal, AdmissionRefusal::LimitReached { running: 1, limit: 1 });
    assert_eq!(
        refusal.sentence(),
        "Build requested but not started, you have reached the maximum number of concurrent builds allowed."
    );
    assert_eq!(
        (refusal.code(), refusal.http_status()),
        ("concurrent-builds-limit", 400)
    );
}

#[test]
fn a_limit_of_zero_counts_as_one() {
    assert_eq!(admit_change(0, Some(0), &[], change(1, "a", 1)), Admission::Start);
    assert!(admit(1, Some(0), &[], Newcomer::Manual).is_err());
    assert_eq!(next_to_start(&[change(1, "a", 1)], 0, Some(0)).len(), 1);
}

#[test]
fn free_slots_go_to_the_first_in_line() {
    let line = [change(1, "c", 9), change(2, "a", 4), change(3, "b", 6)];
    let events = |running, limit| {
        next_to_start(&line, running, limit)
            .into_iter()
            .map(|one| one.event)
            .collect::<Vec<_>>()
    };
    assert!(events(1, Some(1)).is_empty());
    assert_eq!(events(0, Some(1)), [4]);
    assert_eq!(events(1, Some(3)), [4, 6]);
    assert_eq!(events(0, None), [4, 6, 9]);
    assert!(events(3, Some(1)).is_empty());
}

#[test]
fn a_branch_that_is_pushed_to_all_the_time_keeps_its_place() {
    let mut line = vec![change(1, "a", 1), change(2, "b", 2)];
    for event in 3..20 {
        let Admission::WaitSuperseding { waiting, superseded } =
            admit_change(1, Some(1), &line, change(1, "x", event))
        else {
            panic!("event {event} did not supersede");
        };
        line.retain(|one| superseded.iter().all(|old| old.waiting != *one));
        line.push(waiting);
    }
    assert_eq!(next_to_start(&line, 0, Some(1))[0].event, 19);
}

proptest! {
    /// Every event is started, superseded by a newer one of its branch, or refused as a repetition; nothing is
    /// lost, no branch has two in line, and the limit holds.
    #[test]
    fn every_change_is_accounted_for(
        events in proptest::collection::vec((0_i64..4, 0_i64..40, any::<bool>()), 1..60),
        limit in 1_u32..4,
    ) {
        let slots = usize::try_from(limit).unwrap();
        let mut line: Vec<Waiting> = Vec::new();
        let mut running = 0_usize;
        let mut fate = std::collections::BTreeMap::new();
        for (branch, event, ends) in events {
            if fate.contains_key(&(branch, event)) {
                continue;
            }
            match admit_change(running, Some(limit), &line, change(branch, "r", event)) {
                Admission::Start => {
                    running += 1;
                    fate.insert((branch, event), None);
                }
                Admission::Wait(waiting) => line.push(waiting),
                Admission::WaitSuperseding { waiting, superseded } => {
                    prop_assert!(!superseded.is_empty());
                    for old in superseded {
                        prop_assert!(old.by_event > old.waiting.event);
                        line.retain(|one| *one != old.waiting);
                        fate.insert((branch, old.waiting.event), Some(old.by_event));
                    }
                    line.push(waiting);
                }
                Admission::Late(old) => {
                    prop_assert!(old.by_event > event);
                    fate.insert((branch, event), Some(old.by_event));
                }
                Admission::AlreadyWaiting => prop_assert!(line.iter().any(|one| one.event == event)),
                other => prop_assert!(false, "{other:?}"),
            }
            if ends {
                running = running.saturating_sub(1);
                for one in next_to_start(&line.clone(), running, Some(limit)) {
                    running += 1;
                    line.retain(|other| other != one);
                    fate.insert((one.branch, one.event), None);
                }
            }
            prop_assert!(running <= slots);
            let mut branches: Vec<i64> = line.iter().map(|one| one.branch).collect();
            branches.sort_unstable();
            branches.dedup();
            prop_assert_eq!(branches.len(), line.len());
        }
        for one in next_to_start(&line, 0, None) {
            fate.insert((one.branch, one.event), None);
        }
        for ((branch, event), by) in &fate {
            if let Some(by) = by {
                prop_assert!(fate.contains_key(&(*branch, *by)), "{event} was superseded by {by}, which is nowhere");
            }
        }
    }
}
