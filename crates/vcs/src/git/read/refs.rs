//! Refs: one process for all of them, none for a single one.

use std::fs;
use std::io;
use std::path::Path;

use super::ReadError;
use crate::name::{ObjectId, RefName};
use crate::process::GitProgram;

/// A ref and what it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Its name.
    pub name: RefName,
    /// What it points at.
    pub id: ObjectId,
    /// For an annotated tag, the object that it finally names.
    pub peeled: Option<ObjectId>,
}

/// The refs of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefList {
    /// Those whose names were accepted, sorted by name.
    pub refs: Vec<Ref>,
    /// Names that were not, with the reason; they are not built.
    pub refused: Vec<String>,
    /// Whether there were more than the reader took.
    pub truncated: bool,
}

/// All refs of the repository.
///
/// # Errors
/// Git's failure.
pub async fn list_refs(git: &GitProgram, git_directory: &Path) -> Result<RefList, ReadError> {
    list_sorted(git, git_directory, "--sort=refname").await
}

pub(super) async fn list_sorted(
    git: &GitProgram,
    git_directory: &Path,
    order: &str,
) -> Result<RefList, ReadError> {
    let output = git
        .command("for-each-ref")
        .repository(git_directory)
        .args([order, "--format=%(objectname) %(*objectname) %(refname)"])
        .run()
        .await?;
    let mut list = RefList::default();
    for line in output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let mut parts = line.splitn(3, |&byte| byte == b' ');
        let mut id = || ObjectId::parse(std::str::from_utf8(parts.next()?).ok()?).ok();
        let (id, peeled) = (id(), id());
        list.add(parts.next().unwrap_or_default(), id, peeled);
    }
    Ok(list)
}

impl RefList {
    pub(in crate::git) fn add(&mut self, name: &[u8], id: Option<ObjectId>, peeled: Option<ObjectId>) {
        match (RefName::from_bytes(name), id) {
            (Ok(name), Some(id)) => self.refs.push(Ref { name, id, peeled }),
            (Ok(name), None) => self.refused.push(format!("{name}: it points at no object")),
            (Err(reason), _) => {
                let shown = crate::text::display_line(&String::from_utf8_lossy(name), 200);
                self.refused.push(format!("{shown}: {reason}"));
            }
        }
    }
}

/// Where one ref points, if it exists. Starts a process only for storage that is not plain files.
///
/// # Errors
/// Git's or the file system's failure.
pub async fn read_ref(
    git: &GitProgram,
    git_directory: &Path,
    name: &RefName,
) -> Result<Option<ObjectId>, ReadError> {
    let io = |source| ReadError::Io {
        repository: git_directory.to_owned(),
        source,
    };
    match read_ref_files(git_directory, name).map_err(io)? {
        FileAnswer::Found(id) => return Ok(Some(id)),
        FileAnswer::Absent => return Ok(None),
        FileAnswer::AskGit => {}
    }
    let command = git.command("rev-parse").repository(git_directory);
    let output = command
        .args(["--verify", "--quiet", "--end-of-options", name.as_str()])
        .run_unchecked()
        .await?;
    let text = String::from_utf8_lossy(&output.into_output().stdout).into_owned();
    Ok(ObjectId::parse(text.trim()).ok())
}

/// The branch that `HEAD` names, whether or not it exists yet; none if `HEAD` is detached.
///
/// # Errors
/// The file system's failure.
pub fn head_branch(git_directory: &Path) -> Result<Option<RefName>, ReadError> {
    let io = |source| ReadError::Io {
        repository: git_directory.to_owned(),
        source,
    };
    let text = fs::read_to_string(git_directory.join("HEAD")).map_err(io)?;
    Ok(text
        .strip_prefix("ref: ")
        .and_then(|name| RefName::parse(name.trim()).ok()))
}

enum FileAnswer {
    Found(ObjectId),
    Absent,
    AskGit,
}

fn read_ref_files(git_directory: &Path, name: &RefName) -> io::Result<FileAnswer> {
    if git_directory.join("commondir").exists() || git_directory.join("reftable").exists() {
        return Ok(FileAnswer::AskGit);
    }
    if let Some(answer) = read_loose(git_directory, name)? {
        return Ok(answer);
    }
    // Packing writes the packed file before it removes the loose one, so this order misses nothing.
    if let Some(id) = read_packed(git_directory, name)? {
        return Ok(FileAnswer::Found(id));
    }
    Ok(read_loose(git_directory, name)?.unwrap_or(FileAnswer::Absent))
}

fn read_loose(git_directory: &Path, name: &RefName) -> io::Result<Option<FileAnswer>> {
    match fs::read_to_string(git_directory.join(name.as_str())) {
        // A symbolic ref, or damage, is for git to judge.
        Ok(text) => Ok(Some(
            ObjectId::parse(text.trim_end()).map_or(FileAnswer::AskGit, FileAnswer::Found),
        )),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Ok(None),
            _ => Err(error),
        },
    }
}

fn read_packed(git_directory: &Path, name: &RefName) -> io::Result<Option<ObjectId>> {
    let packed = match fs::read(git_directory.join("packed-refs")) {
        Ok(packed) => packed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = packed.split(|&byte| byte == b'\n').find_map(|line| {
        let (id, rest) = line.split_at_checked(line.iter().position(|&byte| byte == b' ')?)?;
        (&rest[1..] == name.as_str().as_bytes()).then_some(id)
    });
    Ok(found.and_then(|id| ObjectId::parse(std::str::from_utf8(id).ok()?).ok()))
}
