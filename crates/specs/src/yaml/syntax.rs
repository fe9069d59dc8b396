//! What the parser says of a text that is not YAML, in words that tell its author what to do.

use saphyr::ScanError;

use super::stream::RawDocument;
use crate::report::{Finding, shown};
use crate::source::{FileId, Span};

/// A line of the document, taken apart as far as messages need it.
struct Line<'t> {
    /// From 1 in the document.
    number: usize,
    text: &'t str,
}

/// The lines of a document around a mistake.
struct Place<'t> {
    file: FileId,
    line_offset: u32,
    lines: Vec<&'t str>,
    /// The line that the parser names, from 1.
    line: usize,
    /// The column that it names, from 0.
    column: usize,
}

/// The finding for what the parser could not read.
pub(super) fn finding(file: FileId, raw: &RawDocument<'_>, error: &ScanError) -> Finding {
    let lines: Vec<&str> = raw.text.lines().collect();
    let line = error.marker().line().clamp(1, lines.len().max(1));
    let content = lines.get(line - 1).copied().unwrap_or("");
    let place = Place {
        file,
        line_offset: raw.line_offset,
        column: error.marker().col().min(content.chars().count()),
        line,
        lines,
    };
    let indentation = content.len() - content.trim_start().len();
    if content[..indentation].contains('\t') {
        return place
            .finding_at(line, place.column, "a tab is used for indentation")
            .expected("spaces");
    }
    let info = error.info();
    let marker = (line.saturating_sub(1)..=line).find(|number| {
        let text = number.checked_sub(1).and_then(|at| place.lines.get(at));
        text.is_some_and(|text| {
            let dashes = text.trim();
            dashes.len() > 1
                && dashes.bytes().all(|byte| byte == b'-')
                && (text.starts_with(' ') || dashes != "---")
        })
    });
    if let Some(number) = marker {
        let text = place.lines[number - 1];
        let message = if text.starts_with(' ') {
            format!("`{}` with blanks in front of it begins no document", text.trim())
        } else {
            format!("`{}` begins no document", text.trim())
        };
        return place
            .finding_at(number, place.indentation(text), &message)
            .expected("`---` at the start of the line");
    }
    let explained = if info.starts_with("mapping values are not allowed") {
        place.second_value()
    } else if info.starts_with("unexpected character") {
        place.start_of_text()
    } else if info.contains("unknown anchor") {
        Some(place.unknown_anchor(raw.text))
    } else if info.contains("trailing content after") {
        place.behind_quotes()
    } else if info.contains("block scalar") {
        Some(
            place
                .here("a text behind `|` or `>` begins on the next line")
                .expected("nothing but `|`, and the text below it, indented"),
        )
    } else if info.contains("block sequence entries are not allowed") {
        Some(
            place
                .here("a list begins on a line of its own")
                .expected("`- ` on the next line, indented"),
        )
    } else if info.contains("indentation in quoted")
        || info.contains("end of stream") && info.contains("quoted")
    {
        Some(place.here("the quotes that begin here are not closed"))
    } else if info.contains("simple key") {
        place.no_colon()
    } else if info.contains("expected key") {
        place.other_indentation()
    } else if info.contains("escape character") {
        Some(
            place
                .here("`\\` in double quotes begins an escape, and there is none of this name")
                .expected("single quotes, in which `\\` is a character like others"),
        )
    } else if info.contains("bracket") {
        Some(
            place
                .here("this closes a list or a map that nothing has opened")
                .expected("quotes around a text that begins so"),
        )
    } else {
        None
    };
    let finding = explained
        .or_else(|| place.unclosed())
        .unwrap_or_else(|| place.here(&format!("not valid YAML: {info}")));
    if raw.text.contains("#@ ") || raw.text.contains("{%") {
        finding.note("the file looks like a template that some other tool fills in first")
    } else {
        finding
    }
}

