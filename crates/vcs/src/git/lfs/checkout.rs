//! Puts the files of Git LFS into a checkout, by the git-lfs of this machine. Without tokio, as the checkout itself.
//!
//! The content comes from the repository that the checkout borrows from. Nothing is asked of a network: what a commit
//! says about servers (`.lfsconfig`) takes no part.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pointer::LONGEST;
use super::{LfsObjects, Pointer};
use crate::git::checkout::{git_directory_in, put_in_place};
use crate::git::shell_word;
use crate::process::{GitCommand, GitProgram, ProcessError};
use crate::text::display_line;

/// Files that a line of the log names.
const NAMED: usize = 5;

/// A checkout that [`fill`] works on.
#[derive(Clone, Debug)]
pub struct FillRequest<'a> {
    /// The git program.
    pub git: &'a GitProgram,
    /// The git-lfs program; none if this machine has none.
    pub git_lfs: Option<&'a Path>,
    /// The git directory that the checkout borrows from.
    pub source: &'a Path,
    /// The work tree.
    pub work_tree: &'a Path,
    /// The folder for the git directory of the checkout, as its request named it.
    pub administration: &'a Path,
    /// How long git may take, for each of a few runs.
    pub timeout: Duration,
}

/// The git-lfs of this machine: a program of that name on the `PATH`.
#[must_use]
pub fn find_git_lfs() -> Option<PathBuf> {
    let list = std::env::var_os("PATH")?;
    std::env::split_paths(&list)
        .map(|folder| folder.join("git-lfs"))
        .find(|file| file.is_absolute() && file.is_file())
}

/// Replaces pointer files by their content, where the source has it; returns lines for the log of the job.
///
/// A file whose content is missing stays a pointer, and a line says so. Without git-lfs all of them do.
///
/// # Errors
/// Git's failure; a configuration that cannot be written.
pub fn fill(request: &FillRequest<'_>) -> Result<Vec<String>, ProcessError> {
    let objects = LfsObjects::of(request.source);
    // Asking git costs a process: only where there is reason to.
    if !objects.any() && !mentions_lfs(&request.work_tree.join(".gitattributes")) {
        return Ok(Vec::new());
    }
    let listed = command(request, "ls-files")
        .args(["-z", "--", ":(attr:filter=lfs)"])
        .run_blocking()?
        .stdout;
    let tracked: Vec<&[u8]> = listed
        .split(|&byte| byte == 0)
        .filter(|path| !path.is_empty())
        .collect();
    if tracked.is_empty() {
        return Ok(Vec::new());
    }
    let pointers = pointers_of(request.work_tree, &tracked);
    let Some(git_lfs) = request.git_lfs else {
        return Ok(if pointers.is_empty() {
            Vec::new()
        } else {
            vec![format!(
                "Git LFS: {}, because git-lfs is not installed on this agent: {}",
                stay(pointers.len()),
                names(&pointers)
            )]
        });
    };
    // Scripts of the job ask git for changes: without the filter each of these files would be one.
    let git_folder = git_directory_in(request.administration);
    append_filter(&git_folder, git_lfs)?;
    let (extended, plain): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|(_, pointer)| pointer.extended);
    let (there, missing): (Vec<_>, Vec<_>) = plain.into_iter().partition(|(_, pointer)| {
        objects
            .size_of(&pointer.id)
            .is_ok_and(|size| size == Some(pointer.size))
    });
    let mut lines = Vec::new();
    let failed = replace_pointers(request, git_lfs, &there)?;
    put_in_place(request.administration, request.work_tree).map_err(|source| ProcessError::Io {
        subcommand: "checkout-index",
        source,
    })?;
    if there.len() > failed.len() {
        lines.push(format!(
            "Git LFS: {} put in place",
            files(there.len() - failed.len())
        ));
    }
    for (left, reason) in [
        (missing, "because the content is not in the repository"),
        (extended, "because of the extensions of git-lfs that are needed"),
        (failed, "because git-lfs does not put the content in place"),
    ] {
        if !left.is_empty() {
            lines.push(format!(
                "Git LFS: {}, {reason}: {}",
                stay(left.len()),
                names(&left)
            ));
        }
    }
    Ok(lines)
}

