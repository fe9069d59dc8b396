//! Step 4 of the walk, the part that reads and writes: gathers what the pure decision of
//! [`madake_domain::change`] looks at, and stores what it says together with the builds that come of it.

mod judge;
pub(crate) mod own_file;
mod pull_request;
mod record;
mod tags;
mod timers;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use madake_domain::change::{MovedRef, RefKind, Revision, Source};
use madake_domain::condition::Person;
use madake_domain::key::PlanKey;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::event::{self, Content, Event, RefUpdate, Via};
use madake_store::plan;
use madake_store::repository::{self, Repository};
use madake_vcs::git::host::set_head_branch;
use madake_vcs::name::{BranchName, ObjectId};

use self::judge::{Asked, AskedNews, Judged, heads_asked, heads_asked_without, judge, judge_loaded, load};
use self::record::{Verdict, store};
use self::tags::{hand_on, new_tags};
use crate::heads::RefsRead;
use crate::listening::moved;
use crate::reading::{Named, named, refs_of_branch};
use crate::telling::Prepared;
use crate::{Engine, EngineError, clock, specs, telling};

pub(crate) use self::judge::would_act;
pub(crate) use self::record::set_version;
pub(crate) use self::tags::has_tag_trigger;

/// How many decisions that nothing comes of share a transaction: enough to share its cost, and few enough that the
/// arrivals of a flood, which use the same writer and the same processor, hardly wait for it.
const TOGETHER: usize = 32;

/// Decides arrivals of one repository in their order and stores the decisions, the builds, and that the arrivals are
/// decided. `decided` counts those that are done, also when a later one fails.
///
/// # Errors
/// Why the arrival behind the decided ones cannot be decided now.
pub(crate) async fn decide_events(
    engine: &Engine,
    events: &[Event],
    decided: &mut usize,
) -> Result<(), EngineError> {
    while let Some(event) = events.get(*decided) {
        if engine.stopping().is_cancelled() {
            break;
        }
        let webhooks = events[*decided..]
            .iter()
            .take_while(|one| is_webhook(one))
            .count();
        if webhooks > 0 {
            let together = *decided..*decided + webhooks;
            decide_webhooks(engine, &events[together], decided).await?;
        } else {
            decide_event(engine, event).await?;
            *decided += 1;
        }
    }
    Ok(())
}

fn is_webhook(event: &Event) -> bool {
    matches!(
        event.content,
        Content::Push {
            via: Via::Webhook,
            ..
        }
    )
}

async fn decide_event(engine: &Engine, event: &Event) -> Result<(), EngineError> {
    match &event.content {
        Content::Push {
            via, updates, pusher, ..
        } => push(engine, event, *via, updates, pusher.as_deref()).await,
        Content::RemoteTrigger {
            plan_key,
            skip_branches,
        } => remote_trigger(engine, event, plan_key, *skip_branches).await,
        Content::Poll { plans, branches } => poll(engine, event, plans, branches).await,
        Content::Cron {
            plan_id,
            expression,
            branch,
        } => {
            let source = Source::Cron {
                expression: expression.clone(),
            };
            whether_or_not_changed(engine, event, *plan_id, source, branch.as_deref()).await
        }
        Content::Deployment {
            plan_id,
            target,
            project,
            environment,
            release,
            ..
        } => {
            let source = Source::Deployment {
                project: project.clone(),
                environment: environment.clone(),
                release: release.clone(),
            };
            whether_or_not_changed(engine, event, *plan_id, source, Some(target)).await
        }
        Content::Parent {
            plan_id,
            target,
            build,
            ..
        } => parent(engine, event, *plan_id, target, build).await,
        Content::PullRequest { told } => pull_request::pull_request(engine, event, told).await,
        Content::Request { .. } | Content::Refused => close(engine, event, "nothing is to be decided").await,
    }
}

