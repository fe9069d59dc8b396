//! Files of a revision, and what changed in them.

use std::path::Path;

use super::{AtPath, HgReader, ReadError, by_id, from_hex, id_from, lines};
use crate::git::read::{ChangeKind, ChangedPath, ChangedPaths, EntryKind};
use crate::name::ObjectId;

/// A file of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path from the root, with slashes; what is not UTF-8 is replaced.
    pub path: String,
    /// Whether it is a file, may be run, or is a symbolic link. Never a folder: those exist only through their files.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub size: u64,
}

impl HgReader {
    /// The content of the file at `path` in `revision`, of at most `limit` bytes. None if there is nothing.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`], [`ReadError::WrongKind`] for a folder, [`ReadError::Missing`] for the revision.
    pub async fn file_at(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        if !is_plain(path)? || path.is_empty() {
            return Ok(None);
        }
        let size = match self.at(repository, revision, path).await? {
            None => return Ok(None),
            Some(AtPath::Folder(_)) => return Err(ReadError::WrongKind(path.to_owned())),
            Some(AtPath::File { size, .. }) => size,
        };
        let too_large = || ReadError::TooLarge {
            what: path.to_owned(),
            limit,
        };
        if size > limit {
            return Err(too_large());
        }
        let (id, pattern) = (by_id(revision), format!("path:{path}"));
        let capacity = usize::try_from(limit).unwrap_or(usize::MAX);
        let reply = self
            .run(repository, &["cat", "-r", &id, "--", &pattern], capacity)
            .await?;
        match reply {
            reply if reply.truncated => Err(too_large()),
            reply if reply.code == 0 => Ok(Some(reply.output)),
            reply => Err(ReadError::Failed {
                command: "cat".into(),
                message: reply.message,
            }),
        }
    }