/// Replaces these pointers by their content; gives those that git-lfs left as they are.
fn replace_pointers<'a>(
    request: &FillRequest<'_>,
    git_lfs: &Path,
    there: &[(&'a [u8], Pointer)],
) -> Result<Vec<(&'a [u8], Pointer)>, ProcessError> {
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for (path, _) in there {
        // Git leaves a file alone that is as the index has it, and a pointer is.
        let _ = fs::remove_file(request.work_tree.join(as_path(path)));
        paths.extend_from_slice(path);
        paths.push(0);
    }
    let filter = format!("{} filter-process", word(git_lfs));
    let filled = write_out(request, &paths).setting("filter.lfs.process", filter);
    match filled.run_blocking() {
        Ok(_) => {}
        // A git-lfs that dies before it has greeted takes git with it: what is left are the pointers.
        Err(ProcessError::Failed { .. }) => {
            let unfiltered = write_out(request, &paths).setting("filter.lfs.process", "");
            unfiltered.setting("filter.lfs.smudge", "").run_blocking()?;
        }
        Err(error) => return Err(error),
    }
    let paths: Vec<&[u8]> = there.iter().map(|(path, _)| *path).collect();
    Ok(pointers_of(request.work_tree, &paths))
}

/// Writes files of the index out anew.
fn write_out(request: &FillRequest<'_>, paths: &[u8]) -> GitCommand {
    command(request, "checkout-index")
        // What git-lfs does not make of a pointer is for the log and no reason to have no checkout at all.
        .setting("filter.lfs.required", "false")
        // All of them are at hand. Should one vanish meanwhile, no server is asked that a commit names.
        .setting("lfs.url", "file:///nonexistent")
        .args(["--force", "--index", "-z", "--stdin"])
        .input(paths.to_vec())
}

fn command(request: &FillRequest<'_>, subcommand: &'static str) -> GitCommand {
    request
        .git
        .command(subcommand)
        .repository(&git_directory_in(request.administration))
        .work_tree(request.work_tree)
        .timeout(request.timeout)
}

/// Whether an attributes file has anything to do with Git LFS. One that cannot be read has not.
fn mentions_lfs(attributes: &Path) -> bool {
    let is_file = fs::symlink_metadata(attributes).is_ok_and(|found| found.is_file());
    let wanted = b"filter=lfs";
    is_file && fs::read(attributes).is_ok_and(|text| text.windows(wanted.len()).any(|part| part == wanted))
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Those of the files that are pointers.
fn pointers_of<'a>(work_tree: &Path, tracked: &[&'a [u8]]) -> Vec<(&'a [u8], Pointer)> {
    tracked
        .iter()
        .filter_map(|path| Some((*path, pointer_in(&work_tree.join(as_path(path)))?)))
        .collect()
}

fn pointer_in(file: &Path) -> Option<Pointer> {
    let found = fs::symlink_metadata(file).ok()?;
    if !found.is_file() || found.len() >= LONGEST as u64 {
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|file| file.take(LONGEST as u64).read_to_end(&mut bytes))
        .ok()?;
    Pointer::parse(&bytes)
}

fn append_filter(git_folder: &Path, git_lfs: &Path) -> Result<(), ProcessError> {
    let program = word(git_lfs).replace('\\', r"\\").replace('"', "\\\"");
    let text = format!(
        "[filter \"lfs\"]\n\tclean = \"{program} clean -- %f\"\n\tsmudge = \"{program} smudge -- %f\"\n\
         \tprocess = \"{program} filter-process\"\n\trequired = true\n"
    );
    let appended = fs::OpenOptions::new()
        .append(true)
        .open(git_folder.join("config"))
        .and_then(|mut file| file.write_all(text.as_bytes()));
    appended.map_err(|source: io::Error| ProcessError::Io {
        subcommand: "checkout-index",
        source,
    })
}

fn word(program: &Path) -> String {
    shell_word(&program.to_string_lossy())
}

fn files(count: usize) -> String {
    if count == 1 {
        "1 file".into()
    } else {
        format!("{count} files")
    }
}

fn stay(count: usize) -> String {
    if count == 1 {
        "1 file stays a pointer".into()
    } else {
        format!("{count} files stay pointers")
    }
}

fn names(pointers: &[(&[u8], Pointer)]) -> String {
    let mut shown: Vec<String> = pointers
        .iter()
        .take(NAMED)
        .map(|(path, _)| display_line(&String::from_utf8_lossy(path), 200))
        .collect();
    if pointers.len() > NAMED {
        shown.push(format!("and {} more", pointers.len() - NAMED));
    }
    shown.join(", ")
}
