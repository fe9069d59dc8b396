//! Cron triggers of plans, and of plan branches whose own file has other triggers: each is entered in the ledger when it
//! is due, once, whatever number of nodes look.
//!
//! A time that passed while the server was away is made up for once, not once for each time that was missed. A time that
//! comes while what an earlier one asked for still waits is passed over, so that a trigger for each second asks for no
//! more than is built.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use madake_domain::cron::CronSchedule;
use madake_domain::cron::timer::{KeptMoment, Tick};
use madake_domain::key::PlanKey;
use madake_domain::plan::{PlanConfiguration, TriggerKind};
use madake_store::event::{self, Content, NewEvent};
use madake_store::plan_timer::{self, Timer, TimerKey};
use madake_store::{Tx, plan};

use crate::{Engine, EngineError, clock};

/// A plan, or a plan branch, with the triggers that count for it.
struct Timed {
    plan_id: i64,
    plan_branch_id: i64,
    /// The key of a plan branch with triggers of its own; `None`: of the plan.
    branch: Option<PlanKey>,
    key: PlanKey,
    version_id: i64,
    configuration: Arc<PlanConfiguration>,
}

/// Enters the cron triggers that are due and says when the next one is.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let timers = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(plan_timer::all(tx)?))
        .await?;
    let known: HashMap<TimerKey, Timer> = timers.into_iter().map(|timer| (timer.key, timer)).collect();
    let mut seen = BTreeSet::new();
    let mut next_wait = None;
    for one in timed(engine).await? {
        for (trigger, position) in one.configuration.triggers.iter().flatten().zip(0_i64..) {
            let TriggerKind::Cron { expression } = &trigger.kind else {
                continue;
            };
            let Ok(schedule) = CronSchedule::parse(expression) else {
                continue;
            };
            let key = TimerKey {
                plan_branch_id: one.plan_branch_id,
                version_id: one.version_id,
                position,
            };
            seen.insert(key);
            let wait = tick(
                engine,
                &one,
                (key, known.get(&key).copied()),
                expression,
                &schedule,
            )
            .await?;
            next_wait = [next_wait, wait].into_iter().flatten().min();
        }
    }
    let gone: Vec<TimerKey> = known.into_keys().filter(|key| !seen.contains(key)).collect();
    if !gone.is_empty() {
        engine
            .store()
            .write(move |tx| gone.into_iter().try_for_each(|key| plan_timer::forget(tx, key)))
            .await?;
    }
    Ok(next_wait)
}

/// The plans and plan branches that may build, with the triggers that count for each.
async fn timed(engine: &Engine) -> Result<Vec<Timed>, EngineError> {
    let (plans, own) = engine
        .store()
        .read(|tx| {
            let masters = plan_timer::masters(tx)?;
            let plans: Vec<_> = plan::all(tx)?
                .into_iter()
                .filter(|one| one.enabled)
                .filter_map(|one| Some((*masters.get(&one.id)?, one)))
                .collect();
            Ok::<_, EngineError>((plans, plan_timer::own_versions(tx)?))
        })
        .await?;
    let mut all = Vec::with_capacity(plans.len());
    let mut by_plan = HashMap::new();
    for (plan_branch_id, one) in plans {
        let configuration = engine.configuration(one.version_id).await?;
        by_plan.insert(one.id, Arc::clone(&configuration));
        all.push(Timed {
            plan_id: one.id,
            plan_branch_id,
            branch: None,
            key: one.key,
            version_id: one.version_id,
            configuration,
        });
    }
    for one in own {
        let configuration = engine.configuration(one.version_id).await?;
        // What it has from the plan, the plan's timer does for it.
        if by_plan
            .get(&one.plan_id)
            .is_some_and(|of_plan| of_plan.triggers != configuration.triggers)
        {
            all.push(Timed {
                plan_id: one.plan_id,
                plan_branch_id: one.plan_branch_id,
                branch: Some(one.key.clone()),
                key: one.key,
                version_id: one.version_id,
                configuration,
            });
        }
    }
    Ok(all)
}

async fn tick(
    engine: &Engine,
    one: &Timed,
    (key, known): (TimerKey, Option<Timer>),
    expression: &str,
    schedule: &CronSchedule,
) -> Result<Option<Duration>, EngineError> {
    let now = clock::now();
    let now_ms = now.as_millisecond();
    let kept = known.map(|timer| KeptMoment {
        next_ms: timer.next_ms,
        set_ms: timer.set_ms,
    });
    let tick = schedule.tick(kept, &now.to_zoned(engine.settings().time_zone.clone()));
    let due = match tick {
        Tick::Wait(due) => due,
        Tick::Set(next_ms) | Tick::Run(next_ms) => {
            let arrival = matches!(tick, Tick::Run(_)).then(|| NewEvent {
                kind: "cron",
                delivery_id: None,
                address: String::new(),
                principal: "scheduler".into(),
                repository_id: None,
                plan_key: Some(one.key.to_string()),
                summary: format!("the cron trigger `{expression}` of {} was due", one.key),
                raw: Vec::new(),
                content: Content::Cron {
                    plan_id: one.plan_id,
                    expression: expression.to_owned(),
                    branch: one.branch.as_ref().map(ToString::to_string),
                },
            });
            let plan_id = one.plan_id;
            let next = Timer {
                key,
                next_ms,
                set_ms: now_ms,
                event_id: known.and_then(|timer| timer.event_id),
            };
            engine
                .store()
                .write(move |tx| move_on(tx, known, next, plan_id, arrival))
                .await?;
            next_ms
        }
    };
    Ok(due.map(|due| Duration::from_millis(u64::try_from(due - now_ms).unwrap_or(0).max(1))))
}

/// Moves a timer on and enters its arrival, unless another node did, or what it asked for last still waits.
fn move_on(
    tx: &Tx<'_>,
    known: Option<Timer>,
    mut next: Timer,
    plan_id: i64,
    arrival: Option<NewEvent>,
) -> Result<(), EngineError> {
    if plan_timer::of(tx, next.key)? != known {
        return Ok(());
    }
    if let Some(mut arrival) = arrival {
        let pending = match next.event_id {
            Some(event_id) => plan_timer::is_pending(tx, event_id)?,
            None => false,
        };
        if !pending {
            arrival.repository_id = plan::repositories(tx, plan_id)?
                .first()
                .and_then(|row| row.repository_id);
            next.event_id = Some(event::receive(tx, arrival, next.set_ms)?.id());
        }
    }
    Ok(plan_timer::set(tx, next)?)
}
