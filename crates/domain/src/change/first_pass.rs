//! The first pass: which plan branches does the event touch, and what can be settled without reading a commit.

use std::collections::BTreeMap;

use super::{
    ArrivedRepository, BranchChange, BranchRow, Candidate, ChangeJudge, Decision, FirstPass, Heads, MovedRef,
    News, Outcome, ReasonCode, RefKind, Revision, Rule, Source, Subject, acceptable_branch_name,
};
use crate::branch_expiry::days_text;
use crate::key::PlanKey;
use crate::plan::BranchCreation;
use crate::pull_request::PullRequestNews;
use crate::text::inert;

/// The longest a branch name gets in a sentence, in characters.
pub(super) const SHOWN_NAME: usize = 100;

impl ChangeJudge<'_> {
    /// Finds the plan branches that the event touches and settles what needs no commit.
    ///
    /// `rows` are the plan's branches with the plan itself; branches are matched by their exact names, so those
    /// that differ only in case or Unicode form are different (hostile-inputs G6).
    #[must_use]
    pub fn first_pass(&self, rows: &[BranchRow]) -> FirstPass {
        let rows: Vec<&BranchRow> = rows.iter().filter(|row| self.concerns(row)).collect();
        let mut by_branch: BTreeMap<&str, Vec<&BranchRow>> = BTreeMap::new();
        for row in &rows {
            by_branch.entry(&row.vcs_branch).or_default().push(row);
        }
        let mut pass = Pass {
            judge: self,
            rows,
            by_branch,
            touched: Vec::new(),
            left_out: BTreeMap::new(),
            out: FirstPass::default(),
        };
        match (&self.arrival.news, &self.arrival.repository) {
            (News::NoRepository, _) | (_, None) => pass.without_repository(),
            (News::Moved(refs), Some(repository)) => match &self.arrival.source {
                Source::PullRequest(news) => {
                    for moved in refs {
                        pass.pull_request(news, moved, repository);
                    }
                }
                Source::Tag { .. } => {
                    for moved in refs {
                        pass.tag(moved);
                    }
                }
                _ => pass.moved(refs, repository),
            },
            (News::Heads(heads), Some(repository)) => pass.heads(heads, repository),
        }
        pass.finish()
    }
}

/// A plan branch that the event touches.
pub(super) struct Touched<'a> {
    pub(super) row: Option<&'a BranchRow>,
    pub(super) vcs_branch: Option<String>,
    pub(super) revision: Option<Revision>,
    pub(super) moved_from: Option<Revision>,
}

/// What the first pass has found so far.
pub(super) struct Pass<'a> {
    pub(super) judge: &'a ChangeJudge<'a>,
    pub(super) rows: Vec<&'a BranchRow>,
    pub(super) by_branch: BTreeMap<&'a str, Vec<&'a BranchRow>>,
    pub(super) touched: Vec<Touched<'a>>,
    /// Refs that start nothing, with the reason, by code.
    pub(super) left_out: BTreeMap<ReasonCode, Vec<(String, String)>>,
    pub(super) out: FirstPass,
}

impl<'a> Pass<'a> {
    /// Whether the call asked for this row.
    fn asked(&self, row: &BranchRow) -> bool {
        match &self.judge.arrival.source {
            Source::RemoteTrigger {
                asked,
                skip_branches: true,
            } => row.key == *asked,
            Source::Parent { target, .. } => row.key == *target,
            _ => true,
        }
    }

    pub(super) fn leave_out(&mut self, code: ReasonCode, name: &str, why: impl Into<String>) {
        self.left_out
            .entry(code)
            .or_default()
            .push((name.to_owned(), why.into()));
    }

    pub(super) fn touch(
        &mut self,
        row: &'a BranchRow,
        branch: &str,
        head: &Revision,
        moved_from: Option<&Revision>,
    ) {
        if self.asked(row) {
            self.touched.push(Touched {
                row: Some(row),
                vcs_branch: Some(branch.to_owned()),
                revision: Some(head.clone()),
                moved_from: moved_from.cloned(),
            });
        }
    }

