//! The one door to what repositories hold, whatever system keeps it. Who asks here need not know which it is.
//!
//! Nothing here asks a remote host: a linked repository is read from our mirror.

mod browse;
mod names;

use std::collections::BTreeMap;
use std::path::Path;

use madake_domain::repository::Scm;
use madake_store::repository::Repository;
use madake_vcs::git::read::refs::{RefList, list_refs, read_ref};
use madake_vcs::git::read::{
    self, ChangeKind, ChangedPaths, CommitFile, CommitFiles, EntryKind, GitReader, Signature,
};
use madake_vcs::hg;
use madake_vcs::hg::read::HgReader;
use madake_vcs::name::{ObjectId, RefName};

pub use self::browse::RefSummary;
pub(crate) use self::browse::{git_failure, hg_failure};
pub use self::names::branches;
pub(crate) use self::names::{Named, branch_in, named, ref_of_tag, refs_of_branch, refs_of_name};
use crate::heads::{RefsRead, unreadable};
use crate::{Engine, EngineError};

/// The mode that a plain file has in payloads.
const FILE_MODE: u32 = 0o100_644;

/// A repository that is open for reading.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opened<'a> {
    Git { reader: &'a GitReader, path: &'a Path },
    Hg { reader: &'a HgReader, path: &'a Path },
}

/// A commit of either system.
#[derive(Debug, Clone)]
pub struct CommitRead {
    /// Its id.
    pub id: ObjectId,
    /// None in Mercurial.
    pub tree: Option<ObjectId>,
    /// Its parents, the first one first.
    pub parents: Vec<ObjectId>,
    /// Who wrote it, and when.
    pub author: Signature,
    /// In Mercurial the author again.
    pub committer: Signature,
    /// As stored.
    pub message: String,
    /// The number and the named branch of a commit of Mercurial.
    pub mercurial: Option<(i64, String)>,
}

/// A range of commits, the newest first.
#[derive(Debug, Default)]
pub struct CommitRange {
    /// The commits.
    pub commits: Vec<CommitRead>,
    /// Whether older ones were left out because of the limit.
    pub truncated: bool,
}

/// What tells one state of a folder from another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// The id of its tree.
    Tree(ObjectId),
    /// Its files: Mercurial has no ids of folders.
    Files(BTreeMap<String, String>),
}

impl Engine {
    /// Opens a repository for reading.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when there is nothing to read its system with.
    pub(crate) fn open_repository<'a>(&'a self, found: &'a Repository) -> Result<Opened<'a>, EngineError> {
        let path = Path::new(&found.path);
        Ok(match found.scm {
            Scm::Git => Opened::Git {
                reader: self.reader(),
                path,
            },
            Scm::Hg => Opened::Hg {
                reader: self.mercurial()?.reader(),
                path,
            },
        })
    }
}

