//! Reading the test reports that a job left in its working directory (bamboo-specs.md 4.4, `test-parser`).

use std::io::{self, Read as _};
use std::path::Path;

use madake_domain::ant_pattern::AntPatterns;
use madake_domain::mask::Masks;
use madake_domain::test_history::TaskFailure;
use madake_formats::test_report::{
    Finding, FindingKind, ReportFormat, ReportLimits, TestCase, TestOutcome, read,
};

use crate::artifact::{CollectError, CollectLimits, LeftOut, collect};

/// Clocks of file systems are coarse: a report may seem this much older than it is, in milliseconds.
const CLOCK_SLACK_MS: i64 = 2000;
/// The most reports of one task.
const MOST_REPORTS: u64 = 20_000;
/// The most findings that are kept of all reports together.
const MOST_FINDINGS: usize = 500;

/// Which reports are read.
#[derive(Debug)]
pub struct ReportRequest<'a> {
    /// The job's working directory.
    pub working_directory: &'a Path,
    /// What the plan says the reports are.
    pub format: ReportFormat,
    /// Where they are, below the working directory.
    pub patterns: &'a AntPatterns,
    /// When the job began, in milliseconds since 1970: older reports are of an earlier build. `None`: their age does not
    /// matter (`ignore-time`).
    pub newer_than_ms: Option<i64>,
    /// What must not be shown of the reports.
    pub masks: &'a Masks,
    /// How much is read and kept, of all reports together.
    pub limits: ReportLimits,
}

/// What the reports of a task say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReports {
    /// How many files were read.
    pub files: u64,
    /// How many files match, but are older than the job.
    pub stale_files: u64,
    /// The cases of all reports, in the order of the files' paths.
    pub cases: Vec<TestCase>,
    /// What was not understood, with the path of its file.
    pub findings: Vec<(String, Finding)>,
    /// Files that were left out, and why.
    pub left_out: Vec<LeftOut>,
    /// Whether cases may be missing.
    pub may_lack_cases: bool,
}

impl ReadReports {
    /// Why a test parser task fails with these reports; empty: it does not.
    #[must_use]
    pub fn failures(&self) -> Vec<TaskFailure> {
        let mut failures = Vec::new();
        if self.cases.iter().any(|case| case.outcome == TestOutcome::Failed) {
            failures.push(TaskFailure::FailedCases);
        }
        if self.may_lack_cases {
            failures.push(TaskFailure::DamagedReports);
        } else if self.cases.is_empty() {
            failures.push(TaskFailure::NoCases);
        }
        failures
    }
}

/// Reads all reports that the patterns match. A report that cannot be read is a finding, and no error.
///
/// # Errors
/// When the working directory cannot be walked through, or has too much in it.
pub fn read_reports(request: &ReportRequest<'_>) -> Result<ReadReports, CollectError> {
    let mut found = ReadReports::default();
    let mut left = request.limits.clone();
    let limits = CollectLimits {
        files: MOST_REPORTS,
        bytes: u64::MAX,
        ..CollectLimits::default()
    };
    let oldest_ms = request
        .newer_than_ms
        .map(|started| started.saturating_sub(CLOCK_SLACK_MS));
    let collection = collect(
        request.working_directory,
        "",
        request.patterns,
        &limits,
        &mut |file| {
            if oldest_ms.is_some_and(|oldest| file.modified_ms < oldest) {
                found.stale_files += 1;
                return Ok(());
            }
            found.files += 1;
            let path = file.path.to_string();
            // One byte more, so that a longer file is noticed.
            let most = (left.bytes as u64).saturating_add(1);
            let mut bytes = Vec::new();
            match file.file.take(most).read_to_end(&mut bytes) {
                Ok(_) => found.add(&path, &bytes, request, &mut left),
                Err(error) => found.add_unreadable(&path, &error),
            }
            Ok(())
        },
    )?;
    found.left_out = collection.left_out;
    Ok(found)
}

