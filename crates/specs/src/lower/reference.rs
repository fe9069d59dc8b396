//! What plan files name of themselves: artifacts of other jobs, stages, environments, plans that start each other.
//!
//! [`artifacts`] looks at the jobs of one plan document. What crosses documents is noted while they are read
//! (`Report::refer`) and looked at by [`across`] when all of them are there.

use std::collections::{BTreeMap, BTreeSet};

use madake_domain::key::PlanKey;
use madake_domain::plan::{Job, PlanConfiguration, Stage};
use madake_domain::plan_dependency::find_loop;

use super::Context;
use crate::report::{Finding, Reference, Report, nearest, shown};
use crate::source::Span;
use crate::{PlanDocument, Reading};

/// Where a job names artifacts of other jobs and defines its own.
#[derive(Debug, Clone, Default)]
pub(super) struct JobPlaces {
    /// One for each of the job's artifacts, in their order.
    pub(super) artifacts: Vec<Span>,
    /// Artifacts that it gets, each with the place of its name.
    pub(super) uses: Vec<(String, Span)>,
}

/// A job and its places.
pub(super) type PlacedJob<'j> = (&'j Job, &'j JobPlaces);

/// Reports artifacts that jobs get and that no earlier stage makes, and names that two shared artifacts have.
/// `branches` is the pattern of the branches that the stages and jobs are of, if not of all; `overridden`, whether
/// an override has other stages for all branches. Places in `told` are not reported again.
pub(super) fn artifacts(
    cx: &mut Context<'_>,
    stages: &[Stage],
    jobs: &[PlacedJob<'_>],
    branches: Option<&str>,
    overridden: bool,
    told: &mut Vec<Span>,
) {
    let noted = |finding: Finding| match branches {
        Some(pattern) => finding.note(format!("so it is on branches that match `{}`", shown(pattern))),
        None => finding,
    };
    let mut running: Vec<(usize, PlacedJob<'_>)> = Vec::new();
    let mut found: BTreeMap<&str, Vec<(usize, &Job, bool)>> = BTreeMap::new();
    let mut shared: BTreeMap<&str, (Span, &Job)> = BTreeMap::new();
    for &(job, places) in jobs {
        let runs_in = |stage: &Stage| stage.jobs.contains(&job.name);
        // A job may run in several stages: it makes its artifacts in the first, and needs others in the last.
        let (Some(first), Some(last)) = (stages.iter().position(runs_in), stages.iter().rposition(runs_in))
        else {
            continue;
        };
        running.push((last, (job, places)));
        for (artifact, span) in job.artifacts.iter().zip(&places.artifacts) {
            let made = found.entry(&artifact.name).or_default();
            made.push((first, job, artifact.shared));
            if !artifact.shared {
                continue;
            }
            match shared.get(artifact.name.as_str()) {
                Some((earlier, maker)) if !told.contains(span) => {
                    if !overridden {
                        told.push(*span);
                    }
                    let message = format!(
                        "the jobs `{}` and `{}` both share an artifact `{}`",
                        shown(&maker.name),
                        shown(&job.name),
                        shown(&artifact.name)
                    );
                    let message = if maker.name == job.name {
                        format!("the job shares two artifacts `{}`", shown(&artifact.name))
                    } else {
                        message
                    };
                    // What an override for `^.*` replaces never runs, and may be there for its jobs alone.
                    let finding = if overridden && maker.name != job.name {
                        Finding::warning("duplicate-artifact", *span, message)
                    } else {
                        Finding::error("duplicate-artifact", *span, message)
                    };
                    cx.add(noted(
                        finding
                            .related(*earlier, "the first one")
                            .expected("another name, or `shared: false`"),
                    ));
                }
                Some(_) => {}
                None => {
                    shared.insert(&artifact.name, (*span, job));
                }
            }
        }
    }
    for (stage, (_, places)) in running {
        for (name, span) in &places.uses {
            if name.contains("${") || told.contains(span) {
                continue;
            }
            let made = found.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            if made.iter().any(|(first, _, shared)| *first < stage && *shared) {
                continue;
            }
            told.push(*span);
            cx.add(noted(missing(
                name,
                (*span, stage),
                made,
                stages,
                found.keys().copied(),
            )));
        }
    }
}

/// Why a job, which is of the stage at `stage`, does not get an artifact.
fn missing<'n>(
    name: &str,
    (span, stage): (Span, usize),
    made: &[(usize, &Job, bool)],
    stages: &[Stage],
    names: impl Iterator<Item = &'n str>,
) -> Finding {
    let code = "missing-artifact";
    if let Some((_, job, _)) = made.iter().find(|(first, _, _)| *first < stage) {
        // Earlier and not got: it is not shared.
        let message = format!(
            "the artifact `{}` of the job `{}` is not shared",
            shown(name),
            shown(&job.name)
        );
        return Finding::warning(code, span, message).expected("`shared: true` where it is made");
    }
    if let Some((first, job, _)) = made.first() {
        let message = format!(
            "the artifact `{}` is made by the job `{}` of the stage `{}`, which is no earlier stage",
            shown(name),
            shown(&job.name),
            shown(&stages[*first].name)
        );
        return Finding::warning(code, span, message).note("only artifacts of earlier stages are there");
    }
    let message = format!("no job of an earlier stage makes the artifact `{}`", shown(name));
    Finding::warning(code, span, message).suggestion(nearest(name, names))
}

/// Looks at what documents name of each other. A plan that would start itself is taken out of the reading.
pub(crate) fn across(report: &mut Report, reading: &mut Reading) {
    let references = report.take_references();
    for (document, reference, span) in &references {
        report.resume_document(*document);
        let finding = match reference {
            Reference::Stage { plan, name } => unknown_stage(reading, plan, name, *span),
            Reference::Artifact { plan, name } => unknown_artifact(reading, plan, name, *span),
            Reference::Environment { deployment, name } => {
                unknown_environment(reading, deployment, name, *span)
            }
            Reference::Child { .. } => None,
        };
        if let Some(finding) = finding {
            report.add(finding);
        }
    }
    let looping = loops(report, reading, &references);
    reading
        .plans
        .retain(|plan| !looping.contains(&plan.configuration.key));
}

/// Reports plans that would start themselves, and gives their keys.
fn loops(
    report: &mut Report,
    reading: &Reading,
    references: &[(crate::report::DocumentId, Reference, Span)],
) -> BTreeSet<PlanKey> {
    let children: BTreeMap<&PlanKey, &[PlanKey]> = reading
        .plans
        .iter()
        .map(|plan| {
            let configuration = &plan.configuration;
            (&configuration.key, configuration.dependencies.plans.as_slice())
        })
        .collect();
    let mut looping = BTreeSet::new();
    for (document, reference, span) in references {
        let Reference::Child { parent, child } = reference else {
            continue;
        };
        let below = |key: &PlanKey| children.get(key).map(|keys| keys.to_vec()).unwrap_or_default();
        let Some(way) = find_loop(parent, child, &below) else {
            continue;
        };
        let way: Vec<String> = way.iter().map(ToString::to_string).collect();
        let message = format!(
            "{parent} would start itself: it starts {}",
            way.join(", which starts ")
        );
        report.resume_document(*document);
        report.add(Finding::error("dependency-loop", *span, message));
        looping.insert(parent.clone());
    }
    looping
}

fn plan_of<'r>(reading: &'r Reading, key: &PlanKey) -> Option<&'r PlanConfiguration> {
    let known = |plan: &&PlanDocument| plan.configuration.key == *key;
    reading.plans.iter().find(known).map(|plan| &plan.configuration)
}

