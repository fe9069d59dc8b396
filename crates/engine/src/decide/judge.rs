//! Puts an event before the judge for each plan that it concerns. Everything is read here, nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use madake_domain::change::{
    Arrival, ArrivedRepository, BranchChange, BranchRow, ChangeJudge, Decision, Heads, Moment, MovedRef,
    News, Proposal, ReasonCode, Revision, Source, Subject,
};
use madake_domain::condition::Person;
use madake_domain::key::PlanKey;
use madake_domain::plan::{BlockStrategy, PlanConfiguration};
use madake_store::build_query;
use madake_store::event::RefUpdate;
use madake_store::plan::{self, Plan, PlanBranch, PlanRepositoryRow};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, held_build, pull_request};

use super::own_file::{self, OwnFile};
use super::own_pushes;
use super::tags::{self, NewTag};
use super::timers;
use crate::enqueue::RequestedRevision;
use crate::heads::{Looked, RefsRead};
use crate::listening::forks;
use crate::reading::branches;
use crate::{Engine, EngineError, clock, facts, push_chain};

/// What is put before the judge, for any number of plans.
pub(super) struct Asked {
    pub(super) source: Source,
    pub(super) news: AskedNews,
    pub(super) current_heads: BTreeMap<String, Option<Revision>>,
    pub(super) pusher: Option<Person>,
    pub(super) remote_counts: bool,
    pub(super) pushes_known: bool,
    /// New tags.
    pub(super) tags: Vec<NewTag>,
    /// When it arrived; what a plan found when it was made is not new to it.
    pub(super) received_ms: Millis,
    /// The plan branch that it is about alone.
    pub(super) only: Option<PlanKey>,
}

pub(super) enum AskedNews {
    Moved(Vec<MovedRef>),
    Heads {
        heads: BTreeMap<String, Revision>,
        complete: bool,
    },
    NoRepository,
}

pub(super) fn heads_asked(found: &Repository, source: Source, read: &RefsRead) -> Asked {
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

pub(super) fn heads_asked_without(source: Source) -> Asked {
    Asked {
        source,
        news: AskedNews::NoRepository,
        current_heads: BTreeMap::new(),
        pusher: None,
        remote_counts: true,
        pushes_known: false,
        tags: Vec::new(),
        received_ms: clock::now_ms(),
        only: None,
    }
}

/// A plan as it is when an event is judged.
pub(super) struct Loaded {
    pub(super) plan: Plan,
    pub(super) configuration: Arc<PlanConfiguration>,
    pub(super) rows: Vec<BranchRow>,
    pub(super) is_default: bool,
    pub(super) branches: Vec<PlanBranch>,
    repositories: Vec<PlanRepositoryRow>,
    /// Of a repository that is not the default one: the revision that each plan branch built last.
    built: BTreeMap<i64, String>,
    known: BTreeMap<String, String>,
    /// How it stands with the pull requests that plan branches were made for.
    proposals: BTreeMap<i64, Proposal>,
}

/// What was decided for one plan.
pub(super) struct Judged {
    pub(super) plan: Plan,
    pub(super) repository: Option<Repository>,
    pub(super) is_default: bool,
    pub(super) changes: Vec<BranchChange>,
    pub(super) decisions: Vec<Decided>,
    /// When it waits for its parents.
    pub(super) strategy: BlockStrategy,
    /// What the plan is on the branches that the arrival brought.
    pub(super) own: BTreeMap<String, OwnFile>,
}

impl Judged {
    /// Whether storing it changes what the next event is judged by.
    pub(super) fn acts(&self) -> bool {
        !self.changes.is_empty()
            || self
                .decisions
                .iter()
                .any(|one| one.decision.build || one.decision.settles)
    }
}

pub(super) struct Decided {
    pub(super) decision: Decision,
    /// The revisions of all repositories of the plan, where it is to be built.
    pub(super) revisions: Vec<RequestedRevision>,
    /// The tag that it is about.
    pub(super) tag: Option<String>,
}

/// Reads plans for the judge. What was read holds until a decision changes a plan branch.
pub(super) async fn load(
    engine: &Engine,
    found: Option<&Repository>,
    plan_ids: Vec<i64>,
) -> Result<Vec<Loaded>, EngineError> {
    let repository_id = found.map(|found| found.id);
    let read = engine
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
                let proposals = proposals(tx, &branches)?;
                all.push((
                    plan,
                    is_default,
                    branches,
                    repositories,
                    (built, known, proposals),
                ));
            }
            Ok::<_, EngineError>(all)
        })
        .await?;
    let mut all = Vec::with_capacity(read.len());
    for (plan, is_default, branches, repositories, (built, known, proposals)) in read {
        let configuration = engine.configuration(plan.version_id).await?;
        let mut loaded = Loaded {
            configuration: with_switch(configuration, &plan),
            rows: Vec::new(),
            plan,
            is_default,
            branches,
            repositories,
            built,
            known,
            proposals,
        };
        loaded.rows = rows(found, &loaded);
        all.push(loaded);
    }
    Ok(all)
}