    fn without_repository(&mut self) {
        self.touched
            .extend(self.rows.iter().filter(|row| row.is_master).map(|row| Touched {
                row: Some(*row),
                vcs_branch: None,
                revision: None,
                moved_from: None,
            }));
    }

    fn moved(&mut self, refs: &[MovedRef], repository: &ArrivedRepository) {
        // One name may come twice; what counts is where it started and where it ended.
        let mut branches: BTreeMap<&str, MovedRef> = BTreeMap::new();
        for moved in refs {
            match moved.kind {
                RefKind::Branch if moved.old.is_none() && moved.new.is_none() => {
                    self.leave_out(
                        ReasonCode::RefIgnored,
                        &moved.name,
                        "it was neither made nor moved",
                    );
                }
                RefKind::Branch => {
                    branches
                        .entry(&moved.name)
                        .and_modify(|first| first.new.clone_from(&moved.new))
                        .or_insert_with(|| moved.clone());
                }
                RefKind::Tag => self.leave_out(ReasonCode::TagIgnored, &moved.name, self.no_new_tag(moved)),
                RefKind::Other => self.leave_out(
                    ReasonCode::RefIgnored,
                    &moved.name,
                    "refs that are neither branches nor tags start no builds",
                ),
            }
        }
        for moved in branches.into_values() {
            if repository.is_default {
                self.moved_branch(&moved, repository);
            } else {
                self.moved_elsewhere(&moved, repository);
            }
        }
    }

    fn moved_branch(&mut self, moved: &MovedRef, repository: &ArrivedRepository) {
        let rows = self
            .by_branch
            .get(moved.name.as_str())
            .cloned()
            .unwrap_or_default();
        let now = self.judge.arrival.current_heads.get(&moved.name);
        match &moved.new {
            None if let Some(Some(head)) = now => {
                let why = format!("its deletion was told late; it exists again, at {}", head.short());
                self.leave_out(ReasonCode::Superseded, &moved.name, why);
            }
            None if rows.is_empty() => {
                let why = "it was deleted, and the plan has no plan branch for it";
                self.leave_out(ReasonCode::BranchDeleted, &moved.name, why);
            }
            None => {
                for row in rows {
                    self.deleted(row);
                }
            }
            Some(new) if rows.is_empty() => self.new_branch(&moved.name, new, repository),
            Some(new) => {
                for row in rows {
                    if now != Some(&None) {
                        self.mark_found(row);
                    }
                    self.touch(row, &moved.name, new, moved.old.as_ref());
                }
            }
        }
    }

    /// A branch of a repository that is not the plan's default one: all plan branches build with one branch of it.
    fn moved_elsewhere(&mut self, moved: &MovedRef, repository: &ArrivedRepository) {
        if self.watched(repository) == Some(&moved.name)
            && let Some(new) = &moved.new
        {
            for row in self.rows.clone() {
                self.touch(row, &moved.name, new, moved.old.as_ref());
            }
            return;
        }
        let why = match self.watched(repository) {
            Some(watched) => format!(
                "of {} the plan builds with the branch {}",
                inert(&repository.name, SHOWN_NAME),
                inert(watched, SHOWN_NAME)
            ),
            None => format!(
                "it is not known with which branch of {} the plan builds",
                inert(&repository.name, SHOWN_NAME)
            ),
        };
        self.leave_out(ReasonCode::BranchNotWatched, &moved.name, why);
    }

