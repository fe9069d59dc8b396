//! What an agent is told to do for one attempt at one job: everything resolved, so that it asks for nothing.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use madake_domain::credential::named_by_tasks;
use madake_domain::plan::{CheckoutTask, Job, Task, TaskAction, Variable};
use madake_domain::repository::{RepositoryKind, Scm};
use madake_domain::variables::{
    BuildFacts, BuildRepository, JobFacts, ProposedBy, agent_specific, build_specific, job_specific,
    looks_secret,
};
use madake_protocol::{
    DEFAULT_FINAL_TASKS_SECONDS, Isolation, JobOrder, JobRepository, JobVariable, Purpose, PushRight,
};
use madake_store::build::{Build, Reason, Revision};
use madake_store::plan::{Plan, PlanBranch};
use madake_store::pull_request::{self, PullRequest};
use madake_store::repository::{self, Repository};
use madake_store::{Tx, build, build_query, plan, project};

use crate::credentials::Asking;
use crate::listening::forks;
use crate::specs::rights;
use crate::variables::{JobLayers, SetVariables};
use crate::{Engine, EngineError, handed_on, job_right, supply};

/// The log of one job grows to this size at most, in bytes.
pub(crate) const LOG_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// What a build is of.
pub(crate) struct Loaded {
    /// The build.
    pub(crate) build: Build,
    /// Its plan.
    pub(crate) plan: Plan,
    /// Its plan branch.
    pub(crate) branch: PlanBranch,
    project_name: String,
    revisions: Vec<(Revision, Option<Repository>)>,
    /// The pull request that the build is of.
    proposed: Option<PullRequest>,
    /// What it builds comes from a fork.
    pub(crate) of_fork: bool,
    /// What jobs of earlier stages handed on.
    handed_on: Vec<Variable>,
    /// What people set.
    set: SetVariables,
    /// The ids of the repositories that its jobs may push to.
    pushable: Vec<i64>,
}

/// Makes the order for an attempt at a job, to be run by the agent in the slot with this number.
pub(crate) async fn make(
    engine: &Engine,
    job: &build::Job,
    attempt: i64,
    agent_name: &str,
    slot: usize,
) -> Result<JobOrder, EngineError> {
    let build_id = job.build_id;
    let (stage, sealer) = (job.stage, engine.sealer().clone());
    let loaded = engine
        .store()
        .read(move |tx| {
            let loaded = load(tx, build_id)?;
            let set = SetVariables::of_plan(tx, &sealer, &loaded.plan)?;
            Ok::<_, EngineError>(Loaded {
                handed_on: handed_on::in_force(tx, Some(&sealer), &loaded.build, stage)?,
                pushable: pushable(tx, &loaded.plan, &loaded.revisions)?,
                // Strangers wrote what runs: it gets no secrets.
                set: if loaded.of_fork {
                    set.without_secrets()
                } else {
                    set
                },
                ..loaded
            })
        })
        .await?;
    let configuration = engine.configuration(loaded.build.version_id).await?;
    let definition = configuration.job(&job.name).ok_or_else(|| {
        EngineError::Internal(format!(
            "the plan version of {} has no job {}",
            loaded.build.key, job.name
        ))
    })?;
    let tasks = configuration.tasks_of(definition);
    let mut repositories = repositories(&engine.settings().base_url, &loaded);
    let holder = loaded.plan.specs_repository_id;
    add_named(engine, &tasks, &definition.final_tasks, holder, &mut repositories).await?;
    let push_rights = if loaded.of_fork {
        Vec::new()
    } else {
        push_rights(
            engine,
            job,
            attempt,
            &loaded,
            tasks.iter().chain(&definition.final_tasks),
        )?
    };
    let named = named_by_tasks(tasks.iter().chain(&definition.final_tasks));
    let asking = Asking {
        project: loaded.plan.key.project(),
        holder,
        of_fork: loaded.of_fork,
        result: format!("{}-{}-{}", loaded.branch.key, job.key, loaded.build.number),
    };
    let named = named.into_iter().map(str::to_owned).collect();
    let credentials = engine.credentials_for(named, asking).await?;
    let (artifacts, tests) = supply::of_job(engine, job, &loaded.build, definition, &loaded.plan.key).await?;
    let settings = engine.settings();
    let facts = build_facts(&settings.base_url, &settings.time_zone, &loaded);
    let folder = format!("{}-{}", loaded.branch.key, job.key);
    Ok(JobOrder {
        format: madake_protocol::FORMAT,
        job_result_key: format!("{}-{}-{}", loaded.branch.key, job.key, loaded.build.number),
        plan_name: match &facts.branch_name {
            Some(branch) => format!("{} - {} - {branch}", facts.project_name, facts.plan_name),
            None => format!("{} - {}", facts.project_name, facts.plan_name),
        },
        job_name: job.name.clone(),
        agent_name: agent_name.to_owned(),
        job_id: job.id,
        attempt,
        working_directory: workspace(engine, slot, &folder),
        log_path: engine.home().job_log(loaded.build.id, job.id, attempt),
        tasks,
        final_tasks: definition.final_tasks.clone(),
        repositories,
        masks: push_rights
            .iter()
            .filter_map(|right| right.password.clone())
            .collect(),
        push_rights,
        credentials,
        variables: variables(&facts, &loaded, &configuration.variables, definition, slot),
        capabilities: engine
            .capabilities()
            .await?
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        environment: Vec::new(),
        timeout_seconds: Some(definition.timeout_seconds.unwrap_or(settings.job_timeout_seconds)),
        stop_grace_seconds: settings.stop_grace_seconds,
        final_tasks_seconds: DEFAULT_FINAL_TASKS_SECONDS,
        log_limit_bytes: Some(LOG_LIMIT),
        time_zone: zone_name(&settings.time_zone),
        git_program: settings.git.clone(),
        hg_program: settings.hg.clone(),
        hg_settings: engine.home().hg_job_settings(),
        clean_working_directory: definition.clean_working_directory,
        artifacts,
        tests,
        untrusted: loaded.of_fork,
        purpose: Purpose::Build,
        isolation: match definition.docker.as_ref().or(configuration.docker.as_ref()) {
            Some(docker) => Isolation::Container(settings.agent.container(docker, volume_scope(&loaded))),
            None => engine.isolation().await?,
        },
    })
}

