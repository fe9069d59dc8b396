//! Starts deployments: `POST /queue/deployment`, `madake deployment start`, and triggers. A release that was deployed
//! before is deployed again, and an older one in place of a newer one is a roll back; both are deployments as any other.

use madake_domain::deployment::may_deploy;
use madake_domain::permission::Permission;
use madake_domain::plan::Environment;
use madake_store::deployment::{self, Deployment, EnvironmentRow};
use madake_store::deployment_release::{self, Release};
use madake_store::deployment_result::{self, DeploymentReason, DeploymentResult, NewDeployment};
use madake_store::{Millis, Tx};

use super::rights;
use crate::access::Caller;
use crate::ops::trigger_build::check_variables;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Deploys a release to an environment.
    ///
    /// # Errors
    /// When one of them is not there, the caller may not, the release lacks what the environment asks for, or a variable
    /// cannot be set.
    pub async fn deploy(
        &self,
        caller: &Caller,
        environment_id: i64,
        release_id: i64,
        variables: Vec<(String, String)>,
    ) -> Result<DeploymentResult, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let (found, environment) =
                    rights::environment_for(tx, &caller, environment_id, Permission::Build)?;
                check_variables(&variables)?;
                let release = deployment_release::by_id(tx, release_id)?
                    .filter(|one| one.deployment_id == found.id)
                    .ok_or_else(|| {
                        EngineError::NotFound(format!(
                            "{} has no release with the id {release_id}.",
                            found.name
                        ))
                    })?;
                let reason = DeploymentReason::Manual {
                    user: caller.name().to_owned(),
                };
                let asked = Asked {
                    found: &found,
                    environment: &environment,
                    release: &release,
                    reason,
                    triggered_by: caller.name(),
                    variables,
                };
                queue(tx, asked, clock::now_ms())
            })
            .await
    }
}

/// A deployment that is asked for.
pub(super) struct Asked<'a> {
    /// The project.
    pub(super) found: &'a Deployment,
    /// Where to.
    pub(super) environment: &'a EnvironmentRow,
    /// What.
    pub(super) release: &'a Release,
    /// Why.
    pub(super) reason: DeploymentReason,
    /// Who.
    pub(super) triggered_by: &'a str,
    /// Variables given for it alone.
    pub(super) variables: Vec<(String, String)>,
}

/// What the version in force says of an environment.
pub(super) fn definition(
    tx: &Tx<'_>,
    version_id: i64,
    environment: &EnvironmentRow,
) -> Result<Environment, EngineError> {
    deployment::configuration(tx, version_id)?
        .environments
        .into_iter()
        .find(|one| one.name == environment.name)
        .ok_or_else(|| {
            EngineError::Conflict(format!(
                "the deployment project does not list the environment {} any more",
                environment.name
            ))
        })
}

/// Queues a deployment, unless the release lacks what the environment asks for.
pub(super) fn queue(tx: &Tx<'_>, asked: Asked<'_>, now: Millis) -> Result<DeploymentResult, EngineError> {
    let Asked {
        found,
        environment,
        release,
        reason,
        triggered_by,
        variables,
    } = asked;
    let definition = definition(tx, found.version_id, environment)?;
    may_deploy(definition.release_approval, release.status).map_err(|refusal| {
        EngineError::Conflict(format!(
            "{} is not deployed to {}: {refusal}",
            release.name, environment.name
        ))
    })?;
    let new = NewDeployment {
        deployment_id: found.id,
        environment_id: environment.id,
        release_id: release.id,
        version_id: found.version_id,
        reason,
        triggered_by: triggered_by.to_owned(),
        variables,
    };
    let id = deployment_result::insert(tx, &new, now)?;
    let text = format!(
        "{} goes to {}: {}",
        release.name,
        environment.name,
        sentence(&new.reason)
    );
    let about = (Some(environment.id), Some(release.id));
    deployment::note(tx, found.id, about, "info", &text, now)?;
    deployment_result::by_id(tx, id)?
        .ok_or_else(|| EngineError::Internal(format!("the deployment {id} is gone")))
}

/// Why a release is deployed, in words.
#[must_use]
pub fn sentence(reason: &DeploymentReason) -> String {
    match reason {
        DeploymentReason::Manual { user } => format!("Manual run by {user}"),
        DeploymentReason::BuildSuccess { build } => format!("Child of {build}, which was successful"),
        DeploymentReason::StageSuccess { build, stage } => {
            format!("The stage {stage} of {build} was successful")
        }
        DeploymentReason::EnvironmentSuccess { chain, .. } => format!(
            "The deployment to {} was successful",
            chain.last().map_or("another environment", String::as_str)
        ),
        DeploymentReason::Scheduled => "Scheduled".to_owned(),
    }
}
