//! Hosted repositories: bare, created in one step, with a configuration that runs no hook and loses no push.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::LEGACY_FSCK_CHECKS;
use crate::name::BranchName;
use crate::process::{GitProgram, ProcessError};

/// Refs below this are the server's own: no client sees or moves them.
pub const INTERNAL_REFS: &str = "refs/madake";

/// Why a repository could not be created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// Something is at the path already.
    #[error("there is something at {path} already: choose another name or attach the repository")]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Git refused.
    #[error(transparent)]
    Git(#[from] ProcessError),
}

/// Creates an empty bare repository at `path`, its `HEAD` at `initial_branch`.
///
/// The folder appears complete or not at all: it is made beside `path` and renamed. Missing parents are created.
///
/// # Errors
/// [`HostError::Exists`] if anything is there; the file system's and git's refusals.
pub async fn create_repository(
    git: &GitProgram,
    path: &Path,
    initial_branch: &BranchName,
) -> Result<(), HostError> {
    create_bare(git, path, initial_branch, &hosted_configuration()).await
}

/// Makes `branch` the one that a clone checks out, whether or not it exists yet.
///
/// # Errors
/// Git's refusal.
pub async fn set_head_branch(
    git: &GitProgram,
    git_directory: &Path,
    branch: &BranchName,
) -> Result<(), ProcessError> {
    git.command("symbolic-ref")
        .repository(git_directory)
        .args(["HEAD", branch.ref_name().as_str()])
        .timeout(Duration::from_secs(30))
        .run()
        .await?;
    Ok(())
}

/// The work of [`create_repository`] with another configuration.
pub(super) async fn create_bare(
    git: &GitProgram,
    path: &Path,
    initial_branch: &BranchName,
    configuration: &str,
) -> Result<(), HostError> {
    let io = |source| HostError::Io {
        path: path.to_owned(),
        source,
    };
    if fs::symlink_metadata(path).is_ok() {
        return Err(HostError::Exists {
            path: path.to_owned(),
        });
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(io)?;
    let unfinished = unfinished_path(path);
    let made = async {
        git.command("init")
            .args(["--quiet", "--bare", "--template=", "--object-format=sha1"])
            .arg(format!("--initial-branch={initial_branch}"))
            .arg("--")
            .arg(&unfinished)
            .directory(parent)
            .timeout(Duration::from_secs(30))
            .run()
            .await?;
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(unfinished.join("config"))
            .map_err(io)?;
        file.write_all(configuration.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        // A folder cannot be renamed onto a folder that has something in it, so a race has one winner.
        fs::rename(&unfinished, path).map_err(io)?;
        fs::File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    }
    .await;
    if made.is_err() {
        // Best effort: what stays is a hidden folder that nothing refers to.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

/// A name beside `path` that no other creation of this machine uses.
fn unfinished_path(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}.{number}.new", std::process::id()))
}

fn hosted_configuration() -> String {
    let mut text = format!(
        "\
[core]
	# Nothing can be put into a device: no hook ever runs here.
	hooksPath = /dev/null
	logAllRefUpdates = true
	fsync = committed,loose-object,reference
	fsyncMethod = batch
	protectNTFS = true
	protectHFS = true
[gc]
	# The server maintains its repositories itself, outside pushes.
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
	updateServerInfo = false
	advertisePushOptions = true
	denyDeleteCurrent = refuse
	fsckObjects = true
[uploadpack]
	allowFilter = true
[http]
	receivepack = true
[transfer]
	hideRefs = {INTERNAL_REFS}
[receive \"fsck\"]
"
    );
    for check in LEGACY_FSCK_CHECKS {
        text.push_str(&format!("\t{check} = ignore\n"));
    }
    text
}
