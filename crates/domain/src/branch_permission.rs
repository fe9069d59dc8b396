//! Which branches of a hosted repository nobody may rewrite, delete or push to, and who is exempt.
//!
//! The rules and their words are those of Bitbucket Server's branch permissions: a name or a pattern, one or more
//! restrictions, and users and groups to whom they do not apply. Administrators are not exempt by being
//! administrators: a rule protects from mistakes, and who may change the rule can step out of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::change::acceptable_branch_name;
use crate::permission::Principal;
use crate::repository::Scm;
use crate::text::inert;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 500;
/// The most memory that one compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
const BRANCHES: &str = "refs/heads/";

/// What a rule forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restriction {
    /// No rewriting: a branch may only move to a commit that has the present one in its history.
    FastForwardOnly,
    /// No deleting.
    NoDeletes,
    /// No push at all, which includes making and deleting such a branch.
    ReadOnly,
}

impl Restriction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FastForwardOnly, Self::NoDeletes, Self::ReadOnly];

    /// The word of Bitbucket Server's REST API, which the store, answers and the command line use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastForwardOnly => "fast-forward-only",
            Self::NoDeletes => "no-deletes",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Why a text is no restriction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a restriction: fast-forward-only, no-deletes or read-only")]
pub struct RestrictionError(String);

impl FromStr for Restriction {
    type Err = RestrictionError;

    fn from_str(text: &str) -> Result<Self, RestrictionError> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| RestrictionError(inert(text, 40)))
    }
}

/// The branches that a rule is about.
///
/// Without `*`, `?` and a slash at the end, the text is the name of one branch. Else it is a pattern: `?` is one
/// character and `*` any number of them, both without slashes; `**` is any number of whole parts; a slash at the end
/// stands for `/**`. A pattern matches a branch whose last parts it matches, as Bitbucket's do: `hotfix-*` is about
/// `hotfix-1` and `team/hotfix-1`, and `heads/hotfix-*` about the first alone.
#[derive(Debug, Clone)]
pub struct BranchPattern {
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Name,
    Pattern(Regex),
}

/// Why a text is neither a branch name nor a pattern of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct BranchPatternError {
    text: String,
    problem: &'static str,
}

impl BranchPattern {
    /// The text that it was read from, without `refs/heads/` in front of a name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads the name of a branch or a pattern of names, as repositories of a system have them. In Mercurial, rules are
    /// about named branches and bookmarks.
    ///
    /// # Errors
    /// When it can match nothing, or its end is not known.
    pub fn of(text: &str, scm: Scm) -> Result<Self, BranchPatternError> {
        let refused = |problem| BranchPatternError {
            text: inert(text, 80),
            problem,
        };
        if text.len() > MAX_PATTERN {
            return Err(refused("is longer than 500 bytes"));
        }
        if !text.contains(['*', '?']) && !text.ends_with('/') {
            let name = text.strip_prefix(BRANCHES).unwrap_or(text);
            acceptable_branch_name(name, scm).map_err(refused)?;
            return Ok(Self {
                text: name.to_owned(),
                matcher: Matcher::Name,
            });
        }
        if text.starts_with(['/', '-']) || text.contains("//") || text == "/" {
            return Err(refused("has an empty part, or starts with a dash"));
        }
        let is_never_in_names = |character: char| match scm {
            Scm::Git => matches!(character, ' ' | '~' | '^' | ':' | '[' | '\\'),
            Scm::Hg => character == ':',
        };
        if text
            .chars()
            .any(|character| character.is_control() || is_never_in_names(character))
        {
            return Err(refused(match scm {
                Scm::Git => "has a character that no branch name has (space ~ ^ : [ \\)",
                Scm::Hg => "has a character that no branch name has (a colon)",
            }));
        }
        if text.starts_with("tags/") || text.starts_with("refs/tags/") {
            return Err(refused("is about tags: only branches are protected"));
        }
        let regex = RegexBuilder::new(&expression(text))
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| refused("is too long a pattern"))?;
        Ok(Self {
            text: text.to_owned(),
            matcher: Matcher::Pattern(regex),
        })
    }

    /// Whether it is about the branch with this name, given without `refs/heads/`.
    #[must_use]
    pub fn matches(&self, branch: &str) -> bool {
        match &self.matcher {
            Matcher::Name => branch == self.text,
            Matcher::Pattern(regex) => regex.is_match(&format!("{BRANCHES}{branch}")),
        }
    }
}

