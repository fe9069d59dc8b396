//! Results of plans: lists, single ones, and the status of a running one (bamboo-rest.md 5.1, 5.2, 5.7).

use madake_domain::key::{JobResultKey, ResultKey};

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::{Document, Node, Object};
use super::super::paging::{Page, collection, list_document};
use super::super::view::{JobResultSummary, ResultEntry, ResultSummary, ResultView, StageResult, Status};
use super::RenderContext;
use super::details::{
    background_collections, change_collections, flags_and_tests, reason, revisions, timing,
};
use super::job_result::full_job_result;
use super::plan::{Place, full_plan, short_job, short_plan};
use super::progress::progress;
use super::stage::stages;

/// A list of results: `GET /result`, `/result/{project}`, `/result/{plan}`, `/result/byChangeset/{id}`, ...
///
/// `href` is the address of the list itself. Past the end the size is 0, which ends the loops of all clients
/// (bamboo-rest.md 1.7).
#[must_use]
pub fn result_list(
    page: &Page,
    entries: &[ResultEntry],
    total: usize,
    href: String,
    ctx: &RenderContext,
) -> Document {
    let below = ctx.expand.below("results");
    let expand = below.contains("result").then(|| below.below("result"));
    let items = entries
        .iter()
        .map(|entry| result_entry(entry, expand, ctx))
        .collect();
    let size = if page.start >= total { 0 } else { total };
    list_document("results", href, collection(size, *page, "result", items))
}

/// `GET /result/{plan}-{number}`
#[must_use]
pub fn result_single(result: &ResultView, ctx: &RenderContext) -> Document {
    Document::new("result", full_result(result, &ctx.expand, Place::Alone, ctx))
}

/// `GET /result/status/{plan}-{number}`; nothing as soon as the build is over, which is a 404.
#[must_use]
pub fn result_status(result: &ResultView, ctx: &RenderContext) -> Option<Document> {
    let details = &result.details;
    if !details.status.is_waiting() && details.status != Status::InProgress {
        return None;
    }
    let all = &result.stages.items;
    let running = all.iter().find(|stage| stage.status == Status::InProgress);
    let next = || all.iter().find(|stage: &&StageResult| stage.status.is_waiting());
    let current = running.or_else(next).map(|stage| stage.name.as_str());
    let body = Object::new()
        .attribute("expand", "stages")
        .attribute("key", result.key.to_string())
        .attribute("finished", false)
        .optional_element("currentStage", current)
        .element("stages", stages(&result.stages, &ctx.expand, ctx))
        .optional_element("progress", progress(details, ctx));
    Some(Document::new("status", body))
}

/// An item of a list: full when it was loaded in full and `expand`, what is asked for below `result`, is there.
pub(super) fn result_entry(entry: &ResultEntry, expand: Option<&Expand>, ctx: &RenderContext) -> Node {
    match (entry, expand) {
        (ResultEntry::FullPlan(result), Some(expand)) => {
            full_result(result, expand, Place::InList, ctx).into()
        }
        (ResultEntry::FullJob(result), Some(expand)) => full_job_result(None, result, expand, ctx).into(),
        (ResultEntry::FullPlan(result), None) => short_result(&summary(result), ctx).into(),
        (ResultEntry::FullJob(result), None) => {
            let summary = JobResultSummary {
                id: result.details.id,
                key: result.key.clone(),
                job: result.job.clone(),
                status: result.details.status,
            };
            short_job_result(&summary, ctx).into()
        }
        (ResultEntry::Plan(summary), _) => short_result(summary, ctx).into(),
        (ResultEntry::Job(summary), _) => short_job_result(summary, ctx).into(),
    }
}

/// Whose result it is, in the words that all shapes of results end with.
pub(super) struct Identity {
    key: String,
    entity: String,
    number: i64,
    href: String,
    status: Status,
    id: i64,
}

impl Identity {
    pub(super) fn of_plan(key: &ResultKey, id: i64, status: Status, ctx: &RenderContext) -> Self {
        Self {
            key: key.to_string(),
            entity: key.plan.to_string(),
            number: key.number,
            href: ctx.links.result(key),
            status,
            id,
        }
    }

    pub(super) fn of_job(key: &JobResultKey, id: i64, status: Status, ctx: &RenderContext) -> Self {
        Self {
            key: key.to_string(),
            entity: key.job.to_string(),
            number: key.number,
            href: ctx.links.job_result(key),
            status,
            id,
        }
    }

    pub(super) fn link(&self) -> Object {
        Object::new().element("link", self_link(self.href.clone()))
    }

    pub(super) fn head(&self) -> Object {
        Object::new()
            .element("buildResultKey", self.key.as_str())
            .attribute("lifeCycleState", self.status.life_cycle())
            .attribute("id", self.id)
    }

    pub(super) fn tail(&self) -> Object {
        let plan_result_key = Object::new()
            .element("key", self.key.as_str())
            .element("entityKey", Object::new().element("key", self.entity.as_str()))
            .element("resultNumber", self.number);
        Object::new()
            .attribute("key", self.key.as_str())
            .element("planResultKey", plan_result_key)
            .attribute("state", self.status.state())
            .element("buildState", self.status.state())
            .attribute("number", self.number)
            .element("buildNumber", self.number)
    }

    fn short(&self, plan: Object) -> Object {
        self.link()
            .element("plan", plan)
            .and(self.head())
            .and(self.tail())
    }
}

fn summary(result: &ResultView) -> ResultSummary {
    ResultSummary {
        id: result.details.id,
        key: result.key.clone(),
        plan: result.plan.clone(),
        status: result.details.status,
    }
}

fn short_result(summary: &ResultSummary, ctx: &RenderContext) -> Object {
    Identity::of_plan(&summary.key, summary.id, summary.status, ctx).short(short_plan(&summary.plan, ctx))
}

fn short_job_result(summary: &JobResultSummary, ctx: &RenderContext) -> Object {
    Identity::of_job(&summary.key, summary.id, summary.status, ctx).short(short_job(&summary.job, ctx))
}

fn full_result(view: &ResultView, expand: &Expand, place: Place, ctx: &RenderContext) -> Object {
    let details = &view.details;
    let identity = Identity::of_plan(&view.key, details.id, details.status, ctx);
    let plan = match &view.full_plan {
        Some(plan) if expand.contains("plan") => full_plan(plan, expand.below("plan"), Place::InList, ctx),
        _ => short_plan(&view.plan, ctx),
    };
    let master = view.plan.master.as_deref();
    Object::new()
        .attribute("expand", expandable(place, master.is_some()))
        .and(identity.link())
        .element("plan", plan)
        .optional_element("master", master.map(|master| short_plan(master, ctx)))
        .element("planName", view.plan.short_name.as_str())
        .element("projectName", view.plan.project_name.as_str())
        .and(identity.head())
        .and(timing(details, ctx))
        .and(revisions(details, expand))
        .and(flags_and_tests(details))
        .and(reason(details, &view.key, ctx))
        .and(background_collections(details, expand, ctx))
        .element("stages", stages(&view.stages, expand, ctx))
        .and(change_collections(details, expand, place, ctx))
        .optional_element("progress", progress(details, ctx))
        .and(identity.tail())
}

fn expandable(place: Place, is_branch: bool) -> String {
    let changes = match place {
        Place::Alone => "changes,metadata,",
        Place::InList => "",
    };
    let master = if is_branch { "master," } else { "" };
    format!("{changes}plan,{master}vcsRevisions,artifacts,comments,labels,jiraIssues,variables,stages")
}
