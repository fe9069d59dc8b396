//! A work tree as a commit: what its files are now, whether or not somebody has committed them.
//!
//! Everything that is written goes to a repository of its own, which borrows the objects of the work tree's: the work
//! tree, its index and its repository stay as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::checkout::path_line;
use crate::name::{BranchName, NameError, ObjectId};
use crate::process::{GitCommand, GitProgram, Output, ProcessError};

/// A work tree as a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The git directory that has the commit; it needs the work tree's repository.
    pub source: PathBuf,
    /// The git directory of the work tree's repository, which the other one borrows objects from.
    pub borrows_from: PathBuf,
    /// The commit.
    pub revision: ObjectId,
    /// The branch that the work tree is on; none when it is on none.
    pub branch: Option<BranchName>,
    /// The top folder of the work tree.
    pub top: PathBuf,
    /// Whether the commit has something that the work tree's own last commit has not.
    pub uncommitted: bool,
}

/// Why no snapshot was made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// There is no work tree.
    #[error("{} is not in the work tree of a repository", path.display())]
    NoWorkTree {
        /// The folder.
        path: PathBuf,
        /// What git said.
        source: ProcessError,
    },
    /// There is no commit to start from, and uncommitted files were not asked for.
    #[error("there is no commit yet in {}", .0.display())]
    NoCommit(PathBuf),
    /// Git refused.
    #[error(transparent)]
    Git(#[from] ProcessError),
    /// Git said something that is no object id.
    #[error("git gave no object id: {0}")]
    Id(#[from] NameError),
    /// The file system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Makes a snapshot of the work tree that `folder` is in, in a new bare repository at `into`. Files that git ignores are
/// not part of it. Without `uncommitted` it is the work tree's last commit.
///
/// # Errors
/// See [`SnapshotError`].
pub fn snapshot(
    git: &GitProgram,
    folder: &Path,
    into: &Path,
    uncommitted: bool,
    timeout: Duration,
) -> Result<Snapshot, SnapshotError> {
    let run = |subcommand: &'static str, directory: &Path| {
        let command = git.command(subcommand).directory(directory).timeout(timeout);
        // Whoever asks stands in this folder.
        command.environment("GIT_DISCOVERY_ACROSS_FILESYSTEM", "1")
    };
    let place = run("rev-parse", folder)
        .args([
            "--path-format=absolute",
            "--show-toplevel",
            "--git-dir",
            "--git-common-dir",
        ])
        .run_blocking()
        .map_err(|source| SnapshotError::NoWorkTree {
            path: folder.to_owned(),
            source,
        })?;
    let mut lines = place.stdout.split(|byte| *byte == b'\n').map(path_of);
    let mut next = || lines.next().unwrap_or_default();
    let (top, git_folder, common) = (next(), next(), next());
    let head = optional(run("rev-parse", &top).args(["--verify", "--quiet", "HEAD"]))?;
    let branch = optional(run("symbolic-ref", &top).args(["--quiet", "--short", "HEAD"]))?;
    prepare(git, &common, into, timeout)?;
    let base = head.as_deref().map(ObjectId::parse).transpose()?;
    let made = |revision, is_new| Snapshot {
        source: into.to_owned(),
        borrows_from: common.clone(),
        revision,
        branch: branch.as_deref().and_then(|name| BranchName::parse(name).ok()),
        top: top.clone(),
        uncommitted: is_new,
    };
    if !uncommitted {
        let revision = base.ok_or_else(|| SnapshotError::NoCommit(top.clone()))?;
        return Ok(made(revision, false));
    }
    let index = into.join("snapshot-index");
    let known = git_folder.join("index");
    if known.is_file() {
        // It knows which files are unchanged, so that they need not be read.
        copy_with_time(&known, &index).map_err(in_path(&index))?;
    }
    let written = |subcommand: &'static str| {
        run(subcommand, &top)
            .environment("GIT_INDEX_FILE", &index)
            .environment("GIT_OBJECT_DIRECTORY", into.join("objects"))
    };
    written("add").args(["--all", "--", "."]).run_blocking()?;
    let tree = id_of(&written("write-tree").run_blocking()?)?;
    if let Some(base) = base {
        let own = run("rev-parse", &top)
            .args(["--verify", &format!("{base}^{{tree}}")])
            .run_blocking()?;
        if id_of(&own)? == tree {
            return Ok(made(base, false));
        }
    }
    let mut commit = written("commit-tree")
        .environment("GIT_AUTHOR_NAME", "Madake")
        .environment("GIT_AUTHOR_EMAIL", "madake@localhost")
        .args(["-m", "The work tree as it is"]);
    if let Some(base) = base {
        commit = commit.arg("-p").arg(base.to_string());
    }
    let revision = id_of(&commit.arg(tree.to_string()).run_blocking()?)?;
    Ok(made(revision, true))
}

/// Makes the bare repository that borrows the objects of another and has its tags.
fn prepare(git: &GitProgram, common: &Path, into: &Path, timeout: Duration) -> Result<(), SnapshotError> {
    let own = |subcommand: &'static str| git.command(subcommand).repository(common).timeout(timeout);
    let format = own("rev-parse").arg("--show-object-format").run_blocking()?;
    let format = String::from_utf8_lossy(&format.stdout).trim().to_owned();
    git.command("init")
        .args(["--quiet", "--bare", "--template="])
        .arg(format!("--object-format={format}"))
        .arg("--")
        .arg(into)
        .timeout(timeout)
        .run_blocking()?;
    let alternates = into.join("objects/info/alternates");
    fs::create_dir_all(into.join("objects/info")).map_err(in_path(&alternates))?;
    let mut line = path_line(&common.join("objects"));
    line.push(b'\n');
    fs::write(&alternates, line).map_err(in_path(&alternates))?;
    let shallow = common.join("shallow");
    if shallow.is_file() {
        fs::copy(&shallow, into.join("shallow")).map_err(in_path(&shallow))?;
    }
    let tags = own("for-each-ref")
        .args(["--format=%(objectname) %(refname)", "--", "refs/tags"])
        .run_blocking()?;
    let packed = into.join("packed-refs");
    fs::write(&packed, tags.stdout).map_err(in_path(&packed))
}

/// Git looks into files that are as young as the index: its age counts.
fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let written = fs::metadata(from)?.modified()?;
    fs::File::options().write(true).open(to)?.set_modified(written)
}

fn in_path(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { path, source }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// What a command says in its one line; `None` when it ends with 1, which says that there is no such thing.
fn optional(command: GitCommand) -> Result<Option<String>, ProcessError> {
    match command.run_blocking() {
        Ok(output) => Ok(Some(
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
        )),
        Err(ProcessError::Failed { code: Some(1), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn id_of(output: &Output) -> Result<ObjectId, NameError> {
    ObjectId::parse(String::from_utf8_lossy(&output.stdout).trim_end())
}
