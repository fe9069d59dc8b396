//! `/browse/PROJ-PLAN`, and `/config` below it: how a plan or a plan branch stands, its last results, stages and branches,
//! what starts builds, what describes it, what was found wrong with that, and who else claims it.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use madake_domain::key::PlanKey;
use madake_engine::ops::own_plan::ShownPlan;
use madake_engine::ops::show_triggers::ShownTriggers;
use madake_engine::ops::trigger_build::TriggerBuild;
use madake_engine::{EngineError, clock};
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page, Refused};
use super::configured::Source;
use super::form::Form;
use super::hearing::{Moment, coming, moment};
use super::login::{log_in_page, see_other};
use super::plan_findings::{self, FindingRow};
use super::plan_standing::{self, BranchRow, PlanStanding, StageRow, VariableRow};
use super::shown::{self, Marked};
use super::standing::{ResultChip, UnderWayRow};
use super::template::render;
use crate::App;
use crate::auth::Visitor;

#[derive(Debug, Serialize)]
struct PlanPage {
    project: String,
    project_url: String,
    name: String,
    key: String,
    /// Where the plan is, on the page of a plan branch.
    plan_url: String,
    branch: String,
    description: String,
    is_disabled: bool,
    /// Why a build could not be started.
    problem: String,
    /// Where the button to build goes; empty where there is none.
    run_url: String,
    form_token: String,
    under_way: Vec<UnderWayRow>,
    results: Vec<ResultChip>,
    stages: Vec<StageRow>,
    branches: Vec<BranchRow>,
    is_cut: bool,
    owner: String,
    source: Source,
    since: Moment,
    variables: Vec<VariableRow>,
    /// Where variables are set; empty for those who may not.
    variables_url: String,
    conflicts: Vec<Conflict>,
    decided: Vec<String>,
    own_triggers: bool,
    triggers: Vec<TriggerRow>,
    last: Option<Decided>,
    findings: Vec<FindingRow>,
}

#[derive(Debug, Serialize)]
struct Conflict {
    repository: String,
    command: String,
}

#[derive(Debug, Serialize)]
struct TriggerRow {
    words: String,
    next: Option<Moment>,
}

#[derive(Debug, Serialize)]
struct Decided {
    words: Vec<Marked>,
    at: Moment,
    command: String,
}

/// The page.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    show(&app, &visitor, &asked, StatusCode::OK, String::new()).await
}

/// `POST /browse/PROJ-PLAN`: builds the newest revision, and leads to the build.
pub(super) async fn build(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
    headers: HeaderMap,
    form: Form,
) -> Page {
    let key = wanted(&app, &visitor, &asked)?;
    if !form.is_ours(&headers, &app) {
        let problem = "The form came from another site. Send it from here.".to_owned();
        return show(&app, &visitor, &asked, StatusCode::FORBIDDEN, problem).await;
    }
    let newest = TriggerBuild::default();
    match app.engine().trigger_build(&visitor.caller, &key, newest).await {
        Ok(build) => Ok(see_other(&Site::of(&app).result(&build.key))),
        Err(EngineError::Conflict(problem) | EngineError::Invalid(problem)) => {
            show(&app, &visitor, &asked, StatusCode::CONFLICT, problem).await
        }
        Err(EngineError::Forbidden { .. }) => {
            let problem = "You may not start builds of it.".to_owned();
            show(&app, &visitor, &asked, StatusCode::FORBIDDEN, problem).await
        }
        Err(error) => Err(refused(&app, &visitor, &asked, error)),
    }
}

