//! What pages show of a repository beside its files: histories, differences, branches and tags.

use madake_vcs::git::read::{LogQuery, Patch};
use madake_vcs::name::ObjectId;

use super::read_repository::{ReadableRepository, WantedLog};
use crate::EngineError;
use crate::reading::{CommitRange, CommitRead, RefSummary};

impl ReadableRepository {
    /// Whether nothing was pushed yet.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn is_empty(&self) -> Result<bool, EngineError> {
        Ok(self.opened()?.refs().await?.refs.is_empty())
    }

    /// Commits of the history of `until`, the newest first.
    ///
    /// # Errors
    /// When the repository cannot be read, or that takes longer than 20 seconds.
    pub async fn history(&self, until: &ObjectId, wanted: &WantedLog) -> Result<CommitRange, EngineError> {
        let query = LogQuery {
            until: *until,
            since: wanted.since,
            path: wanted.path.as_deref(),
            follow_renames: wanted.follow_renames,
            merges: wanted.merges,
            skip: wanted.skip,
            limit: wanted.limit,
        };
        self.opened()?.log(&query).await
    }

    /// A commit.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where it is not there.
    pub async fn one_commit(&self, id: &ObjectId) -> Result<CommitRead, EngineError> {
        self.read_commit(id).await
    }

    /// The commits that are in `new` but in none of `excluding`, at most `limit`.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn commits_without(
        &self,
        new: &ObjectId,
        excluding: &[ObjectId],
        limit: usize,
    ) -> Result<CommitRange, EngineError> {
        self.opened()?.commits_between(None, new, excluding, limit).await
    }

    /// The newest commit that both have in their histories.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn merge_base(
        &self,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, EngineError> {
        self.opened()?.merge_base(one, other).await
    }

    /// What differs between `old` (none for an empty tree) and `new`, of about `limit` bytes.
    ///
    /// # Errors
    /// When the repository cannot be read, or that takes longer than 20 seconds.
    pub async fn patch(
        &self,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<Patch, EngineError> {
        self.opened()?.patch(old, new, limit).await
    }

    /// The branches and bookmarks, or the tags, at most `limit`, the newest first; and whether there are more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn ref_summaries(
        &self,
        tags: bool,
        limit: usize,
    ) -> Result<(Vec<RefSummary>, bool), EngineError> {
        self.opened()?.ref_summaries(tags, limit).await
    }
}
