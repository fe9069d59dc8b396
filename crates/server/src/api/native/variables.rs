//! Variables that people set: of the server, of projects, of plans. Values of secrets are never given.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_engine::EngineError;
use madake_engine::ops::keep_variable::NewVariable;
use madake_store::variable::{StoredValue, StoredVariable, VariableScope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, set_answer};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /variables?project=&plan=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let scope = scope(parameters.text("project"), parameters.text("plan"))?;
    let variables = app.engine().list_variables(&visitor.caller, scope).await?;
    let rows: Vec<Value> = variables.iter().map(view).collect();
    Ok(Answer(json!({ "variables": rows })))
}

/// `GET /variables/missing`: secrets that are still to be entered, of all plans whose variables the caller may set.
pub(super) async fn missing(State(app): State<App>, visitor: Visitor) -> Result<Answer<Value>, Failure> {
    let missing = app.engine().list_missing_secrets(&visitor.caller).await?;
    let rows: Vec<Value> = missing
        .iter()
        .map(|one| {
            json!({
                "plan": one.plan.to_string(),
                "name": one.name,
                "wantedBy": one.wanted_by,
                "command": one.command,
            })
        })
        .collect();
    Ok(Answer(json!({ "missing": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    project: Option<String>,
    plan: Option<String>,
    name: String,
    value: String,
    secret: Option<bool>,
}

/// `PUT /variables`: sets one.
pub(super) async fn set(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Set>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let scope = scope(asked.project.as_deref(), asked.plan.as_deref())?;
    let new = NewVariable {
        name: asked.name,
        value: asked.value,
        secret: asked.secret,
        for_coming_plan: true,
    };
    let set = app.engine().set_variable(&visitor.caller, scope, new).await?;
    Ok(set_answer(
        view(&set.variable),
        set.warning.as_deref(),
        set.is_new,
    ))
}

/// `DELETE /variables?project=&plan=&name=`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let scope = scope(parameters.text("project"), parameters.text("plan"))?;
    let name = parameters
        .text("name")
        .ok_or_else(|| invalid("`name` says which variable"))?;
    app.engine().remove_variable(&visitor.caller, scope, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn scope(project: Option<&str>, plan: Option<&str>) -> Result<VariableScope, EngineError> {
    match (project, plan) {
        (None, None) => Ok(VariableScope::Global),
        (Some(key), None) => Ok(VariableScope::Project(key.to_uppercase())),
        (None, Some(key)) => Ok(VariableScope::Plan(key.to_uppercase())),
        (Some(_), Some(_)) => Err(invalid("give `project` or `plan`, not both")),
    }
}

fn view(one: &StoredVariable) -> Value {
    json!({
        "id": one.id,
        "name": one.name,
        "value": match &one.value {
            StoredValue::Plain(text) => Some(text),
            StoredValue::Sealed(_) => None,
        },
        "secret": one.is_secret(),
        "changedBy": one.changed_by,
        "changedMs": one.changed_ms,
    })
}