/// Judges an event for plans; everything is read, nothing is written.
pub(super) async fn judge(
    engine: &Engine,
    found: Option<&Repository>,
    plan_ids: Vec<i64>,
    asked: &Asked,
) -> Result<Vec<Judged>, EngineError> {
    let plans = load(engine, found, plan_ids).await?;
    judge_loaded(engine, found, &plans, asked).await
}

/// As [`judge`], for plans that were read before.
pub(super) async fn judge_loaded(
    engine: &Engine,
    found: Option<&Repository>,
    plans: &[Loaded],
    asked: &Asked,
) -> Result<Vec<Judged>, EngineError> {
    let pusher = asked.pusher.as_ref().map(|pusher| pusher.name.as_str());
    let too_many_pushes = push_chain::refused(engine, pusher).await?;
    let mut all = Vec::with_capacity(plans.len());
    let mut looked = Looked::default();
    for loaded in plans {
        let configuration = &loaded.configuration;
        let mut whole = arrival(engine, found, loaded, asked);
        let tagged = tags::parts(engine, found, loaded, asked, &mut whole).await?;
        let elsewhere = timers::elsewhere(engine, loaded, asked, &mut whole).await?;
        let own = own_file::of_arrival(engine, found, loaded, &whole).await?;
        // A branch whose own file or override names other triggers is judged by those.
        let apart = own_file::with_own_triggers(engine, loaded, &own).await?;
        let mut parts: Vec<Part> = Vec::with_capacity(apart.len() + 1);
        let rest = own_file::part_of(&whole, &|name| !apart.contains_key(name));
        let divided = !apart.is_empty() || tagged.any();
        let nothing_left = divided && matches!(&rest.news, News::Moved(moved) if moved.is_empty());
        if !nothing_left {
            let rows = loaded
                .rows
                .iter()
                .filter(|row| !apart.contains_key(&row.vcs_branch) && !elsewhere.contains(&row.key));
            parts.push(Part {
                configuration: timers::of_only(engine, loaded, asked).await?,
                arrival: rest,
                rows: rows.cloned().collect(),
            });
        }
        for (branch, version) in &apart {
            let of_branch = timers::with_triggers_of(configuration, version);
            let rows = loaded
                .rows
                .iter()
                .filter(|row| row.vcs_branch == *branch && !elsewhere.contains(&row.key));
            parts.push(Part {
                configuration: Arc::new(of_branch),
                arrival: own_file::part_of(&whole, &|name| name == branch),
                rows: rows.cloned().collect(),
            });
        }
        parts.extend(tagged.parts);
        let (mut decided, mut changes) = (Vec::new(), Vec::new());
        decided.extend(tagged.too_many.map(|decision| Decided {
            decision,
            revisions: Vec::new(),
            tag: None,
        }));
        for part in &parts {
            let Part {
                configuration,
                arrival,
                rows,
            } = part;
            // The judge is prepared anew after each wait, as it is not kept across one.
            let first = ChangeJudge::new(configuration, arrival).first_pass(rows);
            let mut decisions: Vec<Decision> = first.decisions;
            for candidate in &first.candidates {
                let needed = ChangeJudge::new(configuration, arrival).facts_needed(candidate);
                let facts = facts::gather(engine, found, candidate, &needed).await?;
                let moment = Moment {
                    now: clock::now(),
                    server_zone: &engine.settings().time_zone,
                    zone_named: &|name| jiff::tz::TimeZone::get(name).ok(),
                };
                decisions.push(ChangeJudge::new(configuration, arrival).decide(candidate, &facts, &moment));
            }
            for mut decision in decisions {
                own_pushes::weigh(engine, found, loaded, asked, &mut decision, part.tag()).await?;
                if let (true, Some(sentence)) = (decision.build, &too_many_pushes) {
                    own_pushes::refuse(&mut decision, sentence.clone());
                }
                let mut made = prepare(engine, found, loaded, configuration, decision, &mut looked).await?;
                made.tag = part.tag().map(ToOwned::to_owned);
                decided.push(made);
            }
            changes.extend(first.branch_changes);
        }
        all.push(Judged {
            plan: loaded.plan.clone(),
            repository: found.cloned(),
            is_default: loaded.is_default,
            changes,
            decisions: decided,
            strategy: configuration.dependencies.block_strategy,
            own,
        });
    }
    Ok(all)
}

/// A part of an arrival that is judged by one configuration.
pub(super) struct Part {
    pub(super) configuration: Arc<PlanConfiguration>,
    pub(super) arrival: Arrival,
    pub(super) rows: Vec<BranchRow>,
}

