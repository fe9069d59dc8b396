//! Looks at repositories whose pushes nobody tells us of, and, more and more rarely, at those with webhooks: these may be
//! lost. A look that finds something becomes an entry in the ledger; one that finds nothing leaves no trace but the time
//! of the look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use madake_domain::cron::CronSchedule;
use madake_domain::hearing::{GRACE_MS, Hearing};
use madake_domain::key::PlanKey;
use madake_domain::plan::{PlanConfiguration, Trigger, TriggerKind};
use madake_domain::repository::RepositoryKind;
use madake_domain::text::counted;
use madake_store::event::{self, Content, NewEvent, RefUpdate, Via};
use madake_store::plan;
use madake_store::plan_timer;
use madake_store::repository::{self, Repository};
use madake_store::{Millis, hearing};

use crate::decide::{has_tag_trigger, would_act};
use crate::listening::moved;
use crate::{Engine, EngineError, clock, telling};

/// When each plan is looked at next. Kept in memory: after a start every plan is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    due: Mutex<HashMap<Whose, Due>>,
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

/// What a look is remembered under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    /// A plan, by its id.
    Plan(i64),
    /// A plan branch with polling triggers of its own, by its id.
    Branch(i64),
    /// A repository with receivers, by its id.
    Repository(i64),
}

/// What may be due for a look: a plan, or a plan branch with triggers of its own.
struct Looking {
    whose: Whose,
    plan_id: i64,
    branch: Option<PlanKey>,
    version_id: i64,
    /// A plan branch builds tags by triggers of its own; tags are looked for with the plan.
    branch_tags: bool,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    version_id: i64,
    branch_tags: bool,
    at: Instant,
}

/// Why a repository is looked at for a plan, and how often.
enum Rhythm {
    /// The plan polls at this interval, which webhooks stretch.
    Every(Duration),
    /// The plan polls at these times.
    Cron(Box<CronSchedule>),
    /// The plan builds on pushes that webhooks tell of; now and then it is seen whether they told of all.
    Net,
}

/// A look that is due.
struct DueLook {
    found: Repository,
    /// The plans that poll.
    polling: Vec<i64>,
    /// The plan branches that poll by triggers of their own, with their plans.
    branches: Vec<(i64, PlanKey)>,
    /// Under what it is remembered when the next one is due.
    keys: Vec<Whose>,
}

impl DueLook {
    fn of(found: &Repository) -> Self {
        Self {
            found: found.clone(),
            polling: Vec::new(),
            branches: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// Looks at each repository for which a plan's look is due, once for all of its plans.
pub(crate) async fn run(engine: &Engine) -> Result<(), EngineError> {
    let mut looking = looking(engine).await?;
    let waits = |key: Whose, version_id: i64, branch_tags: bool| {
        let looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&key).is_some_and(|due| {
            due.version_id == version_id && due.branch_tags == branch_tags && Instant::now() < due.at
        })
    };
    {
        // Of what is gone nothing is remembered.
        let present: HashSet<Whose> = looking.iter().map(|one| one.whose).collect();
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|whose, _| matches!(whose, Whose::Repository(_)) || present.contains(whose));
    }
    looking.retain(|one| !waits(one.whose, one.version_id, one.branch_tags));
    let mut told: Vec<(Whose, Repository)> = telling::linked_with_receivers(engine)
        .await?
        .into_iter()
        .map(|found| (Whose::Repository(found.id), found))
        .collect();
    told.retain(|(key, _)| !waits(*key, 0, false));
    if looking.is_empty() && told.is_empty() {
        return Ok(());
    }
    let heard = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(hearing::all(tx)?))
        .await?;
    let heard: HashMap<i64, Hearing> = heard
        .into_iter()
        .map(|one| (one.repository_id, one.hearing))
        .collect();
    let mut due: BTreeMap<i64, DueLook> = BTreeMap::new();
    for one in &looking {
        let configuration = engine.configuration(one.version_id).await?;
        let id = one.plan_id;
        let rows = engine.store().read(move |tx| plan::repositories(tx, id)).await?;
        let mut next = Duration::from_secs(3600);
        for row in &rows {
            let Some(found) = engine.repository_of(row).await? else {
                continue;
            };
            let Some(rhythm) = rhythm(engine, &configuration, &found, one.branch_tags) else {
                continue;
            };
            if one.branch.is_some() && matches!(rhythm, Rhythm::Net) {
                // The plan has the net.
                continue;
            }
            next = next.min(match &rhythm {
                Rhythm::Every(period) => stretched(&heard, &found, *period),
                Rhythm::Cron(schedule) => until_next(engine, schedule),
                Rhythm::Net => stretched(&heard, &found, server_interval(engine)),
            });
            let look = due.entry(found.id).or_insert_with(|| DueLook::of(&found));
            look.keys.push(one.whose);
            match &one.branch {
                Some(key) => look.branches.push((id, key.clone())),
                None if !matches!(rhythm, Rhythm::Net) => look.polling.push(id),
                None => {}
            }
        }
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        looks.insert(
            one.whose,
            Due {
                version_id: one.version_id,
                branch_tags: one.branch_tags,
                at: Instant::now() + next,
            },
        );
    }
    for (key, found) in told {
        let at = Instant::now() + stretched(&heard, &found, server_interval(engine));
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        looks.insert(
            key,
            Due {
                version_id: 0,
                branch_tags: false,
                at,
            },
        );
        drop(looks);
        let look = due.entry(found.id).or_insert_with(|| DueLook::of(&found));
        look.keys.push(key);
    }
    for (_, due) in due {
        let engine = engine.clone();
        // A host that hangs keeps only its own look waiting.
        engine.loops().clone().spawn(async move {
            let name = due.found.name.clone();
            if let Err(error) = look(&engine, due).await {
                tracing::warn!(repository = %name, "polling {name} failed: {error}");
            }
        });
    }
    Ok(())
}