/// Webhooks are hints, and may come in thousands: the refs themselves are read once for those that wait together,
/// and those of which nothing comes share a transaction.
async fn decide_webhooks(engine: &Engine, events: &[Event], decided: &mut usize) -> Result<(), EngineError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(());
    };
    let Some(found) = repository_of(engine, first).await? else {
        for event in events {
            close(engine, event, "the repository is gone").await?;
            *decided += 1;
        }
        return Ok(());
    };
    let told: Vec<RefUpdate> = events
        .iter()
        .flat_map(|event| moved_refs(event).0)
        .cloned()
        .collect();
    let found = follow_default_branch(engine, found, &told).await?;
    let read = engine.refs_since(&found, last.received_ms).await?;
    // A look sees what no webhook names, too: a ref that its sender does not tell, and one whose webhook was lost.
    // What has moved since the last look is told once, with the first of those that wait together.
    let mut to_tell = moved::since_last_look(engine, &found, &read).await?;
    let untold = moved::untold(&to_tell, &told);
    // They go with the first, so that a crash between two parts loses none of them.
    let with_untold = [moved_refs(first).0, &untold].concat();
    let news_of = |event: &Event| (event.id == first.id).then_some(with_untold.as_slice());
    for event in events {
        let updates = news_of(event).unwrap_or_else(|| moved_refs(event).0);
        // What is put in force is the plan file that is there now: once is enough.
        if apply_plan_files(engine, event, &found, updates, Some(&read)).await? {
            break;
        }
    }
    let mut tags = new_tags(&found, &to_tell);
    let plan_ids = plans_of(engine, found.id).await?;
    let mut plans = load(engine, Some(&found), plan_ids.clone()).await?;
    let mut verdicts = Vec::new();
    for event in events {
        let (updates, pusher) = moved_refs(event);
        let (moved, current_heads) =
            as_news(&found, news_of(event).unwrap_or(updates), Some(&read), &read.refs);
        let asked = Asked {
            tags: std::mem::take(&mut tags),
            received_ms: event.received_ms,
            ..push_asked(&found, Via::Webhook, moved, current_heads, pusher)
        };
        let judged = match judge_loaded(engine, Some(&found), &plans, &asked).await {
            Ok(judged) => judged,
            Err(error) => {
                let done = verdicts.len();
                store(engine, verdicts, Some(&found), Some(&read)).await?;
                *decided += done;
                return Err(error);
            }
        };
        let acts = judged.iter().any(Judged::acts);
        let told = telling::prepare(engine, event, &found, &std::mem::take(&mut to_tell), pusher).await?;
        let tells = !told.deliveries.is_empty();
        let mut verdict = verdict(event, judged, told);
        if event.id == first.id && !untold.is_empty() && !updates.is_empty() {
            let note = format!(
                "{} refs that no webhook named had moved, too: they were found when the refs were read",
                untold.len()
            );
            verdict.notes.push(("warning", note));
        }
        verdicts.push(verdict);
        if acts || tells || (verdicts.len() >= TOGETHER && event.id != last.id) {
            let done = verdicts.len();
            // After a part that nothing comes of, the refs are remembered with the rest.
            let read = (acts || tells).then_some(&read);
            store(engine, std::mem::take(&mut verdicts), Some(&found), read).await?;
            *decided += done;
        }
        if acts {
            plans = load(engine, Some(&found), plan_ids.clone()).await?;
        }
    }
    let done = verdicts.len();
    store(engine, verdicts, Some(&found), Some(&read)).await?;
    *decided += done;
    Ok(())
}

fn moved_refs(event: &Event) -> (&[RefUpdate], Option<&str>) {
    match &event.content {
        Content::Push { updates, pusher, .. } => (updates, pusher.as_deref()),
        _ => (&[], None),
    }
}

fn verdict(event: &Event, judged: Vec<Judged>, told: Prepared) -> Verdict {
    Verdict {
        event: event.clone(),
        judged,
        deliveries: told.deliveries,
        notes: told.notes,
        tags: Vec::new(),
        pull_request_id: None,
    }
}

