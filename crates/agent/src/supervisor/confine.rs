//! Keeps paths of a plan inside the job's working directory, also where a symlink leads out of it
//! (hostile-inputs.md Y6).

use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a path is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refused {
    /// The path is absolute, or climbs.
    #[error(
        "`{0}` is not a path below the working directory; name it without a leading `/` and without `..`"
    )]
    NotBelow(String),
    /// A symlink on the way leads out.
    #[error("`{0}` leads out of the working directory through a symlink")]
    LeadsOut(String),
    /// There is no such file or folder, or it cannot be looked at.
    #[error("`{path}`: {source}")]
    Io {
        /// The path as the plan gives it.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// The real path of something that exists below `root`.
pub(crate) fn existing(root: &Path, relative: &str) -> Result<PathBuf, Refused> {
    let path = below(root, relative)?;
    let io = |source| Refused::Io {
        path: relative.to_owned(),
        source,
    };
    let real = path.canonicalize().map_err(io)?;
    if real.starts_with(root.canonicalize().map_err(io)?) {
        Ok(real)
    } else {
        Err(Refused::LeadsOut(relative.to_owned()))
    }
}

/// The path of a folder below `root` that need not exist yet; what exists of it does not lead out.
pub(crate) fn to_be_made(root: &Path, relative: &str) -> Result<PathBuf, Refused> {
    let path = below(root, relative)?;
    let mut exists = path.as_path();
    while exists.symlink_metadata().is_err()
        && exists != root
        && let Some(parent) = exists.parent()
    {
        exists = parent;
    }
    let inner = exists.strip_prefix(root).unwrap_or(Path::new(""));
    existing(root, &inner.to_string_lossy())?;
    Ok(path)
}

fn below(root: &Path, relative: &str) -> Result<PathBuf, Refused> {
    let mut path = root.to_owned();
    for component in Path::new(relative).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Refused::NotBelow(relative.to_owned()));
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("work");
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::create_dir(outer.path().join("other")).unwrap();
        symlink(outer.path().join("other"), root.join("out")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        for good in ["", ".", "sub", "./sub/deep", "in/deep"] {
            assert!(existing(&root, good).is_ok(), "{good}");
            assert!(to_be_made(&root, good).is_ok(), "{good}");
        }
        for bad in ["..", "../other", "/", "/etc", "sub/../../other", "out", "out/new"] {
            assert!(existing(&root, bad).is_err(), "{bad}");
            assert!(to_be_made(&root, bad).is_err(), "{bad}");
        }
        assert!(existing(&root, "missing").is_err());
        assert_eq!(to_be_made(&root, "new/deep").unwrap(), root.join("new/deep"));
    }

    #[test]
    fn dangling_symlink_is_refused_as_a_place_for_a_folder() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("work");
        fs::create_dir(&root).unwrap();
        symlink(outer.path().join("nowhere"), root.join("out")).unwrap();
        assert!(to_be_made(&root, "out").is_err());
        assert!(to_be_made(&root, "out/deep").is_err());
    }
}
