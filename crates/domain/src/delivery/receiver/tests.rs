//! Stories of single receivers.

use super::*;
use proptest::prelude::*;

fn answered(status: u16, at_ms: i64) -> Input {
    Input::Answered {
        answer: Answer::Status(status),
        began_ms: at_ms,
        retry_after: None,
    }
}

fn after(statuses: &[(u16, i64)]) -> (Receiver, Vec<Effect>) {
    let policy = Policy::default();
    let mut all = Vec::new();
    let mut receiver = Receiver::default();
    for (status, at_ms) in statuses {
        let (next, effects) = step(&policy, receiver, answered(*status, *at_ms), *at_ms);
        receiver = next;
        all.extend(effects);
    }
    (receiver, all)
}

fn told(effects: &[Effect]) -> Vec<Notice> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::TellOwner(notice) => Some(*notice),
            Effect::WakeAt(_) => None,
        })
        .collect()
}

#[test]
fn five_failures_pause_and_a_success_resumes() {
    let four = [(500, 1), (500, 2), (500, 3), (500, 4)];
    assert_eq!(after(&four).0.gate(5), Gate::OneAtATime);
    let mut story = four.to_vec();
    story.push((500, 5));
    let (paused, effects) = after(&story);
    assert_eq!(paused.gate(6), Gate::Hold { until_ms: 10_005 });
    assert_eq!(paused.gate(10_005), Gate::OneAtATime);
    assert_eq!(effects, [Effect::WakeAt(10_005)]);
    story.push((200, 10_005));
    let (healthy, effects) = after(&story);
    assert_eq!(healthy, Receiver::default());
    assert_eq!(effects, [Effect::WakeAt(10_005), Effect::WakeAt(10_005)]);
}

#[test]
fn pauses_double_up_to_ten_hours() {
    let policy = Policy::default();
    let mut receiver = after(&[(500, 0); 5]).0;
    let mut pauses = Vec::new();
    while let Receiver::Paused {
        probe_at_ms,
        pause_ms,
        ..
    } = receiver
    {
        pauses.push(pause_ms / 1000);
        if pauses.len() == 14 {
            break;
        }
        receiver = step(&policy, receiver, answered(500, probe_at_ms), probe_at_ms).0;
    }
    assert_eq!(
        pauses,
        [
            10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 36_000, 36_000
        ]
    );
}

#[test]
fn failure_that_began_before_the_pause_is_no_probe() {
    let paused = after(&[(500, 0); 5]).0;
    let late = answered(500, 0);
    let (still, _) = step(&Policy::default(), paused.clone(), late, 9000);
    assert_eq!(still.gate(9000), paused.gate(9000));
}

#[test]
fn gone_disables_and_only_a_person_enables() {
    let (receiver, effects) = after(&[(410, 7), (200, 8), (410, 9), (500, 10), (429, 11)]);
    let reason = DisabledReason::Gone;
    assert_eq!(receiver, Receiver::Disabled { at_ms: 7, reason });
    assert_eq!(effects, [Effect::TellOwner(Notice::Disabled(reason))]);
    assert_eq!(receiver.gate(i64::MAX), Gate::Closed);
    let (enabled, effects) = step(&Policy::default(), receiver, Input::Enable, 20);
    assert_eq!(
        (enabled, effects),
        (Receiver::default(), vec![Effect::WakeAt(20)])
    );
}

#[test]
fn owner_is_warned_then_told_of_disabling() {
    let mut story = vec![(500, 0); 5];
    story.extend((1..=10).map(|half_days| (500, half_days * DAY_MS / 2)));
    let (receiver, effects) = after(&story);
    let reason = DisabledReason::OnlyFailures {
        since_ms: 0,
        count: 15,
    };
    assert_eq!(
        receiver,
        Receiver::Disabled {
            at_ms: 5 * DAY_MS,
            reason
        }
    );
    assert_eq!(
        told(&effects),
        [
            Notice::Warning {
                failing_since_ms: 0,
                disabled_at_ms: 5 * DAY_MS
            },
            Notice::Disabled(reason)
        ]
    );
}

