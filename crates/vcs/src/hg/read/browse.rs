//! What people look up: folders, histories in pages, differences line by line. Our extension answers these.

use std::path::Path;
use std::time::Duration;

use super::commit::is_of_a_commit;
use super::files::is_plain;
use super::{
    Commit, Commits, HgReader, LISTING_LIMIT, ReadError, by_id, from_hex, id_from, lines, text_from_hex,
};
use crate::git::read::{EntryKind, LogQuery, Merges, Patch, parse_patch};
use crate::name::ObjectId;

/// How long hg may search for one page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Fewest digits of an abbreviated id.
const SHORTEST_ID: usize = 4;
/// Commits that are asked for at once.
const AT_ONCE: usize = 500;

/// What is at a path of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPath {
    /// A file.
    File {
        /// The id of its content, which tells its history as well.
        id: ObjectId,
        /// Whether it may be run, or is a link.
        kind: EntryKind,
        /// In bytes.
        size: u64,
    },
    /// A folder, with what is in it, by name.
    Folder(Vec<FolderEntry>),
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// The name, as bytes: Mercurial does not ask for UTF-8.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The id of a file's content; none of a folder.
    pub id: Option<ObjectId>,
}

impl HgReader {
    /// What is at `path` in `revision`; an empty path is the root, which is a folder also when it is empty.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for the revision, [`ReadError::Path`].
    pub async fn at(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
    ) -> Result<Option<AtPath>, ReadError> {
        if !is_plain(path)? {
            return Ok(None);
        }
        let (id, path_digits) = (revision.to_string(), hex_of(path.as_bytes()));
        let raw = self
            .look(repository, &["madake-folder", &id, &path_digits], &[revision])
            .await?;
        let answer = || unexpected("madake-folder");
        if let Some(file) = raw.strip_prefix(b"file ") {
            let words: Vec<&[u8]> = file.trim_ascii_end().split(|&byte| byte == b' ').collect();
            let [mode, id, size] = words[..] else {
                return Err(answer());
            };
            return Ok(Some(AtPath::File {
                id: id_from(id).ok_or_else(answer)?,
                kind: kind(mode).ok_or_else(answer)?,
                size: number(size).ok_or_else(answer)?,
            }));
        }
        let entries: Option<Vec<FolderEntry>> = lines(&raw).map(entry).collect();
        let entries = entries.ok_or_else(answer)?;
        Ok((path.is_empty() || !entries.is_empty()).then_some(AtPath::Folder(entries)))
    }

    /// How many bytes files of a revision have, in the order asked; paths are bytes, from the root.
    ///
    /// # Errors
    /// When one of them is no file of the revision.
    pub async fn sizes(
        &self,
        repository: &Path,
        revision: &ObjectId,
        paths: &[Vec<u8>],
    ) -> Result<Vec<u64>, ReadError> {
        let id = revision.to_string();
        let digits: Vec<String> = paths.iter().map(|path| hex_of(path)).collect();
        let mut arguments = vec!["madake-sizes", &id];
        arguments.extend(digits.iter().map(String::as_str));
        let raw = self.look(repository, &arguments, &[revision]).await?;
        let sizes: Option<Vec<u64>> = lines(&raw).map(number).collect();
        sizes
            .filter(|sizes| sizes.len() == paths.len())
            .ok_or_else(|| unexpected("madake-sizes"))
    }

    /// The paths of all files below a folder of a revision, relative to it; an empty path is the root.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for the revision, [`ReadError::Path`].
    pub async fn names_below(
        &self,
        repository: &Path,
        revision: &ObjectId,
        path: &str,
    ) -> Result<Vec<String>, ReadError> {
        if !is_plain(path)? {
            return Ok(Vec::new());
        }
        let (id, path_digits) = (revision.to_string(), hex_of(path.as_bytes()));
        let raw = self
            .look(repository, &["madake-below", &id, &path_digits], &[revision])
            .await?;
        let names: Option<Vec<String>> = lines(&raw).map(text_from_hex).collect();
        names.ok_or_else(|| unexpected("madake-below"))
    }

    /// Commits of a history, the newest first in the order of arrival. Those of a path changed the file, or something
    /// in the folder.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for a commit that is not there, [`ReadError::Path`]; a search that takes longer than 20
    /// seconds is given up.
    pub async fn history(&self, repository: &Path, query: &LogQuery<'_>) -> Result<Commits, ReadError> {
        let path = query.path.unwrap_or_default();
        if !is_plain(path)? {
            return Ok(Commits::default());
        }
        let merges = match query.merges {
            Merges::Included => "any",
            Merges::Excluded => "none",
            Merges::Only => "only",
        };
        let asked = [
            "madake-history".to_owned(),
            query.until.to_string(),
            query.since.map_or_else(String::new, |since| since.to_string()),
            merges.to_owned(),
            if query.follow_renames { "renames" } else { "" }.to_owned(),
            query.skip.to_string(),
            query.limit.saturating_add(1).to_string(),
            hex_of(path.as_bytes()),
        ];
        let arguments: Vec<&str> = asked.iter().map(String::as_str).collect();
        let mut needed = vec![&query.until];
        needed.extend(&query.since);
        let raw = self.look(repository, &arguments, &needed).await?;
        let ids: Option<Vec<ObjectId>> = lines(&raw).map(id_from).collect();
        let mut ids = ids.ok_or_else(|| unexpected("madake-history"))?;
        let truncated = ids.len() > query.limit;
        ids.truncate(query.limit);
        Ok(Commits {
            commits: self.commits(repository, &ids).await?,
            truncated,
        })
    }

