//! `/browse/KEY`: a build with its stages, the tests that failed in it, and its artifacts (bamboo-rest.md 11).

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::{EntityKey, JobKey, JobResultKey, PlanKey, ResultKey};
use madake_domain::permission::Permission;
use madake_domain::schedule::{BuildOutcome, BuildState};
use madake_domain::test_history::{CaseOutcome, CaseVerdict, TestCounts};
use madake_engine::access::{Caller, plan_for};
use madake_engine::ops::explain::plan_file_of;
use madake_engine::{Engine, EngineError};
use madake_store::artifact::{self, Artifact};
use madake_store::build::{self, Build, Job};
use madake_store::build_query::{self, Filter};
use madake_store::test_result::{self, RunKind, TestRun};
use madake_store::{Tx, expiry};
use serde::Serialize;

use super::address::Site;
use super::artifact::zip_url;
use super::asked::{Asked, Page, Refused};
use super::build_facts::{self, BuildFacts};
use super::login::{log_in_page, see_other};
use super::plan;
use super::shown;
use super::template::render;
use crate::App;
use crate::api::bamboo::link::Links;
use crate::auth::Visitor;

/// Failed tests of one job that the page names.
const MOST_TESTS: i64 = 200;
/// Bytes of a failed test's text that the page shows.
const MOST_TEXT: usize = 4000;

#[derive(Debug, Serialize)]
struct BuildPage {
    facts: BuildFacts,
    heading: String,
    about: String,
    /// Why nothing of it ran, or who stopped it.
    problem: String,
    state: String,
    revision: String,
    stages: Vec<StageRow>,
    tests: String,
    failed: Vec<TestRow>,
    more_failed: u64,
    /// What else is worth a name: fixed, in quarantine, skipped.
    others: Vec<TestGroup>,
    artifacts: Vec<ArtifactRow>,
    note: String,
    /// What is wrong with the plan file at its revision.
    plan_file: String,
}

#[derive(Debug, Serialize)]
struct StageRow {
    name: String,
    state: String,
    jobs: Vec<JobRow>,
}

#[derive(Debug, Serialize)]
struct JobRow {
    name: String,
    state: String,
    verdict: &'static str,
    message: String,
    /// Empty where there is none any more.
    log_url: String,
    tests: String,
}

#[derive(Debug, Serialize)]
struct TestRow {
    id: i64,
    job: String,
    name: String,
    since: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct TestGroup {
    title: String,
    names: Vec<TestName>,
    /// How many there are that are not named.
    more: u64,
}

#[derive(Debug, Serialize)]
struct TestName {
    id: i64,
    job: String,
    name: String,
    note: &'static str,
}

#[derive(Debug, Serialize)]
struct ArtifactRow {
    name: String,
    url: String,
    /// Where all of its files are had as one; empty for a single file.
    zip_url: String,
    note: String,
}

/// The page. A project's key leads to its plans, a plan's shows the plan, a job's result leads to the build that it
/// belongs to.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let text = asked.part("key").to_owned();
    let missing = || {
        asked.missing(
            &app,
            &visitor,
            "There is no such build",
            "It does not exist, it had its time, or you may not read it.",
        )
    };
    let (plan, number) = match text.parse() {
        Ok(EntityKey::Result(key)) => (key.plan, Some(key.number)),
        Ok(EntityKey::JobResult(key)) => (key.job.plan, Some(key.number)),
        Ok(EntityKey::Project(key)) => return Ok(see_other(&Site::of(&app).project_plans(key.as_str()))),
        Ok(EntityKey::Plan(_)) => return plan::page(State(app), visitor, asked).await,
        Ok(EntityKey::LatestResult(plan)) => (plan, None),
        Ok(EntityKey::Job(job) | EntityKey::LatestJobResult(job)) => (job.plan, None),
        _ => return Err(missing()),
    };
    let (caller, links) = (visitor.caller.clone(), Links::new(app.base_url()));
    let engine = app.engine().clone();
    let found = app
        .engine()
        .store()
        .read(move |tx| {
            let Some(found) = find(tx, &caller, &plan, number)? else {
                return Ok(None);
            };
            let page = describe(tx, &engine, &found, &links)?;
            Ok::<_, EngineError>(Some((found.key, page)))
        })
        .await;
    let (key, page) = match found {
        Ok(Some(found)) => found,
        Ok(None) | Err(EngineError::NotFound(_) | EngineError::Forbidden { .. }) => return Err(missing()),
        Err(EngineError::Unauthenticated { .. }) => {
            return Err(Refused::Page(Box::new(log_in_page(
                &app,
                &visitor,
                &asked.address,
                "Log in to see this page.",
            ))));
        }
        Err(other) => return Err(other.into()),
    };
    if key != text {
        return Ok(see_other(&Site::of(&app).result(&key)));
    }
    let frame = asked.frame(&app, &visitor, &key);
    let shown: Response = render(StatusCode::OK, "build.html", &frame, &page);
    Ok(shown)
}