/// What a build is of, but for what its jobs handed on.
pub(crate) fn load(tx: &Tx<'_>, build_id: i64) -> Result<Loaded, EngineError> {
    let build = build::by_id(tx, build_id)?;
    let plan = plan::by_id(tx, build.plan_id)?;
    let branch = plan::branch_by_id(tx, build.plan_branch_id)?;
    let project_name = project::by_key(tx, &plan.key.project())?
        .map_or_else(|| plan.key.project().to_string(), |one| one.name);
    let mut revisions = Vec::new();
    for revision in build_query::revisions(tx, build.id)? {
        let found = match revision.repository_id {
            Some(id) => repository::by_id(tx, id)?,
            None => None,
        };
        revisions.push((revision, found));
    }
    let holder = match plan.specs_repository_id {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    for (_, found) in &mut revisions {
        // One that was made, renamed or closed since the plan file was read was not asked for then.
        if let (Some(holder), Some(one)) = (&holder, &*found)
            && !rights::may_use_repository(tx, holder, one)?
        {
            *found = None;
        }
    }
    let of_fork = forks::is_of_fork(tx, &branch)?;
    if of_fork && let Some((_, Some(found))) = revisions.first_mut() {
        *found = forks::with_forks(found);
    }
    let proposed = match branch.pull_request_id {
        Some(id) => pull_request::by_id(tx, id)?,
        None => None,
    };
    Ok(Loaded {
        build,
        plan,
        branch,
        project_name,
        revisions,
        proposed,
        of_fork,
        handed_on: Vec::new(),
        set: SetVariables::default(),
        pushable: Vec::new(),
    })
}

/// Whose volumes the containers of a build have: those of its plan. What strangers wrote has some of its own for each
/// plan branch, so that nothing of it is found by others.
fn volume_scope(loaded: &Loaded) -> String {
    let plan = loaded.plan.key.to_string();
    if loaded.of_fork {
        format!("{plan}.fork-{}", loaded.branch.key)
    } else {
        plan
    }
}

/// The name of a time zone that another process can find it by.
pub(crate) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// Where the agent in a slot works on what has this name.
pub(crate) fn workspace(engine: &Engine, slot: usize, folder: &str) -> PathBuf {
    engine.home().workspaces().join(slot.to_string()).join(folder)
}

/// The repositories of a build, as its jobs check them out.
pub(crate) fn repositories(base_url: &str, loaded: &Loaded) -> Vec<JobRepository> {
    loaded
        .revisions
        .iter()
        .enumerate()
        .filter_map(|(position, (revision, found))| {
            let found = found.as_ref()?;
            Some(JobRepository {
                name: revision.name.clone(),
                scm: found.scm,
                source: PathBuf::from(&found.path),
                origin: Some(clone_url(base_url, found)),
                revision: revision.revision.clone(),
                branch: revision.branch.clone().unwrap_or_default(),
                is_default: position == 0,
            })
        })
        .collect()
}

/// Adds repositories that a checkout task names although the plan does not list them (bamboo-specs.md 4.3).
pub(crate) async fn add_named(
    engine: &Engine,
    tasks: &[Task],
    final_tasks: &[Task],
    specs_repository_id: Option<i64>,
    repositories: &mut Vec<JobRepository>,
) -> Result<(), EngineError> {
    for task in tasks.iter().chain(final_tasks) {
        let TaskAction::Checkout(CheckoutTask {
            repository: Some(name),
            ..
        }) = &task.action
        else {
            continue;
        };
        if repositories
            .iter()
            .any(|known| known.name.eq_ignore_ascii_case(name))
        {
            continue;
        }
        let wanted = name.clone();
        let found = engine
            .store()
            .read(move |tx| {
                let Some(found) = repository::by_name(tx, &wanted)? else {
                    return Ok(None);
                };
                // The plan file of a branch was not asked before: it may use what the plan's repository may.
                let holder = match specs_repository_id {
                    Some(id) => repository::by_id(tx, id)?,
                    None => None,
                };
                let allowed = match holder {
                    Some(holder) => rights::may_use_repository(tx, &holder, &found)?,
                    None => true,
                };
                Ok::<_, EngineError>(allowed.then_some(found))
            })
            .await?;
        // One that is unknown, or not allowed, is left out: the task says so in the log of the job.
        let Some(found) = found else { continue };
        if let Some(head) = engine.current_head(&found, &found.default_branch).await? {
            repositories.push(JobRepository {
                name: name.clone(),
                scm: found.scm,
                source: PathBuf::from(&found.path),
                origin: Some(clone_url(&engine.settings().base_url, &found)),
                revision: head,
                branch: found.default_branch.clone(),
                is_default: false,
            });
        }
    }
    Ok(())
}

/// The repositories of a build to which the plan file's repository may have jobs push.
fn pushable(
    tx: &Tx<'_>,
    plan: &Plan,
    revisions: &[(Revision, Option<Repository>)],
) -> Result<Vec<i64>, EngineError> {
    let holder = match plan.specs_repository_id {
        Some(id) => repository::by_id(tx, id)?,
        None => None,
    };
    let Some(holder) = holder else {
        return Ok(Vec::new());
    };
    let mut ids = Vec::new();
    for found in revisions.iter().filter_map(|(_, found)| found.as_ref()) {
        if rights::may_push_to(tx, &holder, found)? {
            ids.push(found.id);
        }
    }
    Ok(ids)
}

/// What tasks of the job push with, where some do.
fn push_rights<'a>(
    engine: &Engine,
    job: &build::Job,
    attempt: i64,
    loaded: &Loaded,
    mut tasks: impl Iterator<Item = &'a Task>,
) -> Result<Vec<PushRight>, EngineError> {
    if !tasks.any(|task| {
        matches!(
            task.action,
            TaskAction::VcsTag(_) | TaskAction::VcsBranch(_) | TaskAction::VcsPush(_)
        )
    }) {
        return Ok(Vec::new());
    }
    let repositories: Vec<(&str, &Repository)> = loaded
        .revisions
        .iter()
        .filter_map(|(revision, found)| {
            let found = found
                .as_ref()
                .filter(|found| loaded.pushable.contains(&found.id))?;
            Some((revision.name.as_str(), found))
        })
        .collect();
    job_right::push_rights(engine, job, attempt, &repositories)
}

