//! Sections that some branches have in place of the plan's (bamboo-specs.md 8.1).

use std::collections::BTreeSet;

use madake_domain::change::matches_whole;
use madake_domain::plan::{BranchOverride, Job, PlanRepository, Stage};

use super::fields::Fields;
use super::job::ReadJob;
use super::reference::{self, JobPlaces, PlacedJob};
use super::stage::ReadStage;
use super::{Context, branch, docker, job, notification, other, plan, scalar, stage, trigger, variable};
use crate::language::plan as language;
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// An override whose jobs have no keys yet.
pub(super) struct ReadOverride<'n> {
    sections: BranchOverride,
    pub(super) stages: Option<Vec<ReadStage<'n>>>,
    jobs: Vec<ReadJob>,
    definitions: Vec<&'n Entry>,
}

impl ReadOverride<'_> {
    /// Whether it is for every branch that no earlier one is for: `.*`, `^.*`.
    pub(super) fn is_for_all(&self) -> bool {
        ["main", "feature/ABC-1_x"]
            .iter()
            .all(|branch| matches_whole(&self.sections.pattern, branch))
    }
}

/// The `branch-overrides` section: a list of one-key maps, the first of which that matches counts. `jobs` are the names
/// of the jobs of the plan and those that its stages name.
pub(super) fn overrides<'n>(
    cx: &mut Context<'_>,
    node: &'n Node,
    repositories: Option<&[PlanRepository]>,
    jobs: &BTreeSet<&str>,
) -> Vec<ReadOverride<'n>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) => std::slice::from_ref(node),
        Value::Broken => return Vec::new(),
        _ => {
            scalar::wrong_type(
                cx,
                node,
                "`branch-overrides`",
                "a list of `- branch pattern: {...}`",
            );
            return Vec::new();
        }
    };
    let mut overrides = Vec::new();
    for item in items {
        let Some(map) = item.as_map() else {
            if !matches!(item.value, Value::Broken) {
                scalar::wrong_type(cx, item, "a branch override", "`- branch pattern: {...}`");
            }
            continue;
        };
        for entry in &map.entries {
            overrides.extend(one(cx, entry, repositories, jobs));
        }
    }
    overrides
}

fn one<'n>(
    cx: &mut Context<'_>,
    entry: &'n Entry,
    repositories: Option<&[PlanRepository]>,
    known_jobs: &BTreeSet<&str>,
) -> Option<ReadOverride<'n>> {
    let pattern = &entry.key.text;
    scalar::is_pattern(cx, pattern, entry.key.span, "the branch pattern");
    let mut sections = BranchOverride {
        pattern: pattern.clone(),
        ..BranchOverride::default()
    };
    let mut fields = Fields::of(cx, &entry.value, &language::BRANCH_OVERRIDE)?;
    let stages = fields.entry("stages").map(|entry| stage::stages(cx, entry));
    sections.variables = fields.take("variables").map(|node| variable::variables(cx, node));
    sections.triggers = fields
        .entry("triggers")
        .and_then(|entry| trigger::triggers(cx, &entry.value, repositories));
    sections.branches = fields.take("branches").map(|node| branch::branches(cx, node));
    sections.docker = fields.take("docker").and_then(|node| docker::docker(cx, node));
    sections.labels = fields
        .take("labels")
        .map(|node| scalar::texts(cx, node, "the labels"));
    sections.notifications = fields
        .take("notifications")
        .map(|node| notification::of_plan(cx, node));
    sections.branch_config = fields.take("branch-config").map(|node| branch::config(cx, node));
    sections.other = fields.take("other").map(|node| other::of_plan(cx, node));
    let named: BTreeSet<&str> = stages
        .iter()
        .flatten()
        .flat_map(|stage| stage.stage.jobs.iter().map(String::as_str))
        .collect();
    let mut definitions: Vec<&Entry> = Vec::new();
    for definition in fields.others() {
        let name = definition.key.text.as_str();
        if named.contains(name) || known_jobs.contains(name) || plan::looks_like_job(definition) {
            definitions.push(definition);
        } else if let Some(map) = entry.value.as_map() {
            plan::not_a_job(cx, map, definition, &language::BRANCH_OVERRIDE);
        }
    }
    let jobs = definitions
        .iter()
        .map(|definition| job::job(cx, definition))
        .collect();
    fields.finish(cx);
    Some(ReadOverride {
        sections,
        stages,
        jobs,
        definitions,
    })
}

/// Gives the jobs of overrides their keys, and reports the jobs that stages name and nobody defines, and artifacts that
/// jobs do not get.
pub(super) fn settle(
    cx: &mut Context<'_>,
    overrides: Vec<ReadOverride<'_>>,
    plan_stages: &[Stage],
    plan_jobs: &[PlacedJob<'_>],
    told: &mut Vec<Span>,
) -> Vec<BranchOverride> {
    let jobs: Vec<&Job> = plan_jobs.iter().map(|(job, _)| *job).collect();
    let mut settled = Vec::with_capacity(overrides.len());
    for ReadOverride {
        mut sections,
        stages,
        jobs: own,
        definitions,
    } in overrides
    {
        let mut places: Vec<JobPlaces> = Vec::with_capacity(own.len());
        let mut taken: BTreeSet<String> = jobs.iter().map(|job| job.key.clone()).collect();
        for (place, (mut read, definition)) in own.into_iter().zip(definitions).enumerate() {
            let replaced = jobs.iter().find(|job| job.name == read.job.name);
            if read.job.key.is_empty() {
                read.job.key = match replaced {
                    Some(job) => job.key.clone(),
                    None => job::made_key(&definition.key.text, jobs.len() + place, &taken),
                };
            } else if let Some(span) = read.key_span
                && taken.contains(&read.job.key)
                && replaced.is_none_or(|job| job.key != read.job.key)
            {
                let message = format!("another job has the key `{}` too", shown(&read.job.key));
                cx.add(Finding::error("duplicate-key", span, message));
            }
            taken.insert(read.job.key.clone());
            places.push(read.places);
            sections.jobs.push(read.job);
        }
        if let Some(stages) = stages {
            let known: BTreeSet<&str> = jobs
                .iter()
                .copied()
                .chain(&sections.jobs)
                .map(|job| job.name.as_str())
                .collect();
            plan::missing_jobs(cx, &stages, &known, |finding, name| {
                finding
                    .expected("a job of the plan or of this override")
                    .suggestion(nearest(name, known.iter().copied()))
            });
            let stages: Vec<Stage> = stages.into_iter().map(|stage| stage.stage).collect();
            sections.stages = Some(stages);
        }
        let mut running: Vec<PlacedJob<'_>> = plan_jobs.to_vec();
        for own in sections.jobs.iter().zip(&places) {
            match running.iter_mut().find(|(job, _)| job.name == own.0.name) {
                Some(replaced) => *replaced = own,
                None => running.push(own),
            }
        }
        let stages = sections.stages.as_deref().unwrap_or(plan_stages);
        reference::artifacts(cx, stages, &running, Some(&sections.pattern), false, told);
        settled.push(sections);
    }
    settled
}
