//! Favourites: the plans that a user watches (bamboo-rest.md 3.2).

use axum::extract::{Path, State};
use http::StatusCode;
use madake_domain::key::PlanKey;

use super::no_such_plan;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `POST /plan/{key}/favourite`
pub(super) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    set(&app, &visitor, &key, true).await
}

/// `DELETE /plan/{key}/favourite`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    set(&app, &visitor, &key, false).await
}

async fn set(app: &App, visitor: &Visitor, key: &str, watches: bool) -> Result<StatusCode, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(key))?;
    app.engine()
        .watch_plan(&visitor.caller, &key, None, watches)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
