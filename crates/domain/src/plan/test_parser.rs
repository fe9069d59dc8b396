//! The task that reads test reports.

use serde::{Deserialize, Serialize};

use super::defaults::is_default;

/// Reads test reports (bamboo-specs.md 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestParserTask {
    /// Which reports they are.
    pub format: TestFormat,
    /// Ant patterns of the reports below the working directory; empty: those of the format.
    #[serde(default, skip_serializing_if = "is_default")]
    pub patterns: Vec<String>,
    /// Whether reports count that are older than the job.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_time: bool,
}

impl TestParserTask {
    /// The Ant patterns of the reports of a format: those that the file gives, else the format's own.
    #[must_use]
    pub fn patterns_of(&self, kind: TestReportKind) -> Vec<&str> {
        if self.patterns.is_empty() {
            vec![kind.default_pattern()]
        } else {
            self.patterns.iter().map(String::as_str).collect()
        }
    }
}

/// Which reports a task reads, where variables may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestFormat {
    /// Of this kind.
    Known(TestReportKind),
    /// Of the kind that the text names once its variables are replaced.
    Variable(String),
}

/// A format of test reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestReportKind {
    /// XML of JUnit and all who imitate it.
    Junit,
    /// XML of NUnit.
    Nunit,
    /// XML of TestNG.
    Testng,
    /// JSON of Mocha.
    Mocha,
    /// `.trx` files of Microsoft's test runners.
    Mstest,
}

impl TestReportKind {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Junit, Self::Nunit, Self::Testng, Self::Mocha, Self::Mstest];

    /// The name that plan files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Nunit => "nunit",
            Self::Testng => "testng",
            Self::Mocha => "mocha",
            Self::Mstest => "mstest",
        }
    }

    /// The format with this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// The Ant pattern of reports when the file names none (bamboo-specs.md 4.4).
    #[must_use]
    pub fn default_pattern(self) -> &'static str {
        match self {
            Self::Junit | Self::Nunit => "**/test-reports/*.xml",
            Self::Testng => "**/testng-results.xml",
            Self::Mocha => "mocha.json",
            Self::Mstest => "**/*.trx",
        }
    }
}
