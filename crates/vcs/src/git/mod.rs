//! Git: hosting, serving, reading, mirroring, checking out, and hooks in repositories of others.

pub mod checkout;
pub mod hook;
pub mod host;
pub mod job_push;
pub mod lfs;
pub mod mirror;
pub mod mirror_push;
pub mod read;
pub mod smart_http;
pub mod snapshot;
pub mod ssh;

use std::path::{Path, PathBuf};

/// Checks of `git fsck` that old but honest history fails; everything else it finds refuses a push or a fetch.
const LEGACY_FSCK_CHECKS: [&str; 7] = [
    "zeroPaddedFilemode",
    "badTimezone",
    "missingSpaceBeforeDate",
    "zeroPaddedDate",
    "badDateOverflow",
    "missingNameBeforeEmail",
    "missingSpaceBeforeEmail",
];

/// The git directory of the repository at `path`: `path` itself if it is bare, its `.git` otherwise (a `.git` file of
/// a linked work tree is followed). None if there is no repository.
#[must_use]
pub fn git_directory(path: &Path) -> Option<PathBuf> {
    let looks_like_one = |folder: &Path| folder.join("HEAD").is_file() && folder.join("objects").is_dir();
    let dot_git = path.join(".git");
    if looks_like_one(&dot_git) {
        return Some(dot_git);
    }
    if let Ok(text) = std::fs::read_to_string(&dot_git)
        && let Some(target) = text.strip_prefix("gitdir: ")
    {
        let target = path.join(target.trim_end());
        return target.join("HEAD").is_file().then_some(target);
    }
    looks_like_one(path).then(|| path.to_owned())
}

/// `text` as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
