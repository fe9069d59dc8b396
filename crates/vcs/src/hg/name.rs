//! Names of branches, bookmarks and tags of Mercurial as ref names.
//!
//! | in Mercurial | as a ref |
//! | - | - |
//! | named branch `stable` | `refs/heads/stable`: its tip-most open head; a closed branch has no ref |
//! | bookmark `stable` | `refs/bookmarks/stable` |
//! | tag `1.0` | `refs/tags/1.0` |
//!
//! Mercurial allows names that Git does not, such as `my branch`. What a [`RefName`] cannot hold is written as `%20`
//! and the like, as little as possible; [`label`] gives the name back, and no two names become one.

use crate::name::{NameError, RefName};

/// What a name of Mercurial stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelKind {
    /// A named branch.
    Branch,
    /// A bookmark.
    Bookmark,
    /// A tag.
    Tag,
}

impl LabelKind {
    /// The namespace of its refs, such as `refs/heads/`.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Branch => "refs/heads/",
            Self::Bookmark => "refs/bookmarks/",
            Self::Tag => "refs/tags/",
        }
    }
}

/// The ref of a branch, bookmark or tag.
///
/// # Errors
/// [`NameError::Empty`], [`NameError::TooLong`].
pub fn ref_name(kind: LabelKind, label: &str) -> Result<RefName, NameError> {
    if label.is_empty() {
        return Err(NameError::Empty);
    }
    RefName::parse(&format!("{}{}", kind.namespace(), encoded(label)))
}

/// [`ref_name`] for bytes from the wire.
///
/// # Errors
/// [`NameError::NotUtf8`], or what [`ref_name`] refuses.
pub fn ref_name_from_bytes(kind: LabelKind, label: &[u8]) -> Result<RefName, NameError> {
    ref_name(kind, std::str::from_utf8(label).map_err(|_| NameError::NotUtf8)?)
}

/// What a ref stands for: its kind, and the name as Mercurial knows it. None for refs of other namespaces.
#[must_use]
pub fn label(name: &RefName) -> Option<(LabelKind, String)> {
    [LabelKind::Branch, LabelKind::Bookmark, LabelKind::Tag]
        .into_iter()
        .find_map(|kind| Some((kind, decoded(name.as_str().strip_prefix(kind.namespace())?))))
}

fn encoded(label: &str) -> String {
    let bytes = label.as_bytes();
    let special_name = label == "HEAD" || label == "@" || label.starts_with("refs/");
    let mut text = String::with_capacity(label.len());
    for (index, character) in label.char_indices() {
        let rest = &label[index + character.len_utf8()..];
        let component_start = index == 0 || bytes[index - 1] == b'/';
        let component_end = rest.is_empty() || rest.starts_with('/');
        let escape = match character {
            '\0'..=' ' | '\u{7f}' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' => true,
            // Only where it could be read as one of ours.
            '%' => rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()),
            '@' => rest.starts_with('{') || label == "@",
            '.' => {
                component_start
                    || rest.is_empty()
                    || rest.starts_with('.')
                    || (rest.starts_with("lock") && (rest.len() == 4 || rest[4..].starts_with('/')))
            }
            '-' => component_start,
            '/' => index == 0 || component_end,
            _ => special_name && index == 0,
        };
        if escape {
            text.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            // Two digits of base 16 always fit.
            bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            rest = after;
            continue;
        }
        bytes.push(*first);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_names_stay_as_they_are_and_others_are_told_apart() {
        for (given, shown) in [
            ("default", "default"),
            ("feature/login", "feature/login"),
            ("100%", "100%"),
            ("my branch", "my%20branch"),
            ("a%20b", "a%2520b"),
            ("--config=x", "%2D-config=x"),
            ("a..b", "a%2E.b"),
            ("a/.b", "a/%2Eb"),
            ("x.lock", "x%2Elock"),
            ("HEAD", "%48EAD"),
            ("@", "%40"),
            ("a@{b", "a%40{b"),
            ("/a//b/", "%2Fa%2F/b%2F"),
            ("refs/heads/x", "%72efs/heads/x"),
            ("line\nfeed", "line%0Afeed"),
            ("竹", "竹"),
        ] {
            let name = ref_name(LabelKind::Branch, given).expect("a name");
            assert_eq!(name.as_str(), format!("refs/heads/{shown}"), "{given:?}");
            assert_eq!(label(&name), Some((LabelKind::Branch, given.to_owned())));
        }
        assert_eq!(ref_name(LabelKind::Tag, ""), Err(NameError::Empty));
        assert_eq!(
            ref_name(LabelKind::Tag, &"x".repeat(300)),
            Err(NameError::TooLong)
        );
        assert_eq!(
            ref_name_from_bytes(LabelKind::Tag, b"\xff"),
            Err(NameError::NotUtf8)
        );
    }

    proptest! {
        #[test]
        fn every_name_comes_back(text in r"[ -~/.@%{0-9A-F竹\n-]{1,40}|\PC{1,40}|refs/.{0,20}") {
            for kind in [LabelKind::Branch, LabelKind::Bookmark, LabelKind::Tag] {
                let name = ref_name(kind, &text);
                prop_assert!(name.is_ok(), "{text:?}: {name:?}");
                prop_assert_eq!(label(&name.expect("checked")), Some((kind, text.clone())));
            }
        }
    }
}
