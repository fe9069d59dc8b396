//! The shapes of deployments (bamboo-rest.md 9).

use madake_domain::deployment::ReleaseStatus;
use madake_engine::deploying::show::{Operations, ShownEnvironment, ShownProject, ShownResult, result_key};
use madake_engine::deploying::start::sentence;
use madake_store::deployment::Deployment;
use madake_store::deployment_release::Release;

use super::super::super::node::{List, Object};

/// `{"key":"884737"}`
fn key(text: &impl ToString) -> Object {
    Object::new().element("key", text.to_string())
}

fn operations(may: Operations) -> Object {
    Object::new()
        .element("canView", may.view)
        .element("canEdit", may.edit)
        .element("canDelete", may.delete)
        .element("allowedToExecute", may.execute)
        .element("canExecute", may.execute)
        .element("allowedToCreateVersion", may.create_release)
        .element("allowedToSetVersionStatus", may.judge_release)
}

/// A project with its environments.
pub(super) fn project(shown: &ShownProject) -> Object {
    let found = &shown.found;
    Object::new()
        .element("id", found.id)
        .element("oid", found.id.to_string())
        .element("key", key(&found.id))
        .element("name", found.name.as_str())
        .element("planKey", key(&found.plan))
        .element("description", found.description.as_str())
        .element(
            "environments",
            List::new("environment", shown.environments.iter().map(environment)),
        )
        .element("operations", operations(shown.operations))
}

/// A project in a list of a plan's projects.
pub(super) fn short_project(found: &Deployment) -> Object {
    Object::new()
        .element("id", found.id)
        .element("name", found.name.as_str())
        .element("description", found.description.as_str())
}

/// An environment.
pub(super) fn environment(shown: &ShownEnvironment) -> Object {
    let row = &shown.row;
    let has_tasks = shown.definition.as_ref().is_some_and(|one| !one.tasks.is_empty());
    Object::new()
        .element("id", row.id)
        .element("key", key(&format!("{}-{}", row.deployment_id, row.id)))
        .element("name", row.name.as_str())
        .element("description", row.description.as_str())
        .element("deploymentProjectId", row.deployment_id)
        .element("operations", operations(shown.operations))
        .element("position", row.position)
        .element(
            "configurationState",
            if has_tasks { "TASKED" } else { "DETAILED" },
        )
}

/// A release.
pub(super) fn release(one: &Release, may: Option<Operations>) -> Object {
    let creator = one.creator.as_deref().unwrap_or_default();
    Object::new()
        .element("id", one.id)
        .element("name", one.name.as_str())
        .element("creationDate", one.created_ms)
        .optional_element("creatorUserName", one.creator.as_deref())
        .optional_element("creatorDisplayName", one.creator.as_deref().map(|_| creator))
        .optional_element("planBranchName", one.branch_name.as_deref())
        .element("ageZeroPoint", one.created_ms)
        .element(
            "items",
            List::new(
                "item",
                [Object::new().element("planResultKey", key(&one.build_key))],
            ),
        )
        .optional_element(
            "versionStatus",
            (one.status != ReleaseStatus::Unknown).then(|| status(one)),
        )
        .optional_element("operations", may.map(operations))
}

/// What people said of a release.
pub(super) fn status(one: &Release) -> Object {
    Object::new()
        .element("id", one.id)
        .optional_element("userName", one.status_by.as_deref())
        .optional_element("displayName", one.status_by.as_deref())
        .element("versionState", one.status.as_str())
        .optional_element("creationDate", one.status_ms)
}

/// A deployment.
pub(super) fn result(shown: &ShownResult, may: Option<Operations>) -> Object {
    let ShownResult { result, release } = shown;
    let state = &result.state;
    let environment_key = format!("{}-{}", result.deployment_id, result.environment_id);
    Object::new()
        .element("id", result.id)
        .element("deploymentVersion", self::release(release, None))
        .element("deploymentVersionName", release.name.as_str())
        .element("deploymentState", state.verdict())
        .element("lifeCycleState", state.life_cycle())
        .optional_element("startedDate", state.started_ms())
        .element("queuedDate", state.queued_ms())
        .optional_element("executedDate", state.started_ms())
        .optional_element("finishedDate", state.finished_ms())
        .element("reasonSummary", sentence(&result.reason))
        .element(
            "key",
            key(&result_key(result))
                .element("entityKey", key(&environment_key))
                .element("resultNumber", result.id),
        )
        .optional_element(
            "agent",
            state.agent().map(|name| agent(name, state.holder().is_some())),
        )
        .optional_element("operations", may.map(operations))
}

fn agent(name: &str, busy: bool) -> Object {
    let number = name.rsplit(' ').next().and_then(|word| word.parse().ok());
    Object::new()
        .element("id", number.unwrap_or(1_i64))
        .element("name", name)
        .element("type", "LOCAL")
        .element("active", true)
        .element("enabled", true)
        .element("busy", busy)
}

/// An environment on the dashboard: what is there.
pub(super) fn environment_status(one: &ShownEnvironment) -> Object {
    let newest = one.newest.as_ref().map(|newest| result(newest, None));
    Object::new()
        .element("environment", environment(one))
        .optional_element("deploymentResult", newest)
}

/// A project on the dashboard: what is where.
pub(super) fn on_dashboard(shown: &ShownProject) -> Object {
    let statuses = shown.environments.iter().map(environment_status);
    Object::new()
        .element("deploymentProject", project(shown))
        .element("environmentStatuses", List::new("environmentStatus", statuses))
}
