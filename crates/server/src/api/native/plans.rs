//! Plans: a short list, why they were built or not, and the trigger that looks for changes.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::access::{Target, may};
use madake_store::build_query::{self, Filter};
use madake_store::plan;
use serde_json::{Value, json};

use super::body::{Json, Nothing, id, parse};
use super::events;
use crate::App;
use crate::api::bamboo::error::ApiError;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plans`: those that the caller may read.
pub(super) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let rows = app
        .engine()
        .store()
        .read(move |tx| {
            let mut rows = Vec::new();
            for one in plan::all(tx)? {
                if !may(tx, &visitor.caller, Permission::Read, Target::Plan(&one.key))? {
                    continue;
                }
                let branches = plan::branches(tx, one.id)?;
                let any = Filter {
                    include_all_states: true,
                    ..Filter::default()
                };
                let latest = match branches.iter().find(|branch| branch.is_master) {
                    Some(master) => build_query::latest(tx, master.id, &any)?,
                    None => None,
                };
                let repositories: Vec<String> = plan::repositories(tx, one.id)?
                    .into_iter()
                    .map(|row| row.name)
                    .collect();
                rows.push(json!({
                    "key": one.key.to_string(),
                    "name": one.name,
                    "enabled": one.enabled,
                    "repositories": repositories,
                    "branches": branches.len().saturating_sub(1),
                    "latest": latest.map(|build| {
                        let summary = build.schedule.summary();
                        json!({
                            "key": build.key,
                            "lifeCycleState": summary.life_cycle.as_str(),
                            "state": summary.state.as_str(),
                        })
                    }),
                }));
            }
            Ok::<_, EngineError>(rows)
        })
        .await?;
    Ok(Answer(json!({ "plans": rows })))
}

/// `GET /plans/{key}/why?revision=&limit=`: the newest decisions about a plan or plan branch.
pub(super) async fn why(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let parameters = Parameters::from_query(query.as_deref());
    let revision = parameters.text("revision").map(str::to_lowercase);
    let limit = match parameters.text("limit") {
        Some(text) => id(text)?.clamp(1, 200),
        None => 5,
    };
    let explained = app
        .engine()
        .explain_plan(&visitor.caller, &key, revision, limit)
        .await?;
    let shown = app.engine().show_plan(&visitor.caller, &key).await?;
    let came_of_it = events::came_of(&app, &mut explained.iter().map(|(decision, ..)| decision)).await?;
    let rows: Vec<Value> = explained
        .iter()
        .map(|(decision, event, notes)| {
            let mut row = events::decision_view(decision);
            row["event"] = events::view(event);
            row["event"]["notes"] = events::notes_view(notes);
            row
        })
        .collect();
    Ok(Answer(json!({
        "plan": key.to_string(), "decisions": rows, "builds": came_of_it,
        "conflicts": super::plan_owner::open_claims(&shown),
    })))
}

/// `GET /plans/{key}/specs`: the version in force as a plan file, secrets covered.
pub(super) async fn specs(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Answer<Value>, Failure> {
    let key: PlanKey = parse(&key)?;
    let text = app.engine().export_plan(&visitor.caller, &key).await?;
    Ok(Answer(json!({ "plan": key.to_string(), "text": text })))
}

/// `POST /plans/{key}/trigger?skipBranches=`: looks for changes, as the remote trigger does. 202 once it is stored.
pub(super) async fn trigger(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    Json(Nothing {}): Json<Nothing>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let key: PlanKey = parse(&key)?;
    let skip_branches = Parameters::from_query(query.as_deref()).flag("skipBranches");
    let triggered = app
        .engine()
        .trigger_remotely(&visitor.caller, &key, skip_branches, visitor.address)
        .await
        .map_err(|error| match error {
            EngineError::Conflict(sentence) => Failure::traced(
                ApiError::forbidden(sentence.clone()),
                format!("plan {key}"),
                sentence,
            ),
            other => other.into(),
        })?;
    let answer = json!({ "event": triggered.event_id, "planName": triggered.plan_name });
    Ok((StatusCode::ACCEPTED, Answer(answer)))
}
