//! The guard for ref names and object ids.
//!
//! A [`RefName`], [`BranchName`] or [`ObjectId`] exists only if it passed; the rest of the product never handles raw
//! names. Rules: `git check-ref-format`, and what hostile-inputs.md W10-W12, G6 and G7 ask on top. Names are never
//! folded: two that differ in case or Unicode form are two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest ref name accepted, in bytes.
pub const MAX_REF_BYTES: usize = 1000;

/// Longest part of a ref name between slashes, in bytes: with `.lock` it still fits a file name.
pub const MAX_COMPONENT_BYTES: usize = 250;

/// The full name of a ref, such as `refs/heads/main`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

/// The name of a branch without `refs/heads/`, such as `feature/login`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// The id of an object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId {
    bytes: [u8; 32],
    length: u8,
}

/// Why a name or an id was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// The name is longer than [`MAX_REF_BYTES`], or a part of it than [`MAX_COMPONENT_BYTES`].
    #[error("the name is too long: at most {MAX_REF_BYTES} bytes, {MAX_COMPONENT_BYTES} between slashes")]
    TooLong,
    /// The name is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// A full name was expected.
    #[error("the name does not start with refs/ and a namespace, such as refs/heads/")]
    NotFull,
    /// A control character is in the name.
    #[error("the name has a control character")]
    ControlCharacter,
    /// A character that git gives another meaning is in the name.
    #[error("the name has the character {0:?}, which git does not allow in names")]
    ForbiddenCharacter(char),
    /// `..` or `@{` is in the name.
    #[error("the name has {0:?}, which git reads as an expression")]
    ForbiddenSequence(&'static str),
    /// A slash at an end, or two in a row.
    #[error("the name has an empty part: a slash at an end, or two in a row")]
    EmptyComponent,
    /// A part starts with a dot.
    #[error("a part of the name starts with a dot")]
    LeadingDot,
    /// The name ends with a dot.
    #[error("the name ends with a dot")]
    TrailingDot,
    /// A part ends with `.lock`.
    #[error("a part of the name ends with .lock, which git keeps for itself")]
    LockSuffix,
    /// The name is `@`.
    #[error("the name is a lone @, which git reads as HEAD")]
    LoneAt,
    /// A part starts with a dash and could be read as an option.
    #[error("a part of the name starts with a dash and could be read as an option")]
    LeadingDash,
    /// The branch is called `HEAD`.
    #[error("a branch cannot be called HEAD")]
    Head,
    /// The branch is called `refs/...`, or the ref has `refs/heads/` twice.
    #[error("a branch name cannot start with refs/ itself: it could be taken for another branch")]
    NestedRefs,
    /// Not a full lower-case object id.
    #[error("an object id is exactly 40 or 64 lower-case hexadecimal digits")]
    NotAnObjectId,
}

/// What a ref is, by its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// Below `refs/heads/`.
    Branch,
    /// Below `refs/tags/`.
    Tag,
    /// Anywhere else below `refs/`.
    Other,
}

impl RefName {
    /// Accepts a full ref name.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_ref_format(name)?;
        let below_refs = name.strip_prefix("refs/").ok_or(NameError::NotFull)?;
        if !below_refs.contains('/') {
            return Err(NameError::NotFull);
        }
        if name.len() > MAX_REF_BYTES || name.split('/').any(|part| part.len() > MAX_COMPONENT_BYTES) {
            return Err(NameError::TooLong);
        }
        if name.split('/').any(|part| part.starts_with('-')) {
            return Err(NameError::LeadingDash);
        }
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            check_branch_extras(branch)?;
        }
        Ok(Self(name.to_owned()))
    }

    /// [`Self::parse`] for bytes from the wire.
    ///
    /// # Errors
    /// [`NameError::NotUtf8`], or what [`Self::parse`] refuses.
    pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
        Self::parse(std::str::from_utf8(name).map_err(|_| NameError::NotUtf8)?)
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace that the ref is in.
    #[must_use]
    pub fn kind(&self) -> RefKind {
        if self.0.starts_with("refs/heads/") {
            RefKind::Branch
        } else if self.0.starts_with("refs/tags/") {
            RefKind::Tag
        } else {
            RefKind::Other
        }
    }

    /// Whether the ref is in the namespace `folder`, such as `refs/heads`.
    #[must_use]
    pub fn is_below(&self, folder: &str) -> bool {
        self.0
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The branch that this ref is, if it is one.
    #[must_use]
    pub fn branch(&self) -> Option<BranchName> {
        self.0
            .strip_prefix("refs/heads/")
            .map(|name| BranchName(name.to_owned()))
    }

    /// The tag that this ref is, if it is one, without `refs/tags/`.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.strip_prefix("refs/tags/")
    }

    /// The name for people: without `refs/heads/`, `refs/tags/` or, elsewhere, `refs/`.
    #[must_use]
    pub fn short(&self) -> &str {
        ["refs/heads/", "refs/tags/", "refs/"]
            .iter()
            .find_map(|prefix| self.0.strip_prefix(prefix))
            .unwrap_or(&self.0)
    }
}

