//! The work tree of a job: one git process, no clone. Without tokio, because it runs inside the job's process.
//!
//! Git works with a git directory of ours, outside of the work tree, where no job can write. It is written by hand and
//! borrows the objects of the repository on this machine. What the work tree gets as `.git` is a copy of it, put in place
//! at the end; whatever a job does to that (hooks, filters, monitors, entries of the index) never takes part in a later
//! checkout.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::folder::{make_room, remove};
use crate::name::{BranchName, ObjectId};
use crate::process::{GitProgram, ProcessError};

/// What shows that a folder is a checkout, or began to be one.
const MARKS: [&str; 2] = [".git", ".hg"];

/// Says in a git directory of ours which checkout it is of.
const MARKER: &str = "madake-checkout";

/// The git directory, in the folder for it.
const GIT_DIRECTORY: &str = "git";

/// The copy that becomes `.git`, in the same folder.
const COPY: &str = "copy";

/// What to check out, and how.
#[derive(Clone, Debug)]
pub struct CheckoutRequest<'a> {
    /// The git program.
    pub git: &'a GitProgram,
    /// The git directory of a repository on this machine; it must stay while the checkout is used.
    pub source: &'a Path,
    /// The commit.
    pub revision: &'a ObjectId,
    /// The branch that the work tree shall seem to be on; none for a detached `HEAD`.
    pub branch: Option<&'a BranchName>,
    /// The address that `git remote -v` shows as `origin`, without credential; none for the path of `source`.
    pub origin: Option<&'a str>,
    /// The folder. It is created, re-used if it is a checkout of the same source, and emptied if it is one of another.
    pub into: &'a Path,
    /// A folder for the git directory that git works with: on the file system of `into`, out of reach for jobs, and for
    /// this checkout alone. It is made when it is missing, and with it the next checkout finds what this one wrote.
    pub administration: &'a Path,
    /// Whether to empty the folder in any case. Otherwise files that git does not know stay.
    pub clean: bool,
    /// How long git may take.
    pub timeout: Duration,
}

/// What a checkout did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutReport {
    /// Lines for the log of the job.
    pub lines: Vec<String>,
    /// Whether the folder was a checkout of the same source and was kept.
    pub reused: bool,
}

/// Why a checkout failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// The commit is not in the source.
    #[error(
        "the commit {revision} is not in the repository: it may have been removed by a force push and a clean-up"
    )]
    MissingRevision {
        /// The commit.
        revision: ObjectId,
    },
    /// The folder is a symbolic link or a file.
    #[error("{path} is not a folder of its own: a link or a file is never checked out into")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Git refused, for instance a path that would reach into `.git`.
    #[error(transparent)]
    Git(#[from] ProcessError),
}

/// Makes the work tree exactly that of the revision.
///
/// Submodules are not followed, no hook, filter or monitor runs, and no path reaches into `.git` in any spelling
/// (hostile-inputs.md G3-G5). There is no depth: borrowed history costs nothing.
///
/// # Errors
/// See [`CheckoutError`].
pub fn checkout(request: &CheckoutRequest<'_>) -> Result<CheckoutReport, CheckoutError> {
    let into = request.into;
    let in_folder = |source| CheckoutError::Io {
        path: into.to_owned(),
        source,
    };
    let found = match fs::symlink_metadata(into) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(into).and_then(|()| fs::symlink_metadata(into))
        }
        found => found,
    };
    if !found.map_err(in_folder)?.is_dir() {
        return Err(CheckoutError::NotAFolder {
            path: into.to_owned(),
        });
    }
    let into = &into.canonicalize().map_err(in_folder)?;
    let source = request.source.canonicalize().map_err(|error| CheckoutError::Io {
        path: request.source.to_owned(),
        source: error,
    })?;
    let administration = request.administration;
    let in_administration = |source| CheckoutError::Io {
        path: administration.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(administration)
        .map_err(in_administration)?;
    let git_folder = &git_directory_in(administration);
    let mark = [
        source.as_os_str().as_encoded_bytes(),
        b"\0",
        into.as_os_str().as_encoded_bytes(),
    ]
    .concat();
    let reused = !request.clean && is_a_folder(&into.join(".git")) && is_ours(git_folder, &mark);
    let how = if reused {
        keep_only_index(git_folder).map_err(in_administration)?;
        "in the folder of an earlier build"
    } else {
        remove_what_is_at(git_folder).map_err(in_administration)?;
        make_room(into, &MARKS, request.clean).map_err(in_folder)?.shown()
    };
    write_git_folder(request, &source, git_folder).map_err(in_administration)?;
    mark_as_begun(into).map_err(in_folder)?;
    let command = request
        .git
        .command("read-tree")
        .repository(git_folder)
        .work_tree(into)
        .timeout(request.timeout)
        .args(["--reset", "-u", "--no-recurse-submodules"])
        .arg(request.revision.to_string());
    if let Err(error) = command.run_blocking() {
        return Err(if is_missing(request, git_folder) {
            CheckoutError::MissingRevision {
                revision: *request.revision,
            }
        } else {
            error.into()
        });
    }
    // Only now is the folder worth keeping for the next job.
    fs::write(git_folder.join(MARKER), mark).map_err(in_administration)?;
    put_in_place(administration, into).map_err(in_folder)?;
    let on = request
        .branch
        .map(|branch| format!(" of {branch}"))
        .unwrap_or_default();
    Ok(CheckoutReport {
        lines: vec![format!("checked out {}{on} {how}", request.revision)],
        reused,
    })
}

