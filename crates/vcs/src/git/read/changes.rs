//! Changed paths between two revisions. Small changes are found by comparing trees here; large ones by `git diff-tree`.

use std::cmp::Ordering;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::{EntryKind, GitReader, ReadError, TreeEntry};
use crate::name::ObjectId;

/// Trees read before a comparison is left to git.
const TREE_BUDGET: usize = 200;

/// A path that differs between two revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    /// The path from the root, with slashes; what is not UTF-8 is replaced.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path. Renames are a deletion and an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or its mode is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// The paths that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPaths {
    /// In the order of git.
    pub paths: Vec<ChangedPath>,
    /// Whether there were more than the limit: then nothing may be concluded from a path that is absent.
    pub truncated: bool,
}

impl GitReader {
    /// The paths that differ between `old` (none for an empty tree) and `new`, at most `limit`.
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
        let new_tree = self.root_tree(repository, new).await?;
        let old_tree = match old {
            Some(old) => Some(self.root_tree(repository, old).await?),
            None => None,
        };
        let mut budget = TREE_BUDGET;
        let compared = self.compare_trees(repository, old_tree, new_tree, limit, &mut budget);
        match compared.await? {
            Some(differences) => Ok(differences.into()),
            None => self.compare_by_git(repository, old_tree, new_tree, limit).await,
        }
    }

    pub(super) async fn root_tree(
        &self,
        repository: &Path,
        revision: &ObjectId,
    ) -> Result<ObjectId, ReadError> {
        let expression = format!("{revision}^{{tree}}");
        match self.objects.info(repository, &expression).await? {
            Some(info) => Ok(info.id),
            None => Err(ReadError::Missing { object: expression }),
        }
    }

    /// `None` if that would read more trees than are left in `budget`.
    pub(super) async fn compare_trees(
        &self,
        repository: &Path,
        old: Option<ObjectId>,
        new: ObjectId,
        limit: usize,
        budget: &mut usize,
    ) -> Result<Option<Differences>, ReadError> {
        let mut differences = Differences::default();
        // The next thing to do is last, so that paths come out in order.
        let mut work = vec![Work::Folders {
            prefix: Vec::new(),
            old,
            new: Some(new),
        }];
        while let Some(item) = work.pop() {
            let (prefix, old, new) = match item {
                Work::Path(difference) => {
                    if differences.paths.len() == limit {
                        differences.truncated = true;
                        break;
                    }
                    differences.paths.push(difference);
                    continue;
                }
                Work::Folders { prefix, old, new } => (prefix, old, new),
            };
            if old == new {
                continue;
            }
            let wanted = usize::from(old.is_some()) + usize::from(new.is_some());
            let Some(left) = budget.checked_sub(wanted) else {
                return Ok(None);
            };
            *budget = left;
            let old = self.entries(repository, old).await?;
            let new = self.entries(repository, new).await?;
            work.extend(compare_folders(&prefix, &old, &new).into_iter().rev());
        }
        Ok(Some(differences))
    }

    async fn entries(&self, repository: &Path, tree: Option<ObjectId>) -> Result<Vec<TreeEntry>, ReadError> {
        match tree {
            Some(id) => self.tree_entries(repository, &id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn compare_by_git(
        &self,
        repository: &Path,
        old: Option<ObjectId>,
        new: ObjectId,
        limit: usize,
    ) -> Result<ChangedPaths, ReadError> {
        let old = old.map_or_else(|| empty_tree(&new).to_owned(), |old| old.to_string());
        let mut process = self
            .git()
            .command("diff-tree")
            .repository(repository)
            .args([
                "-r",
                "-z",
                "--no-commit-id",
                "--name-status",
                "--no-renames",
                "--no-ext-diff",
                "--no-textconv",
            ])
            .args([old, new.to_string()])
            .discard_stderr()
            .start()?;
        drop(process.take_stdin());
        let io = |source| ReadError::Io {
            repository: repository.to_owned(),
            source,
        };
        let mut stdout = process
            .take_stdout()
            .ok_or_else(|| io(std::io::ErrorKind::BrokenPipe.into()))?;
        let mut changes = ChangedPaths::default();
        let mut buffer = Vec::new();
        let mut kind = None;
        loop {
            let read = stdout.read_buf(&mut buffer).await.map_err(io)?;
            let mut taken = 0;
            while let Some(length) = buffer[taken..].iter().position(|&byte| byte == 0) {
                let word = &buffer[taken..taken + length];
                taken += length + 1;
                let Some(kind) = kind.take() else {
                    kind = Some(match word {
                        b"A" => ChangeKind::Added,
                        b"D" => ChangeKind::Deleted,
                        _ => ChangeKind::Modified,
                    });
                    continue;
                };
                if changes.paths.len() == limit {
                    changes.truncated = true;
                    return Ok(changes);
                }
                changes.paths.push(ChangedPath {
                    path: String::from_utf8_lossy(word).into_owned(),
                    kind,
                });
            }
            buffer.drain(..taken);
            if read == 0 {
                break;
            }
        }
        if process.wait().await?.success() {
            Ok(changes)
        } else {
            Err(ReadError::Damaged {
                object: new.to_string(),
                reason: "git diff-tree could not compare it",
            })
        }
    }
}

/// The id of a tree without entries, which every repository with ids of this kind has.
pub(super) fn empty_tree(beside: &ObjectId) -> &'static str {
    if beside.is_sha256() {
        "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    } else {
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    }
}

enum Work {
    Folders {
        prefix: Vec<u8>,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    },
    Path(Difference),
}

/// The paths of files that differ between two trees, in the order of git.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) paths: Vec<Difference>,
    /// Whether there were more than the limit.
    pub(super) truncated: bool,
}

