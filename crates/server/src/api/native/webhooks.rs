//! Addresses at which other forges tell us of pushes.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_domain::permission::Permission;
use madake_store::webhook;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, id, invalid};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /webhooks?repository=`, or without it those that serve all linked repositories: addresses are not shown again,
/// only what they are for.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let rows = match parameters.text("repository") {
        Some(name) => {
            let found = app
                .engine()
                .repository_for(&visitor.caller, name, Permission::Administration)
                .await?;
            app.engine()
                .store()
                .read(move |tx| webhook::of_repository(tx, found.id))
                .await?
        }
        None => app.engine().webhooks_of_all(&visitor.caller).await?,
    };
    let rows: Vec<Value> = rows
        .iter()
        .map(|one| json!({ "id": one.id, "description": one.description, "signed": one.secret.is_some() }))
        .collect();
    Ok(Answer(json!({ "webhooks": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    repository: Option<String>,
    #[serde(default)]
    all: bool,
    secret: Option<String>,
    #[serde(default)]
    description: String,
}

/// `POST /webhooks`: the answer is the only time that the address is seen.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Create>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    if new.repository.is_some() == new.all {
        return Err(invalid("give either `repository`, or `all` as true for all linked repositories").into());
    }
    let signed = new.secret.is_some();
    let made = app
        .engine()
        .create_webhook(
            &visitor.caller,
            new.repository.as_deref(),
            new.secret,
            &new.description,
        )
        .await?;
    let answer = json!({
        "id": made.id,
        "repository": made.repository,
        "url": format!("{}/intake/{}", app.base_url(), made.token),
        "signed": signed,
    });
    Ok((StatusCode::CREATED, Answer(answer)))
}

/// `DELETE /webhooks/{id}`
pub(super) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().revoke_webhook(&visitor.caller, id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
