//! Builds: queue one, see how it stands, let it go on, stop it.

use std::collections::HashMap;

use axum::Json as Answer;
use axum::extract::{Path, State};
use http::StatusCode;
use madake_domain::key::{EntityKey, JobKey, JobResultKey, PlanKey, ResultKey};
use madake_domain::permission::Permission;
use madake_domain::schedule::{BuildOutcome, BuildState, Stage};
use madake_domain::stage_selection::StageRequest;
use madake_domain::test_history::{CaseVerdict, TestCounts};
use madake_engine::access::{Caller, plan_for};
use madake_engine::ops::explain::plan_file_of;
use madake_engine::ops::trigger_build::TriggerBuild;
use madake_engine::{Engine, EngineError};
use madake_store::artifact;
use madake_store::build::{self, Build, Job, Reason};
use madake_store::build_query::{self, Filter};
use madake_store::test_result::{self, RunKind};
use madake_store::{Tx, event, expiry};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{Json, Nothing, invalid, parse};
use crate::App;
use crate::api::bamboo::link::Links;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Failed tests of one build that an answer names.
const MOST_FAILED_TESTS: i64 = 200;

/// The tests of each job.
type Counts = HashMap<i64, TestCounts>;

/// What a build is asked to do: how far to run, and with which variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    stage: Option<String>,
    #[serde(default)]
    execute_all_stages: bool,
    revision: Option<String>,
    #[serde(default)]
    variables: Map<String, Value>,
}

impl Ask {
    fn stages(&self) -> StageRequest {
        StageRequest {
            stage: self.stage.clone().filter(|name| !name.is_empty()),
            execute_all_stages: self.execute_all_stages,
        }
    }

    fn variables(&self) -> Result<Vec<(String, String)>, EngineError> {
        self.variables
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name.clone(), text.clone())),
                _ => Err(invalid(format!("the variable `{name}` is not a text"))),
            })
            .collect()
    }
}

/// `POST /plans/{key}/builds`: 201 with the new build.
pub(super) async fn queue(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(ask): Json<Ask>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let key: PlanKey = parse(&key)?;
    let asked = TriggerBuild {
        stages: ask.stages(),
        variables: ask.variables()?,
        custom_revision: ask.revision,
    };
    let made = app.engine().trigger_build(&visitor.caller, &key, asked).await?;
    Ok((StatusCode::CREATED, Answer(short_view(&made))))
}

/// `POST /builds/{key}/continue`: the next manual stage, the one named, or what failed once more.
pub(super) async fn go_on(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(ask): Json<Ask>,
) -> Result<Answer<Value>, Failure> {
    if ask.revision.is_some() {
        return Err(invalid("a build goes on with the revision that it has").into());
    }
    let key: ResultKey = parse(&key)?;
    let (stages, variables) = (ask.stages(), ask.variables()?);
    let went_on = app
        .engine()
        .continue_build(&visitor.caller, &key, stages, variables)
        .await?;
    Ok(Answer(short_view(&went_on)))
}

