//! Shows findings to people: with an excerpt of the text, or in one line.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Position, Severity};
use crate::source::Sources;

/// Characters of a line that an excerpt shows; longer lines would hide what matters.
const MAX_EXCERPT_CHARACTERS: usize = 400;

/// All findings with an excerpt each and the place underlined, as a compiler shows them. `colour` adds terminal
/// escapes. Findings are separated by empty lines; the text ends in a line feed unless it is empty.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push('\n');
    }
    text
}

/// A finding in one line: `bamboo-specs/bamboo.yml:14:3: error: ...`.
#[must_use]
pub fn render_line(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        file, line, column, ..
    } = diagnostic;
    let mut text = format!(
        "{file}:{line}:{column}: {}: {}",
        diagnostic.severity.as_str(),
        diagnostic.message
    );
    if let Some(expected) = &diagnostic.expected {
        let _ = write!(text, "; expected {expected}");
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        let _ = write!(text, "; did you mean `{suggestion}`?");
    }
    let _ = write!(text, " [{}]", diagnostic.code);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str());
    let start = Position {
        line: diagnostic.line,
        column: diagnostic.column,
    };
    let mut group = Group::with_title(title);
    let label = diagnostic
        .expected
        .as_deref()
        .map(|expected| format!("expected {expected}"));
    group = group.element(excerpt(
        sources,
        &diagnostic.file,
        start,
        diagnostic.end,
        AnnotationKind::Primary,
        label,
    ));
    if let Some(related) = &diagnostic.related {
        let start = Position {
            line: related.line,
            column: related.column,
        };
        group = group.element(excerpt(
            sources,
            &related.file,
            start,
            related.end,
            AnnotationKind::Context,
            Some(related.message.clone()),
        ));
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        group = group.element(Level::HELP.message(format!("did you mean `{suggestion}`?")));
    }
    if let Some(note) = &diagnostic.note {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if let Some(documentation) = &diagnostic.documentation {
        group = group.element(Level::HELP.message(format!("see {documentation}")));
    }
    group
}

fn excerpt<'a>(
    sources: &'a Sources,
    file: &'a str,
    start: Position,
    end: Position,
    kind: AnnotationKind,
    label: Option<String>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let line = sources
        .text(file)
        .and_then(|text| text.split('\n').nth(start.line.saturating_sub(1) as usize))
        .unwrap_or("");
    let line = match line.char_indices().nth(MAX_EXCERPT_CHARACTERS) {
        Some((cut, _)) => &line[..cut],
        None => line,
    };
    let mut annotation = kind.span(underlined(line, start, end));
    if let Some(label) = label {
        annotation = annotation.label(label);
    }
    Snippet::source(line)
        .path(file)
        .line_start(start.line as usize)
        .annotation(annotation)
}

/// The bytes of `line` that are underlined: up to its end when the place goes on in later lines.
fn underlined(line: &str, start: Position, end: Position) -> Range<usize> {
    let byte = |column: u32| {
        line.char_indices()
            .nth(column.saturating_sub(1) as usize)
            .map_or(line.len(), |(at, _)| at)
    };
    let from = byte(start.column);
    let to = if end.line > start.line {
        line.trim_end().len()
    } else {
        byte(end.column)
    };
    from..to.max(from)
}
