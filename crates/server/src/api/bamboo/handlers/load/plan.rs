//! Plans, plan branches, jobs and variables as they are configured (bamboo-rest.md 3, 4).

use std::ops::Range;
use std::rc::Rc;

use madake_domain::key::{JobKey, PlanKey};
use madake_domain::plan::PlanConfiguration;
use madake_domain::schedule::LifeCycleState;
use madake_domain::variables::looks_secret;
use madake_engine::EngineError;
use madake_store::build::Build;
use madake_store::build_query::{self, Filter};
use madake_store::plan::{Plan, PlanBranch};
use madake_store::variable::{self, StoredValue, VariableScope};
use madake_store::{StoreError, plan};

use super::super::super::error::ApiError;
use super::super::super::expand::Expand;
use super::super::super::view::{
    ActiveResult, BranchView, JobRef, PlanRef, PlanView, ProjectRef, ProjectView, Slice, StageDefinition,
    VariableView,
};
use super::details::{result_key, status_of};
use super::{Loader, not_found};

/// Jobs have no rows of their own before they are built: their numbers follow from the plan branch's.
const JOBS_PER_PLAN: i64 = 10_000;

impl Loader<'_, '_> {
    /// A plan or plan branch in short.
    pub(in super::super) fn plan_ref(&mut self, branch: &PlanBranch) -> Result<PlanRef, EngineError> {
        if let Some(known) = self.plan_refs.get(&branch.id) {
            return Ok(known.clone());
        }
        let row = self.plan(branch.plan_id)?;
        let configured = self.configuration_of(branch)?.enabled;
        let (short_name, enabled, master) = if branch.is_master {
            (row.name.clone(), row.enabled, None)
        } else {
            let master = plan::master(self.tx, row.id)?;
            let master = self.plan_ref(&master)?;
            (branch.display_name.clone(), true, Some(Box::new(master)))
        };
        let view = PlanRef {
            id: branch.id,
            key: branch.key.clone(),
            project_name: self.project(row.project_id)?.name,
            short_name,
            enabled: enabled && branch.enabled && configured,
            master,
        };
        self.plan_refs.insert(branch.id, view.clone());
        Ok(view)
    }

    /// The master of a plan, in full or in short.
    pub(in super::super) fn master_view(
        &mut self,
        row: &Plan,
        expand: Option<&Expand>,
    ) -> Result<PlanView, EngineError> {
        let branch = plan::master(self.tx, row.id)?;
        match expand {
            Some(expand) => self.plan_view(&branch, expand),
            None => {
                let project = self.project(row.project_id)?;
                Ok(PlanView::short(self.plan_ref(&branch)?, project))
            }
        }
    }

    /// A plan or plan branch in full; `expand` is what is asked for below it.
    pub(in super::super) fn plan_view(
        &mut self,
        branch: &PlanBranch,
        expand: &Expand,
    ) -> Result<PlanView, EngineError> {
        let row = self.plan(branch.plan_id)?;
        let configuration = self.configuration_of(branch)?;
        let view = self.plan_ref(branch)?;
        let active = build_query::active_of_branch(self.tx, branch.id)?;
        let is_building = active
            .iter()
            .any(|build| build.schedule.summary().life_cycle == LifeCycleState::InProgress);
        let branches = if branch.is_master {
            self.branches_of(row.id, expand)?
        } else {
            Slice::default()
        };
        let description = if branch.is_master {
            &row.description
        } else {
            &branch.description
        };
        Ok(PlanView {
            project: self.project(row.project_id)?,
            description: description.clone(),
            is_favourite: self.is_favourite(branch.id)?,
            is_active: !active.is_empty(),
            is_building,
            average_build_time_ms: build_query::average_duration_ms(self.tx, branch.id)?.unwrap_or(0),
            stages: stages(&view, &configuration).into(),
            branches,
            variables: variables(&configuration).into(),
            plan: view,
        })
    }

