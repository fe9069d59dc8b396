//! Cron triggers of environments: each starts its deployment once when it is due, whatever number of nodes look.

use std::time::Duration;

use madake_domain::cron::CronSchedule;
use madake_domain::cron::timer::{KeptMoment, Tick};
use madake_domain::deployment::BranchNames;
use madake_domain::plan::EnvironmentTriggerKind;
use madake_store::build_query::{self, Filter};
use madake_store::deployment::{self, Deployment, EnvironmentRow, EnvironmentTimer};
use madake_store::deployment_result::{self, DeploymentReason};
use madake_store::{Millis, Tx, deployment_release, plan};

use super::trigger::{release_of, start};
use crate::{Engine, EngineError, clock};

/// A cron trigger with where it stands.
struct Due {
    deployment_id: i64,
    environment: EnvironmentRow,
    position: i64,
    schedule: CronSchedule,
    branch: Option<String>,
    skip_if_deployed: bool,
    known: Option<EnvironmentTimer>,
}

/// Starts the deployments that are due and says when the next one is.
pub(crate) async fn tick(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let triggers = engine.store().read(all).await?;
    let mut next_wait = None;
    for one in triggers {
        let now = clock::now();
        let now_ms = now.as_millisecond();
        let kept = one.known.map(|timer| KeptMoment {
            next_ms: Some(timer.next_ms),
            set_ms: timer.set_ms,
        });
        let zoned = now.to_zoned(engine.settings().time_zone.clone());
        let tick = one.schedule.tick(kept, &zoned);
        let due = match tick {
            Tick::Wait(due) => due,
            Tick::Set(next) | Tick::Run(next) => {
                let runs = matches!(tick, Tick::Run(_));
                engine
                    .store()
                    .write(move |tx| move_on(tx, &one, next, runs, now_ms))
                    .await?;
                next
            }
        };
        let wait = due.map(|due| Duration::from_millis(u64::try_from(due - now_ms).unwrap_or(0).max(1)));
        next_wait = [next_wait, wait].into_iter().flatten().min();
    }
    Ok(next_wait)
}

fn all(tx: &Tx<'_>) -> Result<Vec<Due>, EngineError> {
    let timers = deployment::timers(tx)?;
    let mut triggers = Vec::new();
    for found in deployment::all(tx)? {
        let configuration = deployment::configuration(tx, found.version_id)?;
        let rows = deployment::environments(tx, found.id)?;
        for environment in &configuration.environments {
            let Some(row) = rows.iter().find(|row| row.name == environment.name) else {
                continue;
            };
            for (trigger, position) in environment.triggers.iter().zip(0_i64..) {
                let EnvironmentTriggerKind::Cron {
                    expression,
                    artifact_branch,
                    skip_if_version_deployed,
                } = &trigger.kind
                else {
                    continue;
                };
                // What cannot be read was a finding when the file was.
                let Ok(schedule) = CronSchedule::parse(expression) else {
                    continue;
                };
                triggers.push(Due {
                    deployment_id: found.id,
                    environment: row.clone(),
                    position,
                    schedule,
                    branch: artifact_branch.clone(),
                    skip_if_deployed: *skip_if_version_deployed,
                    known: timer_of(&timers, row.id, position),
                });
            }
        }
    }
    Ok(triggers)
}

fn timer_of(timers: &[EnvironmentTimer], environment_id: i64, position: i64) -> Option<EnvironmentTimer> {
    timers
        .iter()
        .find(|timer| timer.environment_id == environment_id && timer.position == position)
        .copied()
}

/// Moves the timer on and, where it `runs`, starts the deployment.
fn move_on(tx: &Tx<'_>, due: &Due, next: Option<Millis>, runs: bool, now: Millis) -> Result<(), EngineError> {
    let current = timer_of(&deployment::timers(tx)?, due.environment.id, due.position);
    // Whoever moves the timer on starts the deployment.
    if current != due.known {
        return Ok(());
    }
    deployment::set_timer(tx, due.environment.id, due.position, next, now)?;
    let (true, Some(found)) = (runs, deployment::by_id(tx, due.deployment_id)?) else {
        return Ok(());
    };
    if let Some(reason) = deploy_newest(tx, &found, due, now)? {
        let text = format!(
            "nothing goes to {} though its cron trigger was due: {reason}",
            due.environment.name
        );
        deployment::note(tx, found.id, (Some(due.environment.id), None), "info", &text, now)?;
    }
    Ok(())
}

/// Deploys the release of the newest successful result; or says why nothing is deployed.
fn deploy_newest(
    tx: &Tx<'_>,
    found: &Deployment,
    due: &Due,
    now: Millis,
) -> Result<Option<String>, EngineError> {
    let Some(plan) = plan::by_key(tx, &found.plan)? else {
        return Ok(Some(format!("there is no plan {}", found.plan)));
    };
    let branch = plan::branches(tx, plan.id)?.into_iter().find(|one| {
        let names = BranchNames {
            is_master: one.is_master,
            display_name: &one.display_name,
            vcs_branch: one.vcs_branch.as_deref(),
        };
        names.is_meant_by(due.branch.as_deref())
    });
    let Some(branch) = branch else {
        let name = due.branch.as_deref().unwrap_or("");
        return Ok(Some(format!("{} has no branch {name}", found.plan)));
    };
    let successful = Filter {
        state: Some("Successful".to_owned()),
        ..Filter::default()
    };
    let Some(build) = build_query::latest(tx, branch.id, &successful)? else {
        return Ok(Some(format!("{} has no successful result", branch.key)));
    };
    let there = deployment_result::last_success(tx, due.environment.id, i64::MAX)?;
    let deployed = match there {
        Some(there) => deployment_release::by_id(tx, there.release_id)?,
        None => None,
    };
    if due.skip_if_deployed && deployed.is_some_and(|one| one.build_id == build.id) {
        return Ok(Some(format!("the result {} is there already", build.key)));
    }
    match release_of(tx, found, &build, now)? {
        Ok(release) => {
            let reason = DeploymentReason::Scheduled;
            start(tx, found, &due.environment.name, &release, reason, now)?;
            Ok(None)
        }
        Err(reason) => Ok(Some(reason)),
    }
}
