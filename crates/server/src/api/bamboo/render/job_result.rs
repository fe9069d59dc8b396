//! Results of jobs: times of queue and checkout, tests, log (bamboo-rest.md 5.4, 5.8).

use madake_domain::key::ResultKey;

use super::super::expand::Expand;
use super::super::link::link;
use super::super::node::{Document, List, Object};
use super::super::paging::{DEFAULT_SIZE, Page};
use super::super::time;
use super::super::view::{JobResultView, LogLine, Span};
use super::RenderContext;
use super::collection::nested_page;
use super::details::{
    background_collections, change_collections, flags_and_tests, reason, revisions, timing,
};
use super::plan::{Place, short_job};
use super::progress::progress;
use super::result::Identity;
use super::test_results::test_results;

/// `GET /result/{job}-{number}`. The paging parameters of the request apply to the lines of the log, unless
/// `expand=logEntries[from:to]` has a range.
#[must_use]
pub fn job_result_single(log_page: &Page, result: &JobResultView, ctx: &RenderContext) -> Document {
    Document::new(
        "result",
        full_job_result(Some(*log_page), result, &ctx.expand, ctx),
    )
}

/// With a page for the log when the result stands alone, without one as an item of a list.
pub(super) fn full_job_result(
    log_page: Option<Page>,
    view: &JobResultView,
    expand: &Expand,
    ctx: &RenderContext,
) -> Object {
    let details = &view.details;
    let identity = Identity::of_job(&view.key, details.id, details.status, ctx);
    let plan_result = ResultKey {
        plan: view.key.job.plan.clone(),
        number: view.key.number,
    };
    let parent = link(ctx.links.result(&plan_result), "parent");
    let was_executed = details.started_ms.is_some();
    let first_page = Page {
        start: 0,
        size: DEFAULT_SIZE,
    };
    let log = || {
        let page = log_page.unwrap_or(first_page);
        nested_page(&view.log, page, "logEntry", expand, "logEntries", |line, _| {
            log_entry(line, ctx)
        })
    };
    let log_files = List::new("logFile", [ctx.links.log_file(&view.key)]);
    Object::new()
        .attribute("expand", expandable(was_executed))
        .and(identity.link())
        .element("parent", parent)
        .element("plan", short_job(&view.job, ctx))
        .element("planName", view.job.short_name.as_str())
        .element("projectName", view.job.plan.project_name.as_str())
        .and(identity.head())
        .and(queue_times(view.queue, ctx))
        .and(vcs_update_times(view.vcs_update, ctx))
        .and(timing(details, ctx))
        .and(revisions(details, expand))
        .and(flags_and_tests(details))
        .and(reason(details, &plan_result, ctx))
        .element("stage", view.stage.as_str())
        .optional_element(
            "hasExecutableAgents",
            view.has_executable_agents.filter(|_| !was_executed),
        )
        .and(background_collections(details, expand, ctx))
        .and(change_collections(details, expand, Place::Alone, ctx))
        .optional_element(
            "testResults",
            was_executed.then(|| test_results(&view.test_results, expand)),
        )
        .optional_element("logEntries", expand.contains("logEntries").then(log))
        .element("logFiles", log_files)
        .optional_element("progress", progress(details, ctx))
        .and(identity.tail())
}

fn expandable(was_executed: bool) -> &'static str {
    if was_executed {
        "changes,testResults,metadata,logEntries,plan,vcsRevisions,artifacts,comments,labels,jiraIssues,variables,logFiles"
    } else {
        "changes,metadata,plan,vcsRevisions,jiraIssues,variables,logFiles"
    }
}

fn queue_times(span: Option<Span>, ctx: &RenderContext) -> Object {
    let Some(Span {
        started_ms,
        duration_ms,
    }) = span
    else {
        return Object::new();
    };
    Object::new()
        .element("queueStartedTime", ctx.iso(started_ms))
        .element("prettyQueueStartedTime", ctx.pretty(started_ms))
        .element("queueDuration", duration_ms)
        .element("queueTimeInSeconds", duration_ms / 1_000)
        .element("prettyQueueDuration", time::short_duration(duration_ms))
}

fn vcs_update_times(span: Option<Span>, ctx: &RenderContext) -> Object {
    let Some(Span {
        started_ms,
        duration_ms,
    }) = span
    else {
        return Object::new();
    };
    Object::new()
        .element("vcsUpdateStartedTime", ctx.iso(started_ms))
        .element("prettyVcsUpdateStartedTime", ctx.pretty(started_ms))
        .element("vcsUpdateDuration", duration_ms)
        .element("vcsUpdateInSeconds", duration_ms / 1_000)
        .element("prettyVcsUpdateDuration", time::short_duration(duration_ms))
}

/// `log` is HTML, `unstyledLog` the text itself.
#[must_use]
pub fn log_entry(line: &LogLine, ctx: &RenderContext) -> Object {
    Object::new()
        .element("log", html_text(&line.text))
        .element("unstyledLog", line.text.as_str())
        .element("date", line.time_ms)
        .element("formattedDate", time::log_date(line.time_ms, &ctx.zone))
        .optional_element("cssStyle", line.is_error.then_some("errorOutputLog"))
}

/// Quotes stay readable: the text only ever stands between tags.
fn html_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