fn is_missing(request: &CheckoutRequest<'_>, git_folder: &Path) -> bool {
    let command = request
        .git
        .command("cat-file")
        .repository(git_folder)
        .timeout(request.timeout);
    let found = command
        .args(["-e", &format!("{}^{{tree}}", request.revision)])
        .run_blocking();
    matches!(found, Err(ProcessError::Failed { .. }))
}

/// The git directory that git works with.
pub(super) fn git_directory_in(administration: &Path) -> PathBuf {
    administration.join(GIT_DIRECTORY)
}

/// Makes `.git` of the work tree a copy of the git directory that git worked with; what is there is replaced.
///
/// The copy is made out of reach and appears at once, so that nobody can lead a part of it elsewhere.
pub(super) fn put_in_place(administration: &Path, work_tree: &Path) -> io::Result<()> {
    let (from, copy) = (git_directory_in(administration), administration.join(COPY));
    remove_what_is_at(&copy)?;
    for folder in ["objects/info", "refs/heads"] {
        fs::create_dir_all(copy.join(folder))?;
    }
    for name in [
        "config",
        "objects/info/alternates",
        "packed-refs",
        "shallow",
        "index",
        "HEAD",
    ] {
        match fs::copy(from.join(name), copy.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(name, "shallow" | "index") => {}
            copied => drop(copied?),
        }
    }
    if let Ok(index) = fs::metadata(from.join("index")) {
        // A file that is not older than the index is read by git once more: a younger index would miss changes.
        File::options()
            .write(true)
            .open(copy.join("index"))?
            .set_modified(index.modified()?)?;
    }
    let place = work_tree.join(".git");
    remove_what_is_at(&place)?;
    fs::rename(&copy, place)
}

