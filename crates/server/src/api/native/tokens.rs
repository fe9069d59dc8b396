//! Access tokens.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::key::ProjectKey;
use madake_domain::permission::Permission;
use madake_engine::ops::create_token::CreateToken;
use madake_store::user::Token;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, id, parse};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /tokens?user=`: one's own, or anybody's for administrators.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let owner = Parameters::from_query(query.as_deref())
        .text("user")
        .map(str::to_owned);
    let found = app.engine().list_tokens(&visitor.caller, owner).await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "tokens": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Create {
    user: String,
    name: Option<String>,
    #[serde(default)]
    permissions: Vec<String>,
    project: Option<String>,
    days_until_expiry: Option<u32>,
}

/// `POST /tokens`: the answer is the only time that the token is seen.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let permissions = new
        .permissions
        .iter()
        .map(|name| parse::<Permission>(name))
        .collect::<Result<Vec<_>, _>>()?;
    let project = match &new.project {
        Some(key) => Some(parse::<ProjectKey>(key)?.to_string()),
        None => None,
    };
    let asked = CreateToken {
        user: new.user,
        name: new.name.unwrap_or_else(|| "token".into()),
        permissions,
        project,
        days_until_expiry: new.days_until_expiry,
    };
    let (made, token) = app.engine().create_token(&visitor.caller, asked).await?;
    Ok((StatusCode::CREATED, Answer(json!({ "id": made, "token": token }))))
}

/// `DELETE /tokens/{id}`
pub(super) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().revoke_token(&visitor.caller, id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(token: &Token) -> Value {
    let permissions: Vec<&str> = token.limit.permissions.iter().map(|one| one.as_str()).collect();
    json!({
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "permissions": permissions,
        "project": token.limit.project,
        "createdMs": token.created_ms,
        "expiresMs": token.expires_ms,
        "revokedMs": token.revoked_ms,
    })
}
