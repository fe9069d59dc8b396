//! Results of plans, of their stages and of their jobs (bamboo-rest.md 5.2 to 5.4).

use std::collections::HashMap;

use madake_domain::key::{JobKey, JobResultKey, ResultNumber};
use madake_domain::schedule::{JobSummary, Stage};
use madake_engine::EngineError;
use madake_store::build::{Build, Job};
use madake_store::build_query;

use super::super::super::error::ApiError;
use super::super::super::expand::Expand;
use super::super::super::view::{
    JobRef, JobResultSummary, JobResultView, ResultDetails, ResultEntry, ResultSummary, ResultView, Slice,
    Span, StageResult,
};
use super::super::filter::ResultFilter;
use super::details::{STORAGE_TAG, result_key, status_of};
use super::plan::job_ref;
use super::{Loader, LogPlace, missing, not_found};

/// Stages have no rows of their own: their numbers follow from the build's.
const STAGES_PER_BUILD: i64 = 1_000;
/// A list of a job's results looks at so many builds of its plan, the newest ones.
const BUILDS_OF_A_JOB: i64 = 10_000;

impl Loader<'_, '_> {
    /// An item of a list: in full when `expand`, what is asked for below it, is there.
    pub(in super::super) fn result_entry(
        &mut self,
        build: &Build,
        expand: Option<&Expand>,
    ) -> Result<ResultEntry, EngineError> {
        match expand {
            Some(expand) => Ok(ResultEntry::FullPlan(Box::new(
                self.result_view(build, expand, true)?,
            ))),
            None => {
                let branch = self.branch(build.plan_branch_id)?;
                let summary = build.schedule.summary();
                Ok(ResultEntry::Plan(ResultSummary {
                    id: build.id,
                    key: result_key(build)?,
                    plan: self.plan_ref(&branch)?,
                    status: status_of(summary.life_cycle, summary.state),
                }))
            }
        }
    }

    /// A plan's result in full.
    pub(in super::super) fn result_view(
        &mut self,
        build: &Build,
        expand: &Expand,
        in_list: bool,
    ) -> Result<ResultView, EngineError> {
        let branch = self.branch(build.plan_branch_id)?;
        let full_plan = match expand.contains("plan") {
            true => Some(Box::new(self.plan_view(&branch, expand.below("plan"))?)),
            false => None,
        };
        let details = self.details(build, expand, in_list)?;
        let stages = if expand.contains("stages") {
            self.stages(build, &details, expand.below("stages.stage"))?.into()
        } else {
            Slice::counted(build.schedule.stages().len())
        };
        Ok(ResultView {
            key: result_key(build)?,
            plan: self.plan_ref(&branch)?,
            full_plan,
            details,
            stages,
        })
    }

    /// A plan's result whose stages are loaded even where nobody expands them.
    pub(in super::super) fn result_with_stages(
        &mut self,
        build: &Build,
        expand: &Expand,
    ) -> Result<ResultView, EngineError> {
        let mut view = self.result_view(build, expand, false)?;
        if view.stages.items.is_empty() {
            view.stages = self.stages(build, &view.details, Expand::nothing())?.into();
        }
        Ok(view)
    }

    fn stages(
        &mut self,
        build: &Build,
        details: &ResultDetails,
        expand: &Expand,
    ) -> Result<Vec<StageResult>, EngineError> {
        let rows: HashMap<i64, Job> = build_query::jobs(self.tx, build.id)?
            .into_iter()
            .map(|job| (job.id, job))
            .collect();
        let configuration = self.configuration(build.version_id)?;
        let below = expand.below("results");
        let full = below.contains("result").then(|| below.below("result"));
        let mut stages = Vec::new();
        for ((index, stage), number) in build.schedule.stages().iter().enumerate().zip(1_i64..) {
            let Some(summary) = build.schedule.stage_summary(index) else {
                continue;
            };
            let mut jobs = Vec::new();
            for job in stage.jobs.iter().filter(|job| job.is_enabled()) {
                let row = rows.get(&job.id).ok_or_else(|| missing("job", job.id))?;
                jobs.push(self.job_entry(build, stage, row, details, full)?);
            }
            let description = configuration
                .stages
                .get(index)
                .map(|stage| stage.description.clone());
            stages.push(StageResult {
                id: build.id.saturating_mul(STAGES_PER_BUILD).saturating_add(number),
                name: stage.name.clone(),
                description: description.filter(|text| !text.is_empty()),
                status: status_of(summary.life_cycle, summary.state),
                manual: summary.manual,
                restartable: summary.restartable,
                runnable: summary.runnable,
                jobs: jobs.into(),
            });
        }
        Ok(stages)
    }

