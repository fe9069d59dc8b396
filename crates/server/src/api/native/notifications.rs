//! What people were told of plans, who watches them, and who is responsible for their failures.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::delivery::Progress;
use madake_domain::key::PlanKey;
use madake_engine::ops::look_at_notifications::ShownMessage;
use madake_store::user::User;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, Nothing, id, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /notifications?plan=&before=&limit=`: messages, newest first.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let key: Option<PlanKey> = parameters.text("plan").map(parse).transpose()?;
    let before = parameters.text("before").map_or(Ok(i64::MAX), id)?;
    let limit = parameters.text("limit").map_or(Ok(50), id)?;
    let found = app
        .engine()
        .notifications(&visitor.caller, key.as_ref(), before, limit)
        .await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "notifications": rows })))
}

/// `GET /notifications/{id}`: one with its text and its attempts.
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let found = app.engine().notification(&visitor.caller, id(&number)?).await?;
    let mut shown = view(&found);
    let attempts: Vec<Value> = found
        .attempts
        .iter()
        .map(|one| {
            json!({
                "number": one.number,
                "beganMs": one.began_ms,
                "durationMs": one.duration_ms,
                "answer": one.answer,
            })
        })
        .collect();
    shown["log"] = json!(attempts);
    shown["summary"] = json!(found.summary);
    shown["content"] = serde_json::from_str(&found.message.content).unwrap_or(Value::Null);
    if let Some(body) = &found.body {
        shown["content"]["body"] = json!(body);
    }
    Ok(Answer(shown))
}

/// `POST /notifications/{id}/send`: at once, with the same id and text.
pub(super) async fn send(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let number = id(&number)?;
    app.engine()
        .send_notification_again(&visitor.caller, number)
        .await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({ "notification": number }))))
}

/// `GET /plans/{key}/watchers`: who watches it, and who is responsible for its failure.
pub(super) async fn watchers(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let (watchers, responsible) = app.engine().watchers(&visitor.caller, &key).await?;
    let names = |users: Vec<User>| users.into_iter().map(|one| one.name).collect::<Vec<_>>();
    Ok(Answer(json!({
        "plan": key.to_string(),
        "watchers": names(watchers),
        "responsible": names(responsible),
    })))
}

/// `PUT /plans/{key}/watchers/{user}`
pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, user)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<StatusCode, Failure> {
    set(&app, &visitor, &key, user, true).await
}

/// `DELETE /plans/{key}/watchers/{user}`
pub(super) async fn unwatch(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, user)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    set(&app, &visitor, &key, user, false).await
}

async fn set(
    app: &App,
    visitor: &Visitor,
    key: &str,
    user: String,
    watches: bool,
) -> Result<StatusCode, Failure> {
    let key: PlanKey = parse(key)?;
    app.engine()
        .watch_plan(&visitor.caller, &key, Some(user), watches)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is responsible.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Responsible {
    users: Vec<String>,
}

/// `PUT /plans/{key}/responsible`
pub(super) async fn assign(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    Json(Responsible { users }): Json<Responsible>,
) -> Result<StatusCode, Failure> {
    let key: PlanKey = parse(&key)?;
    app.engine()
        .assign_responsibility(&visitor.caller, &key, users)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(one: &ShownMessage) -> Value {
    let message = &one.message;
    let (state, ending, due_ms) = match &message.progress {
        Progress::Waiting { due_ms, .. } => ("waiting", None, Some(*due_ms)),
        Progress::Leased { .. } => ("sending", None, None),
        Progress::Ended { ending, .. } => ("ended", Some(ending.to_string()), None),
    };
    json!({
        "id": message.id,
        "uid": message.uid,
        "medium": message.medium,
        "recipient": message.recipient,
        "address": message.address,
        "event": message.event,
        "subject": message.subject,
        "build": one.build_key,
        "state": state,
        "ending": ending,
        "dueMs": due_ms,
        "attempts": message.progress.attempts(),
        "createdMs": message.created_ms,
    })
}
