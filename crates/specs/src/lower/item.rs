//! Items of lists that have names: `- name`, `- name: value`, and the same with options indented as siblings.

use super::Context;
use super::fields::{Fields, any_of};
use super::scalar;
use crate::language::{Choice, Choices, Section, State};
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Map, Node, Value};

/// Keys that options may have in common; beside a value they are taken for badly indented ones.
const COMMON: [&str; 3] = ["description", "enabled", "conditions"];

/// An item, taken apart.
pub(super) struct Item<'n> {
    /// What the table says of it.
    pub(super) choice: &'static Choice,
    /// The place of its name.
    pub(super) span: Span,
    /// What stands behind the name, unless nothing does.
    value: Option<&'n Node>,
    /// The map that has the options: the value, or the item itself when its options are siblings of the name.
    map: Option<&'n Map>,
    /// The entry of `map` that is the name.
    name: Option<&'n Entry>,
}

/// Takes an item apart; what is none of `choices` is reported. Items that are read and not acted on are said to be so.
pub(super) fn take_apart<'n>(
    cx: &mut Context<'_>,
    node: &'n Node,
    choices: &'static Choices,
) -> Option<Item<'n>> {
    let item = match &node.value {
        Value::Scalar(name) => Item {
            choice: known(cx, choices, name, node.span)?,
            span: node.span,
            value: None,
            map: None,
            name: None,
        },
        Value::Map(map) if !map.entries.is_empty() => of_map(cx, node, map, choices)?,
        Value::Broken => return None,
        _ => {
            let expected = format!("the name of {0}, or a map from it to its options", choices.what);
            scalar::wrong_type(cx, node, choices.what, &expected);
            return None;
        }
    };
    cx.report
        .document_key(item.span, node.span, choices.id, item.choice.name);
    if let State::NotYet(instead) = item.choice.state {
        let kind = choices.what.trim_start_matches("an ").trim_start_matches("a ");
        cx.not_run(item.span, &format!("the {kind} `{}`", item.choice.name), instead);
    }
    Some(item)
}

fn of_map<'n>(
    cx: &mut Context<'_>,
    node: &'n Node,
    map: &'n Map,
    choices: &'static Choices,
) -> Option<Item<'n>> {
    let entry = map
        .entries
        .iter()
        .find(|entry| choices.item(&entry.key.text).is_some())
        .unwrap_or(&map.entries[0]);
    let mut siblings = map.entries.iter().filter(|other| !std::ptr::eq(*other, entry));
    let value = Some(&entry.value).filter(|value| !value.is_null());
    let Some(sibling) = siblings.next() else {
        return Some(Item {
            choice: known(cx, choices, &entry.key.text, entry.key.span)?,
            span: entry.key.span,
            value,
            map: entry.value.as_map(),
            name: None,
        });
    };
    let only_common = COMMON.contains(&sibling.key.text.as_str())
        && siblings.all(|other| COMMON.contains(&other.key.text.as_str()));
    let is_name = choices.item(&entry.key.text).is_some();
    if is_name && (value.is_none() || (only_common && entry.value.as_map().is_none())) {
        indentation(cx, sibling.key.span, &entry.key.text);
        return Some(Item {
            choice: known(cx, choices, &entry.key.text, entry.key.span)?,
            span: entry.key.span,
            value,
            map: Some(map),
            name: Some(entry),
        });
    }
    if is_name {
        let message = format!(
            "{} is a list item of its own, and `{}` stands in the same one",
            choices.what,
            shown(&sibling.key.text)
        );
        let expected = format!("`- ` in front of {}, its options indented below it", choices.what);
        cx.add(Finding::error("item-shape", sibling.key.span, message).expected(expected));
    } else {
        let _ = node;
        known(cx, choices, &entry.key.text, entry.key.span);
    }
    None
}

/// The item of this name; reports that there is none.
pub(super) fn known(
    cx: &mut Context<'_>,
    choices: &'static Choices,
    name: &str,
    span: Span,
) -> Option<&'static Choice> {
    let found = choices.item(name);
    if found.is_none() {
        let code = match choices.id {
            "task" => "unknown-task",
            "trigger" | "environment-trigger" => "unknown-trigger",
            "trigger-condition" => "unknown-condition",
            "recipient" => "unknown-recipient",
            _ => "unknown-event",
        };
        let kind = choices.what.trim_start_matches("an ").trim_start_matches("a ");
        let names: Vec<&str> = choices.names().collect();
        let finding = Finding::error(code, span, format!("there is no {kind} `{}`", shown(name)));
        let suggestion = nearest(name, names.iter().copied());
        cx.add(match suggestion {
            Some(_) => finding.suggestion(suggestion),
            None if let Some(hint) = foreign(choices, name) => finding.expected(hint),
            None if names.len() <= 8 => finding.expected(any_of(&names)),
            None => finding.note(format!("there are {}", any_of(&names).replace(" or ", " and "))),
        });
    }
    found
}

/// What to write in place of a name that people bring from other servers or make up.
fn foreign(choices: &Choices, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    Some(match choices.id {
        "task" if name.starts_with("docker") => {
            "`script`, or `any-task` with the key of the docker task, see docs/tasks.md"
        }
        "task" if name == "artifact" => {
            "`artifact-download` to get one; `artifacts` of the job, beside its `tasks`, to keep one"
        }
        "task" if name.starts_with("clean") => "`clean`",
        "task" if ["run", "shell", "bash", "sh", "cmd", "powershell", "exec"].contains(&name.as_str()) => {
            "`script`"
        }
        "task" if ["npm", "node", "ant", "grunt", "gulp"].contains(&name.as_str()) => {
            "`script`, or `any-task` with the key of the app"
        }
        "trigger" if name == "manual" => "`triggers: []`, so that only people start builds",
        "trigger" if name.contains("poll") => "`polling`",
        "trigger" if name.contains("push") || name.contains("webhook") => "`remote`",
        _ => return None,
    })
}

/// Says that options stand beside the name that they belong to.
pub(super) fn indentation(cx: &mut Context<'_>, span: Span, name: &str) {
    let message = format!(
        "the options of `{}` are indented as if they stood beside it",
        shown(name)
    );
    cx.add(Finding::warning("indentation", span, message).expected("four spaces more than the `-`"));
}

impl<'n> Item<'n> {
    /// What stands behind the name if it is no map of options.
    pub(super) fn short(&self) -> Option<&'n Node> {
        self.value
            .filter(|value| !matches!(value.value, Value::Map(_) | Value::Broken))
    }

    /// Whether a mistake behind the name has been reported already.
    pub(super) fn is_broken(&self) -> bool {
        self.value
            .is_some_and(|value| matches!(value.value, Value::Broken))
    }

    /// The options, if there are any.
    pub(super) fn fields(&self, cx: &mut Context<'_>, section: &'static Section) -> Option<Fields<'n>> {
        self.map
            .map(|map| Fields::new(cx, map, section, self.span).beside(self.name))
    }

    /// The options of an item that has nothing else behind its name; without any, an empty map of them.
    pub(super) fn options(&self, cx: &mut Context<'_>, section: &'static Section) -> Option<Fields<'n>> {
        static EMPTY: Map = Map { entries: Vec::new() };
        if self.is_broken() {
            return None;
        }
        if let Some(node) = self.short() {
            scalar::wrong_type(
                cx,
                node,
                &format!("the options of `{}`", self.choice.name),
                "a map",
            );
            return None;
        }
        Some(
            self.fields(cx, section)
                .unwrap_or_else(|| Fields::new(cx, &EMPTY, section, self.span)),
        )
    }
}
