//! The build queue (bamboo-rest.md 6.1).

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::{Document, Object};
use super::super::paging::{Page, collection, named_list_document, unexpanded};
use super::super::view::{QueuedBuildView, QueuedKey};
use super::RenderContext;
use super::collection::nested;
use super::part::change;

/// Answer to `POST /queue/{plan}` and `PUT /queue/{plan}-{number}`.
#[must_use]
pub fn queued_build(build: &QueuedBuildView, ctx: &RenderContext) -> Document {
    Document::new("restQueuedBuild", queued_item(build, None, ctx))
}

/// `GET /queue`: only the size, unless `expand=queuedBuilds`.
#[must_use]
pub fn queue_list(page: &Page, builds: &[QueuedBuildView], total: usize, ctx: &RenderContext) -> Document {
    let inner = if ctx.expand.contains("queuedBuilds") {
        let below = ctx.expand.below("queuedBuilds");
        let expand = below.contains("queuedBuild").then(|| below.below("queuedBuild"));
        let items = builds
            .iter()
            .map(|build| queued_item(build, expand, ctx).into())
            .collect();
        collection(total, *page, "queuedBuild", items)
    } else {
        unexpanded(total)
    };
    named_list_document("queue", "queuedBuilds", ctx.links.rest(&[&"queue"]), inner)
}

fn queued_item(build: &QueuedBuildView, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    let (entity, number, key, href) = match &build.key {
        QueuedKey::Plan(key) => (
            key.plan.to_string(),
            key.number,
            key.to_string(),
            ctx.links.result(key),
        ),
        QueuedKey::Job(key) => (
            key.job.to_string(),
            key.number,
            key.to_string(),
            ctx.links.job_result(key),
        ),
    };
    let with_changes = expand.filter(|expand| expand.contains("changes"));
    Object::new()
        .attribute("planKey", entity)
        .attribute("buildNumber", number)
        .attribute("buildResultKey", key)
        .element("triggerReason", build.reason.trigger_reason())
        .element("link", self_link(href))
        .optional_element(
            "changes",
            with_changes.map(|expand| {
                nested(&build.changes, "change", expand, "changes", |item, below| {
                    change(item, below, ctx)
                })
            }),
        )
}
