//! The ledger: what arrived, what was decided and by which rules, and what came of it.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use madake_engine::EngineError;
use madake_engine::ops::explain::{EventDelivery, ExplainedDecision};
use madake_store::build;
use madake_store::event::{Content, Event, Note, RefUpdate};
use serde_json::{Value, json};

use super::body::{id, invalid, plain};
use super::builds;
use super::receivers::delivery_view;
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /events?state=&before=&limit=`: the newest that the caller may see.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let state = parameters.text("state").map(str::to_owned);
    if let Some(state) = &state
        && !["received", "processed", "duplicate", "refused"].contains(&state.as_str())
    {
        return Err(invalid("`state` is `received`, `processed`, `duplicate` or `refused`").into());
    }
    let before = match parameters.text("before") {
        Some(text) => id(text)?,
        None => i64::MAX,
    };
    let limit = match parameters.text("limit") {
        Some(text) => id(text)?.clamp(1, 1000),
        None => 25,
    };
    let found = app
        .engine()
        .list_events(&visitor.caller, before, state, limit)
        .await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "events": rows })))
}

/// `GET /events/{id}`: one entry with its notes, decisions, rules and builds.
pub(super) async fn explain(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let explained = app.engine().explain_event(&visitor.caller, id(&text)?).await?;
    let came_of_it = came_of(&app, &mut explained.decisions.iter()).await?;
    let mut answer = view(&explained.event);
    answer["repository"] = json!(explained.repository);
    answer["rawBytes"] = json!(explained.raw_bytes);
    answer["notes"] = notes_view(&explained.notes);
    answer["decisions"] = explained.decisions.iter().map(decision_view).collect();
    answer["builds"] = json!(came_of_it);
    answer["deliveries"] = explained.deliveries.iter().map(told_view).collect();
    Ok(Answer(answer))
}

/// The lines that were added to an entry.
pub(super) fn notes_view(notes: &[Note]) -> Value {
    notes
        .iter()
        .map(|note| json!({ "atMs": note.at_ms, "level": note.level, "text": note.text }))
        .collect()
}

/// What became of telling one receiver.
fn told_view(told: &EventDelivery) -> Value {
    let mut view = delivery_view(&told.delivery);
    view["receiverName"] = json!(told.name);
    view["profile"] = json!(told.profile);
    view["url"] = json!(told.url);
    view
}

/// The builds that came of decisions, as lists show them.
pub(super) async fn came_of(
    app: &App,
    decisions: &mut (dyn Iterator<Item = &ExplainedDecision> + Send),
) -> Result<Vec<Value>, EngineError> {
    let keys: Vec<String> = decisions
        .filter_map(|decision| decision.build_key.clone())
        .collect();
    app.engine()
        .store()
        .read(move |tx| {
            let mut views = Vec::new();
            for key in keys {
                if let Some(found) = build::by_key(tx, &key)? {
                    views.push(builds::short_view(&found));
                }
            }
            Ok(views)
        })
        .await
}

/// `GET /events/{id}/raw`: the bytes as they came.
pub(super) async fn raw(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<Response, Failure> {
    let bytes = app.engine().event_bytes(&visitor.caller, id(&text)?).await?;
    if bytes.is_empty() {
        return Err(plain(StatusCode::NOT_FOUND, "this event came without a body"));
    }
    // Bytes of strangers are never shown by a browser as what they claim to be.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, bytes).into_response())
}

/// An entry without what belongs to it.
pub(super) fn view(event: &Event) -> Value {
    json!({
        "id": event.id,
        "kind": event.kind,
        "receivedMs": event.received_ms,
        "processedMs": event.processed_ms,
        "principal": event.principal,
        "address": event.address,
        "deliveryId": event.delivery_id,
        "plan": event.plan_key,
        "summary": event.summary,
        "state": event.state,
        "reason": event.reason,
        "status": event.status,
        "duplicateOf": event.duplicate_of,
        "repeats": event.repeats,
        "content": content_view(&event.content),
    })
}

fn content_view(content: &Content) -> Value {
    let moved = |update: &RefUpdate| json!({ "ref": update.name, "old": update.old, "new": update.new });
    match content {
        Content::Push {
            updates,
            pusher,
            options,
            via,
        } => json!({
            "type": "push",
            "via": via,
            "pusher": pusher,
            "refs": updates.iter().map(moved).collect::<Vec<_>>(),
            "options": options,
        }),
        Content::RemoteTrigger {
            plan_key,
            skip_branches,
        } => json!({ "type": "remote-trigger", "plan": plan_key, "skipBranches": skip_branches }),
        Content::Poll { .. } => json!({ "type": "poll" }),
        Content::Parent { target, build, .. } => {
            json!({ "type": "parent", "plan": target, "build": build })
        }
        Content::Cron {
            expression, branch, ..
        } => json!({ "type": "cron", "expression": expression, "branch": branch }),
        Content::Deployment {
            target,
            project,
            environment,
            release,
            ..
        } => json!({
            "type": "deployment", "plan": target, "project": project, "environment": environment, "release": release,
        }),
        Content::PullRequest { told } => json!({
            "type": "pull-request", "number": told.number, "open": told.open, "fromFork": told.from_fork,
            "sourceBranch": told.source_branch, "targetBranch": told.target_branch, "author": told.author,
        }),
        Content::Request { request } => json!({ "type": "request", "request": request }),
        Content::Refused => json!({ "type": "refused" }),
    }
}

/// A decision with its rules.
pub(super) fn decision_view(explained: &ExplainedDecision) -> Value {
    let decision = &explained.decision;
    let rules: Value = serde_json::from_str(&decision.rules).unwrap_or(Value::Null);
    json!({
        "plan": decision.plan_key,
        "ref": (!decision.ref_name.is_empty()).then_some(&decision.ref_name),
        "revision": decision.revision,
        "build": decision.build,
        "code": decision.code,
        "sentence": decision.sentence,
        "rules": rules,
        "buildKey": explained.build_key,
        "outcome": decision.outcome,
        "decidedMs": decision.decided_ms,
    })
}
