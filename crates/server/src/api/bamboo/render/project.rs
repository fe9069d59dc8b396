//! Projects (bamboo-rest.md 2.2).

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::{Document, Node, Object};
use super::super::paging::{Page, collection, list_document};
use super::super::view::{ProjectRef, ProjectView};
use super::RenderContext;
use super::collection::{nested, nested_page};
use super::plan::plan_item;

/// `GET /project`: short projects; with `expand=projects.project` each has its plans.
#[must_use]
pub fn project_list(page: &Page, projects: &[ProjectView], total: usize, ctx: &RenderContext) -> Document {
    let below = ctx.expand.below("projects");
    let item = |view: &ProjectView| -> Node {
        if !below.contains("project") {
            return short_project(&view.project, ctx).into();
        }
        let plans = nested(
            &view.plans,
            "plan",
            below.below("project"),
            "plans",
            |plan, expand| plan_item(plan, expand, ctx),
        );
        with_plans(view, plans, ctx).into()
    };
    let inner = collection(total, *page, "project", projects.iter().map(item).collect());
    list_document("projects", ctx.links.rest(&[&"project"]), inner)
}

/// `GET /project/{key}`: the paging parameters of the request apply to its plans.
#[must_use]
pub fn project_single(page: &Page, view: &ProjectView, ctx: &RenderContext) -> Document {
    let plans = nested_page(
        &view.plans,
        *page,
        "plan",
        &ctx.expand,
        "plans",
        |plan, expand: Option<&Expand>| plan_item(plan, expand, ctx),
    );
    Document::new("project", with_plans(view, plans, ctx))
}

pub(super) fn short_project(project: &ProjectRef, ctx: &RenderContext) -> Object {
    Object::new()
        .attribute("id", project.id)
        .attribute("key", project.key.as_str())
        .attribute("name", project.name.as_str())
        .attribute("description", project.description.as_str())
        .element("link", self_link(ctx.links.project(&project.key)))
}

fn with_plans(view: &ProjectView, plans: Object, ctx: &RenderContext) -> Object {
    Object::new()
        .attribute("expand", "plans")
        .and(short_project(&view.project, ctx))
        .element("plans", plans)
}
