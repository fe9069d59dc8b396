//! What the page of a plan says of its builds, its stages and its branches: one read of the store.

use madake_domain::permission::Permission;
use madake_domain::plan::PlanConfiguration;
use madake_domain::variables::looks_secret;
use madake_engine::access::{Caller, Target, may};
use madake_engine::ops::own_plan::ShownPlan;
use madake_engine::{EngineError, clock};
use madake_store::{overview, plan, project};
use serde::Serialize;

use super::address::Site;
use super::configured::{self, Source};
use super::shown;
use super::standing::{ResultChip, UnderWayRow};
use crate::App;

/// Results that the page shows.
const RESULTS: i64 = 25;
/// Branches that the page shows, those that changed last.
const BRANCHES: i64 = 100;
/// Builds under way that the page shows.
const UNDER_WAY: usize = 30;
/// Characters of a variable's value.
const VALUE: usize = 200;

/// How a plan or a plan branch stands.
#[derive(Debug)]
pub(super) struct PlanStanding {
    pub(super) project: String,
    pub(super) under_way: Vec<UnderWayRow>,
    /// The newest first.
    pub(super) results: Vec<ResultChip>,
    pub(super) stages: Vec<StageRow>,
    /// Of the plan; none for a plan branch.
    pub(super) branches: Vec<BranchRow>,
    /// There are more branches.
    pub(super) is_cut: bool,
    pub(super) source: Source,
    /// Of the plan file, for those who may see the configuration.
    pub(super) variables: Vec<VariableRow>,
    pub(super) may_build: bool,
    pub(super) may_administrate: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct StageRow {
    name: String,
    is_manual: bool,
    is_final: bool,
    jobs: Vec<JobName>,
}

#[derive(Debug, Serialize)]
struct JobName {
    name: String,
    is_disabled: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct BranchRow {
    name: String,
    url: String,
    is_disabled: bool,
    last: Option<ResultChip>,
}

#[derive(Debug, Serialize)]
pub(super) struct VariableRow {
    name: String,
    value: String,
    is_secret: bool,
}

/// How it stands.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn of(app: &App, caller: &Caller, found: &ShownPlan) -> Result<PlanStanding, EngineError> {
    let (site, caller, found) = (Site::of(app), caller.clone(), found.clone());
    app.engine()
        .store()
        .read(move |tx| {
            let now = clock::now_ms();
            let (row, branch) = (&found.plan, &found.branch);
            let may = |needed| may(tx, &caller, needed, Target::Plan(&row.key));
            let configuration = plan::configuration(tx, branch.version_id.unwrap_or(row.version_id))?;
            let all = project::by_key(tx, &row.key.project())?;
            let (branches, is_cut) = match branch.is_master {
                true => overview::branches(tx, row.id, BRANCHES)?,
                false => (Vec::new(), false),
            };
            let results = overview::results(tx, branch.id, RESULTS)?;
            let mut under_way = overview::under_way(tx, Some(row.id))?;
            if !branch.is_master {
                under_way.retain(|one| one.branch_key == branch.key);
            }
            Ok(PlanStanding {
                project: all.map_or_else(String::new, |one| one.name),
                under_way: under_way
                    .iter()
                    .take(UNDER_WAY)
                    .map(|one| UnderWayRow::of_build(one, &site, now))
                    .collect(),
                results: results
                    .iter()
                    .map(|one| ResultChip::of(one, &site, now))
                    .collect(),
                stages: stages(&configuration),
                branches: branches
                    .into_iter()
                    .map(|one| BranchRow {
                        url: site.plan(&one.key),
                        name: shown::line(&one.display_name),
                        is_disabled: !one.enabled,
                        last: one.last.map(|last| ResultChip::of(&last, &site, now)),
                    })
                    .collect(),
                is_cut,
                source: configured::source(tx, &caller, &site, &found.version)?,
                variables: match may(Permission::ViewConfiguration)? {
                    true => variables(&configuration),
                    false => Vec::new(),
                },
                may_build: may(Permission::Build)?,
                may_administrate: may(Permission::Administration)?,
            })
        })
        .await
}

fn stages(configuration: &PlanConfiguration) -> Vec<StageRow> {
    let is_disabled = |name: &String| {
        let job = configuration.jobs.iter().find(|job| job.name == *name);
        job.is_some_and(|job| !job.enabled)
    };
    let row = |stage: &madake_domain::plan::Stage| StageRow {
        name: shown::line(&stage.name),
        is_manual: stage.manual,
        is_final: stage.final_stage,
        jobs: stage
            .jobs
            .iter()
            .map(|name| JobName {
                is_disabled: is_disabled(name),
                name: shown::line(name),
            })
            .collect(),
    };
    configuration.stages.iter().map(row).collect()
}

fn variables(configuration: &PlanConfiguration) -> Vec<VariableRow> {
    let row = |one: &madake_domain::plan::Variable| {
        let is_secret = looks_secret(&one.name) || one.is_foreign_secret();
        VariableRow {
            name: shown::line(&one.name),
            value: match is_secret {
                true => String::new(),
                false => shown::line(&one.value.chars().take(VALUE).collect::<String>()),
            },
            is_secret,
        }
    };
    configuration.variables.iter().map(row).collect()
}
