//! `madake run`: the plan of a work tree, run here and now by the same agent as on a server, without a server.

mod artifacts;
mod here;
mod missing;
mod order;
mod show;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use madake_domain::plan::{Job, PlanConfiguration};
use madake_domain::text::{counted, inert};
use madake_specs::{Reading, Severity};
use serde_json::json;

use super::Global;
use super::serve::runtime;
use super::specs::{count, plan_file, read_plan_file};
use crate::terminal::{WARN, paint, say_json};
use here::{Ended, Here, JobEnding};
use show::{Shown, remark};

/// The exit code when there is nothing that could run.
const UNUSABLE: u8 = 2;

/// Which part of which plan, and how.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Ends with 0 when all jobs succeeded, with 1 when one failed, and with 2 when there was \
                        nothing to run. Jobs run one after the other. Secrets are not known here: their variables \
                        have stub values, unless --secrets gives others."
)]
pub(crate) struct Run {
    /// The plan; needed when the file has several: PROJ-PLAN.
    plan: Option<String>,
    /// The work tree, or a folder in it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// Only this job, by its name or key; may be given several times.
    #[arg(long, value_name = "JOB", conflicts_with = "stage")]
    job: Vec<String>,
    /// Only this stage, also if it is a manual one; may be given several times.
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    /// Set a variable, as a person does who starts a build by hand; may be given several times.
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// A file with lines NAME=VALUE: the values of secret variables.
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Another repository that the plan names, and a clone of it on this machine; may be given several times.
    #[arg(long = "repository", value_name = "NAME=DIR")]
    repositories: Vec<String>,
    /// How jobs are kept apart from the machine: auto, bubblewrap or process.
    #[arg(long, value_name = "WAY")]
    isolation: Option<String>,
    /// Build the last commit, without what was changed since.
    #[arg(long)]
    committed: bool,
    /// Leave the working directories and logs, and say where they are.
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub(super) fn run(global: &Global, arguments: &Run) -> anyhow::Result<ExitCode> {
    match prepared(global, arguments) {
        Ok((plan, here)) => ran(global, arguments, &plan, here),
        Err(error) => {
            anstream::eprintln!("madake: {error:#}");
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

fn prepared(global: &Global, arguments: &Run) -> anyhow::Result<(PlanConfiguration, Here)> {
    let folder = tempfile::Builder::new()
        .prefix("madake-run-")
        .tempdir()
        .context("cannot make a folder for what runs")?;
    // Paths in the log are those that the job sees.
    let place = folder
        .path()
        .canonicalize()
        .context("cannot use the temporary folder")?;
    let configuration = order::configuration(global, arguments.isolation.as_deref())?;
    let source = source::of_work_tree(&configuration, &arguments.path, &place, !arguments.committed)?;
    let plan = plan_of(&source.top, arguments.plan.as_deref())?;
    let others = source::others(&configuration, &arguments.repositories, &place)?;
    let values = order::given_values(&arguments.variables, arguments.secrets.as_deref())?;
    let here = Here::new(configuration, folder, place, source, others, values)?;
    Ok((plan, here))
}

/// The plan that is meant, from the plan file of the work tree.
fn plan_of(top: &Path, wanted: Option<&str>) -> anyhow::Result<PlanConfiguration> {
    let (file, _) = plan_file(top)?;
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let reading = read_plan_file(&file.to_string_lossy(), &text, "madake");
    say_findings(&reading);
    let keys: Vec<String> = reading
        .plans
        .iter()
        .map(|plan| plan.configuration.key.to_string())
        .collect();
    let position = match wanted {
        Some(wanted) => keys.iter().position(|key| key.eq_ignore_ascii_case(wanted)),
        None if keys.len() == 1 => Some(0),
        None => None,
    };
    if let Some(position) = position {
        return Ok(reading.plans[position].configuration.clone());
    }
    let shown = file.display();
    match (wanted, keys.as_slice()) {
        (_, []) => bail!("{shown} has no plan that can be run; `madake specs validate` says why"),
        (Some(wanted), keys) => bail!("{shown} has no plan {wanted}, only {}", keys.join(", ")),
        (None, keys) => bail!("{shown} has several plans, name one: {}", keys.join(", ")),
    }
}

/// How many findings there are; what they are is for `specs validate` to say.
fn say_findings(reading: &Reading) {
    let (errors, warnings) = (count(reading, Severity::Error), count(reading, Severity::Warning));
    let found: Vec<String> = [(errors, "error"), (warnings, "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    if !found.is_empty() {
        remark(&paint(
            WARN,
            format_args!(
                "the plan file has {}: see `madake specs validate`",
                found.join(" and ")
            ),
        ));
    }
}

/// A stage and those of its jobs that run.
struct Part<'a> {
    stage: &'a str,
    is_final: bool,
    jobs: Vec<&'a Job>,
}

/// Names the final stages that a manual one holds up, which people expect to run whatever happens.
fn waiting_behind(plan: &PlanConfiguration, manual: &str) -> String {
    let behind = plan
        .stages
        .iter()
        .skip_while(|stage| stage.name != manual)
        .skip(1);
    let finals: Vec<&str> = behind
        .filter(|stage| stage.final_stage)
        .map(|stage| stage.name.as_str())
        .collect();
    if finals.is_empty() {
        return String::new();
    }
    format!(
        "; as on a server, also final stages behind it wait for it: {}",
        finals.join(", ")
    )
}

/// What runs, in order.
fn parts<'a>(plan: &'a PlanConfiguration, arguments: &Run) -> anyhow::Result<Vec<Part<'a>>> {
    let known: Vec<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    if let Some(unknown) = arguments
        .stage
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        bail!("{} has no stage `{unknown}`, only {}", plan.key, known.join(", "));
    }
    let is_named = |job: &Job| {
        let mut names = arguments.job.iter();
        names.any(|name| *name == job.name || name.eq_ignore_ascii_case(&job.key))
    };
    let staged: Vec<&Job> = plan
        .stages
        .iter()
        .flat_map(|stage| stage.jobs.iter().filter_map(|name| plan.job(name)))
        .collect();
    for name in &arguments.job {
        if !staged
            .iter()
            .any(|job| *name == job.name || name.eq_ignore_ascii_case(&job.key))
        {
            let names: Vec<&str> = staged.iter().map(|job| job.name.as_str()).collect();
            bail!("{} has no job `{name}`, only {}", plan.key, names.join(", "));
        }
    }
    let mut parts = Vec::new();
    for stage in &plan.stages {
        if !arguments.stage.is_empty() && !arguments.stage.contains(&stage.name) {
            continue;
        }
        let all = arguments.stage.is_empty() && arguments.job.is_empty();
        if all && stage.manual {
            remark(&paint(
                WARN,
                format_args!(
                    "the stage {0} is a manual one: run it with --stage '{0}'{1}",
                    stage.name,
                    waiting_behind(plan, &stage.name)
                ),
            ));
            break;
        }
        let jobs: Vec<&Job> = stage
            .jobs
            .iter()
            .filter_map(|name| plan.job(name))
            .filter(|job| arguments.job.is_empty() || is_named(job))
            .collect();
        if !jobs.is_empty() {
            parts.push(Part {
                stage: &stage.name,
                is_final: stage.final_stage,
                jobs,
            });
        }
    }
    Ok(parts)
}

/// Says what the jobs ask for and will not find, and puts stubs in the place of secrets.
fn say_missing(here: &mut Here, plan: &PlanConfiguration, parts: &[Part<'_>]) {
    let jobs: Vec<&Job> = parts
        .iter()
        .flat_map(|part| part.jobs.iter().copied())
        .filter(|job| job.enabled)
        .collect();
    let known = order::known_variables(here, plan, &jobs);
    let unset = missing::unset(plan, &jobs, &known);
    here.stub(unset.stubs());
    let list = |names: &BTreeSet<String>| {
        let names: Vec<String> = names.iter().map(|name| inert(name, 100)).collect();
        names.join(", ")
    };
    let mut stubbed = unset.secrets;
    stubbed.extend(order::declared_stubs(plan, here.values()));
    let warn = |text: String| remark(&paint(WARN, text));
    if !stubbed.is_empty() {
        warn(format!(
            "secrets with a stub for a value: {}; --secrets FILE gives them theirs",
            list(&stubbed)
        ));
    }
    if !unset.others.is_empty() {
        warn(format!(
            "variables that nothing sets here: {}; --variable NAME=VALUE does",
            list(&unset.others)
        ));
    }
    for absent in missing::absent(plan, parts) {
        warn(absent.sentence());
    }
}

fn ran(
    global: &Global,
    arguments: &Run,
    plan: &PlanConfiguration,
    mut here: Here,
) -> anyhow::Result<ExitCode> {
    let parts = match parts(plan, arguments) {
        Ok(parts) if !parts.is_empty() => parts,
        Ok(_) => {
            anstream::eprintln!("madake: {} has no job that could be run here", plan.key);
            return Ok(ExitCode::from(UNUSABLE));
        }
        Err(error) => {
            anstream::eprintln!("madake: {error:#}");
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    if arguments.keep {
        here.keep();
        remark(&format!(
            "working directories and logs: {}",
            here.place().display()
        ));
    }
    let shown = Shown::new(global.json);
    shown.beginning(plan, here.source());
    say_missing(&mut here, plan, &parts);
    let runtime = runtime()?;
    let mut endings: Vec<JobEnding> = Vec::new();
    runtime.block_on(async {
        let mut failed = false;
        for part in &parts {
            if failed && !part.is_final {
                continue;
            }
            shown.stage(part.stage);
            for job in &part.jobs {
                if !job.enabled {
                    shown.disabled(job);
                    continue;
                }
                let ended = here.run(plan, part.stage, job, &shown).await?;
                failed |= ended.ended != Ended::Successful;
                let is_stopped = ended.ended == Ended::Stopped;
                shown.ended(&ended);
                endings.push(ended);
                if is_stopped {
                    return anyhow::Ok(());
                }
            }
        }
        Ok(())
    })?;
    let successful = endings.iter().all(|one| one.ended == Ended::Successful);
    shown.verdict(plan, &endings);
    if global.json {
        let jobs: Vec<_> = endings
            .iter()
            .map(|one| {
                json!({
                    "job": one.name,
                    "key": one.key,
                    "stage": one.stage,
                    "result": one.ended.word(),
                    "message": one.message,
                    "exitCode": one.exit_code,
                    "durationMs": one.took_ms,
                })
            })
            .collect();
        say_json(&json!({ "plan": plan.key.to_string(), "successful": successful, "jobs": jobs }))?;
    }
    Ok(if successful {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
