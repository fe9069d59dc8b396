//! Takes a map apart key by key, by the table of its section, and reports what nobody asked for.

use super::{Context, assignments, misplaced, path, scalar};
use crate::language::task::{CONDITION, VARIABLE_CONDITION};
use crate::language::{Section, State};
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Map, Node, Value};

/// The entries of a map, and which of them were asked for.
pub(super) struct Fields<'n> {
    section: &'static Section,
    map: &'n Map,
    /// Where it is said that something is missing.
    place: Span,
    known: Vec<&'static str>,
    /// Keys about which the section itself says whether they are acted on.
    settled: Vec<&'static str>,
    /// An entry that is not a key of this map but its name (options that are indented as siblings of the name).
    name: Option<&'n Entry>,
}

impl<'n> Fields<'n> {
    /// The entries of `map`, which starts at `place`.
    pub(super) fn new(cx: &mut Context<'_>, map: &'n Map, section: &'static Section, place: Span) -> Self {
        for entry in &map.entries {
            if let Some(key) = section.key(&entry.key.text) {
                cx.report
                    .document_key(entry.key.span, entry.value.span, section.id, key.name);
            }
        }
        Self {
            section,
            map,
            place,
            known: Vec::with_capacity(section.keys.len()),
            settled: Vec::new(),
            name: None,
        }
    }

    /// The same, where one entry is the name that the others are options of.
    pub(super) fn beside(mut self, name: Option<&'n Entry>) -> Self {
        self.name = name;
        self
    }

    /// The entries of a node that must be a map; anything else is reported.
    pub(super) fn of(cx: &mut Context<'_>, node: &'n Node, section: &'static Section) -> Option<Self> {
        match &node.value {
            Value::Map(map) => Some(Self::new(cx, map, section, node.span)),
            Value::Broken => None,
            Value::Null => {
                let message = format!("{} has nothing in it", section.what);
                cx.add(Finding::error("missing-key", node.span, message).expected("a map"));
                None
            }
            _ => {
                cx.add(
                    Finding::error(
                        "wrong-type",
                        node.span,
                        format!("{} cannot be {}", section.what, node.kind()),
                    )
                    .expected("a map"),
                );
                None
            }
        }
    }

