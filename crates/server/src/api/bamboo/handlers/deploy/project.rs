//! Deployment projects and the dashboard.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::{EntityKey, PlanKey};
use madake_engine::deploying::show::{self, ShownProject};
use serde::Deserialize;

use super::super::super::error::ApiError;
use super::super::super::node::{Document, List};
use super::super::super::paging::{MAX_SIZE, Page, start_limit_document};
use super::super::asked::Asked;
use super::super::{load, refuse};
use super::edit::json;
use super::{JsonBody, id, shape};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

async fn shown(app: &App, visitor: &Visitor) -> Result<Vec<ShownProject>, Failure> {
    load::read(app, visitor, |loader| show::projects(loader.tx, &loader.caller)).await
}

async fn one(app: &App, visitor: &Visitor, text: &str) -> Result<ShownProject, Failure> {
    let wanted = id(text);
    load::read(app, visitor, move |loader| {
        show::project(loader.tx, &loader.caller, wanted)
    })
    .await
}

/// `GET /deploy/project/all`: a bare list.
pub(super) async fn all(State(app): State<App>, visitor: Visitor, asked: Asked) -> Result<Response, Failure> {
    let projects = shown(&app, &visitor).await?;
    let list = List::new("deploymentProject", projects.iter().map(shape::project));
    Ok(asked.ok(Document::new("deploymentProjects", list)))
}

/// `GET /deploy/project/{id}`
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = one(&app, &visitor, &text).await?;
    Ok(asked.ok(Document::new("deploymentProject", shape::project(&found))))
}

/// `GET /deploy/project/forPlan?planKey=`
pub(super) async fn for_plan(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let key: PlanKey = match asked.parameters.text("planKey").map(str::parse) {
        Some(Ok(EntityKey::Plan(key))) => key,
        _ => return Err(refuse(ApiError::invalid("Please provide a valid plan key"))),
    };
    let projects = shown(&app, &visitor).await?;
    let of_plan = projects.iter().filter(|one| one.found.plan == key);
    let list = List::new(
        "deploymentProject",
        of_plan.map(|one| shape::short_project(&one.found)),
    );
    Ok(asked.ok(Document::new("deploymentProjects", list)))
}

/// `DELETE /deploy/project/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().remove_deployment(&visitor.caller, id(&text)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /deploy/dashboard`: a bare list.
pub(super) async fn dashboard(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let projects = shown(&app, &visitor).await?;
    let list = List::new("projectStatus", projects.iter().map(shape::on_dashboard));
    Ok(asked.ok(Document::new("dashboard", list)))
}

/// `GET /deploy/dashboard/{id}`: the same list with one project.
pub(super) async fn dashboard_of_one(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = one(&app, &visitor, &text).await?;
    let list = List::new("projectStatus", [shape::on_dashboard(&found)]);
    Ok(asked.ok(Document::new("dashboard", list)))
}

/// `GET /deploy/dashboard/paginate`
pub(super) async fn dashboard_page(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let projects = shown(&app, &visitor).await?;
    Ok(a_page(
        &app,
        &asked,
        &projects,
        &[&"deploy", &"dashboard", &"paginate"],
    ))
}

/// `GET /deploy/dashboard/paginate/{id}`: the same with one project.
pub(super) async fn dashboard_page_of_one(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = one(&app, &visitor, &text).await?;
    let path: [&dyn std::fmt::Display; 4] = [&"deploy", &"dashboard", &"paginate", &found.found.id];
    Ok(a_page(&app, &asked, std::slice::from_ref(&found), &path))
}

fn a_page(app: &App, asked: &Asked, projects: &[ShownProject], path: &[&dyn std::fmt::Display]) -> Response {
    let page = Page::from_start_and_limit(&asked.parameters, MAX_SIZE);
    let items = projects
        .iter()
        .skip(page.start)
        .take(page.size)
        .map(|one| shape::on_dashboard(one).into())
        .collect();
    let href = asked.context(app).links.rest(path);
    asked.ok(start_limit_document(
        page,
        projects.len(),
        items,
        &href,
        &asked.parameters,
    ))
}

/// The environments whose status is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wanted {
    environment_ids: Vec<i64>,
}

/// `POST /deploy/dashboard/status`: a bare list of the environments that the caller may see, in the order of their
/// projects; of those that the body names, or of all.
pub(super) async fn dashboard_status(
    State(app): State<App>,
    visitor: Visitor,
    JsonBody(body): JsonBody<Wanted>,
) -> Result<Response, Failure> {
    let wanted = body?.environment_ids;
    let projects = shown(&app, &visitor).await?;
    let statuses = projects
        .iter()
        .flat_map(|project| &project.environments)
        .filter(|one| wanted.is_empty() || wanted.contains(&one.row.id))
        .map(shape::environment_status);
    let list = List::new("environmentStatus", statuses);
    Ok(json("environmentStatuses", list))
}
