//! Plans (bamboo-rest.md 3).

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use madake_domain::key::{EntityKey, PlanKey};
use madake_store::label;

use super::super::render;
use super::asked::Asked;
use super::{load, no_such_plan};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plan`: the plans that the caller may read.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let (views, window, total, asked) = load::read(&app, &visitor, move |loader| {
        // No plan has coverage by Clover: asking for those alone finds nothing.
        let mut plans = if asked.parameters.flag("cloverEnabled") {
            Vec::new()
        } else {
            loader.readable_plans()?
        };
        if asked.parameters.flag("favourite") {
            plans = loader.keep_favourites(plans)?;
        }
        let total = plans.len();
        let window = asked.window("plans", "plan", total);
        let below = asked.expand.below("plans");
        let full = below.contains("plan").then(|| below.below("plan"));
        let mut views = Vec::new();
        for plan in window.cut(plans) {
            views.push(loader.master_view(&plan, full)?);
        }
        Ok((views, window, total, asked))
    })
    .await?;
    Ok(asked.ok(render::plan_list(&window.page, &views, total, &ctx)))
}

/// `GET /plan/{key}` of a plan, a plan branch or a job.
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    show(&app, &visitor, &key, &asked).await
}

/// `GET /plan/{project}/{plan}`
pub(super) async fn single_in_two_parts(
    State(app): State<App>,
    visitor: Visitor,
    Path((project, plan)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    show(&app, &visitor, &format!("{project}-{plan}"), &asked).await
}

async fn show(app: &App, visitor: &Visitor, key: &str, asked: &Asked) -> Result<Response, Failure> {
    let ctx = asked.context(app);
    let expand = asked.expand.clone();
    let document = match key.parse() {
        Ok(EntityKey::Plan(key)) => {
            let view = load::read(app, visitor, move |loader| {
                let (_, branch) = loader.plan_for(&key)?;
                loader.plan_view(&branch, &expand)
            })
            .await?;
            render::plan_single(&view, &ctx)
        }
        Ok(EntityKey::Job(key)) => {
            let view = load::read(app, visitor, move |loader| loader.job_for(&key)).await?;
            render::job_single(&view, &ctx)
        }
        _ => return Err(no_such_plan(key)),
    };
    Ok(asked.ok(document))
}

/// `POST /plan/{key}/enable`
pub(super) async fn enable(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    set_enabled(&app, &visitor, &key, true).await
}

/// `DELETE /plan/{key}/enable`
pub(super) async fn disable(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    set_enabled(&app, &visitor, &key, false).await
}

async fn set_enabled(app: &App, visitor: &Visitor, key: &str, enabled: bool) -> Result<StatusCode, Failure> {
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(key))?;
    app.engine().enable_plan(&visitor.caller, &key, enabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /plan/{key}/label`: the labels that the plan gives its results.
pub(super) async fn labels(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let href = ctx.links.rest(&[&"plan", &key, &"label"]);
    let labels = load::read(&app, &visitor, move |loader| {
        let (plan, branch) = loader.plan_for(&key)?;
        match &loader.configuration_of(&branch)?.labels {
            Some(own) if !branch.is_master => Ok(own.clone()),
            _ => Ok(label::of_plan(loader.tx, plan.id)?),
        }
    })
    .await?;
    let total = labels.len();
    let window = asked.window("labels", "label", total);
    Ok(asked.ok(render::label_list(&window.page, &window.cut(labels), total, href)))
}
