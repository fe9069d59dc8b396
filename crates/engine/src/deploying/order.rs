//! What an agent is told to do for a deployment: the tasks of the environment, with the variables of the release.

use madake_domain::credential::named_by_tasks;
use madake_domain::plan::Variable;
use madake_domain::variables::{
    DeploymentFacts, ResolvedVariable, VariableLayers, agent_specific, deployment_specific, resolve,
};
use madake_protocol::{DEFAULT_FINAL_TASKS_SECONDS, Isolation, JobOrder, Purpose, TestOrder};
use madake_store::Tx;
use madake_store::deployment::{self, Deployment, EnvironmentRow};
use madake_store::deployment_release::{self, Release};
use madake_store::deployment_result::{self, DeploymentResult};
use madake_store::seal::Sealer;

use super::facts::{self, ResultVariables};
use super::start::definition;
use super::{ATTEMPT, job_id};
use crate::credentials::Asking;
use crate::order::{LOG_LIMIT, Loaded, add_named, repositories, workspace, zone_name};
use crate::variables::SetVariables;
use crate::{Engine, EngineError, supply, workspaces};

/// A deployment with everything that its order is made of.
struct ToDeploy {
    found: Deployment,
    environment: EnvironmentRow,
    definition: madake_domain::plan::Environment,
    release: Release,
    previous: Option<Release>,
    loaded: Loaded,
    variables: ResultVariables,
    /// What people set for the server, the project and the plan.
    set: SetVariables,
}

impl ToDeploy {
    fn of(tx: &Tx<'_>, sealer: &Sealer, result: &DeploymentResult) -> Result<Self, EngineError> {
        let gone = |what: &str| EngineError::NotFound(format!("the {what} of the deployment is gone"));
        let found = deployment::by_id(tx, result.deployment_id)?.ok_or_else(|| gone("project"))?;
        let environment =
            deployment::environment(tx, result.environment_id)?.ok_or_else(|| gone("environment"))?;
        let release = deployment_release::by_id(tx, result.release_id)?.ok_or_else(|| gone("release"))?;
        let previous = match deployment_result::last_success(tx, environment.id, result.id)? {
            Some(before) => deployment_release::by_id(tx, before.release_id)?,
            None => None,
        };
        let (loaded, variables) = facts::of_build(tx, release.build_id)?;
        let variables = variables.with_secrets(tx, sealer, &loaded.build)?;
        let set = SetVariables::of_plan(tx, sealer, &loaded.plan)?;
        Ok(Self {
            set: if loaded.of_fork {
                set.without_secrets()
            } else {
                set
            },
            definition: definition(tx, result.version_id, &environment)?,
            found,
            environment,
            release,
            previous,
            loaded,
            variables,
        })
    }

    fn resolved(&self, result: &DeploymentResult, base_url: &str, slot: usize) -> Vec<ResolvedVariable> {
        let previous = self.previous.as_ref();
        let mut specific = self.variables.specific.clone();
        specific.extend(deployment_specific(&DeploymentFacts {
            project: self.found.name.clone(),
            environment: self.environment.name.clone(),
            release: self.release.name.clone(),
            previous_release: previous.map(|one| one.name.clone()),
            is_rollback: previous.is_some_and(|one| one.id > self.release.id),
        }));
        specific.extend(agent_specific(slot));
        specific.push(Variable {
            name: "resultsUrl".into(),
            value: format!(
                "{base_url}/deploy/viewDeploymentResult.action?deploymentResultId={}",
                result.id
            ),
        });
        // What the environment says stands above what was given for the build and what its jobs handed on.
        // Of what another server encrypted, the value counts that was entered for the plan.
        let readable = self.definition.variables.iter();
        let readable = readable.filter(|one| !one.is_foreign_secret());
        let own: Vec<Variable> = readable.cloned().collect();
        let is_own = |one: &&Variable| own.iter().any(|own| own.name == one.name);
        let kept = |all: &[Variable]| all.iter().filter(|one| !is_own(one)).cloned().collect::<Vec<_>>();
        let injected = kept(&self.variables.injected);
        let mut manual = kept(&self.variables.manual);
        manual.extend(result.variables.iter().map(|(name, value)| Variable {
            name: name.clone(),
            value: value.clone(),
        }));
        resolve(&VariableLayers {
            global: self.set.global(),
            project: self.set.project(),
            plan: &self.set.of_file(&self.variables.plan),
            environment: &own,
            manual: &manual,
            injected: &injected,
            build_specific: &specific,
            ..VariableLayers::default()
        })
    }
}