/// Should git fail, its files are there in part: the next checkout is to find that this was to be one.
fn mark_as_begun(work_tree: &Path) -> io::Result<()> {
    match fs::create_dir(work_tree.join(".git")) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn remove_what_is_at(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) => remove(path, found.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_a_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn is_ours(git_folder: &Path, mark: &[u8]) -> bool {
    fs::read(git_folder.join(MARKER)).is_ok_and(|text| text == mark)
}

/// Removes everything of an earlier checkout but the index, which saves git from writing unchanged files again.
fn keep_only_index(git_folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(git_folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name() == "index" && kind.is_file() {
            continue;
        }
        remove(&entry.path(), kind)?;
    }
    Ok(())
}

fn write_git_folder(request: &CheckoutRequest<'_>, source: &Path, git_folder: &Path) -> io::Result<()> {
    fs::create_dir_all(git_folder.join("objects/info"))?;
    fs::create_dir_all(git_folder.join("refs/heads"))?;
    let mut alternates = path_line(&source.join("objects"));
    alternates.push(b'\n');
    fs::write(git_folder.join("objects/info/alternates"), alternates)?;
    fs::write(git_folder.join("config"), configuration(request, source))?;
    if source.join("shallow").is_file() {
        fs::copy(source.join("shallow"), git_folder.join("shallow"))?;
    }
    let mut refs = tags_of(source)?;
    let revision = request.revision.to_string();
    if let Some(branch) = request.branch {
        refs.insert(format!("refs/heads/{branch}").into_bytes(), revision.clone());
        refs.insert(
            format!("refs/remotes/origin/{branch}").into_bytes(),
            revision.clone(),
        );
    }
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for (name, id) in refs {
        packed.extend_from_slice(id.as_bytes());
        packed.push(b' ');
        packed.extend_from_slice(&name);
        packed.push(b'\n');
    }
    fs::write(git_folder.join("packed-refs"), packed)?;
    let head = request
        .branch
        .map_or(revision, |branch| format!("ref: refs/heads/{branch}"));
    fs::write(git_folder.join("HEAD"), head + "\n")
}

/// One line of `objects/info/alternates`: git reads a line that starts with a quote as a C string.
pub(super) fn path_line(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !bytes.contains(&b'\n') && !bytes.starts_with(b"\"") && !bytes.starts_with(b"#") {
        return bytes.to_vec();
    }
    let mut quoted = vec![b'"'];
    for &byte in bytes {
        match byte {
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', byte]),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

fn configuration(request: &CheckoutRequest<'_>, source: &Path) -> String {
    let (version, extensions) = if request.revision.is_sha256() {
        (1, "[extensions]\n\tobjectFormat = sha256\n")
    } else {
        (0, "")
    };
    let source = source.to_string_lossy();
    let origin = config_value(request.origin.unwrap_or(&source));
    let mut text = format!(
        "\
[core]
	repositoryformatversion = {version}
	filemode = true
	bare = false
	logallrefupdates = true
	protectNTFS = true
	protectHFS = true
{extensions}[gc]
	auto = 0
[advice]
	detachedHead = false
[submodule]
	recurse = false
[remote \"origin\"]
	url = {origin}
	fetch = +refs/heads/*:refs/remotes/origin/*
"
    );
    if let Some(branch) = request.branch {
        let name = config_value(branch.as_str());
        let merge = config_value(&format!("refs/heads/{branch}"));
        text.push_str(&format!(
            "[branch {name}]\n\tremote = origin\n\tmerge = {merge}\n"
        ));
    }
    text
}

/// A quoted value, or the quoted part of a section's name.
fn config_value(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

/// The tags of a repository, for `git describe`. Other kinds of storage than files have none here.
fn tags_of(source: &Path) -> io::Result<BTreeMap<Vec<u8>, String>> {
    let mut tags = BTreeMap::new();
    if let Ok(packed) = fs::read(source.join("packed-refs")) {
        for line in packed.split(|&byte| byte == b'\n') {
            let Some(space) = line.iter().position(|&byte| byte == b' ') else {
                continue;
            };
            let (id, name) = (&line[..space], &line[space + 1..]);
            if name.starts_with(b"refs/tags/") {
                add_tag(&mut tags, name.to_vec(), id);
            }
        }
    }
    add_loose_tags(&source.join("refs/tags"), b"refs/tags", &mut tags)?;
    Ok(tags)
}

fn add_loose_tags(folder: &Path, prefix: &[u8], tags: &mut BTreeMap<Vec<u8>, String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = [prefix, b"/", entry.file_name().as_encoded_bytes()].concat();
        if entry.file_type()?.is_dir() {
            add_loose_tags(&entry.path(), &name, tags)?;
        } else if let Ok(text) = fs::read(entry.path()) {
            add_tag(tags, name, text.trim_ascii_end());
        }
    }
    Ok(())
}

fn add_tag(tags: &mut BTreeMap<Vec<u8>, String>, name: Vec<u8>, id: &[u8]) {
    let id = std::str::from_utf8(id)
        .ok()
        .and_then(|id| ObjectId::parse(id).ok());
    if let (Some(id), Ok(_)) = (id, crate::name::RefName::from_bytes(&name)) {
        tags.insert(name, id.to_string());
    }
}
