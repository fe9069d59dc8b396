//! What each commit changed, with modes, blobs and renames: what payloads of pushes tell.

use std::path::Path;

use super::changes::{Difference, Differences};
use super::{EntryKind, GitReader, ReadError};
use crate::name::ObjectId;

/// More commits than this are left to git.
const FEW_COMMITS: usize = 16;
/// Trees read for all of them before they are left to git.
const TREE_BUDGET: usize = 60;
/// The part of a mode that says whether it is a file, a link or a commit.
const FORMAT: u32 = 0o170_000;

/// One changed path of one commit, as `git diff-tree --raw` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitFile {
    /// The letter of git: `A`, `M`, `T`, `D`, `R` or `C`.
    pub status: char,
    /// The path, the new one of a rename; what is not UTF-8 is replaced.
    pub path: String,
    /// Where a rename or a copy came from.
    pub source: Option<String>,
    /// The mode before, such as `0o100644`; 0 for nothing.
    pub old_mode: u32,
    /// The mode after; 0 for nothing.
    pub new_mode: u32,
    /// The blob before.
    pub old_id: Option<ObjectId>,
    /// The blob after.
    pub new_id: Option<ObjectId>,
    /// How much of the old file is left, in percent, for renames and copies.
    pub similarity: Option<u8>,
}

/// The changed paths of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitFiles {
    /// In the order of the paths.
    pub files: Vec<CommitFile>,
    /// Whether there were more than the limit.
    pub truncated: bool,
}

impl GitReader {
    /// What each of these commits changed against its first parent (a root: against nothing), in the order asked:
    /// at most `limit` paths for a commit. A few small changes are found by comparing trees here, which starts no
    /// process; for all others there is one.
    ///
    /// # Errors
    /// When git cannot compare them, or they change more than 64 MiB of paths.
    pub async fn commit_files(
        &self,
        repository: &Path,
        commits: &[(ObjectId, Option<ObjectId>)],
        limit: usize,
    ) -> Result<Vec<CommitFiles>, ReadError> {
        if let Some(found) = self.few_files(repository, commits, limit).await? {
            return Ok(found);
        }
        let mut input = String::new();
        for (commit, first_parent) in commits {
            input.push_str(&commit.to_string());
            if let Some(parent) = first_parent {
                input.push(' ');
                input.push_str(&parent.to_string());
            }
            input.push('\n');
        }
        let output = self
            .git()
            .command("diff-tree")
            .repository(repository)
            .args(["--stdin", "-r", "-z", "--raw", "--root", "--no-abbrev", "-M"])
            .args(["--no-ext-diff", "--no-textconv", "--always"])
            .input(input.into_bytes())
            .run()
            .await?;
        parse(&output.stdout, commits, limit)
    }

