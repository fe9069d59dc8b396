//! How we hear of pushes to linked repositories.

use axum::Json as Answer;
use axum::extract::State;
use madake_engine::ops::show_hearing::ShownHearing;
use serde_json::{Value, json};

use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /hearing`: of those repositories that the caller may read.
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let (shown, serving_all) = app.engine().show_hearing(&visitor.caller).await?;
    let rows: Vec<Value> = shown.iter().map(view).collect();
    Ok(Answer(json!({ "hearing": rows, "webhooksOfAll": serving_all })))
}

fn view(one: &ShownHearing) -> Value {
    let hearing = &one.heard.hearing;
    json!({
        "repository": one.repository.name,
        "address": one.repository.url,
        "state": one.state.as_str(),
        "webhooks": one.webhooks,
        "toldMs": hearing.told_ms,
        "toldBy": one.heard.told_by,
        "toldAs": one.heard.told_as,
        "polledMs": hearing.polled_ms,
        "pauseSeconds": one.pause_ms / 1000,
        "missed": hearing.missed,
        "missedMs": hearing.missed_ms,
        "missedEvent": one.heard.missed_event_id,
        "problem": one.repository.problem,
    })
}
