//! The fields that results of plans and of jobs share, in groups that keep their order
//! (bamboo-rest.md 5.2, fields 9 to 20).

use madake_domain::key::ResultKey;

use super::super::expand::Expand;
use super::super::node::Object;
use super::super::time;
use super::super::view::{ResultDetails, Slice, Status, TestCounts};
use super::RenderContext;
use super::collection::nested;
use super::part::{artifact, change, comment, issue, label, metadatum, revision};
use super::plan::Place;
use super::variable::named_variable;

/// When it ran and how long. A build that runs has no end: its duration is 0, its text `Unknown`.
pub(super) fn timing(details: &ResultDetails, ctx: &RenderContext) -> Object {
    let started_ms = details.started_ms;
    let is_over = !details.status.is_waiting() && details.status != Status::InProgress;
    let completed_ms = details.completed_ms.filter(|_| is_over);
    let duration_ms = match (started_ms, completed_ms) {
        (Some(started_ms), Some(completed_ms)) => Some(completed_ms.saturating_sub(started_ms).max(0)),
        _ => None,
    };
    Object::new()
        .optional_element("buildStartedTime", started_ms.map(|t| ctx.iso(t)))
        .optional_element("prettyBuildStartedTime", started_ms.map(|t| ctx.pretty(t)))
        .optional_element("buildCompletedTime", completed_ms.map(|t| ctx.iso(t)))
        .optional_element("buildCompletedDate", completed_ms.map(|t| ctx.iso(t)))
        .optional_element("prettyBuildCompletedTime", completed_ms.map(|t| ctx.pretty(t)))
        .element("buildDurationInSeconds", duration_ms.unwrap_or(0) / 1_000)
        .element("buildDuration", duration_ms.unwrap_or(0))
        .element(
            "buildDurationDescription",
            duration_ms.map_or_else(|| "Unknown".to_owned(), time::duration),
        )
        .element(
            "buildRelativeTime",
            completed_ms.map_or_else(String::new, |t| time::relative(t, ctx.now_ms)),
        )
}

/// Revisions that were built.
pub(super) fn revisions(details: &ResultDetails, expand: &Expand) -> Object {
    Object::new()
        .optional_element("vcsRevisionKey", details.revision.as_deref())
        .element(
            "vcsRevisions",
            nested(
                &details.revisions,
                "vcsRevision",
                expand,
                "vcsRevisions",
                |item, _| revision(item),
            ),
        )
}

/// Counts of tests, which only a build that ran to its end has, and the booleans.
pub(super) fn flags_and_tests(details: &ResultDetails) -> Object {
    let status = details.status;
    let has_summary = !status.is_waiting() && status != Status::InProgress;
    let counts = status.is_finished().then_some(details.tests);
    Object::new()
        .optional_element(
            "buildTestSummary",
            has_summary.then(|| test_summary(details.tests)),
        )
        .optional_element("successfulTestCount", counts.map(|c| c.successful))
        .optional_element("failedTestCount", counts.map(|c| c.failed))
        .optional_element("quarantinedTestCount", counts.map(|c| c.quarantined))
        .optional_element("skippedTestCount", counts.map(|c| c.skipped))
        .attribute("continuable", details.continuable)
        .attribute("onceOff", details.once_off)
        .attribute("restartable", status.is_restartable())
        .attribute("notRunYet", status.is_waiting() || status == Status::Untouched)
        .attribute("finished", status.is_finished())
        .attribute("successful", status == Status::Successful)
}

/// Why it ran, twice, and whether plan files were applied.
pub(super) fn reason(details: &ResultDetails, key: &ResultKey, ctx: &RenderContext) -> Object {
    let text = details.reason.html(key, &ctx.links);
    Object::new()
        .element("buildReason", text.as_str())
        .element("reasonSummary", text)
        .element("specsResult", details.specs_result)
}

/// Artifacts, comments, labels, issues and variables.
pub(super) fn background_collections(
    details: &ResultDetails,
    expand: &Expand,
    ctx: &RenderContext,
) -> Object {
    Object::new()
        .element(
            "artifacts",
            nested(&details.artifacts, "artifact", expand, "artifacts", |item, _| {
                artifact(item, ctx)
            }),
        )
        .element(
            "comments",
            nested(&details.comments, "comment", expand, "comments", |item, _| {
                comment(item, ctx)
            }),
        )
        .element(
            "labels",
            nested(&details.labels, "label", expand, "labels", |name, _| label(name)),
        )
        .element(
            "jiraIssues",
            nested(&details.issues, "issue", expand, "jiraIssues", |item, _| {
                issue(item)
            }),
        )
        .element(
            "variables",
            nested(&details.variables, "variable", expand, "variables", |item, _| {
                named_variable(item)
            }),
        )
}

/// Changes and metadata: always there on a result that stands alone, in lists only when asked for.
pub(super) fn change_collections(
    details: &ResultDetails,
    expand: &Expand,
    place: Place,
    ctx: &RenderContext,
) -> Object {
    let wanted = |name: &str| place == Place::Alone || expand.contains(name);
    let changes = || {
        nested(&details.changes, "change", expand, "changes", |item, below| {
            change(item, below, ctx)
        })
    };
    let metadata = || {
        let mut facts = details.metadata.items.clone();
        if let Some(started_ms) = details.started_ms {
            facts.insert(0, ("build.timeStamp".to_owned(), ctx.iso(started_ms)));
        }
        let facts: Slice<(String, String)> = facts.into();
        nested(&facts, "item", expand, "metadata", |item, _| metadatum(item))
    };
    Object::new()
        .optional_element("changes", wanted("changes").then(changes))
        .optional_element("metadata", wanted("metadata").then(metadata))
}

/// `13 passed`, `1 of 20 failed`, `No tests found`
fn test_summary(tests: TestCounts) -> String {
    let all = u64::from(tests.successful) + u64::from(tests.failed);
    match tests {
        TestCounts { failed: 1.., .. } => format!("{} of {all} failed", tests.failed),
        TestCounts { successful: 1.., .. } => format!("{} passed", tests.successful),
        _ => "No tests found".to_owned(),
    }
}
