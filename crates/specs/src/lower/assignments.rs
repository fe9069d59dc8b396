//! `environment` of tasks: one text of `NAME=value` pairs, also where a list or a map has them (bamboo-specs.md 4.2).

use super::{Context, scalar};
use crate::report::{Finding, shown};
use crate::yaml::{Node, Value};

/// The pairs with blanks between them, and double quotes around values that need them. Warns of secrets.
pub(super) fn environment(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    match &node.value {
        Value::List(items) => {
            let item_of = format!("an item of {what}");
            let items = items.iter().filter(|item| !item.is_null());
            let pairs: Option<Vec<String>> = items
                .map(|item| {
                    let text = scalar::text(cx, item, &item_of)?;
                    scalar::secrets_among(cx, &text, item.span);
                    scalar::open_quote(cx, &text, item.span);
                    Some(one_pair(text))
                })
                .collect();
            pairs.map(|pairs| pairs.join(" "))
        }
        Value::Map(map) => {
            let mut pairs = Vec::with_capacity(map.entries.len());
            for entry in &map.entries {
                let name = entry.key.text.as_str();
                if name.is_empty() || name.contains(|c: char| "=\"'\\".contains(c) || c.is_whitespace()) {
                    let message = format!("`{}` is not the name of a variable", shown(name));
                    cx.add(Finding::error("bad-variable", entry.key.span, message));
                    return None;
                }
                let value = match &entry.value.value {
                    Value::Null => String::new(),
                    _ => scalar::text(cx, &entry.value, &format!("`{}` of {what}", shown(name)))?,
                };
                scalar::secret_setting(cx, name, &value, entry.value.span);
                pairs.push(pair(name, &value));
            }
            Some(pairs.join(" "))
        }
        _ => {
            let text = scalar::text(cx, node, what)?;
            scalar::secrets_among(cx, &text, node.span);
            scalar::open_quote(cx, &text, node.span);
            Some(text)
        }
    }
}

/// An item of a list: its value may have blanks in it, unless it has quotes, or more pairs behind the first.
fn one_pair(text: String) -> String {
    match text.split_once('=') {
        Some((name, value))
            if value.contains(char::is_whitespace)
                && !value.contains(['"', '\'', '\\'])
                && !value.split_whitespace().skip(1).any(is_pair) =>
        {
            pair(name, value)
        }
        _ => text,
    }
}

/// Whether a word of a value begins another variable. `-Dfile.encoding=UTF-8` does not.
fn is_pair(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// `NAME=value`, quoted so that it is one word again when words are split.
fn pair(name: &str, value: &str) -> String {
    if value.contains(|c: char| "\"'\\".contains(c) || c.is_whitespace()) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}=\"{value}\"")
    } else {
        format!("{name}={value}")
    }
}