impl ReadReports {
    fn add(&mut self, path: &str, bytes: &[u8], request: &ReportRequest<'_>, left: &mut ReportLimits) {
        let report = read(request.format, bytes, left);
        self.may_lack_cases |= report.may_lack_cases();
        let covered = |text: String| request.masks.apply_to_text(&text).into_owned();
        for case in report.cases {
            let case = TestCase {
                class_name: covered(case.class_name),
                name: covered(case.name),
                message: covered(case.message),
                details: covered(case.details),
                system_out: covered(case.system_out),
                ..case
            };
            let text_bytes = case.message.len() + case.details.len() + case.system_out.len();
            left.total_text_bytes = left.total_text_bytes.saturating_sub(text_bytes);
            let name_bytes = case.class_name.len() + case.name.len();
            left.total_name_bytes = left.total_name_bytes.saturating_sub(name_bytes);
            left.cases = left.cases.saturating_sub(1);
            self.cases.push(case);
        }
        let room = MOST_FINDINGS.saturating_sub(self.findings.len());
        let findings = report.findings.into_iter().take(room).map(|finding| Finding {
            message: covered(finding.message),
            ..finding
        });
        self.findings
            .extend(findings.map(|finding| (path.to_owned(), finding)));
    }

    fn add_unreadable(&mut self, path: &str, error: &io::Error) {
        self.may_lack_cases = true;
        if self.findings.len() < MOST_FINDINGS {
            let finding = Finding {
                line: 1,
                kind: FindingKind::NotAReport,
                message: format!("the file cannot be read: {error}"),
            };
            self.findings.push((path.to_owned(), finding));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    const STARTED_MS: i64 = 1_700_000_000_000;

    struct Workspace(tempfile::TempDir);

    impl Workspace {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// Writes a file that was last changed so long after the job began.
        fn file(&self, path: &str, text: &str, after_ms: i64) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let time = Duration::from_millis(u64::try_from(STARTED_MS + after_ms).unwrap());
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH + time)
                .unwrap();
        }

        fn read(&self, newer_than_ms: Option<i64>, limits: ReportLimits) -> ReadReports {
            read_reports(&ReportRequest {
                working_directory: self.0.path(),
                format: ReportFormat::JUnit,
                patterns: &AntPatterns::parse(ReportFormat::JUnit.default_pattern()).unwrap(),
                newer_than_ms,
                masks: &Masks::new(["hunter22"]),
                limits,
            })
            .unwrap()
        }
    }

    fn names(found: &ReadReports) -> Vec<&str> {
        found.cases.iter().map(|case| case.name.as_str()).collect()
    }

    #[test]
    fn reports_of_this_build_are_read_and_old_ones_are_not() {
        let work = Workspace::new();
        work.file(
            "a/test-reports/1.xml",
            "<testsuite><testcase name='a'/></testsuite>",
            10,
        );
        work.file(
            "b/test-reports/2.xml",
            "<testsuite><testcase name='b'/></testsuite>",
            -60_000,
        );
        work.file(
            "test-reports/3.xml",
            "<testsuite><testcase name='c'/></testsuite>",
            -500,
        );
        work.file(
            "test-reports/4.txt",
            "<testsuite><testcase name='d'/></testsuite>",
            10,
        );
        let found = work.read(Some(STARTED_MS), ReportLimits::default());
        assert_eq!(
            (names(&found), found.files, found.stale_files),
            (vec!["a", "c"], 2, 1)
        );
        assert!(found.failures().is_empty());
        let found = work.read(None, ReportLimits::default());
        assert_eq!(
            (names(&found), found.files, found.stale_files),
            (vec!["a", "b", "c"], 3, 0)
        );
    }