impl Opened<'_> {
    /// All branches, bookmarks and tags.
    pub(crate) async fn refs(self) -> Result<RefsRead, EngineError> {
        Ok(match self {
            Self::Git { reader, path } => collect(
                Scm::Git,
                &list_refs(reader.git(), path).await.map_err(unreadable)?,
            ),
            Self::Hg { reader, path } => collect(Scm::Hg, &reader.all_refs(path).await.map_err(unreadable)?),
        })
    }

    /// Where refs are, by their full names; those that are not there, or cannot be read, are left out.
    pub(crate) async fn refs_named(self, names: &[String]) -> Result<BTreeMap<String, String>, EngineError> {
        match self {
            Self::Git { reader, path } => {
                let mut known = BTreeMap::new();
                for name in names {
                    let Ok(parsed) = RefName::parse(name) else {
                        continue;
                    };
                    if let Some(id) = read_ref(reader.git(), path, &parsed).await.map_err(unreadable)? {
                        known.insert(name.clone(), id.to_string());
                    }
                }
                Ok(known)
            }
            Self::Hg { .. } => {
                let mut all = self.refs().await?.refs;
                all.retain(|name, _| names.contains(name));
                Ok(all)
            }
        }
    }

    /// Where a branch is.
    pub(crate) async fn branch_head(self, branch: &str) -> Result<Option<String>, EngineError> {
        let names = refs_of_branch(self.scm(), branch);
        let known = self.refs_named(&names).await?;
        Ok(branch_in(self.scm(), &known, branch).cloned())
    }

    /// Where a named branch of Mercurial is that was closed, and so has no ref.
    pub(crate) async fn closed_branch(self, branch: &str) -> Result<Option<ObjectId>, EngineError> {
        match self {
            Self::Git { .. } => Ok(None),
            Self::Hg { reader, path } => {
                let heads = reader.heads(path).await.map_err(unreadable)?;
                Ok(heads.branch(branch).map(|one| one.id))
            }
        }
    }

    /// Whether the repository has the object.
    pub(crate) async fn exists(self, id: &ObjectId) -> Result<bool, EngineError> {
        match self {
            Self::Git { reader, path } => Ok(reader.object(path, id).await.map_err(unreadable)?.is_some()),
            Self::Hg { reader, path } => reader.exists(path, id).await.map_err(unreadable),
        }
    }

    /// The commit that `id` is, or that the tag `id` of Git points at; none if there is none.
    pub(crate) async fn commit_named(self, id: &ObjectId) -> Option<ObjectId> {
        match self {
            Self::Git { reader, path } => reader.peel_to_commit(path, id).await.ok(),
            Self::Hg { reader, path } => match reader.exists(path, id).await {
                Ok(true) => Some(*id),
                Ok(false) | Err(_) => None,
            },
        }
    }

    /// A commit.
    pub(crate) async fn commit(self, id: &ObjectId) -> Result<CommitRead, EngineError> {
        Ok(match self {
            Self::Git { reader, path } => reader.commit(path, id).await.map_err(unreadable)?.into(),
            Self::Hg { reader, path } => reader.commit(path, id).await.map_err(unreadable)?.into(),
        })
    }

    /// Whether `ancestor` is `descendant` or in its history.
    pub(crate) async fn is_ancestor(
        self,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, EngineError> {
        match self {
            Self::Git { reader, path } => reader
                .is_ancestor(path, ancestor, descendant)
                .await
                .map_err(unreadable),
            Self::Hg { reader, path } => reader
                .is_ancestor(path, ancestor, descendant)
                .await
                .map_err(unreadable),
        }
    }

    /// The commits that are in `new` but neither in `old` nor in any of `excluding`, at most `limit`.
    pub(crate) async fn commits_between(
        self,
        old: Option<&ObjectId>,
        new: &ObjectId,
        excluding: &[ObjectId],
        limit: usize,
    ) -> Result<CommitRange, EngineError> {
        Ok(match self {
            Self::Git { reader, path } => {
                let range = reader.commits_between(path, old, new, excluding, limit).await;
                let range = range.map_err(unreadable)?;
                CommitRange {
                    commits: range.commits.into_iter().map(CommitRead::from).collect(),
                    truncated: range.truncated,
                }
            }
            Self::Hg { reader, path } => {
                let range = reader.commits_between(path, old, new, excluding, limit).await;
                let range = range.map_err(unreadable)?;
                CommitRange {
                    commits: range.commits.into_iter().map(CommitRead::from).collect(),
                    truncated: range.truncated,
                }
            }
        })
    }

    /// The paths that differ between `old` (none for an empty tree) and `new`, at most `limit`.
    pub(crate) async fn changed_paths(
        self,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<ChangedPaths, EngineError> {
        match self {
            Self::Git { reader, path } => reader
                .changed_paths(path, old, new, limit)
                .await
                .map_err(unreadable),
            Self::Hg { reader, path } => reader
                .changed_paths(path, old, new, limit)
                .await
                .map_err(unreadable),
        }
    }

    /// What each of these commits changed against its first parent, in the order asked, at most `limit` paths each.
    /// Mercurial tells neither ids of contents nor renames.
    pub(crate) async fn commit_files(
        self,
        commits: &[(ObjectId, Option<ObjectId>)],
        limit: usize,
    ) -> Result<Vec<CommitFiles>, EngineError> {
        match self {
            Self::Git { reader, path } => reader
                .commit_files(path, commits, limit)
                .await
                .map_err(unreadable),
            Self::Hg { reader, path } => {
                let mut all = Vec::with_capacity(commits.len());
                for (commit, parent) in commits {
                    let changed = reader.changed_paths(path, parent.as_ref(), commit, limit).await;
                    all.push(as_commit_files(changed.map_err(unreadable)?));
                }
                Ok(all)
            }
        }
    }

    /// The state of a folder in a commit; none if the commit has no such folder. Of the files only those count that
    /// `wanted` accepts, of at most `file_limit` bytes each, and no more than `files_limit`; Git compares all of them.
    pub(crate) async fn folder_state(
        self,
        commit: &ObjectId,
        folder: &FolderRequest<'_>,
    ) -> Result<Option<FolderState>, EngineError> {
        match self {
            Self::Git { reader, path } => {
                let found = reader.object_at(path, commit, folder.path).await;
                Ok(found.map_err(unreadable)?.map(|info| FolderState::Tree(info.id)))
            }
            Self::Hg { reader, path } => {
                let files = hg_files(reader, path, commit, folder).await?;
                Ok((!files.is_empty()).then_some(FolderState::Files(files)))
            }
        }
    }

    /// The text of the files below a folder whose state is known, by their full paths.
    pub(crate) async fn folder_files(
        self,
        state: FolderState,
        folder: &FolderRequest<'_>,
    ) -> Result<BTreeMap<String, String>, EngineError> {
        match (self, state) {
            (Self::Git { reader, path }, FolderState::Tree(tree)) => {
                git_files(reader, path, tree, folder).await
            }
            (_, FolderState::Files(files)) => Ok(files),
            (Self::Hg { .. }, FolderState::Tree(_)) => {
                Err(EngineError::Internal("Mercurial has no trees".into()))
            }
        }
    }

    fn scm(self) -> Scm {
        match self {
            Self::Git { .. } => Scm::Git,
            Self::Hg { .. } => Scm::Hg,
        }
    }
}

/// Which files of a folder are asked for.
#[derive(Clone, Copy)]
pub(crate) struct FolderRequest<'a> {
    /// The folder's path from the root.
    pub(crate) path: &'a str,
    /// Which files count, by their full paths.
    pub(crate) wanted: fn(&str) -> bool,
    /// Larger files are left out; in bytes.
    pub(crate) file_limit: u64,
    /// The most files.
    pub(crate) files_limit: usize,
}

