//! Stores decisions for and against, what they change of plan branches, and the builds that come of them, in the
//! transaction that marks the event as decided.

use std::collections::BTreeSet;

use madake_domain::change::{BranchChange, ReasonCode, Revision, Rule, Subject};
use madake_domain::key::{PlanKey, branch_display_name};
use madake_domain::repository::RepositoryKind;
use madake_store::build::Reason;
use madake_store::delivery::NewDelivery;
use madake_store::event::{self, Content, Event, NewEvent, RefUpdate, Via};
use madake_store::plan::{self, NewBranch, Plan, PlanBranch};
use madake_store::pull_request;
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, decision as ledger_decision};

use super::judge::{Decided, Judged};
use super::own_file::{Own, OwnFile};
use crate::dependencies::wait_for_parents;
use crate::enqueue::{BuildRequest, Enqueued, enqueue_change};
use crate::heads::RefsRead;
use crate::specs::findings;
use crate::{Engine, EngineError, clock, held, telling};

/// What was decided about one event.
pub(super) struct Verdict {
    pub(super) event: Event,
    pub(super) judged: Vec<Judged>,
    /// What others are to be told of it.
    pub(super) deliveries: Vec<NewDelivery>,
    /// Lines for the entry.
    pub(super) notes: Vec<(&'static str, String)>,
    /// New tags that were seen and are not judged with it: all plans are asked about them by an entry of their own.
    pub(super) tags: Vec<RefUpdate>,
    /// The pull request that it is about.
    pub(super) pull_request_id: Option<i64>,
}

/// What is built whether or not the revision was considered before.
pub(super) const BUILT_ANYWAY: [ReasonCode; 4] = [
    ReasonCode::Scheduled,
    ReasonCode::ParentSucceeded,
    ReasonCode::Tagged,
    ReasonCode::Deployed,
];

/// Stores decisions and what comes of them, and that the events are decided, in one transaction.
pub(super) async fn store(
    engine: &Engine,
    verdicts: Vec<Verdict>,
    found: Option<&Repository>,
    read: Option<&RefsRead>,
) -> Result<(), EngineError> {
    let Some(last) = verdicts.last().map(|one| one.event.id) else {
        return Ok(());
    };
    let limit = engine.settings().concurrent_builds;
    let seen = match (found, read) {
        (Some(found), Some(read)) if found.kind == RepositoryKind::Linked => {
            Some((found.clone(), read.clone()))
        }
        _ => None,
    };
    let unchanged = engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            let mut unchanged = Vec::new();
            for Verdict {
                event,
                judged,
                deliveries,
                notes,
                tags,
                pull_request_id,
            } in verdicts
            {
                if !event::mark_processed(tx, event.id, None, now)? {
                    continue;
                }
                telling::enter(tx, &deliveries, now)?;
                for (level, note) in notes {
                    event::note(tx, event.id, level, &note, now)?;
                }
                let building = builds_of(&judged);
                for one in judged {
                    let shared = Shared {
                        limit,
                        pull_request_id,
                        building: &building,
                    };
                    store_plan(tx, &event, one, &shared, now, &mut unchanged)?;
                }
                if let Some((found, _)) = &seen {
                    enter_tags(tx, &event, found, tags)?;
                }
            }
            if let Some((found, read)) = &seen {
                remember_refs(tx, found.id, read, last, now)?;
            }
            Ok::<_, EngineError>(unchanged)
        })
        .await?;
    for sentence in unchanged {
        tracing::info!("{sentence}");
    }
    Ok(())
}

/// What is the same for all plans of an arrival.
struct Shared<'a> {
    limit: Option<u32>,
    pull_request_id: Option<i64>,
    /// The plan branches that are to be built.
    building: &'a BTreeSet<PlanKey>,
}

/// The plan branches that are to be built.
fn builds_of(judged: &[Judged]) -> BTreeSet<PlanKey> {
    let decisions = judged.iter().flat_map(|one| &one.decisions);
    decisions
        .filter(|one| one.decision.build)
        .filter_map(|one| match &one.decision.subject {
            Subject::Branch { key } => Some(key.clone()),
            Subject::Plan { .. } | Subject::NewBranch { .. } => None,
        })
        .collect()
}