    fn job_entry(
        &mut self,
        build: &Build,
        stage: &Stage,
        row: &Job,
        details: &ResultDetails,
        expand: Option<&Expand>,
    ) -> Result<ResultEntry, EngineError> {
        if let Some(expand) = expand {
            let view = self.job_result_view(build, stage, row, details.clone(), expand)?;
            return Ok(ResultEntry::FullJob(Box::new(view)));
        }
        let job = self.job_of(build, row)?;
        let summary = summary_of(build, row);
        Ok(ResultEntry::Job(JobResultSummary {
            id: row.id,
            key: JobResultKey {
                job: job.key.clone(),
                number: build.number,
            },
            job,
            status: status_of(summary.life_cycle, summary.state),
        }))
    }

    /// A job's result in full. Its log is left out; where it lies is noted if it was asked for.
    fn job_result_view(
        &mut self,
        build: &Build,
        stage: &Stage,
        row: &Job,
        details: ResultDetails,
        expand: &Expand,
    ) -> Result<JobResultView, EngineError> {
        let job = self.job_of(build, row)?;
        let summary = summary_of(build, row);
        let status = status_of(summary.life_cycle, summary.state);
        if expand.contains("logEntries") {
            let place = LogPlace {
                build_id: build.id,
                attempt: row.attempt,
                range: expand.range("logEntries"),
            };
            self.logs.insert(row.id, place);
        }
        let now_ms = madake_engine::clock::now_ms();
        let queue = row.queued_ms.map(|queued_ms| {
            let until_ms = row.started_ms.or(row.finished_ms).unwrap_or(now_ms);
            Span {
                started_ms: queued_ms,
                duration_ms: until_ms.saturating_sub(queued_ms).max(0),
            }
        });
        let changes = match details.changes.items.is_empty() && expand.contains("changes") {
            true => self.changes(build.id)?,
            false => details.changes,
        };
        let mut metadata = details.metadata;
        for (_, tag) in metadata.items.iter_mut().filter(|(name, _)| name == STORAGE_TAG) {
            *tag = format!("plan-{}-{}", build.plan_branch_id, row.key);
        }
        let (tests, test_results) = self.tests_of_job(row.id, expand)?;
        let artifacts = self.artifacts(build, Some(row.id), expand)?;
        Ok(JobResultView {
            key: JobResultKey {
                job: job.key.clone(),
                number: build.number,
            },
            job,
            details: ResultDetails {
                id: row.id,
                status,
                continuable: false,
                started_ms: row.started_ms,
                completed_ms: row.finished_ms,
                average_duration_ms: None,
                changes,
                tests,
                artifacts,
                metadata,
                ..details
            },
            stage: stage.name.clone(),
            queue,
            vcs_update: checkout(row),
            has_executable_agents: Some(true),
            test_results,
            log: Slice::default(),
        })
    }

    /// One result of a job that the caller may read, in full, with its stage's name.
    pub(in super::super) fn job_result_for(
        &mut self,
        key: &JobKey,
        number: ResultNumber,
        include_all_states: bool,
        expand: &Expand,
    ) -> Result<JobResultView, EngineError> {
        let build = self.build_for(&key.plan, number, include_all_states)?;
        let row = self.job_row(&build, key)?;
        let details = self.details(&build, expand, false)?;
        let (stage, _) = build.schedule.job(row.id).ok_or_else(|| missing("job", row.id))?;
        self.job_result_view(&build, stage, &row, details, expand)
    }

