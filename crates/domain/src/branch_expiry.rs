//! Which plan branches go, by the plan's policy: those of deleted branches and those without commits
//! (bamboo-specs.md 8). The plan's own branch never goes.

use crate::key::PlanKey;
use crate::plan::BranchPolicy;
use crate::text::inert;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is known of one plan branch. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchAge {
    /// The plan branch.
    pub key: PlanKey,
    /// This is the plan itself.
    pub is_master: bool,
    /// The branch of the repository.
    pub vcs_branch: String,
    /// Since when the repository has had no such branch.
    pub missing_since_ms: Option<i64>,
    /// When the plan branch was made.
    pub created_ms: i64,
    /// When a commit last arrived.
    pub last_commit_ms: Option<i64>,
    /// Somebody asked that the branch be kept (`cleanupEnabled=false`, bamboo-rest.md 4.2; `disable-expiry`).
    pub kept: bool,
    /// A build of it runs or waits.
    pub busy: bool,
}

/// A plan branch that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The plan branch.
    pub key: PlanKey,
    /// Which rule says so: `branch-deleted` or `branch-inactive`.
    pub code: &'static str,
    /// The reason, for people.
    pub sentence: String,
}

/// The plan branches that go at `now_ms`.
///
/// A branch that builds, or that somebody asked to keep, stays for now. Inactivity counts from the last commit
/// that arrived, or from the making of the plan branch if that is later; 0 days of inactivity mean never, since
/// they would remove each branch as it is made. Times in the future (a clock that was set back) remove nothing.
#[must_use]
pub fn expired(branches: &[BranchAge], policy: &BranchPolicy, now_ms: i64) -> Vec<Expiry> {
    branches
        .iter()
        .filter(|branch| !branch.is_master && !branch.kept && !branch.busy)
        .filter_map(|branch| expiry(branch, policy, now_ms))
        .collect()
}

fn expiry(branch: &BranchAge, policy: &BranchPolicy, now_ms: i64) -> Option<Expiry> {
    let name = inert(&branch.vcs_branch, 100);
    let key = &branch.key;
    if let (Some(days), Some(since)) = (policy.delete_after_deleted_days, branch.missing_since_ms)
        && older_than(since, days, now_ms)
    {
        return Some(Expiry {
            key: key.clone(),
            code: "branch-deleted",
            sentence: format!(
                "{key} was removed: the branch {name} was deleted from its repository more than {} ago",
                days_text(days)
            ),
        });
    }
    let active = branch.created_ms.max(branch.last_commit_ms.unwrap_or(i64::MIN));
    let days = policy.delete_after_inactive_days.filter(|days| *days > 0)?;
    older_than(active, days, now_ms).then(|| Expiry {
        key: key.clone(),
        code: "branch-inactive",
        sentence: format!(
            "{key} was removed: the branch {name} has had no commit for {}",
            days_text(days)
        ),
    })
}

fn older_than(since_ms: i64, days: u32, now_ms: i64) -> bool {
    since_ms <= now_ms && now_ms.saturating_sub(since_ms) >= i64::from(days).saturating_mul(DAY_MS)
}

/// `1 day`, `30 days`.
pub(crate) fn days_text(days: u32) -> String {
    if days == 1 {
        "1 day".to_owned()
    } else {
        format!("{days} days")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BranchCreation;

    fn branch(number: u32) -> BranchAge {
        BranchAge {
            key: "PROJ-PLAN".parse::<PlanKey>().expect("a key").branch(number),
            is_master: false,
            vcs_branch: "feature/x".into(),
            missing_since_ms: None,
            created_ms: 0,
            last_commit_ms: Some(0),
            kept: false,
            busy: false,
        }
    }

    fn policy(deleted: Option<u32>, inactive: Option<u32>) -> BranchPolicy {
        BranchPolicy {
            create: BranchCreation::Manually,
            delete_after_deleted_days: deleted,
            delete_after_inactive_days: inactive,
            ..BranchPolicy::default()
        }
    }

    fn codes(branch: BranchAge, policy: &BranchPolicy, now_ms: i64) -> Vec<&'static str> {
        expired(&[branch], policy, now_ms)
            .iter()
            .map(|expiry| expiry.code)
            .collect()
    }

    #[test]
    fn deleted_and_inactive_branches_go_after_their_days() {
        let missing = BranchAge {
            missing_since_ms: Some(DAY_MS * 5),
            last_commit_ms: Some(DAY_MS * 5),
            ..branch(1)
        };
        let defaults = BranchPolicy::default();
        assert!(codes(missing.clone(), &defaults, DAY_MS * 6 - 1).is_empty());
        assert_eq!(codes(missing.clone(), &defaults, DAY_MS * 6), ["branch-deleted"]);
        assert_eq!(
            codes(missing.clone(), &policy(Some(0), None), DAY_MS * 5),
            ["branch-deleted"]
        );
        assert!(codes(missing, &policy(None, None), DAY_MS * 5000).is_empty());

        assert!(codes(branch(1), &defaults, DAY_MS * 30 - 1).is_empty());
        assert_eq!(codes(branch(1), &defaults, DAY_MS * 30), ["branch-inactive"]);
        let young = BranchAge {
            created_ms: DAY_MS * 20,
            ..branch(1)
        };
        assert!(codes(young, &defaults, DAY_MS * 30).is_empty());
        assert!(codes(branch(1), &policy(Some(1), Some(0)), DAY_MS * 5000).is_empty());
    }

    #[test]
    fn master_kept_and_busy_branches_stay() {
        let old = BranchAge {
            missing_since_ms: Some(0),
            ..branch(1)
        };
        let now_ms = DAY_MS * 1000;
        assert_eq!(
            expired(std::slice::from_ref(&old), &BranchPolicy::default(), now_ms).len(),
            1
        );
        for stays in [
            BranchAge {
                is_master: true,
                ..old.clone()
            },
            BranchAge {
                kept: true,
                ..old.clone()
            },
            BranchAge {
                busy: true,
                ..old.clone()
            },
            BranchAge {
                missing_since_ms: Some(now_ms + 1),
                created_ms: now_ms + 1,
                ..old
            },
        ] {
            assert!(
                expired(std::slice::from_ref(&stays), &BranchPolicy::default(), now_ms).is_empty(),
                "{stays:?}"
            );
        }
    }

    #[test]
    fn the_reason_names_key_branch_and_days() {
        let found = expired(&[branch(7)], &BranchPolicy::default(), DAY_MS * 40);
        assert_eq!(
            found[0].sentence,
            "PROJ-PLAN7 was removed: the branch feature/x has had no commit for 30 days"
        );
    }
}
