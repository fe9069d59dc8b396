//! Receivers of pushes, and the log of what was delivered to them.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::delivery::{Progress, Receiver as Health};
use madake_domain::text::counted;
use madake_engine::EngineError;
use madake_engine::ops::keep_receiver::{KeptReceiver, ShownReceiver};
use madake_engine::ops::redeliver::ExplainedDelivery;
use madake_engine::telling::{BROKER, BrokerSettings};
use madake_store::delivery::{Attempt, Delivery};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, id, invalid};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /receivers?repository=`: those of a repository.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let query = Parameters::from_query(query.as_deref());
    let repository = query
        .text("repository")
        .ok_or_else(|| invalid("`repository` is missing"))?;
    let found = app.engine().receivers(&visitor.caller, repository).await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "receivers": rows })))
}

/// What a new receiver is made of: the repository, and what it is to be.
#[derive(Debug, Deserialize)]
pub(super) struct Create {
    repository: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// `POST /receivers`: makes one.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let engine = app.engine();
    let kept = if new.rest.contains_key("broker") {
        let request = read(Value::Object(new.rest))?;
        engine
            .create_broker(&visitor.caller, &new.repository, request)
            .await?
    } else {
        let request = read(Value::Object(new.rest))?;
        engine
            .create_receiver(&visitor.caller, &new.repository, request)
            .await?
    };
    Ok((
        StatusCode::CREATED,
        Answer(kept_view(&app, &visitor, &kept).await?),
    ))
}

/// `GET /receivers/{id}`
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    Ok(Answer(view(
        &app.engine().receiver(&visitor.caller, number).await?,
    )))
}

/// `PUT /receivers/{id}`: what is not said stays as it is.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
    Json(new): Json<Value>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    let engine = app.engine();
    let current = engine.receiver(&visitor.caller, number).await?;
    let kept = if current.receiver.kind == BROKER {
        engine.change_broker(&visitor.caller, number, read(new)?).await?
    } else {
        engine
            .change_receiver(&visitor.caller, number, read(new)?)
            .await?
    };
    Ok(Answer(kept_view(&app, &visitor, &kept).await?))
}

/// `DELETE /receivers/{id}`: what was not delivered yet is cancelled.
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    app.engine().remove_receiver(&visitor.caller, number).await?;
    Ok(Answer(json!({ "id": number, "removed": true })))
}

/// `POST /receivers/{id}/enable`: after it was switched off.
pub(super) async fn enable(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    app.engine()
        .enable_receiver(&visitor.caller, number, true)
        .await?;
    Ok(Answer(view(
        &app.engine().receiver(&visitor.caller, number).await?,
    )))
}

/// `POST /receivers/{id}/disable`: what waits is kept for a while.
pub(super) async fn disable(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    app.engine()
        .enable_receiver(&visitor.caller, number, false)
        .await?;
    Ok(Answer(view(
        &app.engine().receiver(&visitor.caller, number).await?,
    )))
}

/// `POST /receivers/{id}/test`: sends it something; the answer names the delivery to look at.
pub(super) async fn test(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let number = id(&number)?;
    let delivery = app.engine().test_receiver(&visitor.caller, number).await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({ "delivery": delivery }))))
}

/// `GET /receivers/{id}/deliveries?before=&limit=`: newest first.
pub(super) async fn deliveries(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    let query = Parameters::from_query(query.as_deref());
    let whole = |name: &str, default: i64| -> Result<i64, EngineError> {
        match query.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| invalid(format!("`{name}` is not a whole number"))),
        }
    };
    let found = app
        .engine()
        .deliveries(
            &visitor.caller,
            number,
            whole("before", i64::MAX)?,
            whole("limit", 50)?,
        )
        .await?;
    let rows: Vec<Value> = found.iter().map(delivery_view).collect();
    Ok(Answer(json!({ "deliveries": rows })))
}

/// Since when failed deliveries are sent again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Since {
    since_ms: i64,
}

/// `POST /receivers/{id}/redeliver`: all that failed since a moment.
pub(super) async fn redeliver_failed(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
    Json(since): Json<Since>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let number = id(&number)?;
    let count = app
        .engine()
        .redeliver_failed(&visitor.caller, number, since.since_ms)
        .await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({ "redelivered": count }))))
}

/// `GET /deliveries/{id}`: what is sent, and how each attempt went.
pub(super) async fn delivery(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let number = id(&number)?;
    Ok(Answer(explained_view(
        &app.engine().delivery(&visitor.caller, number).await?,
    )))
}

/// `POST /deliveries/{id}/redeliver`: at once, with the same id and body.
pub(super) async fn redeliver(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let number = id(&number)?;
    app.engine().redeliver(&visitor.caller, number).await?;
    Ok((StatusCode::ACCEPTED, Answer(json!({ "delivery": number }))))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, EngineError> {
    serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
}

async fn kept_view(app: &App, visitor: &Visitor, kept: &KeptReceiver) -> Result<Value, Failure> {
    let mut shown = view(&app.engine().receiver(&visitor.caller, kept.id).await?);
    if let Some(secret) = &kept.new_secret {
        shown["newSecret"] = json!(secret);
    }
    Ok(shown)
}

fn view(shown: &ShownReceiver) -> Value {
    let one = &shown.receiver;
    let settings: Value = serde_json::from_str(&one.settings).unwrap_or(Value::Null);
    let (health, sentence) = match &one.health {
        Health::Healthy { .. } => ("healthy", String::new()),
        Health::Failing { failures, .. } => (
            "failing",
            format!("the last {} failed", counted(failures.count, "attempt")),
        ),
        Health::Paused { failures, .. } => (
            "paused",
            format!(
                "the last {} failed: it is tried now and then",
                counted(failures.count, "attempt")
            ),
        ),
        Health::Disabled { reason, .. } => ("disabled", reason.to_string()),
    };
    let mut view = json!({
        "id": one.id,
        "repository": shown.repository,
        "kind": one.kind,
        "profile": one.profile,
        "name": one.name,
        "url": one.url,
        "active": one.active,
        "settings": settings,
        "signed": shown.signed,
        "user": shown.user,
        "health": health,
        "healthSentence": sentence,
        "madeBy": one.made_by,
        "createdMs": one.created_ms,
        "updatedMs": one.updated_ms,
    });
    if one.kind == BROKER {
        let kept = BrokerSettings::of(one).unwrap_or_default();
        view["settings"] = json!(kept.values);
        view["ordered"] = json!(kept.ordered);
        view["timeoutSeconds"] = json!(kept.timeout_seconds);
        view["verifyTls"] = json!(kept.verify_tls);
    }
    view
}

pub(super) fn delivery_view(one: &Delivery) -> Value {
    let (state, at, ending) = match &one.progress {
        Progress::Waiting { due_ms, .. } => ("waiting", json!({ "dueMs": due_ms }), None),
        Progress::Leased { since_ms, .. } => ("sending", json!({ "sinceMs": since_ms }), None),
        Progress::Ended { at_ms, ending, .. } => {
            ("ended", json!({ "endedMs": at_ms }), Some(ending.to_string()))
        }
    };
    let mut shown = json!({
        "id": one.id,
        "uid": one.uid,
        "receiver": one.receiver_id,
        "event": one.event_id,
        "kind": one.kind,
        "summary": one.summary,
        "state": state,
        "ending": ending,
        "attempts": one.progress.attempts(),
        "lastAnswer": one.last_answer.map(|answer| answer.to_string()),
        "createdMs": one.created_ms,
    });
    if let (Some(shown), Value::Object(at)) = (shown.as_object_mut(), at) {
        shown.extend(at);
    }
    shown
}

fn explained_view(one: &ExplainedDelivery) -> Value {
    let mut shown = delivery_view(&one.delivery);
    if let Some(body) = &one.body {
        shown["request"] = json!({
            "contentType": body.content_type,
            "headers": body.headers,
            "body": String::from_utf8_lossy(&body.body),
        });
    }
    shown["log"] = one.attempts.iter().map(attempt_view).collect();
    shown
}

fn attempt_view(one: &Attempt) -> Value {
    let timings: Value = serde_json::from_str(&one.timings).unwrap_or(Value::Null);
    json!({
        "number": one.number,
        "beganMs": one.began_ms,
        "durationMs": one.duration_ms,
        "address": one.address,
        "requestHeaders": one.request_headers,
        "status": one.status,
        "responseHeaders": one.response_headers,
        "responseBody": String::from_utf8_lossy(&one.response_body),
        "answer": one.answer,
        "timings": timings,
    })
}
