//! Decisions that speak of several refs at once, so that a push of ten thousand tags makes one entry and not ten
//! thousand; each still names all its refs.

use super::first_pass::{Pass, SHOWN_NAME, Touched, subject};
use super::gate::Stop;
use super::{Decision, News, Outcome, ReasonCode, Rule, Subject};
use crate::text::inert;

impl<'a> Pass<'a> {
    /// One decision for all that the plan-wide rules keep from being built.
    pub(super) fn stopped(&mut self, stop: &Stop, touched: &[Touched<'a>]) {
        let nothing_moved = matches!(self.judge.arrival.news, News::Moved(_)) && touched.is_empty();
        if nothing_moved {
            return;
        }
        let single = match touched {
            [single] => Some(single),
            _ => None,
        };
        let subject = single.map_or_else(
            || Subject::Plan {
                key: self.judge.plan.key.clone(),
            },
            |touched| subject(&self.judge.plan.key, touched),
        );
        self.out.decisions.push(Decision {
            build: false,
            code: stop.code,
            sentence: format!("{subject} is not built, because {}", stop.reason),
            subject,
            rules: self.judge.gate.rules.clone(),
            vcs_branch: single.and_then(|touched| touched.vcs_branch.clone()),
            revision: single.and_then(|touched| touched.revision.clone()),
            previous: single.and_then(|touched| touched.row?.last_revision.clone()),
            settles: false,
            refs: touched
                .iter()
                .filter_map(|touched| touched.vcs_branch.clone())
                .collect(),
        });
    }

    /// One decision for each reason why refs start nothing, with all their names.
    pub(super) fn name_left_out(&mut self) {
        for (code, refs) in std::mem::take(&mut self.left_out) {
            let Some((first, why)) = refs.first() else {
                continue;
            };
            let names = names_shown(refs.iter().map(|(name, _)| name), refs.len());
            let rule = match code {
                ReasonCode::UnacceptableBranchName => "ref-name",
                ReasonCode::TagIgnored | ReasonCode::RefIgnored => "ref-kind",
                ReasonCode::BranchNotWatched => "watched-branch",
                ReasonCode::BranchDeleted | ReasonCode::BranchNotFound => "branch-exists",
                ReasonCode::PullRequestClosed => "pull-request-open",
                ReasonCode::ForkNotAccepted | ReasonCode::ForkNotAllowed => "forks",
                ReasonCode::Superseded => "newest",
                _ => "new-branch",
            };
            let rules = vec![Rule::new(rule, Outcome::Stopped, format!("{names}: {why}"))];
            let single = (refs.len() == 1).then(|| first.clone());
            self.out.decisions.push(Decision {
                subject: Subject::Plan {
                    key: self.judge.plan.key.clone(),
                },
                build: false,
                code,
                sentence: format!("nothing is built for {names}: {why}"),
                rules,
                vcs_branch: single,
                revision: None,
                previous: None,
                settles: false,
                refs: refs.into_iter().map(|(name, _)| name).collect(),
            });
        }
    }

    /// Hostile-inputs W17: what is too much is named, never dropped in silence.
    pub(super) fn name_too_many(&mut self, taken: usize, refs: Vec<String>) {
        if refs.is_empty() {
            return;
        }
        let names = names_shown(refs.iter(), refs.len());
        let input = format!(
            "{} branches changed, {taken} are taken up at once",
            taken + refs.len()
        );
        self.out.decisions.push(Decision {
            subject: Subject::Plan {
                key: self.judge.plan.key.clone(),
            },
            build: false,
            code: ReasonCode::TooManyBranches,
            sentence: format!(
                "{input}; {names} must wait: the next push to each takes it up, and so does the next look at \
                 all branches"
            ),
            rules: vec![Rule::new("fan-out", Outcome::Stopped, input)],
            vcs_branch: None,
            revision: None,
            previous: None,
            settles: false,
            refs,
        });
    }
}

pub(super) fn names_shown<'n>(names: impl Iterator<Item = &'n String>, count: usize) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = names.take(SHOWN).map(|name| inert(name, SHOWN_NAME)).collect();
    let shown = shown.join(", ");
    match count.saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
