//! What people look up, in either system: histories, differences, what refs lead to.

use madake_domain::repository::Scm;
use madake_vcs::git::read::{LogQuery, Patch, ReadError};
use madake_vcs::hg;
use madake_vcs::name::{ObjectId, RefKind};

use super::{CommitRange, CommitRead, Named, Opened, named};
use crate::EngineError;
use crate::heads::unreadable;

/// A branch, a bookmark or a tag with what a list shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefSummary {
    /// The short name, as the system knows it.
    pub name: String,
    /// The full name.
    pub full_name: String,
    /// Whether it is a bookmark of Mercurial.
    pub is_bookmark: bool,
    /// What it finally names; not always a commit.
    pub target: ObjectId,
    /// When the commit or the annotated tag was made, in milliseconds since 1970; 0 where that is not told.
    pub time_ms: i64,
    /// The first line of the commit or of the annotated tag, as stored.
    pub subject: String,
}

impl Opened<'_> {
    /// The commit whose id begins with these digits, of which there must be four at least.
    pub(crate) async fn commit_by_digits(self, digits: &str) -> Result<Option<ObjectId>, EngineError> {
        match self {
            Self::Git { reader, path } => reader.commit_by_digits(path, digits).await.map_err(unreadable),
            Self::Hg { reader, path } => reader.commit_by_digits(path, digits).await.map_err(unreadable),
        }
    }

    /// Commits of a history, the newest first.
    pub(crate) async fn log(self, query: &LogQuery<'_>) -> Result<CommitRange, EngineError> {
        Ok(match self {
            Self::Git { reader, path } => {
                let found = reader.log(path, query).await.map_err(git_failure)?;
                CommitRange {
                    commits: found.commits.into_iter().map(CommitRead::from).collect(),
                    truncated: found.truncated,
                }
            }
            Self::Hg { reader, path } => {
                let found = reader.history(path, query).await.map_err(hg_failure)?;
                CommitRange {
                    commits: found.commits.into_iter().map(CommitRead::from).collect(),
                    truncated: found.truncated,
                }
            }
        })
    }

    /// Those of these commits that are there, in the order asked; each id is asked for once.
    pub(crate) async fn commits(self, ids: &[ObjectId]) -> Result<Vec<CommitRead>, EngineError> {
        match self {
            Self::Git { reader, path } => {
                let mut commits = Vec::with_capacity(ids.len());
                for id in ids {
                    match reader.commit(path, id).await {
                        Ok(commit) => commits.push(commit.into()),
                        Err(ReadError::Missing { .. } | ReadError::WrongKind { .. }) => {}
                        Err(error) => return Err(unreadable(error)),
                    }
                }
                Ok(commits)
            }
            Self::Hg { reader, path } => {
                let commits = reader.commits(path, ids).await.map_err(unreadable)?;
                Ok(commits.into_iter().map(CommitRead::from).collect())
            }
        }
    }

    /// The newest commit that both have in their histories.
    pub(crate) async fn merge_base(
        self,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, EngineError> {
        match self {
            Self::Git { reader, path } => reader.merge_base(path, one, other).await.map_err(git_failure),
            Self::Hg { reader, path } => reader.merge_base(path, one, other).await.map_err(hg_failure),
        }
    }

    /// What differs between `old` (none for an empty tree) and `new`, of about `limit` bytes.
    pub(crate) async fn patch(
        self,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<Patch, EngineError> {
        match self {
            Self::Git { reader, path } => reader.patch(path, old, new, limit).await.map_err(git_failure),
            Self::Hg { reader, path } => reader.patch(path, old, new, limit).await.map_err(hg_failure),
        }
    }

    /// The branches and bookmarks, or the tags, at most `limit`, the newest first; and whether there are more.
    pub(crate) async fn ref_summaries(
        self,
        tags: bool,
        limit: usize,
    ) -> Result<(Vec<RefSummary>, bool), EngineError> {
        let (reader, path) = match self {
            Self::Git { reader, path } => {
                let kind = if tags { RefKind::Tag } else { RefKind::Branch };
                let found = reader
                    .ref_summaries(path, kind, limit)
                    .await
                    .map_err(git_failure)?;
                let refs = found.refs.into_iter().map(|one| RefSummary {
                    name: one.name.short().to_owned(),
                    full_name: one.name.to_string(),
                    is_bookmark: false,
                    target: one.target,
                    time_ms: one.time_ms,
                    subject: one.subject,
                });
                return Ok((refs.collect(), found.truncated));
            }
            Self::Hg { reader, path } => (reader, path),
        };
        let mut refs: Vec<RefSummary> = Vec::new();
        for one in reader.all_refs(path).await.map_err(unreadable)?.refs {
            let full_name = one.name.to_string();
            let (name, is_bookmark) = match named(Scm::Hg, &full_name) {
                Named::Branch(name) if !tags => (name, false),
                Named::Bookmark(name) if !tags => (name, true),
                Named::Tag(name) if tags => (name, false),
                _ => continue,
            };
            refs.push(RefSummary {
                name,
                full_name,
                is_bookmark,
                target: one.id,
                time_ms: 0,
                subject: String::new(),
            });
        }
        let mut ids: Vec<ObjectId> = refs.iter().map(|one| one.target).collect();
        ids.sort();
        ids.dedup();
        let commits = reader.commits(path, &ids).await.map_err(unreadable)?;
        let commits: std::collections::BTreeMap<ObjectId, &hg::read::Commit> =
            commits.iter().map(|commit| (commit.id, commit)).collect();
        refs.sort_by_key(|one| std::cmp::Reverse(commits.get(&one.target).map(|commit| commit.revision)));
        let truncated = refs.len() > limit;
        refs.truncate(limit);
        for one in &mut refs {
            if let Some(commit) = commits.get(&one.target) {
                one.time_ms = commit.author.time_ms;
                commit
                    .message
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .clone_into(&mut one.subject);
            }
        }
        Ok((refs, truncated))
    }
}

/// What a caller can act on: something is not there, or cannot be asked for.
pub(crate) fn git_failure(error: ReadError) -> EngineError {
    match error {
        ReadError::Missing { .. } | ReadError::WrongKind { .. } => EngineError::NotFound(error.to_string()),
        ReadError::Path => EngineError::Invalid(format!("path: {error}")),
        ReadError::TooLarge { .. } => {
            EngineError::Invalid(format!("{error}: clone the repository to get it"))
        }
        other => unreadable(other),
    }
}

/// The same of Mercurial.
pub(crate) fn hg_failure(error: hg::read::ReadError) -> EngineError {
    use hg::read::ReadError as Failure;
    match error {
        Failure::Missing(_) | Failure::WrongKind(_) => EngineError::NotFound(error.to_string()),
        Failure::Path => EngineError::Invalid(format!("path: {error}")),
        Failure::TooLarge { .. } => EngineError::Invalid(format!("{error}: clone the repository to get it")),
        other => unreadable(other),
    }
}
