//! Texts, booleans, numbers and lists of texts, quoted or not (bamboo-specs.md 15.1, 3).

use madake_domain::key::PlanKey;
use madake_domain::plan::{FOREIGN_SECRET_PREFIX, SecretText};

use super::Context;
use crate::report::{Finding, nearest, shown};
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

/// The entries of a map from name to text.
pub(super) fn text_map(cx: &mut Context<'_>, node: &Node, what: &str) -> Vec<(String, String)> {
    match &node.value {
        Value::Map(map) => map
            .entries
            .iter()
            .filter_map(|entry| {
                let value = match &entry.value.value {
                    Value::Null => String::new(),
                    _ => text(
                        cx,
                        &entry.value,
                        &format!("`{}` of {what}", shown(&entry.key.text)),
                    )?,
                };
                Some((entry.key.text.clone(), value))
            })
            .collect(),
        Value::Null | Value::Broken => Vec::new(),
        _ => {
            wrong_type(cx, node, what, "a map from name to value");
            Vec::new()
        }
    }
}

/// Settings that may be nested in any way, by dotted names: `{a: {b: 1}, c.d: 2}` gives `a.b` and `c.d`. Empty maps and
/// lists say nothing and are left out; items of lists have their number, from 0, as their name. A single text has
/// the empty name.
pub(super) fn free(cx: &mut Context<'_>, node: &Node) -> Vec<(String, String)> {
    fn collect(node: &Node, name: &str, settings: &mut Vec<(String, String)>) {
        let below = |part: &str| {
            if name.is_empty() {
                part.to_owned()
            } else {
                format!("{name}.{part}")
            }
        };
        match &node.value {
            Value::Null => settings.push((name.to_owned(), String::new())),
            Value::Scalar(text) => settings.push((name.to_owned(), text.clone())),
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    collect(item, &below(&number.to_string()), settings);
                }
            }
            Value::Map(map) => {
                for entry in &map.entries {
                    collect(&entry.value, &below(&entry.key.text), settings);
                }
            }
            Value::Broken => {}
        }
    }
    let mut settings = Vec::new();
    if node.is_null() {
        return settings;
    }
    collect(node, "", &mut settings);
    let mut seen = std::collections::HashSet::new();
    settings.retain(|(name, _)| {
        let first = seen.insert(name.clone());
        if !first {
            let message = format!("the setting `{}` is given twice", shown(name));
            cx.add(Finding::warning("duplicate-key", node.span, message).note("the first one counts"));
        }
        first
    });
    settings
}

/// The key of a plan with its project's, `PROJ-PLAN`.
pub(super) fn plan_key(cx: &mut Context<'_>, node: &Node) -> Option<PlanKey> {
    let text = non_empty_text(cx, node, "the plan's key")?;
    match text.trim().parse() {
        Ok(key) => Some(key),
        Err(error) => {
            cx.add(
                Finding::error("bad-key", node.span, format!("{error}"))
                    .expected("project and plan, `PROJ-PLAN`"),
            );
            None
        }
    }
}

/// A password, key or passphrase. Warns of one that cannot be read, and of one that everybody can.
pub(super) fn secret(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<SecretText> {
    let text = text(cx, node, &format!("`{what}`"))?;
    if text.starts_with(FOREIGN_SECRET_PREFIX) {
        let message = format!("`{what}` was encrypted by another server and cannot be read here");
        cx.add(
            Finding::warning("foreign-secret", node.span, message)
                .note("put the value into a variable of the server, and name it here: `${bamboo.NAME}`"),
        );
    } else if !text.is_empty() && !text.contains("${") {
        let message = format!("everybody who can read the repository can read this `{what}`");
        cx.add(
            Finding::warning("plain-secret", node.span, message)
                .note("put the value into a variable of the server, and name it here: `${bamboo.NAME}`"),
        );
    }
    Some(SecretText::new(text))
}

/// Says that a word is none of those that there are.
pub(super) fn unknown_word(
    cx: &mut Context<'_>,
    node: &Node,
    what: &str,
    text: &str,
    words: &[&'static str],
) {
    let message = format!("there is no {what} `{}`", shown(text));
    cx.add(
        Finding::error("unknown-value", node.span, message)
            .expected(super::fields::any_of(words))
            .suggestion(nearest(text, words.iter().copied())),
    );
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
    match check_pattern(&text) {
        Ok(()) => Some(text),
        Err(reason) => {
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

/// Whether a text is a regular expression; the error says why not.
pub(super) fn check_pattern(text: &str) -> Result<(), String> {
    regex::Regex::new(text).map(|_| ()).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => other
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    })
}
