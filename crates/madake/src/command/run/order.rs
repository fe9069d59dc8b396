//! The order of a job that runs here: what a server would write, as far as a work tree knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use madake_domain::credential::named_by_tasks;
use madake_domain::plan::{Job, PlanConfiguration, Variable};
use madake_domain::repository::Scm;
use madake_domain::variables::{
    BuildFacts, BuildRepository, JobFacts, VariableLayers, agent_specific, build_specific, job_specific,
    looks_secret, resolve,
};
use madake_engine::clock;
use madake_engine::settings::Settings;
use madake_protocol::{
    CredentialContent, DEFAULT_FINAL_TASKS_SECONDS, Isolation, IsolationChoice, JobCredential, JobOrder,
    JobRepository, JobVariable, Purpose,
};
use madake_server::config::Configuration;

use super::super::Global;
use super::here::Here;
use super::missing::STUB;
use super::source::Source;

/// The server's settings as its home would have them, or the defaults.
///
/// # Errors
/// When the configuration cannot be read.
pub(super) fn configuration(global: &Global, isolation: Option<&str>) -> anyhow::Result<Settings> {
    let file = global.home.join("madake.toml");
    let mut configuration = Configuration::load(&file, std::env::vars())?;
    if let Some(isolation) = isolation {
        isolation.clone_into(&mut configuration.agent.isolation);
    }
    let program = std::env::current_exe().context("the path of this program is not known")?;
    Ok(configuration.settings("http://localhost", program)?)
}

/// Variables by name.
///
/// # Errors
/// When an argument or a line is not `NAME=VALUE`.
pub(super) fn given_values(
    arguments: &[String],
    secrets: Option<&Path>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    if let Some(path) = secrets {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                bail!("{}:{}: write NAME=VALUE", path.display(), number + 1);
            };
            values.insert(name.trim().to_owned(), value.to_owned());
        }
    }
    for argument in arguments {
        let Some((name, value)) = argument.split_once('=') else {
            bail!("--variable {argument}: write NAME=VALUE");
        };
        values.insert(
            name.strip_prefix("bamboo.").unwrap_or(name).to_owned(),
            value.to_owned(),
        );
    }
    Ok(values)
}

/// The way in which jobs run that ask for no container.
///
/// # Errors
/// When bubblewrap is asked for and does not work here.
pub(super) fn isolation(settings: &Settings, sources: &[&Source]) -> anyhow::Result<Isolation> {
    let mut sandbox = settings.agent.sandbox.clone();
    for source in sources {
        sandbox.readable.push(source.repository.source.clone());
        sandbox.readable.extend(source.borrows_from.clone());
    }
    let chosen = madake_agent::isolation::choose(settings.agent.isolation, &sandbox);
    if settings.agent.isolation == IsolationChoice::Bubblewrap {
        return chosen.map_err(|reason| anyhow::anyhow!(reason));
    }
    Ok(chosen.unwrap_or_default())
}

/// The order for a job.
pub(super) fn make(here: &Here, plan: &PlanConfiguration, stage: &str, job: &Job, job_id: i64) -> JobOrder {
    let settings = here.settings();
    let repositories = repositories(here, plan);
    let facts = facts(here, plan, &repositories);
    JobOrder {
        format: madake_protocol::FORMAT,
        job_result_key: format!("{}-{}-{}", plan.key, job.key, facts.number),
        plan_name: format!("{} - {}", facts.project_name, facts.plan_name),
        job_name: job.name.clone(),
        agent_name: "this machine".into(),
        job_id,
        attempt: 1,
        working_directory: here.place().join("work").join(&job.key),
        log_path: log_path(here.place(), &job.key),
        tasks: plan.tasks_of(job),
        final_tasks: job.final_tasks.clone(),
        repositories,
        // Nothing that is tried out here moves a repository.
        push_rights: Vec::new(),
        credentials: credentials(plan, job),
        capabilities: here.capabilities().to_vec(),
        variables: variables(here, &facts, plan, job),
        environment: Vec::new(),
        masks: Vec::new(),
        timeout_seconds: Some(job.timeout_seconds.unwrap_or(settings.job_timeout_seconds)),
        stop_grace_seconds: settings.stop_grace_seconds,
        final_tasks_seconds: DEFAULT_FINAL_TASKS_SECONDS,
        log_limit_bytes: None,
        time_zone: settings.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        git_program: settings.git.clone(),
        hg_program: settings.hg.clone(),
        hg_settings: super::source::hg_settings(here.place()),
        clean_working_directory: false,
        artifacts: here.artifacts().order(plan, stage, job, settings),
        tests: settings.results.tests(),
        untrusted: false,
        purpose: Purpose::Trial,
        isolation: match job.docker.as_ref().or(plan.docker.as_ref()) {
            Some(docker) => {
                let scope = format!("{}.run", plan.key);
                Isolation::Container(settings.agent.container(docker, scope))
            }
            None => here.isolation().clone(),
        },
    }
}

