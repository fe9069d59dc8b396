//! Triggers of plans (bamboo-specs.md 7.1).

use madake_domain::plan::{PlanRepository, Trigger, TriggerKind};

use super::fields::Fields;
use super::{Context, condition, item, scalar, task};
use crate::language::trigger as language;
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Node, Value};

/// The `triggers` section; `None` when it is there without a value, which is as if it were not there.
pub(super) fn triggers(
    cx: &mut Context<'_>,
    node: &Node,
    repositories: Option<&[PlanRepository]>,
) -> Option<Vec<Trigger>> {
    if let Value::Null | Value::Broken = node.value {
        return None;
    }
    let items = scalar::one_or_more(cx, node, "`triggers`");
    Some(
        items
            .iter()
            .filter_map(|item| trigger(cx, item, repositories))
            .collect(),
    )
}

fn trigger(cx: &mut Context<'_>, node: &Node, repositories: Option<&[PlanRepository]>) -> Option<Trigger> {
    let item = item::take_apart(cx, node, &language::TRIGGERS)?;
    if item.is_broken() {
        return None;
    }
    let section = match item.choice.name {
        "remote" => &language::REMOTE,
        "polling" => &language::POLLING,
        "cron" => &language::CRON,
        "tag" => &language::TAG,
        "after-deployment" => &language::AFTER_DEPLOYMENT,
        _ => &language::PUSH,
    };
    let short = item.short();
    let mut fields = item.fields(cx, section);
    let kind = match item.choice.name {
        "remote" => remote(cx, fields.as_mut(), short),
        "polling" => polling(cx, item.span, fields.as_mut(), short),
        "cron" => cron(cx, item.span, fields.as_mut(), short),
        "tag" => {
            refuse(cx, short);
            let mut kind = TriggerKind::Tag {
                filter: None,
                in_branch: false,
            };
            if let Some(fields) = &mut fields {
                kind = TriggerKind::Tag {
                    filter: match fields.take("filter") {
                        Some(node) => scalar::pattern(cx, node, "the filter of a tag trigger"),
                        None => None,
                    },
                    in_branch: fields.flag(cx, "tagInBranch").unwrap_or(false),
                };
            }
            Some(kind)
        }
        "after-deployment" => match (&mut fields, short) {
            (Some(fields), _) => {
                refuse(cx, short);
                let project = fields.need_text(cx, "deployment-project");
                let environment = fields.text(cx, "environment");
                project.map(|deployment_project| TriggerKind::AfterDeployment {
                    deployment_project,
                    environment,
                })
            }
            (None, Some(node)) => {
                scalar::non_empty_text(cx, node, "the deployment project").map(|deployment_project| {
                    TriggerKind::AfterDeployment {
                        deployment_project,
                        environment: None,
                    }
                })
            }
            (None, None) => {
                task::missing_value(cx, &item, "a map with `deployment-project`");
                None
            }
        },
        _ => {
            refuse(cx, short);
            Some(TriggerKind::Push)
        }
    };
    let mut trigger = Trigger::from(TriggerKind::Push);
    if let Some(mut fields) = fields {
        trigger.description = fields.text_or_empty(cx, "description");
        if let Some(node) = fields.take("repositories") {
            let names = scalar::placed_texts(cx, node, "`repositories`");
            check_names(cx, &names, repositories);
            trigger.repositories = names.into_iter().map(|(name, _)| name).collect();
        }
        if let Some(node) = fields.take("conditions") {
            (trigger.conditions, trigger.other_conditions) = condition::conditions(cx, node);
        }
        fields.finish(cx);
    }
    trigger.kind = kind?;
    Some(trigger)
}

fn refuse(cx: &mut Context<'_>, short: Option<&Node>) {
    if let Some(node) = short {
        scalar::wrong_type(cx, node, "the options of this trigger", "a map");
    }
}

/// A trigger that names a repository which the plan does not have would never fire.
fn check_names(cx: &mut Context<'_>, names: &[(String, &Node)], repositories: Option<&[PlanRepository]>) {
    let Some(repositories) = repositories else {
        return;
    };
    let known = || repositories.iter().map(|repository| repository.name.as_str());
    for (name, node) in names {
        if !known().any(|known| known == name) {
            let message = format!(
                "the plan has no repository `{}`, so it cannot fire this trigger",
                shown(name)
            );
            cx.add(
                Finding::warning("missing-repository", node.span, message).suggestion(nearest(name, known())),
            );
        }
    }
}

