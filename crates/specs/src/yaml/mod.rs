//! YAML text to a tree in which every node and key knows its place.
//!
//! saphyr parses; this module does what it leaves open and what hostile files need: limits before anything is
//! built (`limits`), documents that fail one by one (`stream`), mistakes in words that help (`syntax`), tags that it
//! would drop (`tags`), repeated keys with both places (`duplicates`), and in `convert` merge keys, includes and keys
//! as plain texts.
//!
//! The dialect (bamboo-specs.md 2.3): a scalar keeps the characters that were written, so that a version `1.10`
//! stays `1.10`; whether it is a boolean or a number is asked where one is expected, and then YAML 1.1 counts
//! (`yes`, `on`), and quotes do not matter.

mod convert;
mod duplicates;
mod limits;
mod stream;
mod syntax;
mod tags;

pub(crate) use convert::{Document, load};

use crate::source::Span;

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// The characters of a scalar.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
    /// A node whose fault has been reported already.
    Broken,
}

/// A map, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Node,
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Map {
    /// The entry with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.text == key)
    }

    /// Whether there is an entry with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl Node {
    /// The map that this node is.
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list that this node is.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The characters of the scalar that this node is.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is given.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether the node says nothing: null, an empty text, list or map, `false`.
    pub(crate) fn says_nothing(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar(text) => text.trim().is_empty() || boolean(text) == Some(false),
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.entries.is_empty(),
            Value::Broken => false,
        }
    }

    /// What the node is, in the words of a message.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Broken => "nothing",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a boolean as YAML 1.1 does, quoted or not.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}
