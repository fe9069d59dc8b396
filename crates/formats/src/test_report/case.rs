//! Where cases and findings go: cut, inert, counted.

use super::{Finding, FindingKind, ReportFormat, ReportLimits, TestCase, TestOutcome, TestReport};
use crate::text;

/// The longest sentence of a finding, in bytes.
const FINDING_BYTES: usize = 400;
/// What stands for a name that is missing.
const NO_NAME: &str = "(no name)";

/// A case as a reader of a format finds it.
#[derive(Debug)]
pub(super) struct RawCase {
    pub(super) class_name: String,
    pub(super) name: String,
    pub(super) outcome: TestOutcome,
    pub(super) duration_ms: Option<i64>,
    pub(super) failures: Vec<RawFailure>,
    pub(super) system_out: String,
    pub(super) line: u32,
}

/// A reason for a failure or for skipping.
#[derive(Debug, Default)]
pub(super) struct RawFailure {
    /// In a few words; may be empty.
    pub(super) message: String,
    /// In full; may be empty.
    pub(super) text: String,
}

/// Takes cases and findings up to the limits.
#[derive(Debug)]
pub(super) struct CaseSink<'a> {
    limits: &'a ReportLimits,
    cases: Vec<TestCase>,
    findings: Vec<Finding>,
    text_bytes: usize,
    name_bytes: usize,
    /// The names of a case had no room any more.
    names_are_full: bool,
}

impl<'a> CaseSink<'a> {
    pub(super) fn new(limits: &'a ReportLimits) -> Self {
        Self {
            limits,
            cases: Vec::new(),
            findings: Vec::new(),
            text_bytes: 0,
            name_bytes: 0,
            names_are_full: false,
        }
    }

    pub(super) fn limits(&self) -> &'a ReportLimits {
        self.limits
    }

    /// Whether further cases are of no use.
    pub(super) fn is_full(&self) -> bool {
        self.cases.len() >= self.limits.cases || self.names_are_full
    }

    /// How many cases there are so far.
    pub(super) fn count(&self) -> usize {
        self.cases.len()
    }

    /// The case of this number, to say more of it.
    pub(super) fn case_mut(&mut self, number: usize) -> Option<&mut TestCase> {
        self.cases.get_mut(number)
    }

    /// Takes a case.
    pub(super) fn add(&mut self, raw: RawCase) {
        let class_name = self.name(&raw.class_name);
        let name = Some(self.name(&raw.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| NO_NAME.to_owned());
        let name_bytes = self.name_bytes + class_name.len() + name.len();
        self.names_are_full |= name_bytes > self.limits.total_name_bytes;
        if self.is_full() {
            let message = format!("only the first {} cases are taken", self.cases.len());
            self.find_once(raw.line, FindingKind::TooManyCases, &message);
            return;
        }
        self.name_bytes = name_bytes;
        let reasons = raw.failures;
        let message = reasons
            .iter()
            .map(first_words)
            .find(|words| !words.is_empty())
            .unwrap_or_default();
        let mut details = String::new();
        for reason in &reasons {
            if details.len() > self.limits.text_bytes {
                break;
            }
            if !details.is_empty() {
                details.push('\n');
            }
            let (message, text) = (reason.message.trim_end(), reason.text.trim_end());
            if !message.is_empty() && !text.contains(message) {
                details.push_str(message);
                details.push('\n');
            }
            details.push_str(text);
        }
        let line = raw.line;
        let message = self.kept(line, &message, self.limits.message_bytes);
        let details = self.kept(line, details.trim_end(), self.limits.text_bytes);
        let system_out = self.kept(line, &raw.system_out, self.limits.text_bytes);
        self.cases.push(TestCase {
            class_name,
            name,
            outcome: raw.outcome,
            duration_ms: raw.duration_ms,
            message,
            details,
            system_out,
            line,
        });
    }

    /// Notes something.
    pub(super) fn find(&mut self, line: u32, kind: FindingKind, message: &str) {
        if self.findings.len() < self.limits.findings {
            self.findings.push(Finding {
                line,
                kind,
                message: text::line(message, FINDING_BYTES),
            });
        }
    }

    /// Notes something of which one example is enough.
    pub(super) fn find_once(&mut self, line: u32, kind: FindingKind, message: &str) {
        if !self.findings.iter().any(|finding| finding.kind == kind) {
            self.find(line, kind, message);
        }
    }

    pub(super) fn into_report(mut self, format: Option<ReportFormat>) -> TestReport {
        self.findings.sort_by_key(|finding| finding.line);
        TestReport {
            format,
            cases: self.cases,
            findings: self.findings,
        }
    }

    /// A name, inert and cut.
    pub(super) fn name(&self, name: &str) -> String {
        text::line(without_colours(name).trim(), self.limits.name_bytes)
    }

    fn kept(&mut self, line: u32, whole: &str, limit: usize) -> String {
        let left = self.limits.total_text_bytes.saturating_sub(self.text_bytes);
        if left == 0 && !whole.is_empty() {
            let message = format!(
                "the report has more than {} MiB of messages and output; from here on they are left out",
                self.limits.total_text_bytes >> 20
            );
            self.find_once(line, FindingKind::TooMuchText, &message);
            return String::new();
        }
        let kept = text::lines(&without_colours(whole), limit.min(left));
        self.text_bytes += kept.len();
        kept
    }
}

/// The message of a reason, or the first line of its text.
fn first_words(reason: &RawFailure) -> String {
    let message = reason.message.trim();
    if !message.is_empty() {
        return message.to_owned();
    }
    reason
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("")
        .to_owned()
}

/// The text without the sequences that colour it on a terminal.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut kept = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c| matches!(c, ' '..='?'));
        let mut letters = rest.chars();
        match letters.next() {
            Some('@'..='~') => kept.push_str(letters.as_str()),
            _ => kept.push_str(rest),
        }
    }
    kept
}
