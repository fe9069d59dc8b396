//! Reports of test runs: JUnit in all its dialects, TestNG, NUnit 2 and 3, MSTest (`.trx`), Mocha's JSON
//! (bamboo-specs.md 4.4, "test-parser").
//!
//! A report is made by the build, so anybody who can push can write one. Reading never fails as a whole: what was
//! understood is returned, with a [`Finding`] for each place that was not. Document types are passed over and no
//! entity but the five of XML stands for anything, so a report can neither grow nor ask for a file or an address
//! (hostile-inputs.md J1, J2). All texts are inert and cut to [`ReportLimits`] (J3), durations are sane numbers (J4).

mod case;
mod duration;
mod encoding;
mod junit;
mod mocha;
mod mstest;
mod nunit;
mod testng;
mod xml;

use std::fmt;

use case::CaseSink;
use xml::XmlWalk;

/// A kind of report that a test parser task can be told to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportFormat {
    /// `<testsuites>` or `<testsuite>`, as most programs write.
    JUnit,
    /// `<testng-results>`.
    TestNg,
    /// `<test-results>` of NUnit 2 and `<test-run>` of NUnit 3.
    NUnit,
    /// `<TestRun>`, a `.trx` file.
    MsTest,
    /// JSON of Mocha's reporters.
    Mocha,
}

impl ReportFormat {
    /// The word of plan files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JUnit => "junit",
            Self::TestNg => "testng",
            Self::NUnit => "nunit",
            Self::MsTest => "mstest",
            Self::Mocha => "mocha",
        }
    }

    /// The format that a plan file names, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::JUnit, Self::TestNg, Self::NUnit, Self::MsTest, Self::Mocha]
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(word.trim()))
    }

    /// Where such reports are looked for when the plan does not say: Ant-style patterns (bamboo-specs.md 4.4).
    #[must_use]
    pub fn default_pattern(self) -> &'static str {
        match self {
            Self::JUnit | Self::NUnit => "**/test-reports/*.xml",
            Self::TestNg => "**/testng-results.xml",
            Self::MsTest => "**/*.trx",
            Self::Mocha => "mocha.json",
        }
    }

    fn of_root(name: &str) -> Option<Self> {
        Some(match name {
            "testsuites" | "testsuite" => Self::JUnit,
            "testng-results" => Self::TestNg,
            "test-results" | "test-run" => Self::NUnit,
            "TestRun" => Self::MsTest,
            _ => return None,
        })
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JUnit => "JUnit",
            Self::TestNg => "TestNG",
            Self::NUnit => "NUnit",
            Self::MsTest => "MSTest",
            Self::Mocha => "Mocha",
        })
    }
}

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// What the report turned out to be; `None`: no report at all.
    pub format: Option<ReportFormat>,
    /// The cases in the order of the report.
    pub cases: Vec<TestCase>,
    /// What was not understood, or left out, in the order of the report.
    pub findings: Vec<Finding>,
}

impl TestReport {
    /// Whether cases may be missing, so that "all passed" cannot be said.
    #[must_use]
    pub fn may_lack_cases(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind.may_hide_cases())
    }
}

/// One case of a report. All texts are inert: no control characters but line feeds and tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// The class, suite or file that the case belongs to; may be empty.
    pub class_name: String,
    /// The name of the case within it.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took, in milliseconds; `None`: the report does not say, or what it says is no duration.
    pub duration_ms: Option<i64>,
    /// In a few words why it failed or was skipped; else empty.
    pub message: String,
    /// The whole text of all failures: messages, stack traces; may be empty.
    pub details: String,
    /// What the case wrote, to standard output and then to standard error; may be empty.
    pub system_out: String,
    /// The line of the report, from 1.
    pub line: u32,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestOutcome {
    /// It passed, perhaps after a repetition.
    Successful,
    /// It failed, or could not be run to its end.
    Failed,
    /// It was not run, on purpose.
    Skipped,
}

/// A place of a report that was not understood or not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the report, from 1.
    pub line: u32,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// A sentence for people; inert.
    pub message: String,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// It is no report.
    NotAReport,
    /// It is a report of another format than the plan says; it was read as what it is.
    OtherFormat,
    /// It is not well-formed, or ends in the middle.
    Damaged,
    /// It has a document type, which was passed over.
    DocumentType,
    /// An entity that XML does not know was left as it is written.
    UnknownEntity,
    /// The file is longer than is read.
    TooLong,
    /// Elements lie deeper in each other than is read.
    TooDeep,
    /// There are more cases than are read.
    TooManyCases,
    /// There is more text than is kept; texts of later cases are left out.
    TooMuchText,
    /// A duration is no duration.
    OddDuration,
    /// A case has an outcome that the format does not know; it counts as failed.
    UnknownOutcome,
    /// A suite failed outside of its cases; it was made a case of its own.
    SuiteFailed,
}

