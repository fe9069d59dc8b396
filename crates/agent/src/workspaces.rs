//! Working directories that nobody comes back to, and the git directories beside them (`NAME.checkouts`): they go
//! together.
//!
//! They are moved out of the way first, which is quick, and removed then, which may take long: a job that begins meanwhile
//! finds either its folder or none.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::supervisor::clean;

/// What a working directory's name ends with where git's own directories for it are.
pub(crate) const CHECKOUTS: &str = ".checkouts";
/// What the name of a folder begins with that was moved out of the way. No working directory is called so.
const SET_ASIDE: &str = ".gone-";

/// The folders below `slot` that may go: working directories that `is_needed` does not name, the git directories beside
/// them, and git directories whose working directory is gone.
///
/// # Errors
/// When the folder cannot be read.
pub fn unneeded(slot: &Path, is_needed: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let mut all = names(slot)?;
    all.retain(|name| match name.strip_suffix(CHECKOUTS) {
        _ if name.starts_with(SET_ASIDE) => false,
        Some(workspace) => !slot.join(workspace).is_dir() || !is_needed(workspace),
        None => !is_needed(name),
    });
    Ok(all)
}

/// Moves folders below `slot` out of the way. No job may run there, nor begin, until this returns.
///
/// # Errors
/// When one cannot be moved.
pub fn set_aside(slot: &Path, folders: &[String]) -> io::Result<()> {
    for name in folders {
        fs::rename(slot.join(name), free_name(slot, name))?;
    }
    Ok(())
}

/// Removes what was moved out of the way, also by an earlier server. Jobs may run meanwhile.
///
/// # Errors
/// When something cannot be removed; the rest is.
pub fn remove_set_aside(slot: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for name in names(slot)? {
        if name.starts_with(SET_ASIDE) {
            let folder = slot.join(&name);
            // A job may have closed its own folder.
            let removed = fs::set_permissions(&folder, Permissions::from_mode(0o700))
                .and_then(|()| clean::empty(&folder))
                .and_then(|()| fs::remove_dir(&folder));
            result = result.and(removed);
        }
    }
    result
}

/// The folders there, without links and files.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // A name that is no text is not one that we gave.
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// A place for it that is free: one of this name may wait for its removal still.
fn free_name(slot: &Path, name: &str) -> PathBuf {
    let mut number = 0_u32;
    loop {
        let place = slot.join(format!("{SET_ASIDE}{number}-{name}"));
        if place.symlink_metadata().is_err() {
            return place;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_directories_go_with_their_git_directories_and_needed_ones_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let slot = folder.path().join("1");
        assert!(unneeded(&slot, |_| false).expect("nothing there").is_empty());
        for path in [
            "P-NEEDED-JOB1/src",
            "P-NEEDED-JOB1.checkouts/abc/objects",
            "P-OLD-JOB1/src",
            "P-OLD-JOB1.checkouts/abc",
            "P-NEEDED-LOST.checkouts/abc",
            ".gone-0-P-OLD-JOB1/read-only",
        ] {
            fs::create_dir_all(slot.join(path)).expect("a folder");
        }
        fs::write(slot.join("a file"), "").expect("a file");
        std::os::unix::fs::symlink("P-NEEDED-JOB1", slot.join("P-OLD-LINK")).expect("a link");
        let is_needed = |name: &str| name.starts_with("P-NEEDED-");
        let gone = unneeded(&slot, is_needed).expect("a list");
        assert_eq!(gone.len(), 3, "{gone:?}");
        set_aside(&slot, &gone).expect("moved");
        assert!(!slot.join("P-OLD-JOB1").exists());
        remove_set_aside(&slot).expect("removed");
        let mut left: Vec<_> = fs::read_dir(&slot)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["P-NEEDED-JOB1", "P-NEEDED-JOB1.checkouts", "P-OLD-LINK", "a file"]
        );
        assert!(slot.join("P-NEEDED-JOB1.checkouts/abc/objects").exists());
        assert!(unneeded(&slot, is_needed).expect("a list").is_empty());
    }
}