    fn branches_of(&mut self, plan_id: i64, expand: &Expand) -> Result<Slice<BranchView>, EngineError> {
        let rows = self.branch_rows(plan_id)?;
        if !expand.contains("branches") {
            return Ok(Slice::counted(rows.len()));
        }
        let below = expand.below("branches");
        let item = below.contains("branch").then(|| below.below("branch"));
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            views.push(self.branch_view(row, item)?);
        }
        Ok(views.into())
    }

    /// The branches of a plan without the plan itself.
    pub(in super::super) fn branch_rows(&self, plan_id: i64) -> Result<Vec<PlanBranch>, EngineError> {
        let mut rows = plan::branches(self.tx, plan_id)?;
        rows.retain(|row| !row.is_master);
        Ok(rows)
    }

    /// A plan branch; with `expand` also its newest results.
    pub(in super::super) fn branch_view(
        &mut self,
        branch: &PlanBranch,
        expand: Option<&Expand>,
    ) -> Result<BranchView, EngineError> {
        let (mut latest_result, mut latest_active) = (None, None);
        if let Some(expand) = expand {
            if let Some(build) = build_query::latest(self.tx, branch.id, &Filter::default())? {
                let full = expand
                    .contains("latestResult")
                    .then(|| expand.below("latestResult"));
                latest_result = Some(self.result_entry(&build, full)?);
            }
            let active = build_query::active_of_branch(self.tx, branch.id)?;
            latest_active = active.last().map(active_result).transpose()?;
        }
        Ok(BranchView {
            plan: self.plan_ref(branch)?,
            description: branch.description.clone(),
            is_favourite: self.is_favourite(branch.id)?,
            latest_result,
            latest_active,
        })
    }

    /// A branch of a plan by its display name or by the name of its branch in the repository.
    pub(in super::super) fn branch_named(
        &self,
        plan_id: i64,
        name: &str,
    ) -> Result<Option<PlanBranch>, EngineError> {
        let rows = self.branch_rows(plan_id)?;
        let vcs = name.strip_prefix("refs/heads/").unwrap_or(name);
        let shown = rows.iter().position(|row| row.display_name == name);
        let found = shown.or_else(|| rows.iter().position(|row| row.vcs_branch.as_deref() == Some(vcs)));
        Ok(found.and_then(|index| rows.into_iter().nth(index)))
    }

    /// The same, where a format suffix may have been taken off a name that really ends in it.
    pub(in super::super) fn branch_named_or_suffixed(
        &self,
        plan: &PlanKey,
        plan_id: i64,
        name: &str,
    ) -> Result<PlanBranch, EngineError> {
        for name in [name.to_owned(), format!("{name}.json"), format!("{name}.xml")] {
            if let Some(found) = self.branch_named(plan_id, &name)? {
                return Ok(found);
            }
        }
        let name = madake_domain::text::inert(name, 80);
        Err(not_found(ApiError::not_found(format!(
            "Branch {name} of plan {plan} not found."
        ))))
    }

    /// A job of a plan or plan branch as it is configured now.
    pub(in super::super) fn job_for(&mut self, key: &JobKey) -> Result<JobRef, EngineError> {
        let (_, branch) = self.plan_for(&key.plan)?;
        let configuration = self.configuration_of(&branch)?;
        let view = self.plan_ref(&branch)?;
        job_ref(&view, &configuration, &key.job)
            .ok_or_else(|| not_found(ApiError::plan_not_found(&key.to_string())))
    }

    /// A project with its plans, of which those at the indexes `loaded` are looked up; they are full when `expand`,
    /// what is asked for below them, is there.
    pub(in super::super) fn project_view(
        &mut self,
        project: ProjectRef,
        plans: &[Rc<Plan>],
        loaded: Range<usize>,
        expand: Option<&Expand>,
    ) -> Result<ProjectView, EngineError> {
        let start = loaded.start;
        let mut items = Vec::new();
        for row in plans.get(loaded).unwrap_or_default() {
            items.push(self.master_view(row, expand)?);
        }
        Ok(ProjectView {
            project,
            plans: Slice {
                total: plans.len(),
                start,
                items,
            },
        })
    }

    /// The variables of a plan or plan branch.
    pub(in super::super) fn variables_for(
        &mut self,
        key: &PlanKey,
    ) -> Result<Vec<VariableView>, EngineError> {
        let (plan, branch) = self.plan_for(key)?;
        let mut views = variables(&*self.configuration_of(&branch)?);
        let scope = VariableScope::Plan(plan.key.to_string());
        for set in variable::all(self.tx, &scope)? {
            let is_password = set.is_secret();
            let value = match set.value {
                StoredValue::Plain(text) => text,
                StoredValue::Sealed(_) => String::new(),
            };
            match views.iter_mut().find(|view| view.name == set.name) {
                // The file's value counts, unless it is empty or nobody here can read it.
                Some(view) if view.value.is_empty() => {
                    (view.value, view.is_password) = (value, is_password);
                }
                Some(_) => {}
                None => views.push(VariableView {
                    name: set.name,
                    value,
                    kind: "PLAN",
                    is_password,
                }),
            }
        }
        Ok(views)
    }
}

fn active_result(build: &Build) -> Result<ActiveResult, StoreError> {
    let summary = build.schedule.summary();
    Ok(ActiveResult {
        key: result_key(build)?,
        status: status_of(summary.life_cycle, summary.state),
    })
}

/// A job by its short key.
pub(super) fn job_ref(plan: &PlanRef, configuration: &PlanConfiguration, key: &str) -> Option<JobRef> {
    let (job, position) = configuration
        .jobs
        .iter()
        .zip(1_i64..)
        .find(|(job, _)| job.key == key)?;
    Some(JobRef {
        id: plan.id.saturating_mul(JOBS_PER_PLAN).saturating_add(position),
        key: JobKey {
            plan: plan.key.clone(),
            job: job.key.clone(),
        },
        short_name: job.name.clone(),
        enabled: job.enabled,
        plan: plan.clone(),
    })
}

fn stages(plan: &PlanRef, configuration: &PlanConfiguration) -> Vec<StageDefinition> {
    let jobs_of = |names: &[String]| -> Vec<JobRef> {
        names
            .iter()
            .filter_map(|name| configuration.job(name))
            .filter_map(|job| job_ref(plan, configuration, &job.key))
            .collect()
    };
    configuration
        .stages
        .iter()
        .map(|stage| StageDefinition {
            name: stage.name.clone(),
            description: stage.description.clone(),
            manual: stage.manual,
            jobs: jobs_of(&stage.jobs).into(),
        })
        .collect()
}

fn variables(configuration: &PlanConfiguration) -> Vec<VariableView> {
    let view = |variable: &madake_domain::plan::Variable| VariableView {
        name: variable.name.clone(),
        value: variable.value.clone(),
        kind: "PLAN",
        is_password: looks_secret(&variable.name) || variable.is_foreign_secret(),
    };
    configuration.variables.iter().map(view).collect()
}
