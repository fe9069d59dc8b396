//! Projects (bamboo-rest.md 2.2).

use std::rc::Rc;

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::key::ProjectKey;
use madake_store::plan::Plan;

use super::super::error::ApiError;
use super::super::expand::Expand;
use super::super::paging::{MAX_SIZE, Page};
use super::super::render;
use super::super::view::ProjectRef;
use super::asked::{Asked, Window};
use super::{load, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /project`: the projects with a plan that the caller may read; with `showEmpty` also those without plans
/// that the caller may read as such.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let show_empty = asked.parameters.flag("showEmpty");
    let expand = asked.expand.clone();
    let (views, window, total, asked) = load::read(&app, &visitor, move |loader| {
        let mut shown: Vec<(ProjectRef, Vec<Rc<Plan>>)> = Vec::new();
        for project in loader.projects()? {
            let plans = loader.readable_plans_of(project.id)?;
            if !plans.is_empty() || (show_empty && loader.may_read_project(&project.key)?) {
                shown.push((project, plans));
            }
        }
        let total = shown.len();
        let window = asked.window("projects", "project", total);
        let below = expand.below("projects.project");
        let full = plan_expand(below);
        let mut views = Vec::new();
        for (project, plans) in window.cut(shown) {
            let loaded = if below.contains("plans") {
                0..plans.len()
            } else {
                0..0
            };
            views.push(loader.project_view(project, &plans, loaded, full)?);
        }
        Ok((views, window, total, asked))
    })
    .await?;
    Ok(asked.ok(render::project_list(&window.page, &views, total, &ctx)))
}

/// `GET /project/{key}`: the paging parameters apply to its plans.
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: ProjectKey = key
        .parse()
        .map_err(|_| refuse(ApiError::project_not_found(&madake_domain::text::inert(&key, 80))))?;
    let page = Page::from_parameters(&asked.parameters, MAX_SIZE);
    let expand = asked.expand.clone();
    let view = load::read(&app, &visitor, move |loader| {
        let (project, plans) = loader.project_for(&key)?;
        let window = Window::new(page, expand.range("plans"), plans.len(), MAX_SIZE);
        let loaded = if expand.contains("plans") {
            window.items
        } else {
            0..0
        };
        loader.project_view(project, &plans, loaded, plan_expand(&expand))
    })
    .await?;
    Ok(asked.ok(render::project_single(&page, &view, &ctx)))
}

/// What is asked for below the plans of a project, if they are to be full.
fn plan_expand(expand: &Expand) -> Option<&Expand> {
    let below = expand.below("plans");
    below.contains("plan").then(|| below.below("plan"))
}