impl FindingKind {
    /// The word by which programs know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAReport => "not-a-report",
            Self::OtherFormat => "other-format",
            Self::Damaged => "damaged",
            Self::DocumentType => "document-type",
            Self::UnknownEntity => "unknown-entity",
            Self::TooLong => "too-long",
            Self::TooDeep => "too-deep",
            Self::TooManyCases => "too-many-cases",
            Self::TooMuchText => "too-much-text",
            Self::OddDuration => "odd-duration",
            Self::UnknownOutcome => "unknown-outcome",
            Self::SuiteFailed => "suite-failed",
        }
    }

    fn may_hide_cases(self) -> bool {
        matches!(
            self,
            Self::NotAReport | Self::Damaged | Self::TooLong | Self::TooDeep | Self::TooManyCases
        )
    }
}

/// How much of a report is read and kept. Lengths are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLimits {
    /// The most that is read of one file. Who reads the file asks for one byte more, so that the rest is noticed.
    pub bytes: usize,
    /// The most cases.
    pub cases: usize,
    /// The deepest nesting of elements.
    pub depth: usize,
    /// The longest name of a case or class; longer ones are cut.
    pub name_bytes: usize,
    /// The longest message.
    pub message_bytes: usize,
    /// The longest details, and the longest output, of one case.
    pub text_bytes: usize,
    /// The most that messages, details and outputs of one report have together.
    pub total_text_bytes: usize,
    /// The most that the names of cases and classes of one report have together; later cases are left out.
    pub total_name_bytes: usize,
    /// The most findings.
    pub findings: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            bytes: 128 << 20,
            cases: 100_000,
            depth: 100,
            name_bytes: 1000,
            message_bytes: 4 << 10,
            text_bytes: 64 << 10,
            total_text_bytes: 32 << 20,
            total_name_bytes: 32 << 20,
            findings: 100,
        }
    }
}

/// Reads a report. `expected` is what the plan says it is; a report of another format is read as what it is.
#[must_use]
pub fn read(expected: ReportFormat, bytes: &[u8], limits: &ReportLimits) -> TestReport {
    let mut sink = CaseSink::new(limits);
    let cut = &bytes[..bytes.len().min(limits.bytes)];
    let text = encoding::decode(cut, &mut sink);
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let format = if start.is_empty() {
        sink.find(1, FindingKind::NotAReport, "the file is empty");
        None
    } else if start.starts_with('<') || (expected != ReportFormat::Mocha && !start.starts_with(['{', '['])) {
        read_xml(expected, &text, &mut sink)
    } else {
        note_other_format(expected, ReportFormat::Mocha, &mut sink);
        mocha::read(&text, &mut sink)
    };
    if cut.len() < bytes.len() {
        let line = xml::line_of(&text, text.len());
        let message = format!(
            "the file is longer than {} MiB; the rest was not read",
            limits.bytes >> 20
        );
        sink.find(line, FindingKind::TooLong, &message);
    }
    sink.into_report(format)
}

fn read_xml(expected: ReportFormat, text: &str, sink: &mut CaseSink<'_>) -> Option<ReportFormat> {
    let mut walk = XmlWalk::new(text, sink.limits().depth);
    match walk.root(sink) {
        Some(root) => match ReportFormat::of_root(&root.name) {
            Some(format) => {
                note_other_format(expected, format, sink);
                match format {
                    ReportFormat::JUnit => junit::read(&root, &mut walk, sink),
                    ReportFormat::TestNg => testng::read(&mut walk, sink),
                    ReportFormat::NUnit => nunit::read(&mut walk, sink),
                    ReportFormat::MsTest | ReportFormat::Mocha => mstest::read(&mut walk, sink),
                }
                Some(format)
            }
            None => {
                let message = format!(
                    "a file that begins with <{}> is no test report of a known format",
                    root.name
                );
                sink.find(root.line, FindingKind::NotAReport, &message);
                None
            }
        },
        None => {
            sink.find(1, FindingKind::NotAReport, "the file is no XML document");
            None
        }
    }
}

fn note_other_format(expected: ReportFormat, found: ReportFormat, sink: &mut CaseSink<'_>) {
    if expected != found {
        let message = format!(
            "the plan says {expected}, but this is a report of {found}; it was read as that, and `type: {}` would say so",
            found.as_str()
        );
        sink.find(1, FindingKind::OtherFormat, &message);
    }
}
