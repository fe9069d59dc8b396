//! Step 4 of the walk, the part that reads and writes: gathers what the pure decision of
//! [`madake_domain::change`] looks at, and stores what it says together with the builds that come of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use madake_domain::change::{
    Arrival, ArrivedRepository, BranchChange, BranchRow, ChangeJudge, Decision, Heads, Moment, MovedRef,
    News, ReasonCode, RefKind, Revision, Source, Subject,
};
use madake_domain::condition::Person;
use madake_domain::key::{PlanKey, branch_display_name};
use madake_domain::plan::PlanConfiguration;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::build::Reason;
use madake_store::event::{self, Content, Event, RefUpdate, Via};
use madake_store::plan::{self, NewBranch, Plan, PlanBranch, PlanRepositoryRow};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, build_query};
use madake_vcs::name::ObjectId;

use crate::enqueue::{BuildRequest, Enqueued, RequestedRevision, enqueue_change};
use crate::heads::RefsRead;
use crate::{Engine, EngineError, clock, facts, specs};

/// Decides one arrival and stores the decisions, the builds, and that it is decided, in one transaction.
pub(crate) async fn decide_event(engine: &Engine, event: &Event) -> Result<(), EngineError> {
    match &event.content {
        Content::Push {
            via, updates, pusher, ..
        } => push(engine, event, *via, updates, pusher.as_deref()).await,
        Content::RemoteTrigger {
            plan_key,
            skip_branches,
        } => remote_trigger(engine, event, plan_key, *skip_branches).await,
        Content::Poll { plans, .. } => {
            let Some(found) = repository_of(engine, event).await? else {
                return close(engine, event, "the repository is gone").await;
            };
            look_at_heads(engine, event, &found, plans.clone(), Source::Poll).await
        }
        Content::Cron { plan_id, expression } => cron(engine, event, *plan_id, expression).await,
        Content::Request { .. } | Content::Refused => close(engine, event, "nothing is to be decided").await,
    }
}

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
    // A webhook is a hint, and a linked repository is elsewhere: what is really there is read.
    let hint = via == Via::Webhook || found.kind == RepositoryKind::Linked;
    let read = if hint {
        Some(engine.refs(&found).await?)
    } else {
        None
    };
    apply_plan_files(engine, event, &found, updates, read.as_ref()).await?;
    let (moved, current_heads) = as_news(updates, read.as_ref());
    let id = found.id;
    let plan_ids = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::using_repository(tx, id)?))
        .await?;
    let news = Asked {
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
    };
    let judged = judge(engine, Some(&found), plan_ids, &news).await?;
    store(engine, event, Some(found), judged, read).await
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
    let made: Vec<&str> = updates
        .iter()
        .filter(|update| update.new.is_some())
        .filter_map(|update| update.name.strip_prefix("refs/heads/"))
        .collect();
    let preferred = ["main", "master"].into_iter().find(|name| made.contains(name));
    let Some(branch) = preferred.or_else(|| made.first().copied()) else {
        return Ok(found);
    };
    engine
        .git()
        .command("symbolic-ref")
        .repository(Path::new(&found.path))
        .args(["HEAD", &format!("refs/heads/{branch}")])
        .run()
        .await
        .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    let (id, name) = (found.id, branch.to_owned());
    engine
        .store()
        .write(move |tx| repository::set_default_branch(tx, id, &name))
        .await?;
    branch.clone_into(&mut found.default_branch);
    Ok(found)
}

