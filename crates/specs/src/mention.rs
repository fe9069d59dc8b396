//! Places where a plan file names something of the server. Whether its repository may use that is for the server to
//! say, which then can point at the place.

use crate::diagnostic::{Diagnostic, Position, Severity};
use crate::report::shown;

/// A place where a plan file names something of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// What is named.
    pub kind: MentionKind,
    /// What the document is about: `plan PROJ-PLAN`.
    pub subject: Option<String>,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// The place just after the last character.
    pub end: Position,
}

/// What a plan file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MentionKind {
    /// The project that the plan is to be in.
    Project,
    /// The key of the plan.
    Plan,
    /// A repository, by the name that the plan has for it.
    Repository(String),
    /// A plan that is to be started.
    Child(String),
    /// Permissions that are to be set.
    Permissions,
    /// A variable, by name.
    Variable(String),
    /// A shared credential, by name.
    Credential(String),
    /// A user who is granted something, by name.
    User(String),
    /// A group that is granted something, by name.
    Group(String),
}

impl Mention {
    /// Whether its document is about the thing of this name; `kind` says what that is: `plan`, `permissions of plan`,
    /// `deployment project` or `permissions of deployment project`.
    #[must_use]
    pub fn is_about(&self, kind: &str, name: &str) -> bool {
        let subject = self.subject.as_deref().unwrap_or_default();
        let rest = subject.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' '));
        rest.is_some_and(|rest| rest == name || rest == shown(name))
    }

    /// The beginning of the plan file `file`, for what stands at no other place.
    #[must_use]
    pub fn beginning(kind: MentionKind, subject: Option<String>, file: String) -> Self {
        Self {
            kind,
            subject,
            file,
            line: 1,
            column: 1,
            end: Position { line: 1, column: 1 },
        }
    }

    /// A finding at this place. `code` has no `specs::` in front.
    #[must_use]
    pub fn finding(&self, severity: Severity, code: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code: format!("specs::{code}"),
            severity,
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            end: self.end,
            message: message.into(),
            expected: None,
            suggestion: None,
            note: None,
            subject: self.subject.clone(),
            documentation: None,
            related: None,
        }
    }
}
