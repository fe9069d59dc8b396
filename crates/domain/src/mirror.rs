//! Mirrors: a hosted repository that follows a remote, or a remote that follows it. Which refs are to move, and when a
//! run that failed is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Which way refs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MirrorDirection {
    /// The repository here is kept equal to the remote, and takes no pushes.
    From,
    /// What is pushed here is pushed on to the remote.
    To,
}

impl MirrorDirection {
    /// The word used in the store and in answers: `from` or `to`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }
}

impl fmt::Display for MirrorDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MirrorDirection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "from" => Ok(Self::From),
            "to" => Ok(Self::To),
            _ => Err(format!(
                "`{text}` is not a direction of a mirror: it is `from` or `to`"
            )),
        }
    }
}

/// What a push to a remote has to do, by full names of refs, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefsToPush {
    /// Refs to create or to move, also backwards.
    pub update: Vec<String>,
    /// Refs to delete at the remote.
    pub delete: Vec<String>,
}

impl RefsToPush {
    /// Whether the remote has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.update.is_empty() && self.delete.is_empty()
    }
}

/// What makes the remote's refs those that are here. Both are full names to object ids.
///
/// Refs that are only at the remote are deleted if they are in `gone`, which are those that were deleted here since the
/// last run, or all of them with `prune`.
#[must_use]
pub fn refs_to_push(
    here: &BTreeMap<String, String>,
    remote: &BTreeMap<String, String>,
    gone: &BTreeSet<String>,
    prune: bool,
) -> RefsToPush {
    let update = here
        .iter()
        .filter(|(name, id)| remote.get(*name) != Some(id))
        .map(|(name, _)| name.clone());
    let delete = remote
        .keys()
        .filter(|name| !here.contains_key(*name) && (prune || gone.contains(*name)))
        .cloned();
    RefsToPush {
        update: update.collect(),
        delete: delete.collect(),
    }
}

/// How long to wait after so many failures in a row before the next try, in milliseconds: two seconds, doubled each
/// time, at most five minutes.
#[must_use]
pub fn retry_after_ms(failures: u32) -> i64 {
    const FIRST_MS: i64 = 2_000;
    const LONGEST_MS: i64 = 5 * 60 * 1000;
    let doubled = FIRST_MS << failures.saturating_sub(1).min(10);
    doubled.min(LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, id): &(&str, &str)| ((*name).to_owned(), (*id).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_moved_is_pushed_and_what_went_is_deleted() {
        let here = refs(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let remote = refs(&[("a", "1"), ("b", "9"), ("theirs", "4"), ("went", "5")]);
        let gone = BTreeSet::from(["went".to_owned(), "never-there".to_owned(), "a".to_owned()]);
        let pushed = |prune| {
            let plan = refs_to_push(&here, &remote, &gone, prune);
            (plan.update, plan.delete)
        };
        let update = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(pushed(false), (update.clone(), vec!["went".to_owned()]));
        assert_eq!(
            pushed(true),
            (update, vec!["theirs".to_owned(), "went".to_owned()])
        );
        assert!(refs_to_push(&here, &here, &gone, true).is_empty());
    }

    #[test]
    fn tries_come_later_and_later_but_do_not_stop() {
        let waits: Vec<i64> = (0..6).map(retry_after_ms).collect();
        assert_eq!(waits, [2_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
        assert_eq!(retry_after_ms(u32::MAX), 300_000);
    }

    proptest! {
        #[test]
        fn a_run_that_went_well_leaves_the_remote_equal(
            here in prop::collection::btree_map("[a-d]", "[0-3]", 0..5),
            remote in prop::collection::btree_map("[a-f]", "[0-3]", 0..7),
            gone in prop::collection::btree_set("[a-f]", 0..4),
            prune: bool,
        ) {
            let plan = refs_to_push(&here, &remote, &gone, prune);
            let mut after = remote.clone();
            for name in &plan.delete {
                after.remove(name);
            }
            for name in &plan.update {
                after.insert(name.clone(), here[name].clone());
            }
            for (name, id) in &here {
                prop_assert_eq!(after.get(name), Some(id));
            }
            let others: BTreeSet<&String> = after.keys().filter(|name| !here.contains_key(*name)).collect();
            prop_assert!(others.iter().all(|name| !prune && !gone.contains(*name)));
            prop_assert!(refs_to_push(&here, &after, &gone, prune).is_empty());
        }
    }
}
