//! Writing the files of an artifact into a job's working directory, for subscriptions and `artifact-download`
//! (bamboo-specs.md 3.7, 4.4).
//!
//! The working directory is a stranger's: a link in it may lead anywhere. Folders are made and opened one below the
//! other, and a file is written anew and never through what has its name (hostile-inputs.md T2).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use madake_domain::artifact_path::ArtifactPath;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::{FOLDER, beneath};

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The place is not inside the working directory.
    #[error("`{0}` is not below the working directory, or a link on the way leads out of it")]
    NotBelow(String),
    /// A file is where a folder is wanted, or a folder where a file is.
    #[error("`{path}` cannot be written: {reason}")]
    InTheWay {
        /// The path below the working directory.
        path: String,
        /// What is there.
        reason: &'static str,
    },
    /// The source or the disk failed.
    #[error("`{path}`: {source}")]
    Io {
        /// The path below the working directory.
        path: String,
        /// The reason.
        source: io::Error,
    },
}

/// A folder of a working directory that files of artifacts are written to.
#[derive(Debug)]
pub struct Destination {
    root: OwnedFd,
    /// Below the root, without slashes at its ends; empty: the root itself.
    folder: String,
}

impl Destination {
    /// The folder `destination` below the working directory; it is made when it is missing. Empty, `.`, `./` and a lone
    /// `/` are the working directory itself (bamboo-specs.md 4.4), and so is its own path, which
    /// `${bamboo.working.directory}` stands for.
    ///
    /// # Errors
    /// When it is not below, or cannot be made.
    pub fn open(working_directory: &Path, destination: &str) -> Result<Self, PlaceError> {
        let destination = destination.trim();
        let destination = Path::new(destination)
            .strip_prefix(working_directory)
            .ok()
            .and_then(Path::to_str)
            .unwrap_or(destination);
        let names: Vec<&str> = destination
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .collect();
        let is_absolute = destination.starts_with('/') && !names.is_empty();
        if is_absolute || names.iter().any(|name| *name == ".." || name.contains('\0')) {
            return Err(PlaceError::NotBelow(destination.to_owned()));
        }
        let root = openat(CWD, working_directory, FOLDER, Mode::empty()).map_err(|error| PlaceError::Io {
            path: working_directory.display().to_string(),
            source: error.into(),
        })?;
        let place = Self {
            root,
            folder: names.join("/"),
        };
        place.make_folder(&place.folder)?;
        Ok(place)
    }

    /// Writes a file; one that is there is replaced, and so is a link. Gives its length in bytes.
    ///
    /// # Errors
    /// When the way leads out, something is in the way, or source or disk fail. Then no half of it is left.
    pub fn write(
        &self,
        path: &ArtifactPath,
        is_executable: bool,
        source: &mut dyn Read,
    ) -> Result<u64, PlaceError> {
        let mode = Mode::from_raw_mode(if is_executable { 0o755 } else { 0o644 });
        self.write_with(path, mode, source)
    }

    /// As [`Self::write`], for a file that only its owner reads.
    pub(crate) fn write_private(
        &self,
        path: &ArtifactPath,
        source: &mut dyn Read,
    ) -> Result<u64, PlaceError> {
        self.write_with(path, Mode::from_raw_mode(0o600), source)
    }

