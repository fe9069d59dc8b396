//! How long results, artifacts and logs are kept: a decision over the results of one plan branch
//! (bamboo-specs.md 11, `buildExpiryConfig`).
//!
//! A result goes when it is old, or when there are too many; it stays when it is not finished, when a release was made
//! of it, when it has a label that keeps it, when it is the latest successful one, or among the newest that are kept
//! in any case. Staying wins.

use std::fmt;

use crate::plan::ExpiryPeriod;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// What goes when a result expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiredParts {
    /// The whole result, which means artifacts and logs too.
    pub result: bool,
    /// Its artifacts.
    pub artifacts: bool,
    /// Its logs.
    pub logs: bool,
}

impl ExpiredParts {
    /// Whether anything goes.
    #[must_use]
    pub fn any(self) -> bool {
        self.result || self.artifacts || self.logs
    }
}

/// When the results of a plan branch expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// What goes.
    pub parts: ExpiredParts,
    /// How old a result may become, in milliseconds from its end; `None`: as old as it likes.
    pub max_age_ms: Option<i64>,
    /// So many of the newest finished results stay, however old they are.
    pub min_results: usize,
    /// More than so many finished results do not stay, however young they are; `None`: any number.
    pub max_results: Option<usize>,
    /// Results with one of these labels stay.
    pub keep_labels: Vec<String>,
}

impl RetentionPolicy {
    /// The policy that counts for a plan branch: its own, else its plan's, else the server's. `None`: all is kept.
    #[must_use]
    pub fn choose<'a>(
        server: Option<&'a Self>,
        plan: Option<&'a Self>,
        branch: Option<&'a Self>,
    ) -> Option<&'a Self> {
        branch.or(plan).or(server)
    }
}

/// A span of time as plan files give it, in milliseconds. A month has 30 days, a year 365.
#[must_use]
pub fn period_ms(count: u32, unit: ExpiryPeriod) -> i64 {
    let hours = match unit {
        ExpiryPeriod::Hours => 1,
        ExpiryPeriod::Days => 24,
        ExpiryPeriod::Weeks => 7 * 24,
        ExpiryPeriod::Months => 30 * 24,
        ExpiryPeriod::Years => 365 * 24,
    };
    i64::from(count).saturating_mul(hours * HOUR_MS)
}

/// A result of a plan branch as far as its keeping goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResult {
    /// The number of the build.
    pub build_number: i64,
    /// When it ended, in milliseconds since 1970; `None`: it has not.
    pub finished_ms: Option<i64>,
    /// Whether it was successful.
    pub is_successful: bool,
    /// Whether a release was made of it.
    pub is_released: bool,
    /// Its labels.
    pub labels: Vec<String>,
}

/// What becomes of a result, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionVerdict {
    /// It stays.
    Keep(KeepReason),
    /// It goes, or what the policy names of it.
    Expire(ExpireReason),
}

/// Why a result stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// It has not ended.
    NotFinished,
    /// A release was made of it.
    Released,
    /// It has this label.
    Label(String),
    /// No later build was successful.
    LatestSuccessful,
    /// It is among the newest that stay in any case.
    AmongNewest,
    /// It is young enough, and there are not too many.
    WithinLimits,
}

/// Why a result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireReason {
    /// It is older than results may be.
    TooOld,
    /// There are more newer ones than stay.
    TooMany,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinished => f.write_str("it has not ended"),
            Self::Released => f.write_str("a release was made of it"),
            Self::Label(label) => write!(f, "it has the label `{label}`"),
            Self::LatestSuccessful => f.write_str("it is the latest successful result"),
            Self::AmongNewest => f.write_str("it is among the newest results, which stay in any case"),
            Self::WithinLimits => f.write_str("it is neither too old nor one too many"),
        }
    }
}

impl fmt::Display for ExpireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooOld => "it is older than results may become",
            Self::TooMany => "there are more newer results than are kept",
        })
    }
}

/// What becomes of each result of a plan branch, in the order in which they were given.
#[must_use]
pub fn judge_results(
    policy: &RetentionPolicy,
    results: &[StoredResult],
    now_ms: i64,
) -> Vec<RetentionVerdict> {
    let mut newest_first: Vec<&StoredResult> = results
        .iter()
        .filter(|result| result.finished_ms.is_some())
        .collect();
    newest_first.sort_by_key(|result| std::cmp::Reverse(result.build_number));
    let latest_successful = newest_first
        .iter()
        .find(|result| result.is_successful)
        .map(|result| result.build_number);
    results
        .iter()
        .map(|result| {
            let newer = newest_first.partition_point(|other| other.build_number > result.build_number);
            judge(policy, result, newer, latest_successful, now_ms)
        })
        .collect()
}

/// The same for a plan branch that was removed: nothing is built there any more, so neither the latest results nor the
/// latest successful one stay for their own sake.
#[must_use]
pub fn judge_results_of_removed_branch(
    policy: &RetentionPolicy,
    results: &[StoredResult],
    now_ms: i64,
) -> Vec<RetentionVerdict> {
    let policy = RetentionPolicy {
        min_results: 0,
        ..policy.clone()
    };
    let none_is_latest: Vec<StoredResult> = results
        .iter()
        .cloned()
        .map(|result| StoredResult {
            is_successful: false,
            ..result
        })
        .collect();
    judge_results(&policy, &none_is_latest, now_ms)
}

/// The verdict on one result, beside which there are so many newer finished ones.
fn judge(
    policy: &RetentionPolicy,
    result: &StoredResult,
    newer: usize,
    latest_successful: Option<i64>,
    now_ms: i64,
) -> RetentionVerdict {
    let Some(finished_ms) = result.finished_ms else {
        return RetentionVerdict::Keep(KeepReason::NotFinished);
    };
    let too_many = policy.max_results.is_some_and(|most| newer >= most);
    let too_old = policy
        .max_age_ms
        .is_some_and(|most| now_ms.saturating_sub(finished_ms) > most);
    if !policy.parts.any() || !(too_many || too_old) {
        return RetentionVerdict::Keep(KeepReason::WithinLimits);
    }
    if result.is_released {
        return RetentionVerdict::Keep(KeepReason::Released);
    }
    let label = result.labels.iter().find(|label| {
        policy
            .keep_labels
            .iter()
            .any(|kept| kept.eq_ignore_ascii_case(label))
    });
    if let Some(label) = label {
        return RetentionVerdict::Keep(KeepReason::Label(label.clone()));
    }
    if latest_successful == Some(result.build_number) {
        return RetentionVerdict::Keep(KeepReason::LatestSuccessful);
    }
    if newer < policy.min_results {
        return RetentionVerdict::Keep(KeepReason::AmongNewest);
    }
    RetentionVerdict::Expire(if too_old {
        ExpireReason::TooOld
    } else {
        ExpireReason::TooMany
    })
}

#[cfg(test)]
mod tests;
