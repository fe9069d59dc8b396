//! Stages of a result (bamboo-rest.md 5.3).

use super::super::expand::Expand;
use super::super::node::Object;
use super::super::view::{Slice, StageResult, Status};
use super::RenderContext;
use super::collection::nested;
use super::result::result_entry;
use madake_domain::text::counted;

/// The `stages` of a result: counted, listed with `stages`, with jobs in full with
/// `stages.stage.results.result`.
pub(super) fn stages(stages: &Slice<StageResult>, expand: &Expand, ctx: &RenderContext) -> Object {
    nested(stages, "stage", expand, "stages", |item, below| {
        stage(item, below, ctx)
    })
}

fn stage(stage: &StageResult, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    let expand = expand.unwrap_or(Expand::nothing());
    let is_quiet = matches!(stage.status, Status::Successful | Status::NotBuilt);
    Object::new()
        .attribute("expand", "results")
        .attribute("name", stage.name.as_str())
        .optional_attribute("description", stage.description.as_deref())
        .attribute("id", stage.id)
        .attribute("lifeCycleState", stage.status.life_cycle())
        .attribute("state", stage.status.state())
        .attribute("displayClass", display_class(stage.status))
        .attribute("displayMessage", display_message(stage))
        .attribute("collapsedByDefault", is_quiet)
        .attribute("manual", stage.manual)
        .attribute("restartable", stage.restartable)
        .attribute("runnable", stage.runnable)
        .element(
            "results",
            nested(&stage.jobs, "result", expand, "results", |entry, below| {
                result_entry(entry, below, ctx)
            }),
        )
}

fn display_class(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::Queued => "Queued",
        Status::InProgress => "InProgress",
        Status::Successful => "Successful",
        Status::Failed => "Failed",
        Status::NotBuilt | Status::Untouched => "NotBuilt",
    }
}

/// `2 jobs passed`, `1 of 2 jobs failed`, `1 of 1 job not executed`
fn display_message(stage: &StageResult) -> String {
    let all = i64::try_from(stage.jobs.total).unwrap_or(i64::MAX);
    let count = |wanted: Status| {
        stage
            .jobs
            .items
            .iter()
            .filter(|job| job.status() == wanted)
            .count()
    };
    let jobs = counted(all, "job");
    match stage.status {
        Status::Successful => format!("{jobs} passed"),
        Status::Failed => format!("{} of {jobs} failed", count(Status::Failed)),
        Status::InProgress => format!("{} of {jobs} in progress", count(Status::InProgress)),
        Status::Pending | Status::Queued => format!("{jobs} queued"),
        Status::NotBuilt | Status::Untouched => {
            let started = count(Status::Successful) + count(Status::Failed);
            format!(
                "{} of {jobs} not executed",
                stage.jobs.total.saturating_sub(started)
            )
        }
    }
}
