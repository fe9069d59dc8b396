//! What a test result means beside those before it: new and old failures, fixed cases, quarantine, and whether a job
//! may pass (bamboo-rest.md 5.6).
//!
//! Results before are those of the same plan or plan branch and job, in whatever order; builds that run beside each
//! other end out of order, so a result is compared with builds of lower numbers only. A case that was skipped keeps
//! what it was: the comparison goes back to where it last ran.
//!
//! Quarantine takes a case out of the reckoning and nothing else. It forgives the test parser that a case failed; it
//! never forgives a program that failed, since a compiler that gave up and a test that failed can have the same exit
//! code.

use std::fmt;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseOutcome {
    /// It passed.
    Successful,
    /// It failed.
    Failed,
    /// It was not run.
    Skipped,
}

/// The one outcome of a case that a job reported several times, as parameters and repetitions do: a failure wins over a
/// success, and both win over having been skipped. `None`: it was not reported at all.
#[must_use]
pub fn combined(outcomes: impl IntoIterator<Item = CaseOutcome>) -> Option<CaseOutcome> {
    outcomes.into_iter().max_by_key(|outcome| match outcome {
        CaseOutcome::Skipped => 0,
        CaseOutcome::Successful => 1,
        CaseOutcome::Failed => 2,
    })
}

/// A result of the case in another build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRun {
    /// The number of the build.
    pub build_number: i64,
    /// How the case ended there.
    pub outcome: CaseOutcome,
}

/// What a result means beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseVerdict {
    /// It passes, as before or for the first time.
    Successful,
    /// It passes, and failed when it last ran.
    Fixed {
        /// The build that it had failed since.
        failing_since: i64,
    },
    /// It fails, and did not when it last ran, or never ran.
    NewFailure,
    /// It fails, as when it last ran.
    ExistingFailure {
        /// The build that it fails since.
        failing_since: i64,
    },
    /// It did not run.
    Skipped,
    /// It is in quarantine, and counts for nothing.
    Quarantined {
        /// How it ended.
        outcome: CaseOutcome,
    },
}

/// What the outcome of a case in a build means. `past` may hold any builds in any order.
#[must_use]
pub fn judge_case(
    build_number: i64,
    outcome: CaseOutcome,
    past: &[PastRun],
    is_quarantined: bool,
) -> CaseVerdict {
    if is_quarantined {
        return CaseVerdict::Quarantined { outcome };
    }
    let failing_since = failing_since(build_number, past);
    match (outcome, failing_since) {
        (CaseOutcome::Skipped, _) => CaseVerdict::Skipped,
        (CaseOutcome::Successful, None) => CaseVerdict::Successful,
        (CaseOutcome::Successful, Some(failing_since)) => CaseVerdict::Fixed { failing_since },
        (CaseOutcome::Failed, None) => CaseVerdict::NewFailure,
        (CaseOutcome::Failed, Some(failing_since)) => CaseVerdict::ExistingFailure { failing_since },
    }
}

/// The first build of the failures that the builds before this one end with; `None`: the case passed when it last ran.
fn failing_since(build_number: i64, past: &[PastRun]) -> Option<i64> {
    let mut before: Vec<PastRun> = past
        .iter()
        .filter(|run| run.build_number < build_number && run.outcome != CaseOutcome::Skipped)
        .copied()
        .collect();
    before.sort_by_key(|run| std::cmp::Reverse(run.build_number));
    before
        .iter()
        .take_while(|run| run.outcome == CaseOutcome::Failed)
        .last()
        .map(|run| run.build_number)
}

/// How many cases of a job or build ended how. `all` is the sum of successful, failed, skipped and quarantined ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// All cases.
    pub all: u64,
    /// Those that passed, fixed ones among them.
    pub successful: u64,
    /// Those that failed.
    pub failed: u64,
    /// Of the failed, those that passed before, or are new.
    pub new_failed: u64,
    /// Of the failed, those that failed before.
    pub existing_failed: u64,
    /// Of the successful, those that failed before.
    pub fixed: u64,
    /// Those in quarantine, however they ended.
    pub quarantined: u64,
    /// Those that did not run.
    pub skipped: u64,
    /// Of those in quarantine, the ones that failed.
    pub quarantined_failed: u64,
}

impl TestCounts {
    /// The counts of these cases.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = CaseVerdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            counts.all += 1;
            match verdict {
                CaseVerdict::Successful => counts.successful += 1,
                CaseVerdict::Fixed { .. } => {
                    counts.successful += 1;
                    counts.fixed += 1;
                }
                CaseVerdict::NewFailure => {
                    counts.failed += 1;
                    counts.new_failed += 1;
                }
                CaseVerdict::ExistingFailure { .. } => {
                    counts.failed += 1;
                    counts.existing_failed += 1;
                }
                CaseVerdict::Skipped => counts.skipped += 1,
                CaseVerdict::Quarantined { outcome } => {
                    counts.quarantined += 1;
                    counts.quarantined_failed += u64::from(outcome == CaseOutcome::Failed);
                }
            }
        }
        counts
    }

    /// The counts of several jobs together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            successful: self.successful + other.successful,
            failed: self.failed + other.failed,
            new_failed: self.new_failed + other.new_failed,
            existing_failed: self.existing_failed + other.existing_failed,
            fixed: self.fixed + other.fixed,
            quarantined: self.quarantined + other.quarantined,
            skipped: self.skipped + other.skipped,
            quarantined_failed: self.quarantined_failed + other.quarantined_failed,
        }
    }

    /// `13 passed`, `1 of 20 failed`, `No tests found` (bamboo-rest.md 5.2, `buildTestSummary`).
    #[must_use]
    pub fn summary(&self) -> String {
        if self.all == 0 {
            "No tests found".to_owned()
        } else if self.failed > 0 {
            format!("{} of {} failed", self.failed, self.all)
        } else {
            format!("{} passed", self.successful)
        }
    }
}

