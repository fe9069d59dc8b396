//! Mirrors of hosted repositories.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_engine::clock;
use madake_engine::ops::mirror_repository::{MirrorRepository, MirrorView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, Nothing, id, invalid, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /mirrors?repository=`: of one repository, or all that the caller administrates.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let found = app
        .engine()
        .list_mirrors(&visitor.caller, parameters.text("repository"))
        .await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "mirrors": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Create {
    repository: String,
    direction: String,
    url: String,
    username: Option<String>,
    password: Option<String>,
    prune: Option<bool>,
    period_seconds: Option<u64>,
    #[serde(default)]
    replace: bool,
}

/// `POST /mirrors`: makes one, or changes the one with the same repository, direction and address.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let credential = match (new.username, new.password) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, password)),
        _ => return Err(invalid("`username` and `password` go together").into()),
    };
    let asked = MirrorRepository {
        repository: new.repository,
        direction: parse(&new.direction)?,
        url: new.url,
        credential,
        prune: new.prune,
        period_seconds: new.period_seconds,
        replace: new.replace,
    };
    let made = app.engine().mirror_repository(&visitor.caller, asked).await?;
    Ok((StatusCode::CREATED, Answer(view(&made))))
}

/// `POST /mirrors/{id}/sync`: a run now.
pub(super) async fn sync(
    State(app): State<App>,
    visitor: Visitor,
    Path(mirror): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let hurried = app.engine().hurry_mirror(&visitor.caller, id(&mirror)?).await?;
    Ok((StatusCode::ACCEPTED, Answer(view(&hurried))))
}

/// `DELETE /mirrors/{id}`: ends it.
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(mirror): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let ended = app.engine().end_mirror(&visitor.caller, id(&mirror)?).await?;
    Ok(Answer(view(&ended)))
}

fn view(shown: &MirrorView) -> Value {
    let (one, pending) = (&shown.mirror, shown.pending);
    json!({
        "id": one.id,
        "repository": one.repository,
        "direction": one.direction.as_str(),
        "url": one.url,
        "credential": one.credential.is_some(),
        "prune": one.prune,
        "periodSeconds": one.period_ms / 1000,
        "madeBy": one.made_by,
        "lastAttemptMs": one.last_attempt_ms,
        "lastSuccessMs": one.last_success_ms,
        "failures": one.failures,
        "problem": one.problem,
        "nextMs": one.due_ms,
        "pendingPushes": pending.count,
        "lagMs": pending.since_ms.map(|since| (clock::now_ms() - since).max(0)),
    })
}
