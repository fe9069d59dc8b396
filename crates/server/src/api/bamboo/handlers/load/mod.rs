//! Fills views from the store, inside one read: what is looked up once is kept for the rest of the answer.
//!
//! Only here do rows become views. Permissions are asked where a row is found by a key from outside; lists ask
//! once for each plan.

mod details;
mod favourite;
mod kept;
mod plan;
mod result;

pub(super) use details::result_key;

use std::collections::HashMap;
use std::rc::Rc;

use madake_domain::key::{EntityKey, PlanKey, ProjectKey, ResultNumber};
use madake_domain::permission::Permission;
use madake_domain::plan::PlanConfiguration;
use madake_engine::EngineError;
use madake_engine::access::{Caller, Target, may, plan_for, require};
use madake_store::build::Build;
use madake_store::build_query::{self, Filter};
use madake_store::plan::{Plan, PlanBranch};
use madake_store::{StoreError, Tx, build, project, user};

use super::super::error::ApiError;
use super::super::expand::IndexRange;
use super::super::view::{PlanRef, ProjectRef, UserRef};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Runs `question` with a loader inside one read of the store.
pub(super) async fn read<T, F>(app: &App, visitor: &Visitor, question: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&mut Loader<'_, '_>) -> Result<T, EngineError> + Send + 'static,
{
    let caller = visitor.caller.clone();
    let base_url = app.base_url().to_owned();
    app.engine()
        .store()
        .read(move |tx| question(&mut Loader::new(tx, caller, base_url)))
        .await
        .map_err(Failure::from)
}

/// Looks things up for one answer.
pub(super) struct Loader<'t, 'c> {
    /// The read that everything is looked up in.
    pub(super) tx: &'t Tx<'c>,
    /// Who asks.
    pub(super) caller: Caller,
    base_url: String,
    projects: Option<HashMap<i64, ProjectRef>>,
    plans: HashMap<i64, Rc<Plan>>,
    branches: HashMap<i64, Rc<PlanBranch>>,
    plan_refs: HashMap<i64, PlanRef>,
    configurations: HashMap<i64, Rc<PlanConfiguration>>,
    readable: HashMap<i64, bool>,
    users: HashMap<String, UserRef>,
    users_by_email: Option<HashMap<String, UserRef>>,
    logs: HashMap<i64, LogPlace>,
}

/// Where the log of a job lies, and which lines of it the request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogPlace {
    /// The build.
    pub(super) build_id: i64,
    /// The attempt of the job.
    pub(super) attempt: i64,
    /// The index range of the `expand` parameter.
    pub(super) range: Option<IndexRange>,
}

impl<'t, 'c> Loader<'t, 'c> {
    fn new(tx: &'t Tx<'c>, caller: Caller, base_url: String) -> Self {
        Self {
            tx,
            caller,
            base_url,
            projects: None,
            plans: HashMap::new(),
            branches: HashMap::new(),
            plan_refs: HashMap::new(),
            configurations: HashMap::new(),
            readable: HashMap::new(),
            users: HashMap::new(),
            users_by_email: None,
            logs: HashMap::new(),
        }
    }

    /// The plan and the plan branch with this key, if the caller may read them.
    pub(super) fn plan_for(&mut self, key: &PlanKey) -> Result<(Rc<Plan>, Rc<PlanBranch>), EngineError> {
        let (plan, branch) = plan_for(self.tx, &self.caller, key, Permission::Read)?;
        let (plan, branch) = (Rc::new(plan), Rc::new(branch));
        self.readable.insert(plan.id, true);
        self.plans.insert(plan.id, Rc::clone(&plan));
        self.branches.insert(branch.id, Rc::clone(&branch));
        Ok((plan, branch))
    }

