//! Conditions of tasks (bamboo-specs.md 4.1).

use madake_domain::plan::TaskCondition;

use super::fields::Fields;
use super::{Context, scalar};
use crate::language::task as language;
use crate::report::Finding;
use crate::yaml::{Node, Value};

/// The conditions of a task, which must all hold.
pub(super) fn conditions(cx: &mut Context<'_>, node: &Node) -> Vec<TaskCondition> {
    let mut conditions = Vec::new();
    match &node.value {
        Value::List(items) => {
            for item in items {
                condition(cx, item, &mut conditions);
            }
        }
        Value::Map(_) => condition(cx, node, &mut conditions),
        Value::Broken => {}
        _ => scalar::wrong_type(cx, node, "`conditions`", "a list"),
    }
    conditions
}

fn condition(cx: &mut Context<'_>, node: &Node, conditions: &mut Vec<TaskCondition>) {
    let Some(mut fields) = Fields::of(cx, node, &language::CONDITION) else {
        return;
    };
    let variable = fields.need(cx, "variable");
    fields.finish(cx);
    let Some(mut fields) = variable.and_then(|node| Fields::of(cx, node, &language::VARIABLE_CONDITION))
    else {
        return;
    };
    let before = conditions.len();
    for (variable, value) in values(cx, &mut fields, "equals") {
        conditions.push(TaskCondition::Equals { variable, value });
    }
    for (variable, value) in values(cx, &mut fields, "not-equals") {
        conditions.push(TaskCondition::NotEquals { variable, value });
    }
    if let Some(node) = fields.take("matches") {
        match &node.value {
            Value::Map(map) => {
                for entry in &map.entries {
                    if let Some(pattern) = scalar::pattern(cx, &entry.value, "the value of a condition") {
                        let variable = bare_name(&entry.key.text);
                        conditions.push(TaskCondition::Matches { variable, pattern });
                    }
                }
            }
            _ => scalar::wrong_type(cx, node, "`matches`", "a map from variable to regular expression"),
        }
    }
    for variable in fields.texts(cx, "exists") {
        conditions.push(TaskCondition::Exists {
            variable: bare_name(&variable),
        });
    }
    for variable in fields.texts(cx, "not-exists") {
        conditions.push(TaskCondition::NotExists {
            variable: bare_name(&variable),
        });
    }
    fields.finish(cx);
    if conditions.len() == before {
        cx.add(
            // A task that waits for a condition must not run because the condition is misspelt.
            Finding::error(
                "empty",
                node.span,
                "the condition says nothing, so the task would always run",
            )
            .expected("`variable: {equals: {name: value}}`"),
        );
    }
}

fn values(cx: &mut Context<'_>, fields: &mut Fields<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(node) = fields.take(key) else {
        return Vec::new();
    };
    scalar::text_map(cx, node, &format!("`{key}`"))
        .into_iter()
        .map(|(variable, value)| (bare_name(&variable), value))
        .collect()
}

/// The name of a variable without `bamboo.` in front, and without `${` and `}` around it.
fn bare_name(written: &str) -> String {
    let name = written
        .strip_prefix("${")
        .and_then(|name| name.strip_suffix('}'))
        .unwrap_or(written);
    name.strip_prefix("bamboo.").unwrap_or(name).to_owned()
}