async fn show(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    status: StatusCode,
    problem: String,
) -> Result<Response, Refused> {
    let key = wanted(app, visitor, asked)?;
    let refuse = |error| refused(app, visitor, asked, error);
    let caller = &visitor.caller;
    let found = app.engine().show_plan(caller, &key).await.map_err(refuse)?;
    let triggers = app.engine().show_triggers(caller, &key).await.map_err(refuse)?;
    let standing = plan_standing::of(app, caller, &found).await?;
    let findings = plan_findings::rows(app, caller, &found, standing.may_administrate).await?;
    let page = described(app, visitor, (found, triggers, standing), findings, &problem);
    let frame = asked.frame(app, visitor, &page.key);
    Ok(render(status, "plan.html", &frame, &page))
}

fn wanted(app: &App, visitor: &Visitor, asked: &Asked) -> Result<PlanKey, Refused> {
    let key = asked.part("key").parse();
    key.map_err(|_| missing(app, visitor, asked))
}

fn missing(app: &App, visitor: &Visitor, asked: &Asked) -> Refused {
    asked.missing(
        app,
        visitor,
        "There is no such plan",
        "It does not exist, or you may not read it.",
    )
}

fn refused(app: &App, visitor: &Visitor, asked: &Asked, error: EngineError) -> Refused {
    match error {
        EngineError::NotFound(_) | EngineError::Forbidden { .. } => missing(app, visitor, asked),
        EngineError::Unauthenticated { .. } => Refused::Page(Box::new(log_in_page(
            app,
            visitor,
            &asked.address,
            "Log in to see this page.",
        ))),
        other => other.into(),
    }
}

fn described(
    app: &App,
    visitor: &Visitor,
    (found, triggers, standing): (ShownPlan, ShownTriggers, PlanStanding),
    findings: Vec<FindingRow>,
    problem: &str,
) -> PlanPage {
    let (site, now) = (Site::of(app), clock::now_ms());
    let (open, settled): (Vec<_>, Vec<_>) = found
        .claims
        .iter()
        .partition(|one| one.claim.settled_ms.is_none());
    let (key, branch) = (&found.branch.key, &found.branch);
    let is_enabled = found.plan.enabled && branch.enabled;
    let filled = |is_so: bool, text: String| if is_so { text } else { String::new() };
    PlanPage {
        project: shown::line(&standing.project),
        project_url: site.project_plans(key.project().as_str()),
        name: shown::line(&found.plan.name),
        plan_url: filled(!branch.is_master, site.plan(&found.plan.key)),
        branch: filled(!branch.is_master, shown::line(&branch.display_name)),
        description: shown::several_lines(
            if branch.is_master {
                &found.plan.description
            } else {
                &branch.description
            },
            4096,
        ),
        is_disabled: !is_enabled,
        problem: shown::line(problem),
        run_url: filled(is_enabled && standing.may_build, site.plan(key)),
        form_token: visitor.ambient.clone().unwrap_or_default(),
        under_way: standing.under_way,
        results: standing.results,
        stages: standing.stages,
        branches: standing.branches,
        is_cut: standing.is_cut,
        owner: found.owner.as_deref().map(shown::line).unwrap_or_default(),
        source: standing.source,
        since: moment(found.version_ms, now),
        variables: standing.variables,
        variables_url: filled(
            standing.may_administrate,
            site.at(&format!("/variables?plan={}", found.plan.key)),
        ),
        conflicts: open
            .iter()
            .map(|one| Conflict {
                repository: shown::line(&one.repository),
                command: shown::line(&format!("madake plan owner {} NAME", found.plan.key)),
            })
            .collect(),
        decided: settled.iter().map(|one| shown::line(&one.repository)).collect(),
        own_triggers: triggers.own,
        triggers: triggers
            .triggers
            .iter()
            .map(|one| TriggerRow {
                words: shown::line(&one.words),
                next: one.next_ms.map(|next| coming(next, now)),
            })
            .collect(),
        last: triggers.last.as_ref().map(|last| Decided {
            words: shown::marked(&shown::with_short_ids(&last.sentence)),
            at: moment(last.decided_ms, now),
            command: format!("madake why {}", last.event_id),
        }),
        findings,
        key: key.to_string(),
    }
}
