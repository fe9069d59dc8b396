//! Collecting the files of an artifact, or the reports of tests, from a job's working directory
//! (bamboo-specs.md 3.6, hostile-inputs.md J5), and [writing](Destination) them into another.
//!
//! What a job leaves behind may be made to lead astray: links to `/etc`, links in circles, pipes that never end, trees
//! that are swapped for links while they are read. Folders are therefore opened one below the other and never by a
//! path, links are followed only where the kernel says that they stay inside, and everything is counted.

mod place;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use madake_domain::ant_pattern::{AntPatterns, AntPlace};
use madake_domain::artifact_path::ArtifactPath;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};
use rustix::io::Errno;

pub use place::{Destination, PlaceError};

/// How much is collected at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectLimits {
    /// The most files.
    pub files: u64,
    /// The most bytes of all files together.
    pub bytes: u64,
    /// The most names of files and folders that are looked at.
    pub entries: u64,
    /// How deep folders may lie in each other.
    pub depth: usize,
    /// How many files that were left out are named.
    pub left_out: usize,
}

impl Default for CollectLimits {
    fn default() -> Self {
        Self {
            files: 100_000,
            bytes: 20 << 30,
            entries: 5_000_000,
            depth: 200,
            left_out: 50,
        }
    }
}

/// A file that was found. It is open: whatever happens to its name, this is the file that was looked at.
#[derive(Debug)]
pub struct CollectedFile {
    /// Its path below the location.
    pub path: ArtifactPath,
    /// Its length in bytes when it was opened.
    pub size: u64,
    /// Whether its owner may run it.
    pub is_executable: bool,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// The file, at its beginning.
    pub file: File,
}

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// How many files there were.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
    /// What matches, or may hold something that does, and was left out. Only the first of them are here.
    pub left_out: Vec<LeftOut>,
}

/// A file or folder that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path below the location. It may hold any characters.
    pub path: String,
    /// Why, for people.
    pub reason: String,
}

/// Why nothing, or not all, could be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The place to look at does not exist.
    #[error("the folder `{0}` does not exist in the working directory")]
    NoLocation(String),
    /// The place to look at is not inside the working directory.
    #[error(
        "the folder `{0}` is not below the working directory; name it without a leading `/` and without `..`"
    )]
    NotBelow(String),
    /// It is too much.
    #[error("{0}; a pattern that matches less would help")]
    TooMuch(String),
    /// The file system refused, or whoever takes the files did.
    #[error("`{path}`: {source}")]
    Io {
        /// The path below the working directory.
        path: String,
        /// The reason.
        source: io::Error,
    },
}

/// Hands each file below `location` that the patterns match to `take`, sorted by name within each folder.
///
/// `location` is relative to `working_directory`; empty or `.`: the working directory itself.
///
/// # Errors
/// When the location is not there or not below the working directory, a limit is reached, a folder cannot be read, or
/// `take` fails, which ends the walk.
pub fn collect(
    working_directory: &Path,
    location: &str,
    patterns: &AntPatterns,
    limits: &CollectLimits,
    take: &mut dyn FnMut(CollectedFile) -> io::Result<()>,
) -> Result<Collection, CollectError> {
    let root = openat(CWD, working_directory, FOLDER, Mode::empty()).map_err(|error| CollectError::Io {
        path: working_directory.display().to_string(),
        source: error.into(),
    })?;
    let location = location.trim();
    let base = open_location(&root, location)?;
    let mut walk = Walk {
        base: base.as_fd(),
        root: root.as_fd(),
        location,
        limits,
        take,
        entries: 0,
        ancestors: Vec::new(),
        path: String::new(),
        collection: Collection::default(),
    };
    walk.folder(&base, &patterns.start())?;
    Ok(walk.collection)
}

