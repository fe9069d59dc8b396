//! Hosted repositories: without files checked out, created in one step.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::name::ObjectId;
use crate::process::{HgProgram, ProcessError};

/// For a person who works in the folder by hand; the server itself reads no such file.
const NOTE: &str = "\
# This repository belongs to a Madake server, which reads no configuration here.
# Push to the server instead of committing here: it finds such changes only when it compares.
[phases]
publish = true
";

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
    /// Mercurial refused.
    #[error(transparent)]
    Hg(#[from] ProcessError),
}

/// Creates an empty repository at the absolute path `path`.
///
/// It publishes what is pushed to it, and has no working files. The folder appears complete or not at all: it is made
/// beside `path` and renamed. Missing parents are created.
///
/// # Errors
/// [`HostError::Exists`] if anything is there; the file system's and hg's refusals.
pub async fn create_repository(hg: &HgProgram, path: &Path) -> Result<(), HostError> {
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
        let command = hg.command("hg init").arg("--").arg(&unfinished);
        command.timeout(Duration::from_secs(30)).run().await?;
        fs::write(unfinished.join(".hg/hgrc"), NOTE).map_err(io)?;
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

/// What tells one repository from an unrelated one of the same name: the id of its first commit. None while it is
/// empty.
///
/// # Errors
/// Mercurial's failure.
pub async fn identity(hg: &HgProgram, path: &Path) -> Result<Option<ObjectId>, ProcessError> {
    let command = hg.command("hg log").repository(path);
    let output = command.args(["-r", "first(all())", "-T", "{node}"]).run().await?;
    Ok(ObjectId::parse(String::from_utf8_lossy(&output.stdout).trim()).ok())
}

/// Undoes a transaction that was broken off by a crash, if there is one; until then hg refuses every other.
///
/// A transaction that is under way is waited for and left alone.
///
/// # Errors
/// Mercurial's failure.
pub async fn recover(hg: &HgProgram, path: &Path) -> Result<(), ProcessError> {
    if !path.join(".hg/store/journal").exists() {
        return Ok(());
    }
    let command = hg.command("hg recover").repository(path).arg("--no-verify");
    let outcome = command.timeout(Duration::from_secs(600)).run().await;
    match outcome {
        // There was nothing to undo any more.
        Err(ProcessError::Failed { code: Some(1), .. }) => Ok(()),
        outcome => {
            outcome?;
            tracing::warn!(
                "undid a transaction in {} that a crash had broken off",
                path.display()
            );
            Ok(())
        }
    }
}

/// A name beside `path` that no other creation of this machine uses.
fn unfinished_path(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}.{number}.new", std::process::id()))
}
