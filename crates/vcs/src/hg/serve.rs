//! Serving hosted repositories to Mercurial clients: over a stream, as SSH gives it ([`stdio`]), and over HTTP
//! ([`http`]).
//!
//! A real hg speaks the protocol. Our extension in it asks this process twice for each transaction: before it becomes
//! visible, whether it may ([`PushKeeper::permit`]; a refusal undoes everything), and after it is on the disk, whether
//! it is recorded ([`PushKeeper::record`]). The client hears of success only after the second answer. A server that
//! dies in between finds the push by comparing [`super::read::Heads::refs`] with its ledger.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use super::name::LabelKind;
use crate::name::{ObjectId, RefName};
use crate::process::ProcessError;

pub mod http;
mod questions;
pub mod stdio;

/// Bytes moved at a time between client and process.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Clone and pull.
    Read,
    /// Push as well.
    Write,
}

/// What a push moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// Branches, bookmarks and tags that moved, by name. Several heads of a branch count as its tip-most one.
    pub moves: Vec<RefMove>,
    /// Names that moved but cannot be refs, with the reason; they are not built.
    pub refused: Vec<String>,
    /// The first and the last commit that arrived, in the order of arrival; none if only names moved.
    pub added: Option<(ObjectId, ObjectId)>,
    /// Who pushed, as the caller named them.
    pub pusher: Option<String>,
    /// What becomes of each branch and bookmark: for [`PushKeeper::permit`] alone.
    pub changes: Vec<LabelChange>,
}

/// What a push does to a named branch or a bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChange {
    /// Whether it is a branch or a bookmark.
    pub kind: LabelKind,
    /// The name as Mercurial knows it; what is not UTF-8 is replaced.
    pub label: String,
    /// What becomes of it.
    pub fate: LabelFate,
}

/// What becomes of a branch or a bookmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelFate {
    /// It was not there, or closed.
    Made,
    /// It goes on from where it was: a bookmark to a descendant, a branch without one more head.
    Forward,
    /// It goes elsewhere, or gets one more head.
    Rewritten,
    /// A bookmark is deleted, or the last open head of a branch closed.
    Removed,
}

/// One name that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMove {
    /// The ref (see [`super::name`]).
    pub name: RefName,
    /// Whether it is a branch, a bookmark or a tag.
    pub kind: LabelKind,
    /// The name as Mercurial knows it.
    pub label: String,
    /// Where it was; zero if it is new, or was a closed branch.
    pub old: ObjectId,
    /// Where it is now; zero if it is gone, or is a closed branch.
    pub new: ObjectId,
}

/// Judges pushes and makes them durable.
pub trait PushKeeper: Send + Sync + 'static {
    /// Says before anything is visible whether the push may be; the `Err` is what the user reads.
    fn permit(&self, push: PushReport) -> impl Future<Output = Result<(), String>> + Send;

    /// Hears that a client tried to push that may only read; it is refused in any case.
    fn denied(&self) -> impl Future<Output = ()> + Send;

    /// Makes the push durable and returns lines for the user. The push has happened: an `Err` only keeps the client
    /// from hearing of success.
    fn record(&self, push: PushReport) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

/// Bounds on serving.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// How long hg may work after the client has sent everything.
    pub finish_timeout: Duration,
    /// How long a client may take none of what it asked for.
    pub stall_timeout: Duration,
    /// Size of one file that hg writes, so of what one push sends, in bytes; none for no bound.
    pub max_push_bytes: Option<u64>,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            finish_timeout: Duration::from_secs(600),
            stall_timeout: Duration::from_secs(120),
            max_push_bytes: None,
        }
    }
}

/// Why a client could not be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Mercurial could not be started, or failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The process that answers could not be spoken to.
    #[error("the process that serves the repository broke off: {0}")]
    Io(#[from] std::io::Error),
    /// The request is not of the protocol.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The task that serves stopped, so a push may or may not be recorded: reconciliation finds out.
    #[error("the request was handed over but its end was lost")]
    Lost,
}
