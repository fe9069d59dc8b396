//! The tree of a document to domain plans: one file per section of the format.
//!
//! Each section has a function that takes its node and gives what it understood; mistakes go to the report, and
//! reading goes on, so that all of them are found at once.

pub(crate) mod document;

mod branch;
mod condition;
mod docker;
mod fields;
mod job;
mod other;
mod path;
mod permission;
mod plan;
mod repository;
mod scalar;
mod script;
mod stage;
mod task;
mod trigger;
mod variable;

use crate::options::Options;
use crate::report::{Finding, Report};
use crate::source::Span;

/// What every section needs: the caller's checks, and where findings go.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) report: &'a mut Report,
}

impl Context<'_> {
    fn add(&mut self, finding: Finding) {
        self.report.add(finding);
    }

    /// Says that `what` is understood but not acted on.
    fn not_run(&mut self, span: Span, what: &str) {
        self.add(Finding::warning(
            "not-run",
            span,
            format!("{what} is part of Bamboo's format, but this version does not act on it"),
        ));
    }
}