async fn git_files(
    reader: &GitReader,
    path: &Path,
    tree: ObjectId,
    folder: &FolderRequest<'_>,
) -> Result<BTreeMap<String, String>, EngineError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(folder.path.to_owned(), tree)];
    while let Some((name, id)) = folders.pop() {
        for entry in reader.tree(path, &id).await.map_err(unreadable)? {
            let entry_name = format!("{name}/{}", entry.name_text());
            match entry.kind {
                EntryKind::Folder => folders.push((entry_name, entry.id)),
                EntryKind::File | EntryKind::Executable if (folder.wanted)(&entry_name) => {
                    if files.len() == folder.files_limit {
                        return Ok(files);
                    }
                    let text = match reader.blob(path, &entry.id, folder.file_limit).await {
                        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                        Err(read::ReadError::TooLarge { .. }) => continue,
                        Err(error) => return Err(unreadable(error)),
                    };
                    files.insert(entry_name, text);
                }
                _ => {}
            }
        }
    }
    Ok(files)
}

async fn hg_files(
    reader: &HgReader,
    path: &Path,
    commit: &ObjectId,
    folder: &FolderRequest<'_>,
) -> Result<BTreeMap<String, String>, EngineError> {
    let listed = reader.files_below(path, commit, folder.path).await;
    let wanted: Vec<String> = listed
        .map_err(unreadable)?
        .into_iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
        .filter(|entry| entry.size <= folder.file_limit && (folder.wanted)(&entry.path))
        .map(|entry| entry.path)
        .take(folder.files_limit)
        .collect();
    let texts = reader.files_at(path, commit, &wanted).await.map_err(unreadable)?;
    let as_text = |(name, bytes): (String, Vec<u8>)| (name, String::from_utf8_lossy(&bytes).into_owned());
    Ok(texts.into_iter().map(as_text).collect())
}

fn as_commit_files(changed: ChangedPaths) -> CommitFiles {
    let files = changed.paths.into_iter().map(|changed| {
        let (status, old_mode, new_mode) = match changed.kind {
            ChangeKind::Added => ('A', 0, FILE_MODE),
            ChangeKind::Modified => ('M', FILE_MODE, FILE_MODE),
            ChangeKind::Deleted => ('D', FILE_MODE, 0),
        };
        CommitFile {
            status,
            path: changed.path,
            source: None,
            old_mode,
            new_mode,
            old_id: None,
            new_id: None,
            similarity: None,
        }
    });
    CommitFiles {
        files: files.collect(),
        truncated: changed.truncated,
    }
}

/// A list of refs as plans and the ledger have it: tags of Git count as what they lead to.
pub(crate) fn collect(scm: Scm, list: &RefList) -> RefsRead {
    let refs = list
        .refs
        .iter()
        .map(|one| (one.name.to_string(), one.peeled.unwrap_or(one.id).to_string()))
        .collect();
    RefsRead {
        scm,
        refs,
        complete: !list.truncated,
    }
}

impl From<read::Commit> for CommitRead {
    fn from(commit: read::Commit) -> Self {
        Self {
            id: commit.id,
            tree: Some(commit.tree),
            parents: commit.parents,
            author: commit.author,
            committer: commit.committer,
            message: commit.message,
            mercurial: None,
        }
    }
}

impl From<hg::read::Commit> for CommitRead {
    fn from(commit: hg::read::Commit) -> Self {
        Self {
            id: commit.id,
            tree: None,
            parents: commit.parents,
            committer: commit.author.clone(),
            author: commit.author,
            message: commit.message,
            mercurial: Some((i64::try_from(commit.revision).unwrap_or(i64::MAX), commit.branch)),
        }
    }
}