impl BranchName {
    /// Accepts the name of a branch, without `refs/heads/`.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        check_branch_extras(name)?;
        RefName::parse(&format!("refs/heads/{name}"))?;
        Ok(Self(name.to_owned()))
    }

    /// The name without `refs/heads/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of the branch's ref.
    #[must_use]
    pub fn ref_name(&self) -> RefName {
        RefName(format!("refs/heads/{}", self.0))
    }
}

impl ObjectId {
    /// The SHA-1 id of all zeros, which stands for "no object" where a ref is created or deleted.
    pub const ZERO: Self = Self {
        bytes: [0; 32],
        length: 20,
    };

    /// Accepts a full lower-case id.
    ///
    /// # Errors
    /// [`NameError::NotAnObjectId`] for anything else: abbreviations, upper case, options.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let digits = text.as_bytes();
        if digits.len() != 40 && digits.len() != 64 {
            return Err(NameError::NotAnObjectId);
        }
        let mut bytes = [0; 32];
        for (index, pair) in digits.chunks_exact(2).enumerate() {
            bytes[index] = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
        }
        let length = if digits.len() == 40 { 20 } else { 32 };
        Ok(Self { bytes, length })
    }

    /// An id from its raw bytes, as trees hold it.
    ///
    /// # Errors
    /// [`NameError::NotAnObjectId`] unless there are 20 or 32 bytes.
    pub fn from_raw(raw: &[u8]) -> Result<Self, NameError> {
        let length = match raw.len() {
            20 => 20,
            32 => 32,
            _ => return Err(NameError::NotAnObjectId),
        };
        let mut bytes = [0; 32];
        bytes[..raw.len()].copy_from_slice(raw);
        Ok(Self { bytes, length })
    }

    /// Whether this is the id that stands for "no object".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// Whether the id is of the SHA-256 format.
    #[must_use]
    pub fn is_sha256(&self) -> bool {
        self.length == 32
    }

    /// The raw bytes: 20 or 32.
    #[must_use]
    pub fn as_raw(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The first `digits` digits, for people.
    #[must_use]
    pub fn abbreviated(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }
}

/// The rules of `git check-ref-format`, exactly.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_ref_format(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "@" {
        return Err(NameError::LoneAt);
    }
    for character in name.chars() {
        match character {
            '\0'..='\u{1f}' | '\u{7f}' => return Err(NameError::ControlCharacter),
            ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' => {
                return Err(NameError::ForbiddenCharacter(character));
            }
            _ => {}
        }
    }
    for sequence in ["..", "@{"] {
        if name.contains(sequence) {
            return Err(NameError::ForbiddenSequence(sequence));
        }
    }
    for component in name.split('/') {
        if component.is_empty() {
            return Err(NameError::EmptyComponent);
        }
        if component.starts_with('.') {
            return Err(NameError::LeadingDot);
        }
        if component.ends_with(".lock") {
            return Err(NameError::LockSuffix);
        }
    }
    if name.ends_with('.') {
        return Err(NameError::TrailingDot);
    }
    if !name.contains('/') {
        return Err(NameError::NotFull);
    }
    Ok(())
}

fn check_branch_extras(branch: &str) -> Result<(), NameError> {
    if branch == "HEAD" {
        return Err(NameError::Head);
    }
    if branch == "@" {
        return Err(NameError::LoneAt);
    }
    if branch.starts_with("refs/") {
        return Err(NameError::NestedRefs);
    }
    Ok(())
}

fn hex_digit(digit: u8) -> Result<u8, NameError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NameError::NotAnObjectId),
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_raw()
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectId({self})")
    }
}

macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

text_conversions!(RefName, BranchName, ObjectId);