async fn plans_of(engine: &Engine, repository_id: i64) -> Result<Vec<i64>, EngineError> {
    engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::using_repository(tx, repository_id)?))
        .await
}

fn push_asked(
    found: &Repository,
    via: Via,
    moved: Vec<MovedRef>,
    current_heads: BTreeMap<String, Option<Revision>>,
    pusher: Option<&str>,
) -> Asked {
    Asked {
        source: Source::Push,
        news: AskedNews::Moved(moved),
        current_heads,
        pusher: pusher.map(|name| Person {
            name: name.to_owned(),
            email: None,
        }),
        // A reconciliation finds what nobody told us of; without our hook it is no call of the repository's host.
        remote_counts: found.kind == RepositoryKind::Hosted
            || (found.kind == RepositoryKind::Attached && found.hook_installed),
        pushes_known: found.pushes_known() || via == Via::Reconciliation,
        tags: Vec::new(),
        received_ms: clock::now_ms(),
        only: None,
    }
}

/// A push that was not told by a webhook: to us, to an attached repository, or found by reconciliation.
async fn push(
    engine: &Engine,
    event: &Event,
    via: Via,
    updates: &[RefUpdate],
    pusher: Option<&str>,
) -> Result<(), EngineError> {
    let Some(found) = repository_of(engine, event).await? else {
        return close(engine, event, "the repository is gone").await;
    };
    let found = follow_default_branch(engine, found, updates).await?;
    // A linked repository is elsewhere: what is really there is read.
    let read = if found.kind == RepositoryKind::Linked {
        Some(engine.refs_since(&found, event.received_ms).await?)
    } else {
        None
    };
    // All that is read is remembered: what has moved since these refs were found is news with them.
    let since = match &read {
        Some(read) => moved::since_last_look(engine, &found, read).await?,
        None => Vec::new(),
    };
    let updates = &followed_by(updates, since)[..];
    apply_plan_files(engine, event, &found, updates, read.as_ref()).await?;
    let beside = beside_bookmarks(engine, &found, updates, read.as_ref()).await?;
    let (moved, mut current_heads) = as_news(&found, updates, read.as_ref(), &beside);
    if read.is_none() {
        add_late_heads(engine, &found, updates, &mut current_heads).await?;
    }
    let plan_ids = plans_of(engine, found.id).await?;
    let asked = Asked {
        tags: new_tags(&found, updates),
        received_ms: event.received_ms,
        ..push_asked(&found, via, moved, current_heads, pusher)
    };
    let judged = judge(engine, Some(&found), plan_ids, &asked).await?;
    let told = telling::prepare(engine, event, &found, updates, pusher).await?;
    store(
        engine,
        vec![verdict(event, judged, told)],
        Some(&found),
        read.as_ref(),
    )
    .await
}

/// Refs that moved, and what moved after them. A ref that moved twice went from where it was first to where it is; one
/// that was deleted first was made anew.
fn followed_by(updates: &[RefUpdate], later: Vec<RefUpdate>) -> Vec<RefUpdate> {
    let mut all = updates.to_vec();
    let places: HashMap<&str, usize> = updates
        .iter()
        .enumerate()
        .filter(|(_, one)| one.new.is_some())
        .map(|(place, one)| (one.name.as_str(), place))
        .collect();
    for one in later {
        match places.get(one.name.as_str()) {
            Some(place) => all[*place].new = one.new,
            None => all.push(one),
        }
    }
    all
}

