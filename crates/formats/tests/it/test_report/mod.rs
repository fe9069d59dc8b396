//! Test reports: the dialects, what is hostile in them, and random ones.

mod dialects;
mod hostile;
mod other_formats;
mod properties;

use madake_formats::test_report::{
    FindingKind, ReportFormat, ReportLimits, TestCase, TestOutcome, TestReport, read,
};

fn junit(report: &str) -> TestReport {
    read(ReportFormat::JUnit, report.as_bytes(), &ReportLimits::default())
}

/// A case in one line: class, name, how it ended, how long it took, why.
fn shown(case: &TestCase) -> String {
    let outcome = match case.outcome {
        TestOutcome::Successful => "ok",
        TestOutcome::Failed => "FAILED",
        TestOutcome::Skipped => "skipped",
    };
    let duration = case
        .duration_ms
        .map_or_else(|| "-".to_owned(), |duration| duration.to_string());
    let mut text = format!("{} | {} | {outcome} | {duration}", case.class_name, case.name);
    if !case.message.is_empty() {
        text.push_str(" | ");
        text.push_str(&case.message);
    }
    text
}

fn cases(report: &TestReport) -> Vec<String> {
    report.cases.iter().map(shown).collect()
}

fn kinds(report: &TestReport) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}
