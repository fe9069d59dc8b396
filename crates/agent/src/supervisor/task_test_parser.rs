//! The `test-parser` task: what the reports of a job say, gathered over all its tasks (bamboo-specs.md 4.4).
//!
//! Each case is kept once for the job, however many reports name it. A task fails by the cases that it read itself.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use madake_domain::ant_pattern::AntPatterns;
use madake_domain::plan::{TestFormat, TestParserTask, TestReportKind};
use madake_domain::test_history::{
    CaseOutcome, FailureReason, JobVerdict, TaskFailure, TestCounts, combined, judge_case, judge_job,
};
use madake_domain::text::counted;
use madake_formats::test_report::{ReportFormat, ReportLimits, TestCase, TestOutcome};
use madake_protocol::log::LogKind;
use madake_protocol::{CaseName, FORMAT, JobOrder, TestCaseOutcome, TestCaseResult, TestOrder, TestResults};

use crate::job_directory::{JobDirectory, JobDirectoryError};
use crate::log::Log;
use crate::test_reports::{ReadReports, ReportRequest, read_reports};

use super::script_environment::ScriptEnvironment;

/// Failed cases, findings and files left out that the log names of one task.
const MOST_NAMED: usize = 20;

/// What one job's tasks read of its test reports.
#[derive(Debug)]
pub(super) struct Tests<'a> {
    order: &'a JobOrder,
    quarantined: HashSet<&'a CaseName>,
    /// When the job began, in milliseconds since 1970.
    started_ms: i64,
    cases: Cases,
}

/// Cases in the order in which they were found, each once.
#[derive(Debug, Default)]
struct Cases {
    all: Vec<TestCaseResult>,
    positions: HashMap<CaseName, usize>,
}

impl<'a> Tests<'a> {
    /// Nothing read yet, of a job that began at this time.
    pub(super) fn new(order: &'a JobOrder, started_ms: i64) -> Self {
        Self {
            order,
            quarantined: order.tests.quarantined.iter().collect(),
            started_ms,
            cases: Cases::default(),
        }
    }

    /// Runs the task.
    ///
    /// # Errors
    /// The reason why it fails, as a sentence.
    pub(super) fn run(
        &mut self,
        task: &TestParserTask,
        environment: &ScriptEnvironment,
        log: &Log,
    ) -> Result<(), String> {
        let kind = match &task.format {
            TestFormat::Known(kind) => *kind,
            TestFormat::Variable(text) => {
                let name = environment.substituted(text);
                TestReportKind::from_name(&name).ok_or_else(|| {
                    let known: Vec<&str> = TestReportKind::ALL.iter().map(|kind| kind.as_str()).collect();
                    format!(
                        "`{text}` is `{name}`, which is no kind of test report; known are {}",
                        known.join(", ")
                    )
                })?
            }
        };
        let patterns: Vec<String> = task
            .patterns_of(kind)
            .into_iter()
            .map(|pattern| environment.substituted(pattern))
            .collect();
        self.read(kind, &patterns.join(","), task.ignore_time, log)
    }

