//! Tests of plans: which are in quarantine, and how one of them ended in each build.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::key::PlanKey;
use madake_domain::test_history::{CaseOutcome, CaseVerdict, Quarantine};
use madake_store::test_result::{TestCase, TestRun};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, Nothing, id, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plans/{key}/tests?name=`: those of that name, in full or by the end of it; without one, those in quarantine.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let parameters = Parameters::from_query(query.as_deref());
    let found = match parameters.text("name") {
        Some(name) => app.engine().tests_named(&visitor.caller, &key, name).await?,
        None => app.engine().quarantined_tests(&visitor.caller, &key).await?,
    };
    let rows: Vec<Value> = found.iter().map(case_view).collect();
    Ok(Answer(json!({ "tests": rows })))
}

/// `GET /plans/{key}/tests/{id}`: one test with its results, newest first.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, test)): Path<(String, String)>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let (found, runs) = app
        .engine()
        .test_history(&visitor.caller, &key, id(&test)?)
        .await?;
    let mut answer = case_view(&found);
    answer["runs"] = runs.iter().map(run_view).collect();
    Ok(Answer(answer))
}

/// How long a quarantine lasts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    until_ms: Option<i64>,
}

/// `POST /plans/{key}/tests/{id}/quarantine`
pub(super) async fn quarantine(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, test)): Path<(String, String)>,
    Json(ask): Json<Ask>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let changed = app
        .engine()
        .quarantine_test(&visitor.caller, &key, id(&test)?, ask.until_ms)
        .await?;
    Ok(Answer(case_view(&changed)))
}

/// `POST /plans/{key}/tests/{id}/release`
pub(super) async fn release(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, test)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<StatusCode, Failure> {
    let key: PlanKey = parse(&key)?;
    app.engine()
        .release_test(&visitor.caller, &key, id(&test)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn case_view(test: &TestCase) -> Value {
    let quarantine = match &test.quarantine {
        Quarantine::Free => Value::Null,
        Quarantine::Quarantined {
            by,
            since_ms,
            until_ms,
        } => json!({ "by": by, "sinceMs": since_ms, "untilMs": until_ms }),
    };
    json!({
        "id": test.id,
        "job": test.job_key,
        "class": test.class_name,
        "name": test.name,
        "quarantine": quarantine,
    })
}

/// A result of a test; `failingSince` is the number of a build.
pub(super) fn run_view(run: &TestRun) -> Value {
    let outcome = match run.outcome {
        CaseOutcome::Successful => "successful",
        CaseOutcome::Failed => "failed",
        CaseOutcome::Skipped => "skipped",
    };
    let (verdict, failing_since) = match run.verdict {
        CaseVerdict::Successful => ("successful", None),
        CaseVerdict::Fixed { failing_since } => ("fixed", Some(failing_since)),
        CaseVerdict::NewFailure => ("new-failure", Some(run.build_number)),
        CaseVerdict::ExistingFailure { failing_since } => ("existing-failure", Some(failing_since)),
        CaseVerdict::Skipped => ("skipped", None),
        CaseVerdict::Quarantined { .. } => ("quarantined", None),
    };
    json!({
        "build": run.build_number,
        "outcome": outcome,
        "verdict": verdict,
        "failingSince": failing_since,
        "durationMs": run.duration_ms,
        "message": run.message,
    })
}
