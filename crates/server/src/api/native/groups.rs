//! Groups and who is in them.

use axum::Json as Answer;
use axum::extract::{Path, State};
use http::StatusCode;
use madake_engine::ops::change_group::GroupChange;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /groups`
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let found = app.engine().list_groups(&visitor.caller).await?;
    let rows: Vec<Value> = found
        .iter()
        .map(|(name, members)| json!({ "name": name, "members": members }))
        .collect();
    Ok(Answer(json!({ "groups": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    name: String,
}

/// `POST /groups`
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    change(&app, &visitor, &new.name, GroupChange::Create).await?;
    Ok((
        StatusCode::CREATED,
        Answer(json!({ "name": new.name, "members": [] })),
    ))
}

/// `DELETE /groups/{name}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    change(&app, &visitor, &name, GroupChange::Remove).await
}

/// `PUT /groups/{name}/members/{user}`
pub(super) async fn add_member(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, user)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    change(&app, &visitor, &name, GroupChange::Add(user)).await
}

/// `DELETE /groups/{name}/members/{user}`
pub(super) async fn remove_member(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, user)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    change(&app, &visitor, &name, GroupChange::TakeOut(user)).await
}

async fn change(
    app: &App,
    visitor: &Visitor,
    name: &str,
    change: GroupChange,
) -> Result<StatusCode, Failure> {
    app.engine().change_group(&visitor.caller, name, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
