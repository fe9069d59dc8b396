//! `other` of plans and jobs: settings of the server and of apps (bamboo-specs.md 11).

use serde::{Deserialize, Serialize};

use super::defaults::is_default;

/// `other` of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanOther {
    /// What happens to a build over the limit; `None`: the server's way.
    #[serde(skip_serializing_if = "is_default")]
    pub concurrency_strategy: Option<ConcurrencyStrategy>,
    /// Whether builds with a job that hangs are stopped; `None`: the server's way.
    #[serde(skip_serializing_if = "is_default")]
    pub force_stop_build: Option<bool>,
    /// When results go; `None`: the server's way.
    #[serde(skip_serializing_if = "is_default")]
    pub build_expiry: Option<BuildExpiry>,
    /// Settings of apps that we do not know, by dotted name.
    #[serde(skip_serializing_if = "is_default")]
    pub custom: Vec<(String, String)>,
}

/// `other` of a job, besides `clean-working-dir`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobOther {
    /// When the job counts as hanging; `None`: the server's way.
    #[serde(skip_serializing_if = "is_default")]
    pub hanging: Option<HangingDetection>,
    /// A label for results whose log matches.
    #[serde(skip_serializing_if = "is_default")]
    pub pattern_label: Option<PatternLabel>,
    /// Settings of apps that we do not know, by dotted name.
    #[serde(skip_serializing_if = "is_default")]
    pub custom: Vec<(String, String)>,
}

/// What happens to a build over the limit of concurrent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConcurrencyStrategy {
    /// It waits.
    BlockTriggering,
    /// The oldest one is stopped.
    StopOldestBuilds,
}

/// When results of a plan go (`buildExpiryConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildExpiry {
    /// Whether anything goes.
    pub enabled: bool,
    /// Age from which something goes, in `period`s; `None` or 0: age does not count.
    pub duration: Option<u32>,
    /// The unit of `duration`.
    pub period: ExpiryPeriod,
    /// Whether whole results go.
    pub results: bool,
    /// Whether artifacts go.
    pub artifacts: bool,
    /// Whether logs go.
    pub logs: bool,
    /// This many results are kept whatever their age.
    pub builds_to_keep: Option<u32>,
    /// At most this many results are kept.
    pub maximum_builds_to_keep: Option<u32>,
    /// Results with one of these labels are kept.
    pub labels_to_keep: Vec<String>,
}

/// A unit of time of expiry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryPeriod {
    /// Hours.
    Hours,
    /// Days.
    #[default]
    Days,
    /// Weeks of seven days.
    Weeks,
    /// Months of thirty days.
    Months,
    /// Years of 365 days.
    Years,
}

impl ExpiryPeriod {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [Self::Hours, Self::Days, Self::Weeks, Self::Months, Self::Years];

    /// The unit as plan files write it: `weeks`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Weeks => "weeks",
            Self::Months => "months",
            Self::Years => "years",
        }
    }

    /// The unit that a plan file names, in any case, one or several: `Months`, `WEEK`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let folded = name.trim().to_lowercase();
        let single = folded.strip_suffix('s').unwrap_or(&folded);
        Self::ALL
            .into_iter()
            .find(|period| period.as_str().strip_suffix('s') == Some(single))
    }
}

/// When a job counts as hanging (`buildHangingConfig`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HangingDetection {
    /// Whether it is looked for; `None`: the server's way.
    pub enabled: Option<bool>,
    /// Minutes without a line in the log from which a job may hang.
    pub minutes_between_logs: Option<u32>,
    /// Minutes in the queue after which a job is told of.
    pub minutes_queue_timeout: Option<u32>,
    /// How many times its average length a job runs at least before it hangs.
    pub multiplier: Option<f64>,
}

/// A label for results whose log matches (`auto`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternLabel {
    /// A regular expression that a line of the log must match.
    pub regex: String,
    /// The label.
    pub label: String,
}

impl PatternLabel {
    /// Whether a line of the log gives the label; none where the expression cannot be read.
    #[must_use]
    pub fn matcher(&self) -> Option<impl Fn(&str) -> bool + use<>> {
        crate::change::matcher_anywhere(&self.regex)
    }
}