impl Part {
    /// The tag that it is about.
    fn tag(&self) -> Option<&str> {
        match &self.arrival.source {
            Source::Tag { name } => Some(name),
            _ => None,
        }
    }
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

fn arrival(engine: &Engine, found: Option<&Repository>, loaded: &Loaded, asked: &Asked) -> Arrival {
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
            known: found.map_or_else(BTreeMap::new, |found| {
                branches(found.scm, &loaded.known)
                    .into_iter()
                    .filter_map(|(name, id)| Some((name, Revision::new(&id)?)))
                    .collect()
            }),
            complete: *complete,
        }),
        AskedNews::NoRepository => News::NoRepository,
    };
    Arrival {
        source: asked.source.clone(),
        repository: found.map(|found| ArrivedRepository {
            name: name.unwrap_or_default(),
            is_default: loaded.is_default,
            scm: found.scm,
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
fn rows(found: Option<&Repository>, loaded: &Loaded) -> Vec<BranchRow> {
    let configured = loaded
        .configuration
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
            let last = if loaded.is_default {
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
                proposal: loaded.proposals.get(&branch.id).copied(),
            })
        })
        .collect()
}

/// How it stands with the pull requests that plan branches were made for. One that nobody knows any more has ended.
fn proposals(tx: &Tx<'_>, branches: &[PlanBranch]) -> Result<BTreeMap<i64, Proposal>, EngineError> {
    let mut proposals = BTreeMap::new();
    for branch in branches {
        let Some(id) = branch.pull_request_id else {
            continue;
        };
        let from_fork = forks::is_of_fork(tx, branch)?;
        let open = match (pull_request::by_id(tx, id)?, &branch.vcs_branch) {
            (Some(one), _) if one.from_fork => one.open,
            (Some(one), Some(name)) => pull_request::is_branch_proposed(tx, one.repository_id, name)?,
            _ => false,
        };
        proposals.insert(branch.id, Proposal { open, from_fork });
    }
    Ok(proposals)
}

/// Reads what a build of the decision is to be made of.
async fn prepare(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    configuration: &PlanConfiguration,
    decision: Decision,
    looked: &mut Looked,
) -> Result<Decided, EngineError> {
    let is_default = loaded.is_default;
    let mut decided = Decided {
        decision,
        revisions: Vec::new(),
        tag: None,
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
        // Nothing leads from what was considered last to a tag.
        previous: (decided.decision.code != ReasonCode::Tagged)
            .then(|| decided.decision.previous.as_ref().map(ToString::to_string))
            .flatten(),
        branch: decided.decision.vcs_branch.clone(),
    };
    if loaded.repositories.len() < 2 {
        decided.revisions = vec![changed];
    } else {
        let branch = branch_of(loaded, &decided.decision.subject, is_default.then_some(&changed));
        let mut revisions = match engine
            .revisions_of(&loaded.plan, &branch, configuration, looked)
            .await
        {
            Ok(revisions) => revisions,
            // A repository that nobody linked yet: the decision says so, and a later event finds it linked.
            Err(EngineError::Conflict(reason)) => {
                decided.decision.build = false;
                decided.decision.settles = false;
                decided.decision.sentence = reason;
                return Ok(decided);
            }
            Err(error) => return Err(error),
        };
        for one in &mut revisions {
            if one.repository_id == changed.repository_id {
                *one = changed.clone();
            }
        }
        decided.revisions = revisions;
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
        pull_request_id: None,
    });
    if let Some(changed) = changed {
        branch.vcs_branch.clone_from(&changed.branch);
    }
    branch
}

/// Which of these plans a look at a repository's heads would build or change: what polling asks before it enters an
/// arrival. A refusal that stays open (a closed time window) counts the first time that it is seen, so that the
/// ledger has it once and not once for each look.
pub(crate) async fn would_act(
    engine: &Engine,
    found: &Repository,
    (plan_ids, only): (Vec<i64>, Option<PlanKey>),
    read: &RefsRead,
    moved: &[RefUpdate],
) -> Result<Vec<i64>, EngineError> {
    let asked = Asked {
        tags: if only.is_none() {
            tags::new_tags(found, moved)
        } else {
            Vec::new()
        },
        only,
        ..heads_asked(found, Source::Poll, read)
    };
    // What a parent holds back is known, and not found again by each look.
    let held: BTreeSet<(PlanKey, String)> = engine
        .store()
        .read(|tx| {
            let mut held = BTreeSet::new();
            for one in held_build::all(tx)? {
                held.insert((plan::branch_by_id(tx, one.plan_branch_id)?.key, one.revision));
            }
            Ok::<_, EngineError>(held)
        })
        .await?;
    let mut acting = Vec::new();
    for judged in judge(engine, Some(found), plan_ids, &asked).await? {
        let acts = !judged.changes.is_empty()
            || judged.decisions.iter().any(|one| {
                let decision = &one.decision;
                if let (true, Subject::Branch { key }, Some(revision)) =
                    (decision.build, &decision.subject, &decision.revision)
                    && held.contains(&(key.clone(), revision.to_string()))
                {
                    return false;
                }
                decision.build
                    || engine.looks().is_news(&format!(
                        "{} {:?} {:?} {:?}",
                        decision.subject, decision.code, decision.revision, one.tag
                    ))
            });
        if acts {
            acting.push(judged.plan.id);
        }
    }
    Ok(acting)
}
