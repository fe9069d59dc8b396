//! Tables of histories, and properties of any.

use proptest::prelude::*;

use super::*;

use CaseOutcome::{Failed, Skipped, Successful};

fn history(letters: &str) -> Vec<PastRun> {
    letters
        .chars()
        .zip(1..)
        .filter_map(|(letter, build_number)| {
            let outcome = match letter {
                'o' => Successful,
                'F' => Failed,
                's' => Skipped,
                _ => return None,
            };
            Some(PastRun {
                build_number,
                outcome,
            })
        })
        .collect()
}

#[test]
fn results_are_judged_by_those_before() {
    // Builds from 1 on: passed, Failed, skipped, or not reported; judged is build 6.
    for (past, outcome, expected) in [
        ("", Successful, CaseVerdict::Successful),
        ("", Failed, CaseVerdict::NewFailure),
        ("ooooo", Failed, CaseVerdict::NewFailure),
        ("oFoFo", Failed, CaseVerdict::NewFailure),
        ("ooooF", Failed, CaseVerdict::ExistingFailure { failing_since: 5 }),
        ("oFFFF", Failed, CaseVerdict::ExistingFailure { failing_since: 2 }),
        ("FoFss", Failed, CaseVerdict::ExistingFailure { failing_since: 3 }),
        ("FoF-F", Failed, CaseVerdict::ExistingFailure { failing_since: 3 }),
        ("FFFFF", Successful, CaseVerdict::Fixed { failing_since: 1 }),
        ("oFss-", Successful, CaseVerdict::Fixed { failing_since: 2 }),
        ("oFo", Successful, CaseVerdict::Successful),
        ("FFFFF", Skipped, CaseVerdict::Skipped),
        // What later builds and an earlier attempt at this one said does not count.
        ("ooooo-FF", Failed, CaseVerdict::NewFailure),
        ("oooooFF", Failed, CaseVerdict::NewFailure),
        ("FFFFFoo", Successful, CaseVerdict::Fixed { failing_since: 1 }),
    ] {
        assert_eq!(judge_case(6, outcome, &history(past), false), expected, "{past}");
        assert_eq!(
            judge_case(6, outcome, &history(past), true),
            CaseVerdict::Quarantined { outcome },
            "{past}"
        );
    }
}

#[test]
fn repeated_cases_count_once() {
    for (outcomes, expected) in [
        (&[][..], None),
        (&[Skipped, Skipped], Some(Skipped)),
        (&[Skipped, Successful], Some(Successful)),
        (&[Successful, Failed, Skipped], Some(Failed)),
    ] {
        assert_eq!(combined(outcomes.iter().copied()), expected);
    }
}

#[test]
fn counts_are_summed_up_in_words() {
    let counts = TestCounts::of([
        CaseVerdict::Successful,
        CaseVerdict::Fixed { failing_since: 1 },
        CaseVerdict::NewFailure,
        CaseVerdict::ExistingFailure { failing_since: 1 },
        CaseVerdict::Skipped,
        CaseVerdict::Quarantined { outcome: Failed },
        CaseVerdict::Quarantined { outcome: Successful },
    ]);
    assert_eq!(
        counts,
        TestCounts {
            all: 7,
            successful: 2,
            failed: 2,
            new_failed: 1,
            existing_failed: 1,
            fixed: 1,
            quarantined: 2,
            skipped: 1,
            quarantined_failed: 1,
        }
    );
    assert_eq!(counts.summary(), "2 of 7 failed");
    assert_eq!(counts.plus(counts).summary(), "4 of 14 failed");
    assert_eq!(TestCounts::of([CaseVerdict::Successful]).summary(), "1 passed");
    assert_eq!(TestCounts::default().summary(), "No tests found");
}