    /// A result of a plan or plan branch that the caller may read. The latest one is the latest that has
    /// finished, unless results in all states are asked for.
    pub(super) fn build_for(
        &mut self,
        key: &PlanKey,
        number: ResultNumber,
        include_all_states: bool,
    ) -> Result<Build, EngineError> {
        let (_, branch) = self.plan_for(key)?;
        let (found, word) = match number {
            ResultNumber::Number(number) => {
                (build::by_number(self.tx, branch.id, number)?, number.to_string())
            }
            ResultNumber::Latest => {
                let filter = Filter {
                    include_all_states,
                    ..Filter::default()
                };
                (
                    build_query::latest(self.tx, branch.id, &filter)?,
                    "latest".to_owned(),
                )
            }
        };
        found.ok_or_else(|| not_found(ApiError::result_not_found(&word, key.as_str())))
    }

    /// The result that a key names in any of its forms: a plan's, a job's, the latest one. A job's stands for its plan's.
    pub(super) fn build_named(&mut self, text: &str) -> Result<Build, EngineError> {
        let (job, number) = match text.parse() {
            Ok(EntityKey::Result(key)) => {
                return self.build_for(&key.plan, ResultNumber::Number(key.number), true);
            }
            Ok(EntityKey::LatestResult(plan)) => {
                return self.build_for(&plan, ResultNumber::Latest, true);
            }
            Ok(EntityKey::JobResult(key)) => (key.job, ResultNumber::Number(key.number)),
            Ok(EntityKey::LatestJobResult(job)) => (job, ResultNumber::Latest),
            _ => {
                let shown = madake_domain::text::inert(text, 80);
                return Err(not_found(ApiError::plan_not_found(&shown)));
            }
        };
        let build = self.build_for(&job.plan, number, true)?;
        self.job_row(&build, &job)?;
        Ok(build)
    }

    /// The project with this key, if the caller may read it or one of its plans. Anonymous callers get the same
    /// refusal for a project that is hidden and for one that is not there.
    pub(super) fn project_for(
        &mut self,
        key: &ProjectKey,
    ) -> Result<(ProjectRef, Vec<Rc<Plan>>), EngineError> {
        let required = || {
            require(
                self.tx,
                &self.caller,
                Permission::Read,
                Target::Project(key.as_str()),
            )
        };
        let Some(found) = project::by_key(self.tx, key)? else {
            return match required() {
                Err(refusal @ EngineError::Unauthenticated { .. }) => Err(refusal),
                _ => Err(not_found(ApiError::project_not_found(key.as_str()))),
            };
        };
        let allowed = required();
        let plans = self.readable_plans_of(found.id)?;
        if plans.is_empty() {
            allowed?;
        }
        Ok((self.project(found.id)?, plans))
    }

    /// The plans that the caller may read, by key.
    pub(super) fn readable_plans(&mut self) -> Result<Vec<Rc<Plan>>, EngineError> {
        let all = madake_store::plan::all(self.tx)?;
        self.keep_readable(all)
    }

    /// Those of one project.
    pub(super) fn readable_plans_of(&mut self, project_id: i64) -> Result<Vec<Rc<Plan>>, EngineError> {
        let all = madake_store::plan::of_project(self.tx, project_id)?;
        self.keep_readable(all)
    }

    fn keep_readable(&mut self, all: Vec<Plan>) -> Result<Vec<Rc<Plan>>, EngineError> {
        let mut kept = Vec::with_capacity(all.len());
        for plan in all {
            let plan = Rc::new(plan);
            self.plans.insert(plan.id, Rc::clone(&plan));
            if self.may_read(plan.id)? {
                kept.push(plan);
            }
        }
        Ok(kept)
    }

    /// Whether the caller may read a plan.
    pub(super) fn may_read(&mut self, plan_id: i64) -> Result<bool, EngineError> {
        if let Some(known) = self.readable.get(&plan_id) {
            return Ok(*known);
        }
        let plan = self.plan(plan_id)?;
        let answer = may(self.tx, &self.caller, Permission::Read, Target::Plan(&plan.key))?;
        self.readable.insert(plan_id, answer);
        Ok(answer)
    }

    /// Whether the caller may read a project as such.
    pub(super) fn may_read_project(&self, key: &ProjectKey) -> Result<bool, EngineError> {
        let target = Target::Project(key.as_str());
        may(self.tx, &self.caller, Permission::Read, target)
    }

