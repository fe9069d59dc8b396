//! Folders and files of a repository that somebody may read, whatever system keeps them.

use madake_vcs::git::read::{EntryKind, ObjectKind, ReadError};
use madake_vcs::hg;
use madake_vcs::name::ObjectId;

use super::read_repository::ReadableRepository;
use crate::EngineError;
use crate::heads::unreadable;
use crate::reading::{Opened, git_failure, hg_failure};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtPath {
    /// A file.
    File(FileAt),
    /// A folder.
    Folder(FolderAt),
    /// A commit of another repository.
    Submodule,
}

/// A file of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAt {
    /// Its size in bytes.
    pub size: u64,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Blob(ObjectId),
    Of { revision: ObjectId, path: String },
}

/// A folder of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderAt(Inside);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Tree(ObjectId),
    Listed {
        revision: ObjectId,
        path: String,
        entries: Vec<Entry>,
    },
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, as bytes: no system asks for UTF-8.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The id of its content; none for a folder of Mercurial.
    pub id: Option<ObjectId>,
}

impl Entry {
    /// The name for people and filters: what is not UTF-8 is replaced.
    #[must_use]
    pub fn name_text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Whether it has content of its own, and so a size.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(
            self.kind,
            EntryKind::File | EntryKind::Executable | EntryKind::Symlink
        )
    }
}

impl ReadableRepository {
    /// What is at `path` in a commit; an empty path is the root.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a path that cannot be asked for.
    pub async fn at(&self, revision: &ObjectId, path: &str) -> Result<Option<AtPath>, EngineError> {
        let (reader, repository) = match self.opened()? {
            Opened::Git { reader, path } => (reader, path),
            Opened::Hg {
                reader,
                path: repository,
            } => {
                let found = reader.at(repository, revision, path).await.map_err(hg_failure)?;
                return Ok(found.map(|found| of_mercurial(*revision, path, found)));
            }
        };
        let found = reader
            .object_at(repository, revision, path)
            .await
            .map_err(git_failure)?;
        let Some(found) = found else {
            return self.submodule_at(revision, path).await;
        };
        Ok(Some(match found.kind {
            ObjectKind::Blob => AtPath::File(FileAt {
                size: found.size,
                content: Content::Blob(found.id),
            }),
            ObjectKind::Tree => AtPath::Folder(FolderAt(Inside::Tree(found.id))),
            ObjectKind::Commit | ObjectKind::Tag => AtPath::Submodule,
        }))
    }

    /// The entries of a folder, in the order of the system.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn folder(&self, folder: &FolderAt) -> Result<Vec<Entry>, EngineError> {
        match (self.opened()?, &folder.0) {
            (Opened::Git { reader, path }, Inside::Tree(tree)) => {
                let entries = reader.tree(path, tree).await.map_err(unreadable)?;
                let entries = entries.into_iter().map(|entry| Entry {
                    name: entry.name,
                    kind: entry.kind,
                    id: Some(entry.id),
                });
                Ok(entries.collect())
            }
            (_, Inside::Listed { entries, .. }) => Ok(entries.clone()),
            (Opened::Hg { .. }, Inside::Tree(_)) => Err(other_system()),
        }
    }

    /// How many bytes these entries of a folder have, in their order; none for what is no file.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn sizes(&self, folder: &FolderAt, entries: &[Entry]) -> Result<Vec<Option<u64>>, EngineError> {
        match (self.opened()?, &folder.0) {
            (Opened::Git { reader, path }, _) => {
                let mut sizes = Vec::with_capacity(entries.len());
                for entry in entries {
                    let found = match entry.id.filter(|_| entry.is_file()) {
                        Some(id) => reader.object(path, &id).await.map_err(unreadable)?,
                        None => None,
                    };
                    sizes.push(
                        found
                            .filter(|one| one.kind == ObjectKind::Blob)
                            .map(|one| one.size),
                    );
                }
                Ok(sizes)
            }
            (
                Opened::Hg {
                    reader,
                    path: repository,
                },
                Inside::Listed { revision, path, .. },
            ) => {
                let prefix = if path.is_empty() {
                    String::new()
                } else {
                    format!("{path}/")
                };
                let files = entries.iter().filter(|entry| entry.is_file());
                let paths: Vec<Vec<u8>> = files
                    .map(|entry| [prefix.as_bytes(), entry.name.as_slice()].concat())
                    .collect();
                let known = reader
                    .sizes(repository, revision, &paths)
                    .await
                    .map_err(unreadable)?;
                let mut known = known.into_iter();
                Ok(entries
                    .iter()
                    .map(|entry| entry.is_file().then(|| known.next()).flatten())
                    .collect())
            }
            (Opened::Hg { .. }, Inside::Tree(_)) => Err(other_system()),
        }
    }

    /// The paths of all files below a folder, relative to it.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn files_below(&self, folder: &FolderAt) -> Result<Vec<String>, EngineError> {
        match (self.opened()?, &folder.0) {
            (Opened::Git { reader, path }, Inside::Tree(tree)) => {
                reader.files_below(path, tree).await.map_err(unreadable)
            }
            (
                Opened::Hg {
                    reader,
                    path: repository,
                },
                Inside::Listed { revision, path, .. },
            ) => reader
                .names_below(repository, revision, path)
                .await
                .map_err(hg_failure),
            _ => Err(other_system()),
        }
    }

    /// The content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a larger one.
    pub async fn content(&self, file: &FileAt, limit: u64) -> Result<Vec<u8>, EngineError> {
        match (self.opened()?, &file.content) {
            (Opened::Git { reader, path }, Content::Blob(blob)) => {
                reader.blob(path, blob, limit).await.map_err(git_failure)
            }
            (
                Opened::Hg {
                    reader,
                    path: repository,
                },
                Content::Of { revision, path },
            ) => {
                let found = reader.file_at(repository, revision, path, limit).await;
                let missing = || EngineError::NotFound("the file is not in the repository any more".into());
                found.map_err(hg_failure)?.ok_or_else(missing)
            }
            _ => Err(other_system()),
        }
    }

    /// Git knows no object for a submodule: its commit is in another repository.
    async fn submodule_at(&self, revision: &ObjectId, path: &str) -> Result<Option<AtPath>, EngineError> {
        let Opened::Git {
            reader,
            path: repository,
        } = self.opened()?
        else {
            return Ok(None);
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let found = match reader.object_at(repository, revision, folder).await {
            Ok(Some(found)) if found.kind != ObjectKind::Blob => found,
            Ok(_) | Err(ReadError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(git_failure(error)),
        };
        let entries = reader.tree(repository, &found.id).await.map_err(unreadable)?;
        let is_there = entries
            .iter()
            .any(|entry| entry.kind == EntryKind::Submodule && entry.name == name.as_bytes());
        Ok(is_there.then_some(AtPath::Submodule))
    }
}

fn of_mercurial(revision: ObjectId, path: &str, found: hg::read::AtPath) -> AtPath {
    match found {
        hg::read::AtPath::File { size, .. } => AtPath::File(FileAt {
            size,
            content: Content::Of {
                revision,
                path: path.to_owned(),
            },
        }),
        hg::read::AtPath::Folder(entries) => AtPath::Folder(FolderAt(Inside::Listed {
            revision,
            path: path.to_owned(),
            entries: entries
                .into_iter()
                .map(|entry| Entry {
                    name: entry.name,
                    kind: entry.kind,
                    id: entry.id,
                })
                .collect(),
        })),
    }
}

fn other_system() -> EngineError {
    EngineError::Internal("a file or folder of the other system".into())
}
