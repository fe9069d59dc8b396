//! Turns what saphyr read into the tree: includes are put in, merge keys merged, keys made texts.

use std::collections::HashMap;

use saphyr::{AnnotatedMapping, MarkedYaml, Scalar, Tag, YamlData};

use super::duplicates::{self, Parsed, RepeatedKey};
use super::stream::RawDocument;
use super::tags::{self, Visible};
use super::{Entry, Key, Map, Node, Value, limits, stream, syntax};
use crate::include::{self, IncludeError, SourceTree};
use crate::options::Options;
use crate::report::{DocumentId, Finding, Report, shown};
use crate::source::{FileId, Span};

/// How many files may include each other; real ones go four deep (bamboo-specs.md 2.2).
const MAX_INCLUDE_DEPTH: usize = 10;

/// The deepest nesting of nodes, includes counted in.
const MAX_DEPTH: usize = 200;

/// The most documents of one file.
const MAX_DOCUMENTS: usize = 1000;

/// One document of the plan file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its content.
    pub(crate) root: Node,
    /// Whether it has mistakes already.
    pub(crate) faulty: bool,
    /// Which one it is.
    pub(crate) id: DocumentId,
}

/// Reads the documents of a file and of all that it includes.
pub(crate) fn load(
    name: &str,
    text: &str,
    tree: &dyn SourceTree,
    options: &Options<'_>,
    report: &mut Report,
) -> Vec<Document> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut loader = Loader {
        tree,
        options,
        report,
        folder: folder.to_owned(),
        nodes: 0,
        bytes: 0,
        exhausted: false,
        reading: Vec::new(),
        depth: 0,
    };
    loader.file(name, text, None)
}

struct Loader<'a> {
    tree: &'a dyn SourceTree,
    options: &'a Options<'a>,
    report: &'a mut Report,
    folder: String,
    /// Nodes made so far.
    nodes: usize,
    /// Bytes of the texts read so far.
    bytes: usize,
    /// Whether it was said that there are too many nodes.
    exhausted: bool,
    /// Names of the files that are being read, outermost first.
    reading: Vec<String>,
    depth: usize,
}

/// What the conversion of a document needs to know about its text.
struct Text<'t> {
    file: FileId,
    line_offset: u32,
    visible: Visible<'t>,
    line_starts: Vec<usize>,
    repeated: Vec<RepeatedKey>,
}