/// When a plan, or a plan branch with polling triggers of its own, is looked at next, in milliseconds since 1970.
pub(crate) fn next_look(engine: &Engine, plan_id: i64, own_branch: Option<i64>) -> Option<Millis> {
    let whose = own_branch.map_or(Whose::Plan(plan_id), Whose::Branch);
    let looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
    let due = looks.get(&whose)?;
    let wait = due.at.saturating_duration_since(Instant::now());
    Some(clock::now_ms() + i64::try_from(wait.as_millis()).unwrap_or(0))
}

/// The plans that may build, and their branches with polling triggers of their own.
async fn looking(engine: &Engine) -> Result<Vec<Looking>, EngineError> {
    let (plans, own) = engine
        .store()
        .read(|tx| Ok::<_, EngineError>((plan::all(tx)?, plan_timer::own_versions(tx)?)))
        .await?;
    let versions: HashMap<i64, i64> = plans.iter().map(|one| (one.id, one.version_id)).collect();
    let mut looking: Vec<Looking> = plans
        .into_iter()
        .filter(|one| one.enabled)
        .map(|one| Looking {
            whose: Whose::Plan(one.id),
            plan_id: one.id,
            branch: None,
            version_id: one.version_id,
            branch_tags: false,
        })
        .collect();
    let mut tagged = HashSet::new();
    for one in own {
        let Some(of_plan) = versions.get(&one.plan_id) else {
            continue;
        };
        let of_plan = engine.configuration(*of_plan).await?;
        let version = engine.configuration(one.version_id).await?;
        let polls = |trigger: &Trigger| matches!(trigger.kind, TriggerKind::Polling { .. });
        if version.triggers == of_plan.triggers {
            continue;
        }
        if has_tag_trigger(&version) {
            tagged.insert(one.plan_id);
        }
        if version.triggers.iter().flatten().any(polls) {
            looking.push(Looking {
                whose: Whose::Branch(one.plan_branch_id),
                plan_id: one.plan_id,
                branch: Some(one.key),
                version_id: one.version_id,
                branch_tags: false,
            });
        }
    }
    for one in looking.iter_mut().filter(|one| one.branch.is_none()) {
        one.branch_tags = tagged.contains(&one.plan_id);
    }
    Ok(looking)
}

/// The pause before the next look, where this is the shortest.
fn stretched(heard: &HashMap<i64, Hearing>, found: &Repository, period: Duration) -> Duration {
    let known = heard.get(&found.id).cloned().unwrap_or_default();
    let shortest = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
    Duration::from_millis(known.pause_ms(shortest).unsigned_abs())
}

fn server_interval(engine: &Engine) -> Duration {
    Duration::from_secs(engine.settings().poll_seconds.max(1))
}

