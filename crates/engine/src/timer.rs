//! Cron triggers: each is entered in the ledger when it is due, once, whatever number of nodes look.
//!
//! A time that passed while the server was away is made up for once, not once for each time that was missed.

use std::time::Duration;

use madake_domain::cron::CronSchedule;
use madake_domain::plan::TriggerKind;
use madake_store::event::{self, Content, NewEvent};
use madake_store::plan;

use crate::{Engine, EngineError, clock};

/// Enters the cron triggers that are due and says when the next one is.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let plans = engine
        .store()
        .read(|tx| Ok::<_, EngineError>((plan::all(tx)?, plan::timers(tx)?)))
        .await?;
    let (plans, timers) = plans;
    let mut next_wait = None;
    for one in plans.iter().filter(|one| one.enabled) {
        let configuration = engine.configuration(one.version_id).await?;
        for (trigger, position) in configuration.triggers.iter().flatten().zip(0_i64..) {
            let TriggerKind::Cron { expression } = &trigger.kind else {
                continue;
            };
            let Ok(schedule) = CronSchedule::parse(expression) else {
                continue;
            };
            let known = timers
                .iter()
                .find(|(plan_id, at, _)| *plan_id == one.id && *at == position)
                .map(|(.., at)| *at);
            let wait = tick(engine, one, position, expression, &schedule, known).await?;
            next_wait = match (next_wait, wait) {
                (Some(least), Some(wait)) => Some(std::cmp::min(least, wait)),
                (least, wait) => least.or(wait),
            };
        }
    }
    Ok(next_wait)
}

async fn tick(
    engine: &Engine,
    one: &plan::Plan,
    position: i64,
    expression: &str,
    schedule: &CronSchedule,
    known: Option<i64>,
) -> Result<Option<Duration>, EngineError> {
    let now = clock::now();
    let next = schedule.next_after(&now.to_zoned(engine.settings().time_zone.clone()));
    let next_ms = next.map(|next| next.timestamp().as_millisecond());
    let now_ms = now.as_millisecond();
    if known.is_none_or(|due| due <= now_ms) {
        let (plan_id, key, expression) = (one.id, one.key.clone(), expression.to_owned());
        engine
            .store()
            .write(move |tx| {
                // The guard: whoever moves the timer on enters the arrival.
                let current = plan::timers(tx)?
                    .into_iter()
                    .find(|(plan, at, _)| *plan == plan_id && *at == position)
                    .map(|(.., at)| at);
                if current != known {
                    return Ok(());
                }
                plan::set_timer(tx, plan_id, position, next_ms)?;
                if known.is_none() {
                    // The trigger is new: its first time is in the future.
                    return Ok(());
                }
                let new = NewEvent {
                    kind: "cron",
                    delivery_id: None,
                    address: String::new(),
                    principal: "scheduler".into(),
                    repository_id: plan::repositories(tx, plan_id)?
                        .first()
                        .and_then(|row| row.repository_id),
                    plan_key: Some(key.to_string()),
                    summary: format!("the cron trigger `{expression}` of {key} was due"),
                    raw: Vec::new(),
                    content: Content::Cron { plan_id, expression },
                };
                event::receive(tx, new, now_ms).map(|_| ())
            })
            .await?;
        return Ok(
            next_ms.map(|next| Duration::from_millis(u64::try_from(next - now_ms).unwrap_or(0).max(1)))
        );
    }
    Ok(known.map(|due| Duration::from_millis(u64::try_from(due - now_ms).unwrap_or(0).max(1))))
}
