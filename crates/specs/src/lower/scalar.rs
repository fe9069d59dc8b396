//! Texts, booleans, numbers and lists of texts, quoted or not (bamboo-specs.md 15.1, 3).

use madake_domain::change::pattern_problem;
use madake_domain::key::PlanKey;
use madake_domain::plan::{FOREIGN_SECRET_PREFIX, SecretText};

use super::plan::meant_key;
use super::{Context, variable};
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
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
    placed_texts(cx, node, what)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

/// The same, each with its place.
pub(super) fn placed_texts<'n>(cx: &mut Context<'_>, node: &'n Node, what: &str) -> Vec<(String, &'n Node)> {
    match &node.value {
        Value::Scalar(text) => vec![(text.clone(), node)],
        Value::List(items) => items
            .iter()
            .filter_map(|item| Some((text(cx, item, &format!("an item of {what}"))?, item)))
            .collect(),
        Value::Null | Value::Broken => Vec::new(),
        Value::Map(_) => {
            wrong_type(cx, node, what, "a list of texts");
            Vec::new()
        }
    }
}

/// One text of several: its parts, where a list has them, with `between` between them.
pub(super) fn joined(cx: &mut Context<'_>, node: &Node, what: &str, between: &str) -> Option<String> {
    match &node.value {
        Value::List(items) => {
            let parts = items.iter().filter(|item| !item.is_null());
            let parts: Option<Vec<String>> = parts
                .map(|item| text(cx, item, &format!("an item of {what}")))
                .collect();
            parts.map(|parts| parts.join(between))
        }
        _ => text(cx, node, what),
    }
}

/// A line of a script. `echo: x` in a list is a map for YAML, which few authors mean.
pub(super) fn line(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    if let Value::Map(map) = &node.value
        && let [entry] = map.entries.as_slice()
        && entry.value.as_text().is_some()
    {
        let message = format!("`: ` makes a map of this line, and {what} cannot be a map");
        cx.add(
            Finding::error("wrong-type", node.span, message).expected("the line in quotes, or behind `|`"),
        );
        return None;
    }
    text(cx, node, what)
}

/// The same, of which something must be given.
pub(super) fn non_empty_joined(
    cx: &mut Context<'_>,
    node: &Node,
    what: &str,
    between: &str,
) -> Option<String> {
    let text = joined(cx, node, what, between)?;
    if text.trim().is_empty() {
        cx.add(Finding::error("empty", node.span, format!("{what} is empty")));
        return None;
    }
    Some(text)
}

/// The items of a list; a single thing, which is a text or a map, is taken for a list of it.
pub(super) fn one_or_more<'n>(cx: &mut Context<'_>, node: &'n Node, what: &str) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Broken => &[],
        Value::Map(map) if map.entries.is_empty() => {
            wrong_type(cx, node, what, "a list");
            &[]
        }
        Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
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
    placed_settings(cx, node)
        .into_iter()
        .map(|setting| (setting.name, setting.value))
        .collect()
}

/// A setting of an app, with the places of its key and its value.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Its dotted name.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
    /// Where its key stands.
    pub(super) key_span: Span,
    /// Where its value stands.
    pub(super) span: Span,
}

/// The same as [`free`], each setting with its places.
pub(super) fn placed_settings(cx: &mut Context<'_>, node: &Node) -> Vec<Setting> {
    fn collect(node: &Node, name: &str, key_span: Span, settings: &mut Vec<Setting>) {
        let mut push = |value: &str| {
            settings.push(Setting {
                name: name.to_owned(),
                value: value.to_owned(),
                key_span,
                span: node.span,
            });
        };
        let below = |part: &str| {
            if name.is_empty() {
                part.to_owned()
            } else {
                format!("{name}.{part}")
            }
        };
        match &node.value {
            Value::Null => push(""),
            Value::Scalar(text) => push(text),
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    collect(item, &below(&number.to_string()), item.span, settings);
                }
            }
            Value::Map(map) => {
                for entry in &map.entries {
                    collect(&entry.value, &below(&entry.key.text), entry.key.span, settings);
                }
            }
            Value::Broken => {}
        }
    }
    let mut settings = Vec::new();
    if node.is_null() {
        return settings;
    }
    collect(node, "", node.span, &mut settings);
    let mut seen: std::collections::HashMap<String, Span> = std::collections::HashMap::new();
    settings.retain(|setting| match seen.get(&setting.name) {
        Some(first) => {
            let message = format!("the setting `{}` is given twice", shown(&setting.name));
            cx.add(
                Finding::warning("duplicate-key", setting.key_span, message)
                    .related(*first, "first given here")
                    .note("the first one counts"),
            );
            false
        }
        None => {
            seen.insert(setting.name.clone(), setting.key_span);
            true
        }
    });
    settings
}