    /// These commits in the order asked; those that are not there are left out.
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn commits(&self, repository: &Path, ids: &[ObjectId]) -> Result<Vec<Commit>, ReadError> {
        let mut commits = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let revisions: Vec<String> = ids.iter().map(by_id).collect();
            // The empty set for an id that is not there.
            commits.extend(self.log(repository, &revisions.join(" + "), AT_ONCE).await?);
        }
        Ok(commits)
    }

    /// The commit whose id begins with these digits, of which there must be four at least; `None` where no commit or
    /// more than one does.
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn commit_by_digits(
        &self,
        repository: &Path,
        digits: &str,
    ) -> Result<Option<ObjectId>, ReadError> {
        let is_id =
            (SHORTEST_ID..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Ok(None);
        }
        let revision = format!("id('{}')", digits.to_ascii_lowercase());
        let raw = self
            .ask(repository, &["log", "-r", &revision, "-T", "{node}"])
            .await?;
        Ok(id_from(&raw).filter(is_of_a_commit))
    }

    /// The newest commit that both have in their histories.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository.
    pub async fn merge_base(
        &self,
        repository: &Path,
        one: &ObjectId,
        other: &ObjectId,
    ) -> Result<Option<ObjectId>, ReadError> {
        let revision = format!("ancestor({}, {})", by_id(one), by_id(other));
        let raw = self
            .look(
                repository,
                &["log", "-r", &revision, "-T", "{node}"],
                &[one, other],
            )
            .await?;
        Ok(id_from(&raw).filter(|id| !id.is_zero()))
    }

    /// What differs between `old` (none for an empty tree) and `new`, of about `limit` bytes. Renames are those that
    /// were recorded.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if either is not in the repository; a comparison that takes longer than 20 seconds is
    /// given up.
    pub async fn patch(
        &self,
        repository: &Path,
        old: Option<&ObjectId>,
        new: &ObjectId,
        limit: usize,
    ) -> Result<Patch, ReadError> {
        let (old_id, new_id) = (old.unwrap_or(&ObjectId::ZERO).to_string(), new.to_string());
        let limit = limit.to_string();
        let mut needed = vec![new];
        needed.extend(old);
        let raw = self
            .look(repository, &["madake-patch", &old_id, &new_id, &limit], &needed)
            .await?;
        let answer = || unexpected("madake-patch");
        let (truncated, patch) = match (raw.strip_prefix(b"all\n"), raw.strip_prefix(b"cut\n")) {
            (Some(patch), _) => (false, patch),
            (_, Some(patch)) => (true, patch),
            (None, None) => return Err(answer()),
        };
        parse_patch(patch, truncated).map_err(|_| answer())
    }

    /// The answer to a command that works on these commits, within the time for a page.
    async fn look(
        &self,
        repository: &Path,
        arguments: &[&str],
        needed: &[&ObjectId],
    ) -> Result<Vec<u8>, ReadError> {
        let asked = self.run(repository, arguments, LISTING_LIMIT);
        let reply = tokio::time::timeout(PAGE_TIMEOUT, asked)
            .await
            .map_err(|_| ReadError::Io {
                repository: repository.to_owned(),
                source: std::io::ErrorKind::TimedOut.into(),
            })??;
        let command = arguments.first().copied().unwrap_or_default();
        if reply.truncated {
            return Err(ReadError::TooLarge {
                what: format!("the answer of hg {command}"),
                limit: LISTING_LIMIT as u64,
            });
        }
        if reply.code != 0 {
            for id in needed {
                self.require(repository, id).await?;
            }
            return Err(ReadError::Failed {
                command: command.to_owned(),
                message: reply.message,
            });
        }
        Ok(reply.output)
    }
}

fn unexpected(command: &str) -> ReadError {
    ReadError::Answer {
        command: command.to_owned(),
    }
}

fn entry(line: &[u8]) -> Option<FolderEntry> {
    let mut words = line.split(|&byte| byte == b' ');
    let kind = kind(words.next()?)?;
    let id = id_from(words.next()?)?;
    Some(FolderEntry {
        name: from_hex(words.next()?)?,
        kind,
        id: (!id.is_zero()).then_some(id),
    })
}

fn kind(mode: &[u8]) -> Option<EntryKind> {
    Some(match mode {
        b"100644" => EntryKind::File,
        b"100755" => EntryKind::Executable,
        b"120000" => EntryKind::Symlink,
        b"040000" => EntryKind::Folder,
        _ => return None,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