    /// As [`GitReader::commit_files`]; none if there is much to compare, or something may have been renamed: how like
    /// each other files are is git's to say.
    async fn few_files(
        &self,
        repository: &Path,
        commits: &[(ObjectId, Option<ObjectId>)],
        limit: usize,
    ) -> Result<Option<Vec<CommitFiles>>, ReadError> {
        if commits.len() > FEW_COMMITS {
            return Ok(None);
        }
        let mut budget = TREE_BUDGET;
        let mut all = Vec::with_capacity(commits.len());
        for (commit, first_parent) in commits {
            let new = self.root_tree(repository, commit).await?;
            let old = match first_parent {
                Some(parent) => Some(self.root_tree(repository, parent).await?),
                None => None,
            };
            let compared = self.compare_trees(repository, old, new, limit, &mut budget);
            let differences = match compared.await {
                Ok(Some(differences)) => differences,
                Ok(None) | Err(ReadError::TooLarge { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let has = |wanted: fn(&Difference) -> bool| differences.paths.iter().any(wanted);
            let renamed = has(|one| one.before.is_none()) && has(|one| one.after.is_none());
            if renamed || differences.truncated {
                return Ok(None);
            }
            all.push(differences.into());
        }
        Ok(Some(all))
    }
}

impl From<Differences> for CommitFiles {
    fn from(differences: Differences) -> Self {
        Self {
            files: differences.paths.into_iter().map(CommitFile::from).collect(),
            truncated: differences.truncated,
        }
    }
}

impl From<Difference> for CommitFile {
    fn from(one: Difference) -> Self {
        let id = |side: Option<(EntryKind, ObjectId)>| side.map(|(_, id)| id);
        let mode = |side: Option<(EntryKind, ObjectId)>| side.map_or(0, |(kind, _)| kind.mode());
        let (old_mode, new_mode) = (mode(one.before), mode(one.after));
        Self {
            status: match (one.before, one.after) {
                (None, _) => 'A',
                (_, None) => 'D',
                _ if old_mode & FORMAT == new_mode & FORMAT => 'M',
                _ => 'T',
            },
            path: String::from_utf8_lossy(&one.path).into_owned(),
            source: None,
            old_mode,
            new_mode,
            old_id: id(one.before),
            new_id: id(one.after),
            similarity: None,
        }
    }
}

fn parse(
    output: &[u8],
    commits: &[(ObjectId, Option<ObjectId>)],
    limit: usize,
) -> Result<Vec<CommitFiles>, ReadError> {
    let mut all: Vec<CommitFiles> = commits.iter().map(|_| CommitFiles::default()).collect();
    let mut at: Option<usize> = None;
    let mut words = output.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if !word.starts_with(b":") {
            // The head of the next commit; those of which nothing is told are passed over.
            let id = std::str::from_utf8(word)
                .ok()
                .and_then(|text| ObjectId::parse(text.trim()).ok());
            let from = at.map_or(0, |at| at + 1);
            at = id.and_then(|id| Some(from + commits.get(from..)?.iter().position(|one| one.0 == id)?));
            continue;
        }
        let damaged = || damaged(at.and_then(|at| commits.get(at)).map(|one| one.0.to_string()));
        let file = raw_file(word, &mut || words.next())?.ok_or_else(damaged)?;
        let files = at.and_then(|at| all.get_mut(at)).ok_or_else(damaged)?;
        if files.files.len() == limit {
            files.truncated = true;
            continue;
        }
        files.files.push(file);
    }
    Ok(all)
}

fn damaged(object: Option<String>) -> ReadError {
    ReadError::Damaged {
        object: object.unwrap_or_default(),
        reason: "git diff-tree told of it in a way that is not understood",
    }
}

/// Reads `:100644 100644 OLD NEW M` and the one or two paths that follow; none if they do not follow.
pub(super) fn raw_file<'a>(
    record: &[u8],
    next: &mut impl FnMut() -> Option<&'a [u8]>,
) -> Result<Option<CommitFile>, ReadError> {
    let malformed = || damaged(None);
    let raw = record.strip_prefix(b":").ok_or_else(malformed)?;
    let text = std::str::from_utf8(raw).map_err(|_| malformed())?;
    let [old_mode, new_mode, old_id, new_id, status] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(malformed());
    };
    let mut letters = status.chars();
    let status = letters.next().ok_or_else(malformed)?;
    let path = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let Some(first) = next().map(path) else {
        return Ok(None);
    };
    let (source, path) = if matches!(status, 'R' | 'C') {
        match next().map(path) {
            Some(second) => (Some(first), second),
            None => return Ok(None),
        }
    } else {
        (None, first)
    };
    let mode = |text: &str| u32::from_str_radix(text, 8).map_err(|_| malformed());
    let id = |text: &str| ObjectId::parse(text).ok().filter(|id| !id.is_zero());
    Ok(Some(CommitFile {
        status,
        path,
        source,
        old_mode: mode(old_mode)?,
        new_mode: mode(new_mode)?,
        old_id: id(old_id),
        new_id: id(new_id),
        similarity: letters.as_str().parse().ok(),
    }))
}
