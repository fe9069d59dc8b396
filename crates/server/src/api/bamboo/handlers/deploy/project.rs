//! Deployment projects and the dashboard.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::{EntityKey, PlanKey};
use madake_engine::deploying::show::{self, ShownProject};
use serde_json::Value;

use super::super::super::error::ApiError;
use super::super::super::link::Links;
use super::super::super::node::{Document, List};
use super::super::super::paging::{MAX_SIZE, Page, start_limit_document};
use super::super::asked::Asked;
use super::super::{load, refuse};
use super::edit::json;
use super::shape::{self, Shapes};
use super::{JsonBody, id};
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
    let links = asked.context(&app).links;
    let statuses = load::read(&app, &visitor, move |loader| {
        let projects = show::projects(loader.tx, &loader.caller)?;
        let mut shapes = Shapes::new(loader, &links);
        projects
            .iter()
            .map(|one| shapes.on_dashboard(one))
            .collect::<Result<Vec<_>, _>>()
    })
    .await?;
    Ok(asked.ok(Document::new("dashboard", List::new("projectStatus", statuses))))
}

/// `GET /deploy/dashboard/{id}`: the same list with one project.
pub(super) async fn dashboard_of_one(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let (links, wanted) = (asked.context(&app).links, id(&text));
    let status = load::read(&app, &visitor, move |loader| {
        let found = show::project(loader.tx, &loader.caller, wanted)?;
        Shapes::new(loader, &links).on_dashboard(&found)
    })
    .await?;
    Ok(asked.ok(Document::new("dashboard", List::new("projectStatus", [status]))))
}

/// `GET /deploy/dashboard/paginate?filter=`: projects with their environments, those whose name has the text or whose id it
/// is.
pub(super) async fn dashboard_page(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let mut projects = shown(&app, &visitor).await?;
    if let Some(filter) = asked.parameters.text("filter") {
        let (text, number) = (filter.to_lowercase(), id(filter));
        projects.retain(|one| one.found.id == number || one.found.name.to_lowercase().contains(&text));
    }
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
        .map(|one| shape::project(one).into())
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

/// The ids in a body: `{"environmentIds": [1, 2]}`, or the list alone.
fn environment_ids(body: &Value) -> Option<Vec<i64>> {
    let list = match body {
        Value::Object(fields) => match fields.get("environmentIds").or_else(|| fields.get("ids")) {
            Some(list) => list,
            None => return Some(Vec::new()),
        },
        list => list,
    };
    let number = |one: &Value| one.as_i64().or_else(|| one.as_str()?.parse().ok());
    list.as_array()?.iter().map(number).collect()
}

/// `POST /deploy/dashboard/status`: a bare list of the environments that the caller may see with their newest deployments, in
/// the order of their projects; of those that the body names, or of all.
pub(super) async fn dashboard_status(
    State(app): State<App>,
    visitor: Visitor,
    JsonBody(body): JsonBody<Value>,
) -> Result<Response, Failure> {
    let wanted = environment_ids(&body?)
        .ok_or_else(|| refuse(ApiError::invalid("environmentIds lists the ids of environments")))?;
    let links = Links::new(app.base_url());
    let statuses = load::read(&app, &visitor, move |loader| {
        let projects = show::projects(loader.tx, &loader.caller)?;
        let mut shapes = Shapes::new(loader, &links);
        projects
            .iter()
            .flat_map(|project| &project.environments)
            .filter(|one| wanted.is_empty() || wanted.contains(&one.row.id))
            .map(|one| shapes.short_status(one))
            .collect::<Result<Vec<_>, _>>()
    })
    .await?;
    Ok(json(
        "environmentStatuses",
        List::new("environmentStatus", statuses),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::environment_ids;

    #[test]
    fn ids_of_environments_are_read_in_each_form() {
        for (body, ids) in [
            (json!({"environmentIds": [1, 2]}), Some(vec![1, 2])),
            (json!({"ids": ["3"]}), Some(vec![3])),
            (json!([4]), Some(vec![4])),
            (json!({}), Some(vec![])),
            (json!({"environmentIds": 1}), None),
            (json!({"environmentIds": ["x"]}), None),
            (json!(1), None),
        ] {
            assert_eq!(environment_ids(&body), ids, "{body}");
        }
    }
}
