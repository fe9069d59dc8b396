//! Pull requests: whose commits a plan may build.
//!
//! A pull request from a branch of the repository itself brings what its writers have pushed there, and is as good as
//! a push. One from a fork brings what anybody may have written. It is built only if the administrator of the linked
//! repository allows it, which nobody does by saying nothing, and the plan accepts forks as well (bamboo-specs.md 8).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::change::Revision;
use crate::text::inert;

/// Which pull requests from forks a linked repository lets plans build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForkPolicy {
    /// None, whatever anybody allowed.
    #[default]
    Never,
    /// Those commits that an administrator allowed, one by one.
    Ask,
    /// These, and all of authors who are named as trusted.
    TrustedAuthors,
    /// All of everybody.
    Always,
}

impl ForkPolicy {
    /// Every policy, from the most to the least careful.
    pub const ALL: [Self; 4] = [Self::Never, Self::Ask, Self::TrustedAuthors, Self::Always];

    /// The word used in the store, in answers and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Ask => "ask",
            Self::TrustedAuthors => "trusted-authors",
            Self::Always => "always",
        }
    }
}

impl fmt::Display for ForkPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ForkPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| {
                format!("`{text}` is no policy for forks: never, ask, trusted-authors and always are")
            })
    }
}

/// What a linked repository says of forks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ForkTrust {
    /// Which are built.
    pub policy: ForkPolicy,
    /// Logins at the forge, compared without regard to case.
    pub trusted_authors: Vec<String>,
}

/// The newest commit of a pull request from a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkHead<'a> {
    /// The login of who opened it, where that is known beyond doubt.
    pub author: Option<&'a str>,
    /// The commit, as read from the repository.
    pub head: &'a Revision,
    /// The commit that an administrator allowed last.
    pub allowed: Option<&'a Revision>,
}

impl ForkTrust {
    /// Whether the commit may be built, with the reason for either.
    ///
    /// # Errors
    /// Why it may not.
    pub fn judge(&self, asked: &ForkHead<'_>) -> Result<String, String> {
        let short = asked.head.short();
        let author = inert(asked.author.unwrap_or("somebody unknown"), 100);
        if self.policy == ForkPolicy::Never {
            return Err("the repository lets no fork be built (`forks` is `never`)".to_owned());
        }
        if self.policy == ForkPolicy::Always {
            return Ok("the repository lets every fork be built (`forks` is `always`)".to_owned());
        }
        if asked.allowed == Some(asked.head) {
            return Ok(format!("an administrator allowed {short}"));
        }
        let trusted = asked.author.is_some_and(|author| {
            let same = |one: &String| one.to_lowercase() == author.to_lowercase();
            self.trusted_authors.iter().any(same)
        });
        match (self.policy, trusted) {
            (ForkPolicy::TrustedAuthors, true) => Ok(format!("{author} is a trusted author")),
            (ForkPolicy::TrustedAuthors, false) => Err(format!(
                "{author} is no trusted author, and no administrator has allowed {short}"
            )),
            _ => Err(format!("no administrator has allowed {short} (`forks` is `ask`)")),
        }
    }
}

/// What a pull request that was opened, moved or closed is to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestNews {
    /// Its number.
    pub number: u64,
    /// It may still be merged.
    pub open: bool,
    /// Of one from a fork: whether the repository lets its newest commit be built, and why.
    pub fork: Option<Result<String, String>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn revision(digit: char) -> Revision {
        Revision::new(&digit.to_string().repeat(40)).expect("a revision")
    }

    fn trust(policy: ForkPolicy) -> ForkTrust {
        ForkTrust {
            policy,
            trusted_authors: vec!["Hana".into(), "bob".into()],
        }
    }

    #[test]
    fn forks_are_built_as_far_as_the_repository_trusts_them() {
        let (a, b) = (revision('a'), revision('b'));
        // Policy, author, allowed: built?
        let table = [
            (ForkPolicy::Never, Some("hana"), Some(&a), false),
            (ForkPolicy::Ask, Some("hana"), None, false),
            (ForkPolicy::Ask, Some("mallory"), Some(&a), true),
            (ForkPolicy::Ask, Some("mallory"), Some(&b), false),
            (ForkPolicy::TrustedAuthors, Some("hana"), None, true),
            (ForkPolicy::TrustedAuthors, Some("HANA"), Some(&b), true),
            (ForkPolicy::TrustedAuthors, Some("han"), None, false),
            (ForkPolicy::TrustedAuthors, Some("mallory"), None, false),
            (ForkPolicy::TrustedAuthors, Some("mallory"), Some(&a), true),
            (ForkPolicy::TrustedAuthors, None, None, false),
            (ForkPolicy::Always, None, None, true),
        ];
        for (policy, author, allowed, expected) in table {
            let asked = ForkHead {
                author,
                head: &a,
                allowed,
            };
            let verdict = trust(policy).judge(&asked);
            assert_eq!(
                verdict.is_ok(),
                expected,
                "{policy} {author:?} {allowed:?}: {verdict:?}"
            );
        }
        let nothing_said = ForkTrust::default();
        assert_eq!(nothing_said.policy, ForkPolicy::Never);
    }

    #[test]
    fn policies_are_read_as_they_are_written() {
        for policy in ForkPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("sometimes".parse::<ForkPolicy>().is_err());
    }

    proptest! {
        #[test]
        fn less_care_never_builds_less(author in proptest::option::of("(hana|bob|[a-z]{0,5})"), allowed in 0..3_usize) {
            let (a, b) = (revision('a'), revision('b'));
            let allowed = [None, Some(&a), Some(&b)][allowed];
            let asked = ForkHead { author: author.as_deref(), head: &a, allowed };
            let built: Vec<bool> =
                ForkPolicy::ALL.into_iter().map(|policy| trust(policy).judge(&asked).is_ok()).collect();
            prop_assert!(built.is_sorted(), "{built:?}");
            prop_assert_eq!((built[0], built[3]), (false, true));
        }

        #[test]
        fn what_was_allowed_says_nothing_of_another_commit(author in "[c-z]{1,8}", policy in 0..3_usize) {
            let (a, b) = (revision('a'), revision('b'));
            prop_assume!(author != "hana");
            let asked = ForkHead { author: Some(&author), head: &a, allowed: Some(&b) };
            prop_assert!(trust(ForkPolicy::ALL[policy]).judge(&asked).is_err());
        }
    }
}
