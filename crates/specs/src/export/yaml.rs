//! Writes YAML that reads back as it was, in the form that people write: blocks, as few quotes as possible.

/// A value that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    /// A text, quoted where it would be read as something else.
    Text(String),
    /// A number or boolean, as it is.
    Plain(String),
    /// A list.
    List(Vec<Out>),
    /// A map, in this order.
    Map(Entries),
}

/// The entries of a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entries(Vec<(String, Out)>);

impl Entries {
    /// A map with one entry.
    pub(super) fn one(key: &str, value: Out) -> Self {
        Self(vec![(key.to_owned(), value)])
    }

    /// Adds an entry.
    pub(super) fn put(&mut self, key: &str, value: Out) {
        self.0.push((key.to_owned(), value));
    }

    /// Adds a text.
    pub(super) fn text(&mut self, key: &str, text: impl Into<String>) {
        self.put(key, Out::Text(text.into()));
    }

    /// Adds a text unless it is empty.
    pub(super) fn some_text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text(key, text);
        }
    }

    /// Adds a text if there is one.
    pub(super) fn maybe_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// Adds a boolean.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.put(key, Out::Plain(value.to_string()));
    }

    /// Adds a boolean unless it is what its absence means.
    pub(super) fn flag_unless(&mut self, key: &str, value: bool, default: bool) {
        if value != default {
            self.flag(key, value);
        }
    }

    /// Adds a boolean if there is one.
    pub(super) fn maybe_flag(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.flag(key, value);
        }
    }

    /// Adds a number if there is one.
    pub(super) fn maybe_number(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.put(key, Out::Plain(value.to_string()));
        }
    }

    /// Adds a list of texts unless it is empty.
    pub(super) fn texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(key, texts_of(texts));
        }
    }

    /// Adds a list unless it is empty.
    pub(super) fn list(&mut self, key: &str, items: Vec<Out>) {
        if !items.is_empty() {
            self.put(key, Out::List(items));
        }
    }

    /// Adds a map unless it is empty.
    pub(super) fn map(&mut self, key: &str, entries: Self) {
        if !entries.is_empty() {
            self.put(key, Out::Map(entries));
        }
    }

    /// Whether there are no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A list of texts.
pub(super) fn texts_of(texts: &[String]) -> Out {
    Out::List(texts.iter().cloned().map(Out::Text).collect())
}

/// A map with one entry, as an item of a list.
pub(super) fn named(name: &str, value: Out) -> Out {
    Out::Map(Entries::one(name, value))
}

/// `- name`, or `- name: {...}` when there is something to say.
pub(super) fn item(name: &str, entries: Entries) -> Out {
    if entries.is_empty() {
        Out::Text(name.to_owned())
    } else {
        named(name, Out::Map(entries))
    }
}

/// The text of a document whose root is this map.
pub(super) fn document(root: &Entries) -> String {
    let mut text = String::new();
    entries(&mut text, root, 0);
    text
}