    /// The entry with this key.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        debug_assert!(
            self.section.key(key).is_some(),
            "`{key}` is not in the table of {}",
            self.section.what
        );
        self.known.push(key);
        self.map.get(key)
    }

    /// The value of this key unless it is null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|value| !value.is_null())
    }

    /// The same, where the caller says itself whether the value is acted on.
    pub(super) fn take_settled(&mut self, key: &'static str) -> Option<&'n Node> {
        self.settled.push(key);
        self.take(key)
    }

    /// The value of a key that must be given; its absence is reported.
    pub(super) fn need(&mut self, cx: &mut Context<'_>, key: &'static str) -> Option<&'n Node> {
        let place = self.place;
        self.need_at(cx, key, place)
    }

    /// The same, where its absence is reported at `place`.
    pub(super) fn need_at(
        &mut self,
        cx: &mut Context<'_>,
        key: &'static str,
        place: Span,
    ) -> Option<&'n Node> {
        let absent = format!("{} has no `{key}`", self.section.what);
        let finding = match self.entry(key) {
            Some(entry) if !entry.value.is_null() => return Some(&entry.value),
            Some(entry) => without_value(entry),
            None => Finding::error("missing-key", place, absent),
        };
        cx.add(finding);
        None
    }

    fn called(&self, key: &str) -> String {
        format!("`{key}` of {}", self.section.what)
    }

    /// A text that must be given and not be empty.
    pub(super) fn need_text(&mut self, cx: &mut Context<'_>, key: &'static str) -> Option<String> {
        let node = self.need(cx, key)?;
        scalar::non_empty_text(cx, node, &self.called(key))
    }

    /// A text, if it is given.
    pub(super) fn text(&mut self, cx: &mut Context<'_>, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        scalar::text(cx, node, &self.called(key))
    }

    /// A text, empty where it is not given.
    pub(super) fn text_or_empty(&mut self, cx: &mut Context<'_>, key: &'static str) -> String {
        self.text(cx, key).unwrap_or_default()
    }

    /// `environment` of a task: `NAME=value` pairs. Warns of secrets in it.
    pub(super) fn environment(&mut self, cx: &mut Context<'_>) -> String {
        let called = self.called("environment");
        match self.take("environment") {
            Some(node) => assignments::environment(cx, node, &called).unwrap_or_default(),
            None => String::new(),
        }
    }

    /// `argument` of a task, which is split as a shell splits words.
    pub(super) fn argument(&mut self, cx: &mut Context<'_>) -> String {
        let Some(node) = self.take("argument") else {
            return String::new();
        };
        let text = scalar::joined(cx, node, &self.called("argument"), " ").unwrap_or_default();
        scalar::open_quote(cx, &text, node.span);
        text
    }

    /// A text that must be given and not be empty, whose parts a list may have, with `between` between them.
    pub(super) fn need_joined(
        &mut self,
        cx: &mut Context<'_>,
        key: &'static str,
        between: &str,
    ) -> Option<String> {
        let node = self.need(cx, key)?;
        scalar::non_empty_joined(cx, node, &self.called(key), between)
    }

    /// A boolean, if it is given.
    pub(super) fn flag(&mut self, cx: &mut Context<'_>, key: &'static str) -> Option<bool> {
        let node = self.take(key)?;
        scalar::flag(cx, node, &self.called(key))
    }

    /// A whole number, if it is given.
    pub(super) fn number(&mut self, cx: &mut Context<'_>, key: &'static str, least: u32) -> Option<u32> {
        let node = self.take(key)?;
        scalar::number(cx, node, &self.called(key), least)
    }

    /// Texts, none where they are not given.
    pub(super) fn texts(&mut self, cx: &mut Context<'_>, key: &'static str) -> Vec<String> {
        match self.take(key) {
            Some(node) => scalar::texts(cx, node, &self.called(key)),
            None => Vec::new(),
        }
    }

    /// A path below the working directory, empty where it is not given.
    pub(super) fn path(&mut self, cx: &mut Context<'_>, key: &'static str) -> String {
        match self.take(key) {
            Some(node) => path::relative(cx, node, &self.called(key)).unwrap_or_default(),
            None => String::new(),
        }
    }

    /// A folder that artifacts are put into. Bamboo's own samples write `/workdir` there, and a lone `/` means the working
    /// directory (bamboo-specs.md 4.4): what begins with `/` is read as a path below it, and that is said.
    pub(super) fn destination(&mut self, cx: &mut Context<'_>, key: &'static str) -> String {
        let node = self.take(key);
        let text = node.and_then(Node::as_text).map(str::trim).unwrap_or_default();
        let below = text.trim_start_matches('/');
        match node {
            Some(node) if text.starts_with('/') && !below.is_empty() => {
                let called = self.called(key);
                let path = path::checked(cx, below.to_owned(), node.span, &called);
                if path.is_some() {
                    let message = format!(
                        "{called} `{}` is read as `{}` below the working directory",
                        shown(text),
                        shown(below)
                    );
                    cx.add(
                        Finding::warning("absolute-destination", node.span, message)
                            .expected("a path below the working directory"),
                    );
                }
                path.unwrap_or_default()
            }
            _ => self.location(cx, key),
        }
    }

    /// A path below the working directory where a lone `/` means the directory itself, as it does in Bamboo.
    pub(super) fn location(&mut self, cx: &mut Context<'_>, key: &'static str) -> String {
        match self.take(key) {
            Some(node) if node.as_text().is_some_and(|text| text.trim() == "/") => String::new(),
            Some(node) => path::relative(cx, node, &self.called(key)).unwrap_or_default(),
            None => String::new(),
        }
    }

    /// The entries that the table does not have.
    pub(super) fn others(&self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        let section = self.section;
        self.map
            .entries
            .iter()
            .filter(move |entry| section.key(&entry.key.text).is_none())
    }

    /// Reports the keys that nobody asked for, and those that are read and not acted on.
    pub(super) fn finish(self, cx: &mut Context<'_>) {
        let Self {
            section,
            map,
            known,
            settled,
            name,
            ..
        } = self;
        debug_assert!(
            section.names().all(|name| known.contains(&name)),
            "a key in the table of {} is never asked for",
            section.what
        );
        for entry in &map.entries {
            let written = entry.key.text.as_str();
            if name.is_some_and(|name| std::ptr::eq(name, entry)) {
                continue;
            }
            let Some(key) = section.key(written) else {
                if section.others.is_none() && !settled.contains(&written) {
                    unknown(cx, section, map, entry);
                }
                continue;
            };
            if let State::NotYet(instead) = key.state
                && !settled.contains(&key.name)
                && !entry.value.says_nothing()
            {
                cx.not_run(entry.key.span, &format!("`{}`", key.name), instead);
            }
        }
    }
}

/// That a key which needs a value has none.
pub(super) fn without_value(entry: &Entry) -> Finding {
    let message = format!("`{}` has no value", shown(&entry.key.text));
    Finding::error("missing-key", entry.key.span, message)
}

fn unknown(cx: &mut Context<'_>, section: &Section, map: &Map, entry: &Entry) {
    if let Some(finding) = misplaced::finding(section, entry) {
        cx.add(finding);
        return;
    }
    let written = entry.key.text.as_str();
    let absent = section.names().filter(|known| !map.has(known));
    let suggestion = nearest(written, absent);
    let message = format!("`{}` is not a key of {}", shown(written), section.what);
    // A task that waits for a condition must not run because a part of it is misspelt.
    let finding = if section.id == CONDITION.id || section.id == VARIABLE_CONDITION.id {
        Finding::error("unknown-key", entry.key.span, message)
    } else {
        Finding::warning("unknown-key", entry.key.span, message)
    };
    cx.add(match suggestion {
        Some(_) => finding.suggestion(suggestion).note("it has no effect as it is"),
        None => {
            let names: Vec<&str> = section.names().collect();
            finding.note(format!(
                "it has no effect; {} takes {}",
                section.what,
                joined(&names, "and")
            ))
        }
    });
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
