//! The shapes of deployments (bamboo-rest.md 9).

use std::collections::HashMap;

use madake_domain::deployment::ReleaseStatus;
use madake_domain::key::ResultKey;
use madake_engine::EngineError;
use madake_engine::deploying::show::{
    self, Operations, ShownEnvironment, ShownProject, ShownResult, result_key,
};
use madake_store::build_query;
use madake_store::deployment::{self, Deployment};
use madake_store::deployment_release::Release;
use madake_store::deployment_result::DeploymentReason;

use super::super::super::link::{Links, self_link};
use super::super::super::node::{List, Object};
use super::super::super::reason::deployment_html;
use super::super::load::Loader;

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

/// An environment with the numbers of what is configured there.
pub(super) fn environment_with_counts(shown: &ShownEnvironment) -> Object {
    let definition = shown.definition.as_ref();
    environment(shown)
        .element(
            "notificationsCount",
            definition.map_or(0, |one| one.notifications.len()),
        )
        .element("variablesCount", definition.map_or(0, |one| one.variables.len()))
        .element("triggersCount", definition.map_or(0, |one| one.triggers.len()))
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

/// The key of a plan's result, in its parts where it is one.
fn plan_result_key(text: &str) -> Object {
    let whole = key(&text);
    match text.parse::<ResultKey>() {
        Ok(parsed) => whole
            .element("entityKey", key(&parsed.plan))
            .element("resultNumber", parsed.number),
        Err(_) => whole,
    }
}

/// Shapes that name people and say what the caller may do, inside one read of the store.
pub(super) struct Shapes<'s, 't, 'c> {
    loader: &'s mut Loader<'t, 'c>,
    links: &'s Links,
    of_projects: HashMap<i64, Operations>,
    of_environments: HashMap<i64, Operations>,
}

impl<'s, 't, 'c> Shapes<'s, 't, 'c> {
    pub(super) fn new(loader: &'s mut Loader<'t, 'c>, links: &'s Links) -> Self {
        Self {
            loader,
            links,
            of_projects: HashMap::new(),
            of_environments: HashMap::new(),
        }
    }

    fn full_name(&mut self, name: Option<&str>) -> Result<Option<String>, EngineError> {
        name.map(|name| Ok(self.loader.user(name)?.full_name)).transpose()
    }

    fn operations_of(&mut self, deployment_id: i64) -> Result<Operations, EngineError> {
        if let Some(known) = self.of_projects.get(&deployment_id) {
            return Ok(*known);
        }
        let found = deployment::by_id(self.loader.tx, deployment_id)?.ok_or_else(|| {
            EngineError::Internal(format!("the deployment project {deployment_id} is gone"))
        })?;
        let may = show::operations(self.loader.tx, &self.loader.caller, &found)?;
        self.of_projects.insert(deployment_id, may);
        Ok(may)
    }

    fn operations_there(&mut self, environment_id: i64) -> Result<Operations, EngineError> {
        if let Some(known) = self.of_environments.get(&environment_id) {
            return Ok(*known);
        }
        let (_, shown) = show::environment(self.loader.tx, &self.loader.caller, environment_id)?;
        self.of_environments.insert(environment_id, shown.operations);
        Ok(shown.operations)
    }

    /// The plan branch that a release is of; of the plan itself, the branch of the repository that was built.
    fn branch_of(&self, one: &Release) -> Result<Option<String>, EngineError> {
        if one.branch_name.is_some() {
            return Ok(one.branch_name.clone());
        }
        Ok(build_query::vcs_branch(self.loader.tx, one.build_id)?)
    }

    /// A release.
    pub(super) fn release(&mut self, one: &Release) -> Result<Object, EngineError> {
        let creator = self.full_name(one.creator.as_deref())?;
        let may = self.operations_of(one.deployment_id)?;
        let status = match one.status {
            ReleaseStatus::Unknown => None,
            _ => Some(self.judgement(one)?),
        };
        let item = Object::new().element("planResultKey", plan_result_key(&one.build_key));
        Ok(Object::new()
            .element("id", one.id)
            .element("name", one.name.as_str())
            .element("creationDate", one.created_ms)
            .optional_element("creatorUserName", one.creator.as_deref())
            .element("items", List::new("item", [item]))
            .optional_element("versionStatus", status)
            .element("operations", operations(may))
            .optional_element("creatorDisplayName", creator)
            .optional_element("planBranchName", self.branch_of(one)?)
            .element("ageZeroPoint", one.created_ms))
    }

    /// A release beside the result that it is made of.
    pub(super) fn release_and_result(&mut self, one: &Release) -> Result<Object, EngineError> {
        let link = self_link(self.links.rest(&[&"result", &one.build_key]));
        Ok(Object::new()
            .element("deploymentVersion", self.release(one)?)
            .element("planResultKey", plan_result_key(&one.build_key))
            .element("link", link))
    }

