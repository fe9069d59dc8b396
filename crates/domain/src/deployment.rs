//! Deployments: how releases are named, what starts a deployment, what a release needs before one, and how one goes
//! (bamboo-specs.md 7.2, 13). What a deployment project is configured to do is [`crate::plan::DeploymentConfiguration`].
//!
//! Nothing here knows results, agents or the store: names, states and times are arguments.

mod approval;
mod naming;
mod progress;
mod trigger;

pub use approval::{ApprovalRefusal, ReleaseStatus, may_deploy};
pub use naming::{
    Counter, MAX_NAME, NamedResult, NamingState, ReleaseNameError, advanced, checked_name, count_up,
    free_name, release_name,
};
pub use progress::{DeploymentOutcome, DeploymentState, DeploymentStop, InvalidDeploymentMove};
pub use trigger::{BranchNames, Happening, Triggered, triggered};
