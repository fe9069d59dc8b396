//! Variables of plans (bamboo-rest.md 3.3); `variable` is another name of `variables` (section 15).

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::key::PlanKey;

use super::super::error::ApiError;
use super::super::render;
use super::asked::Asked;
use super::{load, no_such_plan, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plan/{key}/variables`: a bare list.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let variables = load::read(&app, &visitor, move |loader| loader.variables_for(&key)).await?;
    Ok(asked.ok(render::plan_variables(&variables)))
}

/// `GET /plan/{key}/variables/{name}`
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let shown_key = key.clone();
    let variables = load::read(&app, &visitor, move |loader| loader.variables_for(&key)).await?;
    let found = variables.iter().find(|variable| variable.name == name);
    let found = found.ok_or_else(|| {
        let name = madake_domain::text::inert(&name, 80);
        refuse(ApiError::not_found(format!(
            "Variable {name} of plan {shown_key} not found."
        )))
    })?;
    Ok(asked.ok(render::plan_variable(found)))
}