    /// The job of a build with this key. A job that several stages name is the one that began last.
    pub(in super::super) fn job_row(&self, build: &Build, key: &JobKey) -> Result<Job, EngineError> {
        let enabled = |job: &Job| {
            build
                .schedule
                .job(job.id)
                .is_some_and(|(_, job)| job.is_enabled())
        };
        build_query::jobs(self.tx, build.id)?
            .into_iter()
            .filter(|job| job.key == key.job && enabled(job))
            .rev()
            .max_by_key(|job| job.started_ms)
            .ok_or_else(|| {
                not_found(ApiError::result_not_found(
                    &build.number.to_string(),
                    &key.to_string(),
                ))
            })
    }

    /// The results of a job, newest first, that pass a filter.
    pub(in super::super) fn results_of_job(
        &mut self,
        key: &JobKey,
        filter: &ResultFilter,
    ) -> Result<Vec<(Build, Job)>, EngineError> {
        let (_, branch) = self.plan_for(&key.plan)?;
        let configured = job_ref(
            &self.plan_ref(&branch)?,
            &*self.configuration_of(&branch)?,
            &key.job,
        );
        let all_states = build_query::Filter {
            include_all_states: true,
            ..build_query::Filter::default()
        };
        let (builds, _) = build_query::of_branch(self.tx, branch.id, &all_states, 0, BUILDS_OF_A_JOB)?;
        let mut found = Vec::new();
        let mut ever_built = false;
        for build in builds {
            let Ok(row) = self.job_row(&build, key) else {
                continue;
            };
            ever_built = true;
            let summary = summary_of(&build, &row);
            if filter.admits(summary.life_cycle, summary.state, false)
                && self.names_issue(build.id, &filter.stored.issues)?
            {
                found.push((build, row));
            }
        }
        if configured.is_none() && !ever_built {
            return Err(not_found(ApiError::plan_not_found(&key.to_string())));
        }
        Ok(found)
    }

    /// An item of a list of a job's results.
    pub(in super::super) fn job_result_entry(
        &mut self,
        build: &Build,
        row: &Job,
        expand: Option<&Expand>,
    ) -> Result<ResultEntry, EngineError> {
        let (stage, _) = build.schedule.job(row.id).ok_or_else(|| missing("job", row.id))?;
        let details = self.details(build, expand.unwrap_or(Expand::nothing()), true)?;
        self.job_entry(build, stage, row, &details, expand)
    }

    fn job_of(&mut self, build: &Build, row: &Job) -> Result<JobRef, EngineError> {
        let branch = self.branch(build.plan_branch_id)?;
        let plan = self.plan_ref(&branch)?;
        let configuration = self.configuration(build.version_id)?;
        if let Some(known) = job_ref(&plan, &configuration, &row.key) {
            return Ok(known);
        }
        Ok(JobRef {
            id: row.id,
            key: JobKey {
                plan: plan.key.clone(),
                job: row.key.clone(),
            },
            short_name: row.name.clone(),
            enabled: true,
            plan,
        })
    }
}

fn summary_of(build: &Build, row: &Job) -> JobSummary {
    build.schedule.job_summary(row.id).unwrap_or(JobSummary {
        life_cycle: madake_domain::schedule::LifeCycleState::NotBuilt,
        state: madake_domain::schedule::ResultState::Unknown,
    })
}

/// How long the checkouts took, as the agent reported at the end.
fn checkout(row: &Job) -> Option<Span> {
    let outcome: serde_json::Value = serde_json::from_str(row.outcome.as_deref()?).ok()?;
    let duration_ms = outcome.get("checkout_ms")?.as_i64().filter(|ms| *ms > 0)?;
    Some(Span {
        started_ms: row.started_ms?,
        duration_ms,
    })
}