fn unknown_stage(reading: &Reading, key: &PlanKey, name: &str, span: Span) -> Option<Finding> {
    let plan = plan_of(reading, key)?;
    let overridden = plan
        .branch_overrides
        .iter()
        .flat_map(|one| one.stages.iter().flatten());
    let stages: BTreeSet<&str> = plan
        .stages
        .iter()
        .chain(overridden)
        .map(|stage| stage.name.as_str())
        .collect();
    (!stages.contains(name)).then(|| {
        let message = format!("{key} has no stage `{}`, so this never happens", shown(name));
        Finding::warning("missing-stage", span, message).suggestion(nearest(name, stages))
    })
}

fn unknown_artifact(reading: &Reading, key: &PlanKey, name: &str, span: Span) -> Option<Finding> {
    let plan = plan_of(reading, key)?;
    let overridden = plan.branch_overrides.iter().flat_map(|one| &one.jobs);
    let artifacts = || {
        plan.jobs
            .iter()
            .chain(overridden.clone())
            .flat_map(|job| &job.artifacts)
    };
    if artifacts().any(|artifact| artifact.name == name && artifact.shared) {
        return None;
    }
    let code = "missing-artifact";
    if artifacts().any(|artifact| artifact.name == name) {
        let message = format!("the artifact `{}` of {key} is not shared", shown(name));
        return Some(Finding::warning(code, span, message).expected("`shared: true` where it is made"));
    }
    let message = format!("{key} has no artifact `{}`", shown(name));
    let names = artifacts().map(|artifact| artifact.name.as_str());
    Some(Finding::warning(code, span, message).suggestion(nearest(name, names)))
}

fn unknown_environment(reading: &Reading, deployment: &str, name: &str, span: Span) -> Option<Finding> {
    let mut known = reading.deployments.iter().map(|document| &document.configuration);
    let found = known.find(|configuration| configuration.name == deployment)?;
    let names = || {
        found
            .environments
            .iter()
            .map(|environment| environment.name.as_str())
    };
    (!names().any(|known| known == name)).then(|| {
        let message = format!("`{}` has no environment `{}`", shown(deployment), shown(name));
        Finding::warning("missing-environment", span, message).suggestion(nearest(name, names()))
    })
}