    /// Reads the reports that the patterns match, and judges their cases.
    ///
    /// # Errors
    /// The reason why a task that reads them fails, as a sentence.
    pub(super) fn read(
        &mut self,
        kind: TestReportKind,
        patterns: &str,
        ignore_time: bool,
        log: &Log,
    ) -> Result<(), String> {
        let TestOrder {
            most_cases,
            most_report_bytes,
            most_text_bytes,
            ..
        } = self.order.tests;
        let kept = self.cases.lengths();
        log.say(
            LogKind::Build,
            &format!("Parsing {} reports that match `{patterns}`", kind.as_str()),
        );
        let parsed = AntPatterns::parse(patterns).map_err(|error| error.to_string())?;
        let found = read_reports(&ReportRequest {
            working_directory: &self.order.working_directory,
            format: format_of(kind),
            patterns: &parsed,
            newer_than_ms: (!ignore_time).then_some(self.started_ms),
            masks: &log.masks(),
            limits: ReportLimits {
                bytes: most_report_bytes,
                cases: most_cases.saturating_sub(self.cases.all.len()),
                total_text_bytes: most_text_bytes.saturating_sub(kept.texts),
                total_name_bytes: most_text_bytes.saturating_sub(kept.names),
                ..ReportLimits::default()
            },
        })
        .map_err(|error| error.to_string())?;
        let failures = found.failures();
        let (files, stale) = (found.files, found.stale_files);
        tell_oddities(&found, log);
        let mut own = Cases::default();
        for case in found.cases {
            own.add(self.result_of(case));
        }
        let counts = TestCounts::of(
            own.all
                .iter()
                .map(|case| judge_case(1, case.outcome.into(), &[], case.quarantined)),
        );
        tell_cases(files, &counts, &own.all, log);
        for case in own.all {
            self.cases.add(case);
        }
        match judge_job(&failures, &counts) {
            JobVerdict::Passed => Ok(()),
            JobVerdict::PassedByQuarantine { cases } => {
                log.say(
                    LogKind::Build,
                    &format!("{cases} failed in quarantine, which does not fail the task"),
                );
                Ok(())
            }
            JobVerdict::Failed(FailureReason::Task(TaskFailure::NoCases)) => Err(match (files, stale) {
                (0, 0) => format!("no test report was found: no file matches `{patterns}`"),
                (0, stale) => format!(
                    "no test report of this build was found: {stale} that match `{patterns}` are older than the job, and \
                     `ignore-time: true` would read them"
                ),
                _ => "no test was found in the reports".to_owned(),
            }),
            JobVerdict::Failed(reason) => Err(reason.to_string()),
        }
    }

    /// Writes down what was read, for the server; nothing where no task read anything.
    ///
    /// # Errors
    /// When the job's directory cannot be written.
    pub(super) fn write(&mut self, directory: &JobDirectory) -> Result<(), JobDirectoryError> {
        let cases = std::mem::take(&mut self.cases).all;
        if cases.is_empty() {
            return Ok(());
        }
        directory.write_tests(&TestResults {
            format: FORMAT,
            cases,
        })
    }

    fn result_of(&self, case: TestCase) -> TestCaseResult {
        let name = CaseName {
            class_name: case.class_name,
            name: case.name,
        };
        TestCaseResult {
            quarantined: self.quarantined.contains(&name),
            case: name,
            outcome: match case.outcome {
                TestOutcome::Successful => TestCaseOutcome::Successful,
                TestOutcome::Failed => TestCaseOutcome::Failed,
                TestOutcome::Skipped => TestCaseOutcome::Skipped,
            },
            duration_ms: case.duration_ms,
            message: case.message,
            details: case.details,
            output: case.system_out,
        }
    }
}

/// How much is kept, in bytes.
struct Lengths {
    names: usize,
    texts: usize,
}

impl Cases {
    fn lengths(&self) -> Lengths {
        let sum = |length: fn(&TestCaseResult) -> usize| self.all.iter().map(length).sum();
        Lengths {
            names: sum(TestCaseResult::name_bytes),
            texts: sum(TestCaseResult::text_bytes),
        }
    }

    /// Adds a case; one that is there already gets the outcome of both together.
    fn add(&mut self, case: TestCaseResult) {
        match self.positions.entry(case.case.clone()) {
            Entry::Vacant(place) => {
                place.insert(self.all.len());
                self.all.push(case);
            }
            Entry::Occupied(place) => {
                let known = &mut self.all[*place.get()];
                let duration_ms = match (known.duration_ms, case.duration_ms) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                };
                let outcomes = [known.outcome, case.outcome].map(CaseOutcome::from);
                let outcome = combined(outcomes).map_or(known.outcome, TestCaseOutcome::from);
                // The texts go with the outcome that counts.
                if outcome != known.outcome {
                    *known = case;
                }
                known.outcome = outcome;
                known.duration_ms = duration_ms;
            }
        }
    }
}

