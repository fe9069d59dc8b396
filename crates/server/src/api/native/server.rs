//! The server itself: how it stands, and whether new jobs are held back.

use axum::Json as Answer;
use axum::extract::State;
use madake_engine::EngineError;
use madake_store::build_query;
use serde_json::{Value, json};

use super::body::{Json, Nothing};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// The most waiting jobs that are counted.
const COUNTED: i64 = 100_000;

/// `GET /status`
pub(super) async fn status(State(app): State<App>) -> Result<Answer<Value>, Failure> {
    let (queued, active) = app
        .engine()
        .store()
        .read(|tx| {
            let queued = build_query::queued_jobs(tx, COUNTED)?.len();
            Ok::<_, EngineError>((queued, build_query::active(tx)?.len()))
        })
        .await?;
    let (agents, busy) = app.engine().agent_counts();
    Ok(Answer(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "baseUrl": app.base_url(),
        "paused": app.engine().is_paused(),
        "agents": agents,
        "busyAgents": busy,
        "queuedJobs": queued,
        "activeBuilds": active,
    })))
}

/// `POST /pause`: jobs that run go on, others wait; arrivals are taken and decided all the same.
pub(super) async fn pause(
    State(app): State<App>,
    visitor: Visitor,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Answer<Value>, Failure> {
    set_paused(&app, visitor, true).await
}

/// `POST /resume`
pub(super) async fn resume(
    State(app): State<App>,
    visitor: Visitor,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Answer<Value>, Failure> {
    set_paused(&app, visitor, false).await
}

async fn set_paused(app: &App, visitor: Visitor, paused: bool) -> Result<Answer<Value>, Failure> {
    app.engine().set_paused(&visitor.caller, paused).await?;
    Ok(Answer(json!({ "paused": paused })))
}