impl Loader<'_> {
    /// The documents of one file. `included_at` is the place that asked for it.
    fn file(&mut self, name: &str, text: &str, included_at: Option<Span>) -> Vec<Document> {
        self.bytes = self.bytes.saturating_add(text.len());
        let too_large = if text.len() > self.options.max_file_bytes {
            Some(format!(
                "`{}` has {} bytes; the limit is {}",
                shown(name),
                text.len(),
                self.options.max_file_bytes
            ))
        } else if self.bytes > self.options.max_file_bytes.saturating_mul(2) {
            Some("the included files together are too large".to_owned())
        } else {
            None
        };
        if let Some(message) = too_large {
            let span = included_at.unwrap_or_else(|| {
                let file = self.report.sources.add(name, String::new());
                Span::point(file, 1, 1)
            });
            self.report.add(Finding::error("too-large", span, message));
            return vec![broken(span)];
        }
        let text = normalised(text);
        let file = self.report.sources.add(name, text.clone());
        if let Err(fault) = limits::check_text(&text) {
            let span = Span::point(file, fault.line, fault.column);
            self.report.add(Finding::error(fault.code, span, fault.message));
            return vec![broken(span)];
        }
        self.reading.push(name.to_owned());
        let raw = stream::split(&text);
        let mut documents = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            if index == MAX_DOCUMENTS {
                let span = Span::point(file, raw.line_offset + 1, 1);
                self.report.add(Finding::error(
                    "too-large",
                    span,
                    format!("the file has more than {MAX_DOCUMENTS} documents"),
                ));
                break;
            }
            documents.extend(self.document(file, raw));
        }
        self.reading.pop();
        documents
    }

    fn document(&mut self, file: FileId, raw: &RawDocument<'_>) -> Vec<Document> {
        let id = if self.depth == 0 {
            self.report.begin_document()
        } else {
            self.report.current_document()
        };
        let mut documents = self.parsed_document(file, raw, id);
        self.report.resume_document(id);
        for document in &mut documents {
            if document.id == DocumentId::default() {
                document.id = id;
            }
        }
        documents
    }

    fn parsed_document(&mut self, file: FileId, raw: &RawDocument<'_>, id: DocumentId) -> Vec<Document> {
        let first = Span::point(file, raw.line_offset + 1, 1);
        if let Some(line) = raw.tag_directive {
            let message = "a `%TAG` directive is not allowed in a plan file";
            self.report
                .add(Finding::error("unknown-tag", Span::point(file, line, 1), message));
            return vec![broken(first)];
        }
        let Some(visible) = tags::make_visible(raw.text) else {
            let message = "the `!!` tags of this document cannot be told from its texts";
            self.report.add(Finding::error("unknown-tag", first, message));
            return vec![broken(first)];
        };
        let parsed = duplicates::parse(&visible.text, |text| limits::weigh(text, self.options.max_nodes));
        let Parsed { nodes, repeated } = match parsed {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(message)) => {
                self.report.add(Finding::error("too-large", first, message));
                return vec![broken(first)];
            }
            Err(error) => {
                self.report.add(syntax::finding(file, raw, &error));
                return vec![broken(first)];
            }
        };
        let line_starts = std::iter::once(0)
            .chain(visible.text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let text = Text {
            file,
            line_offset: raw.line_offset,
            visible,
            line_starts,
            repeated,
        };
        let mut documents = Vec::new();
        for node in nodes {
            let before = self.report.errors();
            if let YamlData::Tagged(tag, inner) = &node.data
                && text.is_include(tag)
            {
                let span = text.span(&node);
                let included = self.include(inner, span, &text);
                documents.extend(included.into_iter().map(|mut document| {
                    document.faulty |= matches!(document.root.value, Value::Broken);
                    document
                }));
                continue;
            }
            let root = self.node(node, &text);
            documents.push(Document {
                root,
                faulty: self.report.errors() > before,
                id,
            });
        }
        documents
    }

    fn node(&mut self, node: MarkedYaml<'_>, text: &Text<'_>) -> Node {
        let span = text.span(&node);
        self.data(node.data, span, text)
    }

    fn data<'y>(&mut self, data: YamlData<'y, MarkedYaml<'y>>, span: Span, text: &Text<'_>) -> Node {
        self.nodes += 1;
        let refused = if self.nodes > self.options.max_nodes {
            Some((
                "too-large",
                format!("the plan file has more than {} nodes", self.options.max_nodes),
            ))
        } else if self.depth >= MAX_DEPTH {
            Some(("too-deep", format!("nodes are nested more than {MAX_DEPTH} deep")))
        } else {
            None
        };
        if let Some((code, message)) = refused {
            if !std::mem::replace(&mut self.exhausted, true) {
                self.report.add(Finding::error(code, span, message));
            }
            return broken(span).root;
        }
        self.depth += 1;
        let value = match data {
            YamlData::Value(Scalar::Null) => Value::Null,
            YamlData::Value(scalar) => Value::Scalar(text.scalar(scalar, span)),
            YamlData::Sequence(items) => {
                Value::List(items.into_iter().map(|item| self.node(item, text)).collect())
            }
            YamlData::Mapping(map) => Value::Map(self.map(map, text)),
            YamlData::Tagged(tag, inner) => self.tagged(&tag, *inner, span, text),
            YamlData::Representation(..) | YamlData::Alias(_) | YamlData::BadValue => {
                let message = "this value is an alias of something that contains it, or does not fit its tag";
                self.report.add(Finding::error("yaml-syntax", span, message));
                Value::Broken
            }
        };
        self.depth -= 1;
        Node { value, span }
    }

    fn tagged(&mut self, tag: &Tag, inner: MarkedYaml<'_>, span: Span, text: &Text<'_>) -> Value {
        if text.is_include(tag) {
            let mut documents = self.include(&inner, span, text);
            if documents.len() > 1 {
                self.report.add(
                    Finding::error("include", span, "the included file has more than one document")
                        .note("only an include that is a whole document may name such a file"),
                );
                return Value::Broken;
            }
            return documents
                .pop()
                .map_or(Value::Null, |document| document.root.value);
        }
        let name = match text.visible.core_name(&tag.suffix) {
            Some(name) if tag.handle == "!" => format!("!!{name}"),
            _ => format!("{}{}", tag.handle, tag.suffix),
        };
        match (name.as_str(), inner.data) {
            ("!!str", YamlData::Value(Scalar::Null)) => Value::Scalar(String::new()),
            (
                "!!str" | "!!int" | "!!float" | "!!bool" | "!!null" | "!!seq" | "!!map" | "!!timestamp",
                data,
            ) => self.data(data, span, text).value,
            _ => {
                let message = format!("`{}` is not a tag of plan files", shown(&name));
                self.report.add(
                    Finding::error("unknown-tag", span, message).expected("no tag, or `!include 'file.yml'`"),
                );
                Value::Broken
            }
        }
    }

    fn include(&mut self, path: &MarkedYaml<'_>, span: Span, text: &Text<'_>) -> Vec<Document> {
        let YamlData::Value(Scalar::String(written)) = &path.data else {
            let finding = Finding::error("include", span, "`!include` needs the path of a file");
            self.report.add(finding.expected("`!include 'file.yml'`"));
            return vec![broken(span)];
        };
        let written = text.visible.restore(written.to_string());
        let resolved = include::resolve(&written).map(|path| {
            if self.folder.is_empty() {
                path
            } else {
                format!("{}/{path}", self.folder)
            }
        });
        let fault = match resolved {
            Ok(name) if self.reading.contains(&name) => "the file includes itself".to_owned(),
            Ok(_) if self.reading.len() > MAX_INCLUDE_DEPTH => {
                format!("files include each other more than {MAX_INCLUDE_DEPTH} deep")
            }
            Ok(name) => match self.tree.read(&name) {
                Ok(content) => return self.file(&name, &content, Some(span)),
                Err(error @ IncludeError::NotHere) => {
                    let message = format!("`{}` is not read: {error}", shown(&written));
                    self.report.add(Finding::warning("include", span, message));
                    return vec![broken(span)];
                }
                Err(error) => error.to_string(),
            },
            Err(fault) => format!("the path {fault}"),
        };
        let message = format!("cannot include `{}`: {fault}", shown(&written));
        self.report.add(Finding::error("include", span, message));
        vec![broken(span)]
    }

    fn map<'y>(&mut self, map: AnnotatedMapping<'y, MarkedYaml<'y>>, text: &Text<'_>) -> Map {
        let mut entries: Vec<Entry> = Vec::with_capacity(map.len());
        let mut merged: Vec<Node> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::with_capacity(map.len());
        for (key, value) in map {
            let span = text.span(&key);
            let mut value = self.node(value, text);
            if value.is_null() && !["~", "null", "Null", "NULL"].contains(&text.written(value.span)) {
                // Where nothing is written, the key is what there is to point at.
                value.span = span;
            }
            let repeated = text.repeated.iter().find(|repeated| {
                (repeated.line, repeated.column) == (key.span.start.line(), key.span.start.col())
            });
            let name = match key.data {
                YamlData::Value(scalar) => {
                    let name = text.scalar(scalar, span);
                    match repeated {
                        Some(repeated) => name
                            .char_indices()
                            .map(|(at, c)| if at == 0 { repeated.first } else { c })
                            .collect(),
                        None => name,
                    }
                }
                YamlData::Mapping(_) if text.has_braces(span) => {
                    self.report.add(syntax::braces(span, text.line(span)));
                    continue;
                }
                _ => {
                    let finding = Finding::error("yaml-syntax", span, "a key must be a text");
                    self.report.add(finding);
                    continue;
                }
            };
            if name == "<<" {
                if repeated.is_some() {
                    let finding = Finding::error("duplicate-key", span, "the key `<<` is given twice");
                    self.report.add(finding.expected("one list: `<<: [*one, *two]`"));
                }
                merged.push(value);
                continue;
            }
            if let Some(first) = places.get(&name) {
                let first = entries[*first].key.span;
                let message = format!("the key `{}` is given twice", shown(&name));
                self.report
                    .add(Finding::error("duplicate-key", span, message).related(first, "first given here"));
                continue;
            }
            places.insert(name.clone(), entries.len());
            entries.push(Entry {
                key: Key { text: name, span },
                value,
            });
        }
        for node in merged {
            self.merge(node, &mut entries, &mut places);
        }
        Map { entries }
    }

    /// Adds the entries of a merge key: a map, or a list of maps of which the first wins.
    fn merge(&mut self, node: Node, entries: &mut Vec<Entry>, places: &mut HashMap<String, usize>) {
        match node.value {
            Value::Map(map) => {
                for entry in map.entries {
                    if !places.contains_key(&entry.key.text) {
                        places.insert(entry.key.text.clone(), entries.len());
                        entries.push(entry);
                    }
                }
            }
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
                for item in items {
                    self.merge(item, entries, places);
                }
            }
            Value::Broken => {}
            _ => {
                let message = "a merge key `<<` takes a map or a list of maps";
                self.report.add(Finding::error("yaml-syntax", node.span, message));
            }
        }
    }
}

