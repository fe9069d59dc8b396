//! Collects the findings of a reading.

use crate::diagnostic::{Diagnostic, Position, Related, Severity};
use crate::source::{Sources, Span};

/// The most findings of one reading; a hostile file must not make us write an endless list.
const MAX_FINDINGS: usize = 500;

/// The findings so far, and the texts that they point into.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) sources: Sources,
    findings: Vec<Diagnostic>,
    errors: usize,
    left_out: usize,
}

impl Report {
    /// Adds a finding.
    pub(crate) fn add(&mut self, finding: Finding) {
        if finding.severity == Severity::Error {
            self.errors += 1;
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        let span = finding.span;
        let related = finding.related.map(|(span, message)| Related {
            file: self.sources.name(span.file).to_owned(),
            line: span.line,
            column: span.column,
            end: end_of(span),
            message,
        });
        self.findings.push(Diagnostic {
            code: format!("specs::{}", finding.code),
            severity: finding.severity,
            file: self.sources.name(span.file).to_owned(),
            line: span.line,
            column: span.column,
            end: end_of(span),
            message: finding.message,
            expected: finding.expected,
            suggestion: finding.suggestion,
            note: finding.note,
            related,
        });
    }

    /// How many errors there are so far, also those beyond the longest list.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The texts, and the findings in the order of the files and places.
    pub(crate) fn finish(mut self) -> (Sources, Vec<Diagnostic>) {
        let sources = &self.sources;
        self.findings
            .sort_by_key(|finding| (sources.rank(&finding.file), finding.line, finding.column));
        if self.left_out > 0
            && let Some(last) = self.findings.last()
        {
            let mut rest = last.clone();
            "specs::more-findings".clone_into(&mut rest.code);
            rest.severity = if self.errors > 0 {
                Severity::Error
            } else {
                Severity::Warning
            };
            rest.message = format!("{} more findings are not listed", self.left_out);
            (rest.expected, rest.suggestion, rest.note, rest.related) = (None, None, None, None);
            self.findings.push(rest);
        }
        (self.sources, self.findings)
    }
}

fn end_of(span: Span) -> Position {
    Position {
        line: span.end_line,
        column: span.end_column,
    }
}

/// A finding in the making.
#[derive(Debug)]
pub(crate) struct Finding {
    severity: Severity,
    code: &'static str,
    span: Span,
    message: String,
    expected: Option<String>,
    suggestion: Option<String>,
    note: Option<String>,
    related: Option<(Span, String)>,
}

impl Finding {
    fn new(severity: Severity, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            span,
            message: message.into(),
            expected: None,
            suggestion: None,
            note: None,
            related: None,
        }
    }

    /// A mistake: the document is left out. `code` has no `specs::` in front.
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    /// Something without the effect that it may seem to have.
    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message)
    }

    /// Something worth knowing.
    pub(crate) fn info(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, span, message)
    }

    /// What would have been right.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// What was probably meant.
    pub(crate) fn suggestion(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    /// More about it.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// A second place.
    pub(crate) fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related = Some((span, message.into()));
        self
    }
}

/// User text as it may stand in a message: without control characters, at most 60 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// The candidate that is nearest to what was written, if it is near enough to be a misspelling.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| -> String {
        text.chars()
            .take(80)
            .map(|c| {
                if c == '_' || c == ' ' {
                    '-'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let folded = fold(written);
    let limit = (folded.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit && *distance < candidate.chars().count() && *candidate != written
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
