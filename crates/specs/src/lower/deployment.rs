//! The deployment document: releases and environments (bamboo-specs.md 13, 7.2).

use madake_domain::plan::{
    DeploymentConfiguration, Environment, EnvironmentTrigger, EnvironmentTriggerKind, ReleaseApproval,
    ReleaseNaming,
};

use super::fields::Fields;
use super::{Context, docker, item, job, notification, plan, scalar, task, trigger, variable};
use crate::language::deployment as language;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

/// What a deployment document says; `None` when it has mistakes without which there is no deployment project.
pub(super) fn deployment(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<DeploymentConfiguration> {
    plan::version(cx, map);
    let mut fields = Fields::new(cx, map, &language::DOCUMENT, root.span);
    fields.entry("version");
    fields.entry("server-name");
    let header = fields.need(cx, "deployment").and_then(|node| header(cx, node));
    let release_naming = match fields.take("release-naming") {
        Some(node) => naming(cx, node),
        None => {
            let span = map.get("deployment").map_or(root.span, |entry| entry.key.span);
            let finding = Finding::error(
                "missing-key",
                span,
                "the deployment project has no `release-naming`",
            );
            cx.add(finding.expected("`release-naming: 1.0-${bamboo.buildNumber}`"));
            None
        }
    };
    let names = fields.need(cx, "environments");
    let definitions: Vec<&Entry> = fields.others().collect();
    fields.finish(cx);
    let environments = names.map(|node| environments(cx, node, &definitions));
    let (name, source_plan, description) = header?;
    Some(DeploymentConfiguration {
        name,
        description,
        source_plan,
        release_naming: release_naming?,
        environments: environments?,
    })
}

fn header(cx: &mut Context<'_>, node: &Node) -> Option<(String, madake_domain::key::PlanKey, String)> {
    let mut fields = Fields::of(cx, node, &language::HEADER)?;
    let name = fields.need_text(cx, "name");
    let source_plan = fields
        .need(cx, "source-plan")
        .and_then(|node| scalar::plan_key(cx, node));
    let description = fields.text_or_empty(cx, "description");
    fields.finish(cx);
    Some((name?, source_plan?, description))
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
fn environments(cx: &mut Context<'_>, node: &Node, definitions: &[&Entry]) -> Vec<Environment> {
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
            Some(entry) => environments.push(environment(cx, entry)),
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

fn environment(cx: &mut Context<'_>, entry: &Entry) -> Environment {
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
    if let Some(node) = fields.take("tasks") {
        environment.tasks = task::tasks(cx, node, "`tasks`");
    }
    if let Some(node) = fields.take("final-tasks") {
        environment.final_tasks = task::tasks(cx, node, "`final-tasks`");
    }
    if let Some(node) = fields.take("variables") {
        environment.variables = variable::variables(cx, node);
    }
    if let Some(node) = fields.take("requirements") {
        environment.requirements = job::requirements(cx, node);
    }
    if let Some(node) = fields.take("triggers") {
        environment.triggers = triggers(cx, node);
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

fn triggers(cx: &mut Context<'_>, node: &Node) -> Vec<EnvironmentTrigger> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Broken => return Vec::new(),
        _ => {
            scalar::wrong_type(cx, node, "`triggers`", "a list");
            return Vec::new();
        }
    };
    items
        .iter()
        .filter_map(|item| environment_trigger(cx, item))
        .collect()
}

fn environment_trigger(cx: &mut Context<'_>, node: &Node) -> Option<EnvironmentTrigger> {
    let item = item::take_apart(cx, node, &language::TRIGGERS)?;
    if item.is_broken() {
        return None;
    }
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
                let stage = fields.need_text(cx, "stage");
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
                let environment = fields.need_text(cx, "environment");
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
    Some(EnvironmentTrigger { description, kind })
}