fn pad(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Characters of a key that may stand before its colon on a line: YAML 1.2.2, 7.4.2, allows 1024. A longer one is marked by `?`.
const LONGEST_KEY: usize = 1000;

/// The entries of a map, each on lines of its own, the first one where the cursor is.
fn entries(text: &mut String, map: &Entries, depth: usize) {
    for (number, (key, value)) in map.0.iter().enumerate() {
        if number > 0 {
            pad(text, depth);
        }
        let key = flow(key);
        if key.chars().count() > LONGEST_KEY {
            text.push_str("? ");
            text.push_str(&key);
            text.push('\n');
            pad(text, depth);
        } else {
            text.push_str(&key);
        }
        text.push(':');
        value_behind(text, value, depth);
    }
}

/// The value behind `key:`, with its line end.
fn value_behind(text: &mut String, value: &Out, depth: usize) {
    match value {
        Out::Text(value) => {
            text.push(' ');
            scalar(text, value, depth + 1);
        }
        Out::Plain(value) => {
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        Out::List(items) if items.is_empty() => text.push_str(" []\n"),
        Out::Map(map) if map.is_empty() => text.push_str(" {}\n"),
        Out::List(items) => {
            text.push('\n');
            list(text, items, depth + 1);
        }
        Out::Map(map) => {
            text.push('\n');
            pad(text, depth + 1);
            entries(text, map, depth + 1);
        }
    }
}

fn list(text: &mut String, items: &[Out], depth: usize) {
    for item in items {
        pad(text, depth);
        text.push_str("- ");
        match item {
            Out::Text(value) => scalar(text, value, depth + 1),
            Out::Plain(value) => {
                text.push_str(value);
                text.push('\n');
            }
            Out::List(inner) if inner.is_empty() => text.push_str("[]\n"),
            Out::Map(map) if map.is_empty() => text.push_str("{}\n"),
            Out::List(inner) => {
                text.push('\n');
                list(text, inner, depth + 1);
            }
            Out::Map(map) => entries(text, map, depth + 1),
        }
    }
}

/// A text with its line end: as a block where it has lines, else on one line. Lines of a block stand at `depth`.
fn scalar(text: &mut String, value: &str, depth: usize) {
    let body = value.strip_suffix('\n').unwrap_or(value);
    let is_block = body.contains('\n')
        && !body.ends_with('\n')
        && !value.starts_with([' ', '\t', '\n'])
        && value.chars().all(|c| c == '\n' || is_printable(c))
        && body.split('\n').all(|line| line.is_empty() || fits_block(line));
    if !is_block {
        text.push_str(&flow(value));
        text.push('\n');
        return;
    }
    text.push_str(if body.len() == value.len() { "|-\n" } else { "|\n" });
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(text, depth);
            text.push_str(line);
        }
        text.push('\n');
    }
}

/// Whether a line may stand in a block: it has more than blanks, and does not begin so far right that the reader
/// would refuse it.
fn fits_block(line: &str) -> bool {
    let start = line.bytes().take_while(|byte| b" \t-?:".contains(byte)).count();
    start < 60 && !line.trim().is_empty()
}

/// A text on one line, in quotes where it needs them.
fn flow(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    if value.chars().all(is_printable) {
        return format!("'{}'", value.replace('\'', "''"));
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text without quotes is read as this text by everybody.
fn is_plain(value: &str) -> bool {
    const WORDS: [&str; 13] = [
        "null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "<<",
    ];
    let inner = |c: char| c.is_alphanumeric() || "_-./+@$(){}*,;=%^&!|?\\<> ".contains(c);
    let first = |c: char| c.is_alphabetic() || "_/.$(".contains(c);
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && value.chars().any(|c| c.is_ascii_digit())
        && !value.contains(|c: char| c.is_alphabetic() || " /".contains(c));
    value.starts_with(first)
        && !value.starts_with("...")
        && value.chars().all(inner)
        && !value.ends_with(' ')
        && !value.contains(" #")
        && !is_number
        && !WORDS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_they_need_it() {
        let rows = [
            ("make all", "make all"),
            ("${bamboo.x}", "${bamboo.x}"),
            ("", "''"),
            ("true", "'true'"),
            ("1.10", "'1.10'"),
            ("0777", "'0777'"),
            ("a: b", "'a: b'"),
            ("it's", "'it''s'"),
            ("- x", "'- x'"),
            ("*x", "'*x'"),
            ("a #b", "'a #b'"),
            (" a", "' a'"),
            ("a\tb", "\"a\\tb\""),
            ("a\u{85}", "\"a\\U00000085\""),
            ("[a]", "'[a]'"),
        ];
        for (value, written) in rows {
            assert_eq!(flow(value), written, "{value:?}");
        }
    }

    #[test]
    fn lines_make_blocks() {
        let mut map = Entries::default();
        map.text("a", "one\n  two\n\nthree");
        map.text("b", "one\ntwo\n");
        map.text("c", " one\ntwo");
        map.put(
            "d",
            Out::List(vec![Out::Text("x\ny".into()), named("k", Out::List(Vec::new()))]),
        );
        assert_eq!(
            document(&map),
            "a: |-\n  one\n    two\n\n  three\nb: |\n  one\n  two\nc: \" one\\ntwo\"\nd:\n  - |-\n    x\n    y\n  - k: []\n"
        );
    }
}