/// A build of a plan that the caller may read; the newest one where no number is given.
pub(super) fn find(
    tx: &Tx<'_>,
    caller: &Caller,
    plan: &PlanKey,
    number: Option<i64>,
) -> Result<Option<Build>, EngineError> {
    let (_, branch) = plan_for(tx, caller, plan, Permission::Read)?;
    let any = Filter {
        include_all_states: true,
        ..Filter::default()
    };
    Ok(match number {
        Some(number) => build::by_number(tx, branch.id, number)?,
        None => build_query::latest(tx, branch.id, &any)?,
    })
}

fn describe(tx: &Tx<'_>, engine: &Engine, found: &Build, links: &Links) -> Result<BuildPage, EngineError> {
    let key: ResultKey = found
        .key
        .parse()
        .map_err(|error| EngineError::Internal(format!("{error}")))?;
    let summary = found.schedule.summary();
    let jobs = build_query::jobs(tx, found.id)?;
    let removed = expiry::removed_of(tx, found.id)?;
    let mut failed = Vec::new();
    let mut rows = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let counts = test_result::counts_of_job(tx, job.id)?;
        if counts.failed > 0 {
            let runs = test_result::runs_of_job(tx, job.id, RunKind::Failed, 0, MOST_TESTS)?;
            failed.extend(runs.into_iter().map(|run| test_row(job, run)));
        }
        let mut row = job_row(found, &key, job, &counts, links);
        if removed.1 {
            row.log_url.clear();
        }
        if row.message.is_empty() && job.finished_ms.is_none() {
            let trouble = engine.trouble_of_job(job.id).unwrap_or_default();
            row.message = shown::line(&trouble);
        }
        rows.push((job.stage, row));
    }
    let counts = test_result::counts_of_build(tx, found.id)?;
    let mut stages = Vec::new();
    for (index, stage) in found.schedule.stages().iter().enumerate() {
        let position = i64::try_from(index).unwrap_or(i64::MAX);
        let state = found.schedule.stage_summary(index);
        let (here, others) = rows.into_iter().partition(|(stage, _)| *stage == position);
        rows = others;
        stages.push(StageRow {
            name: shown::line(&stage.name),
            state: match found.schedule.held_up_by(index) {
                Some(manual) => shown::line(&format!("waits behind the manual stage {}", manual.name)),
                None => state.map_or_else(String::new, |state| state.display_message.clone()),
            },
            jobs: here.into_iter().map(|(_, row): (i64, JobRow)| row).collect(),
        });
    }
    let artifacts = artifact::of_build(tx, found.id)?
        .iter()
        .map(|row| artifact_row(tx, &key, row, links))
        .collect::<Result<_, _>>()?;
    let note = match removed {
        (true, true) => "Artifacts and logs had their time and were removed.",
        (true, false) => "The artifacts had their time and were removed.",
        (false, true) => "The logs had their time and were removed.",
        (false, false) => "",
    };
    let branch = found.vcs_branch.as_deref().unwrap_or_default();
    let shown_failures = u64::try_from(failed.len()).unwrap_or(u64::MAX);
    Ok(BuildPage {
        facts: build_facts::facts(tx, found, &key, links)?,
        heading: found.key.clone(),
        about: format!("{} by {}", shown::line(branch), shown::line(&found.triggered_by)),
        problem: problem(found),
        state: format!("{}, {}", summary.life_cycle.as_str(), summary.state.as_str()),
        revision: shown::line(found.revision.as_deref().unwrap_or_default()),
        stages,
        tests: test_line(&counts),
        failed,
        more_failed: counts.failed.saturating_sub(shown_failures),
        others: other_tests(tx, &jobs, &counts)?,
        artifacts,
        note: note.to_owned(),
        plan_file: plan_file_of(tx, found)?.map_or_else(String::new, |text| shown::line(&text)),
    })
}

fn problem(found: &Build) -> String {
    match (found.schedule.state(), found.schedule.stop()) {
        (
            BuildState::Finished {
                outcome: BuildOutcome::NotStarted { reason },
                ..
            },
            _,
        ) => shown::line(reason),
        (_, Some(stop)) => shown::line(&format!("Stopped by {}.", stop.by)),
        (BuildState::Paused { next_stage, .. }, None) => {
            let stages = found.schedule.stages();
            let stage = stages.get(*next_stage).map_or("", |stage| stage.name.as_str());
            shown::line(&format!("It waits for a person before the manual stage {stage}."))
        }
        _ => String::new(),
    }
}

