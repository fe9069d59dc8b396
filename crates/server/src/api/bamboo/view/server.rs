//! The queue, the caller, and the server about itself.

use madake_domain::key::{JobResultKey, ResultKey};

use super::{ChangeView, Reason, Slice};

/// What waits in the queue: an answer to queueing names a plan's result, the queue lists jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueuedKey {
    /// A plan's result.
    Plan(ResultKey),
    /// A job's result.
    Job(JobResultKey),
}

/// A queued build (bamboo-rest.md 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedBuildView {
    /// What is queued.
    pub key: QueuedKey,
    /// Why.
    pub reason: Reason,
    /// Commits that it brings.
    pub changes: Slice<ChangeView>,
}

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Login name.
    pub name: String,
    /// Name for readers.
    pub full_name: String,
    /// E-mail address, when known.
    pub email: Option<String>,
}

/// The server about itself (bamboo-rest.md 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Version of Bamboo that clients should take this server for.
    pub version: String,
    /// Number of the build of that version; digits.
    pub build_number: String,
    /// When this server was built.
    pub build_date_ms: i64,
    /// State.
    pub state: ServerState,
    /// Whether an index is being rebuilt.
    pub reindex_in_progress: bool,
    /// Whether an index waits to be rebuilt.
    pub reindex_pending: bool,
    /// Login name of the user who paused or resumed the server.
    pub set_by_user: Option<String>,
}

/// State of the server (bamboo-rest.md 1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Starts.
    Starting,
    /// Works.
    Running,
    /// Lets running builds end before it pauses.
    Pausing,
    /// Starts no builds.
    Paused,
    /// Lets running builds end before a restart.
    PreparingForRestart,
    /// Waits to be restarted.
    ReadyForRestart,
}

impl ServerState {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Pausing => "PAUSING",
            Self::Paused => "PAUSED",
            Self::PreparingForRestart => "PREPARING_FOR_RESTART",
            Self::ReadyForRestart => "READY_FOR_RESTART",
        }
    }

    /// The name of the matching state of a cluster, which knows fewer.
    #[must_use]
    pub fn cluster_state(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Pausing | Self::PreparingForRestart => "PAUSING",
            Self::Paused | Self::ReadyForRestart => "PAUSED",
        }
    }
}
