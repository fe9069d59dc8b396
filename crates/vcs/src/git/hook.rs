//! Our `post-receive` hook in attached repositories: beside what is there, never over it.
//!
//! A hook of the owner keeps its bytes, its mode and its folder; only its name gets a suffix, and our script runs it
//! first, with the same input, arguments and environment, and ends with its exit code. Where the owner's hook depends
//! on its name, it is left alone: a `post-receive.d` folder gets an entry, everything else is refused with a reason.
//! Pushes that the hook misses are found by comparing refs.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{git_directory, shell_word};
use crate::process::{GitProgram, ProcessError};

/// In the second line of every script of ours.
const MARK: &str = "# madake: post-receive hook, version 1";

/// Longest hook of somebody else that is looked into, in bytes.
const MAX_HOOK_BYTES: u64 = 1024 * 1024;

/// What the hook script calls.
#[derive(Clone, Debug)]
pub struct HookTarget<'a> {
    /// The absolute path of the `madake` program.
    pub program: &'a Path,
    /// The home directory of the server.
    pub home: &'a Path,
    /// The repository, as the server knows it.
    pub repository: &'a str,
}

/// Whether our hook is in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// It is not.
    NotInstalled,
    /// It is, alone.
    Installed,
    /// It is, beside the owner's: the name of the file or folder in the hooks folder.
    InstalledBeside(String),
}

/// Why a hook could not be installed, or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HookError {
    /// There is no repository.
    #[error("there is no git repository at {0}")]
    NoRepository(PathBuf),
    /// The owner's hook would not work under another name.
    #[error(
        "the hook {path} depends on its own name, so it cannot stand beside ours: add this line to it instead: {line}"
    )]
    DependsOnItsName {
        /// The owner's hook.
        path: PathBuf,
        /// What hands a push to the server; it reads the lines of the push from standard input.
        line: String,
    },
    /// Several repositories share the folder and another of them has our hook there.
    #[error(
        "the hooks folder {path} is shared and has our hook for another repository: pushes are found by comparing refs"
    )]
    Shared {
        /// The hooks folder.
        path: PathBuf,
    },
    /// A path or name that a script cannot hold.
    #[error("{0} cannot stand in a script: it is not UTF-8 or has a line feed")]
    Unquotable(String),
    /// The file system refused.
    #[error("cannot change {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Git refused.
    #[error(transparent)]
    Git(#[from] ProcessError),
}

/// Installs our hook in the repository at `repository` (bare, or a work tree), or brings it up to date.
///
/// # Errors
/// See [`HookError`]; the repository is then as it was.
pub fn install_hook(
    git: &GitProgram,
    repository: &Path,
    target: &HookTarget<'_>,
) -> Result<HookState, HookError> {
    let place = Place::of(git, repository)?;
    fs::create_dir_all(&place.hooks).map_err(|source| place.io(source))?;
    match place.state()? {
        HookState::Installed => {
            place.require_same_repository(&place.hook)?;
            place.write(&place.hook, &script(&place, target, None)?)?;
        }
        HookState::InstalledBeside(name) if name == "post-receive.d" => {
            place.require_same_repository(&place.entry)?;
            place.write(&place.entry, &script(&place, target, None)?)?;
        }
        HookState::InstalledBeside(name) => {
            place.require_same_repository(&place.hook)?;
            place.write(&place.hook, &script(&place, target, Some(&name))?)?;
        }
        HookState::NotInstalled => place.install(target)?,
    }
    place.state()
}

/// Takes our hook out again; the owner's is back byte for byte. Without our hook nothing happens.
///
/// # Errors
/// See [`HookError`].
pub fn uninstall_hook(git: &GitProgram, repository: &Path) -> Result<(), HookError> {
    let place = Place::of(git, repository)?;
    let change = match place.state()? {
        HookState::NotInstalled => return Ok(()),
        HookState::Installed => fs::remove_file(&place.hook),
        HookState::InstalledBeside(name) if name == "post-receive.d" => fs::remove_file(&place.entry),
        HookState::InstalledBeside(name) => fs::rename(place.hooks.join(name), &place.hook),
    };
    change.map_err(|source| place.io(source))
}