#[test]
fn quarantine_excuses_failed_cases_and_nothing_else() {
    let counts = |failed, quarantined_failed| TestCounts {
        all: 10,
        failed,
        quarantined: quarantined_failed,
        quarantined_failed,
        ..TestCounts::default()
    };
    use TaskFailure::{DamagedReports, FailedCases, NoCases, Program};
    for (failures, counts, expected) in [
        (&[][..], counts(0, 0), JobVerdict::Passed),
        (
            &[FailedCases],
            counts(0, 2),
            JobVerdict::PassedByQuarantine { cases: 2 },
        ),
        (
            &[FailedCases],
            counts(1, 2),
            JobVerdict::Failed(FailureReason::Cases(1)),
        ),
        (&[], counts(1, 0), JobVerdict::Failed(FailureReason::Cases(1))),
        // The compiler gave up in one module while a quarantined test failed in another.
        (
            &[Program, FailedCases],
            counts(0, 2),
            JobVerdict::Failed(FailureReason::Task(Program)),
        ),
        (
            &[Program],
            counts(0, 2),
            JobVerdict::Failed(FailureReason::Task(Program)),
        ),
        (
            &[NoCases],
            counts(0, 0),
            JobVerdict::Failed(FailureReason::Task(NoCases)),
        ),
        (
            &[FailedCases, DamagedReports],
            counts(0, 2),
            JobVerdict::Failed(FailureReason::Task(DamagedReports)),
        ),
        (
            &[FailedCases],
            counts(0, 0),
            JobVerdict::Failed(FailureReason::Task(FailedCases)),
        ),
    ] {
        assert_eq!(judge_job(failures, &counts), expected, "{failures:?} {counts:?}");
    }
    assert_eq!(FailureReason::Cases(2).to_string(), "2 tests failed");
}

#[test]
fn quarantine_begins_ends_and_runs_out() {
    let free = Quarantine::default();
    assert!(!free.is_in_force(5));
    assert_eq!(free.clone().release(5), Err(QuarantineError::NotQuarantined));
    assert_eq!(
        free.clone().begin("anna", 5, Some(5)),
        Err(QuarantineError::EndsBeforeItBegins)
    );
    let forever = free.clone().begin("anna", 5, None).unwrap();
    assert!(forever.is_in_force(i64::MAX));
    assert_eq!(
        forever.clone().begin("bert", 6, None),
        Err(QuarantineError::Already { by: "anna".into() })
    );
    assert_eq!(forever.release(7), Ok(Quarantine::Free));
    let short = free.begin("anna", 5, Some(10)).unwrap();
    assert!(short.is_in_force(9) && !short.is_in_force(10));
    assert_eq!(short.clone().release(10), Err(QuarantineError::NotQuarantined));
    assert!(short.begin("bert", 10, None).unwrap().is_in_force(11));
}

fn verdict() -> impl Strategy<Value = CaseVerdict> {
    prop_oneof![
        Just(CaseVerdict::Successful),
        Just(CaseVerdict::Fixed { failing_since: 1 }),
        Just(CaseVerdict::NewFailure),
        Just(CaseVerdict::ExistingFailure { failing_since: 1 }),
        Just(CaseVerdict::Skipped),
        Just(CaseVerdict::Quarantined { outcome: Failed }),
        Just(CaseVerdict::Quarantined { outcome: Successful }),
    ]
}

proptest! {
    #[test]
    fn history_does_not_depend_on_its_order(letters in "[oFs-]{0,8}", outcome in 0usize..3, turn in 0usize..8) {
        let outcome = [Successful, Failed, Skipped][outcome];
        let runs = history(&letters);
        let mut turned = runs.clone();
        turned.rotate_left(turn.min(runs.len()));
        turned.reverse();
        prop_assert_eq!(judge_case(6, outcome, &runs, false), judge_case(6, outcome, &turned, false));
    }

    #[test]
    fn failures_are_new_once_and_fixed_once(letters in "[oFs]{1,20}") {
        let runs = history(&letters);
        let (mut new, mut fixed) = (0, 0);
        for run in &runs {
            match judge_case(run.build_number, run.outcome, &runs, false) {
                CaseVerdict::NewFailure => new += 1,
                CaseVerdict::Fixed { .. } => fixed += 1,
                _ => {}
            }
        }
        let fails_at_the_end = letters.replace('s', "").ends_with('F');
        prop_assert_eq!(new, fixed + i32::from(fails_at_the_end));
    }

    #[test]
    fn counts_add_up(verdicts in prop::collection::vec(verdict(), 0..30)) {
        let counts = TestCounts::of(verdicts);
        prop_assert_eq!(counts.all, counts.successful + counts.failed + counts.skipped + counts.quarantined);
        prop_assert_eq!(counts.failed, counts.new_failed + counts.existing_failed);
        prop_assert!(counts.fixed <= counts.successful && counts.quarantined_failed <= counts.quarantined);
    }

    #[test]
    fn a_failed_program_is_never_excused(failed in 0u64..3, quarantined in 0u64..3, at in 0usize..3) {
        let mut failures = vec![TaskFailure::FailedCases; 2];
        failures.insert(at, TaskFailure::Program);
        let counts = TestCounts { all: 9, failed, quarantined_failed: quarantined, quarantined, ..TestCounts::default() };
        prop_assert!(matches!(judge_job(&failures, &counts), JobVerdict::Failed(_)));
    }
}
