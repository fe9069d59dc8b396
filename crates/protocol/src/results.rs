//! What a job leaves besides its outcome: the files of its artifacts and the results of its tests. Orders say what is
//! wanted; what came of it lies in files beside the outcome, since there may be much of it.

use std::path::PathBuf;

use madake_domain::plan::{Artifact, ArtifactDownloadTask};
use madake_domain::test_history::CaseOutcome;
use serde::{Deserialize, Serialize};

use crate::message::{self, MessageError};

/// The most files of one artifact, unless the order says otherwise.
pub const DEFAULT_ARTIFACT_FILES: u64 = 100_000;
/// The most bytes of one artifact, unless the order says otherwise.
pub const DEFAULT_ARTIFACT_BYTES: u64 = 20 << 30;
/// The most cases of the tests of one job, unless the order says otherwise.
pub const DEFAULT_TEST_CASES: usize = 100_000;
/// The most bytes that are read of one test report, unless the order says otherwise.
pub const DEFAULT_REPORT_BYTES: usize = 128 << 20;
/// The most bytes that the texts of the tests of one job have together, unless the order says otherwise.
pub const DEFAULT_TEST_TEXT_BYTES: usize = 32 << 20;
/// The longest list of artifacts that a server reads, in bytes.
pub const MOST_ARTIFACT_LIST_BYTES: u64 = 256 << 20;

/// Which artifacts a job gets, and which it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactOrder {
    /// What is kept at the job's end.
    pub keep: Vec<Artifact>,
    /// What is put into the working directory before the first task that is neither checkout nor clean.
    pub subscribed: Vec<PlacedArtifact>,
    /// What `artifact-download` tasks fetch.
    pub downloads: Vec<ArtifactDownload>,
    /// The most files of one artifact.
    pub most_files: u64,
    /// The most bytes of one artifact.
    pub most_bytes: u64,
    /// What becomes of files that hold a secret.
    pub secrets: SecretsInArtifacts,
}

/// What becomes of an artifact with a file in which a secret of the job stands, plainly or in a form that programs give
/// it (hostile-inputs.md S6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretsInArtifacts {
    /// The artifact is not kept, and the job fails.
    #[default]
    Refuse,
    /// It is kept, and the job's log names the file.
    Warn,
    /// It is kept; nobody looks.
    Keep,
}

impl Default for ArtifactOrder {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            subscribed: Vec::new(),
            downloads: Vec::new(),
            most_files: DEFAULT_ARTIFACT_FILES,
            most_bytes: DEFAULT_ARTIFACT_BYTES,
            secrets: SecretsInArtifacts::default(),
        }
    }
}

/// What a task fetches, looked up when the order was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDownload {
    /// The task; equal tasks fetch the same.
    pub task: ArtifactDownloadTask,
    /// Where the artifacts come from, for the log: `PROJ-PLAN-7`; empty when nothing was found.
    #[serde(default)]
    pub from: String,
    /// The artifacts.
    #[serde(default)]
    pub artifacts: Vec<PlacedArtifact>,
    /// Why there is nothing to fetch; the task fails with it.
    #[serde(default)]
    pub problem: Option<String>,
}

/// An artifact that is put into the working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedArtifact {
    /// Its name, for the log.
    pub name: String,
    /// Folder below the working directory; empty: the working directory.
    pub destination: String,
    /// Its files.
    pub files: Vec<PlacedFile>,
}

/// A file that is put into the working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// The path below the destination.
    pub path: String,
    /// The file on the agent's machine that holds the bytes.
    pub source: PathBuf,
    /// How many bytes it has.
    pub size: u64,
    /// Whether its owner may run it.
    #[serde(default)]
    pub executable: bool,
}

/// How test reports are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestOrder {
    /// Cases whose failures do not count.
    pub quarantined: Vec<CaseName>,
    /// The most cases of one job.
    pub most_cases: usize,
    /// The most bytes that are read of one report.
    pub most_report_bytes: usize,
    /// The most bytes that messages, details and outputs of all cases of the job have together; as much is kept of
    /// their names.
    pub most_text_bytes: usize,
}

impl Default for TestOrder {
    fn default() -> Self {
        Self {
            quarantined: Vec::new(),
            most_cases: DEFAULT_TEST_CASES,
            most_report_bytes: DEFAULT_REPORT_BYTES,
            most_text_bytes: DEFAULT_TEST_TEXT_BYTES,
        }
    }
}

