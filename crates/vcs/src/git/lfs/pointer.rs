//! The text that stands in a commit instead of a large file (git-lfs `docs/spec.md`, "The Pointer").

use std::fmt;

use thiserror::Error;

/// A pointer file is shorter than this, in bytes.
pub(super) const LONGEST: usize = 1024;

/// The name of an object: the SHA-256 of its content, as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LfsId(String);

/// Why a text is no name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the name of a Git LFS object is its SHA-256: 64 lower-case hexadecimal digits")]
pub struct LfsIdError;

impl LfsId {
    /// Accepts 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`LfsIdError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, LfsIdError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LfsIdError)
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LfsId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a pointer file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The object.
    pub id: LfsId,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the file is made of the object by programs that people name in their configuration ("extensions").
    pub extended: bool,
}

impl Pointer {
    /// Reads a pointer file; none if the bytes are anything else, such as a small file that is its own content, or what
    /// git-lfs would not take for one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() >= LONGEST {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let version = lines.next()?.strip_prefix("version ")?;
        // The second is what git-lfs wrote before its first release.
        if ![
            "https://git-lfs.github.com/spec/v1",
            "https://hawser.github.com/spec/v1",
        ]
        .contains(&version)
        {
            return None;
        }
        let mut lines = lines.peekable();
        let mut extended = false;
        while lines.next_if(|line| line.starts_with("ext-")).is_some() {
            extended = true;
        }
        let id = LfsId::parse(lines.next()?.strip_prefix("oid sha256:")?).ok()?;
        let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
        lines.next().is_none().then_some(Self { id, size, extended })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

    #[test]
    fn pointers_are_read_and_other_files_are_not() {
        let text = |version: &str, rest: &str| format!("version {version}\n{rest}");
        let (v1, rest) = (
            "https://git-lfs.github.com/spec/v1",
            format!("oid sha256:{ID}\nsize 12345\n"),
        );
        let expected = Pointer {
            id: LfsId::parse(ID).unwrap(),
            size: 12_345,
            extended: false,
        };
        for good in [text(v1, &rest), text("https://hawser.github.com/spec/v1", &rest)] {
            assert_eq!(Pointer::parse(good.as_bytes()), Some(expected.clone()), "{good}");
        }
        let extended = text(v1, &format!("ext-0-foo sha256:{ID}\n{rest}"));
        assert!(Pointer::parse(extended.as_bytes()).is_some_and(|pointer| pointer.extended));
        for bad in [
            String::new(),
            "a small file".into(),
            text("https://example.org/spec/v1", &rest),
            text(v1, &format!("oid sha256:{}\nsize 1\n", &ID[1..])),
            text(v1, &format!("oid sha256:{}\nsize 1\n", ID.to_uppercase())),
            text(v1, &format!("oid sha256:{ID}\n")),
            text(v1, &format!("oid sha256:{ID}\nsize -1\n")),
            text(v1, &format!("oid sha256:{ID}\n{rest}")),
            text(v1, &format!("size 12345\noid sha256:{ID}\n")),
            text(v1, &format!("{rest}more 1\n")),
            text(v1, &format!("\n{rest}")),
            text(v1, &format!("{rest}{}", "x".repeat(LONGEST))),
        ] {
            assert_eq!(Pointer::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Pointer::parse(b"version \xff"), None);
    }

    #[test]
    fn names_of_objects_cannot_leave_their_folder() {
        for bad in ["", "..", "../../x", &"g".repeat(64), &"/".repeat(64), &ID[..63]] {
            assert_eq!(LfsId::parse(bad), Err(LfsIdError), "{bad}");
        }
    }
}