/// How a plan wants a repository to be polled: by its polling triggers, or, when it says nothing of triggers and
/// pushes are not known, at the server's interval (bamboo-specs.md 3.9). Of a linked repository pushes are known by
/// webhooks, which may be lost: a plan that relies on them has a net. `branch_tags`: a plan branch of it builds tags.
fn rhythm(
    engine: &Engine,
    configuration: &PlanConfiguration,
    found: &Repository,
    branch_tags: bool,
) -> Option<Rhythm> {
    let default = server_interval(engine);
    let net = (found.kind == RepositoryKind::Linked && found.hears_pushes).then_some(Rhythm::Net);
    let Some(triggers) = &configuration.triggers else {
        return if found.pushes_known() {
            net
        } else {
            Some(Rhythm::Every(default))
        };
    };
    let polled = triggers.iter().find_map(|trigger| {
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
    });
    // Nobody tells of new tags there: they are looked for as often as for anything else.
    let tags = (!found.pushes_known() && (branch_tags || has_tag_trigger(configuration)))
        .then_some(Rhythm::Every(default));
    polled.or(tags).or(net.filter(|_| !triggers.is_empty()))
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

async fn look(engine: &Engine, due: DueLook) -> Result<(), EngineError> {
    let DueLook {
        found,
        polling,
        branches,
        keys,
    } = due;
    let began_ms = clock::now_ms();
    let read = engine.refs(&found).await?;
    let moved = moved::since_last_look(engine, &found, &read).await?;
    let acting = would_act(engine, &found, (polling, None), &read, &moved).await?;
    let mut acting_branches = Vec::new();
    for (plan_id, key) in branches {
        let only = (vec![plan_id], Some(key.clone()));
        if !would_act(engine, &found, only, &read, &moved).await?.is_empty() {
            acting_branches.push((plan_id, key.to_string()));
        }
    }
    let moves = !moved.is_empty();
    let mut entered = None;
    // First, as deciding the look remembers all refs.
    if found.hears_pushes {
        entered = enter_untold(engine, &found, moved).await?;
    }
    let tells = entered.is_none() && moves && telling::has_receivers(engine, found.id)?;
    if !acting.is_empty() || !acting_branches.is_empty() || tells {
        let new = NewEvent {
            kind: "poll",
            delivery_id: None,
            address: String::new(),
            principal: "polling".into(),
            repository_id: Some(found.id),
            plan_key: None,
            summary: format!("a look at {} found changes", found.name),
            raw: Vec::new(),
            content: Content::Poll {
                plans: acting,
                branches: acting_branches,
            },
        };
        entered = Some(
            engine
                .store()
                .write(move |tx| event::receive(tx, new, clock::now_ms()))
                .await?
                .id(),
        );
    }
    if found.kind != RepositoryKind::Linked {
        return Ok(());
    }
    note_look(engine, found.id, began_ms, entered, &keys).await
}

/// Enters refs of a repository with webhooks that moved without one.
async fn enter_untold(
    engine: &Engine,
    found: &Repository,
    updates: Vec<RefUpdate>,
) -> Result<Option<i64>, EngineError> {
    let id = found.id;
    let awaited = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::is_awaited(tx, id)?));
    // What waits to be decided reads the refs itself.
    if updates.is_empty() || awaited.await? {
        return Ok(None);
    }
    let new = NewEvent {
        kind: "reconciliation",
        delivery_id: None,
        address: String::new(),
        principal: "polling".into(),
        repository_id: Some(id),
        plan_key: None,
        summary: format!(
            "{} of {} had moved and no webhook told so",
            counted(updates.len(), "ref"),
            found.name
        ),
        raw: Vec::new(),
        content: Content::Push {
            via: Via::Reconciliation,
            updates,
            pusher: None,
            options: Vec::new(),
        },
    };
    let received = engine
        .store()
        .write(move |tx| event::receive(tx, new, clock::now_ms()))
        .await?;
    Ok(Some(received.id()))
}

/// Notes what a look came to. What it found counts as missed unless a webhook comes along in a moment; then the
/// repository is looked at often again.
async fn note_look(
    engine: &Engine,
    repository_id: i64,
    began_ms: Millis,
    entered: Option<i64>,
    keys: &[Whose],
) -> Result<(), EngineError> {
    let heard = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(hearing::of(tx, repository_id)?))
        .await?;
    let mut missed = None;
    if entered.is_some() && heard.hearing.told_ms.is_some() {
        let grace = Duration::from_millis(GRACE_MS.unsigned_abs());
        tokio::select! {
            () = engine.stopping().cancelled() => return Ok(()),
            () = tokio::time::sleep(grace) => {}
        }
        let heard = engine
            .store()
            .read(move |tx| Ok::<_, EngineError>(hearing::of(tx, repository_id)?))
            .await?;
        if !heard.hearing.announces(began_ms) {
            missed = entered;
        }
    }
    engine
        .store()
        .write(move |tx| hearing::note_looked(tx, repository_id, began_ms, missed))
        .await?;
    if missed.is_some() {
        let mut looks = engine.looks().due.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            looks.remove(key);
        }
    }
    Ok(())
}