impl TestOrder {
    /// The longest [`TestResults`] that keep to the order, as JSON, in bytes.
    #[must_use]
    pub fn most_message_bytes(&self) -> u64 {
        // Field names and numbers of each case; names and texts, in which JSON may write each byte as two.
        let cases = (self.most_cases as u64).saturating_mul(256);
        let texts = (self.most_text_bytes as u64).saturating_mul(2 * 2);
        cases.saturating_add(texts).saturating_add(1 << 16)
    }
}

/// By what a case is known in all builds of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CaseName {
    /// Its class, suite or file; may be empty.
    pub class_name: String,
    /// Its own name.
    pub name: String,
}

/// The artifacts that a job kept: their files lie in a folder beside this message until the server has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptArtifacts {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// The artifacts, in the order of the plan.
    pub artifacts: Vec<KeptArtifact>,
}

/// One artifact with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptArtifact {
    /// Its name.
    pub name: String,
    /// Whether later stages and other plans may have it.
    pub shared: bool,
    /// Its files, by path.
    pub files: Vec<KeptFile>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// The path below the artifact's location.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// Whether its owner may run it.
    pub executable: bool,
    /// The name of the file that holds the bytes, in the folder of kept files.
    pub number: u64,
}

impl KeptArtifacts {
    /// Reads the message.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read("list of artifacts", json)
    }

    /// The message as JSON.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write("list of artifacts", self)
    }
}

/// The results of a job's tests; each case is there once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResults {
    /// The format of this message, [`crate::FORMAT`].
    pub format: u32,
    /// The cases, in the order in which they were found.
    pub cases: Vec<TestCaseResult>,
}

/// How a case ended. Its texts have no secret in them that the job knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCaseResult {
    /// By what it is known.
    #[serde(flatten)]
    pub case: CaseName,
    /// How it ended.
    pub outcome: TestCaseOutcome,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// In a few words why it failed or was skipped; else empty.
    #[serde(default)]
    pub message: String,
    /// The whole text of its failures; may be empty.
    #[serde(default)]
    pub details: String,
    /// What it wrote; may be empty.
    #[serde(default)]
    pub output: String,
    /// Whether it was in quarantine when the job began.
    #[serde(default)]
    pub quarantined: bool,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestCaseOutcome {
    /// It passed.
    Successful,
    /// It failed.
    Failed,
    /// It was not run.
    Skipped,
}

impl From<TestCaseOutcome> for CaseOutcome {
    fn from(outcome: TestCaseOutcome) -> Self {
        match outcome {
            TestCaseOutcome::Successful => Self::Successful,
            TestCaseOutcome::Failed => Self::Failed,
            TestCaseOutcome::Skipped => Self::Skipped,
        }
    }
}

impl From<CaseOutcome> for TestCaseOutcome {
    fn from(outcome: CaseOutcome) -> Self {
        match outcome {
            CaseOutcome::Successful => Self::Successful,
            CaseOutcome::Failed => Self::Failed,
            CaseOutcome::Skipped => Self::Skipped,
        }
    }
}

impl TestCaseResult {
    /// How long its names are, in bytes.
    #[must_use]
    pub fn name_bytes(&self) -> usize {
        self.case.class_name.len() + self.case.name.len()
    }

    /// How long its texts are, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.message.len() + self.details.len() + self.output.len()
    }
}

impl TestResults {
    /// Reads the message.
    ///
    /// # Errors
    /// When the format is unknown or the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        message::read("list of test results", json)
    }

    /// The message as JSON.
    ///
    /// # Errors
    /// Never in practice: all fields are plain.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write("list of test results", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_the_way_through_json() {
        let kept = KeptArtifacts {
            format: crate::FORMAT,
            artifacts: vec![KeptArtifact {
                name: "binaries".into(),
                shared: true,
                files: vec![KeptFile {
                    path: "a/b.jar".into(),
                    size: 3,
                    executable: true,
                    number: 0,
                }],
            }],
        };
        assert_eq!(KeptArtifacts::from_json(&kept.to_json().unwrap()).unwrap(), kept);
        let tests = TestResults {
            format: crate::FORMAT,
            cases: vec![TestCaseResult {
                case: CaseName {
                    class_name: "pkg.Class".into(),
                    name: "testX".into(),
                },
                outcome: TestCaseOutcome::Failed,
                duration_ms: Some(12),
                message: "expected 1".into(),
                details: String::new(),
                output: String::new(),
                quarantined: false,
            }],
        };
        assert_eq!(TestResults::from_json(&tests.to_json().unwrap()).unwrap(), tests);
        assert!(TestResults::from_json(br#"{"format":1,"cases":[{}]}"#).is_err());
    }
}