    /// What people said last of a release.
    fn judgement(&mut self, one: &Release) -> Result<Object, EngineError> {
        let judge = self.full_name(one.status_by.as_deref())?;
        Ok(Object::new()
            .element("id", one.id)
            .optional_element("userName", one.status_by.as_deref())
            .optional_element("displayName", judge)
            .element("versionState", one.status.as_str())
            .optional_element("creationDate", one.status_ms))
    }

    /// The same in the words of older and of newer servers: alone, and as a list with what it amounts to.
    pub(super) fn status(&mut self, one: &Release) -> Result<Object, EngineError> {
        let own = one.status_by.as_deref() == Some(self.loader.caller.name());
        let of_caller = if own { one.status } else { ReleaseStatus::Unknown };
        let judged = one.status_by.is_some();
        let all = match judged {
            true => vec![self.judgement(one)?],
            false => Vec::new(),
        };
        Ok(self
            .judgement(one)?
            .element("versionGeneralState", one.status.as_str())
            .element("currentUserState", of_caller.as_str())
            .element("statuses", List::new("status", all)))
    }

    /// A deployment.
    pub(super) fn result(&mut self, shown: &ShownResult) -> Result<Object, EngineError> {
        let ShownResult { result, release } = shown;
        let state = &result.state;
        let environment_key = format!("{}-{}", result.deployment_id, result.environment_id);
        let user = match &result.reason {
            DeploymentReason::Manual { user } => Some(self.loader.user(user)?),
            _ => None,
        };
        let may = Operations {
            create_release: false,
            judge_release: false,
            ..self.operations_there(result.environment_id)?
        };
        Ok(Object::new()
            .element("deploymentVersion", self.release(release)?)
            .element("deploymentVersionName", release.name.as_str())
            .element("id", result.id)
            .element("deploymentState", state.verdict())
            .element("lifeCycleState", state.life_cycle())
            .optional_element("startedDate", state.started_ms())
            .element("queuedDate", state.queued_ms())
            .optional_element("executedDate", state.started_ms())
            .optional_element("finishedDate", state.finished_ms())
            .element(
                "reasonSummary",
                deployment_html(&result.reason, user.as_ref(), self.links),
            )
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
            .element("operations", operations(may)))
    }

    /// A deployment that waits or runs, as the queue lists it.
    pub(super) fn queued(&mut self, shown: &ShownResult) -> Result<Object, EngineError> {
        let id = shown.result.id;
        Ok(self.result(shown)?.element("deploymentResultId", id))
    }

    fn environment_status(&mut self, one: &ShownEnvironment) -> Result<Object, EngineError> {
        self.of_environments.insert(one.row.id, one.operations);
        let newest = match &one.newest {
            Some(newest) => Some(self.result(newest)?),
            None => None,
        };
        Ok(Object::new()
            .element("environment", environment(one))
            .optional_element("deploymentResult", newest))
    }

    /// A project on the dashboard: what is where.
    pub(super) fn on_dashboard(&mut self, shown: &ShownProject) -> Result<Object, EngineError> {
        let mut statuses = Vec::with_capacity(shown.environments.len());
        for one in &shown.environments {
            statuses.push(self.environment_status(one)?);
        }
        Ok(Object::new()
            .element("deploymentProject", project(shown))
            .element("environmentStatuses", List::new("environmentStatus", statuses)))
    }

    /// The newest deployment to an environment in short, as the dashboard asks for it again and again.
    pub(super) fn short_status(&mut self, one: &ShownEnvironment) -> Result<Object, EngineError> {
        let short = Object::new().element("environmentId", one.row.id);
        let Some(ShownResult { result, release }) = &one.newest else {
            return Ok(short);
        };
        let state = &result.state;
        let judge = self.full_name(release.status_by.as_deref())?;
        Ok(short
            .element("deploymentResultId", result.id)
            .element("deploymentState", state.verdict())
            .element("lifeCycleState", state.life_cycle())
            .element("deploymentVersionId", release.id)
            .element("deploymentVersionName", release.name.as_str())
            .optional_element("deploymentVersionRelatedBranchName", self.branch_of(release)?)
            .element("deploymentVersionState", release.status.as_str())
            .optional_element("versionStatusUserName", release.status_by.as_deref())
            .optional_element("versionStatusUserDisplayName", judge)
            .optional_element("startedDate", state.started_ms())
            .element("queuedDate", state.queued_ms())
            .optional_element("executedDate", state.started_ms())
            .optional_element("finishedDate", state.finished_ms()))
    }
}
