//! Stores decisions for and against, what they change of plan branches, and the builds that come of them, in the
//! transaction that marks the event as decided.

use madake_domain::change::{BranchChange, ReasonCode, Revision, Subject};
use madake_domain::key::branch_display_name;
use madake_domain::plan::PlanConfiguration;
use madake_domain::repository::RepositoryKind;
use madake_store::build::Reason;
use madake_store::delivery::NewDelivery;
use madake_store::event::{self, Event};
use madake_store::plan::{self, NewBranch, Plan, PlanBranch};
use madake_store::pull_request;
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, decision as ledger_decision};

use super::judge::{Decided, Judged};
use crate::enqueue::{BuildRequest, Enqueued, enqueue_change};
use crate::heads::RefsRead;
use crate::{Engine, EngineError, clock, telling};

/// What was decided about one event.
pub(super) struct Verdict {
    pub(super) event: Event,
    pub(super) judged: Vec<Judged>,
    /// What others are to be told of it.
    pub(super) deliveries: Vec<NewDelivery>,
    /// Lines for the entry.
    pub(super) notes: Vec<(&'static str, String)>,
    /// The pull request that it is about.
    pub(super) pull_request_id: Option<i64>,
}

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
        (Some(found), Some(read)) if found.kind == RepositoryKind::Linked => Some((found.id, read.clone())),
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
                for one in judged {
                    store_plan(tx, &event, one, (limit, pull_request_id), now, &mut unchanged)?;
                }
            }
            if let Some((repository_id, read)) = &seen {
                remember_refs(tx, *repository_id, read, last, now)?;
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
    (limit, pull_request_id): (Option<u32>, Option<i64>),
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
        change_branch(tx, &plan, change, pull_request_id, now)?;
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
        let row = ledger_decision::Decision {
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
        let decision_id = ledger_decision::insert(tx, Some(plan.id), &row)?;
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
            ledger_decision::set_outcome(tx, decision_id, Some(build.id), &format!("became {}", build.key))?;
        }
        Enqueued::Waiting => {
            let sentence = "waits: as many builds of the plan branch run as may run at once";
            ledger_decision::set_outcome(tx, decision_id, None, sentence)?;
        }
        Enqueued::Late(reason) => {
            ledger_decision::set_outcome(tx, decision_id, None, &format!("superseded: {reason}"))?;
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

fn reason_of(code: ReasonCode) -> Reason {
    match code {
        ReasonCode::FirstBuild => Reason::FirstBuild,
        ReasonCode::Scheduled => Reason::Scheduled,
        _ => Reason::CodeChanged,
    }
}
