//! Collects the findings of a reading.

use std::collections::HashMap;

use madake_domain::key::PlanKey;

use crate::diagnostic::{Diagnostic, Position, Related, Severity};
use crate::mention::{Mention, MentionKind};
use crate::source::{Sources, Span};

/// The most findings of one reading; a hostile file must not make us write an endless list.
const MAX_FINDINGS: usize = 500;

/// The most places that are kept at which things of the server are named.
const MAX_MENTIONS: usize = 10_000;

/// The page that describes the language.
const LANGUAGE_PAGE: &str = "docs/language.md";

/// The findings so far, and the texts that they point into.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) sources: Sources,
    findings: Vec<(DocumentId, Diagnostic)>,
    /// What each document is about.
    subjects: Vec<Option<String>>,
    /// The document that is being read.
    document: DocumentId,
    /// Where known keys and items stand.
    regions: Vec<Region>,
    mentions: Vec<(DocumentId, MentionKind, Span)>,
    references: Vec<(DocumentId, Reference, Span)>,
    /// Where each subject was first described.
    described: HashMap<String, Span>,
    errors: usize,
    left_out: usize,
}

/// Something that a document names and that another one of the reading may define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A stage.
    Stage {
        /// Of this plan.
        plan: PlanKey,
        /// Its name.
        name: String,
    },
    /// An artifact.
    Artifact {
        /// Of this plan.
        plan: PlanKey,
        /// Its name.
        name: String,
    },
    /// An environment.
    Environment {
        /// Of this deployment project.
        deployment: String,
        /// Its name.
        name: String,
    },
    /// A plan that another one starts.
    Child {
        /// The one that starts it.
        parent: PlanKey,
        /// The one that is started.
        child: PlanKey,
    },
}

/// One of the documents of a reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DocumentId(usize);

/// Where a key or item of the language stands, from its name to the end of its value.
#[derive(Debug)]
struct Region {
    span: Span,
    section: &'static str,
    key: &'static str,
}

impl Report {
    /// Goes on to a new document.
    pub(crate) fn begin_document(&mut self) -> DocumentId {
        self.subjects.push(None);
        self.document = DocumentId(self.subjects.len());
        self.document
    }

    /// Goes back to a document.
    pub(crate) fn resume_document(&mut self, document: DocumentId) {
        self.document = document;
    }

    /// The document that is being read.
    pub(crate) fn current_document(&self) -> DocumentId {
        self.document
    }

    /// Says what the document that is being read is about.
    pub(crate) fn name_document(&mut self, subject: String) {
        if let Some(place) = self
            .document
            .0
            .checked_sub(1)
            .and_then(|at| self.subjects.get_mut(at))
        {
            *place = Some(subject);
        }
    }

    /// Notes where a known key stands and how far its value goes, so that findings there can point to its description.
    pub(crate) fn document_key(&mut self, name: Span, value: Span, section: &'static str, key: &'static str) {
        let (end_line, end_column) = if value.file == name.file {
            (value.end_line, value.end_column).max((name.end_line, name.end_column))
        } else {
            (name.end_line, name.end_column)
        };
        self.regions.push(Region {
            span: Span {
                end_line,
                end_column,
                ..name
            },
            section,
            key,
        });
    }

    /// The description of the innermost known key around a place.
    fn documentation(&self, finding: &Diagnostic) -> Option<String> {
        let at = (finding.line, finding.column);
        self.regions
            .iter()
            .filter(|region| {
                let span = region.span;
                (span.line, span.column) <= at
                    && at < (span.end_line, span.end_column)
                    && self.sources.name(span.file) == finding.file
            })
            .max_by_key(|region| (region.span.line, region.span.column))
            .map(|region| format!("{LANGUAGE_PAGE}#{}.{}", region.section, region.key))
    }

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
        let finding = Diagnostic {
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
            subject: None,
            documentation: None,
            related,
        };
        self.findings.push((self.document, finding));
    }

    /// Notes that something of the server is named here.
    pub(crate) fn mention(&mut self, kind: MentionKind, span: Span) {
        if self.mentions.len() < MAX_MENTIONS {
            self.mentions.push((self.document, kind, span));
        }
    }

    /// Notes that something is named here which another document may define.
    pub(crate) fn refer(&mut self, reference: Reference, span: Span) {
        if self.references.len() < MAX_MENTIONS {
            self.references.push((self.document, reference, span));
        }
    }

    /// What was noted so.
    pub(crate) fn take_references(&mut self) -> Vec<(DocumentId, Reference, Span)> {
        std::mem::take(&mut self.references)
    }

    /// Notes that a document describes this here; gives the place of the one that did so before.
    pub(crate) fn describe(&mut self, subject: &str, span: Span) -> Option<Span> {
        let first = self.described.get(subject).copied();
        if first.is_none() {
            self.described.insert(subject.to_owned(), span);
        }
        first
    }

    /// The places that were noted.
    pub(crate) fn take_mentions(&mut self) -> Vec<Mention> {
        let noted = std::mem::take(&mut self.mentions);
        noted
            .into_iter()
            .map(|(document, kind, span)| Mention {
                kind,
                subject: self.subject_of(document),
                file: self.sources.name(span.file).to_owned(),
                line: span.line,
                column: span.column,
                end: end_of(span),
            })
            .collect()
    }

    fn subject_of(&self, document: DocumentId) -> Option<String> {
        let at = document.0.checked_sub(1)?;
        self.subjects.get(at).cloned().flatten()
    }

    /// How many errors there are so far, also those beyond the longest list.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The texts, and the findings in the order of the files and places.
    pub(crate) fn finish(mut self) -> (Sources, Vec<Diagnostic>) {
        let mut findings: Vec<Diagnostic> = Vec::with_capacity(self.findings.len());
        for (document, mut finding) in std::mem::take(&mut self.findings) {
            finding.subject = self.subject_of(document);
            finding.documentation = self.documentation(&finding);
            findings.push(finding);
        }
        let sources = &self.sources;
        findings.sort_by_key(|finding| (sources.rank(&finding.file), finding.line, finding.column));
        if self.left_out > 0
            && let Some(last) = findings.last()
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
            (rest.subject, rest.documentation) = (None, None);
            findings.push(rest);
        }
        (self.sources, findings)
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
