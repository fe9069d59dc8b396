//! Lines that are taken out of the logs of jobs and deployments.

use axum::Json as Answer;
use axum::extract::{Path, State};
use madake_domain::key::EntityKey;
use madake_engine::EngineError;
use madake_engine::ops::purge_log::LogName;
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
    let name = log_name(&key, None)?;
    let all = app.engine().purged_log_lines(&visitor.caller, &name).await?;
    let rows: Vec<Value> = all.iter().map(view).collect();
    Ok(Answer(json!({ "purges": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purge {
    line: u64,
    attempt: Option<i64>,
}

/// `POST /logs/{key}/purges`: takes the text of a line out.
pub(super) async fn purge(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(asked): Json<Purge>,
) -> Result<Answer<Value>, Failure> {
    let name = log_name(&key, asked.attempt)?;
    let done = app
        .engine()
        .purge_log_line(&visitor.caller, &name, asked.line)
        .await?;
    Ok(Answer(view(&done)))
}

/// The log of a job's result, or of a deployment: those have numbers.
fn log_name(text: &str, attempt: Option<i64>) -> Result<LogName, EngineError> {
    if let Ok(id) = text.parse() {
        return match attempt {
            None | Some(1) => Ok(LogName::Deployment(id)),
            Some(_) => Err(invalid("a deployment is attempted once: leave `attempt` out")),
        };
    }
    match parse::<EntityKey>(text)? {
        EntityKey::JobResult(key) => Ok(LogName::Job { key, attempt }),
        _ => Err(invalid(
            "the log is that of a job's result, such as PROJ-PLAN-JOB1-7, or of a deployment, such as 12",
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