/// Whether our hook is in the repository.
///
/// # Errors
/// See [`HookError`].
pub fn hook_state(git: &GitProgram, repository: &Path) -> Result<HookState, HookError> {
    Place::of(git, repository)?.state()
}

/// Where the hooks of a repository are.
struct Place {
    git_directory: PathBuf,
    hooks: PathBuf,
    hook: PathBuf,
    entry: PathBuf,
}

impl Place {
    fn of(git: &GitProgram, repository: &Path) -> Result<Self, HookError> {
        let none = || HookError::NoRepository(repository.to_owned());
        let git_directory = git_directory(repository).ok_or_else(none)?;
        let git_directory = git_directory.canonicalize().map_err(|_| none())?;
        // Our own `core.hooksPath` must not hide the one of the repository, so that is asked for by name.
        let command = git
            .command("config")
            .repository(&git_directory)
            .timeout(Duration::from_secs(10));
        let asked = command
            .args(["--local", "--includes", "--type=path", "--get", "core.hooksPath"])
            .run_blocking();
        let configured = match asked {
            Ok(output) => Some(
                String::from_utf8_lossy(&output.stdout)
                    .trim_end_matches('\n')
                    .to_owned(),
            ),
            Err(ProcessError::Failed { code: Some(1), .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let hooks = match configured.filter(|path| !path.is_empty()) {
            // Git runs post-receive in the git directory, and reads a relative path from there.
            Some(path) => git_directory.join(path),
            None => common_directory(&git_directory).join("hooks"),
        };
        let (hook, entry) = (hooks.join("post-receive"), hooks.join("post-receive.d/madake"));
        Ok(Self {
            git_directory,
            hooks,
            hook,
            entry,
        })
    }

    fn state(&self) -> Result<HookState, HookError> {
        if let Some(text) = self.read_script(&self.hook)?
            && is_ours(&text)
        {
            let kept = text
                .lines()
                .find_map(|line| line.strip_prefix("kept=")?.strip_prefix('\'')?.strip_suffix('\''));
            return Ok(
                match kept.filter(|name| !name.is_empty() && self.hooks.join(name).exists()) {
                    Some(name) => HookState::InstalledBeside(name.to_owned()),
                    None => HookState::Installed,
                },
            );
        }
        if self.read_script(&self.entry)?.is_some_and(|text| is_ours(&text)) {
            return Ok(HookState::InstalledBeside("post-receive.d".into()));
        }
        Ok(HookState::NotInstalled)
    }

    fn install(&self, target: &HookTarget<'_>) -> Result<(), HookError> {
        if fs::symlink_metadata(&self.hook).is_err() {
            return self.write(&self.hook, &script(self, target, None)?);
        }
        let owners = self.read_script(&self.hook)?;
        let depends_on_name = owners
            .as_ref()
            .is_none_or(|text| text.contains("basename") || text.contains("##*/"));
        let has_entries = self.hooks.join("post-receive.d").is_dir();
        if has_entries && owners.is_some_and(|text| text.contains(".d")) {
            return self.write(&self.entry, &script(self, target, None)?);
        }
        if depends_on_name {
            let line = format!("{} <&0", call(target)?);
            return Err(HookError::DependsOnItsName {
                path: self.hook.clone(),
                line,
            });
        }
        let name = self.free_name();
        let script = script(self, target, Some(&name))?;
        // A second name first, then ours over the first: at no moment is there no hook.
        fs::hard_link(&self.hook, self.hooks.join(&name)).map_err(|source| self.io(source))?;
        let written = self.write(&self.hook, &script);
        if written.is_err() {
            // The first name still is the owner's hook.
            let _ = fs::remove_file(self.hooks.join(&name));
        }
        written
    }

    fn free_name(&self) -> String {
        let taken = |name: &String| fs::symlink_metadata(self.hooks.join(name)).is_ok();
        let numbered = (2..).map(|number| format!("post-receive.local{number}"));
        std::iter::once("post-receive.local".to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or_default()
    }

    /// `None` if there is none, or if it is no script that can be looked into.
    fn read_script(&self, path: &Path) -> Result<Option<String>, HookError> {
        let io = |source| HookError::Io {
            path: path.to_owned(),
            source,
        };
        match fs::metadata(path) {
            Ok(found) if found.is_file() && found.len() <= MAX_HOOK_BYTES => {}
            Ok(_) => return Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(io(error)),
        }
        Ok(String::from_utf8(fs::read(path).map_err(io)?).ok())
    }

    /// One folder may serve many repositories (`core.hooksPath`); our script serves one.
    fn require_same_repository(&self, script: &Path) -> Result<(), HookError> {
        let own_folder = self.hooks.starts_with(common_directory(&self.git_directory));
        let ours = format!("git_directory={}", shell_word(&quotable(&self.git_directory)?));
        let text = self.read_script(script)?.unwrap_or_default();
        if own_folder || text.lines().any(|line| line == ours) {
            return Ok(());
        }
        Err(HookError::Shared {
            path: self.hooks.clone(),
        })
    }

    /// Puts a script in place as a whole.
    fn write(&self, path: &Path, text: &str) -> Result<(), HookError> {
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o755)
            .open(&unfinished)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.set_permissions(fs::Permissions::from_mode(0o755))?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            // It never existed as a hook.
            let _ = fs::remove_file(&unfinished);
        }
        written.map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> HookError {
        HookError::Io {
            path: self.hooks.clone(),
            source,
        }
    }
}

fn is_ours(text: &str) -> bool {
    text.lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("# madake: post-receive hook"))
}

/// A linked work tree shares the hooks of its repository.
fn common_directory(git_directory: &Path) -> PathBuf {
    match fs::read_to_string(git_directory.join("commondir")) {
        Ok(common) => git_directory.join(common.trim_end()),
        Err(_) => git_directory.to_owned(),
    }
}

fn quotable(path: &Path) -> Result<String, HookError> {
    path.to_str()
        .filter(|text| !text.contains(['\n', '\r', '\0']))
        .map(ToOwned::to_owned)
        .ok_or_else(|| HookError::Unquotable(crate::text::display_line(&path.to_string_lossy(), 200)))
}

fn call(target: &HookTarget<'_>) -> Result<String, HookError> {
    let word = |path| Ok::<_, HookError>(shell_word(&quotable(path)?));
    let (program, home) = (word(target.program)?, word(target.home)?);
    let repository = word(Path::new(target.repository))?;
    Ok(format!(
        "{program} hook receive --home={home} --repository={repository}"
    ))
}

fn script(place: &Place, target: &HookTarget<'_>, kept: Option<&str>) -> Result<String, HookError> {
    let git_directory = shell_word(&quotable(&place.git_directory)?);
    let program = shell_word(&quotable(target.program)?);
    let call = call(target)?;
    let kept = kept.unwrap_or_default();
    Ok(format!(
        r#"#!/bin/sh
{MARK}
# It tells the Madake server what was pushed, and never makes a push fail or wait long.
# If this repository had a hook of its own, that is the file named below, in this folder; change it there.
# `madake hook remove` takes this file out and gives the other one its name back.
kept='{kept}'
git_directory={git_directory}
lines=$(cat)
status=0
if [ -n "$kept" ] && [ -x "${{0%/*}}/$kept" ]; then
	{{ printf '%s\n' "$lines" 2>/dev/null; }} | "${{0%/*}}/$kept" "$@"
	status=$?
fi
here=$(cd "${{GIT_DIR:-.}}" 2>/dev/null && pwd -P)
if [ "$here" = "$git_directory" ] && [ -x {program} ]; then
	# A limit from outside as well, where the system has the means.
	limit=
	if command -v timeout >/dev/null 2>&1; then limit='timeout -k 1 5'; fi
	{{ printf '%s\n' "$lines" 2>/dev/null; }} | $limit {call} 2>/dev/null
fi
exit $status
"#
    ))
}