fn job_row(found: &Build, key: &ResultKey, job: &Job, counts: &TestCounts, links: &Links) -> JobRow {
    let told: serde_json::Value = job
        .outcome
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let summary = found.schedule.job_summary(job.id);
    JobRow {
        name: shown::line(&job.name),
        state: summary
            .as_ref()
            .map_or_else(String::new, |summary| summary.state.as_str().to_owned()),
        verdict: summary.map_or("", |summary| build_facts::verdict(summary.state)),
        message: shown::line(told["message"].as_str().unwrap_or_default()),
        log_url: links.log_file(&JobResultKey {
            job: JobKey {
                plan: key.plan.clone(),
                job: job.key.clone(),
            },
            number: key.number,
        }),
        tests: test_line(counts),
    }
}

/// `12 passed, 1 of them fixed; 2 failed, 1 of them new; ...`
fn test_line(counts: &TestCounts) -> String {
    if counts.all == 0 {
        return String::new();
    }
    let part = |count: u64, word: &str, of_them: u64, special: &str| match (count, of_them) {
        (0, _) => None,
        (count, 0) => Some(format!("{count} {word}")),
        (count, of_them) => Some(format!("{count} {word} ({of_them} {special})")),
    };
    [
        part(counts.failed, "failed", counts.new_failed, "new"),
        part(counts.successful, "passed", counts.fixed, "fixed"),
        part(counts.skipped, "skipped", 0, ""),
        part(
            counts.quarantined,
            "in quarantine",
            counts.quarantined_failed,
            "failing",
        ),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

fn name_of(run: &TestRun) -> String {
    let point = if run.class_name.is_empty() { "" } else { "." };
    shown::line(&format!("{}{point}{}", run.class_name, run.name))
}

/// The tests of a build that neither failed nor just passed, by name.
fn other_tests(tx: &Tx<'_>, jobs: &[Job], counts: &TestCounts) -> Result<Vec<TestGroup>, EngineError> {
    let kinds = [
        ("Fixed", RunKind::Fixed, counts.fixed),
        ("In quarantine", RunKind::Quarantined, counts.quarantined),
        ("Skipped", RunKind::Skipped, counts.skipped),
    ];
    let mut groups = Vec::new();
    for (title, kind, count) in kinds {
        if count == 0 {
            continue;
        }
        let mut names = Vec::new();
        for job in jobs {
            for run in test_result::runs_of_job(tx, job.id, kind, 0, MOST_TESTS)? {
                names.push(TestName {
                    id: run.case_id,
                    job: shown::line(&job.name),
                    name: name_of(&run),
                    note: match (run.verdict, run.outcome) {
                        (CaseVerdict::Quarantined { .. }, CaseOutcome::Failed) => ", failed",
                        (CaseVerdict::Quarantined { .. }, CaseOutcome::Successful) => ", passed",
                        _ => "",
                    },
                });
            }
        }
        let named = u64::try_from(names.len()).unwrap_or(u64::MAX);
        groups.push(TestGroup {
            title: format!("{title}: {count}"),
            names,
            more: count.saturating_sub(named),
        });
    }
    Ok(groups)
}

fn test_row(job: &Job, run: TestRun) -> TestRow {
    let name = name_of(&run);
    let text = if run.details.is_empty() {
        run.message
    } else {
        run.details
    };
    TestRow {
        id: run.case_id,
        job: shown::line(&job.name),
        name,
        since: match run.verdict {
            CaseVerdict::ExistingFailure { failing_since } => format!("fails since build {failing_since}"),
            _ => "new".to_owned(),
        },
        text: shown::several_lines(&text, MOST_TEXT),
    }
}

fn artifact_row(
    tx: &Tx<'_>,
    key: &ResultKey,
    row: &Artifact,
    links: &Links,
) -> Result<ArtifactRow, EngineError> {
    let only_file = match row.files {
        1 => artifact::first_file(tx, row.id)?,
        _ => None,
    };
    let path = only_file.map(|file| file.path).unwrap_or_default();
    let job = (!row.shared).then_some(row.job_key.as_str());
    let files = match row.files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let sharing = if row.shared { "" } else { ", of this job alone" };
    let zip_url = match row.files {
        1 => String::new(),
        _ => zip_url(&links.artifact(key, job, &row.name, "")),
    };
    Ok(ArtifactRow {
        zip_url,
        url: links.artifact(key, job, &row.name, &path),
        note: format!(
            "{files}, {}{sharing}",
            shown::size(u64::try_from(row.bytes).unwrap_or(0))
        ),
        name: shown::line(&row.name),
    })
}
