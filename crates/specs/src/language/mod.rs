//! The language as tables: every section with its keys, every list with its items, what each holds and whether it is
//! acted on yet.
//!
//! The reader takes maps apart by these tables (`lower/fields.rs`), so a key that is not here is unknown, and one that
//! is here and never asked for fails the tests. The JSON Schema and `docs/language.md` are written from them too.

pub(crate) mod app;
pub(crate) mod deployment;
pub(crate) mod job;
pub(crate) mod notification;
pub(crate) mod permission;
pub(crate) mod plan;
pub(crate) mod reference;
pub(crate) mod repository;
pub(crate) mod schema;
pub(crate) mod task;
pub(crate) mod trigger;
pub(crate) mod version_1;

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its place in the documentation: `job`.
    pub(crate) id: &'static str,
    /// What it is, in the words of a message: `a job`.
    pub(crate) what: &'static str,
    /// What it is for.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
    /// What keys are that the table does not have.
    pub(crate) others: Option<Others>,
}

/// Keys that the author names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Others {
    /// What the key is: `NAME`.
    pub(crate) name: &'static str,
    /// What stands behind it.
    pub(crate) shape: Shape,
    /// What it is for.
    pub(crate) doc: &'static str,
}

impl Section {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of the keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// What holds when it is not given; empty where that goes without saying.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) state: State,
}

/// Whether something is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is.
    Acts,
    /// Not yet; the text says what happens instead.
    NotYet(&'static str),
}

/// A key, optional and acted on.
pub(crate) const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        default: "",
        doc,
        state: State::Acts,
    }
}

impl Key {
    /// The same, as one that must be given.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, with what holds when it is not given.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// The same, as one that is not acted on yet; `instead` says what happens.
    pub(crate) const fn not_yet(mut self, instead: &'static str) -> Self {
        self.state = State::NotYet(instead);
        self
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text; numbers and booleans are taken as they are written.
    Text,
    /// `true` or `false`, quoted or not.
    Flag,
    /// A whole number from this one, quoted or not.
    Number(u32),
    /// A path below the working directory.
    Path,
    /// A regular expression.
    Pattern,
    /// A Quartz cron expression.
    Cron,
    /// `PROJ-PLAN`
    PlanKey,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    /// A map from name to text.
    TextMap,
    /// Anything, kept by dotted names.
    Free,
    /// A map with known keys.
    Map(&'static Section),
    /// A map from a name to such a value.
    Named(&'static Shape),
    /// A list of such values.
    List(&'static Shape),
    /// A list of items that have names, each `- name` or `- name: value`.
    Items(&'static Choices),
    /// Such an item by itself.
    Item(&'static Choices),
    /// One of several.
    Either(&'static [Shape]),
}

/// Items that have names.
#[derive(Debug)]
pub(crate) struct Choices {
    /// Their place in the documentation: `task`.
    pub(crate) id: &'static str,
    /// What one is, in the words of a message: `a task`.
    pub(crate) what: &'static str,
    /// What they are for.
    pub(crate) doc: &'static str,
    /// The items.
    pub(crate) items: &'static [Choice],
}

impl Choices {
    /// The item of this name.
    pub(crate) fn item(&self, name: &str) -> Option<&'static Choice> {
        self.items.iter().find(|item| item.name == name)
    }

    /// The names of the items.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.items.iter().map(|item| item.name)
    }
}

/// An item that has a name.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    /// Whether the name alone is enough.
    pub(crate) bare: bool,
    /// What may stand behind the name.
    pub(crate) value: Option<Shape>,
    pub(crate) doc: &'static str,
    pub(crate) state: State,
}

/// An item whose name may stand alone.
pub(crate) const fn bare(name: &'static str, value: Option<Shape>, doc: &'static str) -> Choice {
    Choice {
        name,
        bare: true,
        value,
        doc,
        state: State::Acts,
    }
}

/// An item that needs a value.
pub(crate) const fn item(name: &'static str, value: Shape, doc: &'static str) -> Choice {
    Choice {
        name,
        bare: false,
        value: Some(value),
        doc,
        state: State::Acts,
    }
}

impl Choice {
    /// The same, as one that is not acted on yet; `instead` says what happens.
    pub(crate) const fn not_yet(mut self, instead: &'static str) -> Self {
        self.state = State::NotYet(instead);
        self
    }
}

/// The kinds of document, each with what tells it apart.
pub(crate) static DOCUMENTS: [&Section; 5] = [
    &plan::DOCUMENT,
    &permission::PLAN_DOCUMENT,
    &deployment::DOCUMENT,
    &permission::DEPLOYMENT_DOCUMENT,
    &version_1::DOCUMENT,
];