#[test]
fn receiver_that_was_quiet_for_days_is_warned_a_day_before() {
    let mut story = vec![(500, 0); 5];
    story.push((500, 20 * DAY_MS));
    story.push((500, 21 * DAY_MS - 1));
    let (receiver, effects) = after(&story);
    assert!(matches!(receiver, Receiver::Paused { .. }));
    assert_eq!(
        told(&effects),
        [Notice::Warning {
            failing_since_ms: 0,
            disabled_at_ms: 21 * DAY_MS
        }]
    );
    story.push((200, 21 * DAY_MS));
    assert_eq!(
        told(&after(&story).1).last(),
        Some(&Notice::Recovered { failing_since_ms: 0 })
    );
}

#[test]
fn too_many_requests_holds_back_and_counts_for_nothing() {
    let policy = Policy::default();
    let asked = Input::Answered {
        answer: Answer::Status(429),
        began_ms: 0,
        retry_after: Some(RetryAfter::AfterMs(i64::MAX)),
    };
    let (held, effects) = step(&policy, Receiver::default(), asked, 0);
    assert_eq!(
        held.gate(1),
        Gate::Hold {
            until_ms: LONGEST_RETRY_AFTER_MS
        }
    );
    assert_eq!(effects, [Effect::WakeAt(LONGEST_RETRY_AFTER_MS)]);
    assert_eq!(
        after(&[(429, 5); 50]).0,
        Receiver::Healthy {
            hold_until_ms: Some(60_005)
        }
    );
}

#[test]
fn busy_host_changes_nothing() {
    let failing = after(&[(500, 1)]).0;
    let busy = Input::Answered {
        answer: Answer::Error(super::super::answer::ErrorKind::Busy),
        began_ms: 2,
        retry_after: None,
    };
    assert_eq!(
        step(&Policy::default(), failing.clone(), busy, 2),
        (failing, vec![])
    );
}

#[test]
fn paused_receiver_can_be_tried_by_hand() {
    let paused = after(&[(500, 0); 5]).0;
    let (ready, effects) = step(&Policy::default(), paused, Input::ProbeNow, 30);
    assert_eq!(ready.gate(30), Gate::OneAtATime);
    assert_eq!(effects, [Effect::WakeAt(30)]);
}

proptest! {
    #[test]
    fn nobody_is_disabled_for_failures_without_a_day_of_notice(
        story in proptest::collection::vec((0usize..6, 0i64..40), 1..120),
    ) {
        let policy = Policy::default();
        let (mut receiver, mut now, mut warned) = (Receiver::default(), 0i64, None);
        for (status, hours) in story {
            now += hours * HOUR_MS;
            let status = [500, 500, 500, 503, 302, 200][status];
            let before = receiver.clone();
            let (next, effects) = step(&policy, receiver, answered(status, now), now);
            for notice in told(&effects) {
                match notice {
                    Notice::Warning { .. } => warned = Some(now),
                    Notice::Recovered { .. } => {
                        prop_assert!(warned.take().is_some(), "recovery without a warning");
                    }
                    Notice::Disabled(_) => {
                        prop_assert!(warned.is_some_and(|at: i64| now - at >= DAY_MS));
                    }
                }
            }
            if status == 200 && !matches!(before, Receiver::Disabled { .. }) {
                prop_assert_eq!(next.gate(now), Gate::Open);
            }
            receiver = next;
        }
    }
}

#[test]
fn refusals_count_against_a_receiver_and_nothing_to_send_says_nothing() {
    let policy = Policy::default();
    let input = |answer| Input::Answered {
        answer,
        began_ms: 1,
        retry_after: None,
    };
    let failing = after(&[(500, 1)]).0;
    let (same, effects) = step(&policy, failing.clone(), input(Answer::Nothing), 2);
    assert_eq!((same, effects), (failing.clone(), Vec::new()));
    let (worse, _) = step(&policy, failing.clone(), input(Answer::Refused), 2);
    assert!(matches!(worse, Receiver::Failing { failures, .. } if failures.count == 2));
    let (healthy, _) = step(&policy, failing, input(Answer::Taken), 2);
    assert_eq!(healthy, Receiver::default());
}
