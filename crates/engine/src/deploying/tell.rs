//! People are told of deployments that begin and end, as the environment says.

use madake_domain::deployment::{DeploymentOutcome, DeploymentState};
use madake_domain::notification::DeploymentHappening;
use madake_store::deployment_result::DeploymentResult;
use madake_store::{Millis, Tx, deployment, deployment_release};

use super::start::{definition, sentence};
use crate::EngineError;
use crate::notifying::{self, DeploymentNotice};

/// Notes what is to be told of a deployment that comes to this state. An environment that is gone tells nobody.
pub(super) fn tell(
    tx: &Tx<'_>,
    found: &DeploymentResult,
    next: &DeploymentState,
    now: Millis,
) -> Result<(), EngineError> {
    let (happening, message) = match next.outcome() {
        None => (DeploymentHappening::Started, String::new()),
        Some(DeploymentOutcome::Successful) => (DeploymentHappening::Succeeded, String::new()),
        Some(DeploymentOutcome::Failed { reason }) => (DeploymentHappening::Failed, reason.clone()),
        Some(DeploymentOutcome::Stopped { by }) => (DeploymentHappening::Stopped, format!("stopped by {by}")),
    };
    let (Some(project), Some(environment), Some(release)) = (
        deployment::by_id(tx, found.deployment_id)?,
        deployment::environment(tx, found.environment_id)?,
        deployment_release::by_id(tx, found.release_id)?,
    ) else {
        return Ok(());
    };
    let Ok(definition) = definition(tx, found.version_id, &environment) else {
        return Ok(());
    };
    let told = DeploymentNotice {
        happening,
        rules: definition.notifications,
        source_plan: Some(project.plan.to_string()),
        build_id: Some(release.build_id),
        project: project.name,
        project_id: project.id,
        environment: environment.name,
        environment_id: environment.id,
        release: release.name,
        result_id: found.id,
        path: format!(
            "/deploy/viewDeploymentResult.action?deploymentResultId={}",
            found.id
        ),
        reason: sentence(&found.reason),
        message,
        started_ms: next.started_ms(),
        finished_ms: next.finished_ms(),
    };
    notifying::deployment(tx, told, now)
}
