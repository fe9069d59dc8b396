//! Starts a build by hand: `POST /queue/{plan}` and `madake build queue`.

use madake_domain::key::PlanKey;
use madake_domain::permission::{Permission, Principal};
use madake_domain::stage_selection::StageRequest;
use madake_domain::waiting::{Newcomer, admit};
use madake_store::build::{self, Build, Reason};
use madake_store::decision::{self, Decision};
use madake_store::event::{self, Content, NewEvent};
use madake_store::plan::{self, Plan, PlanBranch};
use madake_store::repository::{self, Repository};
use madake_vcs::name::ObjectId;

use crate::access::{Caller, plan_for};
use crate::decide::own_file::{self, Own};
use crate::decide::set_version;
use crate::enqueue::{BuildRequest, RequestedRevision, give_up, limit_of, start};
use crate::heads::Looked;
use crate::listening::forks;
use crate::{Engine, EngineError, clock};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct TriggerBuild {
    /// How far it may run.
    pub stages: StageRequest,
    /// A revision other than the newest.
    pub custom_revision: Option<String>,
    /// Variables for this build alone.
    pub variables: Vec<(String, String)>,
}

impl Engine {
    /// Starts a build of a plan or plan branch at the newest revision of its branch, or at the one given.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] at the concurrency limit or when the plan is disabled, [`EngineError::Invalid`]
    /// for an unknown stage; what lacks otherwise.
    pub async fn trigger_build(
        &self,
        caller: &Caller,
        key: &PlanKey,
        asked: TriggerBuild,
    ) -> Result<Build, EngineError> {
        check_variables(&asked.variables)?;
        let (check, asked_key) = (caller.clone(), key.clone());
        let (plan_row, branch) = self
            .store()
            .read(move |tx| plan_for(tx, &check, &asked_key, Permission::Build))
            .await?;
        if !plan_row.enabled || !branch.enabled {
            return Err(EngineError::Conflict(format!(
                "Plan {} is disabled: no build can be started.",
                branch.key
            )));
        }
        let asked_branch = branch.clone();
        let of_fork = self.store().read(move |tx| forks::is_of_fork(tx, &asked_branch));
        if of_fork.await? {
            return Err(EngineError::Conflict(format!(
                "{} builds a pull request from a fork: it is built when its forge tells of it, or when an administrator \
                 allows its newest commit",
                branch.key
            )));
        }
        let version_id = branch.version_id.unwrap_or(plan_row.version_id);
        let configuration = self.configuration(version_id).await?;
        if !configuration.enabled {
            return Err(EngineError::Conflict(format!(
                "Plan {} is disabled: no build can be started.",
                branch.key
            )));
        }
        let mut revisions = self
            .revisions_of(&plan_row, &branch, &configuration, &mut Looked::default())
            .await?;
        let mut problem = None;
        if let Some(custom) = &asked.custom_revision {
            let first = revisions.first_mut().ok_or_else(|| {
                EngineError::Invalid("the plan has no repository, so it cannot build a given revision".into())
            })?;
            match self.resolve_revision(first, custom).await? {
                Some(found) => first.revision = found,
                None => problem = Some(format!("the revision {custom} does not exist in {}", first.name)),
            }
        } else if revisions.is_empty()
            && configuration
                .repositories
                .as_ref()
                .is_none_or(|list| !list.is_empty())
        {
            let branch_name = branch.vcs_branch.as_deref().unwrap_or("the default branch");
            problem = Some(format!(
                "there is no revision to build: {branch_name} does not exist in the repository"
            ));
        }
        let own = match &asked.custom_revision {
            None => own_version(self, &plan_row, &branch, revisions.first()).await?,
            Some(_) => None,
        };
        let (caller, default_limit) = (caller.clone(), self.settings().concurrent_builds);
        self.store()
            .write(move |tx| {
                let now = clock::now_ms();
                if let Some((found, own)) = &own {
                    set_version(tx, plan_row.id, &branch, own, found, now)?;
                }
                let version_id = plan::branch_by_id(tx, branch.id)?
                    .version_id
                    .unwrap_or(version_id);
                let running = build::count_active(tx, branch.id)?;
                admit(
                    running,
                    limit_of(&configuration, default_limit),
                    &[],
                    Newcomer::Manual,
                )
                .map_err(|refusal| EngineError::Conflict(refusal.sentence().to_owned()))?;
                let event_id = enter_request(tx, &caller, &branch.key, &asked, now)?;
                let revision = revisions.first().map(|first| first.revision.clone());
                let request = BuildRequest {
                    plan_branch_id: branch.id,
                    version_id,
                    event_id: Some(event_id),
                    reason: reason(&caller, asked.custom_revision.as_deref()),
                    triggered_by: caller.name().to_owned(),
                    variables: asked.variables.clone(),
                    once_off: asked.custom_revision.is_some(),
                    revisions: revisions.clone(),
                };
                let made = match problem {
                    Some(reason) => give_up(tx, &request, &asked.stages, reason, now)?,
                    None => start(tx, &request, &asked.stages, now)?,
                };
                if asked.custom_revision.is_none()
                    && let Some(revision) = &revision
                {
                    plan::set_last_revision(tx, branch.id, revision, now)?;
                }
                let decision = Decision {
                    id: 0,
                    event_id,
                    plan_branch_id: Some(branch.id),
                    plan_key: branch.key.to_string(),
                    ref_name: String::new(),
                    revision,
                    build: true,
                    code: "asked-for".into(),
                    sentence: format!("{} asked for a build of {}", caller.name(), branch.key),
                    rules: "[]".into(),
                    build_id: Some(made.id),
                    outcome: Some(format!("became {}", made.key)),
                    decided_ms: now,
                };
                decision::insert(tx, Some(plan_row.id), &decision)?;
                Ok(made)
            })
            .await
    }
}