/// Gives an empty hosted repository the branch that was pushed first as its default branch, as the hosts that
/// people know do.
async fn follow_default_branch(
    engine: &Engine,
    mut found: Repository,
    updates: &[RefUpdate],
) -> Result<Repository, EngineError> {
    if found.kind != RepositoryKind::Hosted
        || engine
            .current_head(&found, &found.default_branch)
            .await?
            .is_some()
    {
        return Ok(found);
    }
    let made: Vec<String> = updates
        .iter()
        .filter(|update| update.new.is_some())
        .filter_map(|update| match named(found.scm, &update.name) {
            Named::Branch(name) => Some(name),
            Named::Bookmark(_) | Named::Tag(_) | Named::Other => None,
        })
        .collect();
    let preferred = made
        .iter()
        .find(|name| ["main", "master"].contains(&name.as_str()));
    let Some(branch) = preferred.or(made.first()).cloned() else {
        return Ok(found);
    };
    if found.scm == Scm::Git {
        let name = BranchName::parse(&branch).map_err(|error| EngineError::Invalid(error.to_string()))?;
        set_head_branch(engine.git(), Path::new(&found.path), &name)
            .await
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    }
    let (id, name) = (found.id, branch.clone());
    engine
        .store()
        .write(move |tx| repository::set_default_branch(tx, id, &name))
        .await?;
    found.default_branch = branch;
    Ok(found)
}