/// Warns of a key with `_`, which Bamboo does not take.
pub(super) fn foreign_key(cx: &mut Context<'_>, node: &Node) {
    if let Some(key) = node.as_text().filter(|key| key.contains('_')) {
        let message = format!(
            "`{}` has `_` in it, which Bamboo does not take in keys",
            shown(key)
        );
        let without = key.trim().replace('_', "");
        cx.add(
            Finding::warning("unusual-key", node.span, message)
                .suggestion(Some(without))
                .note("it works here"),
        );
    }
}

/// The key of a plan with its project's, `PROJ-PLAN`.
pub(super) fn plan_key(cx: &mut Context<'_>, node: &Node) -> Option<PlanKey> {
    let text = non_empty_text(cx, node, "the plan's key")?;
    let text = text.trim();
    let error = match text.parse() {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    let means = |key: &&PlanKey| meant_key(&key.project(), text).as_ref() == Some(*key);
    let mut called_so = cx.stream.plans.iter().filter(means);
    if let (Some(key), None) = (called_so.next(), called_so.next()) {
        let message = if key.short() == text {
            format!(
                "`{}` names no project, and `{key}` of this file is taken",
                shown(text)
            )
        } else {
            format!(
                "`{}` is not a plan's key, and `{key}` of this file is taken",
                shown(text)
            )
        };
        cx.add(
            Finding::warning("bad-key", node.span, message)
                .expected("project and plan")
                .suggestion(Some(key.to_string())),
        );
        return Some(key.clone());
    }
    cx.add(
        Finding::error("bad-key", node.span, format!("{error}")).expected("project and plan, `PROJ-PLAN`"),
    );
    None
}

/// A password, key or passphrase. Warns of one that cannot be read, and of one that everybody can.
pub(super) fn secret(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<SecretText> {
    let text = text(cx, node, &format!("`{what}`"))?;
    if text.starts_with(FOREIGN_SECRET_PREFIX) {
        let message = format!("`{what}` was encrypted by another server and cannot be read here");
        cx.add(
            Finding::warning("foreign-secret", node.span, message)
                .note(
                "enter it once with `madake variable set NAME --secret --value-stdin` (`--plan PROJ-PLAN` for one plan), and \
                 write `${bamboo.NAME}` here",
            ),
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

/// Warns of a value under the name of a secret that everybody can read, and of one that another server encrypted.
pub(super) fn secret_setting(cx: &mut Context<'_>, name: &str, value: &str, span: Span) {
    let finding = if value.contains(variable::FOREIGN_SECRET) {
        let message = format!(
            "the value of `{}` was encrypted by another server and cannot be read here",
            shown(name)
        );
        Finding::warning("foreign-secret", span, message)
    } else if variable::names_secret(name)
        && !name.ends_with("Id")
        && !value.trim().is_empty()
        && !value.contains(['$', '%'])
        && boolean(value).is_none()
    {
        let message = format!(
            "`{}` looks like a secret, and everybody who can read the repository can read it",
            shown(name)
        );
        Finding::warning("plain-secret", span, message)
    } else {
        return;
    };
    cx.add(finding.note("put the value into a variable of the server, and name it here: `${bamboo.NAME}`"));
}

/// The same for each of the `NAME=value` pairs of a text.
pub(super) fn secrets_among(cx: &mut Context<'_>, text: &str, span: Span) {
    for (name, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
        secret_setting(cx, name, value.trim_matches('"'), span);
    }
}

/// Warns of a text whose words cannot be told apart, as a quote is opened in it and not closed.
pub(super) fn open_quote(cx: &mut Context<'_>, text: &str, span: Span) {
    let mut characters = text.chars();
    let mut open = None;
    while let Some(character) = characters.next() {
        match (open, character) {
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (None, '"' | '\'') => open = Some(character),
            (Some(quote), _) if quote == character => open = None,
            _ => {}
        }
    }
    if let Some(quote) = open {
        let message = format!("a `{quote}` is opened here and never closed");
        cx.add(Finding::warning("open-quote", span, message).note("the task fails when the job comes to it"));
    }
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
    let message = match &node.value {
        Value::Null => format!("{what} has no value"),
        Value::Scalar(text) => format!("{what} cannot be `{}`", shown(text)),
        _ => format!("{what} cannot be {}", node.kind()),
    };
    cx.add(Finding::error("wrong-type", node.span, message).expected(expected));
}

/// A regular expression, kept as it was written.
pub(super) fn pattern(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = non_empty_text(cx, node, what)?;
    is_pattern(cx, &text, node.span, what).then_some(text)
}

/// Whether a text, which stands at `span`, is a regular expression; says why not.
pub(super) fn is_pattern(cx: &mut Context<'_>, text: &str, span: Span, what: &str) -> bool {
    let Some(reason) = pattern_problem(text) else {
        return true;
    };
    let message = format!("{what} `{}` is not a regular expression: {reason}", shown(text));
    cx.add(Finding::error("bad-pattern", span, message));
    false
}