    #[test]
    fn reports_say_why_the_task_fails() {
        let work = Workspace::new();
        assert_eq!(
            work.read(None, ReportLimits::default()).failures(),
            [TaskFailure::NoCases]
        );
        work.file("test-reports/1.xml", "<testsuite/>", 0);
        assert_eq!(
            work.read(None, ReportLimits::default()).failures(),
            [TaskFailure::NoCases]
        );
        work.file(
            "test-reports/2.xml",
            "<testsuite><testcase name='a'><failure/></testcase></testsuite>",
            0,
        );
        assert_eq!(
            work.read(None, ReportLimits::default()).failures(),
            [TaskFailure::FailedCases]
        );
        work.file("test-reports/3.xml", "<testsuite><testcase name='b'>", 0);
        let found = work.read(None, ReportLimits::default());
        assert_eq!(
            found.failures(),
            [TaskFailure::FailedCases, TaskFailure::DamagedReports]
        );
        assert_eq!(found.findings[0].0, "test-reports/3.xml");
    }

    #[test]
    fn s6_secrets_are_covered_in_reports() {
        let work = Workspace::new();
        work.file(
            "test-reports/1.xml",
            "<testsuite name='s hunter22'><testcase name='n hunter22'><failure message='m hunter22'>d hunter22</failure>\
             <system-out>aHVudGVyMjI= hunter22</system-out></testcase></testsuite>",
            0,
        );
        work.file("test-reports/2.xml", "<hunter22/>", 0);
        let found = work.read(None, ReportLimits::default());
        assert_eq!(found.cases[0].system_out, "********= ********");
        assert!(!format!("{found:?}").contains("hunter22"), "{found:?}");
    }

    #[test]
    fn j2_of_a_file_without_end_only_the_beginning_is_read_and_the_others_are_kept() {
        let work = Workspace::new();
        work.file("test-reports/1.xml", "<testsuite><testcase name='a'/>", 0);
        let huge = fs::File::options()
            .write(true)
            .open(work.0.path().join("test-reports/1.xml"));
        huge.unwrap().set_len(1 << 40).unwrap();
        work.file(
            "test-reports/2.xml",
            "<testsuite><testcase name='b'/></testsuite>",
            0,
        );
        let limits = ReportLimits {
            bytes: 1000,
            ..ReportLimits::default()
        };
        let found = work.read(None, limits);
        assert_eq!(names(&found), ["a", "b"]);
        assert!(
            found
                .findings
                .iter()
                .any(|(_, finding)| finding.kind == FindingKind::TooLong)
        );
        assert!(found.may_lack_cases);
    }

    #[test]
    fn j5_reports_outside_of_the_workspace_are_not_read() {
        let outside = Workspace::new();
        outside.file(
            "test-reports/1.xml",
            "<testsuite><testcase name='theirs'/></testsuite>",
            0,
        );
        let work = Workspace::new();
        work.file(
            "own/test-reports/2.xml",
            "<testsuite><testcase name='own'/></testsuite>",
            0,
        );
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, work.0.path().join(name)).unwrap();
        };
        link(outside.0.path(), "folder");
        link(
            &outside.0.path().join("test-reports/1.xml"),
            "own/test-reports/3.xml",
        );
        link(Path::new(".."), "own/up");
        for pattern in ["**/test-reports/*.xml", "**/*", "**"] {
            let found = read_reports(&ReportRequest {
                working_directory: work.0.path(),
                format: ReportFormat::JUnit,
                patterns: &AntPatterns::parse(pattern).unwrap(),
                newer_than_ms: None,
                masks: &Masks::new(["hunter22"]),
                limits: ReportLimits::default(),
            })
            .unwrap();
            assert_eq!(names(&found), ["own"], "{pattern}");
        }
    }

    #[test]
    fn limits_count_for_all_reports_together() {
        let work = Workspace::new();
        for n in 0..5 {
            work.file(
                &format!("test-reports/{n}.xml"),
                "<testsuite><testcase name='a'><system-out>0123456789</system-out></testcase><testcase name='b'/></testsuite>",
                0,
            );
        }
        let limits = ReportLimits {
            cases: 7,
            total_text_bytes: 25,
            ..ReportLimits::default()
        };
        let found = work.read(None, limits);
        assert_eq!(found.cases.len(), 7);
        assert!(found.may_lack_cases);
        let text: usize = found.cases.iter().map(|case| case.system_out.len()).sum();
        assert!(text < 25 + 10, "{text}");
    }
}
