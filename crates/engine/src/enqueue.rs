//! Step 6 of the walk: one transaction gives a build its number, its stages and jobs, its plan version, and
//! starts it, or puts its revision in line behind the concurrency limit.

use madake_domain::plan::PlanConfiguration;
use madake_domain::schedule::Input;
use madake_domain::stage_selection::StageRequest;
use madake_domain::waiting::{Admission, Newcomer, Waiting, admit, next_to_start};
use madake_store::build::{NewBuild, Reason, Revision, StageToBuild, WaitingRevision};
use madake_store::plan::{Plan, PlanBranch};
use madake_store::{Millis, Tx, build, decision, label, plan};
use serde::{Deserialize, Serialize};

use crate::schedule::apply;
use crate::{EngineError, held};

/// What a build will be made of. Stored as it is while its revision waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BuildRequest {
    pub(crate) plan_branch_id: i64,
    pub(crate) version_id: i64,
    pub(crate) event_id: Option<i64>,
    pub(crate) reason: Reason,
    pub(crate) triggered_by: String,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) once_off: bool,
    pub(crate) revisions: Vec<RequestedRevision>,
}

/// A revision of a build request, the default repository's first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestedRevision {
    pub(crate) repository_id: Option<i64>,
    pub(crate) name: String,
    pub(crate) revision: String,
    pub(crate) previous: Option<String>,
    pub(crate) branch: Option<String>,
}

/// How a request by change detection went.
#[derive(Debug, Clone)]
pub(crate) enum Enqueued {
    /// It became this build.
    Started(Box<build::Build>),
    /// It waits for a place.
    Waiting,
    /// A newer one waits already.
    Late(String),
}

/// The limit of a plan branch.
pub(crate) fn limit_of(configuration: &PlanConfiguration, default: Option<u32>) -> Option<u32> {
    configuration.concurrent_builds.or(default)
}

/// Starts a build that change detection or a timer asks for, or puts it in line.
pub(crate) fn enqueue_change(
    tx: &Tx<'_>,
    request: &BuildRequest,
    decision_id: i64,
    default_limit: Option<u32>,
    now: Millis,
) -> Result<Enqueued, EngineError> {
    let branch = plan::branch_by_id(tx, request.plan_branch_id)?;
    let configuration = plan::configuration(tx, request.version_id)?;
    let running = build::count_active(tx, branch.id)?;
    let rows = build::waiting(tx, branch.id)?;
    let waiting = in_line(&rows)?;
    let revision = request
        .revisions
        .first()
        .map(|first| first.revision.clone())
        .unwrap_or_default();
    let newcomer = Waiting {
        alone: stands_alone(request).then_some(decision_id),
        ..Waiting::newcomer(
            branch.id,
            revision.clone(),
            request.event_id.unwrap_or(decision_id),
        )
    };
    let limit = limit_of(&configuration, default_limit);
    let waiting_before = waiting;
    let admission = admit(running, limit, &waiting_before, Newcomer::Change(newcomer))
        .map_err(|refusal| EngineError::Conflict(refusal.sentence().to_owned()))?;
    let put_in_line = |waiting: &Waiting| -> Result<(), EngineError> {
        let row = WaitingRevision {
            id: 0,
            plan_branch_id: branch.id,
            event_id: waiting.event,
            decision_id,
            revision: revision.clone(),
            place: waiting.place,
            content: serde_json::to_string(request).map_err(madake_store::StoreError::from)?,
        };
        build::insert_waiting(tx, &row, now)?;
        Ok(())
    };
    match admission {
        Admission::Start => {
            start(tx, request, &StageRequest::default(), now).map(|made| Enqueued::Started(Box::new(made)))
        }
        Admission::Wait(waiting) => {
            put_in_line(&waiting)?;
            Ok(Enqueued::Waiting)
        }
        Admission::WaitSuperseding { waiting, superseded } => {
            for old in superseded {
                let Some(row) = row_of(&rows, &waiting_before, &old.waiting) else {
                    continue;
                };
                build::remove_waiting(tx, row.id)?;
                decision::set_outcome(tx, row.decision_id, None, &format!("superseded: {}", old.reason))?;
            }
            put_in_line(&waiting)?;
            Ok(Enqueued::Waiting)
        }
        Admission::AlreadyWaiting => Ok(Enqueued::Waiting),
        Admission::Late(superseded) => Ok(Enqueued::Late(superseded.reason)),
        other => Err(EngineError::Internal(format!(
            "an admission of an unknown kind: {other:?}"
        ))),
    }
}

/// Whether a build says nothing of where the branch is, so that a newer one does not take its place.
fn stands_alone(request: &BuildRequest) -> bool {
    matches!(request.reason, Reason::Tag { .. })
}

fn in_line(rows: &[WaitingRevision]) -> Result<Vec<Waiting>, EngineError> {
    rows.iter()
        .map(|row| {
            let request: BuildRequest =
                serde_json::from_str(&row.content).map_err(madake_store::StoreError::from)?;
            Ok(Waiting {
                branch: row.plan_branch_id,
                revision: row.revision.clone(),
                event: row.event_id,
                place: row.place,
                alone: stands_alone(&request).then_some(row.decision_id),
            })
        })
        .collect()
}

