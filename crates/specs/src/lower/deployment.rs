//! The deployment document: releases and environments (bamboo-specs.md 13, 7.2).

use madake_domain::key::PlanKey;
use madake_domain::plan::{
    DeploymentConfiguration, Environment, EnvironmentTrigger, EnvironmentTriggerKind, ReleaseApproval,
    ReleaseNaming,
};

use super::fields::{Fields, without_value};
use super::{Context, docker, item, job, notification, plan, scalar, task, trigger, variable};
use crate::language::deployment as language;
use crate::report::{Finding, Reference, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Map, Node, Value};

/// What a deployment document says; `None` when it has mistakes without which there is no deployment project.
pub(super) fn deployment(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<DeploymentConfiguration> {
    plan::version(cx, map);
    let mut fields = Fields::new(cx, map, &language::DOCUMENT, root.span);
    fields.entry("version");
    fields.entry("server-name");
    let header = fields.need(cx, "deployment").and_then(|node| header(cx, node));
    let header_span = map.get("deployment").map_or(root.span, |entry| entry.key.span);
    let release_naming = match fields.entry("release-naming") {
        Some(entry) if !entry.value.is_null() => naming(cx, &entry.value),
        given => {
            let finding = match given {
                Some(entry) => without_value(entry),
                None => {
                    let message = "the deployment project has no `release-naming`";
                    Finding::error("missing-key", header_span, message)
                }
            };
            cx.add(finding.expected("`release-naming: 1.0-${bamboo.buildNumber}`"));
            None
        }
    };
    let names = fields.need_at(cx, "environments", header_span);
    let definitions: Vec<&Entry> = fields.others().collect();
    fields.finish(cx);
    let source_plan = header.as_ref().map(|(_, plan, _)| plan);
    let environments = names.map(|node| environments(cx, node, &definitions, source_plan));
    let (name, source_plan, description) = header?;
    Some(DeploymentConfiguration {
        name,
        description,
        source_plan,
        release_naming: release_naming?,
        environments: environments?,
    })
}

fn header(cx: &mut Context<'_>, node: &Node) -> Option<(String, PlanKey, String)> {
    let mut fields = Fields::of(cx, node, &language::HEADER)?;
    let name = fields.need_text(cx, "name");
    let source_plan = fields
        .need(cx, "source-plan")
        .and_then(|node| source_plan(cx, node));
    let description = fields.text_or_empty(cx, "description");
    fields.finish(cx);
    Some((name?, source_plan?, description))
}

/// The plan whose releases are deployed. One without its project leaves the deployment project as it is, which is no mistake of the
/// rest of the file.
fn source_plan(cx: &mut Context<'_>, node: &Node) -> Option<PlanKey> {
    let text = node.as_text().unwrap_or_default().trim();
    let is_short = format!("PROJ-{text}").parse::<PlanKey>().is_ok();
    if !is_short || cx.stream.plans.iter().any(|key| key.short() == text) {
        return scalar::plan_key(cx, node);
    }
    let message = format!(
        "`{}` names no project, and no plan of this file is called so: the deployment project is not changed",
        shown(text)
    );
    cx.add(Finding::warning("bad-key", node.span, message).expected("project and plan, `PROJ-PLAN`"));
    None
}

/// A name, or a map.
fn naming(cx: &mut Context<'_>, node: &Node) -> Option<ReleaseNaming> {
    let mut naming = ReleaseNaming::default();
    if let Value::Scalar(_) = &node.value {
        naming.next_version_name = scalar::non_empty_text(cx, node, "`release-naming`")?;
        return Some(naming);
    }
    let mut fields = Fields::of(cx, node, &language::NAMING)?;
    let name = fields.need_text(cx, "next-version-name");
    naming.applies_to_branches = fields.flag(cx, "applies-to-branches").unwrap_or(false);
    naming.auto_increment = fields.flag(cx, "auto-increment").unwrap_or(false);
    naming.auto_increment_variables = fields.texts(cx, "auto-increment-variables");
    fields.finish(cx);
    naming.next_version_name = name?;
    Some(naming)
}

/// The environments in the order in which they are listed.
fn environments(
    cx: &mut Context<'_>,
    node: &Node,
    definitions: &[&Entry],
    source_plan: Option<&PlanKey>,
) -> Vec<Environment> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Scalar(_) => std::slice::from_ref(node),
        Value::Broken => return Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, "`environments`", "a list of names");
            return Vec::new();
        }
    };
    let mut listed: Vec<&str> = Vec::new();
    let mut environments = Vec::new();
    let mut starts = Vec::new();
    for item in items {
        let Value::Scalar(name) = &item.value else {
            if !matches!(item.value, Value::Broken) {
                scalar::wrong_type(
                    cx,
                    item,
                    "an environment",
                    "its name; the environment itself stands at the root",
                );
            }
            continue;
        };
        if listed.contains(&name.as_str()) {
            let message = format!("the environment `{}` is listed twice", shown(name));
            cx.add(Finding::warning("duplicate-environment", item.span, message));
            continue;
        }
        listed.push(name);
        match definitions.iter().find(|entry| entry.key.text == *name) {
            Some(entry) => environments.push(environment(cx, entry, source_plan, &mut starts)),
            None => {
                let message = format!("the environment `{}` is not defined", shown(name));
                let known = definitions.iter().map(|entry| entry.key.text.as_str());
                cx.add(
                    Finding::error("missing-environment", item.span, message)
                        .expected(format!(
                            "a root key `{}:` with the environment's tasks",
                            shown(name)
                        ))
                        .suggestion(nearest(name, known)),
                );
            }
        }
    }
    check_starts(cx, &environments, &starts);
    for entry in definitions {
        let name = entry.key.text.as_str();
        if !listed.contains(&name) {
            let message = format!(
                "`{}` is not listed in `environments`, so nothing is deployed there",
                shown(name)
            );
            let suggestion = nearest(name, language::DOCUMENT.names());
            cx.add(Finding::warning("unused-environment", entry.key.span, message).suggestion(suggestion));
        }
    }
    environments
}

