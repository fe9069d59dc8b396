//! Plan branches (bamboo-rest.md 4).

use madake_domain::key::PlanKey;

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::{Document, Node, Object};
use super::super::paging::{Page, collection, list_document};
use super::super::view::{ActiveResult, BranchView};
use super::RenderContext;
use super::plan::short_plan;
use super::result::result_entry;

/// `GET /plan/{master}/branch`: the plan branches without the plan itself.
#[must_use]
pub fn branch_list(
    master: &PlanKey,
    page: &Page,
    branches: &[BranchView],
    total: usize,
    ctx: &RenderContext,
) -> Document {
    let below = ctx.expand.below("branches");
    let expand = below.contains("branch").then(|| below.below("branch"));
    let items = branches
        .iter()
        .map(|branch| branch_item(branch, expand, ctx).into())
        .collect();
    let href = ctx.links.rest(&[&"plan", master, &"branch"]);
    list_document("branches", href, collection(total, *page, "branch", items))
}

/// `GET /plan/{master}/branch/{name}`: one plan branch.
#[must_use]
pub fn branch_single(branch: &BranchView, ctx: &RenderContext) -> Document {
    Document::new("branch", branch_item(branch, Some(&ctx.expand), ctx))
}

/// Answer to `PUT /plan/{master}/branch/{name}`.
#[must_use]
pub fn branch_created(branch: &BranchView, ctx: &RenderContext) -> Document {
    let plan = &branch.plan;
    let body = Object::new()
        .attribute("description", branch.description.as_str())
        .attribute("shortName", plan.short_name.as_str())
        .attribute("shortKey", plan.key.short())
        .attribute("enabled", plan.enabled)
        .element("link", self_link(ctx.links.plan(&plan.key)))
        .attribute("key", plan.key.as_str())
        .attribute("name", plan.name());
    Document::new("branch", body)
}

/// `GET /plan/{plan}/vcsBranches`: names of the branches of the repository.
#[must_use]
pub fn vcs_branch_list(
    plan: &PlanKey,
    page: &Page,
    names: &[String],
    total: usize,
    ctx: &RenderContext,
) -> Document {
    let item = |name: &String| -> Node { Object::new().attribute("name", name).into() };
    let inner = collection(total, *page, "branch", names.iter().map(item).collect());
    list_document(
        "branches",
        ctx.links.rest(&[&"plan", plan, &"vcsBranches"]),
        inner,
    )
}

/// A plan branch in a list; `expand` is what is asked for below `branch`, if anything is.
pub(super) fn branch_item(branch: &BranchView, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    let plan = &branch.plan;
    let has_description = !branch.description.is_empty();
    let short = Object::new()
        .optional_attribute("expand", expand.map(|_| "latestResult,master"))
        .optional_attribute(
            "description",
            has_description.then_some(branch.description.as_str()),
        )
        .attribute("shortName", plan.short_name.as_str())
        .attribute("shortKey", plan.key.short())
        .attribute("enabled", plan.enabled)
        .element("link", self_link(ctx.links.plan(&plan.key)));
    let details = expand.map(|expand| {
        let wanted = expand
            .contains("latestResult")
            .then(|| expand.below("latestResult"));
        let latest = branch.latest_result.as_ref();
        Object::new()
            .element("isFavourite", branch.is_favourite)
            .optional_element(
                "latestResult",
                latest.map(|entry| result_entry(entry, wanted, ctx)),
            )
            .optional_element(
                "latestCurrentlyActive",
                branch.latest_active.as_ref().map(active_result),
            )
            .optional_element(
                "master",
                plan.master.as_deref().map(|master| short_plan(master, ctx)),
            )
    });
    short
        .and(details.unwrap_or_default())
        .element("workflowType", "manual")
        .attribute("key", plan.key.as_str())
        .attribute("name", plan.name())
}

fn active_result(active: &ActiveResult) -> Object {
    Object::new()
        .attribute("key", active.key.to_string())
        .attribute("lifeCycleState", active.status.life_cycle())
        .attribute("number", active.key.number)
}