/// Opens a file of a job's to be read, and never anything else: what is no regular file, or lies outside of `folder`
/// however a link or a swapped folder leads there, is refused. `path` is relative to `folder`.
pub(crate) fn open_file(folder: &Path, path: &str) -> io::Result<File> {
    let names = path.split('/');
    if path.starts_with('/') || path.contains('\0') || names.clone().any(|name| name == "..") {
        return Err(io::Error::other("it is not a path below the folder"));
    }
    let folder = openat(CWD, folder, FOLDER, Mode::empty())?;
    let opened = beneath(folder.as_fd(), path, READ).map_err(|error| match error {
        Errno::XDEV | Errno::LOOP => io::Error::other("a link on the way is not followed"),
        other => other.into(),
    })?;
    let file = File::from(opened);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file"))
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Without blocking, so that a pipe that nobody writes to does not hold us.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

fn open_location(root: &OwnedFd, location: &str) -> Result<OwnedFd, CollectError> {
    let path = if location.is_empty() { "." } else { location };
    let not_below = || CollectError::NotBelow(location.to_owned());
    if path.starts_with('/') || path.split('/').any(|name| name == "..") {
        return Err(not_below());
    }
    beneath(root.as_fd(), path, FOLDER).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => CollectError::NoLocation(location.to_owned()),
        Errno::XDEV | Errno::LOOP => not_below(),
        other => CollectError::Io {
            path: location.to_owned(),
            source: other.into(),
        },
    })
}

/// Opens a path below a folder. Links on the way are followed as long as they stay below, where the kernel can promise
/// that (Linux 5.6 and later); else no link is followed.
fn beneath(folder: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
    match openat2(folder, path, flags, Mode::empty(), resolve) {
        // Sandboxes that do not know the call say so, or refuse it.
        Err(Errno::NOSYS | Errno::PERM) => {
            let mut open = openat(folder, ".", FOLDER, Mode::empty())?;
            let mut names = path
                .split('/')
                .filter(|name| !name.is_empty() && *name != ".")
                .peekable();
            while let Some(name) = names.next() {
                let flags = if names.peek().is_some() { FOLDER } else { flags };
                open = openat(&open, name, flags.union(OFlags::NOFOLLOW), Mode::empty())?;
            }
            Ok(open)
        }
        // A rename elsewhere on the system makes the kernel unsure for a moment.
        Err(Errno::AGAIN) => openat2(folder, path, flags, Mode::empty(), resolve),
        opened => opened,
    }
}