/// Puts plan files in force that the default branch brings, before anything is decided; says whether it did.
async fn apply_plan_files(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> Result<bool, EngineError> {
    let names = refs_of_branch(found.scm, &found.default_branch);
    let moved = |name: &String| updates.iter().find(|update| update.name == *name);
    let Some(update) = names.iter().find_map(moved) else {
        return Ok(false);
    };
    let newest = match read {
        Some(read) => read.head(&found.default_branch).cloned(),
        // A bookmark may have the name of a branch, which then counts.
        None if Some(&update.name) != names.first() => {
            engine.local_head(found, &found.default_branch).await?
        }
        None => update.new.clone(),
    };
    let parse = |id: &Option<String>| id.as_deref().and_then(|id| ObjectId::parse(id).ok());
    let Some(new) = parse(&newest) else {
        return Ok(false);
    };
    let folder = specs::folder_state(engine, found, &new).await?;
    if folder.is_none() || !found.specs_enabled {
        return Ok(false);
    }
    if let Some(old) = parse(&update.old)
        && engine.open_repository(found)?.exists(&old).await?
        && specs::folder_state(engine, found, &old).await? == folder
        && !specs::findings::had_errors(engine, found).await?
    {
        return Ok(false);
    }
    specs::apply::default_branch(engine, found, &new, Some(event.id)).await?;
    Ok(true)
}

/// For a push that was told late, after the ledger had gone on: where the branch is, so that what it brought is
/// recorded as superseded and does not take the branch back.
async fn add_late_heads(
    engine: &Engine,
    found: &Repository,
    updates: &[RefUpdate],
    current_heads: &mut BTreeMap<String, Option<Revision>>,
) -> Result<(), EngineError> {
    let (id, moved) = (found.id, updates.to_vec());
    let late = engine
        .store()
        .read(move |tx| {
            let mut late = Vec::new();
            for update in moved {
                let known = repository::ref_value(tx, id, &update.name)?;
                if known != update.new {
                    late.push((update.name, known));
                }
            }
            Ok::<_, EngineError>(late)
        })
        .await?;
    for (name, known) in late {
        if let Named::Branch(branch) | Named::Bookmark(branch) = named(found.scm, &name) {
            current_heads.insert(branch, known.as_deref().and_then(Revision::new));
        }
    }
    Ok(())
}

/// The refs that say whether a bookmark that moved has the name of a branch.
async fn beside_bookmarks(
    engine: &Engine,
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> Result<BTreeMap<String, String>, EngineError> {
    if let Some(read) = read {
        return Ok(read.refs.clone());
    }
    let branches: Vec<String> = updates
        .iter()
        .filter_map(|update| match named(found.scm, &update.name) {
            Named::Bookmark(name) => refs_of_branch(found.scm, &name).into_iter().next(),
            Named::Branch(_) | Named::Tag(_) | Named::Other => None,
        })
        .collect();
    if branches.is_empty() {
        return Ok(BTreeMap::new());
    }
    engine.open_repository(found)?.refs_named(&branches).await
}

/// What moved, as the judge has it, and where these branches are now. `beside` holds at least the branches that have
/// the name of a bookmark.
fn as_news(
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
    beside: &BTreeMap<String, String>,
) -> (Vec<MovedRef>, BTreeMap<String, Option<Revision>>) {
    let revision = |id: &Option<String>| id.as_deref().and_then(Revision::new);
    let mut current = BTreeMap::new();
    let moved = updates
        .iter()
        .map(|update| {
            let hidden = |name: &str| {
                let branch = refs_of_branch(found.scm, name).into_iter().next();
                branch.is_some_and(|branch| beside.contains_key(&branch))
            };
            let (kind, name) = match named(found.scm, &update.name) {
                Named::Branch(name) => (RefKind::Branch, name),
                Named::Bookmark(name) if !hidden(&name) => (RefKind::Branch, name),
                Named::Tag(name) => (RefKind::Tag, name),
                Named::Bookmark(_) | Named::Other => (RefKind::Other, update.name.clone()),
            };
            if let (RefKind::Branch, Some(read)) = (kind, read) {
                current.insert(name.clone(), read.head(&name).and_then(|id| Revision::new(id)));
            }
            MovedRef {
                kind,
                name,
                old: revision(&update.old),
                new: revision(&update.new),
            }
        })
        .collect();
    (moved, current)
}

async fn remote_trigger(
    engine: &Engine,
    event: &Event,
    plan_key: &str,
    skip_branches: bool,
) -> Result<(), EngineError> {
    let Ok(asked) = plan_key.parse::<PlanKey>() else {
        return close(engine, event, "the key is not a key").await;
    };
    let key = asked.clone();
    let found = engine
        .store()
        .read(move |tx| {
            let Some(branch) = plan::branch_by_key(tx, &key)? else {
                return Ok(None);
            };
            Ok::<_, EngineError>(Some((branch.plan_id, plan::repositories(tx, branch.plan_id)?)))
        })
        .await?;
    let Some((plan_id, rows)) = found else {
        return close(engine, event, "the plan is gone").await;
    };
    let mut judged = Vec::new();
    let mut first = None;
    let mut told = Prepared::default();
    let mut tags = Vec::new();
    for row in &rows {
        let Some(one) = engine.repository_of(row).await? else {
            continue;
        };
        let read = engine.refs_since(&one, event.received_ms).await?;
        apply_new_plan_file(engine, event, &one, &read).await?;
        let source = Source::RemoteTrigger {
            asked: asked.clone(),
            skip_branches,
        };
        let asked = Asked {
            received_ms: event.received_ms,
            ..heads_asked(&one, source, &read)
        };
        judged.extend(judge(engine, Some(&one), vec![plan_id], &asked).await?);
        // Of one repository alone it is remembered what was read.
        if first.is_none() {
            let mut moved = moved::since_last_look(engine, &one, &read).await?;
            tags = hand_on(engine, &one, &mut moved).await?;
            told = telling::prepare(engine, event, &one, &moved, None).await?;
            first = Some((one, read));
        }
    }
    if rows.is_empty() {
        return close(
            engine,
            event,
            "the plan has no repository, so nothing can have changed",
        )
        .await;
    }
    let (found, read) = match first {
        Some((found, read)) => (Some(found), Some(read)),
        None => {
            return close(
                engine,
                event,
                "none of the plan's repositories is known to this server",
            )
            .await;
        }
    };
    let verdict = Verdict {
        tags,
        ..verdict(event, judged, told)
    };
    store(engine, vec![verdict], found.as_ref(), read.as_ref()).await
}

async fn look_at_heads(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    asked_for: Vec<(Vec<i64>, Option<PlanKey>)>,
    source: Source,
) -> Result<(), EngineError> {
    let read = engine.refs(found).await?;
    apply_new_plan_file(engine, event, found, &read).await?;
    let mut moved = moved::since_last_look(engine, found, &read).await?;
    let tags = hand_on(engine, found, &mut moved).await?;
    let mut judged = Vec::new();
    for (plan_ids, only) in asked_for {
        let asked = Asked {
            received_ms: event.received_ms,
            only,
            ..heads_asked(found, source.clone(), &read)
        };
        judged.extend(judge(engine, Some(found), plan_ids, &asked).await?);
    }
    let told = telling::prepare(engine, event, found, &moved, None).await?;
    let verdict = Verdict {
        tags,
        ..verdict(event, judged, told)
    };
    store(engine, vec![verdict], Some(found), Some(&read)).await
}

/// A look found something for these plans, and for these plan branches with polling triggers of their own.
async fn poll(
    engine: &Engine,
    event: &Event,
    plans: &[i64],
    branches: &[(i64, String)],
) -> Result<(), EngineError> {
    let Some(found) = repository_of(engine, event).await? else {
        return close(engine, event, "the repository is gone").await;
    };
    let mut asked_for = vec![(plans.to_vec(), None)];
    for (plan_id, key) in branches {
        if let Ok(key) = key.parse() {
            asked_for.push((vec![*plan_id], Some(key)));
        }
    }
    look_at_heads(engine, event, &found, asked_for, Source::Poll).await
}

/// Puts the plan file of a linked repository in force when its default branch has moved since the last look.
async fn apply_new_plan_file(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    read: &RefsRead,
) -> Result<(), EngineError> {
    if found.kind != RepositoryKind::Linked {
        return Ok(());
    }
    let Some(new) = read.head(&found.default_branch).cloned() else {
        return Ok(());
    };
    let (id, names) = (found.id, refs_of_branch(found.scm, &found.default_branch));
    let name = names.into_iter().find(|name| read.refs.contains_key(name));
    let Some(name) = name else { return Ok(()) };
    let asked = name.clone();
    let old = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::ref_value(tx, id, &asked)?))
        .await?;
    let update = RefUpdate {
        name,
        old,
        new: Some(new),
    };
    apply_plan_files(engine, event, found, &[update], Some(read)).await?;
    Ok(())
}

