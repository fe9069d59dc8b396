//! Looks at repositories whose pushes nobody tells us of. A look that finds something for a plan becomes an entry
//! in the ledger; one that finds nothing leaves no trace but the time of the look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use madake_domain::cron::CronSchedule;
use madake_domain::plan::{PlanConfiguration, TriggerKind};
use madake_store::event::{self, Content, NewEvent};
use madake_store::plan;
use madake_store::repository::Repository;

use crate::decide::would_act;
use crate::{Engine, EngineError, clock, telling};

/// When each plan is looked at next. Kept in memory: after a start every plan is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    due: Mutex<HashMap<i64, Due>>,
    told: Mutex<HashSet<String>>,
}

/// How many refusals are remembered as told; beyond, they are told again.
const TOLD_LIMIT: usize = 50_000;

impl Looks {
    /// Whether a refusal has not been entered since the start.
    pub(crate) fn is_news(&self, refusal: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_LIMIT {
            told.clear();
        }
        told.insert(refusal.to_owned())
    }
}

#[derive(Debug, Clone, Copy)]
struct Due {
    version_id: i64,
    at: Instant,
}

/// How often a plan is to be looked at.
enum Rhythm {
    Every(Duration),
    Cron(Box<CronSchedule>),
}

/// Looks at each repository for which a plan's look is due, once for all of its plans.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let plans = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(plan::all(tx)?))
        .await?;
    let mut due: BTreeMap<i64, (Repository, Vec<i64>)> = BTreeMap::new();
    for one in plans.iter().filter(|one| one.enabled) {
        let waits = {
            let looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
            looks
                .get(&one.id)
                .is_some_and(|due| due.version_id == one.version_id && Instant::now() < due.at)
        };
        if waits {
            continue;
        }
        let configuration = engine.configuration(one.version_id).await?;
        let id = one.id;
        let rows = engine.store().read(move |tx| plan::repositories(tx, id)).await?;
        let mut next = Duration::from_secs(3600);
        for row in &rows {
            let Some(found) = engine.repository_of(row).await? else {
                continue;
            };
            let Some(rhythm) = rhythm(engine, &configuration, &found) else {
                continue;
            };
            next = next.min(match &rhythm {
                Rhythm::Every(period) => *period,
                Rhythm::Cron(schedule) => until_next(engine, schedule),
            });
            due.entry(found.id)
                .or_insert_with(|| (found.clone(), Vec::new()))
                .1
                .push(one.id);
        }
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        looks.insert(
            one.id,
            Due {
                version_id: one.version_id,
                at: Instant::now() + next,
            },
        );
    }
    for found in telling::linked_with_receivers(engine).await? {
        // Ids of plans are positive, so the two never meet.
        let key = -found.id;
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.get(&key).is_some_and(|due| Instant::now() < due.at) {
            continue;
        }
        let at = Instant::now() + Duration::from_secs(engine.settings().poll_seconds.max(1));
        looks.insert(key, Due { version_id: 0, at });
        drop(looks);
        due.entry(found.id).or_insert_with(|| (found, Vec::new()));
    }
    for (_, (found, plan_ids)) in due {
        let engine = engine.clone();
        // A host that hangs keeps only its own look waiting.
        engine.loops().clone().spawn(async move {
            if let Err(error) = look(&engine, &found, plan_ids).await {
                tracing::warn!(repository = %found.name, "polling {} failed: {error}", found.name);
            }
        });
    }
    Ok(())
}

/// How a plan wants a repository to be polled: by its polling triggers, or, when it says nothing of triggers and
/// pushes are not known, at the server's interval (bamboo-specs.md 3.9).
fn rhythm(engine: &Engine, configuration: &PlanConfiguration, found: &Repository) -> Option<Rhythm> {
    let default = Duration::from_secs(engine.settings().poll_seconds.max(1));
    let Some(triggers) = &configuration.triggers else {
        return (!found.pushes_known()).then_some(Rhythm::Every(default));
    };
    triggers.iter().find_map(|trigger| {
        let named = trigger.repositories.is_empty()
            || trigger
                .repositories
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&found.name));
        match &trigger.kind {
            TriggerKind::Polling { cron: Some(cron), .. } if named => CronSchedule::parse(cron)
                .ok()
                .map(|schedule| Rhythm::Cron(Box::new(schedule))),
            TriggerKind::Polling { period_seconds, .. } if named => Some(Rhythm::Every(
                period_seconds.map_or(default, |period| Duration::from_secs(period.max(1))),
            )),
            _ => None,
        }
    })
}

fn until_next(engine: &Engine, schedule: &CronSchedule) -> Duration {
    let now = clock::now().to_zoned(engine.settings().time_zone.clone());
    match schedule.next_after(&now) {
        Some(next) => {
            let wait = next.timestamp().as_millisecond() - now.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(1))
        }
        None => Duration::from_secs(24 * 3600),
    }
}

async fn look(engine: &Engine, found: &Repository, plan_ids: Vec<i64>) -> Result<(), EngineError> {
    let read = engine.refs(found).await?;
    let acting = would_act(engine, found, plan_ids, &read).await?;
    if acting.is_empty() && telling::moved_since(engine, found, &read).await?.is_empty() {
        return Ok(());
    }
    let new = NewEvent {
        kind: "poll",
        delivery_id: None,
        address: String::new(),
        principal: "polling".into(),
        repository_id: Some(found.id),
        plan_key: None,
        summary: format!("a look at {} found changes", found.name),
        raw: Vec::new(),
        content: Content::Poll { plans: acting },
    };
    engine
        .store()
        .write(move |tx| event::receive(tx, new, clock::now_ms()))
        .await?;
    Ok(())
}
