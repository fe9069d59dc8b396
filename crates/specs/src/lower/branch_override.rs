//! Sections that some branches have in place of the plan's (bamboo-specs.md 8.1).

use std::collections::BTreeSet;

use madake_domain::plan::{BranchOverride, Job, PlanRepository, Stage};

use super::fields::Fields;
use super::job::ReadJob;
use super::stage::ReadStage;
use super::{Context, branch, docker, job, notification, other, plan, scalar, stage, trigger, variable};
use crate::language::plan as language;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Node, Value};

/// An override whose jobs have no keys yet.
pub(super) struct ReadOverride<'n> {
    sections: BranchOverride,
    pub(super) stages: Option<Vec<ReadStage<'n>>>,
    jobs: Vec<ReadJob>,
    definitions: Vec<&'n Entry>,
}

/// The `branch-overrides` section: a list of one-key maps, the first of which that matches counts.
pub(super) fn overrides<'n>(
    cx: &mut Context<'_>,
    node: &'n Node,
    repositories: Option<&[PlanRepository]>,
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
            overrides.extend(one(cx, entry, repositories));
        }
    }
    overrides
}

fn one<'n>(
    cx: &mut Context<'_>,
    entry: &'n Entry,
    repositories: Option<&[PlanRepository]>,
) -> Option<ReadOverride<'n>> {
    let pattern = &entry.key.text;
    if let Err(reason) = scalar::check_pattern(pattern) {
        let message = format!(
            "the branch pattern `{}` is not a regular expression that can be used here: {reason}",
            shown(pattern)
        );
        cx.add(Finding::error("bad-pattern", entry.key.span, message));
    }
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
    let definitions: Vec<&Entry> = fields.others().collect();
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

/// Gives the jobs of overrides their keys, and reports the jobs that stages name and nobody defines.
pub(super) fn settle(
    cx: &mut Context<'_>,
    overrides: Vec<ReadOverride<'_>>,
    jobs: &[Job],
) -> Vec<BranchOverride> {
    let mut settled = Vec::with_capacity(overrides.len());
    for ReadOverride {
        mut sections,
        stages,
        jobs: own,
        definitions,
    } in overrides
    {
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
            sections.jobs.push(read.job);
        }
        if let Some(stages) = stages {
            let known: BTreeSet<&str> = jobs
                .iter()
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
        settled.push(sections);
    }
    settled
}