    /// All projects by key.
    pub(super) fn projects(&mut self) -> Result<Vec<ProjectRef>, EngineError> {
        let mut all: Vec<ProjectRef> = self.known_projects()?.values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    /// A project by the id of its row.
    pub(super) fn project(&mut self, id: i64) -> Result<ProjectRef, EngineError> {
        let found = self.known_projects()?.get(&id).cloned();
        found.ok_or_else(|| missing("project", id))
    }

    fn known_projects(&mut self) -> Result<&HashMap<i64, ProjectRef>, EngineError> {
        if self.projects.is_none() {
            let mut known = HashMap::new();
            for row in project::all(self.tx)? {
                let key = row
                    .key
                    .parse()
                    .map_err(|error| StoreError::Damaged(format!("{error}")))?;
                let view = ProjectRef {
                    id: row.id,
                    key,
                    name: row.name,
                    description: row.description,
                };
                known.insert(row.id, view);
            }
            self.projects = Some(known);
        }
        Ok(self.projects.get_or_insert_default())
    }

    /// A plan by the id of its row.
    pub(super) fn plan(&mut self, id: i64) -> Result<Rc<Plan>, EngineError> {
        if let Some(known) = self.plans.get(&id) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(madake_store::plan::by_id(self.tx, id)?);
        self.plans.insert(id, Rc::clone(&found));
        Ok(found)
    }

    /// A plan branch, or a master, by the id of its row.
    pub(super) fn branch(&mut self, id: i64) -> Result<Rc<PlanBranch>, EngineError> {
        if let Some(known) = self.branches.get(&id) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(madake_store::plan::branch_by_id(self.tx, id)?);
        self.branches.insert(id, Rc::clone(&found));
        Ok(found)
    }

    /// The configuration of a plan version.
    pub(super) fn configuration(&mut self, version_id: i64) -> Result<Rc<PlanConfiguration>, EngineError> {
        if let Some(known) = self.configurations.get(&version_id) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(madake_store::plan::configuration(self.tx, version_id)?);
        self.configurations.insert(version_id, Rc::clone(&found));
        Ok(found)
    }

    /// The configuration that a plan branch would build with now.
    pub(super) fn configuration_of(
        &mut self,
        branch: &PlanBranch,
    ) -> Result<Rc<PlanConfiguration>, EngineError> {
        let version_id = match branch.version_id {
            Some(own) => own,
            None => self.plan(branch.plan_id)?.version_id,
        };
        self.configuration(version_id)
    }

    /// A user by login name; one that is gone keeps the name.
    pub(super) fn user(&mut self, name: &str) -> Result<UserRef, EngineError> {
        if let Some(known) = self.users.get(name) {
            return Ok(known.clone());
        }
        let full_name = user::by_name(self.tx, name)?.map_or_else(|| name.to_owned(), |user| user.full_name);
        let view = UserRef {
            name: name.to_owned(),
            full_name,
        };
        self.users.insert(name.to_owned(), view.clone());
        Ok(view)
    }

    /// The user with an e-mail address.
    fn user_by_email(&mut self, email: &str) -> Result<Option<UserRef>, EngineError> {
        if email.is_empty() {
            return Ok(None);
        }
        if self.users_by_email.is_none() {
            let all = user::all(self.tx)?.into_iter().map(|user| {
                let view = UserRef {
                    name: user.name,
                    full_name: user.full_name,
                };
                (user.email.to_lowercase(), view)
            });
            self.users_by_email = Some(all.collect());
        }
        let known = self.users_by_email.get_or_insert_default();
        Ok(known.get(&email.to_lowercase()).cloned())
    }

    /// Where the logs lie that the loaded jobs are to show, by the id of the job.
    pub(super) fn take_logs(&mut self) -> HashMap<i64, LogPlace> {
        std::mem::take(&mut self.logs)
    }
}

/// 404 with the sentence of an answer.
fn not_found(error: ApiError) -> EngineError {
    EngineError::NotFound(error.message)
}

fn missing(what: &str, id: i64) -> EngineError {
    StoreError::Missing(format!("the {what} with the id {id}")).into()
}