impl PartialEq for BranchPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for BranchPattern {}

impl fmt::Display for BranchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BranchPattern {
    type Err = BranchPatternError;

    /// What either system accepts.
    fn from_str(text: &str) -> Result<Self, BranchPatternError> {
        Self::of(text, Scm::Git).or_else(|refused| Self::of(text, Scm::Hg).map_err(|_| refused))
    }
}

/// The pattern as a regular expression over full names of refs, which may have more parts in front.
fn expression(pattern: &str) -> String {
    let whole = if pattern.ends_with('/') {
        format!("{pattern}**")
    } else {
        pattern.to_owned()
    };
    let mut expression = String::from(r"(?s)\A(?:.*/)?");
    let parts: Vec<&str> = whole.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if *part == "**" {
            expression.push_str(if is_last { ".+" } else { "(?:[^/]+/)*" });
            continue;
        }
        for character in part.chars() {
            match character {
                '*' => expression.push_str("[^/]*"),
                '?' => expression.push_str("[^/]"),
                other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        if !is_last {
            expression.push('/');
        }
    }
    expression.push_str(r"\z");
    expression
}

/// One rule of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRule {
    /// The number that it is removed by.
    pub id: i64,
    /// The branches that it is about.
    pub pattern: BranchPattern,
    /// What it forbids.
    pub restrictions: BTreeSet<Restriction>,
    /// Names of users to whom it does not apply.
    pub exempt_users: Vec<String>,
    /// Names of groups to whose members it does not apply.
    pub exempt_groups: Vec<String>,
}

impl BranchRule {
    fn exempts(&self, principal: &Principal) -> bool {
        let Principal::User(user) = principal else {
            return false;
        };
        let named = |name: &String| name.eq_ignore_ascii_case(&user.name);
        let grouped = |name: &String| user.groups.iter().any(|group| group.eq_ignore_ascii_case(name));
        self.exempt_users.iter().any(named) || self.exempt_groups.iter().any(grouped)
    }
}

/// What a push wants to do to a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchMove {
    /// Make it.
    Create,
    /// Move it to another commit.
    Update,
    /// Remove it.
    Delete,
}

/// What the rules say to one branch of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchVerdict {
    /// Nothing is against it.
    Allowed,
    /// It may move forward; if it does not, this is what the person who pushes reads.
    ForwardOnly(String),
    /// It is refused with this sentence.
    Refused(String),
}

/// Judges what `principal` wants to do to the branch `branch` (without `refs/heads/`). The strictest rule decides; of
/// equally strict ones, the first.
#[must_use]
pub fn judge(rules: &[BranchRule], principal: &Principal, branch: &str, wanted: BranchMove) -> BranchVerdict {
    let bearing: Vec<&BranchRule> = rules
        .iter()
        .filter(|rule| rule.pattern.matches(branch) && !rule.exempts(principal))
        .collect();
    let first = |restriction| {
        bearing
            .iter()
            .find(|rule| rule.restrictions.contains(&restriction))
    };
    let shown = inert(branch, 120);
    if let Some(rule) = first(Restriction::ReadOnly) {
        return BranchVerdict::Refused(format!("{shown} is read-only ({})", source(rule)));
    }
    match wanted {
        BranchMove::Create => BranchVerdict::Allowed,
        BranchMove::Delete => match first(Restriction::NoDeletes) {
            Some(rule) => BranchVerdict::Refused(format!("{shown} may not be deleted ({})", source(rule))),
            None => BranchVerdict::Allowed,
        },
        BranchMove::Update => match first(Restriction::FastForwardOnly) {
            Some(rule) => BranchVerdict::ForwardOnly(format!(
                "{shown} may not be rewritten, only moved forward ({})",
                source(rule)
            )),
            None => BranchVerdict::Allowed,
        },
    }
}

fn source(rule: &BranchRule) -> String {
    format!(
        "branch permission {} on {}",
        rule.id,
        inert(rule.pattern.as_str(), 80)
    )
}

#[cfg(test)]
mod tests;