/// Puts plan files in force that the default branch brings, before anything is decided.
async fn apply_plan_files(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> Result<(), EngineError> {
    let default = format!("refs/heads/{}", found.default_branch);
    let Some(update) = updates.iter().find(|update| update.name == default) else {
        return Ok(());
    };
    let newest = match read {
        Some(read) => read.refs.get(&default).cloned(),
        None => update.new.clone(),
    };
    let parse = |id: &Option<String>| id.as_deref().and_then(|id| ObjectId::parse(id).ok());
    let Some(new) = parse(&newest) else { return Ok(()) };
    let path = Path::new(&found.path);
    let folder = specs::folder_id(engine, path, &new).await?;
    if folder.is_none() || !found.specs_enabled {
        return Ok(());
    }
    if let Some(old) = parse(&update.old)
        && engine
            .reader()
            .object(path, &old)
            .await
            .map_err(crate::heads::unreadable)?
            .is_some()
        && specs::folder_id(engine, path, &old).await? == folder
    {
        return Ok(());
    }
    specs::apply_default_branch(engine, found, &new, Some(event.id)).await
}

fn as_news(
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> (Vec<MovedRef>, BTreeMap<String, Option<Revision>>) {
    let revision = |id: &Option<String>| id.as_deref().and_then(Revision::new);
    let mut current = BTreeMap::new();
    let moved = updates
        .iter()
        .map(|update| {
            let (kind, name) = match (
                update.name.strip_prefix("refs/heads/"),
                update.name.strip_prefix("refs/tags/"),
            ) {
                (Some(branch), _) => (RefKind::Branch, branch),
                (_, Some(tag)) => (RefKind::Tag, tag),
                _ => (RefKind::Other, update.name.as_str()),
            };
            if let (RefKind::Branch, Some(read)) = (kind, read) {
                current.insert(
                    name.to_owned(),
                    read.refs.get(&update.name).and_then(|id| Revision::new(id)),
                );
            }
            MovedRef {
                kind,
                name: name.to_owned(),
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
    for row in &rows {
        let Some(one) = engine.repository_of(row).await? else {
            continue;
        };
        let read = engine.refs(&one).await?;
        apply_new_plan_file(engine, event, &one, &read).await?;
        let source = Source::RemoteTrigger {
            asked: asked.clone(),
            skip_branches,
        };
        judged.extend(
            judge(
                engine,
                Some(&one),
                vec![plan_id],
                &heads_asked(&one, source, &read),
            )
            .await?,
        );
        if first.is_none() {
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
    store(engine, event, found, judged, read).await
}

async fn look_at_heads(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    plan_ids: Vec<i64>,
    source: Source,
) -> Result<(), EngineError> {
    let read = engine.refs(found).await?;
    apply_new_plan_file(engine, event, found, &read).await?;
    let judged = judge(engine, Some(found), plan_ids, &heads_asked(found, source, &read)).await?;
    store(engine, event, Some(found.clone()), judged, Some(read)).await
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
    let (id, name) = (found.id, format!("refs/heads/{}", found.default_branch));
    let Some(new) = read.refs.get(&name).cloned() else {
        return Ok(());
    };
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
    apply_plan_files(engine, event, found, &[update], Some(read)).await
}

async fn cron(engine: &Engine, event: &Event, plan_id: i64, expression: &str) -> Result<(), EngineError> {
    let source = Source::Cron {
        expression: expression.to_owned(),
    };
    let rows = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(plan::repositories(tx, plan_id)?))
        .await?;
    let Some(row) = rows.first() else {
        let asked = Asked {
            news: AskedNews::NoRepository,
            ..heads_asked_without(source)
        };
        let judged = judge(engine, None, vec![plan_id], &asked).await?;
        return store(engine, event, None, judged, None).await;
    };
    match engine.repository_of(row).await? {
        Some(found) => look_at_heads(engine, event, &found, vec![plan_id], source).await,
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

/// What is put before the judge, for any number of plans.
struct Asked {
    source: Source,
    news: AskedNews,
    current_heads: BTreeMap<String, Option<Revision>>,
    pusher: Option<Person>,
    remote_counts: bool,
    pushes_known: bool,
}

enum AskedNews {
    Moved(Vec<MovedRef>),
    Heads {
        heads: BTreeMap<String, Revision>,
        complete: bool,
    },
    NoRepository,
}

fn heads_asked(found: &Repository, source: Source, read: &RefsRead) -> Asked {
    let heads = read
        .heads()
        .into_iter()
        .filter_map(|(name, id)| Some((name, Revision::new(&id)?)))
        .collect();
    Asked {
        news: AskedNews::Heads {
            heads,
            complete: read.complete,
        },
        pushes_known: found.pushes_known(),
        ..heads_asked_without(source)
    }
}

fn heads_asked_without(source: Source) -> Asked {
    Asked {
        source,
        news: AskedNews::NoRepository,
        current_heads: BTreeMap::new(),
        pusher: None,
        remote_counts: true,
        pushes_known: false,
    }
}

/// A plan as it is when an event is judged.
struct Loaded {
    plan: Plan,
    branches: Vec<PlanBranch>,
    repositories: Vec<PlanRepositoryRow>,
    /// Of a repository that is not the default one: the revision that each plan branch built last.
    built: BTreeMap<i64, String>,
    known: BTreeMap<String, String>,
}

/// What was decided for one plan.
pub(crate) struct Judged {
    plan: Plan,
    repository: Option<Repository>,
    is_default: bool,
    changes: Vec<BranchChange>,
    decisions: Vec<Decided>,
}

struct Decided {
    decision: Decision,
    /// The revisions of all repositories of the plan, where it is to be built.
    revisions: Vec<RequestedRevision>,
    /// What the plan file of the branch itself says of the plan.
    own: Option<PlanConfiguration>,
    notes: Vec<(&'static str, String)>,
}

async fn load(
    engine: &Engine,
    found: Option<&Repository>,
    plan_ids: Vec<i64>,
) -> Result<Vec<Loaded>, EngineError> {
    let repository_id = found.map(|found| found.id);
    engine
        .store()
        .read(move |tx| {
            let mut all = Vec::with_capacity(plan_ids.len());
            for id in plan_ids {
                let plan = plan::by_id(tx, id)?;
                let branches = plan::branches(tx, id)?;
                let repositories = plan::repositories(tx, id)?;
                let is_default = repositories.first().and_then(|first| first.repository_id) == repository_id;
                let mut built = BTreeMap::new();
                let mut known = BTreeMap::new();
                if let Some(repository_id) = repository_id {
                    if !is_default {
                        for branch in &branches {
                            if let Some(last) = build_query::last_revision_of(tx, branch.id, repository_id)? {
                                built.insert(branch.id, last);
                            }
                        }
                    }
                    known = repository::refs_unmoved_since(tx, repository_id, plan.created_ms)?;
                }
                all.push(Loaded {
                    plan,
                    branches,
                    repositories,
                    built,
                    known,
                });
            }
            Ok(all)
        })
        .await
}

/// Judges an event for plans; everything is read, nothing is written.
async fn judge(
    engine: &Engine,
    found: Option<&Repository>,
    plan_ids: Vec<i64>,
    asked: &Asked,
) -> Result<Vec<Judged>, EngineError> {
    let mut all = Vec::new();
    for loaded in load(engine, found, plan_ids).await? {
        let configuration = engine.configuration(loaded.plan.version_id).await?;
        let configuration = with_switch(configuration, &loaded.plan);
        let is_default =
            loaded.repositories.first().and_then(|first| first.repository_id) == found.map(|found| found.id);
        let arrival = arrival(engine, found, &loaded, asked, is_default);
        let rows = rows(found, &loaded, &configuration, is_default);
        // The judge is prepared anew after each wait, as it is not kept across one.
        let first = ChangeJudge::new(&configuration, &arrival).first_pass(&rows);
        let mut decisions: Vec<Decision> = first.decisions;
        for candidate in &first.candidates {
            let needed = ChangeJudge::new(&configuration, &arrival).facts_needed(candidate);
            let facts = facts::gather(engine, found, candidate, &needed).await?;
            let moment = Moment {
                now: clock::now(),
                server_zone: &engine.settings().time_zone,
                zone_named: &|name| jiff::tz::TimeZone::get(name).ok(),
            };
            decisions.push(ChangeJudge::new(&configuration, &arrival).decide(candidate, &facts, &moment));
        }
        let mut decided = Vec::with_capacity(decisions.len());
        for decision in decisions {
            decided.push(prepare(engine, found, &loaded, &configuration, is_default, decision).await?);
        }
        all.push(Judged {
            plan: loaded.plan,
            repository: found.cloned(),
            is_default,
            changes: first.branch_changes,
            decisions: decided,
        });
    }
    Ok(all)
}

/// A plan may be switched off by its file or by a person.
fn with_switch(configuration: Arc<PlanConfiguration>, plan: &Plan) -> Arc<PlanConfiguration> {
    if plan.enabled || !configuration.enabled {
        return configuration;
    }
    Arc::new(PlanConfiguration {
        enabled: false,
        ..(*configuration).clone()
    })
}

fn arrival(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    asked: &Asked,
    is_default: bool,
) -> Arrival {
    let name = found
        .and_then(|found| {
            loaded
                .repositories
                .iter()
                .find(|row| row.repository_id == Some(found.id))
        })
        .or_else(|| loaded.repositories.first())
        .map(|row| row.name.clone());
    let news = match &asked.news {
        AskedNews::Moved(moved) => News::Moved(moved.clone()),
        AskedNews::Heads { heads, complete } => News::Heads(Heads {
            heads: heads.clone(),
            known: loaded
                .known
                .iter()
                .filter_map(|(name, id)| {
                    Some((name.strip_prefix("refs/heads/")?.to_owned(), Revision::new(id)?))
                })
                .collect(),
            complete: *complete,
        }),
        AskedNews::NoRepository => News::NoRepository,
    };
    Arrival {
        source: asked.source.clone(),
        repository: found.map(|found| ArrivedRepository {
            name: name.unwrap_or_default(),
            is_default,
            scm: Scm::Git,
            pushes_known: asked.pushes_known,
            remote_counts: asked.remote_counts,
            default_branch: Some(found.default_branch.clone()),
        }),
        news,
        current_heads: asked.current_heads.clone(),
        pusher: asked.pusher.clone(),
        max_candidates: engine.settings().refs_per_push,
    }
}

/// The plan's branches as the judge sees them. A branch that was made without a branch of the repository builds
/// what the master builds, by hand only, and is not part of change detection.
fn rows(
    found: Option<&Repository>,
    loaded: &Loaded,
    configuration: &PlanConfiguration,
    is_default: bool,
) -> Vec<BranchRow> {
    let configured = configuration
        .repositories
        .as_ref()
        .and_then(|list| list.first())
        .and_then(|one| one.branch.clone());
    let master = configured
        .or_else(|| found.map(|found| found.default_branch.clone()))
        .unwrap_or_default();
    loaded
        .branches
        .iter()
        .filter_map(|branch| {
            let vcs_branch = if branch.is_master {
                Some(master.clone())
            } else {
                branch.vcs_branch.clone()
            }?;
            let last = if is_default {
                branch.last_revision.clone()
            } else {
                loaded.built.get(&branch.id).cloned()
            };
            Some(BranchRow {
                key: branch.key.clone(),
                is_master: branch.is_master,
                vcs_branch,
                enabled: branch.enabled,
                last_revision: last.as_deref().and_then(Revision::new),
                missing_since_ms: branch.missing_since_ms,
            })
        })
        .collect()
}

/// Reads what a build of the decision is to be made of.
async fn prepare(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    configuration: &PlanConfiguration,
    is_default: bool,
    decision: Decision,
) -> Result<Decided, EngineError> {
    let mut decided = Decided {
        decision,
        revisions: Vec::new(),
        own: None,
        notes: Vec::new(),
    };
    let (true, Some(found), Some(revision)) =
        (decided.decision.build, found, decided.decision.revision.clone())
    else {
        return Ok(decided);
    };
    let changed = RequestedRevision {
        repository_id: Some(found.id),
        name: loaded
            .repositories
            .iter()
            .find(|row| row.repository_id == Some(found.id))
            .map_or_else(|| found.name.clone(), |row| row.name.clone()),
        revision: revision.to_string(),
        previous: decided.decision.previous.as_ref().map(ToString::to_string),
        branch: decided.decision.vcs_branch.clone(),
    };
    if loaded.repositories.len() < 2 {
        decided.revisions = vec![changed];
    } else {
        let branch = branch_of(loaded, &decided.decision.subject, is_default.then_some(&changed));
        let mut revisions = engine.revisions_of(&loaded.plan, &branch, configuration).await?;
        for one in &mut revisions {
            if one.repository_id == changed.repository_id {
                *one = changed.clone();
            }
        }
        decided.revisions = revisions;
    }
    let off_default = decided.decision.vcs_branch.as_deref() != Some(&found.default_branch);
    if is_default && off_default && loaded.plan.specs_repository_id == Some(found.id) {
        own_configuration(engine, found, &loaded.plan, &revision, &mut decided).await?;
    }
    Ok(decided)
}

/// The row of a decision's plan branch; one that is yet to be made is thought up.
fn branch_of(loaded: &Loaded, subject: &Subject, changed: Option<&RequestedRevision>) -> PlanBranch {
    let key = match subject {
        Subject::Plan { key } | Subject::Branch { key } => key,
        Subject::NewBranch { plan, .. } => plan,
    };
    let row = loaded
        .branches
        .iter()
        .find(|branch| branch.key == *key)
        .or_else(|| loaded.branches.first());
    let mut branch = row.cloned().unwrap_or_else(|| PlanBranch {
        id: 0,
        plan_id: loaded.plan.id,
        key: loaded.plan.key.clone(),
        is_master: true,
        vcs_branch: None,
        display_name: String::new(),
        description: String::new(),
        enabled: true,
        cleanup_enabled: false,
        automatic: false,
        version_id: None,
        next_build_number: 1,
        last_revision: None,
        last_change_ms: 0,
        missing_since_ms: None,
        created_ms: 0,
    });
    if let Some(changed) = changed {
        branch.vcs_branch.clone_from(&changed.branch);
    }
    branch
}

/// Reads the plan file of the branch itself, unless it is the one of the default branch.
async fn own_configuration(
    engine: &Engine,
    found: &Repository,
    plan: &Plan,
    revision: &Revision,
    decided: &mut Decided,
) -> Result<(), EngineError> {
    let path = Path::new(&found.path);
    let Ok(commit) = ObjectId::parse(revision.as_str()) else {
        return Ok(());
    };
    let here = specs::folder_id(engine, path, &commit).await?;
    let default = engine.current_head(found, &found.default_branch).await?;
    let there = match default.and_then(|id| ObjectId::parse(&id).ok()) {
        Some(default) => specs::folder_id(engine, path, &default).await?,
        None => None,
    };
    if here.is_none() || here == there {
        return Ok(());
    }
    let (configurations, notes) = specs::branch_configurations(engine, found, &commit).await?;
    decided.own = configurations.into_iter().find(|one| one.key == plan.key);
    decided.notes = notes;
    Ok(())
}

/// Stores decisions and what comes of them, and that the event is decided.
async fn store(
    engine: &Engine,
    event: &Event,
    found: Option<Repository>,
    judged: Vec<Judged>,
    read: Option<RefsRead>,
) -> Result<(), EngineError> {
    let (event, limit) = (event.clone(), engine.settings().concurrent_builds);
    let unchanged = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let mut unchanged = Vec::new();
            if !event::mark_processed(tx, event.id, None, now)? {
                return Ok(unchanged);
            }
            for one in judged {
                store_plan(tx, &event, one, limit, now, &mut unchanged)?;
            }
            if let (Some(found), Some(read)) = (&found, &read)
                && found.kind == RepositoryKind::Linked
            {
                remember_refs(tx, found, read, event.id, now)?;
            }
            Ok::<_, EngineError>(unchanged)
        })
        .await?;
    for sentence in unchanged {
        tracing::info!("{sentence}");
    }
    Ok(())
}

fn store_plan(
    tx: &Tx<'_>,
    event: &Event,
    judged: Judged,
    limit: Option<u32>,
    now: Millis,
    unchanged: &mut Vec<String>,
) -> Result<(), EngineError> {
    let Judged {
        plan,
        repository,
        is_default,
        changes,
        decisions,
    } = judged;
    for change in changes {
        change_branch(tx, &plan, change, now)?;
    }
    for decided in decisions {
        let Decided {
            mut decision,
            revisions,
            own,
            notes,
        } = decided;
        let branch = match &decision.subject {
            Subject::Branch { key } => plan::branch_by_key(tx, key)?,
            Subject::NewBranch { vcs_branch, .. } => plan::branch_by_vcs(tx, plan.id, vcs_branch)?,
            Subject::Plan { .. } => None,
        };
        let overtaken = decision.build
            && is_default
            && decision.code != ReasonCode::Scheduled
            && branch.as_ref().is_some_and(|branch| {
                branch.last_revision.is_some()
                    && branch.last_revision.as_deref() == decision.revision.as_ref().map(Revision::as_str)
            });
        if overtaken {
            // A build by hand took this revision while it was being decided.
            decision.build = false;
            decision.code = ReasonCode::NoChanges;
            decision.sentence = format!("No changes found for '{}'", decision.subject);
        }
        if decision.code == ReasonCode::NoChanges {
            unchanged.push(decision.sentence.clone());
        }
        for (level, text) in &notes {
            event::note(tx, event.id, level, text, now)?;
        }
        let plan_key = branch
            .as_ref()
            .map_or_else(|| decision.subject.to_string(), |branch| branch.key.to_string());
        let row = event::Decision {
            id: 0,
            event_id: event.id,
            plan_branch_id: branch.as_ref().map(|branch| branch.id),
            plan_key: if branch.is_some() {
                plan_key
            } else {
                plan.key.to_string()
            },
            ref_name: decision.vcs_branch.clone().unwrap_or_default(),
            revision: decision.revision.as_ref().map(ToString::to_string),
            build: decision.build,
            code: decision.code.as_str().to_owned(),
            sentence: decision.sentence.clone(),
            rules: serde_json::to_string(&decision.rules).map_err(madake_store::StoreError::from)?,
            build_id: None,
            outcome: None,
            decided_ms: now,
        };
        let decision_id = event::insert_decision(tx, Some(plan.id), &row)?;
        let Some(branch) = branch else { continue };
        if is_default
            && decision.settles
            && let Some(revision) = &decision.revision
        {
            plan::set_last_revision(tx, branch.id, revision.as_str(), now)?;
        }
        if decision.build {
            let version_id = version_of(tx, &plan, &branch, own.as_ref(), repository.as_ref(), now)?;
            let request = BuildRequest {
                plan_branch_id: branch.id,
                version_id,
                event_id: Some(event.id),
                reason: reason_of(decision.code),
                triggered_by: event.principal.clone(),
                variables: Vec::new(),
                once_off: false,
                revisions,
            };
            enqueue_decided(tx, &request, decision_id, limit, now)?;
        }
    }
    Ok(())
}

fn enqueue_decided(
    tx: &Tx<'_>,
    request: &BuildRequest,
    decision_id: i64,
    limit: Option<u32>,
    now: Millis,
) -> Result<(), EngineError> {
    match enqueue_change(tx, request, decision_id, limit, now)? {
        Enqueued::Started(build) => {
            tracing::info!(build.key = %build.key, "queued build {}", build.key);
            event::set_outcome(tx, decision_id, Some(build.id), &format!("became {}", build.key))?;
        }
        Enqueued::Waiting => {
            let sentence = "waits: as many builds of the plan branch run as may run at once";
            event::set_outcome(tx, decision_id, None, sentence)?;
        }
        Enqueued::Late(reason) => {
            event::set_outcome(tx, decision_id, None, &format!("superseded: {reason}"))?
        }
    }
    Ok(())
}

/// The version that a plan branch builds with; its own plan file may have changed it just now.
fn version_of(
    tx: &Tx<'_>,
    plan: &Plan,
    branch: &PlanBranch,
    own: Option<&PlanConfiguration>,
    repository: Option<&Repository>,
    now: Millis,
) -> Result<i64, EngineError> {
    let current = plan::by_id(tx, plan.id)?;
    if branch.is_master {
        return Ok(current.version_id);
    }
    let version = match own {
        Some(own) => {
            let source = format!(
                "{}, its own branch",
                repository.map_or("", |one| one.name.as_str())
            );
            let (version_id, _) = plan::ensure_version(tx, plan.id, own, &source, now)?;
            (version_id != current.version_id).then_some(version_id)
        }
        None => None,
    };
    if version != branch.version_id {
        plan::set_branch_version(tx, branch.id, version)?;
    }
    Ok(version.unwrap_or(current.version_id))
}

fn change_branch(tx: &Tx<'_>, plan: &Plan, change: BranchChange, now: Millis) -> Result<(), EngineError> {
    match change {
        BranchChange::Create { vcs_branch } => {
            if plan::branch_by_vcs(tx, plan.id, &vcs_branch)?.is_none() {
                let new = NewBranch {
                    display_name: branch_display_name(&vcs_branch),
                    vcs_branch: Some(vcs_branch.clone()),
                    enabled: true,
                    cleanup_enabled: true,
                    automatic: true,
                };
                let made = plan::insert_branch(tx, plan, &new, now)?;
                tracing::info!(plan.key = %made.key, "made plan branch {} for {vcs_branch}", made.key);
            }
        }
        BranchChange::MarkMissing { key } => {
            if let Some(branch) = plan::branch_by_key(tx, &key)? {
                plan::set_missing(tx, branch.id, Some(branch.missing_since_ms.unwrap_or(now)))?;
            }
        }
        BranchChange::MarkFound { key } => {
            if let Some(branch) = plan::branch_by_key(tx, &key)? {
                plan::set_missing(tx, branch.id, None)?;
            }
        }
    }
    Ok(())
}

fn remember_refs(
    tx: &Tx<'_>,
    found: &Repository,
    read: &RefsRead,
    event_id: i64,
    now: Millis,
) -> Result<(), EngineError> {
    let known = repository::refs(tx, found.id)?;
    for (name, id) in &read.refs {
        if known.get(name) != Some(id) {
            repository::set_ref(tx, found.id, name, Some(id), Some(event_id), now)?;
        }
    }
    if read.complete {
        for name in known.keys().filter(|name| !read.refs.contains_key(*name)) {
            repository::set_ref(tx, found.id, name, None, Some(event_id), now)?;
        }
    }
    repository::set_refs_known(tx, found.id)?;
    Ok(())
}

fn reason_of(code: ReasonCode) -> Reason {
    match code {
        ReasonCode::FirstBuild => Reason::FirstBuild,
        ReasonCode::Scheduled => Reason::Scheduled,
        _ => Reason::CodeChanged,
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

/// Which of these plans a look at a repository's heads would build or change: what polling asks before it enters an
/// arrival. A refusal that stays open (a closed time window) counts the first time that it is seen, so that the
/// ledger has it once and not once for each look.
pub(crate) async fn would_act(
    engine: &Engine,
    found: &Repository,
    plan_ids: Vec<i64>,
    read: &RefsRead,
) -> Result<Vec<i64>, EngineError> {
    let asked = heads_asked(found, Source::Poll, read);
    let mut acting = Vec::new();
    for judged in judge(engine, Some(found), plan_ids, &asked).await? {
        let acts = !judged.changes.is_empty()
            || judged.decisions.iter().any(|one| {
                let decision = &one.decision;
                decision.build
                    || engine.looks().is_news(&format!(
                        "{} {:?} {:?}",
                        decision.subject, decision.code, decision.revision
                    ))
            });
        if acts {
            acting.push(judged.plan.id);
        }
    }
    Ok(acting)
}
