//! `[results]` and `[expiry]`: how much is kept of what jobs leave, and how long.

use madake_domain::plan::ExpiryPeriod;
use madake_domain::retention::{ExpiredParts, RetentionPolicy, period_ms};
use madake_engine::settings::{ResultSettings, SecretsInArtifacts};
use serde::Deserialize;

use super::ConfigError;

const MEBIBYTE: u64 = 1024 * 1024;

/// How much is kept of what jobs leave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ResultsSection {
    /// The most that one artifact may have, in MiB.
    pub artifact_mebibytes: u64,
    /// The most files of one artifact.
    pub artifact_files: u64,
    /// `refuse`, `warn`, `keep`: what becomes of artifacts in which a secret of the job stands.
    pub secrets_in_artifacts: SecretsInArtifacts,
    /// The most test cases of one job.
    pub test_cases: usize,
    /// The most that is read of one test report, in MiB.
    pub test_report_mebibytes: u64,
    /// The most that texts of the tests of one job have together, in MiB; as much is kept of their names.
    pub test_text_mebibytes: u64,
}

impl Default for ResultsSection {
    fn default() -> Self {
        Self {
            artifact_mebibytes: 20 * 1024,
            artifact_files: 100_000,
            secrets_in_artifacts: SecretsInArtifacts::default(),
            test_cases: 100_000,
            test_report_mebibytes: 128,
            test_text_mebibytes: 32,
        }
    }
}

/// The keys of `[results]`.
pub(super) const RESULTS_KEYS: &[&str] = &[
    "artifact-mebibytes",
    "artifact-files",
    "secrets-in-artifacts",
    "test-cases",
    "test-report-mebibytes",
    "test-text-mebibytes",
];

fn bytes(mebibytes: u64) -> usize {
    usize::try_from(mebibytes.saturating_mul(MEBIBYTE)).unwrap_or(usize::MAX)
}

impl ResultsSection {
    pub(super) fn settings(&self, retention: Option<RetentionPolicy>) -> ResultSettings {
        ResultSettings {
            artifact_bytes: self.artifact_mebibytes.saturating_mul(MEBIBYTE),
            artifact_files: self.artifact_files,
            secrets_in_artifacts: self.secrets_in_artifacts,
            test_cases: self.test_cases,
            test_report_bytes: bytes(self.test_report_mebibytes),
            test_text_bytes: bytes(self.test_text_mebibytes),
            retention,
        }
    }
}

/// How long results are kept, where a plan says nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ExpirySection {
    /// `results`, `artifacts`, `logs`: what goes.
    pub remove: Vec<String>,
    /// The age in days from which it goes; 0: age does not count.
    pub days: u32,
    /// So many of the newest results of a plan branch stay whatever their age.
    pub keep_builds: u32,
    /// At most so many results of a plan branch stay; 0: any number.
    pub most_builds: u32,
    /// Results with one of these labels stay.
    pub keep_labels: Vec<String>,
}

impl Default for ExpirySection {
    fn default() -> Self {
        Self {
            remove: Vec::new(),
            days: 0,
            keep_builds: 1,
            most_builds: 0,
            keep_labels: Vec::new(),
        }
    }
}

/// The keys of `[expiry]`.
pub(super) const EXPIRY_KEYS: &[&str] = &["remove", "days", "keep-builds", "most-builds", "keep-labels"];

impl ExpirySection {
    /// The policy; `None`: all is kept.
    pub(super) fn policy(&self) -> Result<Option<RetentionPolicy>, ConfigError> {
        let mut parts = ExpiredParts {
            result: false,
            artifacts: false,
            logs: false,
        };
        for word in &self.remove {
            match word.trim() {
                "results" => parts.result = true,
                "artifacts" => parts.artifacts = true,
                "logs" => parts.logs = true,
                other => {
                    return Err(ConfigError {
                        place: "expiry.remove".into(),
                        problem: format!("`{other}` is none of `results`, `artifacts` and `logs`"),
                    });
                }
            }
        }
        if !parts.any() {
            return Ok(None);
        }
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Some(RetentionPolicy {
            parts,
            max_age_ms: (self.days > 0).then(|| period_ms(self.days, ExpiryPeriod::Days)),
            min_results: count(self.keep_builds).max(1),
            max_results: (self.most_builds > 0).then(|| count(self.most_builds)),
            keep_labels: self.keep_labels.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_unless_it_is_named() {
        assert_eq!(ExpirySection::default().policy(), Ok(None));
        let wrong = ExpirySection {
            remove: vec!["builds".into()],
            ..ExpirySection::default()
        };
        let error = wrong.policy().unwrap_err().to_string();
        assert!(
            error.contains("expiry.remove") && error.contains("`artifacts`"),
            "{error}"
        );
        let some = ExpirySection {
            remove: vec!["artifacts".into(), "logs".into()],
            days: 30,
            keep_builds: 0,
            ..ExpirySection::default()
        };
        let policy = some.policy().unwrap().unwrap();
        assert_eq!(policy.max_age_ms, Some(30 * 86_400_000));
        assert_eq!((policy.min_results, policy.max_results), (1, None));
        assert!(policy.parts.artifacts && policy.parts.logs && !policy.parts.result);
    }
}
