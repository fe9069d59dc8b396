//! Plans with an `after-deployment` trigger: a deployment that went well enters an arrival for each, in the transaction
//! in which it ends. No plan starts itself over a deployment of its own results, however long the way.

use std::collections::BTreeMap;

use madake_domain::key::PlanKey;
use madake_domain::plan::TriggerKind;
use madake_store::deployment::{self, Deployment, EnvironmentRow};
use madake_store::deployment_release::Release;
use madake_store::deployment_result::{self, DeploymentReason, DeploymentResult};
use madake_store::event::{self, Content, NewEvent};
use madake_store::{Millis, Tx, build, plan, plan_timer, repository};

use crate::EngineError;
use crate::dependencies::{CHAIN, chain_of};
use crate::specs::may_use_project;

/// Enters an arrival for each plan, and each plan branch with triggers of its own, that listens to the environment.
pub(super) fn start_plans(
    tx: &Tx<'_>,
    (found, environment, release): (&Deployment, &EnvironmentRow, &Release),
    result: &DeploymentResult,
    now: Millis,
) -> Result<(), EngineError> {
    let listening = plan_timer::listening_to_deployments(tx)?;
    let plans: BTreeMap<i64, _> = listening
        .iter()
        .filter(|(_, key, version)| *key == version.key)
        .map(|(plan_id, _, version)| (*plan_id, version.triggers.clone()))
        .collect();
    let mut chain = None;
    for (plan_id, key, version) in &listening {
        let hears = version.triggers.iter().flatten().any(|trigger| {
            matches!(&trigger.kind, TriggerKind::AfterDeployment { deployment_project, environment: asked }
                if *deployment_project == found.name
                    && asked.as_ref().is_none_or(|asked| *asked == environment.name))
        });
        // A plan branch that inherits its triggers is the plan's to build.
        let inherits = *key != version.key && plans.get(plan_id) == Some(&version.triggers);
        if !hears || inherits || !may_listen(tx, *plan_id, found)? {
            continue;
        }
        let chain = match &chain {
            Some(chain) => chain,
            None => chain.insert(way_here(tx, result)?),
        };
        if chain.contains(&version.key) || chain.len() >= CHAIN {
            let way: Vec<&str> = chain.iter().map(PlanKey::as_str).collect();
            let text = format!(
                "the deployment of {} to {} does not start {key}: it would start itself ({})",
                release.name,
                environment.name,
                way.join(", ")
            );
            let about = (Some(environment.id), Some(release.id));
            deployment::note(tx, found.id, about, "warning", &text, now)?;
            continue;
        }
        let new = NewEvent {
            kind: "deployment",
            delivery_id: Some(format!("deployment:{}:{key}", result.id)),
            address: String::new(),
            principal: "deployments".into(),
            repository_id: plan::repositories(tx, *plan_id)?
                .first()
                .and_then(|row| row.repository_id),
            plan_key: Some(key.to_string()),
            summary: format!(
                "{} of {} was deployed to {}, which {key} waits for",
                release.name, found.name, environment.name
            ),
            raw: Vec::new(),
            content: Content::Deployment {
                plan_id: *plan_id,
                target: key.to_string(),
                project: found.name.clone(),
                environment: environment.name.clone(),
                release: release.name.clone(),
                chain: chain.iter().map(ToString::to_string).collect(),
            },
        };
        event::receive(tx, new, now)?;
    }
    Ok(())
}

/// The plans whose builds led to a deployment by themselves, the first one first. What a person deployed begins anew.
fn way_here(tx: &Tx<'_>, result: &DeploymentResult) -> Result<Vec<PlanKey>, EngineError> {
    let mut reason = result.reason.clone();
    for _ in 0..CHAIN {
        match reason {
            DeploymentReason::BuildSuccess { build } | DeploymentReason::StageSuccess { build, .. } => {
                let Some(found) = build::by_key(tx, &build)? else {
                    return Ok(Vec::new());
                };
                let mut chain = chain_of(&found);
                chain.push(plan::by_id(tx, found.plan_id)?.key);
                return Ok(chain);
            }
            DeploymentReason::EnvironmentSuccess { result_id, .. } => {
                match deployment_result::by_id(tx, result_id)? {
                    Some(earlier) => reason = earlier.reason,
                    None => return Ok(Vec::new()),
                }
            }
            DeploymentReason::Manual { .. } | DeploymentReason::Scheduled => return Ok(Vec::new()),
        }
    }
    Ok(Vec::new())
}

/// Whether a plan may hear of the deployments of a project: one of another repository needs the right that releasing the
/// results of its plan needs. Without it, names that were guessed would be answered by builds.
fn may_listen(tx: &Tx<'_>, plan_id: i64, found: &Deployment) -> Result<bool, EngineError> {
    let Some(owner) = plan::by_id(tx, plan_id)?.specs_repository_id else {
        return Ok(true);
    };
    if found.specs_repository_id == Some(owner) {
        return Ok(true);
    }
    match repository::by_id(tx, owner)? {
        Some(owner) => Ok(may_use_project(tx, &owner, &found.plan.project())?.is_ok()),
        None => Ok(false),
    }
}