fn format_of(kind: TestReportKind) -> ReportFormat {
    match kind {
        TestReportKind::Junit => ReportFormat::JUnit,
        TestReportKind::Nunit => ReportFormat::NUnit,
        TestReportKind::Testng => ReportFormat::TestNg,
        TestReportKind::Mocha => ReportFormat::Mocha,
        TestReportKind::Mstest => ReportFormat::MsTest,
    }
}

fn tell_oddities(found: &ReadReports, log: &Log) {
    for (path, finding) in found.findings.iter().take(MOST_NAMED) {
        log.say(
            LogKind::Error,
            &format!("{path}:{}: {}", finding.line, finding.message),
        );
    }
    if let Some(more) = found
        .findings
        .len()
        .checked_sub(MOST_NAMED)
        .filter(|more| *more > 0)
    {
        log.say(
            LogKind::Error,
            &format!("... and {} more in the reports", counted(more, "finding")),
        );
    }
    for left_out in found.left_out.iter().take(MOST_NAMED) {
        log.say(
            LogKind::Error,
            &format!("`{}` is left out: {}", left_out.path, left_out.reason),
        );
    }
    if found.files > 0 && found.stale_files > 0 {
        let count = found.stale_files;
        log.say(
            LogKind::Build,
            &format!("{} older than the job: left out", counted(count, "report")),
        );
    }
}

fn tell_cases(files: u64, counts: &TestCounts, cases: &[TestCaseResult], log: &Log) {
    let mut parts = vec![
        format!("{} passed", counts.successful),
        format!("{} failed", counts.failed),
    ];
    for (count, word) in [(counts.skipped, "skipped"), (counts.quarantined, "in quarantine")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    log.say(
        LogKind::Build,
        &format!(
            "{}, {}: {}",
            counted(files, "report"),
            counted(counts.all, "test"),
            parts.join(", ")
        ),
    );
    let failed = cases
        .iter()
        .filter(|case| case.outcome == TestCaseOutcome::Failed && !case.quarantined);
    for case in failed.clone().take(MOST_NAMED) {
        let CaseName { class_name, name } = &case.case;
        let point = if class_name.is_empty() { "" } else { "." };
        let first_line = case.message.lines().next().unwrap_or_default();
        let colon = if first_line.is_empty() { "" } else { ": " };
        log.say(
            LogKind::Error,
            &format!("Failed test: {class_name}{point}{name}{colon}{first_line}"),
        );
    }
    if let Some(more) = failed.count().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        log.say(LogKind::Error, &format!("... and {more} more failed tests"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, outcome: TestCaseOutcome, message: &str) -> TestCaseResult {
        TestCaseResult {
            case: CaseName {
                class_name: "C".into(),
                name: name.into(),
            },
            outcome,
            duration_ms: Some(5),
            message: message.into(),
            details: String::new(),
            output: String::new(),
            quarantined: false,
        }
    }

    #[test]
    fn a_case_that_is_reported_several_times_is_kept_once_with_its_failure() {
        let mut cases = Cases::default();
        cases.add(case("a", TestCaseOutcome::Skipped, "not now"));
        cases.add(case("b", TestCaseOutcome::Successful, ""));
        cases.add(case("a", TestCaseOutcome::Failed, "why"));
        cases.add(case("a", TestCaseOutcome::Successful, ""));
        let told: Vec<_> = cases
            .all
            .iter()
            .map(|case| {
                (
                    case.case.name.as_str(),
                    case.outcome,
                    case.message.as_str(),
                    case.duration_ms,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", TestCaseOutcome::Failed, "why", Some(15)),
                ("b", TestCaseOutcome::Successful, "", Some(5)),
            ]
        );
    }
}
