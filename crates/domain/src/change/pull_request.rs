//! Pull requests: which plan branches one concerns, and which of them other events pass over.

use super::first_pass::{Pass, SHOWN_NAME};
use super::{
    ArrivedRepository, BranchRow, ChangeJudge, MovedRef, Outcome, Proposal, ReasonCode, Rule, Source,
    acceptable_branch_name,
};
use crate::branch_expiry::days_text;
use crate::plan::BranchCreation;
use crate::pull_request::PullRequestNews;
use crate::text::inert;

impl ChangeJudge<'_> {
    /// Whether the event may concern a plan branch that was made for a pull request. What comes from a fork is built
    /// by news of the pull request alone, which says whether it is trusted; and a plan branch whose pull request is
    /// closed has ended, whatever becomes of its branch, unless the plan follows branches by now.
    pub(super) fn concerns(&self, row: &BranchRow) -> bool {
        let follows = matches!(self.plan.branches.create, BranchCreation::ForPullRequest { .. });
        match (&row.proposal, &self.arrival.source) {
            (None, _) | (Some(_), Source::PullRequest(_)) => true,
            (Some(proposal), _) => !proposal.from_fork && (proposal.open || !follows),
        }
    }
}

impl Pass<'_> {
    /// News of a pull request. `moved` is the branch that it comes from, or the ref that shows the fork's newest
    /// commit.
    pub(super) fn pull_request(
        &mut self,
        news: &PullRequestNews,
        moved: &MovedRef,
        repository: &ArrivedRepository,
    ) {
        let name = &moved.name;
        let number = news.number;
        if !repository.is_default {
            let why = "pull requests count in the first repository of a plan alone";
            self.leave_out(ReasonCode::BranchNotWatched, name, why);
            return;
        }
        let accepts = match self.judge.plan.branches.create {
            BranchCreation::ForPullRequest { accept_fork } => Some(accept_fork),
            BranchCreation::Manually | BranchCreation::ForNewBranch { .. } => None,
        };
        let rows = self.by_branch.get(name.as_str()).cloned().unwrap_or_default();
        let Some(accepts_forks) = accepts else {
            match (&moved.new, news.open, &news.fork) {
                // The branch has moved, whoever tells it.
                (Some(new), true, None) if !rows.is_empty() => {
                    for row in rows {
                        self.touch(row, name, new, None);
                    }
                }
                _ => {
                    let why = "the plan makes no plan branches for pull requests";
                    self.leave_out(ReasonCode::PullRequestsNotFollowed, name, why);
                }
            }
            return;
        };
        if !news.open {
            let ended: Vec<&BranchRow> = rows.into_iter().filter(|row| row.proposal.is_some()).collect();
            if ended.is_empty() {
                let why = format!("pull request {number} was closed, and the plan has no plan branch for it");
                self.leave_out(ReasonCode::PullRequestClosed, name, why);
            }
            for row in ended {
                self.closed(row, number);
            }
            return;
        }
        match &news.fork {
            Some(_) if !accepts_forks => {
                let why = "the plan accepts no pull requests from forks (`accept-fork` is not true)";
                self.leave_out(ReasonCode::ForkNotAccepted, name, why);
                return;
            }
            Some(Err(why)) => {
                self.leave_out(ReasonCode::ForkNotAllowed, name, why.clone());
                return;
            }
            Some(Ok(_)) | None => {}
        }
        let is_of_fork = |row: &&BranchRow| row.proposal.is_some_and(|proposal| proposal.from_fork);
        if news.fork.is_some() && !rows.iter().all(is_of_fork) {
            let why = "a branch of the repository itself has the name of this ref";
            self.leave_out(ReasonCode::UnacceptableBranchName, name, why);
            return;
        }
        let Some(new) = &moved.new else {
            let why = "its newest commit is not known";
            self.leave_out(ReasonCode::BranchNotFound, name, why);
            return;
        };
        if rows.is_empty() {
            match acceptable_branch_name(name, repository.scm) {
                Err(problem) if news.fork.is_none() => {
                    let why = format!("the name {problem}");
                    self.leave_out(ReasonCode::UnacceptableBranchName, name, why);
                }
                // The ref of a fork has the name that its forge gives.
                _ => self.propose(name, new),
            }
            return;
        }
        for row in rows {
            self.mark_found(row);
            self.touch(row, name, new, None);
        }
    }

    /// Ends a plan branch as the deletion of its branch would.
    fn closed(&mut self, row: &BranchRow, number: u64) {
        // Another pull request from the same branch may be open.
        if row.proposal.is_some_and(|proposal: Proposal| proposal.open) {
            let sentence = format!(
                "pull request {number} was closed, and {} stays for another one from the branch {}",
                row.key,
                inert(&row.vcs_branch, SHOWN_NAME)
            );
            let input = format!("{number} is closed, another one is open");
            self.decided(
                row,
                ReasonCode::PullRequestClosed,
                sentence,
                Rule::new("pull-request-open", Outcome::Stopped, input),
            );
            return;
        }
        self.mark_missing(row);
        let key = &row.key;
        let then = match self.judge.plan.branches.delete_after_deleted_days {
            Some(0) => format!("{key} is removed"),
            Some(days) => format!("{key} is removed after {}", days_text(days)),
            None => format!("{key} stays, as the plan says"),
        };
        self.decided(
            row,
            ReasonCode::PullRequestClosed,
            format!("nothing is built, because pull request {number} was closed; {then}"),
            Rule::new(
                "pull-request-open",
                Outcome::Stopped,
                format!("{number} was closed"),
            ),
        );
    }
}
