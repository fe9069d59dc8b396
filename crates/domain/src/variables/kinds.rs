//! Variables of deployments and agents (bamboo-specs.md 5).

use crate::capability::Capabilities;
use crate::plan::Variable;

use super::variable;

/// What a deployment knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// The name of the deployment project.
    pub project: String,
    /// The name of the environment.
    pub environment: String,
    /// The name of the release.
    pub release: String,
    /// The name of the release that was there before; `None`: nothing was.
    pub previous_release: Option<String>,
    /// Whether an older release is put in place of a newer one.
    pub is_rollback: bool,
}

/// The variables that a deployment has of itself.
#[must_use]
pub fn deployment_specific(deployment: &DeploymentFacts) -> Vec<Variable> {
    vec![
        variable("deploy.project", &*deployment.project),
        variable("deploy.environment", &*deployment.environment),
        variable("deploy.release", &*deployment.release),
        variable("deploy.version", &*deployment.release),
        variable(
            "deploy.release.previous",
            deployment.previous_release.as_deref().unwrap_or(""),
        ),
        variable(
            "deploy.version.previous",
            deployment.previous_release.as_deref().unwrap_or(""),
        ),
        variable("deploy.rollback", deployment.is_rollback.to_string()),
    ]
}

/// What the agent that runs a job or a deployment is called, besides the folders that it adds itself. Scripts and tools tell by
/// `agentId` that they run in Bamboo.
#[must_use]
pub fn agent_specific(number: usize) -> Vec<Variable> {
    vec![variable("agentId", number.to_string())]
}

/// The capabilities of the agent that runs a job, as `capability.KEY`.
#[must_use]
pub fn capability_variables(capabilities: &Capabilities) -> Vec<Variable> {
    capabilities
        .iter()
        .map(|(key, value)| variable(format!("capability.{key}"), value))
        .collect()
}