/// Makes the order for a deployment, to be run by the agent in the slot with this number.
pub(super) async fn make(
    engine: &Engine,
    result: &DeploymentResult,
    agent_name: &str,
    slot: usize,
) -> Result<JobOrder, EngineError> {
    let (asked, sealer) = (result.clone(), engine.sealer().clone());
    let what = engine
        .store()
        .read(move |tx| ToDeploy::of(tx, &sealer, &asked))
        .await?;
    let settings = engine.settings();
    let resolved = what.resolved(result, &settings.base_url, slot);
    let definition = &what.definition;
    let mut checked_out = repositories(&settings.base_url, &what.loaded);
    add_named(
        engine,
        &definition.tasks,
        &definition.final_tasks,
        what.found.specs_repository_id,
        &mut checked_out,
    )
    .await?;
    let tasks = definition.tasks.iter().chain(&definition.final_tasks);
    let artifacts = supply::of_deployment(engine, &what.loaded.build, &what.loaded.plan.key, tasks).await?;
    let tasks = definition.tasks.iter().chain(&definition.final_tasks);
    let named = named_by_tasks(tasks).into_iter().map(str::to_owned).collect();
    let asking = Asking {
        project: what.loaded.plan.key.project(),
        holder: what.found.specs_repository_id,
        of_fork: what.loaded.of_fork,
        result: result_key(result),
    };
    let credentials = engine.credentials_for(named, asking).await?;
    let folder = workspaces::of_environment(what.found.id, what.environment.id);
    Ok(JobOrder {
        format: madake_protocol::FORMAT,
        job_result_key: result_key(result),
        plan_name: format!("{} - {}", what.found.name, what.release.name),
        job_name: what.environment.name.clone(),
        agent_name: agent_name.to_owned(),
        job_id: job_id(result.id),
        attempt: ATTEMPT,
        working_directory: workspace(engine, slot, &folder),
        log_path: engine.home().deployment_log(result.id),
        tasks: definition.tasks.clone(),
        final_tasks: definition.final_tasks.clone(),
        repositories: checked_out,
        variables: resolved.into_iter().map(|one| what.set.of_job(one)).collect(),
        capabilities: engine
            .capabilities()
            .await?
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        environment: Vec::new(),
        masks: Vec::new(),
        push_rights: Vec::new(),
        credentials,
        artifacts,
        tests: TestOrder::default(),
        timeout_seconds: Some(settings.job_timeout_seconds),
        stop_grace_seconds: settings.stop_grace_seconds,
        final_tasks_seconds: DEFAULT_FINAL_TASKS_SECONDS,
        log_limit_bytes: Some(LOG_LIMIT),
        time_zone: zone_name(&settings.time_zone),
        git_program: settings.git.clone(),
        hg_program: settings.hg.clone(),
        hg_settings: engine.home().hg_job_settings(),
        clean_working_directory: false,
        untrusted: what.loaded.of_fork,
        purpose: Purpose::Deployment,
        isolation: match &definition.docker {
            Some(docker) => {
                let scope = if what.loaded.of_fork {
                    format!("{folder}.fork")
                } else {
                    folder
                };
                Isolation::Container(settings.agent.container(docker, scope))
            }
            None => engine.isolation().await?,
        },
    })
}

/// `PROJECT-ENVIRONMENT-RESULT`, by their ids (bamboo-rest.md 9).
#[must_use]
pub fn result_key(result: &DeploymentResult) -> String {
    format!("{}-{}-{}", result.deployment_id, result.environment_id, result.id)
}
