//! Being told of pushes to attached repositories, without a change to their `.hg/hgrc`.
//!
//! Mercurial has no folder of hooks: hooks stand in configuration, and whoever serves the push reads it. So we write
//! two files of our own, a configuration and the script that it names, and whoever serves the repository includes the
//! first: for all repositories of the machine by a link in `/etc/mercurial/hgrc.d/`, for one by the line
//! `%include` that is shown to its owner. (Mercurial runs such a hook only if the user who pushes trusts the owner of
//! the including file, see `hg help config.trusted`.)
//!
//! The script says no more than "look at this repository": the server compares heads. It never makes a push fail or
//! wait, and pushes that it misses are found by the same comparison.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::is_repository;

/// What the hook script calls.
#[derive(Clone, Debug)]
pub struct HookTarget<'a> {
    /// The absolute path of the `madake` program.
    pub program: &'a Path,
    /// The home directory of the server.
    pub home: &'a Path,
}

/// A repository of which the server wants to be told.
#[derive(Clone, Debug)]
pub struct AttachedRepository<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The repository, as the server knows it.
    pub name: &'a str,
}

/// The files of the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFiles {
    /// The configuration.
    pub configuration: PathBuf,
    /// The script that it names.
    pub script: PathBuf,
    /// The line for the `.hg/hgrc` of a repository whose owner wants to include it there.
    pub include_line: String,
}

/// Why the hook could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HookError {
    /// There is no repository.
    #[error("there is no Mercurial repository at {0}")]
    NoRepository(PathBuf),
    /// A path or name that a script cannot hold.
    #[error("{0} cannot stand in a script: it is not UTF-8 or has a line feed or a dollar or percent sign")]
    Unquotable(String),
    /// The file system refused.
    #[error("cannot change {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Writes the configuration and the script for all attached repositories into `folder`, or brings them up to date.
///
/// # Errors
/// See [`HookError`].
pub fn write_hook(
    folder: &Path,
    target: &HookTarget<'_>,
    repositories: &[AttachedRepository<'_>],
) -> Result<HookFiles, HookError> {
    let configuration = folder.join("madake.rc");
    let script = folder.join("madake-hook");
    let include_line = format!("%include {}", without_meaning(&configuration)?);
    let script_text = script_text(target, repositories)?;
    let configuration_text = configuration_text(&script)?;
    let made = fs::create_dir_all(folder);
    made.map_err(|source| HookError::Io {
        path: folder.to_owned(),
        source,
    })?;
    // The script first: the configuration never names one that is not there.
    write(&script, &script_text, 0o755)?;
    write(&configuration, &configuration_text, 0o644)?;
    Ok(HookFiles {
        configuration,
        script,
        include_line,
    })
}

/// The configuration that runs the script.
///
/// # Errors
/// [`HookError::Unquotable`].
pub fn configuration_text(script: &Path) -> Result<String, HookError> {
    let script = shell_word(&without_meaning(script)?);
    Ok(format!(
        "\
# Tells the Madake server to look at a repository after a push; it never makes a push fail or wait.
# To be included by whoever serves the repository: the server does not change the configuration of others.
[hooks]
txnclose.madake = {script}
"
    ))
}

/// The script: Mercurial runs it in the root of the repository that was pushed to.
///
/// # Errors
/// [`HookError::NoRepository`], [`HookError::Unquotable`].
pub fn script_text(
    target: &HookTarget<'_>,
    repositories: &[AttachedRepository<'_>],
) -> Result<String, HookError> {
    let program = shell_word(&quotable(target.program)?);
    let home = shell_word(&quotable(target.home)?);
    let mut cases = String::new();
    for repository in repositories {
        let path = repository.path;
        if !is_repository(path) {
            return Err(HookError::NoRepository(path.to_owned()));
        }
        let path = path
            .canonicalize()
            .map_err(|_| HookError::NoRepository(path.to_owned()))?;
        let path = shell_word(&quotable(&path)?);
        let name = shell_word(&quotable(Path::new(repository.name))?);
        cases.push_str(&format!("{path}) name={name} ;;\n"));
    }
    Ok(format!(
        r#"#!/bin/sh
# madake: hook for Mercurial, version 1
# It tells the Madake server to look at this repository. An empty message means: compare the heads.
case "$(pwd -P)" in
{cases}*) exit 0 ;;
esac
if [ -x {program} ]; then
	# A limit from outside as well, where the system has the means. In the background: nobody waits for it.
	limit=
	if command -v timeout >/dev/null 2>&1; then limit='timeout -k 1 5'; fi
	$limit {program} hook receive --home={home} --repository="$name" </dev/null >/dev/null 2>&1 &
fi
exit 0
"#
    ))
}

/// Puts a file in place as a whole.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), HookError> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // It never had its name.
        let _ = fs::remove_file(&unfinished);
    }
    written.map_err(|source| HookError::Io {
        path: path.to_owned(),
        source,
    })
}

/// A path that configuration reads as it is: Mercurial expands variables in it.
fn without_meaning(path: &Path) -> Result<String, HookError> {
    let text = quotable(path)?;
    match text.contains(['$', '%']) {
        true => Err(HookError::Unquotable(crate::text::display_line(&text, 200))),
        false => Ok(text),
    }
}

fn quotable(path: &Path) -> Result<String, HookError> {
    path.to_str()
        .filter(|text| !text.contains(['\n', '\r', '\0']))
        .map(ToOwned::to_owned)
        .ok_or_else(|| HookError::Unquotable(crate::text::display_line(&path.to_string_lossy(), 200)))
}

/// `text` as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