/// `POST /builds/{key}/stop`
pub(super) async fn stop(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<StatusCode, Failure> {
    let key: ResultKey = parse(&key)?;
    app.engine().stop_build(&visitor.caller, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /builds/{key}`: everything about a build but its log. `PROJ-PLAN-latest` is the newest.
pub(super) async fn status(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let links = Links::new(app.base_url());
    let mut answer = app
        .engine()
        .store()
        .read(move |tx| {
            let found = find(tx, &visitor.caller, &key)?;
            full_view(tx, &found, &links)
        })
        .await?;
    add_troubles(app.engine(), &mut answer);
    Ok(Answer(answer))
}

/// Adds what is wrong with jobs that have not ended.
fn add_troubles(engine: &Engine, build: &mut Value) {
    let stages = build["stages"].as_array_mut().into_iter().flatten();
    for job in stages.flat_map(|stage| stage["jobs"].as_array_mut().into_iter().flatten()) {
        let is_over = job["finishedMs"].is_i64();
        let trouble = job["id"].as_i64().filter(|_| !is_over);
        job["trouble"] = json!(trouble.and_then(|id| engine.trouble_of_job(id)));
    }
}

/// The build that a key names, if the caller may read its plan.
pub(super) fn find(tx: &Tx<'_>, caller: &Caller, text: &str) -> Result<Build, EngineError> {
    let key: EntityKey = text
        .parse()
        .map_err(|error| EngineError::Invalid(format!("{error}")))?;
    let (plan, number) = match key {
        EntityKey::Result(key) => (key.plan, Some(key.number)),
        EntityKey::LatestResult(plan) => (plan, None),
        _ => {
            return Err(EngineError::Invalid(format!(
                "`{}` is not the key of a build, such as PROJ-PLAN-7",
                madake_domain::text::inert(text, 80)
            )));
        }
    };
    let (_, branch) = plan_for(tx, caller, &plan, Permission::Read)?;
    let any = Filter {
        include_all_states: true,
        ..Filter::default()
    };
    let found = match number {
        Some(number) => build::by_number(tx, branch.id, number)?,
        None => build_query::latest(tx, branch.id, &any)?,
    };
    found.ok_or_else(|| {
        EngineError::NotFound(match number {
            Some(number) => format!("Result {number} for {plan} not found."),
            None => format!("{plan} has no build yet."),
        })
    })
}

/// What lists show of a build.
pub(super) fn short_view(build: &Build) -> Value {
    let summary = build.schedule.summary();
    json!({
        "key": build.key,
        "number": build.number,
        "lifeCycleState": summary.life_cycle.as_str(),
        "state": summary.state.as_str(),
        "finished": summary.finished || !build::is_active(summary.life_cycle),
        "successful": summary.successful,
        "continuable": summary.continuable,
        "restartable": summary.restartable,
        "branch": build.vcs_branch,
        "revision": build.revision,
        "reason": sentence(&build.reason),
        "triggeredBy": build.triggered_by,
        "event": build.event_id,
        "createdMs": build.created_ms,
        "startedMs": build.started_ms,
        "finishedMs": build.finished_ms,
        "ranMs": build.schedule.ran_ms(),
    })
}

fn full_view(tx: &Tx<'_>, build: &Build, links: &Links) -> Result<Value, EngineError> {
    let mut answer = short_view(build);
    let received_ms = match build.event_id {
        Some(id) => event::by_id(tx, id)?.map(|event| event.received_ms),
        None => None,
    };
    let revisions: Vec<Value> = build_query::revisions(tx, build.id)?
        .iter()
        .map(|one| {
            json!({
                "repository": one.name,
                "revision": one.revision,
                "previous": one.previous,
                "branch": one.branch,
            })
        })
        .collect();
    let changes: Vec<Value> = build_query::changes(tx, build.id)?
        .iter()
        .map(|one| {
            json!({
                "changeset": one.changeset,
                "author": one.author,
                "message": one.message,
                "atMs": one.at_ms,
            })
        })
        .collect();
    let jobs = build_query::jobs(tx, build.id)?;
    let mut counts = HashMap::new();
    for job in &jobs {
        counts.insert(job.id, test_result::counts_of_job(tx, job.id)?);
    }
    let stages: Vec<Value> = build
        .schedule
        .stages()
        .iter()
        .enumerate()
        .map(|(index, stage)| stage_view(build, index, stage, &jobs, &counts, links))
        .collect();
    answer["eventReceivedMs"] = json!(received_ms);
    answer["problem"] = json!(problem(build));
    answer["planFile"] = json!(plan_file_of(tx, build)?);
    answer["stoppedBy"] = json!(build.schedule.stop().map(|stop| &stop.by));
    answer["revisions"] = json!(revisions);
    answer["changes"] = json!(changes);
    answer["stages"] = json!(stages);
    answer["tests"] = counts_view(&test_result::counts_of_build(tx, build.id)?);
    answer["failedTests"] = json!(failed_tests(tx, &jobs, &counts)?);
    answer["artifacts"] = json!(artifacts(tx, build, links)?);
    answer["logsRemoved"] = json!(expiry::removed_of(tx, build.id)?.1);
    if let Ok(key) = build.key.parse::<ResultKey>() {
        answer["links"] = json!({
            "result": links.result(&key),
            "browse": links.result_page(&key),
        });
    }
    Ok(answer)
}

/// The tests that failed, job by job, each with the first line of why.
fn failed_tests(tx: &Tx<'_>, jobs: &[Job], counts: &Counts) -> Result<Vec<Value>, EngineError> {
    let mut rows = Vec::new();
    for job in jobs
        .iter()
        .filter(|job| counts.get(&job.id).is_some_and(|one| one.failed > 0))
    {
        let limit = MOST_FAILED_TESTS.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        for run in test_result::runs_of_job(tx, job.id, RunKind::Failed, 0, limit)? {
            rows.push(json!({
                "job": job.key,
                "test": run.case_id,
                "className": run.class_name,
                "name": run.name,
                "isNew": matches!(run.verdict, CaseVerdict::NewFailure),
                "message": run.message.lines().next().unwrap_or_default(),
            }));
        }
    }
    Ok(rows)
}

fn counts_view(counts: &TestCounts) -> Value {
    json!({
        "all": counts.all,
        "successful": counts.successful,
        "fixed": counts.fixed,
        "failed": counts.failed,
        "newFailed": counts.new_failed,
        "existingFailed": counts.existing_failed,
        "skipped": counts.skipped,
        "quarantined": counts.quarantined,
    })
}

fn artifacts(tx: &Tx<'_>, build: &Build, links: &Links) -> Result<Vec<Value>, EngineError> {
    let Ok(key) = build.key.parse::<ResultKey>() else {
        return Ok(Vec::new());
    };
    let rows = artifact::of_build(tx, build.id)?;
    Ok(rows
        .iter()
        .map(|row| {
            let job = (!row.shared).then_some(row.job_key.as_str());
            let url = links.artifact(&key, job, &row.name, "");
            json!({
                "name": row.name,
                "job": row.job_key,
                "shared": row.shared,
                "files": row.files,
                "bytes": row.bytes,
                "zip": format!("{url}?download=zip"),
                "url": url,
            })
        })
        .collect())
}

fn stage_view(
    build: &Build,
    index: usize,
    stage: &Stage,
    jobs: &[Job],
    counts: &Counts,
    links: &Links,
) -> Value {
    let summary = build.schedule.stage_summary(index);
    let position = i64::try_from(index).unwrap_or(i64::MAX);
    let jobs: Vec<Value> = jobs
        .iter()
        .filter(|job| job.stage == position)
        .map(|job| {
            let mut view = job_view(build, job, links);
            view["tests"] = counts_view(&counts.get(&job.id).copied().unwrap_or_default());
            view
        })
        .collect();
    json!({
        "name": stage.name,
        "manual": stage.manual,
        "final": stage.final_stage,
        "lifeCycleState": summary.as_ref().map(|summary| summary.life_cycle.as_str()),
        "state": summary.as_ref().map(|summary| summary.state.as_str()),
        "message": summary.as_ref().map(|summary| &summary.display_message),
        "runnable": summary.as_ref().is_some_and(|summary| summary.runnable),
        "heldUpBy": build.schedule.held_up_by(index).map(|stage| &stage.name),
        "jobs": jobs,
    })
}

fn job_view(build: &Build, job: &Job, links: &Links) -> Value {
    let summary = build.schedule.job_summary(job.id);
    let told: Value = job
        .outcome
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    let key = build.key.parse::<ResultKey>().ok().map(|result| JobResultKey {
        job: JobKey {
            plan: result.plan,
            job: job.key.clone(),
        },
        number: result.number,
    });
    json!({
        "id": job.id,
        "key": job.key,
        "name": job.name,
        "resultKey": key.as_ref().map(ToString::to_string),
        "lifeCycleState": summary.map(|summary| summary.life_cycle.as_str()),
        "state": summary.map(|summary| summary.state.as_str()),
        "attempt": job.attempt,
        "agent": job.holder,
        "queuedMs": job.queued_ms,
        "startedMs": job.started_ms,
        "finishedMs": job.finished_ms,
        "message": told.get("message"),
        "exitCode": told.get("exit_code"),
        "firstCommandStartedMs": told.get("first_command_started_ms"),
        "logFile": key.as_ref().map(|key| links.log_file(key)),
    })
}

fn problem(build: &Build) -> Option<&str> {
    match build.schedule.state() {
        BuildState::Finished {
            outcome: BuildOutcome::NotStarted { reason },
            ..
        } => Some(reason),
        _ => None,
    }
}

fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::CodeChanged => "Code has changed".into(),
        Reason::FirstBuild => "First build for this plan".into(),
        Reason::Manual { user } => format!("Manual run by {user}"),
        Reason::CustomRevision { user, revision } => {
            format!("Custom build by {user} with revision {revision}")
        }
        Reason::Scheduled => "Scheduled".into(),
        Reason::Parent { build, .. } => format!("Child of {build}"),
        Reason::Tag { name } => format!("Tag {name}"),
        Reason::Deployment {
            project,
            environment,
            release,
            ..
        } => format!("Deployment of {release} of {project} to {environment}"),
        Reason::StageContinued { user, stage } => format!("Manual run from the stage {stage} by {user}"),
        Reason::Rebuilt { user } => format!("Rebuilt by {user}"),
    }
}
