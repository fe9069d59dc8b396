//! Lines that are taken out of jobs' logs.

use axum::Json as Answer;
use axum::extract::{Path, State};
use madake_domain::key::{EntityKey, JobResultKey};
use madake_engine::EngineError;
use madake_store::log_purge::Tombstone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, parse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /logs/{key}/purges`: which lines are gone, by whom and when.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let key = job_result(&key)?;
    let all = app.engine().purged_log_lines(&visitor.caller, &key).await?;
    let rows: Vec<Value> = all.iter().map(view).collect();
    Ok(Answer(json!({ "purges": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    line: u64,
}

/// `POST /logs/{key}/purges`: takes the text of a line out.
pub(super) async fn purge(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(asked): Json<Purge>,
) -> Result<Answer<Value>, Failure> {
    let key = job_result(&key)?;
    let done = app
        .engine()
        .purge_log_line(&visitor.caller, &key, asked.line)
        .await?;
    Ok(Answer(view(&done)))
}

fn job_result(text: &str) -> Result<JobResultKey, EngineError> {
    match parse::<EntityKey>(text)? {
        EntityKey::JobResult(key) => Ok(key),
        _ => Err(invalid(
            "the log is that of a job's result, such as PROJ-PLAN-JOB1-7",
        )),
    }
}

fn view(one: &Tombstone) -> Value {
    json!({
        "attempt": one.attempt,
        "line": one.line,
        "purgedBy": one.purged_by,
        "purgedMs": one.purged_ms,
    })
}
