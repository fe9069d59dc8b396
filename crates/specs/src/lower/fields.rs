//! Takes a map apart key by key and reports what nobody asked for.

use super::Context;
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Entry, Map, Node, Value};

/// The entries of a map, and which of them were asked for.
pub(super) struct Fields<'n> {
    /// The map in the words of a message: `a job`.
    what: &'static str,
    map: &'n Map,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The entries of `map`.
    pub(super) fn new(map: &'n Map, what: &'static str) -> Self {
        Self {
            what,
            map,
            known: Vec::new(),
        }
    }

    /// The entries of a node that must be a map; anything else is reported.
    pub(super) fn of(cx: &mut Context<'_>, node: &'n Node, what: &'static str) -> Option<Self> {
        match &node.value {
            Value::Map(map) => Some(Self::new(map, what)),
            Value::Broken => None,
            _ => {
                cx.add(
                    Finding::error(
                        "wrong-type",
                        node.span,
                        format!("{what} cannot be {}", node.kind()),
                    )
                    .expected("a map"),
                );
                None
            }
        }
    }

    /// The entry with this key.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.known.push(key);
        self.map.get(key)
    }

    /// The value of this key unless it is null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|value| !value.is_null())
    }

    /// Keys that are understood but not acted on: a warning each, unless they say nothing.
    pub(super) fn not_run(&mut self, cx: &mut Context<'_>, keys: &[&'static str]) {
        for key in keys {
            if let Some(entry) = self.entry(key)
                && !entry.value.says_nothing()
            {
                cx.not_run(entry.key.span, &format!("`{key}`"));
            }
        }
    }

    /// Reports the keys that nobody asked for: an error when one is nearly a known key, since then something that
    /// the author wants would not happen; else a warning.
    pub(super) fn finish(self, cx: &mut Context<'_>) {
        self.finish_except(cx, None);
    }

    /// Like [`Fields::finish`], with one entry that is not a key of this map but its name (options that are
    /// indented as siblings of the name).
    pub(super) fn finish_except(self, cx: &mut Context<'_>, name: Option<&Entry>) {
        let Self { what, map, known } = self;
        for entry in &map.entries {
            let key = entry.key.text.as_str();
            if known.contains(&key) || name.is_some_and(|name| name.key.text == key) {
                continue;
            }
            let absent = known.iter().copied().filter(|known| !map.has(known));
            let suggestion = nearest(key, absent);
            let message = format!("`{}` is not a key of {what}", shown(key));
            cx.add(match suggestion {
                Some(_) => Finding::error("unknown-key", entry.key.span, message).suggestion(suggestion),
                None => Finding::warning("unknown-key", entry.key.span, message)
                    .note(format!("it has no effect; {what} takes {}", list(&known))),
            });
        }
    }
}

/// `a`, `b` and `c`
fn list(names: &[&str]) -> String {
    joined(names, "and")
}

/// `a`, `b` or `c`
pub(super) fn any_of(names: &[&str]) -> String {
    joined(names, "or")
}

fn joined(names: &[&str], word: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "no keys".to_owned(),
    }
}