fn reason(caller: &Caller, custom_revision: Option<&str>) -> Reason {
    let user = match &caller.principal {
        Principal::User(user) => user.name.clone(),
        other => other.name().to_owned(),
    };
    match custom_revision {
        Some(revision) => Reason::CustomRevision {
            user,
            revision: revision.to_owned(),
        },
        None => Reason::Manual { user },
    }
}

fn enter_request(
    tx: &madake_store::Tx<'_>,
    caller: &Caller,
    key: &PlanKey,
    asked: &TriggerBuild,
    now: i64,
) -> Result<i64, EngineError> {
    let names: Vec<&str> = asked.variables.iter().map(|(name, _)| name.as_str()).collect();
    let request = format!(
        "build {key} (stage: {}, all stages: {}, revision: {}, variables: {})",
        asked.stages.stage.as_deref().unwrap_or("-"),
        asked.stages.execute_all_stages,
        asked.custom_revision.as_deref().unwrap_or("newest"),
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(", ")
        },
    );
    let new = NewEvent {
        kind: "request",
        delivery_id: None,
        address: caller.address.clone(),
        principal: caller.name().to_owned(),
        repository_id: None,
        plan_key: Some(key.to_string()),
        summary: request.clone(),
        raw: Vec::new(),
        content: Content::Request { request },
    };
    let received = event::receive(tx, new, now)?;
    event::mark_processed(tx, received.id(), None, now)?;
    Ok(received.id())
}

/// Variables given for one build: bounded, and named as an environment can carry them.
pub(crate) fn check_variables(variables: &[(String, String)]) -> Result<(), EngineError> {
    let total: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if variables.len() > 200 || total > 256 * 1024 {
        return Err(EngineError::Invalid(
            "at most 200 variables and 256 KiB of them may be given".into(),
        ));
    }
    match variables.iter().find(|(name, value)| {
        name.is_empty()
            || name.contains(['=', '\0'])
            || name.chars().any(char::is_control)
            || value.contains('\0')
    }) {
        Some((name, _)) => Err(EngineError::Invalid(format!(
            "the variable `{}` cannot be set: names have no `=` and no control characters, values no NUL",
            madake_domain::text::inert(name, 80)
        ))),
        None => Ok(()),
    }
}

impl Engine {
    /// The newest revisions of a plan branch's repositories, the default one's first; empty when the default
    /// repository has no such branch.
    pub(crate) async fn revisions_of(
        &self,
        plan_row: &plan::Plan,
        branch: &plan::PlanBranch,
        configuration: &madake_domain::plan::PlanConfiguration,
        looked: &mut Looked,
    ) -> Result<Vec<RequestedRevision>, EngineError> {
        let plan_id = plan_row.id;
        let rows = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(plan::repositories(tx, plan_id)?))
            .await?;
        let mut revisions = Vec::with_capacity(rows.len());
        for (position, row) in rows.iter().enumerate() {
            let named = configuration
                .repositories
                .as_ref()
                .and_then(|list| list.get(position));
            let Some(repository) = self.repository_of(row).await? else {
                return Err(EngineError::Conflict(format!(
                    "the plan names the repository {}, which this server does not know: link it with `madake repo link`",
                    row.name
                )));
            };
            let configured = named.and_then(|named| named.branch.clone());
            let wanted = match (position, &branch.vcs_branch) {
                (0, Some(vcs_branch)) => vcs_branch.clone(),
                _ => configured.unwrap_or_else(|| repository.default_branch.clone()),
            };
            match self.head_looked_up(&repository, &wanted, looked).await? {
                Some(head) => revisions.push(RequestedRevision {
                    repository_id: Some(repository.id),
                    name: row.name.clone(),
                    revision: head,
                    previous: if position == 0 {
                        branch.last_revision.clone()
                    } else {
                        None
                    },
                    branch: Some(wanted),
                }),
                None if position == 0 => return Ok(Vec::new()),
                None => {}
            }
        }
        Ok(revisions)
    }
}

/// What the plan file of a plan branch, or an override, makes of the plan at the revision that is to be built.
async fn own_version(
    engine: &Engine,
    plan_row: &Plan,
    branch: &PlanBranch,
    first: Option<&RequestedRevision>,
) -> Result<Option<(Repository, Own)>, EngineError> {
    let (Some(name), Some(first)) = (&branch.vcs_branch, first) else {
        return Ok(None);
    };
    let Some(id) = first.repository_id else {
        return Ok(None);
    };
    let commit = ObjectId::parse(&first.revision).ok();
    let (Some(commit), true) = (
        commit,
        plan_row.specs_repository_id == Some(id) && !branch.is_master,
    ) else {
        return Ok(None);
    };
    let found = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::by_id(tx, id)?))
        .await?;
    let Some(found) = found.filter(|found| *name != found.default_branch) else {
        return Ok(None);
    };
    let trusted = engine.configuration(plan_row.version_id).await?;
    let default = own_file::default_state(engine, &found).await?;
    let own = own_file::of_branch(
        engine,
        &found,
        plan_row,
        &trusted,
        (name, &commit),
        default.as_ref(),
    )
    .await?;
    Ok(Some((found, own.own)))
}
