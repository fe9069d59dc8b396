//! What jobs left: artifacts and tests (bamboo-rest.md 5.5, 5.6).

use madake_domain::key::{JobKey, JobResultKey, ResultKey};
use madake_domain::test_history::{CaseOutcome, CaseVerdict, TestCounts as Counted};
use madake_engine::EngineError;
use madake_store::artifact::{self, Artifact};
use madake_store::build::Build;
use madake_store::test_result::{self, RunKind, TestRun};

use super::super::super::expand::Expand;
use super::super::super::view::{ArtifactView, Slice, TestCounts, TestResults, TestView};
use super::{Loader, result_key};

/// Tests of one kind that an answer has at most.
const MOST_TESTS: usize = 10_000;

impl Loader<'_, '_> {
    /// The artifacts of a build, or of one of its jobs.
    pub(super) fn artifacts(
        &mut self,
        build: &Build,
        job_id: Option<i64>,
        expand: &Expand,
    ) -> Result<Slice<ArtifactView>, EngineError> {
        let mut rows = artifact::of_build(self.tx, build.id)?;
        rows.retain(|row| job_id.is_none_or(|id| row.job_id == id));
        if !expand.contains("artifacts") {
            return Ok(Slice::counted(rows.len()));
        }
        let key = result_key(build)?;
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.push(self.artifact_view(&key, row)?);
        }
        Ok(views.into())
    }

    fn artifact_view(&self, key: &ResultKey, row: Artifact) -> Result<ArtifactView, EngineError> {
        let only_file = match row.files {
            1 => artifact::first_file(self.tx, row.id)?,
            _ => None,
        };
        Ok(ArtifactView {
            name: row.name,
            producer: JobResultKey {
                job: JobKey {
                    plan: key.plan.clone(),
                    job: row.job_key,
                },
                number: key.number,
            },
            shared: row.shared,
            size_bytes: u64::try_from(row.bytes).unwrap_or(0),
            path: only_file.map(|file| file.path).unwrap_or_default(),
        })
    }

    /// How many tests of a build ended how.
    pub(super) fn tests_of_build(&self, build_id: i64) -> Result<TestCounts, EngineError> {
        Ok(shown_counts(test_result::counts_of_build(self.tx, build_id)?))
    }

    /// How many tests of a job ended how, and those that are asked for.
    pub(super) fn tests_of_job(
        &self,
        job_id: i64,
        expand: &Expand,
    ) -> Result<(TestCounts, TestResults), EngineError> {
        let counts = test_result::counts_of_job(self.tx, job_id)?;
        let below = expand.below("testResults");
        let slice = |kind: RunKind, name: &str, total: u64| -> Result<Slice<TestView>, EngineError> {
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            if total == 0 || !below.contains(name) {
                return Ok(Slice::counted(total));
            }
            let (start, count) = below.range(name).map_or((0, total), |range| range.resolve(total));
            let limit = row_count(count.min(MOST_TESTS));
            let runs = test_result::runs_of_job(self.tx, job_id, kind, row_count(start), limit)?;
            Ok(Slice {
                total,
                start,
                items: runs.into_iter().map(test_view).collect(),
            })
        };
        let results = TestResults {
            all: slice(RunKind::All, "allTests", counts.all)?,
            successful: slice(RunKind::Successful, "successfulTests", counts.successful)?,
            failed: slice(RunKind::Failed, "failedTests", counts.failed)?,
            new_failed: slice(RunKind::NewFailed, "newFailedTests", counts.new_failed)?,
            existing_failed: slice(
                RunKind::ExistingFailed,
                "existingFailedTests",
                counts.existing_failed,
            )?,
            fixed: slice(RunKind::Fixed, "fixedTests", counts.fixed)?,
            quarantined: slice(RunKind::Quarantined, "quarantinedTests", counts.quarantined)?,
            skipped: slice(RunKind::Skipped, "skippedTests", counts.skipped)?,
        };
        Ok((shown_counts(counts), results))
    }
}

fn row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn shown_counts(counts: Counted) -> TestCounts {
    let shown = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    TestCounts {
        successful: shown(counts.successful),
        failed: shown(counts.failed),
        quarantined: shown(counts.quarantined),
        skipped: shown(counts.skipped),
    }
}

fn test_view(run: TestRun) -> TestView {
    let status = match (run.verdict, run.outcome) {
        (CaseVerdict::Quarantined { .. }, _) => "quarantined",
        (_, CaseOutcome::Successful) => "successful",
        (_, CaseOutcome::Failed) => "failed",
        (_, CaseOutcome::Skipped) => "skipped",
    };
    let text = if run.details.is_empty() {
        run.message
    } else {
        run.details
    };
    let errors: Vec<String> = (run.outcome == CaseOutcome::Failed && !text.is_empty())
        .then_some(text)
        .into_iter()
        .collect();
    TestView {
        id: run.case_id,
        class_name: run.class_name,
        method_name: run.name,
        status: status.to_owned(),
        duration_ms: run.duration_ms.unwrap_or(0),
        errors: errors.into(),
    }
}
