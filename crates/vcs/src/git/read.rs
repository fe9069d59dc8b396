//! Cheap reading of repositories: a few `git cat-file --batch-command` processes are kept and shared.
//!
//! A process serves one repository, sees objects that arrive after its start, is replaced when it dies and ended when
//! idle. Nothing here follows replace refs, fetches missing objects or runs programs of the repository.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::name::ObjectId;
pub use crate::pool::PoolLimits;
use crate::process::{GitProgram, ProcessError};

mod browse;
mod browse_patch;
mod cat_file;
mod changes;
mod commit;
mod files;
mod history;
mod log;
pub mod refs;
mod tag;
mod tree;

pub use browse::{RefSummaries, RefSummary};
pub(crate) use browse_patch::parse as parse_patch;
pub use browse_patch::{FilePatch, Hunk, Patch, PatchBody, PatchLine};
use cat_file::Objects;
pub use changes::{ChangeKind, ChangedPath, ChangedPaths};
pub use commit::{Commit, Signature};
pub use files::{CommitFile, CommitFiles};
pub use history::Commits;
pub use log::{LogQuery, Merges};
pub use tag::Tag;
pub use tree::{EntryKind, TreeEntry};

/// Largest tree or commit that is read, in bytes.
const MAX_STRUCTURE_BYTES: u64 = 32 * 1024 * 1024;

/// Reads repositories. Clones share their processes.
#[derive(Clone, Debug)]
pub struct GitReader {
    objects: Objects,
}

/// What kind of object an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A folder.
    Tree,
    /// A file.
    Blob,
    /// An annotated tag.
    Tag,
}

/// An object, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a repository could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Git could not be started, or failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The kept process failed twice in a row.
    #[error("cannot read from {repository}: {source}")]
    Io {
        /// The git directory.
        repository: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The object is not in the repository.
    #[error("{object} is not in the repository: it may have been removed by a force push and a clean-up")]
    Missing {
        /// What was asked for.
        object: String,
    },
    /// The object is of another kind than asked for.
    #[error("{object} is not a {expected}")]
    WrongKind {
        /// What was asked for.
        object: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The object is larger than the caller takes.
    #[error("{object} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What was asked for.
        object: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The path cannot be asked for.
    #[error("a path with a line feed or a NUL cannot be read")]
    Path,
    /// The object or an answer of git is damaged.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// What was asked for.
        object: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl GitReader {
    /// A reader that starts its processes when needed.
    #[must_use]
    pub fn new(git: GitProgram, limits: PoolLimits) -> Self {
        Self {
            objects: Objects::new(git, limits),
        }
    }

    /// The program that this reader starts.
    #[must_use]
    pub fn git(&self) -> &GitProgram {
        self.objects.git()
    }

    /// The object with this id, if the repository has it.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn object(&self, repository: &Path, id: &ObjectId) -> Result<Option<ObjectInfo>, ReadError> {
        self.objects.info(repository, &id.to_string()).await
    }

    /// The commit that `id` is, or that the tag `id` points at.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is none.
    pub async fn peel_to_commit(&self, repository: &Path, id: &ObjectId) -> Result<ObjectId, ReadError> {
        let expression = format!("{id}^{{commit}}");
        match self.objects.info(repository, &expression).await? {
            Some(info) => Ok(info.id),
            None => Err(ReadError::Missing { object: expression }),
        }
    }

    /// The object that the tag `id` finally names; `id` itself for other objects. None if it is not there.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn peel(&self, repository: &Path, id: &ObjectId) -> Result<Option<ObjectId>, ReadError> {
        let found = self.objects.info(repository, &format!("{id}^{{}}")).await?;
        Ok(found.map(|info| info.id))
    }

    /// What is at `path` in the tree of `revision`; an empty path is the root.
    ///
    /// # Errors
    /// [`ReadError::Path`] for paths that git cannot be asked for.
    pub async fn object_at(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
    ) -> Result<Option<ObjectInfo>, ReadError> {
        if path.contains(['\n', '\0']) {
            return Err(ReadError::Path);
        }
        // Git gives `./` and `../` a meaning of its own; no tree has such names.
        if !path.is_empty() && path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Ok(None);
        }
        self.objects.info(repository, &format!("{revision}:{path}")).await
    }

    /// The content of the file at `path` in `revision`, of at most `limit` bytes. None if there is nothing.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`], [`ReadError::WrongKind`] for a folder.
    pub async fn file_at(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        match self.object_at(repository, revision, path).await? {
            None => Ok(None),
            Some(info) => self.blob(repository, &info.id, limit).await.map(Some),
        }
    }

    /// The content of a blob, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ReadError::Missing`], [`ReadError::TooLarge`], [`ReadError::WrongKind`].
    pub async fn blob(&self, repository: &Path, id: &ObjectId, limit: u64) -> Result<Vec<u8>, ReadError> {
        self.objects
            .contents(repository, id, ObjectKind::Blob, limit)
            .await
    }

    /// The entries of the tree `id`, or of the tree of the commit `id`, in git's order.
    ///
    /// # Errors
    /// [`ReadError::Missing`], [`ReadError::WrongKind`], [`ReadError::Damaged`].
    pub async fn tree(&self, repository: &Path, id: &ObjectId) -> Result<Vec<TreeEntry>, ReadError> {
        let expression = format!("{id}^{{tree}}");
        let Some(info) = self.objects.info(repository, &expression).await? else {
            return Err(ReadError::Missing { object: expression });
        };
        self.tree_entries(repository, &info.id).await
    }

    async fn tree_entries(&self, repository: &Path, id: &ObjectId) -> Result<Vec<TreeEntry>, ReadError> {
        let raw = self
            .objects
            .contents(repository, id, ObjectKind::Tree, MAX_STRUCTURE_BYTES)
            .await?;
        tree::parse(&raw, id)
    }

    /// The commit `id`.
    ///
    /// # Errors
    /// [`ReadError::Missing`], [`ReadError::WrongKind`], [`ReadError::Damaged`].
    pub async fn commit(&self, repository: &Path, id: &ObjectId) -> Result<Commit, ReadError> {
        let raw = self
            .objects
            .contents(repository, id, ObjectKind::Commit, MAX_STRUCTURE_BYTES)
            .await?;
        commit::parse(*id, &raw)
    }

    /// Processes alive now, idle or working.
    #[must_use]
    pub fn live_processes(&self) -> usize {
        self.objects.live()
    }
}
