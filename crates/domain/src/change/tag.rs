//! New tags: which plan branch one builds, and which tags start nothing.
//!
//! A tag builds the plan itself at the commit that the tag names. It says nothing of where a branch is: what change
//! detection considered last stays as it is.

use super::first_pass::{Pass, Touched};
use super::summary::names_shown;
use super::{
    Candidate, ChangeFacts, ChangeJudge, Decision, MovedRef, Outcome, ReasonCode, Rule, Source, Subject,
};
use crate::key::PlanKey;
use crate::plan::TriggerKind;

impl ChangeJudge<'_> {
    /// Whether the event is a new tag.
    pub(super) fn is_tag(&self) -> bool {
        matches!(self.arrival.source, Source::Tag { .. })
    }

    /// Whether each trigger that answers wants the tagged commit to be on the branch.
    pub(super) fn on_branch_only(&self) -> bool {
        self.is_tag()
            && !self.gate.answering.is_empty()
            && self
                .gate
                .answering
                .iter()
                .all(|trigger| matches!(trigger.kind, TriggerKind::Tag { in_branch: true, .. }))
    }

    /// Where the tagged commit must be. What is not known never keeps a build from running (hostile-inputs W18).
    pub(super) fn look_at_tag(
        &self,
        facts: &ChangeFacts,
        candidate: &mut Candidate,
    ) -> Option<(ReasonCode, String)> {
        const RULE: &str = "tag-in-branch";
        if !self.on_branch_only() {
            return None;
        }
        let branch = crate::text::inert(candidate.vcs_branch.as_deref().unwrap_or_default(), 100);
        match facts.on_branch {
            Some(false) => {
                let input = format!("the tagged commit is not on the branch {branch}");
                candidate.rules.push(Rule::new(RULE, Outcome::Stopped, &*input));
                Some((ReasonCode::TagNotInBranch, input))
            }
            known => {
                let input = match known {
                    Some(_) => format!("the tagged commit is on the branch {branch}"),
                    None => {
                        format!(
                            "it is not known whether the tagged commit is on the branch {branch}, so it counts"
                        )
                    }
                };
                candidate.rules.push(Rule::new(RULE, Outcome::Passed, input));
                None
            }
        }
    }
}

impl Decision {
    /// What is decided for all tags beyond those that are taken up at once. Nobody looks at them again.
    #[must_use]
    pub fn too_many_tags(plan: &PlanKey, taken: usize, names: Vec<String>) -> Self {
        let shown = names_shown(names.iter(), names.len());
        let why = format!("more tags were pushed at once than are taken up ({taken}); start a build by hand");
        Self {
            subject: Subject::Plan { key: plan.clone() },
            build: false,
            code: ReasonCode::TooManyTags,
            sentence: format!("nothing is built for {shown}: {why}"),
            rules: vec![Rule::new("fan-out", Outcome::Stopped, format!("{shown}: {why}"))],
            vcs_branch: match &names[..] {
                [single] => Some(single.clone()),
                _ => None,
            },
            revision: None,
            previous: None,
            settles: false,
            refs: names,
        }
    }
}

impl Pass<'_> {
    /// A new tag. `moved` has the commit that it names, or nothing where it names none. Of the rows that are looked at,
    /// it builds the plan itself, or, where that is not among them, each.
    pub(super) fn tag(&mut self, moved: &MovedRef) {
        let Some(commit) = &moved.new else {
            self.leave_out(ReasonCode::TagIgnored, &moved.name, "it names no commit");
            return;
        };
        let rows = self.rows.clone();
        let only_plan = rows.iter().any(|row| row.is_master);
        for row in rows {
            if row.is_master || !only_plan {
                self.touched.push(Touched {
                    row: Some(row),
                    vcs_branch: Some(row.vcs_branch.clone()),
                    revision: Some(commit.clone()),
                    moved_from: None,
                });
            }
        }
    }

    /// Why a tag that came with a push is not looked at as a new one.
    pub(super) fn no_new_tag(&self, moved: &MovedRef) -> &'static str {
        let triggers = self.judge.plan.triggers.iter().flatten();
        let listens = triggers
            .into_iter()
            .any(|trigger| matches!(trigger.kind, TriggerKind::Tag { .. }));
        match (&moved.old, &moved.new) {
            _ if !listens => "tags start no builds",
            (_, None) => "it was deleted",
            (Some(_), _) => "it was moved, and new tags alone start builds",
            (None, _) => "it is no new tag: it was there when the plan was made, or was considered before",
        }
    }
}
