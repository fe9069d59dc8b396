//! The second pass: filters over files and commits, and the conditions of the triggers.

use super::{
    Candidate, ChangeFacts, ChangeJudge, Decision, FactsNeeded, FileRule, Moment, News, Outcome, ReasonCode,
    Rule, Source,
};
use crate::condition::{ConditionInputs, Evaluation, Person, Verdict, evaluate};
use crate::plan::{Trigger, TriggerCondition};
use crate::text::inert;

use super::gate::trigger_name;

/// What a rule that may stop the build found.
type Stopped = (ReasonCode, String);

impl ChangeJudge<'_> {
    /// What [`ChangeJudge::decide`] will look at, so that nothing is read in vain.
    #[must_use]
    pub fn facts_needed(&self, candidate: &Candidate) -> FactsNeeded {
        let filtered = self.is_filtered(candidate);
        let conditions = || self.gate.answering.iter().flat_map(|trigger| &trigger.conditions);
        let mut latest_results = Vec::new();
        for condition in conditions() {
            if let TriggerCondition::GreenPlan { plans } = condition {
                latest_results.extend(plans.iter().cloned());
            }
        }
        latest_results.sort();
        latest_results.dedup();
        FactsNeeded {
            commits: filtered && self.excluded_commits.is_some()
                || conditions().any(|condition| matches!(condition, TriggerCondition::Committers { .. })),
            paths: filtered && self.file_filter.is_some(),
            ancestry: self.may_be_late(candidate),
            on_branch: self.on_branch_only(),
            commits_since_build: conditions()
                .any(|condition| matches!(condition, TriggerCondition::MinimumCommits { .. })),
            latest_results,
        }
    }

    /// Decides about a candidate of the first pass.
    ///
    /// File filters and the pattern of excluded commits compare with what was considered last; they are not
    /// asked where there is nothing to compare with (the first build of a plan branch) nor at fixed times.
    /// What is not known never keeps a build from running (hostile-inputs W18), except that a committers
    /// condition wants to see a name.
    #[must_use]
    pub fn decide(&self, candidate: &Candidate, facts: &ChangeFacts, moment: &Moment<'_>) -> Decision {
        let mut candidate = candidate.clone();
        if self.may_be_late(&candidate) && facts.revision_precedes_previous == Some(true) {
            let reason =
                "the event came late: a newer revision of the branch was considered already".to_owned();
            return *candidate.against("newest", ReasonCode::Superseded, reason);
        }
        if facts.history_rewritten {
            let input = "commits were taken away from the branch; it is built where it points now";
            candidate.rules.push(Rule::new("history", Outcome::Noted, input));
        }
        if self.is_filtered(&candidate) {
            for rule in [Self::look_at_files, Self::look_at_commits] {
                if let Some((code, reason)) = rule(self, facts, &mut candidate.rules) {
                    let sentence = format!("{} is not built, because {reason}", candidate.subject);
                    return *candidate.decided(code, sentence, true);
                }
            }
        } else if self.file_filter.is_some() || self.excluded_commits.is_some() {
            let input = match self.arrival.source {
                Source::Cron { .. } => "filters of files and commits do not bear on fixed times",
                Source::Parent { .. } => "filters of files and commits do not bear on what parents start",
                Source::Tag { .. } => "filters of files and commits do not bear on tags",
                Source::Deployment { .. } => {
                    "filters of files and commits do not bear on what deployments start"
                }
                _ => "filters of files and commits do not bear on the first build of a plan branch",
            };
            candidate
                .rules
                .push(Rule::new("change-detection", Outcome::Noted, input));
        }
        if let Some((code, reason)) = self.look_at_tag(facts, &mut candidate) {
            let sentence = format!("{} is not built, because {reason}", candidate.subject);
            return *candidate.decided(code, sentence, false);
        }
        match self.look_at_conditions(facts, moment, &mut candidate.rules) {
            Ok(()) => self.for_it(candidate, facts),
            Err((reason, settles)) => {
                let sentence = format!("{} is not built, because {reason}", candidate.subject);
                *candidate.decided(ReasonCode::ConditionFailed, sentence, settles && !self.is_tag())
            }
        }
    }

    fn for_it(&self, candidate: Candidate, facts: &ChangeFacts) -> Decision {
        let code = match (&self.arrival.source, &candidate.previous) {
            (Source::Cron { .. }, _) => ReasonCode::Scheduled,
            (Source::Parent { .. }, _) => ReasonCode::ParentSucceeded,
            (Source::Tag { .. }, _) => ReasonCode::Tagged,
            (Source::Deployment { .. }, _) => ReasonCode::Deployed,
            (_, None) => ReasonCode::FirstBuild,
            _ if facts.history_rewritten => ReasonCode::HistoryRewritten,
            _ => ReasonCode::Changed,
        };
        let subject = &candidate.subject;
        let at = match (&candidate.revision, &candidate.vcs_branch) {
            (Some(revision), _) if self.is_tag() => format!(" at {}", revision.short()),
            (Some(revision), Some(branch)) => {
                format!(" at {} of the branch {}", revision.short(), inert(branch, 100))
            }
            _ => String::new(),
        };
        let cause = self.arrival.source.cause();
        let previous = candidate
            .previous
            .as_ref()
            .map_or("", |revision| revision.short());
        let sentence = match code {
            ReasonCode::FirstBuild => {
                format!("{subject} is built{at} for the first time, because {cause}")
            }
            ReasonCode::HistoryRewritten => {
                format!("{subject} is built{at}, because {cause}; it no longer contains {previous}")
            }
            ReasonCode::Changed => {
                format!("{subject} is built{at}, because {cause}; it was at {previous} before")
            }
            _ => format!("{subject} is built{at}, because {cause}"),
        };
        // A tag says nothing of where the branch is.
        *candidate.decided(code, sentence, !self.is_tag())
    }

    fn is_filtered(&self, candidate: &Candidate) -> bool {
        candidate.previous.is_some() && !self.arrival.source.builds_anyway()
    }

    /// The branch has moved on since the event, and the event does not start from what was considered last.
    fn may_be_late(&self, candidate: &Candidate) -> bool {
        let head = candidate
            .vcs_branch
            .as_ref()
            .and_then(|name| self.arrival.current_heads.get(name));
        matches!(self.arrival.news, News::Moved(_))
            && !self.is_tag()
            && head.is_some_and(|head| *head != candidate.revision)
            && candidate.previous.is_some()
            && candidate.moved_from != candidate.previous
    }

    fn look_at_files(&self, facts: &ChangeFacts, rules: &mut Vec<Rule>) -> Option<Stopped> {
        const RULE: &str = "file-filter";
        let filter = self.file_filter.as_ref()?;
        let (pattern, including) = match filter {
            FileRule::IncludeOnly(pattern) => (pattern, true),
            FileRule::ExcludeAll(pattern) => (pattern, false),
        };
        let kind = if including {
            "only files"
        } else {
            "all files except those"
        };
        let asked = format!("{kind} that match `{}` count", pattern.text());
        let Some(paths) = &facts.paths else {
            let input = format!("{asked}; the changed files are not all known, so the change counts");
            rules.push(Rule::new(RULE, Outcome::Passed, input));
            return None;
        };
        if let Err(problem) = pattern.matches("") {
            let input = format!("{asked}; the pattern cannot be read ({problem}), so the change counts");
            rules.push(Rule::new(RULE, Outcome::Noted, input));
            return None;
        }
        // What cannot be decided in time counts: a build too many does less harm than one that is missing.
        let counts = |path: &&String| pattern.matches(path).unwrap_or(including) == including;
        if let Some(path) = paths.iter().find(counts) {
            let input = format!("{asked}; {} does", inert(path, 200));
            rules.push(Rule::new(RULE, Outcome::Passed, input));
            return None;
        }
        let Some(first) = paths.first() else {
            let input = format!("{asked}; no file has changed");
            if including {
                rules.push(Rule::new(RULE, Outcome::Stopped, &*input));
                return Some((ReasonCode::NoMatchingFiles, input));
            }
            // An empty commit touches nothing that is excluded, and is how people ask for a build.
            rules.push(Rule::new(RULE, Outcome::Passed, input));
            return None;
        };
        let changed = match paths.len() {
            1 => inert(first, 200),
            more => format!("{} and {} more", inert(first, 200), more - 1),
        };
        rules.push(Rule::new(
            RULE,
            Outcome::Stopped,
            format!("{asked}; changed: {changed}"),
        ));
        Some(if including {
            let reason = format!(
                "no changed file matches `{}` (changed: {changed})",
                pattern.text()
            );
            (ReasonCode::NoMatchingFiles, reason)
        } else {
            let reason = format!(
                "all changed files match `{}` (changed: {changed})",
                pattern.text()
            );
            (ReasonCode::OnlyExcludedFiles, reason)
        })
    }

    fn look_at_commits(&self, facts: &ChangeFacts, rules: &mut Vec<Rule>) -> Option<Stopped> {
        const RULE: &str = "exclude-changeset-pattern";
        let pattern = self.excluded_commits.as_ref()?;
        let asked = format!("commits whose message matches `{}` do not count", pattern.text());
        let (outcome, found) = match &facts.commits {
            None => (Outcome::Passed, "the new commits are not all known".to_owned()),
            Some(_) if facts.history_rewritten => (
                Outcome::Passed,
                "commits were taken away, which no message covers".to_owned(),
            ),
            Some(commits) if commits.is_empty() => (Outcome::Passed, "there is no new commit".to_owned()),
            Some(commits) => {
                let counting = commits
                    .iter()
                    .find(|commit| pattern.matches(&commit.message) != Ok(true));
                match (pattern.matches(""), counting) {
                    (Err(problem), _) => (Outcome::Noted, format!("the pattern cannot be read ({problem})")),
                    (Ok(_), Some(commit)) => {
                        let title = commit.message.lines().next().unwrap_or_default();
                        (Outcome::Passed, format!("`{}` does", inert(title, 100)))
                    }
                    (Ok(_), None) => (
                        Outcome::Stopped,
                        format!("all {} new commits match", commits.len()),
                    ),
                }
            }
        };
        rules.push(Rule::new(RULE, outcome, format!("{asked}; {found}")));
        (outcome == Outcome::Stopped).then(|| {
            let reason = format!("the messages of all new commits match `{}`", pattern.text());
            (ReasonCode::CommitsExcluded, reason)
        })
    }

    /// One trigger whose conditions all hold is enough. Otherwise gives the reason, and whether this revision can
    /// never pass.
    fn look_at_conditions(
        &self,
        facts: &ChangeFacts,
        moment: &Moment<'_>,
        rules: &mut Vec<Rule>,
    ) -> Result<(), (String, bool)> {
        let authors: Option<Vec<Person>> = facts
            .commits
            .as_ref()
            .map(|commits| commits.iter().map(|commit| commit.author.clone()).collect());
        let inputs = ConditionInputs {
            now: moment.now,
            server_zone: moment.server_zone,
            zone_named: moment.zone_named,
            pusher: self.arrival.pusher.as_ref(),
            authors: authors.as_deref(),
            commits_since_build: facts.commits_since_build,
            latest_results: &facts.latest_results,
        };
        let looked: Vec<(&Trigger, Vec<Evaluation>)> = self
            .gate
            .answering
            .iter()
            .map(|trigger| {
                let evaluations = trigger
                    .conditions
                    .iter()
                    .map(|condition| evaluate(condition, &inputs));
                (*trigger, evaluations.collect())
            })
            .collect();
        let holds = |evaluations: &[Evaluation]| {
            evaluations
                .iter()
                .all(|evaluation| evaluation.verdict == Verdict::Holds)
        };
        let passes = looked.is_empty() || looked.iter().any(|(_, evaluations)| holds(evaluations));
        for (trigger, evaluations) in &looked {
            for evaluation in evaluations {
                let outcome = match (&evaluation.verdict, passes) {
                    (Verdict::Holds, _) => Outcome::Passed,
                    (Verdict::Fails { .. }, true) => Outcome::Noted,
                    (Verdict::Fails { .. }, false) => Outcome::Stopped,
                };
                let input = if looked.len() > 1 {
                    format!("{}: {}", trigger_name(trigger), evaluation.input)
                } else {
                    evaluation.input.clone()
                };
                rules.push(Rule::new(evaluation.name, outcome, input));
            }
        }
        if passes {
            return Ok(());
        }
        let mut reasons = Vec::new();
        let mut settles = true;
        for (_, evaluations) in &looked {
            let mut never = false;
            for evaluation in evaluations {
                if let Verdict::Fails {
                    reason,
                    may_hold_later,
                } = &evaluation.verdict
                {
                    never |= !may_hold_later;
                    if !reasons.contains(reason) {
                        reasons.push(reason.clone());
                    }
                }
            }
            settles &= never;
        }
        Err((reasons.join(", and "), settles))
    }
}

impl Candidate {
    /// A decision against, for a reason that ends a sentence; the revision stays open.
    pub(super) fn against(mut self, rule: &str, code: ReasonCode, reason: String) -> Box<Decision> {
        let sentence = format!("{} is not built, because {reason}", self.subject);
        self.rules.push(Rule::new(rule, Outcome::Stopped, reason));
        self.decided(code, sentence, false)
    }

    /// The decision with this code.
    pub(super) fn decided(self, code: ReasonCode, sentence: String, settles: bool) -> Box<Decision> {
        Box::new(Decision {
            subject: self.subject,
            build: code.builds(),
            code,
            sentence,
            rules: self.rules,
            vcs_branch: self.vcs_branch,
            revision: self.revision,
            previous: self.previous,
            settles,
            refs: Vec::new(),
        })
    }
}
