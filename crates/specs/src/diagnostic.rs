//! A finding in a plan file: what is wrong, where exactly, and how to mend it.

use serde::{Deserialize, Serialize};

/// A finding in a plan file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// A stable name such as `specs::unknown-key`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file that the place is in: the plan file or one that it includes.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The place just after the last character that is meant.
    pub end: Position,
    /// What is wrong; a lower-case fragment on one line.
    pub message: String,
    /// What would have been right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the document is about that it was found in: `plan PROJ-PLAN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where our documentation describes the key that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// A second place that has to do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something in the file has no effect, or not the one that it may seem to have.
    Warning,
    /// The document is left out.
    Error,
}

impl Severity {
    /// The word in front of a message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a text, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A second place of a finding, for instance where a key was first given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The place just after the last character that is meant.
    pub end: Position,
    /// What this place is.
    pub message: String,
}

pub(crate) fn both_entry_files() -> Diagnostic {
    Diagnostic {
        code: "specs::two-plan-files".to_owned(),
        severity: Severity::Warning,
        file: "bamboo-specs/bamboo.yaml".to_owned(),
        line: 1,
        column: 1,
        end: Position { line: 1, column: 1 },
        message: "`bamboo.yaml` is not read because there is a `bamboo.yml` beside it".to_owned(),
        expected: Some("one plan file".to_owned()),
        suggestion: None,
        note: None,
        subject: None,
        documentation: None,
        related: None,
    }
}
