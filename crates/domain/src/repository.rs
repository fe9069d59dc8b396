//! Repositories as plans and permissions see them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version control system of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scm {
    /// Git.
    Git,
    /// Mercurial.
    Hg,
}

impl Scm {
    /// The word used in the store and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hg => "hg",
        }
    }

    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Git => "Git",
            Self::Hg => "Mercurial",
        }
    }

    /// The branch that a new repository starts with where nobody says another.
    #[must_use]
    pub fn first_branch(self) -> &'static str {
        match self {
            Self::Git => "main",
            Self::Hg => "default",
        }
    }
}

impl FromStr for Scm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Git, Self::Hg]
            .into_iter()
            .find(|scm| scm.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a version control system: `git` and `hg` are"))
    }
}

/// How Madake comes to know a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryKind {
    /// It lives in our home; people push to us.
    Hosted,
    /// A bare repository on this machine that others push to; a hook of ours tells us.
    Attached,
    /// It lives elsewhere; we read it by its address.
    Linked,
}

impl RepositoryKind {
    /// The word used in the store and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosted => "hosted",
            Self::Attached => "attached",
            Self::Linked => "linked",
        }
    }
}

impl FromStr for RepositoryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Hosted, Self::Attached, Self::Linked]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a kind of repository"))
    }
}

/// `OWNER/SLUG` of a hosted or attached repository: kept as written, matched without regard to case.
///
/// The owner is a project key (`PROJ`) or a name (`marcus`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryPath {
    /// The project key or name in front of the slash.
    pub owner: String,
    /// The name behind the slash.
    pub slug: String,
}

/// Why a text is not `OWNER/SLUG`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not OWNER/SLUG: two names of letters, digits, `.`, `_`, `-` and `~`, at most 128 long, \
     not starting with `.` or `-` and not ending in `.git`"
)]
pub struct RepositoryPathError {
    text: String,
}

impl RepositoryPath {
    /// The folded form that two spellings of one repository share.
    #[must_use]
    pub fn folded(&self) -> String {
        format!("{}/{}", self.owner.to_lowercase(), self.slug.to_lowercase())
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.slug)
    }
}

impl FromStr for RepositoryPath {
    type Err = RepositoryPathError;

    fn from_str(text: &str) -> Result<Self, RepositoryPathError> {
        let error = || RepositoryPathError {
            text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
        };
        let part = |part: &str| {
            !part.is_empty()
                && part.len() <= 128
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.to_lowercase().ends_with(".git")
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b))
        };
        let (owner, slug) = text.split_once('/').ok_or_else(error)?;
        if part(owner) && part(slug) {
            Ok(Self {
                owner: owner.to_owned(),
                slug: slug.to_owned(),
            })
        } else {
            Err(error())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_paths_are_two_plain_names() {
        for good in ["PROJ/app", "marcus/project-x", "~joe/a.b_c"] {
            assert_eq!(good.parse::<RepositoryPath>().expect(good).to_string(), good);
        }
        for bad in [
            "", "app", "a/b/c", "../x", "P/..", "P/-x", "P/a.git", "P/a b", "P/", "/a", "P/a\0",
        ] {
            assert!(bad.parse::<RepositoryPath>().is_err(), "{bad:?} was accepted");
        }
    }
}