/// The log of a job of a run.
pub(super) fn log_path(place: &Path, job: &str) -> PathBuf {
    place.join(format!("{job}.log"))
}

fn repositories(here: &Here, plan: &PlanConfiguration) -> Vec<JobRepository> {
    let mut repositories = vec![here.source().repository.clone()];
    repositories.extend(here.others().iter().map(|other| other.repository.clone()));
    name_as_the_plan(plan, &mut repositories);
    repositories
}

/// The work tree has the name that the plan gives to its first repository. Addresses are lower case, keys are not.
fn name_as_the_plan(plan: &PlanConfiguration, repositories: &mut [JobRepository]) {
    let first = plan.repositories.as_ref().and_then(|list| list.first());
    let Some(own) = repositories.first_mut() else {
        return;
    };
    let project = plan.project_key.as_str();
    match (first, own.name.split_once('/')) {
        (Some(first), _) => own.name.clone_from(&first.name),
        (None, Some((owner, slug))) if owner.eq_ignore_ascii_case(project) => {
            own.name = format!("{project}/{slug}");
        }
        (None, _) => {}
    }
}

/// The names of the variables that jobs have here, each once.
pub(super) fn known_variables(here: &Here, plan: &PlanConfiguration, jobs: &[&Job]) -> Vec<String> {
    let facts = facts(here, plan, &repositories(here, plan));
    let names: BTreeSet<String> = jobs
        .iter()
        .flat_map(|job| variables(here, &facts, plan, job))
        .map(|one| one.name)
        .collect();
    names.into_iter().collect()
}

/// The secrets of the plan that nobody gave a value.
pub(super) fn declared_stubs(
    plan: &PlanConfiguration,
    values: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let stubbed = plan.variables.iter().filter(|one| is_stubbed(one));
    stubbed
        .map(|one| one.name.clone())
        .filter(|name| !values.contains_key(name))
        .collect()
}

fn is_stubbed(variable: &Variable) -> bool {
    looks_secret(&variable.name) || variable.is_foreign_secret()
}

fn facts(here: &Here, plan: &PlanConfiguration, repositories: &[JobRepository]) -> BuildFacts {
    let now = jiff::Timestamp::from_millisecond(clock::now_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let zoned = now.to_zoned(here.settings().time_zone.clone());
    BuildFacts {
        plan: plan.key.clone(),
        project_name: plan.project_key.to_string(),
        plan_name: plan.name.clone(),
        branch_name: None,
        number: 1,
        timestamp: zoned.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        base_url: here.settings().base_url.clone(),
        tag: None,
        trigger_reason: None,
        parent: None,
        started_by: None,
        pull_request: None,
        repositories: repositories
            .iter()
            .map(|one| BuildRepository {
                name: one.name.clone(),
                url: one.origin.clone().unwrap_or_default(),
                branch: one.branch.clone(),
                revision: one.revision.clone(),
                previous_revision: None,
                username: None,
                is_git: one.scm == Scm::Git,
            })
            .collect(),
    }
}

fn variables(here: &Here, facts: &BuildFacts, plan: &PlanConfiguration, job: &Job) -> Vec<JobVariable> {
    let mut specific = build_specific(facts);
    specific.extend(job_specific(&JobFacts {
        build: facts,
        key: &job.key,
        name: &job.name,
    }));
    specific.extend(agent_specific(1));
    let own: Vec<Variable> = plan
        .variables
        .iter()
        .map(|one| Variable {
            name: one.name.clone(),
            value: if is_stubbed(one) {
                STUB.to_owned()
            } else {
                one.value.clone()
            },
        })
        .collect();
    let manual: Vec<Variable> = here
        .values()
        .iter()
        .map(|(name, value)| Variable {
            name: name.clone(),
            value: value.clone(),
        })
        .collect();
    let layers = VariableLayers {
        global: here.stubs(),
        plan: &own,
        manual: &manual,
        injected: here.handed_on(),
        build_specific: &specific,
        ..VariableLayers::default()
    };
    resolve(&layers)
        .into_iter()
        .map(|one| JobVariable {
            // A stub is no secret, and whoever looks for a mistake wants to see it.
            secret: looks_secret(&one.name) && one.value != STUB,
            may_refer: one.source.may_refer(),
            name: one.name,
            value: one.value,
        })
        .collect()
}

/// What tasks get that log in with credentials of the server: a sentence, as nothing here has them.
fn credentials(plan: &PlanConfiguration, job: &Job) -> Vec<JobCredential> {
    let tasks = plan.tasks_of(job);
    named_by_tasks(tasks.iter().chain(&job.final_tasks))
        .into_iter()
        .map(|name| JobCredential {
            name: name.to_owned(),
            content: CredentialContent::Refused {
                reason: format!(
                    "the credential `{}` is kept by the server, and runs on this machine do not have it",
                    madake_domain::text::inert(name, 100)
                ),
            },
        })
        .collect()
}
