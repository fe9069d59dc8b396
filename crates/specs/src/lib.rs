//! Bamboo YAML Specs to domain plans, with diagnostics that carry file, line, column and a suggestion.
//!
//! The walk of a file: `yaml` reads text into a tree in which every node knows its place (limits first, then
//! includes and merge keys), `lower` turns the tree into plans, one file per section of the format, and every
//! finding becomes a [`Diagnostic`], which `render` shows to people.
//!
//! Nothing here does I/O: the text of included files comes from a [`SourceTree`] that the caller gives.

pub mod diagnostic;
mod export;
mod include;
mod language;
mod lower;
mod mention;
mod options;
mod render;
mod report;
mod sarif;
mod source;
mod yaml;

pub use diagnostic::{Diagnostic, Position, Related, Severity};
pub use export::{export, export_covered};
pub use include::{IncludeError, SourceTree};
pub use mention::{Mention, MentionKind};
pub use options::{Options, ValidateText};
pub use render::{render_line, render_text};
pub use sarif::render_sarif;
pub use source::Sources;

use madake_domain::plan::{
    DeploymentConfiguration, DeploymentPermissions, PlanConfiguration, PlanPermissions,
};
use serde::{Deserialize, Serialize};

/// What reading a plan file gave. Reading never fails as a whole: what was understood is here, and so is every
/// mistake.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Plans without an error in their document, in the order of the file.
    pub plans: Vec<PlanDocument>,
    /// Plan permissions documents without an error, in the order of the file.
    pub permissions: Vec<PlanPermissions>,
    /// Deployment projects without an error in their document, in the order of the file.
    pub deployments: Vec<DeploymentDocument>,
    /// Deployment permissions documents without an error, in the order of the file.
    pub deployment_permissions: Vec<DeploymentPermissions>,
    /// Documents that were recognised but that this version does not act on.
    pub other_documents: Vec<OtherDocument>,
    /// Everything that was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Where things of the server are named, in the order of reading.
    pub mentions: Vec<Mention>,
    /// The texts that were read, for [`render_text`].
    pub sources: Sources,
}

impl Reading {
    /// The plan file that was read, as its reader called it.
    #[must_use]
    pub fn file(&self) -> &str {
        self.sources.first()
    }

    /// Whether some document was left out because of an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// A plan and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanDocument {
    /// The plan.
    pub configuration: PlanConfiguration,
    /// Where the `plan:` section starts.
    pub position: DocumentPosition,
}

/// A deployment project and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentDocument {
    /// The deployment project.
    pub configuration: DeploymentConfiguration,
    /// Where the `deployment:` section starts.
    pub position: DocumentPosition,
}

/// A document that is noted only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherDocument {
    /// What it is.
    pub kind: OtherKind,
    /// Where it starts.
    pub position: DocumentPosition,
}

/// The kinds of document that are noted only (bamboo-specs.md 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherKind {
    /// A document for another server: its `server-name` does not match ours.
    ForAnotherServer,
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPosition {
    /// The file, as the caller or an include named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// Reads the plan file `name` (for instance `bamboo-specs/bamboo.yml`) whose content is `text`.
///
/// `tree` gives the content of files that the text includes; their paths start with the folder of `name`.
/// Each `---` document is read for itself: a mistake in one does not take the others with it.
#[must_use]
pub fn read(name: &str, text: &str, tree: &dyn SourceTree, options: &Options<'_>) -> Reading {
    let mut report = report::Report::default();
    let documents = yaml::load(name, text, tree, options, &mut report);
    let mut reading = Reading::default();
    let stream = lower::document::stream(name, &documents);
    for document in documents {
        lower::document::lower(document, &stream, options, &mut report, &mut reading);
    }
    lower::reference::across(&mut report, &mut reading);
    reading.mentions = report.take_mentions();
    let (sources, diagnostics) = report.finish();
    reading.sources = sources;
    reading.diagnostics = diagnostics;
    reading
}

/// The page that describes every key of the language, in Markdown; `docs/language.md` is this.
#[must_use]
pub fn language_page() -> String {
    language::reference::page()
}

/// A JSON Schema of plan files, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    language::schema::schema()
}

/// Which of these file names, all from the folder `bamboo-specs`, is the plan file: `bamboo.yml` before
/// `bamboo.yaml` (bamboo-specs.md 1). With both, the second part is a warning.
#[must_use]
pub fn entry_file<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Option<(&'static str, Option<Diagnostic>)> {
    let (mut yml, mut yaml) = (false, false);
    for name in names {
        yml |= name == "bamboo.yml";
        yaml |= name == "bamboo.yaml";
    }
    match (yml, yaml) {
        (true, true) => Some(("bamboo.yml", Some(diagnostic::both_entry_files()))),
        (true, false) => Some(("bamboo.yml", None)),
        (false, true) => Some(("bamboo.yaml", None)),
        (false, false) => None,
    }
}
