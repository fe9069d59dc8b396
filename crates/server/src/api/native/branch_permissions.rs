//! Branch permissions: which branches of a hosted repository are protected.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use madake_domain::branch_permission::{BranchRule, Restriction};
use madake_engine::EngineError;
use madake_engine::ops::protect_branch::ProtectBranch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, invalid, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /branch-permissions?repository=`
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let name = named(&parameters, "repository")?;
    let rules = app.engine().branch_permissions(&visitor.caller, name).await?;
    let rows: Vec<Value> = rules.iter().map(view).collect();
    Ok(Answer(json!({ "branchPermissions": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    repository: String,
    pattern: String,
    restrictions: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// `POST /branch-permissions`: the rule for a pattern, in place of the one that there was for it.
pub(super) async fn keep(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<Keep>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let restrictions = asked
        .restrictions
        .iter()
        .map(|word| parse::<Restriction>(word))
        .collect::<Result<_, _>>()?;
    let rule = ProtectBranch {
        pattern: asked.pattern,
        restrictions,
        exempt_users: asked.users,
        exempt_groups: asked.groups,
    };
    let kept = app
        .engine()
        .protect_branch(&visitor.caller, &asked.repository, rule)
        .await?;
    Ok((StatusCode::CREATED, Answer(view(&kept))))
}

/// `DELETE /branch-permissions?repository=&pattern=`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let (name, pattern) = (named(&parameters, "repository")?, named(&parameters, "pattern")?);
    app.engine()
        .unprotect_branch(&visitor.caller, name, pattern)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, EngineError> {
    parameters
        .text(name)
        .ok_or_else(|| invalid(format!("`{name}` is needed")))
}

fn view(rule: &BranchRule) -> Value {
    json!({
        "id": rule.id,
        "pattern": rule.pattern.as_str(),
        "restrictions": rule.restrictions,
        "users": rule.exempt_users,
        "groups": rule.exempt_groups,
    })
}