impl Text<'_> {
    fn is_include(&self, tag: &Tag) -> bool {
        tag.handle == "!" && tag.suffix == "include"
    }

    fn span(&self, node: &MarkedYaml<'_>) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let line = |value: usize| number(value.max(1)).saturating_add(self.line_offset);
        let (start, end) = (node.span.start, node.span.end);
        let (start_line, start_column) = (line(start.line()), number(start.col() + 1));
        let (end_line, end_column) = (line(end.line()), number(end.col() + 1));
        let goes_on = (end_line, end_column) > (start_line, start_column);
        Span {
            file: self.file,
            line: start_line,
            column: start_column,
            end_line: if goes_on { end_line } else { start_line },
            end_column: if goes_on { end_column } else { start_column + 1 },
        }
    }

    /// The characters of a scalar as they were written.
    fn scalar(&self, scalar: Scalar<'_>, span: Span) -> String {
        if let Scalar::String(text) = scalar {
            return self.visible.restore(text.into_owned());
        }
        let written = self.written(span);
        let same = |text: &&str| Scalar::parse_from_cow((*text).into()) == scalar;
        if let Some(text) = written.rsplit(char::is_whitespace).next().filter(same) {
            return text.to_owned();
        }
        if let Some(name) = written.strip_prefix('*') {
            let anchored = self
                .visible
                .text
                .match_indices(&format!("&{name}"))
                .filter_map(|(at, found)| {
                    self.visible.text[at + found.len()..]
                        .trim_start_matches([' ', '\t'])
                        .split(|c: char| c.is_whitespace() || ",]}".contains(c))
                        .next()
                })
                .find(same);
            if let Some(text) = anchored {
                return text.to_owned();
            }
        }
        match scalar {
            Scalar::Null => String::new(),
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::FloatingPoint(value) => value.to_string(),
            Scalar::String(text) => text.into_owned(),
        }
    }

    /// The line that a place begins on.
    fn line(&self, span: Span) -> &str {
        let start = (span.line - self.line_offset) as usize;
        let Some(line_start) = self.line_starts.get(start - 1) else {
            return "";
        };
        let line = &self.visible.text[*line_start..];
        &line[..line.find('\n').unwrap_or(line.len())]
    }

    /// Whether `{{` ends or begins where the place begins.
    fn has_braces(&self, span: Span) -> bool {
        let at = (span.column as usize).saturating_sub(2);
        let near: String = self.line(span).chars().skip(at).take(2).collect();
        near == "{{"
    }

    /// The text of a place on one line.
    fn written(&self, span: Span) -> &str {
        let line = self.line(span);
        let byte = |column: u32| {
            line.char_indices()
                .nth(column.saturating_sub(1) as usize)
                .map_or(line.len(), |(at, _)| at)
        };
        let end = if span.end_line > span.line {
            line.len()
        } else {
            byte(span.end_column)
        };
        line.get(byte(span.column)..end).unwrap_or("").trim()
    }
}

fn broken(span: Span) -> Document {
    Document {
        root: Node {
            value: Value::Broken,
            span,
        },
        faulty: true,
        id: DocumentId::default(),
    }
}

/// Line feeds as line ends, no byte order mark.
fn normalised(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}