/// The finding for a key that is a map, which `{{` begins.
pub(super) fn braces(span: Span, line: &str) -> Finding {
    let finding = Finding::error(
        "yaml-syntax",
        span,
        "a text cannot start with `{{` unless it is in quotes",
    )
    .note("if another tool fills the file in first, check what that tool writes");
    match value_of(line).filter(|(_, value)| value.starts_with("{{")) {
        Some((start, value)) => finding.expected(format!("`{start}{}`", quoted(value))),
        None => finding.expected("quotes around it"),
    }
}

impl<'t> Place<'t> {
    fn span(&self, line: usize, column: usize) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let line = number(line).saturating_add(self.line_offset);
        Span::point(self.file, line, number(column + 1))
    }

    fn finding_at(&self, line: usize, column: usize, message: &str) -> Finding {
        Finding::error("yaml-syntax", self.span(line, column), message)
    }

    fn here(&self, message: &str) -> Finding {
        self.finding_at(self.line, self.column, message)
    }

    fn text(&self) -> &'t str {
        self.lines.get(self.line - 1).copied().unwrap_or("")
    }

    /// The last line above that says something.
    fn above(&self) -> Option<Line<'t>> {
        (1..self.line).rev().find_map(|number| {
            let text = self.lines[number - 1];
            let content = text.trim();
            (!content.is_empty() && !content.starts_with('#')).then_some(Line { number, text })
        })
    }

    /// `name: Build: the thing`, or a line that is indented below a value.
    fn second_value(&self) -> Option<Finding> {
        let (start, value) = value_of(self.text())?;
        if start.contains(':') && (value.contains(": ") || value.ends_with(':')) {
            let before = start.chars().count() + self.indentation(self.text());
            if self.column >= before {
                return Some(
                    self.here("`: ` in a text without quotes begins another value")
                        .expected(format!("`{start}{}`", quoted(value))),
                );
            }
        }
        let above = self.above()?;
        let (_, value) = value_of(above.text)?;
        (self.indentation(self.text()) > self.indentation(above.text) && !value.is_empty()).then(|| {
            let column = self.indentation(self.text());
            let finding = self.finding_at(
                self.line,
                column,
                "the line is indented as if it belonged to the one above, which has a value already",
            );
            finding.expected("the same indentation as the keys beside it")
        })
    }

    /// `@`, a back-tick or `%` at the start of a text.
    fn start_of_text(&self) -> Option<Finding> {
        let character = self.text().chars().nth(self.column)?;
        let shown = match character {
            '`' => "a back-tick".to_owned(),
            _ => format!("`{character}`"),
        };
        let finding = self.here(&format!(
            "a text cannot start with {shown} unless it is in quotes"
        ));
        Some(match value_of(self.text()) {
            Some((start, value)) if value.starts_with(character) => {
                finding.expected(format!("`{start}{}`", quoted(value)))
            }
            _ => finding.expected("quotes around it"),
        })
    }

    /// `*.jar`, or an alias of an anchor that is not there.
    fn unknown_anchor(&self, text: &str) -> Finding {
        let rest: String = self.text().chars().skip(self.column + 1).collect();
        let name: String = rest
            .chars()
            .take_while(|c| !c.is_whitespace() && !"[]{},".contains(*c))
            .collect();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if is_name {
            let anchors = text
                .match_indices('&')
                .map(|(at, _)| {
                    text[at + 1..]
                        .split(|c: char| c.is_whitespace() || "[]{},".contains(c))
                        .next()
                })
                .map(Option::unwrap_or_default);
            let message = format!("there is no anchor `&{}` above in this document", shown(&name));
            return self
                .here(&message)
                .suggestion(crate::report::nearest(&name, anchors).map(|found| format!("*{found}")))
                .note("anchors do not reach over `---`; a text that starts with `*` needs quotes");
        }
        let finding = self.here("a text cannot start with `*` unless it is in quotes");
        match value_of(self.text()) {
            Some((start, value)) if value.starts_with('*') => {
                finding.expected(format!("`{start}{}`", quoted(value)))
            }
            _ => finding.expected("quotes around it"),
        }
    }

    /// `"a" && b`
    fn behind_quotes(&self) -> Option<Finding> {
        let finding = self.here("the text goes on behind the closing quotes");
        let (start, value) = value_of(self.text())?;
        Some(match value.chars().next() {
            Some('\'' | '"') if !value.contains('\'') => finding.expected(format!("`{start}'{value}'`")),
            // `'it's'`: the inner quotes are doubled.
            Some('\'') if value.len() > 1 && value.ends_with('\'') => {
                let inner = &value[1..value.len() - 1];
                finding.expected(format!("`{start}'{}'`", inner.replace('\'', "''")))
            }
            Some('\'' | '"') => finding.expected(format!("`{start}{}`", quoted(value))),
            _ => finding.expected("quotes around the whole text"),
        })
    }

    /// A line above that is no key.
    fn no_colon(&self) -> Option<Finding> {
        if let Some(finding) = self.unclosed() {
            return Some(finding);
        }
        let line = [
            self.above(),
            Some(Line {
                number: self.line,
                text: self.text(),
            }),
        ]
        .into_iter()
        .flatten()
        .find(|line| !has_colon(line.text))?;
        let column = self.indentation(line.text);
        let word = line.text.trim();
        let finding = self.finding_at(line.number, column, &format!("`{}` is no key", shown(word)));
        Some(match word.split_once(':') {
            Some((key, value)) if !value.starts_with("//") => {
                finding.expected(format!("a blank behind the `:`: `{key}: {value}`"))
            }
            _ => finding.expected(format!("`{}:` with its value", shown(word))),
        })
    }

    /// A line that is indented unlike the keys beside it.
    fn other_indentation(&self) -> Option<Finding> {
        let above = self.above()?;
        let (own, other) = (self.indentation(self.text()), self.indentation(above.text));
        (own != other).then(|| {
            self.finding_at(self.line, own, "the line is indented unlike the keys above it")
                .expected(format!(
                    "{other} blanks in front of it, or as many as its parent's siblings have"
                ))
        })
    }

    /// The innermost `[` or `{` above the place that is not closed.
    fn unclosed(&self) -> Option<Finding> {
        let mut open: Vec<(usize, usize, char)> = Vec::new();
        for (number, text) in (1..=self.line).zip(&self.lines) {
            let mut quote = None;
            let mut before = ' ';
            for (column, c) in text.chars().enumerate() {
                match (quote, c) {
                    (Some(mark), _) if c == mark => quote = None,
                    (Some(_), _) => {}
                    (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(c),
                    (None, '#') if before.is_whitespace() => break,
                    (None, '[' | '{') if !open.is_empty() || " -:".contains(before) => {
                        open.push((number, column, c));
                    }
                    (None, ']' | '}') => {
                        open.pop();
                    }
                    (None, _) => {}
                }
                before = c;
            }
        }
        let (line, column, mark) = open.pop()?;
        (line < self.line || column < self.column).then(|| {
            let close = if mark == '[' { ']' } else { '}' };
            self.finding_at(line, column, &format!("`{mark}` is not closed"))
                .expected(format!(
                    "`{close}` behind it, or quotes around a text that begins so"
                ))
        })
    }

    fn indentation(&self, text: &str) -> usize {
        text.chars().take_while(|c| *c == ' ').count()
    }
}

/// The part of a line in front of its value, without blanks in front and with `- ` and `key: `, and the value.
fn value_of(line: &str) -> Option<(String, &str)> {
    let content = line.trim();
    let mut at = 0;
    while content[at..].starts_with("- ") {
        at += 2;
        at += content[at..].len() - content[at..].trim_start().len();
    }
    let rest = &content[at..];
    let value = match rest.find(": ") {
        Some(colon) if !rest.starts_with(['\'', '"', '@', '`', '%', '*', '{']) => {
            rest[colon + 1..].trim_start()
        }
        _ => rest,
    };
    let start = &content[..content.len() - value.len()];
    (!value.is_empty()).then(|| (shown(start), value))
}

/// Whether a line has a key: a `:` with a blank or nothing behind it.
fn has_colon(line: &str) -> bool {
    line.contains(": ") || line.trim_end().ends_with(':')
}

/// A text in single quotes.
fn quoted(text: &str) -> String {
    shown(&format!("'{}'", text.trim_end().replace('\'', "''")))
}
