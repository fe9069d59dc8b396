//! Ranges of commits. Short straight ranges, which nearly all pushes are, are walked without starting a process.

use std::path::Path;

use super::{Commit, GitReader, ReadError};
use crate::name::ObjectId;

/// Longest straight range that is walked commit by commit.
const WALK_LIMIT: usize = 32;

/// A range of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// The newest first.
    pub commits: Vec<Commit>,
    /// Whether older ones were left out because of the limit.
    pub truncated: bool,
}

impl GitReader {
    /// The commits that are in `new` but neither in `old` nor in any of `excluding`: at most `limit`, newest first.
    ///
    /// Tags are followed to their commits. For a new branch give no `old` and the other refs as `excluding`
    /// (push-payloads.md G.2: every ref of the push itself must not be among them).
    ///
    /// # Errors
    /// [`ReadError::Missing`] if `new` or `old` is not in the repository.
    pub async fn commits_between(
        &self,
        repository: &Path,
        old: Option<&ObjectId>,
        new: &ObjectId,
        excluding: &[ObjectId],
        limit: usize,
    ) -> Result<Commits, ReadError> {
        let new = self.peel_to_commit(repository, new).await?;
        let old = match old {
            Some(old) => Some(self.peel_to_commit(repository, old).await?),
            None => None,
        };
        if let (Some(old), []) = (&old, excluding)
            && let Some(mut commits) = self.straight_walk(repository, old, &new).await?
        {
            let truncated = commits.len() > limit;
            commits.truncate(limit);
            return Ok(Commits { commits, truncated });
        }
        let mut input = format!("{new}\n");
        for id in old.iter().chain(excluding) {
            input.push_str(&format!("^{id}\n"));
        }
        let output = self
            .git()
            .command("rev-list")
            .repository(repository)
            .arg(format!("--max-count={}", limit.saturating_add(1)))
            .args(["--ignore-missing", "--stdin"])
            .input(input.into_bytes())
            .run()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ids: Vec<ObjectId> = text
            .lines()
            .filter_map(|line| ObjectId::parse(line).ok())
            .collect();
        let mut commits = Vec::with_capacity(ids.len().min(limit));
        for id in ids.iter().take(limit) {
            commits.push(self.commit(repository, id).await?);
        }
        Ok(Commits {
            commits,
            truncated: ids.len() > limit,
        })
    }

    /// Whether `ancestor` is `descendant` or in its history. If not, a move from one to the other was forced.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository.
    pub async fn is_ancestor(
        &self,
        repository: &Path,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, ReadError> {
        let ancestor = self.peel_to_commit(repository, ancestor).await?;
        let descendant = self.peel_to_commit(repository, descendant).await?;
        if self
            .straight_walk(repository, &ancestor, &descendant)
            .await?
            .is_some()
        {
            return Ok(true);
        }
        let command = self
            .git()
            .command("merge-base")
            .repository(repository)
            .arg("--is-ancestor");
        let unchecked = command
            .args([ancestor.to_string(), descendant.to_string()])
            .run_unchecked()
            .await?;
        match unchecked.into_successful() {
            Ok(_) => Ok(true),
            Err(crate::process::ProcessError::Failed { code: Some(1), .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The commits from `new` back to `old` if each has exactly one parent; then they are the whole range.
    async fn straight_walk(
        &self,
        repository: &Path,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<Option<Vec<Commit>>, ReadError> {
        let mut commits = Vec::new();
        let mut at = *new;
        while at != *old {
            if commits.len() == WALK_LIMIT {
                return Ok(None);
            }
            let commit = self.commit(repository, &at).await?;
            let [parent] = commit.parents[..] else {
                return Ok(None);
            };
            commits.push(commit);
            at = parent;
        }
        Ok(Some(commits))
    }
}
