//! Why a delivery could not be read as a push.

use std::fmt;

use crate::json::JsonError;
use crate::object_id::ObjectIdProblem;

/// Where in a payload something is, such as `refChanges[3].toHash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    list: Option<(&'static str, usize)>,
    field: &'static str,
}

impl Place {
    pub(crate) const fn field(field: &'static str) -> Self {
        Self { list: None, field }
    }

    pub(crate) const fn entry(list: &'static str, index: usize, field: &'static str) -> Self {
        Self {
            list: Some((list, index)),
            field,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            Some((list, index)) => write!(formatter, "{list}[{index}].{}", self.field),
            None => formatter.write_str(self.field),
        }
    }
}

/// Why a delivery is not a push that can be read. No variant repeats more than a few inert words of the
/// sender's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The body is not an acceptable JSON document.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The body is a form, but not an acceptable one.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A sound request that is no push of a supported sender.
    #[error(transparent)]
    NotAPush(#[from] NotAPush),
    /// A needed field is absent or null.
    #[error("payload has no {0}")]
    Missing(Place),
    /// A field is of another type than the format says.
    #[error("payload has a {place} that is not {expected}")]
    WrongType {
        /// Where.
        place: Place,
        /// What belongs there, with its article.
        expected: &'static str,
    },
    /// A name is empty, too long, or has control characters (NUL among them).
    #[error("payload has a {place} that is empty, longer than {limit} bytes, or has control characters")]
    Identifier {
        /// Where.
        place: Place,
        /// Longest accepted length in bytes.
        limit: usize,
    },
    /// A ref name is empty, too long, or has a NUL.
    #[error("payload has a ref name in {place} that is empty, longer than {limit} bytes, or has a nul byte")]
    RefText {
        /// Where.
        place: Place,
        /// Longest accepted length in bytes.
        limit: usize,
    },
    /// Not a full object id.
    #[error("payload has an object id in {place} that {problem}")]
    ObjectId {
        /// Where.
        place: Place,
        /// Which rule is broken.
        problem: ObjectIdProblem,
    },
    /// Two fields say different things.
    #[error("payload contradicts itself in {place}: {detail}")]
    Contradiction {
        /// Where.
        place: Place,
        /// What does not fit.
        detail: &'static str,
    },
}

impl PushError {
    /// Whether the delivery was refused for its length alone (HTTP status 413 and not 400).
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Json(JsonError::TooLarge { .. }))
    }
}

/// What is wrong with a form body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// No field `payload`.
    #[error("form body has no field payload")]
    NoPayload,
    /// The field `payload` more than once.
    #[error("form body has the field payload more than once")]
    SeveralPayloads,
    /// `%` without two hexadecimal digits.
    #[error("form body has a percent sign without two hexadecimal digits")]
    Encoding,
}

/// Why a sound request is no push of a supported sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAPush {
    /// A connection test: `ping` of GitHub, `diagnostics:ping` of Bitbucket Data Center, which is never signed.
    #[error("delivery is a connection test, no push")]
    Ping,
    /// An event that moves no ref, by the name that its sender gives it, made inert and cut.
    #[error("delivery is the event \"{0}\", no push")]
    OtherEvent(String),
    /// A sender that is recognised, but whose payloads are not read.
    #[error("delivery is of {0}, whose payloads are not supported here")]
    UnsupportedSender(&'static str),
    /// Header and body belong to different formats, or a header is given twice with different values.
    #[error("delivery has the event header \"{0}\", which does not fit its body or another header")]
    HeaderMismatch(String),
    /// Nothing in headers or body tells the sender.
    #[error(
        "delivery is of no known sender: it has no event header of GitHub, GitLab, Gitea, Forgejo or Gogs, no refChanges, \
         no canon_url with commits, no push.changes, no changes with a repository, and no repository by its address"
    )]
    UnknownShape,
}
