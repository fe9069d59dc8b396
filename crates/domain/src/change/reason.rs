//! The stable reason codes of decisions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a decision is as it is, for machines. Codes are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum ReasonCode {
            $($(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    /// Built: the branch has changed.
    Changed = "changed",
    /// Built: nothing of the plan branch was considered before.
    FirstBuild = "first-build",
    /// Built: the branch was moved to a commit that does not follow the last one (a force push).
    HistoryRewritten = "history-rewritten",
    /// Built: it was time.
    Scheduled = "scheduled",
    /// Built: a build of a parent was successful.
    ParentSucceeded = "parent-succeeded",
    /// Built: a new tag was pushed.
    Tagged = "tagged",
    /// Built: a deployment was successful.
    Deployed = "deployed",
    /// A parent builds, or has changes to build, and starts the plan then.
    WaitsForParent = "waits-for-parent",
    /// The plan is disabled.
    PlanDisabled = "plan-disabled",
    /// The plan branch is disabled.
    BranchDisabled = "branch-disabled",
    /// No trigger of the plan answers to pushes.
    NoPushTrigger = "no-push-trigger",
    /// The plan has no remote trigger.
    NoRemoteTrigger = "no-remote-trigger",
    /// The plan has no polling trigger.
    NoPollingTrigger = "no-polling-trigger",
    /// The plan has no cron trigger with that expression.
    NoCronTrigger = "no-cron-trigger",
    /// No tag trigger of the plan takes a tag of this name.
    NoTagTrigger = "no-tag-trigger",
    /// The tagged commit is not on the branch.
    TagNotInBranch = "tag-not-in-branch",
    /// No after-deployment trigger of the plan listens to that environment.
    NoDeploymentTrigger = "no-deployment-trigger",
    /// The plan is started by hand only.
    NoTrigger = "no-trigger",
    /// The triggers that answer name other repositories.
    RepositoryNotInTrigger = "repository-not-in-trigger",
    /// The revision is the one that was considered last.
    NoChanges = "no-changes",
    /// No changed file matches the filter.
    NoMatchingFiles = "no-matching-files",
    /// All changed files match the filter of files that do not count.
    OnlyExcludedFiles = "only-excluded-files",
    /// The messages of all new commits match the pattern of commits that do not count.
    CommitsExcluded = "commits-excluded",
    /// A condition of the trigger does not hold.
    ConditionFailed = "condition-failed",
    /// The branch was deleted.
    BranchDeleted = "branch-deleted",
    /// The repository has no such branch.
    BranchNotFound = "branch-not-found",
    /// The name cannot be the name of a branch.
    UnacceptableBranchName = "unacceptable-branch-name",
    /// This tag starts no build.
    TagIgnored = "tag-ignored",
    /// Refs that are neither branches nor tags start no builds.
    RefIgnored = "ref-ignored",
    /// Plan branches are made by hand.
    NewBranchByHand = "new-branch-by-hand",
    /// The name of the new branch does not match the plan's pattern.
    NewBranchNotMatching = "new-branch-not-matching",
    /// Plan branches are made for pull requests.
    NewBranchForPullRequest = "new-branch-for-pull-request",
    /// The plan makes no plan branches for pull requests.
    PullRequestsNotFollowed = "pull-requests-not-followed",
    /// The pull request was closed.
    PullRequestClosed = "pull-request-closed",
    /// The plan accepts no pull requests from forks.
    ForkNotAccepted = "fork-not-accepted",
    /// The repository does not let this pull request from a fork be built.
    ForkNotAllowed = "fork-not-allowed",
    /// The plan's pattern for new branches cannot be read.
    UnreadableBranchPattern = "unreadable-branch-pattern",
    /// The plan watches another branch of this repository.
    BranchNotWatched = "branch-not-watched",
    /// A build of the plan itself pushed it.
    OwnPush = "own-push",
    /// Too many builds pushed one behind the other, each starting the next.
    PushChain = "push-chain",
    /// The branch has moved on.
    Superseded = "superseded",
    /// More branches changed at once than are taken up.
    TooManyBranches = "too-many-branches",
    /// More tags were pushed at once than are taken up.
    TooManyTags = "too-many-tags",
}

impl ReasonCode {
    /// Whether the code belongs to a decision to build.
    #[must_use]
    pub fn builds(self) -> bool {
        matches!(
            self,
            Self::Changed
                | Self::FirstBuild
                | Self::HistoryRewritten
                | Self::Scheduled
                | Self::ParentSucceeded
                | Self::Tagged
                | Self::Deployed
        )
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReasonCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|code| code.as_str() == text);
        found
            .copied()
            .ok_or_else(|| format!("`{text}` is not a reason code"))
    }
}

impl TryFrom<String> for ReasonCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ReasonCode> for String {
    fn from(code: ReasonCode) -> Self {
        code.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        let texts: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ReasonCode::ALL.len());
        for code in ReasonCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
        assert!("nonsense".parse::<ReasonCode>().is_err());
    }
}
