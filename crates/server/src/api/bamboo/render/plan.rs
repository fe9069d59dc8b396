//! Plans (bamboo-rest.md 3.1 and 3.2).

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::{Document, List, Node, Object};
use super::super::paging::{Page, collection, list_document};
use super::super::view::{JobRef, PlanRef, PlanView, Slice, StageDefinition, VariableView};
use super::RenderContext;
use super::branch::branch_item;
use super::collection::nested;
use super::project::short_project;
use super::variable::shown_value;

/// `GET /plan`: short plans, full ones with `expand=plans.plan`. `plans` are those of the page, `total` is
/// the number of all readable plans.
#[must_use]
pub fn plan_list(page: &Page, plans: &[PlanView], total: usize, ctx: &RenderContext) -> Document {
    let expand = plan_expand(&ctx.expand, "plans");
    let items = plans
        .iter()
        .map(|plan| plan_item(plan, expand, ctx).into())
        .collect();
    let inner = collection(total, *page, "plan", items);
    list_document("plans", ctx.links.rest(&[&"plan"]), inner)
}

/// `GET /plan/{key}`: a plan or plan branch in full.
#[must_use]
pub fn plan_single(plan: &PlanView, ctx: &RenderContext) -> Document {
    Document::new("plan", full_plan(plan, &ctx.expand, Place::Alone, ctx))
}

/// `GET /plan/{key}` of a job, which lists and results link to.
#[must_use]
pub fn job_single(job: &JobRef, ctx: &RenderContext) -> Document {
    Document::new("plan", short_job(job, ctx))
}

/// A plan in a list: full when its item name was expanded.
pub(super) fn plan_item(plan: &PlanView, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    match expand {
        Some(expand) => full_plan(plan, expand, Place::InList, ctx),
        None => short_plan(&plan.plan, ctx),
    }
}

/// What is expanded below `plan` in the collection `name`, if anything is.
pub(super) fn plan_expand<'e>(expand: &'e Expand, name: &str) -> Option<&'e Expand> {
    let below = expand.below(name);
    below.contains("plan").then(|| below.below("plan"))
}

/// A short plan; that of a plan branch begins with its master.
pub(super) fn short_plan(plan: &PlanRef, ctx: &RenderContext) -> Object {
    Object::new()
        .optional_element(
            "master",
            plan.master.as_deref().map(|master| short_plan(master, ctx)),
        )
        .attribute("id", plan.id)
        .attribute("shortName", plan.short_name.as_str())
        .attribute("shortKey", plan.key.short())
        .attribute("type", plan_type(plan))
        .attribute("enabled", plan.enabled)
        .element("link", self_link(ctx.links.plan(&plan.key)))
        .attribute("key", plan.key.as_str())
        .attribute("name", plan.name())
        .element("planKey", Object::new().element("key", plan.key.as_str()))
}

/// A job in the shape of a short plan.
pub(super) fn short_job(job: &JobRef, ctx: &RenderContext) -> Object {
    let key = job.key.to_string();
    Object::new()
        .attribute("id", job.id)
        .attribute("shortName", job.short_name.as_str())
        .attribute("shortKey", format!("{}-{}", job.key.plan.short(), job.key.job))
        .attribute("type", "job")
        .attribute("enabled", job.enabled)
        .element("link", self_link(ctx.links.rest(&[&"plan", &job.key])))
        .attribute("key", key.as_str())
        .attribute("name", job.name())
        .element("planKey", Object::new().element("key", key))
}

/// Only a plan that stands alone shows its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    InList,
}

pub(super) fn full_plan(view: &PlanView, expand: &Expand, place: Place, ctx: &RenderContext) -> Object {
    let plan = &view.plan;
    let alone = place == Place::Alone;
    let expandable = if alone {
        "actions,stages,branches,variableContext"
    } else {
        "actions,stages,branches"
    };
    let actions: Slice<Object> = Slice::default();
    Object::new()
        .attribute("expand", expandable)
        .optional_element(
            "master",
            plan.master.as_deref().map(|master| short_plan(master, ctx)),
        )
        .element("projectKey", view.project.key.as_str())
        .element("projectName", view.project.name.as_str())
        .element("project", short_project(&view.project, ctx))
        .element("description", view.description.as_str())
        .attribute("id", plan.id)
        .attribute("shortName", plan.short_name.as_str())
        .element("buildName", plan.short_name.as_str())
        .attribute("shortKey", plan.key.short())
        .attribute("type", plan_type(plan))
        .attribute("enabled", plan.enabled)
        .element("link", self_link(ctx.links.plan(&plan.key)))
        .element("isFavourite", view.is_favourite)
        .element("isActive", view.is_active)
        .element("isBuilding", view.is_building)
        .element("averageBuildTimeInSeconds", view.average_build_time_ms / 1_000)
        .element(
            "actions",
            nested(&actions, "action", expand, "actions", |action, _| action.clone()),
        )
        .element(
            "stages",
            nested(&view.stages, "stage", expand, "stages", |stage, below| {
                stage_definition(stage, below, ctx)
            }),
        )
        .element(
            "branches",
            nested(&view.branches, "branch", expand, "branches", |branch, below| {
                branch_item(branch, below, ctx)
            }),
        )
        .optional_element(
            "variableContext",
            alone.then(|| variable_context(&view.variables, expand)),
        )
        .attribute("key", plan.key.as_str())
        .attribute("name", plan.name())
        .element("planKey", Object::new().element("key", plan.key.as_str()))
}

fn stage_definition(stage: &StageDefinition, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    let expand = expand.unwrap_or(Expand::nothing());
    Object::new()
        .attribute("name", stage.name.as_str())
        .attribute("description", stage.description.as_str())
        .attribute("manual", stage.manual)
        .attribute("expand", "plans")
        .element(
            "plans",
            nested(&stage.jobs, "plan", expand, "plans", |job, _| short_job(job, ctx)),
        )
}

/// The odd one out: its page size is called `max-results`, and it has no `start-index`.
fn variable_context(variables: &Slice<VariableView>, expand: &Expand) -> Object {
    let counted = Object::new()
        .attribute("size", variables.total)
        .attribute("max-results", variables.total);
    if !expand.contains("variableContext") {
        return counted;
    }
    let items = variables.items.iter().map(|variable| -> Node {
        Object::new()
            .element("key", variable.name.as_str())
            .element("value", shown_value(variable))
            .element("variableType", variable.kind)
            .element("isPassword", variable.is_password)
            .into()
    });
    counted.element("variable", List::new("variable", items))
}

fn plan_type(plan: &PlanRef) -> &'static str {
    if plan.master.is_some() {
        "chain_branch"
    } else {
        "chain"
    }
}
