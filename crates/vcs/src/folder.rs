//! Making room for checkouts, and removing what jobs leave behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::{fs, io};

/// Removes without following links.
pub(crate) fn remove(path: &Path, kind: fs::FileType) -> io::Result<()> {
    if !kind.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Jobs leave read-only folders behind, module caches above all.
            make_writable(path)?;
            fs::remove_dir_all(path)
        }
        removed => removed,
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// What a folder without a checkout of the same source held, as the log of the job says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Nothing.
    New,
    /// Something that is gone now.
    Emptied,
    /// Files that are left where they are.
    Beside,
}

impl Room {
    /// The end of a sentence about a checkout.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::New => "in a new folder",
            Self::Emptied => "in an emptied folder",
            Self::Beside => "beside the files that were in the folder",
        }
    }
}

/// Makes a folder ready for a first checkout of a source. Another checkout in it, which has one of `marks`, goes with all
/// files, and so does everything for `clean`. Other files stay, as in Bamboo: the job itself may have put them there, as
/// artifacts or as a checkout of another repository further down.
pub(crate) fn make_room(folder: &Path, marks: &[&str], clean: bool) -> io::Result<Room> {
    let is_marked = |mark: &&str| folder.join(mark).symlink_metadata().is_ok();
    let is_emptied = clean || marks.iter().any(is_marked);
    let mut room = Room::New;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !is_emptied {
            return Ok(Room::Beside);
        }
        remove(&entry.path(), entry.file_type()?)?;
        room = Room::Emptied;
    }
    Ok(room)
}