    /// The contents of files of `revision`, each with its path; those that are not there are left out. All in one
    /// answer, so their sizes are for the caller to know before ([`Self::files_below`]).
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] beyond the limit of an answer, [`ReadError::Missing`] for the revision.
    pub async fn files_at(
        &self,
        repository: &Path,
        revision: &ObjectId,
        paths: &[String],
    ) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        let mut patterns = Vec::with_capacity(paths.len());
        for path in paths {
            if is_plain(path)? && !path.is_empty() {
                patterns.push(format!("path:{path}"));
            }
        }
        if patterns.is_empty() {
            return self.require(repository, revision).await.map(|()| Vec::new());
        }
        let (id, template) = (by_id(revision), r"{path|hex} {data|hex}\n");
        let mut arguments = vec!["cat", "-r", &id, "-T", template, "--"];
        arguments.extend(patterns.iter().map(String::as_str));
        let reply = self.run(repository, &arguments, super::LISTING_LIMIT).await?;
        if reply.truncated {
            return Err(ReadError::TooLarge {
                what: "the content of the files".into(),
                limit: super::LISTING_LIMIT as u64,
            });
        }
        // 1 says that nothing matched.
        if !matches!(reply.code, 0 | 1) {
            self.require(repository, revision).await?;
            return Err(ReadError::Failed {
                command: "cat".into(),
                message: reply.message,
            });
        }
        let answer = || ReadError::Answer {
            command: "cat".into(),
        };
        let mut found = Vec::with_capacity(paths.len());
        for line in lines(&reply.output) {
            let space = line.iter().position(|&byte| byte == b' ').ok_or_else(answer)?;
            let path = from_hex(&line[..space]).ok_or_else(answer)?;
            let content = from_hex(&line[space + 1..]).ok_or_else(answer)?;
            found.push((String::from_utf8_lossy(&path).into_owned(), content));
        }
        Ok(found)
    }

    /// All files in the folder `path` of `revision` and in the folders below it; an empty path is the root.
    /// The path of a file gives that file.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for the revision, [`ReadError::Path`].
    pub async fn files_below(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
    ) -> Result<Vec<FileEntry>, ReadError> {
        if !is_plain(path)? {
            return Ok(Vec::new());
        }
        let (id, pattern) = (by_id(revision), format!("path:{path}"));
        let template = r"{node} {size} {flags}:{path|hex}\n";
        let mut arguments = vec!["files", "-r", &id, "-T", template];
        if !path.is_empty() {
            // The kind is named, or the text could name one of its own, such as listfile.
            arguments.extend(["--", &pattern]);
        }
        let reply = self.run(repository, &arguments, super::LISTING_LIMIT).await?;
        if reply.truncated {
            return Err(ReadError::TooLarge {
                what: "the list of files".into(),
                limit: super::LISTING_LIMIT as u64,
            });
        }
        match reply.code {
            0 => {}
            // Nothing matched.
            1 => return self.require(repository, revision).await.map(|()| Vec::new()),
            _ => {
                self.require(repository, revision).await?;
                return Err(ReadError::Failed {
                    command: "files".into(),
                    message: reply.message,
                });
            }
        }
        let answer = || ReadError::Answer {
            command: "files".into(),
        };
        let mut found = Vec::new();
        for line in lines(&reply.output) {
            found.push(parse_file(line, revision).ok_or_else(answer)?);
        }
        Ok(found)
    }

    /// The paths that differ between `old` (none for an empty tree) and `new`, at most `limit`, by path. For what a
    /// commit changed, `old` is its first parent.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository.
    pub async fn changed_paths(
        &self,
        repository: &Path,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<ChangedPaths, ReadError> {
        let (old_id, new_id) = (old.map_or_else(|| "null".to_owned(), by_id), by_id(new));
        let arguments = [
            "status",
            "--rev",
            &old_id,
            "--rev",
            &new_id,
            "--added",
            "--modified",
            "--removed",
            "-T",
            r"{status} {path|hex}\n",
        ];
        let reply = self.run(repository, &arguments, super::LISTING_LIMIT).await?;
        if reply.code != 0 {
            for id in old.into_iter().chain([new]) {
                self.require(repository, id).await?;
            }
            return Err(ReadError::Failed {
                command: "status".into(),
                message: reply.message,
            });
        }
        let mut paths = Vec::new();
        let complete = reply.output.iter().rposition(|&byte| byte == b'\n');
        for line in lines(&reply.output[..complete.unwrap_or(0)]) {
            let kind = match line.first() {
                Some(b'A') => ChangeKind::Added,
                Some(b'R') => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            };
            let path = line.get(2..).and_then(from_hex).ok_or(ReadError::Answer {
                command: "status".into(),
            })?;
            paths.push(ChangedPath {
                path: String::from_utf8_lossy(&path).into_owned(),
                kind,
            });
        }
        paths.sort_by(|one, other| one.path.cmp(&other.path));
        let truncated = reply.truncated || paths.len() > limit;
        paths.truncate(limit);
        Ok(ChangedPaths { paths, truncated })
    }

    pub(super) async fn require(&self, repository: &Path, id: &ObjectId) -> Result<(), ReadError> {
        match self.exists(repository, id).await? {
            true => Ok(()),
            false => Err(ReadError::Missing(*id)),
        }
    }
}

/// Whether a revision can have such a path. Mercurial gives `.` and `..` a meaning of their own.
pub(super) fn is_plain(path: &str) -> Result<bool, ReadError> {
    if path.contains(['\n', '\r', '\0']) {
        return Err(ReadError::Path);
    }
    Ok(path.is_empty() || !path.split('/').any(|part| matches!(part, "" | "." | "..")))
}

fn parse_file(line: &[u8], revision: &ObjectId) -> Option<FileEntry> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (head, path) = (&line[..colon], &line[colon + 1..]);
    let mut words = head.split(|&byte| byte == b' ');
    // The listing says for which revision it is; another would be a mistake of ours.
    id_from(words.next()?).filter(|id| id == revision)?;
    let size = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let kind = match words.next()? {
        b"x" => EntryKind::Executable,
        b"l" => EntryKind::Symlink,
        _ => EntryKind::File,
    };
    Some(FileEntry {
        path: String::from_utf8_lossy(&from_hex(path)?).into_owned(),
        kind,
        size,
    })
}
