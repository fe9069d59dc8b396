//! The tree of a document to domain plans: one file per section of the format.
//!
//! Each section has a function that takes its node and gives what it understood; mistakes go to the report, and
//! reading goes on, so that all of them are found at once. Which keys a section has is said in `language`.

pub(crate) mod document;

mod any_task;
mod assignments;
mod branch;
mod branch_override;
mod condition;
mod dependency;
mod deployment;
mod docker;
mod docker_task;
mod fields;
mod item;
mod job;
mod misplaced;
mod notification;
mod other;
mod path;
mod permission;
mod plan;
pub(crate) mod reference;
mod remote_task;
mod repository;
mod scalar;
mod script;
mod settings;
mod stage;
mod task;
mod task_condition;
mod tool_task;
mod trigger;
mod variable;
mod vcs_task;
mod version_1;

use madake_domain::key::PlanKey;

use crate::mention::MentionKind;
use crate::options::Options;
use crate::report::{Finding, Report};
use crate::source::Span;

/// What is known of all documents of a plan file before one of them is looked at.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The plans that it describes, as far as their keys are right.
    pub(crate) plans: Vec<PlanKey>,
    /// Whether it is what a server reads, by its name (bamboo-specs.md 1), and no file that such a one includes.
    pub(crate) is_entry: bool,
}

/// What every section needs: the caller's checks, and where findings go.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) stream: &'a Stream,
    pub(crate) report: &'a mut Report,
    /// Artifacts that the tasks read so far fetch, of another plan or (`None`) of the plan or release that they are of.
    downloads: Vec<(Option<PlanKey>, String, Span)>,
    /// Whether the tasks that are read are an environment's.
    in_environment: bool,
}

impl Context<'_> {
    fn add(&mut self, finding: Finding) {
        self.report.add(finding);
    }

    /// Notes that a credential of the server is named here. Whether it is there, only the server can say.
    fn credential(&mut self, span: Span, name: &str) {
        self.report
            .mention(MentionKind::Credential(name.to_owned()), span);
        let shown = crate::report::shown(name);
        let message =
            format!("the server has to know the credential `{shown}` and allow this repository to use it");
        self.add(Finding::warning("credential-of-server", span, message).note(
            "an administrator adds it with `madake credential add` and allows it with `madake credential grant`",
        ));
    }

    /// Says that `what` is read but not acted on, and what happens instead.
    fn not_run(&mut self, span: Span, what: &str, instead: &str) {
        self.add(Finding::warning("not-run", span, format!("read, not run yet: {what}")).note(instead));
    }
}
