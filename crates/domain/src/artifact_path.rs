//! Names and paths of artifacts: what a build may call its files, on any machine that they may come to
//! (hostile-inputs.md T1).

use std::fmt;

use crate::text::inert;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// The longest name in a path, in bytes.
pub const MAX_NAME: usize = 255;

/// The path of a file in an artifact: names between slashes, below the artifact's folder wherever that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` cannot be the path of an artifact's file: {reason}")]
pub struct ArtifactPathError {
    shown: String,
    reason: BadPath,
}

impl ArtifactPathError {
    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> BadPath {
        self.reason
    }
}

/// What is wrong with a path or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadPath {
    /// There is none, or a name in it is empty.
    Empty,
    /// It begins at a root: `/x`, `C:\x`.
    Absolute,
    /// It has a name `.` or `..`.
    Climbs,
    /// It has a character that other systems or terminals give a meaning to.
    BadCharacter,
    /// It is to be one name, and has a slash.
    Slash,
    /// A name ends with a point or a blank, which some systems leave out.
    BadEnd,
    /// It is too long, or a name in it.
    TooLong,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name in it is empty"),
            Self::Absolute => f.write_str("it must be relative"),
            Self::Climbs => f.write_str("it must not have a name `.` or `..`"),
            Self::BadCharacter => f.write_str("it must not have backslashes or control characters"),
            Self::Slash => f.write_str("it must not have a slash"),
            Self::BadEnd => f.write_str("a name in it ends with a point or a blank"),
            Self::TooLong => write!(f, "names have at most {MAX_NAME} bytes, paths {MAX_PATH}"),
        }
    }
}

impl ArtifactPath {
    /// Takes a path if it is one.
    ///
    /// # Errors
    /// With the reason why it is none.
    pub fn parse(text: &str) -> Result<Self, ArtifactPathError> {
        match check_path(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(reason) => Err(ArtifactPathError {
                shown: inert(text, 100),
                reason,
            }),
        }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the path, the file's own last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The file's own name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an artifact can have this name: one name, as in a path.
///
/// # Errors
/// With the reason why it cannot.
pub fn check_artifact_name(name: &str) -> Result<(), BadPath> {
    if name.contains('/') {
        return Err(BadPath::Slash);
    }
    check_path(name)
}

fn check_path(path: &str) -> Result<(), BadPath> {
    if path.len() > MAX_PATH {
        return Err(BadPath::TooLong);
    }
    let has_drive =
        path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && path[1..].starts_with(':');
    if path.starts_with(['/', '\\']) || has_drive {
        return Err(BadPath::Absolute);
    }
    if path.chars().any(|letter| letter == '\\' || letter.is_control()) {
        return Err(BadPath::BadCharacter);
    }
    for name in path.split('/') {
        match name {
            "" => return Err(BadPath::Empty),
            "." | ".." => return Err(BadPath::Climbs),
            name if name.len() > MAX_NAME => return Err(BadPath::TooLong),
            name if name.ends_with(['.', ' ']) => return Err(BadPath::BadEnd),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn t1_paths_that_could_land_elsewhere_are_refused() {
        let long_name = "x".repeat(256);
        let long_path = "x/".repeat(2048) + "x";
        let rows: &[(&str, Option<BadPath>)] = &[
            ("a.jar", None),
            ("lib/a b.jar", None),
            ("...x/.hidden/ä真竹", None),
            ("~/.ssh", None),
            ("ab:c", None),
            ("lib/C:x", None),
            ("", Some(BadPath::Empty)),
            ("a//b", Some(BadPath::Empty)),
            ("a/", Some(BadPath::Empty)),
            ("/etc/passwd", Some(BadPath::Absolute)),
            ("\\\\host\\share", Some(BadPath::Absolute)),
            ("C:\\x", Some(BadPath::Absolute)),
            ("c:x", Some(BadPath::Absolute)),
            ("../../etc/cron.d/x", Some(BadPath::Climbs)),
            ("a/../b", Some(BadPath::Climbs)),
            ("a/./b", Some(BadPath::Climbs)),
            ("a\\..\\b", Some(BadPath::BadCharacter)),
            ("a\0b", Some(BadPath::BadCharacter)),
            ("a\nb", Some(BadPath::BadCharacter)),
            ("a./b", Some(BadPath::BadEnd)),
            ("a ", Some(BadPath::BadEnd)),
            ("...", Some(BadPath::BadEnd)),
            (&long_name, Some(BadPath::TooLong)),
            (&long_path, Some(BadPath::TooLong)),
        ];
        for (path, expected) in rows {
            let reason = ArtifactPath::parse(path).err().map(|error| error.reason());
            assert_eq!(reason, *expected, "{path:?}");
        }
        assert_eq!(check_artifact_name("All jars"), Ok(()));
        assert_eq!(check_artifact_name("a/b"), Err(BadPath::Slash));
        assert_eq!(check_artifact_name(".."), Err(BadPath::Climbs));
        assert_eq!(
            ArtifactPath::parse("../\u{1b}[2Jx").unwrap_err().to_string(),
            "`../x` cannot be the path of an artifact's file: it must not have backslashes or control characters"
        );
        assert_eq!(ArtifactPath::parse("a/b.c").unwrap().file_name(), "b.c");
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_below(path in "[a./\\\\: \u{0}\u{7f}]{0,12}") {
            if let Ok(path) = ArtifactPath::parse(&path) {
                let joined = std::path::Path::new("/root").join(path.as_str());
                prop_assert!(joined.starts_with("/root"));
                prop_assert!(joined.components().all(|part| part != std::path::Component::ParentDir));
                prop_assert!(path.names().count() > 0);
            }
        }
    }
}
