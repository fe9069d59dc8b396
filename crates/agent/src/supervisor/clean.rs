//! Empties a folder, never following a symlink out of it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes all that is in the folder, and makes the folder when it is missing. Folders that a build made
/// read-only (as module caches are) are opened first.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_folders(&path)?;
                remove(&path)?;
            }
            done => done?,
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

fn open_folders(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        open_folders(&entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn folder_is_emptied_and_what_symlinks_point_to_stays() {
        let outer = tempfile::tempdir().unwrap();
        let other = outer.path().join("other");
        let folder = outer.path().join("work");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        fs::write(folder.join("a/b/file"), "x").unwrap();
        symlink(&other, folder.join("link")).unwrap();
        symlink(&other, folder.join("a/link")).unwrap();
        fs::set_permissions(folder.join("a/b"), Permissions::from_mode(0o500)).unwrap();
        empty(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert!(other.join("kept").exists());
        empty(&outer.path().join("new")).unwrap();
        assert!(outer.path().join("new").is_dir());
    }
}
