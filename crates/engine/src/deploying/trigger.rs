//! What happened starts deployments, in the transaction in which it happened.
//!
//! Nothing here keeps a build from ending: what stands in the way of a release or a deployment is noted.

use madake_domain::deployment::{BranchNames, Happening, triggered};
use madake_store::build::Build;
use madake_store::deployment::{self, Deployment};
use madake_store::deployment_release::{self, Release};
use madake_store::deployment_result::{DeploymentReason, DeploymentResult};
use madake_store::{Millis, Tx, event, plan};

use super::create_release::{ReleaseError, make};
use super::listeners;
use super::start::{Asked, queue};
use crate::EngineError;

/// Who starts what nobody asked for.
pub(super) const NOBODY: &str = "trigger";

/// A build was successful.
pub(crate) fn after_build(tx: &Tx<'_>, build: &Build, now: Millis) -> Result<(), EngineError> {
    of_build(tx, build, None, now)
}

/// A stage of a build was successful.
pub(crate) fn after_stage(tx: &Tx<'_>, build: &Build, stage: &str, now: Millis) -> Result<(), EngineError> {
    of_build(tx, build, Some(stage), now)
}

fn of_build(tx: &Tx<'_>, build: &Build, stage: Option<&str>, now: Millis) -> Result<(), EngineError> {
    let branch = plan::branch_by_id(tx, build.plan_branch_id)?;
    let plan = plan::by_id(tx, build.plan_id)?;
    let names = BranchNames {
        is_master: branch.is_master,
        display_name: &branch.display_name,
        vcs_branch: branch.vcs_branch.as_deref(),
    };
    let happening = match stage {
        Some(stage) => Happening::StageSucceeded { stage, branch: names },
        None => Happening::BuildSucceeded { branch: names },
    };
    let reason = match stage {
        Some(stage) => DeploymentReason::StageSuccess {
            build: build.key.clone(),
            stage: stage.to_owned(),
        },
        None => DeploymentReason::BuildSuccess {
            build: build.key.clone(),
        },
    };
    for found in deployment::of_plan(tx, &plan.key)? {
        let configuration = deployment::configuration(tx, found.version_id)?;
        let heard = triggered(&configuration.environments, happening);
        if heard.is_empty() {
            continue;
        }
        let release = match release_of(tx, &found, build, now)? {
            Ok(release) => release,
            Err(reason) => {
                let text = format!("no release was made of {}: {reason}", build.key);
                say(tx, &found, build, (None, None), "error", &text, now)?;
                continue;
            }
        };
        for one in heard {
            let name = &configuration.environments[one.environment].name;
            let text = start(tx, &found, name, &release, reason.clone(), now)?;
            if let Some(event_id) = build.event_id {
                event::note(tx, event_id, "info", &text, now)?;
            }
        }
    }
    Ok(())
}

/// A deployment was successful.
pub(super) fn after_deployment(
    tx: &Tx<'_>,
    result: &DeploymentResult,
    now: Millis,
) -> Result<(), EngineError> {
    let Some(found) = deployment::by_id(tx, result.deployment_id)? else {
        return Ok(());
    };
    let (Some(environment), Some(release)) = (
        deployment::environment(tx, result.environment_id)?,
        deployment_release::by_id(tx, result.release_id)?,
    ) else {
        return Ok(());
    };
    let mut chain = match &result.reason {
        DeploymentReason::EnvironmentSuccess { chain, .. } => chain.clone(),
        _ => Vec::new(),
    };
    chain.push(environment.name.clone());
    listeners::start_plans(tx, (&found, &environment, &release), result, now)?;
    let configuration = deployment::configuration(tx, found.version_id)?;
    for one in triggered(
        &configuration.environments,
        Happening::EnvironmentSucceeded { chain: &chain },
    ) {
        let name = &configuration.environments[one.environment].name;
        if one.circle {
            let text = format!(
                "{} does not go to {name} once more: the environments start each other in a circle",
                release.name
            );
            let row = deployment::environment_by_name(tx, found.id, name)?;
            let about = (row.map(|row| row.id), Some(release.id));
            deployment::note(tx, found.id, about, "warning", &text, now)?;
            continue;
        }
        let reason = DeploymentReason::EnvironmentSuccess {
            chain: chain.clone(),
            result_id: result.id,
        };
        start(tx, &found, name, &release, reason, now)?;
    }
    Ok(())
}

/// The release of a build: the newest that there is, or a new one. The inner error says why there is none.
pub(super) fn release_of(
    tx: &Tx<'_>,
    found: &Deployment,
    build: &Build,
    now: Millis,
) -> Result<Result<Release, String>, EngineError> {
    if let Some(release) = deployment_release::of_build(tx, found.id, build.id)? {
        return Ok(Ok(release));
    }
    match make(tx, found, build, None, None, now) {
        Ok(release) => Ok(Ok(release)),
        Err(ReleaseError::Name(reason) | ReleaseError::Other(EngineError::Conflict(reason))) => {
            Ok(Err(reason))
        }
        Err(ReleaseError::Other(error)) => Err(error),
    }
}

/// Starts a deployment, or notes why not; gives the sentence.
pub(super) fn start(
    tx: &Tx<'_>,
    found: &Deployment,
    environment: &str,
    release: &Release,
    reason: DeploymentReason,
    now: Millis,
) -> Result<String, EngineError> {
    let Some(row) = deployment::environment_by_name(tx, found.id, environment)? else {
        return Ok(format!("{} has no environment {environment}", found.name));
    };
    let asked = Asked {
        found,
        environment: &row,
        release,
        reason,
        triggered_by: NOBODY,
        variables: Vec::new(),
    };
    match queue(tx, asked, now) {
        Ok(_) => Ok(format!(
            "the release {} of {} goes to {environment}",
            release.name, found.name
        )),
        Err(EngineError::Conflict(reason)) => {
            let about = (Some(row.id), Some(release.id));
            deployment::note(tx, found.id, about, "warning", &reason, now)?;
            Ok(reason)
        }
        Err(error) => Err(error),
    }
}

fn say(
    tx: &Tx<'_>,
    found: &Deployment,
    build: &Build,
    about: (Option<i64>, Option<i64>),
    level: &str,
    text: &str,
    now: Millis,
) -> Result<(), EngineError> {
    deployment::note(tx, found.id, about, level, text, now)?;
    if let Some(event_id) = build.event_id {
        event::note(tx, event_id, level, &format!("{}: {text}", found.name), now)?;
    }
    Ok(())
}