/// An environment whose deployments start those of another one, and the place that says so.
struct Start {
    from: String,
    to: String,
    span: Span,
}

/// Reports environments that wait for one that is not there, or for themselves.
fn check_starts(cx: &mut Context<'_>, environments: &[Environment], starts: &[Start]) {
    let names = || environments.iter().map(|environment| environment.name.as_str());
    for start in starts {
        if !names().any(|name| name == start.from) {
            let message = format!(
                "there is no environment `{}`, so nothing is deployed after it",
                shown(&start.from)
            );
            cx.add(
                Finding::warning("missing-environment", start.span, message)
                    .suggestion(nearest(&start.from, names())),
            );
            continue;
        }
        let mut reached: Vec<&str> = vec![&start.to];
        let mut at = 0;
        while let Some(from) = reached.get(at).copied() {
            let next = starts.iter().filter(|next| next.from == from);
            for next in next.map(|next| next.to.as_str()) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        if reached.contains(&start.from.as_str()) {
            let message = format!(
                "a deployment to `{}` leads in a circle back to it",
                shown(&start.to)
            );
            cx.add(
                Finding::warning("environment-loop", start.span, message)
                    .note("a release goes around once: what would close the circle does not happen"),
            );
        }
    }
}

/// Looks at an environment that other files include.
pub(super) fn lone_environment(cx: &mut Context<'_>, entry: &Entry) {
    environment(cx, entry, None, &mut Vec::new());
}

fn environment(
    cx: &mut Context<'_>,
    entry: &Entry,
    source_plan: Option<&PlanKey>,
    starts: &mut Vec<Start>,
) -> Environment {
    let mut environment = Environment {
        name: entry.key.text.clone(),
        ..Environment::default()
    };
    if entry.value.is_null() {
        return environment;
    }
    let Some(mut fields) = Fields::of(cx, &entry.value, &language::ENVIRONMENT) else {
        return environment;
    };
    environment.description = fields.text_or_empty(cx, "description");
    cx.downloads.clear();
    cx.in_environment = true;
    if let Some(node) = fields.take("tasks") {
        environment.tasks = task::tasks(cx, node, "`tasks`");
    }
    if let Some(node) = fields.take("final-tasks") {
        environment.final_tasks = task::tasks(cx, node, "`final-tasks`");
    }
    if let Some(node) = fields.take("variables") {
        environment.variables = variable::variables(cx, node);
    }
    cx.in_environment = false;
    for (plan, name, span) in std::mem::take(&mut cx.downloads) {
        if let Some(plan) = plan.as_ref().or(source_plan).cloned()
            && !name.contains("${")
        {
            cx.report.refer(Reference::Artifact { plan, name }, span);
        }
    }
    if let Some(node) = fields.take("requirements") {
        environment.requirements = job::requirements(cx, node);
    }
    if let Some(node) = fields.take("triggers") {
        environment.triggers = triggers(cx, node, source_plan, &environment.name, starts);
    }
    if let Some(node) = fields.take("notifications") {
        environment.notifications = notification::of_environment(cx, node);
    }
    environment.docker = fields.take("docker").and_then(|node| docker::docker(cx, node));
    if let Some(node) = fields.take("release-approval-prerequisite") {
        environment.release_approval = approval(cx, node).unwrap_or_default();
    }
    fields.finish(cx);
    environment
}

fn approval(cx: &mut Context<'_>, node: &Node) -> Option<ReleaseApproval> {
    let text = scalar::text(cx, node, "`release-approval-prerequisite`")?;
    match text.trim().to_ascii_lowercase().replace('_', "-").as_str() {
        "not-broken" => Some(ReleaseApproval::NotBroken),
        "approved" => Some(ReleaseApproval::Approved),
        "none" => Some(ReleaseApproval::None),
        _ => {
            scalar::unknown_word(
                cx,
                node,
                "prerequisite",
                &text,
                &["not-broken", "approved", "none"],
            );
            None
        }
    }
}

fn triggers(
    cx: &mut Context<'_>,
    node: &Node,
    source_plan: Option<&PlanKey>,
    environment: &str,
    starts: &mut Vec<Start>,
) -> Vec<EnvironmentTrigger> {
    let items = scalar::one_or_more(cx, node, "`triggers`");
    let mut triggers = Vec::new();
    for item in items {
        let Some((trigger, named_at)) = environment_trigger(cx, item) else {
            continue;
        };
        match &trigger.kind {
            EnvironmentTriggerKind::StageSuccess { stage, .. } => {
                if let Some(plan) = source_plan.cloned() {
                    let name = stage.clone();
                    cx.report.refer(Reference::Stage { plan, name }, named_at);
                }
            }
            EnvironmentTriggerKind::EnvironmentSuccess { environment: from } => starts.push(Start {
                from: from.clone(),
                to: environment.to_owned(),
                span: named_at,
            }),
            EnvironmentTriggerKind::BuildSuccess { .. } | EnvironmentTriggerKind::Cron { .. } => {}
        }
        triggers.push(trigger);
    }
    triggers
}

/// A trigger, and the place of what it names.
fn environment_trigger(cx: &mut Context<'_>, node: &Node) -> Option<(EnvironmentTrigger, Span)> {
    let item = item::take_apart(cx, node, &language::TRIGGERS)?;
    if item.is_broken() {
        return None;
    }
    let mut named_at = item.short().map_or(item.span, |node| node.span);
    let mut description = String::new();
    let kind = match item.choice.name {
        "build-success" => {
            let mut fields = item.options(cx, &language::BUILD_SUCCESS)?;
            let branch = fields.text(cx, "branch");
            description = fields.text_or_empty(cx, "description");
            fields.finish(cx);
            EnvironmentTriggerKind::BuildSuccess { branch }
        }
        "stage-success" => match item.short() {
            Some(node) => EnvironmentTriggerKind::StageSuccess {
                stage: scalar::non_empty_text(cx, node, "the stage")?,
                branch: None,
            },
            None => {
                let mut fields = item.options(cx, &language::STAGE_SUCCESS)?;
                let node = fields.need(cx, "stage");
                named_at = node.map_or(named_at, |node| node.span);
                let stage = node.and_then(|node| scalar::non_empty_text(cx, node, "the stage"));
                let branch = fields.text(cx, "branch");
                description = fields.text_or_empty(cx, "description");
                fields.finish(cx);
                EnvironmentTriggerKind::StageSuccess {
                    stage: stage?,
                    branch,
                }
            }
        },
        "environment-success" => match item.short() {
            Some(node) => EnvironmentTriggerKind::EnvironmentSuccess {
                environment: scalar::non_empty_text(cx, node, "the environment")?,
            },
            None => {
                let mut fields = item.options(cx, &language::ENVIRONMENT_SUCCESS)?;
                let node = fields.need(cx, "environment");
                named_at = node.map_or(named_at, |node| node.span);
                let environment = node.and_then(|node| scalar::non_empty_text(cx, node, "the environment"));
                description = fields.text_or_empty(cx, "description");
                fields.finish(cx);
                EnvironmentTriggerKind::EnvironmentSuccess {
                    environment: environment?,
                }
            }
        },
        _ => match item.short() {
            Some(node) => EnvironmentTriggerKind::Cron {
                expression: trigger::expression(cx, node)?,
                artifact_branch: None,
                skip_if_version_deployed: false,
            },
            None => {
                let mut fields = item.options(cx, &language::CRON)?;
                let expression = fields
                    .need(cx, "expression")
                    .and_then(|node| trigger::expression(cx, node));
                let artifact_branch = fields.text(cx, "artifact-branch");
                let skip_if_version_deployed = fields.flag(cx, "skip-if-version-deployed").unwrap_or(false);
                description = fields.text_or_empty(cx, "description");
                fields.finish(cx);
                EnvironmentTriggerKind::Cron {
                    expression: expression?,
                    artifact_branch,
                    skip_if_version_deployed,
                }
            }
        },
    };
    Some((EnvironmentTrigger { description, kind }, named_at))
}
