//! Plan branches with timers of their own: their plan file, or an override, has other triggers than the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use madake_domain::change::{Arrival, News, Source};
use madake_domain::key::PlanKey;
use madake_domain::plan::{PlanConfiguration, TriggerKind};

use super::judge::{Asked, Loaded};
use crate::{Engine, EngineError};

/// The plan branches whose own version has other triggers than the plan.
pub(super) async fn own_versions(
    engine: &Engine,
    loaded: &Loaded,
) -> Result<Vec<(PlanKey, Arc<PlanConfiguration>)>, EngineError> {
    let mut own = Vec::new();
    for branch in &loaded.branches {
        if let Some(version_id) = branch.version_id {
            let version = engine.configuration(version_id).await?;
            if version.triggers != loaded.configuration.triggers {
                own.push((branch.key.clone(), version));
            }
        }
    }
    Ok(own)
}

/// The plan as the branch that an arrival is about alone has it, by what is in force for that branch.
pub(super) async fn of_only(
    engine: &Engine,
    loaded: &Loaded,
    asked: &Asked,
) -> Result<Arc<PlanConfiguration>, EngineError> {
    let Some(only) = &asked.only else {
        return Ok(Arc::clone(&loaded.configuration));
    };
    let own = own_versions(engine, loaded).await?;
    Ok(match own.into_iter().find(|(key, _)| key == only) {
        Some((_, version)) => Arc::new(with_triggers_of(&loaded.configuration, &version)),
        None => Arc::clone(&loaded.configuration),
    })
}

/// The plan, started by what another version of it says.
pub(super) fn with_triggers_of(
    configuration: &PlanConfiguration,
    version: &PlanConfiguration,
) -> PlanConfiguration {
    PlanConfiguration {
        triggers: version.triggers.clone(),
        ..configuration.clone()
    }
}

/// The plan branches that a time of a schedule is not about: those of the plan are not about branches that have a timer
/// of the same kind themselves, and that of a branch is about this one alone. Their heads are taken out of the arrival.
pub(super) async fn elsewhere(
    engine: &Engine,
    loaded: &Loaded,
    asked: &Asked,
    whole: &mut Arrival,
) -> Result<BTreeSet<PlanKey>, EngineError> {
    let timed: fn(&TriggerKind) -> bool = match &asked.source {
        Source::Poll => |kind| matches!(kind, TriggerKind::Polling { .. }),
        Source::Cron { .. } => |kind| matches!(kind, TriggerKind::Cron { .. }),
        Source::Deployment { .. } => |_| false,
        _ => return Ok(BTreeSet::new()),
    };
    let elsewhere: BTreeSet<PlanKey> = match &asked.only {
        Some(only) => {
            let others = loaded.rows.iter().filter(|row| row.key != *only);
            let others = others.map(|row| row.key.clone()).collect();
            let branch = loaded.rows.iter().find(|row| row.key == *only);
            if let (News::Heads(heads), true) = (&mut whole.news, loaded.is_default) {
                heads
                    .heads
                    .retain(|name, _| branch.is_some_and(|row| row.vcs_branch == *name));
            }
            others
        }
        None => {
            let own = own_versions(engine, loaded).await?;
            let own: BTreeSet<PlanKey> = own
                .into_iter()
                .filter(|(_, version)| {
                    let mut triggers = version.triggers.iter().flatten();
                    triggers.any(|trigger| timed(&trigger.kind))
                })
                .map(|(key, _)| key)
                .collect();
            let branches: BTreeSet<&str> = loaded
                .rows
                .iter()
                .filter(|row| own.contains(&row.key))
                .map(|row| row.vcs_branch.as_str())
                .collect();
            if let (News::Heads(heads), true) = (&mut whole.news, loaded.is_default) {
                heads.heads.retain(|name, _| !branches.contains(name.as_str()));
            }
            own
        }
    };
    Ok(elsewhere)
}