    fn write_with(&self, path: &ArtifactPath, mode: Mode, source: &mut dyn Read) -> Result<u64, PlaceError> {
        let (inner, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let folder_path = match (self.folder.as_str(), inner) {
            (folder, "") => folder.to_owned(),
            ("", inner) => inner.to_owned(),
            (folder, inner) => format!("{folder}/{inner}"),
        };
        let folder = self.make_folder(&folder_path)?;
        let failed = |source: io::Error| PlaceError::Io {
            path: path.to_string(),
            source,
        };
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                return Err(PlaceError::InTheWay {
                    path: path.to_string(),
                    reason: "there is a folder of that name",
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let flags = OFlags::WRONLY
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let opened = openat(&folder, name, flags, mode).map_err(|error| failed(error.into()))?;
        let mut file = File::from(opened);
        io::copy(source, &mut file).map_err(|error| {
            // Half a file would pass for a whole one; where it cannot be removed there is nothing else to do.
            let _ = unlinkat(&folder, name, AtFlags::empty());
            failed(error)
        })
    }

    /// Opens a folder below the root, and makes what is missing of it.
    fn make_folder(&self, path: &str) -> Result<OwnedFd, PlaceError> {
        let failed = |path: &str, error: Errno| match error {
            Errno::XDEV | Errno::LOOP => PlaceError::NotBelow(path.to_owned()),
            Errno::NOTDIR => PlaceError::InTheWay {
                path: path.to_owned(),
                reason: "there is something that is no folder",
            },
            other => PlaceError::Io {
                path: path.to_owned(),
                source: other.into(),
            },
        };
        let mut folder =
            openat(&self.root, ".", FOLDER, Mode::empty()).map_err(|error| failed(path, error))?;
        let mut end = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            end += name.len() + usize::from(end > 0);
            match mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(&path[..end], error)),
            }
            folder = beneath(self.root.as_fd(), &path[..end], FOLDER)
                .map_err(|error| failed(&path[..end], error))?;
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    struct Workspace {
        outer: tempfile::TempDir,
        root: PathBuf,
    }

    fn workspace() -> Workspace {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("work");
        fs::create_dir(&root).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        Workspace { outer, root }
    }

    fn place(root: &Path, destination: &str, path: &str, content: &str) -> Result<u64, PlaceError> {
        let path = ArtifactPath::parse(path).unwrap();
        Destination::open(root, destination)?.write(&path, false, &mut content.as_bytes())
    }

    #[test]
    fn the_path_of_the_working_directory_is_the_working_directory() {
        let work = workspace();
        let own = work.root.to_str().unwrap().to_owned();
        place(&work.root, &own, "a", "one").unwrap();
        place(&work.root, &format!("{own}/sub"), "b", "two").unwrap();
        assert_eq!(fs::read_to_string(work.root.join("a")).unwrap(), "one");
        assert_eq!(fs::read_to_string(work.root.join("sub/b")).unwrap(), "two");
        for outside in [format!("{own}/../outside"), format!("{own}2"), "/etc".to_owned()] {
            assert!(place(&work.root, &outside, "c", "x").is_err(), "{outside}");
        }
    }

    #[test]
    fn files_are_written_below_the_destination() {
        let work = workspace();
        for (destination, path, expected) in [
            ("", "a.jar", "a.jar"),
            ("/", "b.jar", "b.jar"),
            ("./", "c/d.jar", "c/d.jar"),
            ("in", "a.jar", "in/a.jar"),
            (" deep/er/ ", "x/y/z", "deep/er/x/y/z"),
            ("in", "a.jar", "in/a.jar"),
        ] {
            assert_eq!(
                place(&work.root, destination, path, expected).unwrap(),
                expected.len() as u64
            );
            assert_eq!(fs::read_to_string(work.root.join(expected)).unwrap(), expected);
        }
        let tool = ArtifactPath::parse("tool").unwrap();
        let destination = Destination::open(&work.root, "").unwrap();
        destination.write(&tool, true, &mut &b"x"[..]).unwrap();
        let mode = fs::metadata(work.root.join("tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o100, 0o100);
    }

    #[test]
    fn t2_links_do_not_carry_files_outside() {
        let work = workspace();
        let outside = work.outer.path().join("outside");
        fs::write(outside.join("kept"), "kept").unwrap();
        symlink(&outside, work.root.join("absolute")).unwrap();
        symlink("../outside", work.root.join("relative")).unwrap();
        symlink(outside.join("kept"), work.root.join("file")).unwrap();
        symlink(outside.join("new"), work.root.join("dangling")).unwrap();
        for (destination, path) in [
            ("absolute", "x"),
            ("relative", "x"),
            ("", "absolute/x"),
            ("", "relative/deep/x"),
            ("..", "x"),
            ("a/../..", "x"),
            ("/tmp", "x"),
        ] {
            assert!(
                place(&work.root, destination, path, "x").is_err(),
                "{destination} {path}"
            );
        }
        for replaced in ["file", "dangling"] {
            place(&work.root, "", replaced, "new").unwrap();
            assert!(fs::symlink_metadata(work.root.join(replaced)).unwrap().is_file());
        }
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn what_is_in_the_way_is_told() {
        let work = workspace();
        fs::create_dir(work.root.join("folder")).unwrap();
        fs::write(work.root.join("file"), "x").unwrap();
        for path in ["folder", "file/x"] {
            let error = place(&work.root, "", path, "x").unwrap_err();
            assert!(matches!(error, PlaceError::InTheWay { .. }), "{path}: {error}");
        }
    }

    #[test]
    fn half_a_file_is_not_left() {
        struct CutOff(u8);
        impl Read for CutOff {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => {
                        into[0] = b'x';
                        Ok(1)
                    }
                    _ => Err(io::Error::other("cut off")),
                }
            }
        }
        let work = workspace();
        let path = ArtifactPath::parse("a/b").unwrap();
        let destination = Destination::open(&work.root, "").unwrap();
        assert!(destination.write(&path, false, &mut CutOff(0)).is_err());
        assert_eq!(fs::read_dir(work.root.join("a")).unwrap().count(), 0);
    }
}