/// A build of a parent was successful.
async fn parent(
    engine: &Engine,
    event: &Event,
    plan_id: i64,
    target: &str,
    build: &str,
) -> Result<(), EngineError> {
    let Ok(target) = target.parse::<PlanKey>() else {
        return close(engine, event, "the key is not a key").await;
    };
    let source = Source::Parent {
        build: build.to_owned(),
        target,
    };
    whether_or_not_changed(engine, event, plan_id, source, None).await
}

async fn whether_or_not_changed(
    engine: &Engine,
    event: &Event,
    plan_id: i64,
    source: Source,
    only: Option<&str>,
) -> Result<(), EngineError> {
    let Ok(only) = only.map(str::parse::<PlanKey>).transpose() else {
        return close(engine, event, "the key is not a key").await;
    };
    let rows = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::repositories(tx, plan_id)?))
        .await?;
    let Some(row) = rows.first() else {
        let asked = Asked {
            news: AskedNews::NoRepository,
            only,
            ..heads_asked_without(source)
        };
        let judged = judge(engine, None, vec![plan_id], &asked).await?;
        return store(
            engine,
            vec![verdict(event, judged, Prepared::default())],
            None,
            None,
        )
        .await;
    };
    match engine.repository_of(row).await? {
        Some(found) => look_at_heads(engine, event, &found, vec![(vec![plan_id], only)], source).await,
        None => {
            close(
                engine,
                event,
                &format!("the repository {} is not known to this server", row.name),
            )
            .await
        }
    }
}

async fn repository_of(engine: &Engine, event: &Event) -> Result<Option<Repository>, EngineError> {
    let Some(id) = event.repository_id else {
        return Ok(None);
    };
    Ok(engine.store().read(move |tx| repository::by_id(tx, id)).await?)
}

/// Ends an event of which nothing can come.
async fn close(engine: &Engine, event: &Event, why: &str) -> Result<(), EngineError> {
    let (id, why) = (event.id, why.to_owned());
    engine
        .store()
        .write(move |tx| event::mark_processed(tx, id, Some(&why), clock::now_ms()).map(|_| ()))
        .await?;
    Ok(())
}