    fn watched(&self, repository: &'a ArrivedRepository) -> Option<&'a String> {
        let all = self.judge.plan.repositories.as_ref();
        all.and_then(|all| all.iter().find(|known| known.name == repository.name))
            .and_then(|known| known.branch.as_ref())
            .or(repository.default_branch.as_ref())
    }

    fn heads(&mut self, heads: &Heads, repository: &ArrivedRepository) {
        let rows = self.rows.clone();
        if let Source::RemoteTrigger {
            asked,
            skip_branches: true,
        } = &self.judge.arrival.source
            && !rows.iter().any(|row| row.key == *asked)
        {
            self.leave_out(
                ReasonCode::BranchNotFound,
                asked.as_str(),
                "the plan has no such plan branch",
            );
        }
        if !repository.is_default {
            match self
                .watched(repository)
                .and_then(|name| heads.heads.get_key_value(name))
            {
                Some((name, head)) => {
                    for row in &rows {
                        self.touch(row, name, head, None);
                    }
                }
                None => self.leave_out(
                    ReasonCode::BranchNotFound,
                    &repository.name,
                    "the repository has no branch that the plan builds with",
                ),
            }
            return;
        }
        for row in rows {
            match heads.heads.get(&row.vcs_branch) {
                Some(head) => {
                    self.mark_found(row);
                    self.touch(row, &row.vcs_branch, head, None);
                }
                None if self.asked(row) => self.not_among(row, heads.complete),
                None => {}
            }
        }
        self.new_heads(heads, repository);
    }

    fn new_heads(&mut self, heads: &Heads, repository: &ArrivedRepository) {
        let makes_branches = match &self.judge.arrival.source {
            Source::RemoteTrigger { skip_branches, .. } => !skip_branches,
            Source::Cron { .. } | Source::Parent { .. } | Source::Tag { .. } | Source::Deployment { .. } => {
                false
            }
            Source::Push | Source::Poll | Source::SpecsChange | Source::PullRequest(_) => true,
        };
        if !makes_branches {
            return;
        }
        for (name, head) in &heads.heads {
            if !self.by_branch.contains_key(name.as_str()) && heads.known.get(name) != Some(head) {
                self.new_branch(name, head, repository);
            }
        }
    }

    pub(super) fn mark_found(&mut self, row: &BranchRow) {
        if row.missing_since_ms.is_some() {
            let key = row.key.clone();
            self.out.branch_changes.push(BranchChange::MarkFound { key });
        }
    }

    pub(super) fn mark_missing(&mut self, row: &BranchRow) {
        if !row.is_master && row.missing_since_ms.is_none() {
            let key = row.key.clone();
            self.out.branch_changes.push(BranchChange::MarkMissing { key });
        }
    }

    /// Hostile-inputs W13: no build, and the plan branch goes when the policy says so.
    fn deleted(&mut self, row: &BranchRow) {
        self.mark_missing(row);
        let name = inert(&row.vcs_branch, SHOWN_NAME);
        let key = &row.key;
        let then = match self.judge.plan.branches.delete_after_deleted_days {
            _ if row.is_master => format!("{key} is the plan itself and stays"),
            Some(0) => format!("{key} is removed"),
            Some(days) => format!("{key} is removed after {}", days_text(days)),
            None => format!("{key} stays, as the plan says"),
        };
        self.decided(
            row,
            ReasonCode::BranchDeleted,
            format!("nothing is built, because the branch {name} was deleted; {then}"),
            Rule::new("branch-exists", Outcome::Stopped, format!("{name} was deleted")),
        );
    }

    fn not_among(&mut self, row: &BranchRow, complete: bool) {
        let name = inert(&row.vcs_branch, SHOWN_NAME);
        let input = if complete {
            self.mark_missing(row);
            format!("the repository has no branch {name}")
        } else {
            format!("{name} is not among the branches that were read, and the list was cut")
        };
        self.decided(
            row,
            ReasonCode::BranchNotFound,
            format!("{} is not built, because {input}", row.key),
            Rule::new("branch-exists", Outcome::Stopped, input),
        );
    }

    pub(super) fn decided(&mut self, row: &BranchRow, code: ReasonCode, sentence: String, last: Rule) {
        let mut rules = self.judge.gate.rules.clone();
        rules.retain(|rule| rule.outcome != Outcome::Stopped);
        rules.push(last);
        self.out.decisions.push(Decision {
            subject: Subject::Branch { key: row.key.clone() },
            build: false,
            code,
            sentence,
            rules,
            vcs_branch: Some(row.vcs_branch.clone()),
            revision: None,
            previous: row.last_revision.clone(),
            settles: false,
            refs: Vec::new(),
        });
    }

    /// A branch without a plan branch: the plan's policy says whether it gets one (bamboo-specs.md 8).
    fn new_branch(&mut self, name: &str, head: &Revision, repository: &ArrivedRepository) {
        if let Err(problem) = acceptable_branch_name(name, repository.scm) {
            self.leave_out(
                ReasonCode::UnacceptableBranchName,
                name,
                format!("the name {problem}"),
            );
            return;
        }
        if self.judge.arrival.current_heads.get(name) == Some(&None) {
            self.leave_out(ReasonCode::Superseded, name, "it has been deleted since");
            return;
        }
        let refused = match (&self.judge.plan.branches.create, &self.judge.new_branches) {
            (BranchCreation::Manually, _) => Some((
                ReasonCode::NewBranchByHand,
                "plan branches of this plan are made by hand".to_owned(),
            )),
            (BranchCreation::ForPullRequest { .. }, _) => Some((
                ReasonCode::NewBranchForPullRequest,
                "plan branches of this plan are made for pull requests".to_owned(),
            )),
            (BranchCreation::ForNewBranch { .. }, None) => None,
            (BranchCreation::ForNewBranch { .. }, Some(pattern)) => match pattern.matches(name) {
                Ok(true) => None,
                Ok(false) => Some((
                    ReasonCode::NewBranchNotMatching,
                    format!(
                        "the name as a whole does not match the plan's pattern `{}`",
                        pattern.text()
                    ),
                )),
                Err(problem) => Some((
                    ReasonCode::UnreadableBranchPattern,
                    format!(
                        "the plan's pattern `{}` cannot be read ({problem})",
                        pattern.text()
                    ),
                )),
            },
        };
        match refused {
            Some((code, why)) => self.leave_out(code, name, why),
            None => self.propose(name, head),
        }
    }

    /// Asks for a new plan branch.
    pub(super) fn propose(&mut self, name: &str, head: &Revision) {
        self.touched.push(Touched {
            row: None,
            vcs_branch: Some(name.to_owned()),
            revision: Some(head.clone()),
            moved_from: None,
        });
    }

    fn finish(mut self) -> FirstPass {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_by_key(|touched| match touched.row {
            Some(row) if row.is_master => 0,
            Some(_) => 1,
            None => 2,
        });
        let touched = match &self.judge.gate.stop {
            Some(stop) => {
                self.stopped(stop, &touched);
                // Plan branches are made whether or not a trigger builds them, but not because a stranger calls.
                let makes_branches = stop.code != ReasonCode::PlanDisabled
                    && matches!(
                        self.judge.arrival.source,
                        Source::Push | Source::SpecsChange | Source::PullRequest(_)
                    );
                touched.retain(|touched| touched.row.is_none() && makes_branches);
                touched
            }
            None => touched,
        };
        let stopped = self.judge.gate.stop.is_some();
        let mut taken = 0;
        let mut too_many = Vec::new();
        for touched in touched {
            let candidate = match self.settle(&touched) {
                Ok(candidate) => candidate,
                Err(decision) => {
                    self.out.decisions.push(*decision);
                    continue;
                }
            };
            if taken == self.judge.arrival.max_candidates {
                too_many.push(touched.vcs_branch.unwrap_or_default());
                continue;
            }
            taken += 1;
            if touched.row.is_none() {
                let vcs_branch = touched.vcs_branch.unwrap_or_default();
                self.out.branch_changes.push(BranchChange::Create { vcs_branch });
            }
            if !stopped {
                self.out.candidates.push(candidate);
            }
        }
        self.name_left_out();
        self.name_too_many(taken, too_many);
        self.out
    }

    /// The rules that need the row and the heads only.
    fn settle(&self, touched: &Touched<'_>) -> Result<Candidate, Box<Decision>> {
        let mut candidate = Candidate {
            subject: subject(&self.judge.plan.key, touched),
            vcs_branch: touched.vcs_branch.clone(),
            revision: touched.revision.clone(),
            previous: touched.row.and_then(|row| row.last_revision.clone()),
            moved_from: touched.moved_from.clone(),
            rules: self.judge.gate.rules.clone(),
        };
        let Some(row) = touched.row else {
            let input = match (&self.judge.arrival.source, self.judge.new_branches.as_ref()) {
                (
                    Source::PullRequest(PullRequestNews {
                        fork: Some(Ok(why)), ..
                    }),
                    _,
                ) => {
                    format!("the plan accepts pull requests from forks, and {why}")
                }
                (Source::PullRequest(_), _) => {
                    "the plan makes a plan branch for each pull request".to_owned()
                }
                (_, Some(pattern)) => format!("the whole name matches `{}`", pattern.text()),
                (_, None) => "the plan makes a plan branch for each new branch".to_owned(),
            };
            candidate
                .rules
                .push(Rule::new("new-branch", Outcome::Passed, input));
            return Ok(candidate);
        };
        if !row.enabled {
            let reason = "the plan branch is disabled".to_owned();
            return Err(candidate.against("branch-enabled", ReasonCode::BranchDisabled, reason));
        }
        candidate.rules.push(Rule::new(
            "branch-enabled",
            Outcome::Passed,
            "the plan branch is enabled",
        ));
        if self.judge.arrival.source.builds_anyway() {
            return Ok(candidate);
        }
        if let Some(reason) = self.moved_on(&candidate) {
            return Err(candidate.against("newest", ReasonCode::Superseded, reason));
        }
        let input = match (&candidate.previous, &candidate.revision) {
            (Some(previous), Some(revision)) if previous == revision => {
                let key = &row.key;
                let input = format!("{} is the revision that was considered last", revision.short());
                candidate
                    .rules
                    .push(Rule::new("changed", Outcome::Stopped, input));
                let sentence = format!("No changes found for '{key}'");
                return Err(candidate.decided(ReasonCode::NoChanges, sentence, true));
            }
            (Some(previous), Some(revision)) => {
                format!(
                    "{} was considered last, {} is new",
                    previous.short(),
                    revision.short()
                )
            }
            (_, Some(revision)) => format!("nothing was considered before, {} is new", revision.short()),
            (_, None) => "the plan has no repository".to_owned(),
        };
        candidate.rules.push(Rule::new("changed", Outcome::Passed, input));
        Ok(candidate)
    }

    /// Hostile-inputs W16: the event came late, and what the branch holds now was considered already. An event
    /// that starts from what was considered last is in order, whatever came after it.
    fn moved_on(&self, candidate: &Candidate) -> Option<String> {
        if !matches!(self.judge.arrival.news, News::Moved(_)) {
            return None;
        }
        let name = candidate.vcs_branch.as_ref()?;
        let shown = inert(name, SHOWN_NAME);
        match self.judge.arrival.current_heads.get(name)? {
            None => Some(format!("the branch {shown} has been deleted since")),
            Some(head) => {
                let late = Some(head) != candidate.revision.as_ref()
                    && Some(head) == candidate.previous.as_ref()
                    && candidate.moved_from != candidate.previous;
                late.then(|| {
                    format!(
                        "the event came late: the branch {shown} is at {}, which was considered already",
                        head.short()
                    )
                })
            }
        }
    }
}

/// Whom a decision about this branch is about.
pub(super) fn subject(plan: &PlanKey, touched: &Touched<'_>) -> Subject {
    match (touched.row, &touched.vcs_branch) {
        (Some(row), _) => Subject::Branch { key: row.key.clone() },
        (None, Some(vcs_branch)) => Subject::NewBranch {
            plan: plan.clone(),
            vcs_branch: vcs_branch.clone(),
        },
        (None, None) => Subject::Plan { key: plan.clone() },
    }
}