/// The row of one that waits.
fn row_of<'r>(rows: &'r [WaitingRevision], line: &[Waiting], one: &Waiting) -> Option<&'r WaitingRevision> {
    let at = line.iter().position(|waiting| waiting == one)?;
    rows.get(at)
}

/// Starts what waits for a plan branch, as far as there are places. Called in the transaction in which a build
/// ends or pauses.
pub(crate) fn start_waiting(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    default_limit: Option<u32>,
    now: Millis,
) -> Result<(), EngineError> {
    let rows = build::waiting(tx, plan_branch_id)?;
    let Some(first) = rows.first() else { return Ok(()) };
    let request: BuildRequest =
        serde_json::from_str(&first.content).map_err(madake_store::StoreError::from)?;
    let limit = limit_of(&plan::configuration(tx, request.version_id)?, default_limit);
    let running = build::count_active(tx, plan_branch_id)?;
    let waiting = in_line(&rows)?;
    for one in next_to_start(&waiting, running, limit) {
        let Some(row) = row_of(&rows, &waiting, one) else {
            continue;
        };
        if !build::remove_waiting(tx, row.id)? {
            continue;
        }
        let request: BuildRequest =
            serde_json::from_str(&row.content).map_err(madake_store::StoreError::from)?;
        let started = start(tx, &request, &StageRequest::default(), now)?;
        decision::set_outcome(
            tx,
            row.decision_id,
            Some(started.id),
            &format!("waited for a place and became {}", started.key),
        )?;
    }
    Ok(())
}

/// Makes a build and starts it. The caller has looked at the concurrency limit.
pub(crate) fn start(
    tx: &Tx<'_>,
    request: &BuildRequest,
    stages: &StageRequest,
    now: Millis,
) -> Result<build::Build, EngineError> {
    let made = insert(tx, request, stages, now)?;
    apply(tx, made.id, Input::Start, now)
}

/// Makes a build that ends at once, as there is nothing to build: it was asked for, so it has a number and says why.
pub(crate) fn give_up(
    tx: &Tx<'_>,
    request: &BuildRequest,
    stages: &StageRequest,
    reason: String,
    now: Millis,
) -> Result<build::Build, EngineError> {
    let made = insert(tx, request, stages, now)?;
    apply(tx, made.id, Input::GiveUp { reason }, now)
}

fn insert(
    tx: &Tx<'_>,
    request: &BuildRequest,
    stages: &StageRequest,
    now: Millis,
) -> Result<build::Build, EngineError> {
    let branch = plan::branch_by_id(tx, request.plan_branch_id)?;
    let plan = plan::by_id(tx, branch.plan_id)?;
    let configuration = plan::configuration(tx, request.version_id)?;
    let new = new_build(tx, &plan, &branch, &configuration, request, stages)?;
    let made = build::insert(tx, &new, now)?;
    if !request.once_off {
        held::overtaken(tx, branch.id, Some((made.id, &made.key)))?;
    }
    let labels = match configuration.labels {
        // What the file of a branch, or an override, says of labels is said of that branch.
        Some(own) if !branch.is_master => own,
        _ => label::of_plan(tx, plan.id)?,
    };
    for name in labels {
        label::add(tx, made.id, &name, "plan", now)?;
    }
    Ok(made)
}

fn new_build(
    tx: &Tx<'_>,
    plan: &Plan,
    branch: &PlanBranch,
    configuration: &PlanConfiguration,
    request: &BuildRequest,
    stages: &StageRequest,
) -> Result<NewBuild, EngineError> {
    let number = plan::take_build_number(tx, branch.id)?;
    let first = request.revisions.first();
    Ok(NewBuild {
        plan_id: plan.id,
        plan_branch_id: branch.id,
        version_id: request.version_id,
        key: format!("{}-{number}", branch.key),
        number,
        revision: first.map(|first| first.revision.clone()),
        vcs_branch: first.and_then(|first| first.branch.clone()),
        event_id: request.event_id,
        reason: request.reason.clone(),
        triggered_by: request.triggered_by.clone(),
        variables: request.variables.clone(),
        once_off: request.once_off,
        stages: configuration
            .stages
            .iter()
            .map(|stage| StageToBuild {
                name: stage.name.clone(),
                manual: stage.manual,
                final_stage: stage.final_stage,
                jobs: stage
                    .jobs
                    .iter()
                    .filter_map(|name| configuration.job(name))
                    .map(|job| (job.name.clone(), job.key.clone(), job.enabled))
                    .collect(),
            })
            .collect(),
        request: stages.clone(),
        revisions: request
            .revisions
            .iter()
            .map(|revision| Revision {
                repository_id: revision.repository_id,
                name: revision.name.clone(),
                revision: revision.revision.clone(),
                previous: revision.previous.clone(),
                branch: revision.branch.clone(),
            })
            .collect(),
    })
}