/// Why a task failed, as far as tests matter to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFailure {
    /// A program ended with an error, could not be started, or ran out of time. A compiler that gave up is this.
    Program,
    /// A test parser found cases that failed.
    FailedCases,
    /// A test parser found no report, or no case.
    NoCases,
    /// A test parser found reports that it could not read to the end.
    DamagedReports,
}

/// Whether a job passes, with its tests taken into account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobVerdict {
    /// No task failed.
    Passed,
    /// Cases failed, all of them in quarantine, and nothing else did.
    PassedByQuarantine {
        /// How many.
        cases: u64,
    },
    /// It failed.
    Failed(FailureReason),
}

/// Why a job failed although cases are in quarantine, or regardless of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// A task failed whose failure quarantine has nothing to do with.
    Task(TaskFailure),
    /// Cases failed that are not in quarantine.
    Cases(u64),
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(TaskFailure::Program) => {
                f.write_str("a program failed, which the quarantine of tests does not excuse")
            }
            Self::Task(TaskFailure::FailedCases) => f.write_str("tests failed"),
            Self::Task(TaskFailure::NoCases) => f.write_str("no tests were found where some were expected"),
            Self::Task(TaskFailure::DamagedReports) => {
                f.write_str("a test report cannot be read to its end, so failed tests may be missing from it")
            }
            Self::Cases(1) => f.write_str("1 test failed"),
            Self::Cases(count) => write!(f, "{count} tests failed"),
        }
    }
}

/// Whether a job passes: `failures` are its tasks that failed, `counts` its cases.
#[must_use]
pub fn judge_job(failures: &[TaskFailure], counts: &TestCounts) -> JobVerdict {
    let beside_cases = failures
        .iter()
        .find(|failure| **failure != TaskFailure::FailedCases);
    if let Some(failure) = beside_cases {
        return JobVerdict::Failed(FailureReason::Task(*failure));
    }
    if counts.failed > 0 {
        return JobVerdict::Failed(FailureReason::Cases(counts.failed));
    }
    if failures.is_empty() {
        JobVerdict::Passed
    } else if counts.quarantined_failed > 0 {
        JobVerdict::PassedByQuarantine {
            cases: counts.quarantined_failed,
        }
    } else {
        // A parser saw failures that nobody can account for.
        JobVerdict::Failed(FailureReason::Task(TaskFailure::FailedCases))
    }
}

/// Whether a case is in quarantine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Quarantine {
    /// It counts.
    #[default]
    Free,
    /// It does not count.
    Quarantined {
        /// Who said so.
        by: String,
        /// Since when, in milliseconds since 1970.
        since_ms: i64,
        /// Until when, in milliseconds since 1970; `None`: until somebody releases it.
        until_ms: Option<i64>,
    },
}

/// Why a quarantine cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// It is in force already.
    #[error("the test is in quarantine already, since {by} put it there")]
    Already {
        /// Who did it.
        by: String,
    },
    /// There is none to release from.
    #[error("the test is not in quarantine")]
    NotQuarantined,
    /// The end lies before the beginning.
    #[error("the quarantine would end before it begins")]
    EndsBeforeItBegins,
}

impl Quarantine {
    /// Whether the case counts for nothing at this time.
    #[must_use]
    pub fn is_in_force(&self, now_ms: i64) -> bool {
        match self {
            Self::Free => false,
            Self::Quarantined { until_ms, .. } => until_ms.is_none_or(|until| now_ms < until),
        }
    }

    /// Puts the case in quarantine.
    ///
    /// # Errors
    /// When it is in quarantine, or would be out of it at once.
    pub fn begin(self, by: &str, now_ms: i64, until_ms: Option<i64>) -> Result<Self, QuarantineError> {
        if let Self::Quarantined { by, .. } = &self
            && self.is_in_force(now_ms)
        {
            return Err(QuarantineError::Already { by: by.clone() });
        }
        if until_ms.is_some_and(|until| until <= now_ms) {
            return Err(QuarantineError::EndsBeforeItBegins);
        }
        Ok(Self::Quarantined {
            by: by.to_owned(),
            since_ms: now_ms,
            until_ms,
        })
    }

    /// Releases the case.
    ///
    /// # Errors
    /// When it is not in quarantine.
    pub fn release(self, now_ms: i64) -> Result<Self, QuarantineError> {
        if self.is_in_force(now_ms) {
            Ok(Self::Free)
        } else {
            Err(QuarantineError::NotQuarantined)
        }
    }
}

#[cfg(test)]
mod tests;
