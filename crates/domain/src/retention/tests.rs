//! Tables of results, and what holds for all of them.

use proptest::prelude::*;

use super::*;

const ALL: ExpiredParts = ExpiredParts {
    result: true,
    artifacts: true,
    logs: true,
};

fn policy(max_age_ms: Option<i64>, min_results: usize, max_results: Option<usize>) -> RetentionPolicy {
    RetentionPolicy {
        parts: ALL,
        max_age_ms,
        min_results,
        max_results,
        keep_labels: vec!["keep".into()],
    }
}

/// A result that ended when its number says, and failed.
fn result(build_number: i64) -> StoredResult {
    StoredResult {
        build_number,
        finished_ms: Some(build_number * 10),
        is_successful: false,
        is_released: false,
        labels: Vec::new(),
    }
}

fn expired(policy: &RetentionPolicy, results: &[StoredResult], now_ms: i64) -> Vec<i64> {
    judge_results(policy, results, now_ms)
        .iter()
        .zip(results)
        .filter(|(verdict, _)| matches!(verdict, RetentionVerdict::Expire(_)))
        .map(|(_, result)| result.build_number)
        .collect()
}

#[test]
fn results_go_by_age_and_number() {
    let results: Vec<StoredResult> = (1..=6).map(result).collect();
    // Now is 100: result n is 100 - 10 n old.
    for (policy, expected) in [
        (policy(None, 0, None), vec![]),
        (policy(Some(60), 0, None), vec![1, 2, 3]),
        (policy(Some(60), 4, None), vec![1, 2]),
        (policy(Some(60), 99, None), vec![]),
        (policy(None, 0, Some(2)), vec![1, 2, 3, 4]),
        (policy(Some(75), 0, Some(5)), vec![1, 2]),
        (policy(None, 3, Some(2)), vec![1, 2, 3]),
        (policy(Some(0), 0, Some(0)), vec![1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(expired(&policy, &results, 100), expected, "{policy:?}");
    }
    let nothing = RetentionPolicy {
        parts: ExpiredParts {
            result: false,
            artifacts: false,
            logs: false,
        },
        ..policy(Some(0), 0, Some(0))
    };
    assert!(expired(&nothing, &results, 100).is_empty());
}

#[test]
fn what_somebody_needs_stays_and_says_why() {
    let mut results: Vec<StoredResult> = (1..=6).map(result).collect();
    results[0].is_released = true;
    results[1].labels = vec!["other".into(), "KEEP".into()];
    results[2].is_successful = true;
    results[4].finished_ms = None;
    let verdicts = judge_results(&policy(Some(0), 1, None), &results, 1000);
    let keep = RetentionVerdict::Keep;
    assert_eq!(
        verdicts,
        [
            keep(KeepReason::Released),
            keep(KeepReason::Label("KEEP".into())),
            keep(KeepReason::LatestSuccessful),
            RetentionVerdict::Expire(ExpireReason::TooOld),
            keep(KeepReason::NotFinished),
            keep(KeepReason::AmongNewest),
        ]
    );
}

#[test]
fn nothing_stays_of_a_removed_branch_but_what_somebody_needs() {
    let mut results: Vec<StoredResult> = (1..=6).map(result).collect();
    results[0].is_released = true;
    results[1].labels.push("keep".into());
    results[3].is_successful = true;
    results[4].finished_ms = None;
    let policy = policy(Some(5), 3, None);
    let verdicts = judge_results_of_removed_branch(&policy, &results, 100);
    let goes: Vec<i64> = (1..)
        .zip(&verdicts)
        .filter(|(_, verdict)| matches!(verdict, RetentionVerdict::Expire(_)))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(goes, [3, 4, 6]);
    assert_eq!(expired(&policy, &results, 100), Vec::<i64>::new());
    let young = RetentionPolicy {
        max_age_ms: Some(1000),
        ..policy
    };
    let kept = judge_results_of_removed_branch(&young, &results, 100);
    assert!(
        kept.iter().all(|one| matches!(one, RetentionVerdict::Keep(_))),
        "{kept:?}"
    );
}

#[test]
fn the_nearest_policy_counts() {
    let (server, plan, branch) = (
        policy(Some(1), 0, None),
        policy(Some(2), 0, None),
        policy(Some(3), 0, None),
    );
    for (all, expected) in [
        ((None, None, None), None),
        ((Some(&server), None, None), Some(&server)),
        ((Some(&server), Some(&plan), None), Some(&plan)),
        ((Some(&server), Some(&plan), Some(&branch)), Some(&branch)),
        ((Some(&server), None, Some(&branch)), Some(&branch)),
    ] {
        assert_eq!(RetentionPolicy::choose(all.0, all.1, all.2), expected);
    }
}

#[test]
fn periods_are_understood() {
    const DAY_MS: i64 = 86_400_000;
    for (count, unit, expected) in [
        (6, "hours", Some(DAY_MS / 4)),
        (1, "days", Some(DAY_MS)),
        (2, "Week", Some(14 * DAY_MS)),
        (2, "WEEKS", Some(14 * DAY_MS)),
        (3, "Months", Some(90 * DAY_MS)),
        (1, "year", Some(365 * DAY_MS)),
        (u32::MAX, "years", Some(i64::MAX)),
        (1, "fortnight", None),
        (1, "dayss", None),
        (1, "", None),
    ] {
        let period = ExpiryPeriod::from_name(unit);
        assert_eq!(
            period.map(|period| period_ms(count, period)),
            expected,
            "{count} {unit}"
        );
    }
}

fn stored() -> impl Strategy<Value = StoredResult> {
    (
        1i64..40,
        prop::option::of(0i64..400),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(build_number, finished_ms, is_successful, is_released, labelled)| StoredResult {
                build_number,
                finished_ms,
                is_successful,
                is_released,
                labels: if labelled { vec!["keep".into()] } else { Vec::new() },
            },
        )
}

proptest! {
    #[test]
    fn what_must_stay_stays(
        mut results in prop::collection::vec(stored(), 0..20),
        age in prop::option::of(0i64..300),
        least in 0usize..6,
        most in prop::option::of(0usize..10),
        now in 0i64..500,
    ) {
        results.sort_by_key(|result| result.build_number);
        results.dedup_by_key(|result| result.build_number);
        let policy = policy(age, least, most);
        let gone = expired(&policy, &results, now);
        for result in &results {
            if result.is_released || !result.labels.is_empty() || result.finished_ms.is_none() {
                prop_assert!(!gone.contains(&result.build_number));
            }
        }
        let finished: Vec<_> = results.iter().rev().filter(|result| result.finished_ms.is_some()).collect();
        for result in finished.iter().take(least) {
            prop_assert!(!gone.contains(&result.build_number));
        }
        if let Some(latest) = finished.iter().find(|result| result.is_successful) {
            prop_assert!(!gone.contains(&latest.build_number));
        }
        if age.is_none() && most.is_none() {
            prop_assert!(gone.is_empty());
        }
    }

    #[test]
    fn clearing_up_twice_changes_nothing(
        mut results in prop::collection::vec(stored(), 0..20),
        least in 0usize..6,
        most in prop::option::of(0usize..10),
    ) {
        results.sort_by_key(|result| result.build_number);
        results.dedup_by_key(|result| result.build_number);
        let policy = policy(Some(100), least, most);
        let gone = expired(&policy, &results, 400);
        results.retain(|result| !gone.contains(&result.build_number));
        prop_assert!(expired(&policy, &results, 400).is_empty());
    }
}
