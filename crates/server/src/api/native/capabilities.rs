//! What the built-in agents can do.

use axum::Json as Answer;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /capabilities`
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let found = app.engine().list_capabilities(&visitor.caller).await?;
    let rows: Vec<Value> = found
        .iter()
        .map(|one| json!({ "key": one.key, "value": one.value, "configured": one.configured }))
        .collect();
    Ok(Answer(json!({ "capabilities": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    key: String,
    #[serde(default)]
    value: String,
}

/// `PUT /capabilities`
pub(super) async fn set(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Set>,
) -> Result<StatusCode, Failure> {
    app.engine()
        .set_capability(&visitor.caller, &new.key, &new.value)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    key: String,
}

/// `DELETE /capabilities?key=`; keys may hold slashes, so they are no part of a path.
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Query(named): Query<Named>,
) -> Result<StatusCode, Failure> {
    app.engine()
        .remove_capability(&visitor.caller, &named.key)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
