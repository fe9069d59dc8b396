//! The page that describes the language, written from the tables.

use std::fmt::Write as _;

use super::{Choices, DOCUMENTS, Key, Section, Shape, State, app};

const HEAD: &str = "\
# The language of plan files

This page is made of the tables that the reader of plan files works with: `cargo xtask language` writes it. `plans.md` shows \
how plans are written; here is every key.

Booleans and numbers may be quoted. Texts may be written without quotes, and keep the characters that were written. A \
regular expression is matched against the whole text unless it is said otherwise. `!include 'file.yml'` stands for the \
content of a file of the same folder, wherever a value may stand. `madake specs schema` prints a JSON Schema for editors.

What is marked **not yet** is read and checked, and `madake specs validate` says that it is not run; the words behind it \
say what happens instead.
";

/// The page in Markdown.
pub(crate) fn page() -> String {
    let mut page = Page {
        text: HEAD.to_owned(),
        described: Vec::new(),
        waiting: Vec::new(),
    };
    page.text.push_str(
        "\n## Documents\n\nA plan file is a stream of documents, divided by `---`. Each is one of these.\n\n",
    );
    for section in DOCUMENTS {
        let _ = writeln!(
            page.text,
            "- [{}](#{}): {}",
            plain(section.what),
            section.id,
            section.doc
        );
    }
    for section in DOCUMENTS {
        page.wait_for(Target::Section(section));
        page.describe_waiting();
    }
    page.apps();
    page.text
}

#[derive(Clone, Copy)]
enum Target {
    Section(&'static Section),
    Choices(&'static Choices),
}

impl Target {
    fn id(self) -> &'static str {
        match self {
            Self::Section(section) => section.id,
            Self::Choices(choices) => choices.id,
        }
    }
}

struct Page {
    text: String,
    described: Vec<&'static str>,
    waiting: Vec<Target>,
}

impl Page {
    fn wait_for(&mut self, target: Target) {
        if !self.described.contains(&target.id()) {
            self.described.push(target.id());
            self.waiting.push(target);
        }
    }

    /// Describes what was named, depth first, so that parts stand behind what they are parts of.
    fn describe_waiting(&mut self) {
        while let Some(target) = self.waiting.pop() {
            let later = std::mem::take(&mut self.waiting);
            match target {
                Target::Section(section) => self.section(section),
                Target::Choices(choices) => self.choices(choices),
            }
            self.waiting.reverse();
            let named = std::mem::replace(&mut self.waiting, later);
            self.waiting.extend(named);
        }
    }

    fn heading(&mut self, id: &str, what: &str, doc: &str) {
        let _ = write!(
            self.text,
            "\n<a id=\"{id}\"></a>\n\n## {}\n\n{doc}\n",
            capital(&plain(what))
        );
    }

    fn section(&mut self, section: &'static Section) {
        self.heading(section.id, section.what, section.doc);
        self.text.push_str("\n| key | value | |\n| - | - | - |\n");
        for key in section.keys {
            let value = self.shape(key.shape);
            let _ = writeln!(
                self.text,
                "| <a id=\"{}.{}\"></a>`{}` | {value} | {} |",
                section.id,
                key.name,
                key.name,
                remarks(key)
            );
        }
        if let Some(others) = section.others {
            let value = self.shape(others.shape);
            let _ = writeln!(self.text, "| *{}* | {value} | {} |", others.name, others.doc);
        }
    }

    fn choices(&mut self, choices: &'static Choices) {
        self.heading(choices.id, choices.what, choices.doc);
        self.text.push_str("\n| item | value | |\n| - | - | - |\n");
        for item in choices.items {
            let mut value = match item.value {
                Some(shape) => self.shape(shape),
                None => String::new(),
            };
            if item.bare && item.value.is_some() {
                value = format!("nothing, or {value}");
            } else if item.bare {
                "nothing".clone_into(&mut value);
            }
            let mut remarks = item.doc.to_owned();
            not_yet(&mut remarks, item.state);
            let _ = writeln!(
                self.text,
                "| <a id=\"{}.{}\"></a>`{}` | {value} | {remarks} |",
                choices.id, item.name, item.name
            );
        }
    }

    /// What a value is, in words, with links to what it is made of.
    fn shape(&mut self, shape: Shape) -> String {
        match shape {
            Shape::Text => "text".to_owned(),
            Shape::Flag => "`true` or `false`".to_owned(),
            Shape::Number(least) => format!("whole number from {least}"),
            Shape::Path => "path".to_owned(),
            Shape::Pattern => "regular expression".to_owned(),
            Shape::Cron => "cron expression".to_owned(),
            Shape::PlanKey => "`PROJ-PLAN`".to_owned(),
            Shape::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(", ")
            }
            Shape::Texts => "text, or list of texts".to_owned(),
            Shape::TextMap => "map from name to text".to_owned(),
            Shape::Free => "anything".to_owned(),
            Shape::Map(section) => {
                self.wait_for(Target::Section(section));
                format!("[{}](#{})", plain(section.what), section.id)
            }
            Shape::Named(inner) => format!("map from name to {}", self.shape(*inner)),
            Shape::List(inner) => format!("list of: {}", self.shape(*inner)),
            Shape::Items(choices) => format!("list of: {}", self.shape(Shape::Item(choices))),
            Shape::Item(choices) => {
                self.wait_for(Target::Choices(choices));
                format!("[{}](#{})", plain(choices.what), choices.id)
            }
            Shape::Either(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(|shape| self.shape(*shape)).collect();
                match shapes.as_slice() {
                    [list, one] if *list == format!("list of: {one}") => format!("{one}; or list of them"),
                    _ => shapes.join("; or "),
                }
            }
        }
    }

    fn apps(&mut self) {
        self.text.push_str(
            "\n<a id=\"apps\"></a>\n\n## Apps\n\nTasks of these apps are understood when `any-task` names them.\n\n\
             | plugin key | what it is |\n| - | - |\n",
        );
        for app in app::APPS {
            let mut remarks = app.doc.to_owned();
            not_yet(&mut remarks, app.state);
            let _ = writeln!(self.text, "| `{}` | {remarks} |", app.name);
        }
    }
}

fn remarks(key: &Key) -> String {
    let mut remarks = key.doc.to_owned();
    if key.required {
        remarks.push_str(" **Required.**");
    }
    if !key.default.is_empty() {
        let _ = write!(remarks, " Else: {}.", key.default);
    }
    not_yet(&mut remarks, key.state);
    remarks
}

fn not_yet(remarks: &mut String, state: State) {
    if let State::NotYet(instead) = state {
        let _ = write!(remarks, " **Not yet:** {instead}.");
    }
}

/// `a job` without its article, which headings and lists do not need.
fn plain(what: &str) -> String {
    what.trim_start_matches("an ")
        .trim_start_matches("a ")
        .trim_start_matches("the ")
        .to_owned()
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