/// What Bamboo calls the reason of a build; scripts look for a part of the word. It has none for deployments.
fn trigger_reason(reason: &Reason) -> Option<&'static str> {
    match reason {
        Reason::CodeChanged | Reason::Tag { .. } => Some("CodeChangedTriggerReason"),
        Reason::FirstBuild => Some("InitialBuildTriggerReason"),
        Reason::Scheduled => Some("ScheduledTriggerReason"),
        Reason::Parent { .. } => Some("DependencyTriggerReason"),
        Reason::Manual { .. } | Reason::StageContinued { .. } => Some("ManualBuildTriggerReason"),
        Reason::CustomRevision { .. } => Some("CustomRevisionBuildTriggerReason"),
        Reason::Rebuilt { .. } => Some("RerunBuildTriggerReason"),
        Reason::Deployment { .. } => None,
    }
}

/// What a build says of itself.
pub(crate) fn build_facts(base_url: &str, zone: &TimeZone, loaded: &Loaded) -> BuildFacts {
    let started =
        jiff::Timestamp::from_millisecond(loaded.build.created_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let zoned = started.to_zoned(zone.clone());
    let started_by = match &loaded.build.reason {
        Reason::Manual { user }
        | Reason::CustomRevision { user, .. }
        | Reason::StageContinued { user, .. }
        | Reason::Rebuilt { user } => Some(user.clone()),
        Reason::CodeChanged
        | Reason::FirstBuild
        | Reason::Scheduled
        | Reason::Parent { .. }
        | Reason::Tag { .. }
        | Reason::Deployment { .. } => None,
    };
    let tag = match &loaded.build.reason {
        Reason::Tag { name } => Some(name.clone()),
        _ => None,
    };
    BuildFacts {
        plan: loaded.branch.key.clone(),
        project_name: loaded.project_name.clone(),
        plan_name: loaded.plan.name.clone(),
        branch_name: (!loaded.branch.is_master).then(|| loaded.branch.display_name.clone()),
        number: loaded.build.number,
        timestamp: zoned.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        base_url: base_url.to_owned(),
        trigger_reason: trigger_reason(&loaded.build.reason),
        started_by,
        parent: match &loaded.build.reason {
            Reason::Parent { build, .. } => Some(build.clone()),
            _ => None,
        },
        tag,
        pull_request: loaded.proposed.as_ref().map(|one| ProposedBy {
            number: one.number,
            source_branch: one.source_branch.clone(),
            target_branch: one.target_branch.clone(),
        }),
        repositories: loaded
            .revisions
            .iter()
            .map(|(revision, found)| BuildRepository {
                name: revision.name.clone(),
                url: found
                    .as_ref()
                    .map_or_else(String::new, |found| clone_url(base_url, found)),
                branch: revision.branch.clone().unwrap_or_default(),
                revision: revision.revision.clone(),
                previous_revision: revision.previous.clone(),
                username: None,
                is_git: found.as_ref().is_none_or(|found| found.scm == Scm::Git),
            })
            .collect(),
    }
}

/// The address that a hosted or attached repository is served at, over HTTP.
#[must_use]
pub fn served_url(base_url: &str, found: &Repository) -> String {
    // Clone addresses are lower case, as Bitbucket Server writes them.
    let (owner, slug) = (found.owner.to_lowercase(), found.slug.to_lowercase());
    match found.scm {
        Scm::Git => format!("{base_url}/scm/{owner}/{slug}.git"),
        Scm::Hg => format!("{base_url}/hg/{owner}/{slug}"),
    }
}

/// The address that people clone a repository from.
#[must_use]
pub fn clone_url(base_url: &str, found: &Repository) -> String {
    match found.kind {
        RepositoryKind::Hosted => served_url(base_url, found),
        RepositoryKind::Attached => found.path.clone(),
        RepositoryKind::Linked => found.url.clone(),
    }
}

fn variables(
    facts: &BuildFacts,
    loaded: &Loaded,
    plan: &[Variable],
    job: &Job,
    slot: usize,
) -> Vec<JobVariable> {
    let mut specific = build_specific(facts);
    specific.extend(job_specific(&JobFacts {
        build: facts,
        key: &job.key,
        name: &job.name,
    }));
    specific.extend(agent_specific(slot));
    // A stranger's commit gets none of the plan's secrets either.
    let file: Vec<Variable> = plan
        .iter()
        .filter(|one| !loaded.of_fork || !looks_secret(&one.name) && !one.is_foreign_secret())
        .cloned()
        .collect();
    let manual: Vec<Variable> = loaded
        .build
        .variables
        .iter()
        .map(|one| Variable {
            name: one.name.clone(),
            value: one.value.clone(),
        })
        .collect();
    let layers = JobLayers {
        plan: &loaded.set.of_file(&file),
        manual: &manual,
        injected: &loaded.handed_on,
        build_specific: &specific,
    };
    loaded.set.resolve(&layers)
}
