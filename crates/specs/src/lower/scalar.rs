//! Texts, booleans, numbers and lists of texts, quoted or not (bamboo-specs.md 15.1, 3).

use super::Context;
use crate::report::{Finding, shown};
use crate::yaml::{Node, Value, boolean};

/// A text. `what` names the value in a message: `the plan's name`.
pub(super) fn text(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    match &node.value {
        Value::Scalar(text) => Some(text.clone()),
        Value::Broken => None,
        _ => {
            wrong_type(cx, node, what, "a text");
            None
        }
    }
}

/// A text that has something in it besides blanks.
pub(super) fn non_empty_text(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = text(cx, node, what)?;
    if text.trim().is_empty() {
        cx.add(Finding::error("empty", node.span, format!("{what} is empty")));
        return None;
    }
    Some(text)
}

/// A boolean as YAML 1.1 has it, quoted or not.
pub(super) fn flag(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<bool> {
    let value = node.as_text().and_then(boolean);
    if value.is_none() && !matches!(node.value, Value::Broken) {
        wrong_type(cx, node, what, "`true` or `false`");
    }
    value
}

/// A whole number from `least` up, quoted or not.
pub(super) fn number(cx: &mut Context<'_>, node: &Node, what: &str, least: u32) -> Option<u32> {
    let value = node
        .as_text()
        .and_then(|text| text.trim().parse().ok())
        .filter(|value| *value >= least);
    if value.is_none() && !matches!(node.value, Value::Broken) {
        wrong_type(cx, node, what, &format!("a whole number from {least}"));
    }
    value
}

/// A list of texts; a single text counts as a list of one.
pub(super) fn texts(cx: &mut Context<'_>, node: &Node, what: &str) -> Vec<String> {
    match &node.value {
        Value::Scalar(text) => vec![text.clone()],
        Value::List(items) => items
            .iter()
            .filter_map(|item| text(cx, item, &format!("an item of {what}")))
            .collect(),
        Value::Null | Value::Broken => Vec::new(),
        Value::Map(_) => {
            wrong_type(cx, node, what, "a list of texts");
            Vec::new()
        }
    }
}

/// Says that a value has the wrong type.
pub(super) fn wrong_type(cx: &mut Context<'_>, node: &Node, what: &str, expected: &str) {
    let found = match &node.value {
        Value::Scalar(text) => format!("`{}`", shown(text)),
        _ => node.kind().to_owned(),
    };
    cx.add(Finding::error("wrong-type", node.span, format!("{what} cannot be {found}")).expected(expected));
}

/// A regular expression, kept as it was written. Java's look-around and back-references are refused, because ours
/// run in linear time and have neither.
pub(super) fn pattern(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = non_empty_text(cx, node, what)?;
    match regex::Regex::new(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            };
            cx.add(
                Finding::error(
                    "bad-pattern",
                    node.span,
                    format!(
                        "{what} `{}` is not a regular expression that can be used here: {reason}",
                        shown(&text)
                    ),
                )
                .note("look-around and back-references of Java are not available"),
            );
            None
        }
    }
}
