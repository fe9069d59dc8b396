//! Triggers of plans (bamboo-specs.md 7.1).

use madake_domain::plan::{PlanRepository, Trigger, TriggerKind};

use super::fields::Fields;
use super::{Context, condition, scalar, task};
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Map, Node, Value};

/// Triggers by push that the hosts of repositories have; to us they are all the same.
const PUSH: [&str; 3] = [
    "bitbucket-server-trigger",
    "bitbucket-cloud-trigger",
    "github-trigger",
];

const NOT_RUN: [&str; 2] = ["tag", "after-deployment"];

const KINDS: [&str; 8] = [
    "remote", "polling", "cron", PUSH[0], PUSH[1], PUSH[2], NOT_RUN[0], NOT_RUN[1],
];

/// The `triggers` section; `None` when it is there without a value, which is as if it were not there.
pub(super) fn triggers(
    cx: &mut Context<'_>,
    node: &Node,
    repositories: Option<&[PlanRepository]>,
) -> Option<Vec<Trigger>> {
    let items = match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Broken => return None,
        _ => {
            scalar::wrong_type(cx, node, "`triggers`", "a list");
            return None;
        }
    };
    Some(
        items
            .iter()
            .filter_map(|item| trigger(cx, item, repositories))
            .collect(),
    )
}

/// A trigger in the making: its name, and what stands behind it.
struct Item<'n> {
    name: &'n str,
    span: Span,
    value: Option<&'n Node>,
    options: Option<&'n Map>,
    siblings: bool,
}

fn take_apart<'n>(cx: &mut Context<'_>, node: &'n Node) -> Option<Item<'n>> {
    match &node.value {
        Value::Scalar(name) => Some(Item {
            name,
            span: node.span,
            value: None,
            options: None,
            siblings: false,
        }),
        Value::Map(map) if !map.entries.is_empty() => {
            let entry = &map.entries[0];
            let sibling = map.entries.get(1);
            if let Some(sibling) = sibling {
                if !entry.value.is_null() {
                    let message = "a trigger is a list item of its own";
                    cx.add(
                        Finding::error("trigger-shape", sibling.key.span, message)
                            .expected("`- ` in front of each trigger, its options indented below it"),
                    );
                    return None;
                }
                task::indentation(cx, sibling.key.span, &entry.key.text);
            }
            Some(Item {
                name: &entry.key.text,
                span: entry.key.span,
                value: Some(&entry.value).filter(|value| !value.is_null()),
                options: if sibling.is_some() {
                    Some(map)
                } else {
                    entry.value.as_map()
                },
                siblings: sibling.is_some(),
            })
        }
        Value::Broken => None,
        _ => {
            scalar::wrong_type(cx, node, "a trigger", &super::fields::any_of(&KINDS));
            None
        }
    }
}

fn trigger(cx: &mut Context<'_>, node: &Node, repositories: Option<&[PlanRepository]>) -> Option<Trigger> {
    let item = take_apart(cx, node)?;
    if NOT_RUN.contains(&item.name) {
        cx.not_run(item.span, &format!("the trigger `{}`", item.name));
        return None;
    }
    if !KINDS.contains(&item.name) {
        let message = format!("there is no trigger `{}`", shown(item.name));
        cx.add(
            Finding::error("unknown-trigger", item.span, message)
                .expected(super::fields::any_of(&KINDS))
                .suggestion(nearest(item.name, KINDS)),
        );
        return None;
    }
    let short = item.value.filter(|value| value.as_map().is_none());
    if matches!(
        short,
        Some(Node {
            value: Value::Broken,
            ..
        })
    ) {
        return None;
    }
    let mut fields = item.options.map(|map| Fields::new(map, "a trigger"));
    let kind = match item.name {
        "remote" => remote(cx, fields.as_mut(), short),
        "polling" => polling(cx, item.span, fields.as_mut(), short),
        "cron" => cron(cx, item.span, fields.as_mut(), short),
        _ => {
            if let Some(node) = short {
                scalar::wrong_type(cx, node, "the options of this trigger", "a map");
            }
            Some(TriggerKind::Push)
        }
    };
    let mut trigger = Trigger {
        description: String::new(),
        repositories: Vec::new(),
        conditions: Vec::new(),
        kind: TriggerKind::Push,
    };
    if let Some(mut fields) = fields {
        if let Some(node) = fields.take("description") {
            trigger.description = scalar::text(cx, node, "the trigger's description").unwrap_or_default();
        }
        if let Some(node) = fields.take("repositories") {
            trigger.repositories = scalar::texts(cx, node, "`repositories`");
            check_names(cx, node, &trigger.repositories, repositories);
        }
        if let Some(node) = fields.take("conditions") {
            trigger.conditions = condition::conditions(cx, node);
        }
        let name = item
            .siblings
            .then(|| node.as_map().and_then(|map| map.entries.first()));
        fields.finish_except(cx, name.flatten());
    }
    trigger.kind = kind?;
    Some(trigger)
}

/// A trigger that names a repository which the plan does not have would never fire.
fn check_names(cx: &mut Context<'_>, node: &Node, names: &[String], repositories: Option<&[PlanRepository]>) {
    let Some(repositories) = repositories else {
        return;
    };
    let known = || repositories.iter().map(|repository| repository.name.as_str());
    for name in names {
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
    let node = short.or_else(|| fields.and_then(|fields| fields.take("ip")));
    let mut addresses = Vec::new();
    if let Some(node) = node {
        let texts = scalar::texts(cx, node, "the addresses of a remote trigger");
        let parts = texts
            .iter()
            .flat_map(|text| text.split(|c: char| c == ',' || c.is_whitespace()))
            .filter(|part| !part.is_empty());
        for address in parts {
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
    if let Some(node) = short {
        return Some(TriggerKind::Polling {
            period_seconds: Some(period(cx, node)?),
            cron: None,
        });
    }
    let (mut period_node, mut cron_node) = (None, None);
    if let Some(fields) = fields {
        (period_node, cron_node) = (fields.take("period"), fields.take("cron"));
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
    let node = short.or_else(|| fields.and_then(|fields| fields.take("expression")));
    let Some(node) = node else {
        cx.add(Finding::error(
            "missing-key",
            span,
            "the cron trigger has no `expression`",
        ));
        return None;
    };
    Some(TriggerKind::Cron {
        expression: expression(cx, node)?,
    })
}

fn expression(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = scalar::non_empty_text(cx, node, "the cron expression")?;
    match (cx.options.validate_cron)(&text) {
        Ok(()) => Some(text),
        Err(fault) => {
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