fn store_plan(
    tx: &Tx<'_>,
    event: &Event,
    judged: Judged,
    shared: &Shared<'_>,
    now: Millis,
    unchanged: &mut Vec<String>,
) -> Result<(), EngineError> {
    let Judged {
        plan,
        repository,
        is_default,
        changes,
        decisions,
        strategy,
        own,
    } = judged;
    for change in changes {
        change_branch(tx, &plan, change, shared.pull_request_id, now)?;
    }
    if let Some(repository) = &repository {
        let late = |branch: &str| {
            decisions.iter().any(|one| {
                one.decision.vcs_branch.as_deref() == Some(branch)
                    && one.decision.code == ReasonCode::Superseded
            })
        };
        for (branch, file) in own.iter().filter(|(branch, _)| !late(branch)) {
            keep_own_file(tx, event, &plan, repository, (branch, file), now)?;
        }
    }
    for decided in decisions {
        let Decided {
            mut decision,
            revisions,
            tag,
        } = decided;
        let branch = match &decision.subject {
            Subject::Branch { key } => plan::branch_by_key(tx, key)?,
            Subject::NewBranch { vcs_branch, .. } => plan::branch_by_vcs(tx, plan.id, vcs_branch)?,
            Subject::Plan { .. } => None,
        };
        let overtaken = decision.build
            && is_default
            && !BUILT_ANYWAY.contains(&decision.code)
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
        let found = decision.code;
        if let (true, None, Some(branch)) = (decision.build, &tag, &branch)
            // Bamboo holds back what change detection found, and neither fixed times nor what another parent starts.
            && !BUILT_ANYWAY.contains(&decision.code)
            && let Some(sentence) = wait_for_parents(tx, strategy, &plan, branch, shared.building)?
        {
            // It is held, or the parent starts the newest: nothing is lost.
            decision.build = false;
            decision.settles = false;
            decision.code = ReasonCode::WaitsForParent;
            decision.sentence = sentence;
        }
        if let (true, Some(repository), Some(vcs_branch), Some(revision)) = (
            decision.build && is_default,
            &repository,
            &decision.vcs_branch,
            &decision.revision,
        ) && let Some(why) = findings::keeps_back(tx, &plan, repository, vcs_branch, revision.as_str())?
        {
            decision.rules.push(Rule::noted(Rule::PLAN_FILE, why));
        }
        if decision.code == ReasonCode::NoChanges {
            unchanged.push(decision.sentence.clone());
        }
        let plan_key = branch
            .as_ref()
            .map_or_else(|| decision.subject.to_string(), |branch| branch.key.to_string());
        let row = ledger_decision::Decision {
            id: 0,
            event_id: event.id,
            plan_branch_id: branch.as_ref().map(|branch| branch.id),
            plan_key: if branch.is_some() {
                plan_key
            } else {
                plan.key.to_string()
            },
            ref_name: tag.clone().or(decision.vcs_branch.clone()).unwrap_or_default(),
            revision: decision.revision.as_ref().map(ToString::to_string),
            build: decision.build,
            code: decision.code.as_str().to_owned(),
            sentence: decision.sentence.clone(),
            rules: serde_json::to_string(&decision.rules).map_err(madake_store::StoreError::from)?,
            build_id: None,
            outcome: None,
            decided_ms: now,
        };
        let decision_id = ledger_decision::insert(tx, Some(plan.id), &row)?;
        let Some(branch) = branch else { continue };
        if is_default
            && decision.settles
            && let Some(revision) = &decision.revision
        {
            plan::set_last_revision(tx, branch.id, revision.as_str(), now)?;
        }
        let is_held = decision.code == ReasonCode::WaitsForParent;
        if decision.build || is_held {
            let version_id = match branch.version_id {
                Some(own) => own,
                None => plan::by_id(tx, plan.id)?.version_id,
            };
            let request = BuildRequest {
                plan_branch_id: branch.id,
                version_id,
                event_id: Some(event.id),
                reason: reason_of(found, &event.content, tag.as_deref()),
                triggered_by: event.principal.clone(),
                variables: Vec::new(),
                once_off: tag.is_some(),
                revisions,
            };
            if is_held {
                let revision = decision.revision.as_ref().map(ToString::to_string);
                held::hold(tx, &request, (decision_id, revision.unwrap_or_default()), now)?;
            } else {
                enqueue_decided(tx, &request, decision_id, shared.limit, now)?;
            }
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
            ledger_decision::set_outcome(tx, decision_id, Some(build.id), &format!("became {}", build.key))?;
        }
        Enqueued::Waiting => {
            if !request.once_off {
                held::overtaken(tx, request.plan_branch_id, None)?;
            }
            let sentence = "waits: as many builds of the plan branch run as may run at once";
            ledger_decision::set_outcome(tx, decision_id, None, sentence)?;
        }
        Enqueued::Late(reason) => {
            ledger_decision::set_outcome(tx, decision_id, None, &format!("superseded: {reason}"))?;
        }
    }
    Ok(())
}

