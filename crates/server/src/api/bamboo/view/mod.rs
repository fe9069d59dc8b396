//! What the renderers need to know, and nothing more. Handlers fill these from the store.
//!
//! Times are milliseconds since 1970. Texts are as users wrote them; renderers escape what needs escaping.
//! A nested collection is a [`Slice`]: its size is always known, its items only when somebody asked for them.

mod part;
mod plan;
mod result;
mod server;

pub use super::reason::{Reason, UserRef};
pub use part::*;
pub use plan::*;
pub use result::*;
pub use server::*;

/// A window of a collection: how many items there are, and those that were loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    /// Number of items of the whole collection.
    pub total: usize,
    /// Index of the first loaded item.
    pub start: usize,
    /// The loaded items, without gaps.
    pub items: Vec<T>,
}

impl<T> Slice<T> {
    /// A collection of which only the size is known; enough for what is not expanded.
    #[must_use]
    pub fn counted(total: usize) -> Self {
        Self {
            total,
            start: 0,
            items: Vec::new(),
        }
    }
}

impl<T> From<Vec<T>> for Slice<T> {
    /// A collection that is loaded as a whole.
    fn from(items: Vec<T>) -> Self {
        Self {
            total: items.len(),
            start: 0,
            items,
        }
    }
}

impl<T> Default for Slice<T> {
    fn default() -> Self {
        Self::counted(0)
    }
}

/// State of a build, a stage or a job (bamboo-rest.md 1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not yet queued.
    Pending,
    /// Waits for an agent.
    Queued,
    /// Runs.
    InProgress,
    /// Done, all green; a manual stage may still wait.
    Successful,
    /// Done, something failed.
    Failed,
    /// Stopped, or never able to start.
    NotBuilt,
    /// Waits for somebody to start its first stage, which is manual: as far as it may go, without a verdict.
    Untouched,
}

impl Status {
    /// `lifeCycleState`
    #[must_use]
    pub fn life_cycle(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::InProgress => "InProgress",
            Self::Successful | Self::Failed | Self::Untouched => "Finished",
            Self::NotBuilt => "NotBuilt",
        }
    }

    /// `state` and `buildState`
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            _ => "Unknown",
        }
    }

    /// Whether it ran to its end, or as far as it may.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Untouched)
    }

    /// Whether it has yet to start.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Queued)
    }

    /// Whether failed or missing jobs can be run again under the same number.
    #[must_use]
    pub fn is_restartable(self) -> bool {
        matches!(self, Self::Failed | Self::NotBuilt)
    }
}