/// A path that is not the same in two trees: on one side at least there is something that is no folder.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) path: Vec<u8>,
    pub(super) before: Option<(EntryKind, ObjectId)>,
    pub(super) after: Option<(EntryKind, ObjectId)>,
}

impl From<Differences> for ChangedPaths {
    fn from(differences: Differences) -> Self {
        let paths = differences.paths.into_iter().map(|one| ChangedPath {
            path: String::from_utf8_lossy(&one.path).into_owned(),
            kind: match (one.before, one.after) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            },
        });
        Self {
            paths: paths.collect(),
            truncated: differences.truncated,
        }
    }
}

/// Merges two folders; both are sorted as git sorts them, a folder's name as if it ended with a slash.
fn compare_folders(prefix: &[u8], old: &[TreeEntry], new: &[TreeEntry]) -> Vec<Work> {
    let mut work = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return work,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(left), Some(right)) => match sort_key(left).cmp(&sort_key(right)) {
                Ordering::Less => (old.next(), None),
                Ordering::Greater => (None, new.next()),
                Ordering::Equal => (old.next(), new.next()),
            },
        };
        let Some(name) = before.or(after).map(|entry| &entry.name) else {
            return work;
        };
        let side = |entry: Option<&TreeEntry>| entry.map(|entry| (entry.kind, entry.id));
        if side(before) == side(after) {
            continue;
        }
        let path = [prefix, name].concat();
        let folder = |entry: Option<&TreeEntry>| {
            entry
                .filter(|entry| entry.kind == EntryKind::Folder)
                .map(|e| e.id)
        };
        if let (Some(_), _) | (_, Some(_)) = (folder(before), folder(after)) {
            let prefix = [&path[..], b"/"].concat();
            work.push(Work::Folders {
                prefix,
                old: folder(before),
                new: folder(after),
            });
            continue;
        }
        work.push(Work::Path(Difference {
            path,
            before: side(before),
            after: side(after),
        }));
    }
}

fn sort_key(entry: &TreeEntry) -> SortKey<'_> {
    let slash = if entry.kind == EntryKind::Folder {
        Some(b'/')
    } else {
        None
    };
    SortKey {
        name: &entry.name,
        slash,
    }
}

#[derive(PartialEq, Eq)]
struct SortKey<'a> {
    name: &'a [u8],
    slash: Option<u8>,
}

impl Ord for SortKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name
            .iter()
            .chain(&self.slash)
            .cmp(other.name.iter().chain(&other.slash))
    }
}

impl PartialOrd for SortKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