fn remote(
    cx: &mut Context<'_>,
    fields: Option<&mut Fields<'_>>,
    short: Option<&Node>,
) -> Option<TriggerKind> {
    let given = fields.and_then(|fields| fields.take("ip"));
    let node = short.or(given);
    let mut addresses = Vec::new();
    if let Some(node) = node {
        let texts = scalar::placed_texts(cx, node, "the addresses of a remote trigger");
        let parts = texts
            .iter()
            .flat_map(|(text, node)| {
                let parts = text.split(|c: char| c == ',' || c.is_whitespace());
                parts.map(move |part| (part, node))
            })
            .filter(|(part, _)| !part.is_empty());
        for (address, node) in parts {
            match (cx.options.validate_address)(address) {
                Ok(()) => addresses.push(address.to_owned()),
                Err(fault) => {
                    let message = format!("`{}` is not an address that may call: {fault}", shown(address));
                    cx.add(Finding::error("bad-address", node.span, message));
                    return None;
                }
            }
        }
    }
    Some(TriggerKind::Remote { addresses })
}

fn polling(
    cx: &mut Context<'_>,
    span: Span,
    fields: Option<&mut Fields<'_>>,
    short: Option<&Node>,
) -> Option<TriggerKind> {
    let period = |cx: &mut Context<'_>, node: &Node| {
        scalar::number(cx, node, "the seconds between two polls", 1).map(u64::from)
    };
    let (mut period_node, mut cron_node) = (None, None);
    if let Some(fields) = fields {
        (period_node, cron_node) = (fields.take("period"), fields.take("cron"));
    }
    if let Some(node) = short {
        return Some(TriggerKind::Polling {
            period_seconds: Some(period(cx, node)?),
            cron: None,
        });
    }
    if let (Some(_), Some(cron)) = (period_node, cron_node) {
        let message = "a polling trigger has either `period` or `cron`";
        cx.add(Finding::error("exclusive-keys", cron.span, message));
    }
    if period_node.is_none() && cron_node.is_none() {
        cx.add(
            Finding::info(
                "default",
                span,
                "the trigger polls every 180 seconds, which is the default",
            )
            .expected("`period` or `cron`"),
        );
    }
    Some(TriggerKind::Polling {
        period_seconds: match period_node {
            Some(node) => Some(period(cx, node)?),
            None => None,
        },
        cron: match cron_node {
            Some(node) => Some(expression(cx, node)?),
            None => None,
        },
    })
}

fn cron(
    cx: &mut Context<'_>,
    span: Span,
    fields: Option<&mut Fields<'_>>,
    short: Option<&Node>,
) -> Option<TriggerKind> {
    let node = match (short, fields) {
        (Some(node), None) => node,
        (Some(node), Some(fields)) => {
            fields.entry("expression");
            node
        }
        (None, Some(fields)) => fields.need(cx, "expression")?,
        (None, None) => {
            let finding = Finding::error("missing-key", span, "a cron trigger has no `expression`");
            cx.add(finding.expected("`cron: 0 0 3 ? * *`"));
            return None;
        }
    };
    Some(TriggerKind::Cron {
        expression: expression(cx, node)?,
    })
}

/// A cron expression.
pub(super) fn expression(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = scalar::non_empty_text(cx, node, "the cron expression")?;
    match (cx.options.validate_cron)(&text) {
        Ok(()) => Some(text),
        Err(fault) => {
            if let Some(meant) = any_value(&text).filter(|meant| (cx.options.validate_cron)(meant).is_ok()) {
                let message = format!("`{}` is read as `{}`", shown(&text), shown(&meant));
                cx.add(Finding::warning("bad-cron", node.span, message).note(
                    "`?` stands for a day of month or of week that is left open, and for nothing else",
                ));
                return Some(meant);
            }
            let message = format!("`{}` is not a cron expression: {fault}", shown(&text));
            cx.add(
                Finding::error("bad-cron", node.span, message).note(
                    "six or seven fields: second, minute, hour, day of month, month, day of week, year",
                ),
            );
            None
        }
    }
}

/// The expression with `*` where `?` stands in fields of other things than days, as in a sample of Bamboo's own
/// documentation (`0 0 * * ? *`); nothing when there is no such field.
fn any_value(expression: &str) -> Option<String> {
    const DAY_FIELDS: [usize; 2] = [3, 5];
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let open = |(index, field): (usize, &&str)| *field == "?" && !DAY_FIELDS.contains(&index);
    fields.iter().enumerate().any(open).then(|| {
        let fields = fields.iter().enumerate();
        let fields: Vec<&str> = fields.map(|one| if open(one) { "*" } else { *one.1 }).collect();
        fields.join(" ")
    })
}
