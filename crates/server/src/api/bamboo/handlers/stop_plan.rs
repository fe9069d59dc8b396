//! `POST /build/admin/stopPlan.action?planKey=`: stops all builds of a plan (bamboo-rest.md 11).
//!
//! The original redirects to the plan's page; clients that follow redirects would then fail on whatever that page
//! answers, so this says in one sentence what was done. Calls with a session cookie alone are stopped before they
//! come here.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use madake_domain::key::{EntityKey, PlanKey};

use super::super::error::ApiError;
use super::super::reason::escape_html;
use super::asked::AskedWithForm;
use super::{no_such_plan, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Stops all builds of a plan or plan branch.
pub(super) async fn stop_plan(
    State(app): State<App>,
    visitor: Visitor,
    AskedWithForm(asked): AskedWithForm,
) -> Result<Response, Failure> {
    let parameters = &asked.parameters;
    let text = ["planKey", "buildKey"]
        .iter()
        .find_map(|name| parameters.text(name));
    let text = text.ok_or_else(|| refuse(ApiError::invalid("Plan key not specified.")))?;
    let key: PlanKey = match text.parse() {
        Ok(EntityKey::Plan(key)) => key,
        _ => return Err(no_such_plan(text)),
    };
    let stopped = app.engine().stop_plan(&visitor.caller, &key).await?;
    let sentence = match stopped {
        0 => format!("No build of {key} was running."),
        1 => format!("One build of {key} was stopped."),
        many => format!("{many} builds of {key} were stopped."),
    };
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{key}</title></head><body><p>{}</p></body></html>\n",
        escape_html(&sentence)
    );
    Ok(Html(page).into_response())
}