struct Walk<'a> {
    base: BorrowedFd<'a>,
    root: BorrowedFd<'a>,
    location: &'a str,
    limits: &'a CollectLimits,
    take: &'a mut dyn FnMut(CollectedFile) -> io::Result<()>,
    entries: u64,
    /// The folders that are open, by device and number: a link back to one of them is a circle.
    ancestors: Vec<(u64, u64)>,
    /// Where the walk is, below the location.
    path: String,
    collection: Collection,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &OwnedFd, place: &AntPlace<'_>) -> Result<(), CollectError> {
        let status = fstat(folder).map_err(|error| self.failed(error))?;
        let id = (status.st_dev, status.st_ino);
        if self.ancestors.contains(&id) {
            self.leave_out("it leads back to a folder that it lies in");
            return Ok(());
        }
        if self.ancestors.len() >= self.limits.depth {
            self.leave_out("it lies too deep");
            return Ok(());
        }
        self.ancestors.push(id);
        let result = self.entries(folder, place);
        self.ancestors.pop();
        result
    }

    fn entries(&mut self, folder: &OwnedFd, place: &AntPlace<'_>) -> Result<(), CollectError> {
        for name in self.names(folder)? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                let message = format!(
                    "there are more than {} files and folders to look at",
                    self.limits.entries
                );
                return Err(CollectError::TooMuch(message));
            }
            let text = name.to_string_lossy();
            let inner = place.enter(&text);
            let takes = place.takes(&text);
            if inner.is_none() && !takes {
                continue;
            }
            let length = self.path.len();
            if length > 0 {
                self.path.push('/');
            }
            self.path.push_str(&text);
            let result = self.entry(folder, &name, inner.as_ref(), takes);
            self.path.truncate(length);
            result?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        name: &CStr,
        inner: Option<&AntPlace<'_>>,
        takes: bool,
    ) -> Result<(), CollectError> {
        let kind = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => FileType::from_raw_mode(status.st_mode),
            // It went away while we looked.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let opened = match kind {
            FileType::Directory if inner.is_none() => return Ok(()),
            FileType::RegularFile if !takes => return Ok(()),
            FileType::Directory => openat(folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()),
            FileType::RegularFile => openat(folder, name, READ.union(OFlags::NOFOLLOW), Mode::empty()),
            FileType::Symlink => self.link(name),
            _ => {
                if takes {
                    self.leave_out("it is neither a file nor a folder");
                }
                return Ok(());
            }
        };
        match opened {
            Ok(opened) => self.opened(opened, inner, takes),
            Err(Errno::NOENT) if kind == FileType::Symlink => {
                self.leave_out("it is a link to nothing");
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::XDEV) => {
                self.leave_out("it is a link that leads out of the working directory");
                Ok(())
            }
            Err(Errno::LOOP | Errno::NOTDIR) => {
                self.leave_out("it is a link that is not followed");
                Ok(())
            }
            Err(Errno::NXIO) => {
                self.leave_out("it is neither a file nor a folder");
                Ok(())
            }
            Err(Errno::ACCESS) => {
                self.leave_out("it cannot be read: permission denied");
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Opens what a link leads to: as seen from the working directory, which it may not leave.
    fn link(&self, name: &CStr) -> rustix::io::Result<OwnedFd> {
        // The lossy path is that of the file only if its name is text.
        if name.to_str().is_err() {
            return Err(Errno::LOOP);
        }
        let path = if matches!(self.location, "" | ".") {
            self.path.clone()
        } else {
            format!("{}/{}", self.location, self.path)
        };
        match beneath(self.root, &path, READ) {
            // Where links on the way are not followed, the link itself may still be opened below the location.
            Err(Errno::LOOP) => beneath(self.base, &self.path, READ),
            opened => opened,
        }
    }

    fn opened(
        &mut self,
        opened: OwnedFd,
        inner: Option<&AntPlace<'_>>,
        takes: bool,
    ) -> Result<(), CollectError> {
        let status = fstat(&opened).map_err(|error| self.failed(error))?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => match inner {
                Some(inner) => self.folder(&opened, inner),
                None => Ok(()),
            },
            FileType::RegularFile if takes => {
                let path = match ArtifactPath::parse(&self.path) {
                    Ok(path) => path,
                    Err(error) => {
                        self.leave_out(&error.reason().to_string());
                        return Ok(());
                    }
                };
                let size = u64::try_from(status.st_size).unwrap_or(0);
                self.collection.files += 1;
                self.collection.bytes = self.collection.bytes.saturating_add(size);
                if self.collection.files > self.limits.files {
                    let message = format!("more than {} files match", self.limits.files);
                    return Err(CollectError::TooMuch(message));
                }
                if self.collection.bytes > self.limits.bytes {
                    let message = format!(
                        "the files that match have more than {} MiB",
                        self.limits.bytes >> 20
                    );
                    return Err(CollectError::TooMuch(message));
                }
                let file = File::from(opened);
                let modified = file.metadata().map_err(|source| CollectError::Io {
                    path: self.path.clone(),
                    source,
                })?;
                let found = CollectedFile {
                    path,
                    size,
                    is_executable: status.st_mode & 0o100 != 0,
                    modified_ms: modified.mtime().saturating_mul(1000) + modified.mtime_nsec() / 1_000_000,
                    file,
                };
                (self.take)(found).map_err(|source| CollectError::Io {
                    path: self.path.clone(),
                    source,
                })
            }
            FileType::RegularFile => Ok(()),
            _ => {
                self.leave_out("it is neither a file nor a folder");
                Ok(())
            }
        }
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &OwnedFd) -> Result<Vec<CString>, CollectError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(|error| self.failed(error))? {
            let entry = entry.map_err(|error| self.failed(error))?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name.to_owned());
            }
            if names.len() as u64 > self.limits.entries {
                let message = format!("there are more than {} files in one folder", self.limits.entries);
                return Err(CollectError::TooMuch(message));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn leave_out(&mut self, reason: &str) {
        if self.collection.left_out.len() < self.limits.left_out {
            self.collection.left_out.push(LeftOut {
                path: self.path.clone(),
                reason: reason.to_owned(),
            });
        }
    }

    fn failed(&self, error: Errno) -> CollectError {
        CollectError::Io {
            path: self.path.clone(),
            source: error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
