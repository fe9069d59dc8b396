//! The body for programs: the fields of the templates that Bamboo has for builds and deployments, under their names, and
//! behind them what those leave out.

use serde_json::{Value, json};

use super::facts::{BuildTold, DeploymentTold, Happened, NotificationFacts, State, Subject};
use crate::outgoing::clock;

/// The media type of the body.
pub const CONTENT_TYPE: &str = "application/json";

/// The body, but for what is different for each webhook: that is for [`addressed`]. `event` is what people call the
/// events under which the plan asks for it.
pub fn webhook(facts: &NotificationFacts, event: &str) -> Value {
    let mut body = json!({
        "uuid": "",
        "timestamp": clock::utc_with_milliseconds(facts.at_ms),
        "notification": event,
        "webhook": { "webhookTemplatedId": "madake", "webhookTemplatedName": "" },
    });
    match &facts.subject {
        Subject::Build(build) => {
            body["build"] = of_build(facts, build);
            match &build.happened {
                Happened::Ended | Happened::ResponsibilityChanged { .. } => {}
                Happened::JobEnded { job } => body["job"] = json!({ "jobResultKey": job }),
                Happened::JobTrouble { job, what, reason } => {
                    body["job"] = json!({ "jobResultKey": job, "trouble": what, "reason": reason });
                }
                Happened::Commented { by, text } => {
                    body["comment"] = json!({ "author": by, "content": text });
                }
            }
        }
        Subject::Deployment(told) => body["deployment"] = of_deployment(told),
    }
    body
}

/// The body for one webhook. `uuid` is the id of the message, the same at each attempt; `name` is what the plan calls the
/// webhook.
pub fn addressed(mut body: Value, uuid: &str, name: &str) -> Value {
    body["uuid"] = uuid.into();
    body["webhook"]["webhookTemplatedName"] = name.into();
    body
}

fn of_build(facts: &NotificationFacts, build: &BuildTold) -> Value {
    let time = |at: Option<i64>| at.map(clock::utc_with_milliseconds);
    let jobs: Vec<Value> = build
        .jobs
        .iter()
        .map(|one| {
            json!({
                "jobResultKey": one.key,
                "name": one.name,
                "stage": one.stage,
                "status": one.state.word(),
                "message": one.message,
            })
        })
        .collect();
    let commits: Vec<Value> = build
        .commits
        .iter()
        .map(|one| json!({ "id": one.id, "author": one.author, "message": one.message, "link": one.link }))
        .collect();
    let tests = build.tests.as_ref().map(|tests| {
        let failures: Vec<Value> = tests
            .failures
            .iter()
            .map(|one| json!({ "name": one.name, "job": one.job }))
            .collect();
        json!({ "total": tests.total, "failed": tests.failed, "failures": failures })
    });
    json!({
        "buildResultKey": build.key,
        "status": build.state.word(),
        "buildPlanName": facts.path.join(" - "),
        "startedAt": time(build.started_ms),
        "finishedAt": time(build.finished_ms),
        "triggerReason": build.reason,
        "triggerSentence": build.reason,
        "planKey": build.plan_key,
        "planName": build.plan_name,
        "number": build.number,
        "finished": build.state != State::Running,
        "branch": build.branch,
        "revision": build.revision,
        "link": format!("{}/browse/{}", facts.server_url, build.key),
        "jobs": jobs,
        "tests": tests,
        "commits": commits,
        "moreCommits": build.more_commits,
        "responsible": build.responsible,
    })
}

fn of_deployment(told: &DeploymentTold) -> Value {
    let time = |at: Option<i64>| at.map(clock::utc_with_milliseconds);
    json!({
        "deploymentResultId": told.id.to_string(),
        "status": told.state.word(),
        "deploymentProjectId": told.project_id.to_string(),
        "environmentId": told.environment_id.to_string(),
        "environmentName": told.environment,
        "deploymentVersionName": told.release,
        "startedAt": time(told.started_ms),
        "finishedAt": time(told.finished_ms),
        "triggerReason": told.reason,
        "link": told.link,
        "message": told.message,
    })
}
