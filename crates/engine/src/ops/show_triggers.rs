//! Shows what starts builds of a plan or a plan branch, in words, when the next time is, and what was decided last.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_domain::plan::{PlanConfiguration, TriggerKind};
use madake_store::decision::{self, Decision};
use madake_store::plan_timer::{self, TimerKey};
use madake_store::{Millis, plan};

use crate::access::{Caller, Target, may, plan_for};
use crate::{Engine, EngineError, poll};

/// What starts builds of a plan or a plan branch.
#[derive(Debug, Clone)]
pub struct ShownTriggers {
    /// A plan branch has triggers of its own.
    pub own: bool,
    /// Each in words; empty for those who may not see the configuration.
    pub triggers: Vec<ShownTrigger>,
    /// What was decided last.
    pub last: Option<Decision>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTrigger {
    /// What it does.
    pub words: String,
    /// When it is due, or the next look is, where that is known.
    pub next_ms: Option<Millis>,
}

impl Engine {
    /// What starts builds of a plan or a plan branch.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] or a refusal unless the caller may read the plan.
    pub async fn show_triggers(&self, caller: &Caller, key: &PlanKey) -> Result<ShownTriggers, EngineError> {
        let (caller, key) = (caller.clone(), key.clone());
        let (found, branch, timers, last, sees) = self
            .store()
            .read(move |tx| {
                let (found, branch) = plan_for(tx, &caller, &key, Permission::Read)?;
                let target = Target::Plan(&found.key);
                let sees = may(tx, &caller, Permission::ViewConfiguration, target)?;
                let last = decision::of_plan(tx, found.id, Some(branch.id), None, 1)?.pop();
                let master = plan::master(tx, found.id)?.id;
                Ok::<_, EngineError>((found, branch, (plan_timer::all(tx)?, master), last, sees))
            })
            .await?;
        let of_plan = self.configuration(found.version_id).await?;
        let version = match branch.version_id {
            Some(own) => self.configuration(own).await?,
            None => of_plan.clone(),
        };
        let own = version.triggers != of_plan.triggers;
        let (timers, master) = timers;
        let look = poll::next_look(self, found.id, own.then_some(branch.id));
        let next = |kind: &TriggerKind, position: i64| match kind {
            TriggerKind::Cron { .. } => {
                let key = TimerKey {
                    plan_branch_id: if own { branch.id } else { master },
                    version_id: if own {
                        branch.version_id.unwrap_or(found.version_id)
                    } else {
                        found.version_id
                    },
                    position,
                };
                timers.iter().find(|timer| timer.key == key)?.next_ms
            }
            TriggerKind::Polling { .. } => look,
            _ => None,
        };
        let triggers = if sees { shown(&version, &next) } else { Vec::new() };
        Ok(ShownTriggers {
            own,
            triggers,
            last: last.filter(|_| sees),
        })
    }
}

fn shown(
    version: &PlanConfiguration,
    next: &dyn Fn(&TriggerKind, i64) -> Option<Millis>,
) -> Vec<ShownTrigger> {
    let said = |words: &str| {
        vec![ShownTrigger {
            words: words.to_owned(),
            next_ms: None,
        }]
    };
    match &version.triggers {
        None => said("builds what is pushed, and looks for changes where pushes are not known"),
        Some(triggers) if triggers.is_empty() => said("is started by people only"),
        Some(triggers) => triggers
            .iter()
            .zip(0_i64..)
            .map(|(trigger, position)| ShownTrigger {
                words: trigger.in_words(),
                next_ms: next(&trigger.kind, position),
            })
            .collect(),
    }
}