/// Keeps what the plan is on a branch, and what was found in the branch's plan file.
fn keep_own_file(
    tx: &Tx<'_>,
    event: &Event,
    plan: &Plan,
    repository: &Repository,
    (branch, file): (&str, &OwnFile),
    now: Millis,
) -> Result<(), EngineError> {
    findings::note(tx, event.id, &file.findings, now)?;
    findings::keep(tx, repository, branch, &file.revision, &file.findings, now)?;
    let Some(row) = plan::branch_by_vcs(tx, plan.id, branch)? else {
        return Ok(());
    };
    set_version(tx, plan.id, &row, &file.own, repository, now)
}

/// Gives a plan branch the version that it is to be built with.
pub(crate) fn set_version(
    tx: &Tx<'_>,
    plan_id: i64,
    branch: &PlanBranch,
    own: &Own,
    repository: &Repository,
    now: Millis,
) -> Result<(), EngineError> {
    let version = match own {
        Own::Version(own) => {
            let source = format!("{}, its own branch", repository.name);
            let (version_id, _) = plan::ensure_version(tx, plan_id, own, &source, now)?;
            (version_id != plan::by_id(tx, plan_id)?.version_id).then_some(version_id)
        }
        Own::Inherited => None,
        Own::Broken => return Ok(()),
    };
    if version != branch.version_id {
        plan::set_branch_version(tx, branch.id, version)?;
    }
    Ok(())
}

fn change_branch(
    tx: &Tx<'_>,
    plan: &Plan,
    change: BranchChange,
    pull_request_id: Option<i64>,
    now: Millis,
) -> Result<(), EngineError> {
    match change {
        BranchChange::Create { vcs_branch } => {
            if plan::branch_by_vcs(tx, plan.id, &vcs_branch)?.is_none() {
                let proposed = match pull_request_id {
                    Some(id) => pull_request::by_id(tx, id)?,
                    None => None,
                };
                let fork = proposed.filter(|one| one.from_fork);
                let new = NewBranch {
                    display_name: fork.map_or_else(
                        || branch_display_name(&vcs_branch),
                        |fork| format!("pull-request-{}", fork.number),
                    ),
                    pull_request_id,
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

/// Enters new tags that an arrival which is not about all plans came across, before their refs are remembered: all plans
/// are asked about them, and each once.
fn enter_tags(
    tx: &Tx<'_>,
    event: &Event,
    found: &Repository,
    mut tags: Vec<RefUpdate>,
) -> Result<(), EngineError> {
    if tags.is_empty() {
        return Ok(());
    }
    let known = repository::refs(tx, found.id)?;
    tags.retain(|tag| !known.contains_key(&tag.name));
    if tags.is_empty() {
        return Ok(());
    }
    let new = NewEvent {
        kind: "reconciliation",
        delivery_id: None,
        address: String::new(),
        principal: "reconciliation".into(),
        repository_id: Some(found.id),
        plan_key: None,
        summary: format!("{} tags of {} are new", tags.len(), found.name),
        raw: Vec::new(),
        content: Content::Push {
            via: Via::Reconciliation,
            updates: tags,
            pusher: None,
            options: Vec::new(),
        },
    };
    // To a plan that was made since, they are not new.
    event::receive(tx, new, event.received_ms)?;
    Ok(())
}

fn remember_refs(
    tx: &Tx<'_>,
    repository_id: i64,
    read: &RefsRead,
    event_id: i64,
    now: Millis,
) -> Result<(), EngineError> {
    let known = repository::refs(tx, repository_id)?;
    for (name, id) in &read.refs {
        if known.get(name) != Some(id) {
            repository::set_ref(tx, repository_id, name, Some(id), Some(event_id), now)?;
        }
    }
    if read.complete {
        for name in known.keys().filter(|name| !read.refs.contains_key(*name)) {
            repository::set_ref(tx, repository_id, name, None, Some(event_id), now)?;
        }
    }
    repository::set_refs_known(tx, repository_id)?;
    Ok(())
}

fn reason_of(code: ReasonCode, content: &Content, tag: Option<&str>) -> Reason {
    if let Some(name) = tag {
        return Reason::Tag {
            name: name.to_owned(),
        };
    }
    if let (ReasonCode::ParentSucceeded, Content::Parent { build, chain, .. }) = (code, content) {
        return Reason::Parent {
            build: build.clone(),
            chain: chain.clone(),
        };
    }
    if let (
        ReasonCode::Deployed,
        Content::Deployment {
            project,
            environment,
            release,
            chain,
            ..
        },
    ) = (code, content)
    {
        return Reason::Deployment {
            project: project.clone(),
            environment: environment.clone(),
            release: release.clone(),
            chain: chain.clone(),
        };
    }
    match code {
        ReasonCode::FirstBuild => Reason::FirstBuild,
        ReasonCode::Scheduled => Reason::Scheduled,
        _ => Reason::CodeChanged,
    }
}
