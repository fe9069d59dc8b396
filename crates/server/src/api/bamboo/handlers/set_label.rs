//! Labels that people give to results and plans, and take away (bamboo-rest.md 3.3, 5.5).

use axum::extract::{Path, State};
use http::StatusCode;
use madake_domain::key::PlanKey;

use super::fields::Fields;
use super::no_such_plan;
use super::result::to_change;
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `POST /result/{key}/label`: 204, also when the result had the label.
pub(super) async fn label_result(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let name = fields.need("name")?;
    let key = to_change(&app, &visitor, &key).await?.to_string();
    app.engine().label_result(&visitor.caller, &key, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /result/{key}/label/{name}`: 204.
pub(super) async fn unlabel_result(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let key = to_change(&app, &visitor, &key).await?.to_string();
    app.engine().unlabel_result(&visitor.caller, &key, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /plan/{key}/label`: 204, also when the plan had the label.
pub(super) async fn label_plan(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let name = fields.need("name")?;
    app.engine().label_plan(&visitor.caller, &key, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /plan/{key}/label/{name}`: 204.
pub(super) async fn unlabel_plan(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    app.engine().unlabel_plan(&visitor.caller, &key, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
