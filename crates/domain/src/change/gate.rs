//! The rules that are the same for all branches of a plan: is the plan enabled, and does one of its triggers
//! answer to this event from this repository.

use super::{Arrival, Outcome, ReasonCode, Rule, Source, matches_whole};
use crate::plan::{PlanConfiguration, Trigger, TriggerKind};
use crate::text::inert;

/// What the plan-wide rules say.
pub(super) struct Gate<'a> {
    /// The rules that were looked at.
    pub(super) rules: Vec<Rule>,
    /// The triggers that answer; empty where the plan names no triggers and one is assumed, or where it stops.
    pub(super) answering: Vec<&'a Trigger>,
    /// Why nothing of the plan is built.
    pub(super) stop: Option<Stop>,
}

/// Why nothing of the plan is built.
pub(super) struct Stop {
    pub(super) code: ReasonCode,
    /// The end of a sentence that starts with "is not built, because".
    pub(super) reason: String,
}

impl<'a> Gate<'a> {
    pub(super) fn new(plan: &'a PlanConfiguration, arrival: &Arrival) -> Self {
        let mut gate = Self {
            rules: Vec::new(),
            answering: Vec::new(),
            stop: None,
        };
        if !plan.enabled {
            gate.stopped(
                "plan-enabled",
                "the plan is disabled",
                ReasonCode::PlanDisabled,
                "the plan is disabled".to_owned(),
            );
            return gate;
        }
        gate.rules
            .push(Rule::new("plan-enabled", Outcome::Passed, "the plan is enabled"));
        if let Source::Parent { build, .. } = &arrival.source {
            let input = format!("{} was successful, and starts this plan", inert(build, 80));
            gate.rules.push(Rule::new("parent", Outcome::Passed, input));
            return gate;
        }
        match &plan.triggers {
            None => gate.assume(arrival),
            Some(triggers) => gate.ask(triggers, arrival),
        }
        gate
    }

    fn stopped(&mut self, rule: &str, input: impl Into<String>, code: ReasonCode, reason: String) {
        self.rules.push(Rule::new(rule, Outcome::Stopped, input));
        self.stop = Some(Stop { code, reason });
    }

    /// The plan names no triggers: build on push where pushes are known, else poll (bamboo-specs.md 3.9).
    fn assume(&mut self, arrival: &Arrival) {
        let pushes_known = arrival
            .repository
            .as_ref()
            .is_some_and(|repository| repository.pushes_known);
        let (answers, input) = match arrival.source {
            Source::Push | Source::SpecsChange | Source::PullRequest(_) => {
                (true, "the plan names no triggers, so it builds on push")
            }
            Source::Poll if pushes_known => (
                false,
                "the plan names no triggers and pushes to the repository are known, so it is not polled",
            ),
            Source::Poll => (
                true,
                "the plan names no triggers and pushes to the repository are not known, so it is polled",
            ),
            Source::RemoteTrigger { .. } => {
                (false, "the plan names no triggers, so it has no remote trigger")
            }
            Source::Cron { .. } => (false, "the plan names no triggers, so it has no cron trigger"),
            Source::Parent { .. } => (true, "a parent needs no trigger"),
            Source::Tag { .. } => (false, "the plan names no triggers, so it has no tag trigger"),
            Source::Deployment { .. } => (
                false,
                "the plan names no triggers, so it has no after-deployment trigger",
            ),
        };
        if answers {
            self.rules.push(Rule::new("trigger", Outcome::Passed, input));
        } else {
            self.stopped("trigger", input, missing(&arrival.source), input.to_owned());
        }
    }

    fn ask(&mut self, triggers: &'a [Trigger], arrival: &Arrival) {
        if triggers.is_empty() {
            let input = "the plan has an empty list of triggers, so it is started by hand only";
            let code = match &arrival.source {
                Source::RemoteTrigger { .. } => ReasonCode::NoRemoteTrigger,
                _ => ReasonCode::NoTrigger,
            };
            self.stopped("trigger", input, code, input.to_owned());
            return;
        }
        let remote_counts = arrival
            .repository
            .as_ref()
            .is_some_and(|repository| repository.remote_counts);
        let answers: Vec<&Trigger> = triggers
            .iter()
            .filter(|trigger| answers(&trigger.kind, &arrival.source, remote_counts))
            .collect();
        let has = format!("the plan has {}", listed(triggers.iter()));
        if answers.is_empty() {
            let event = asked_for(&arrival.source);
            let reason = format!("no trigger answers to {event} ({has})");
            self.stopped("trigger", has, missing(&arrival.source), reason);
            return;
        }
        let input = format!("{has}; answered by {}", listed(answers.iter().copied()));
        self.rules.push(Rule::new("trigger", Outcome::Passed, input));
        self.filter_repositories(answers, arrival);
    }

    fn filter_repositories(&mut self, answers: Vec<&'a Trigger>, arrival: &Arrival) {
        const RULE: &str = "trigger-repositories";
        let Some(repository) = &arrival.repository else {
            self.answering = answers;
            return;
        };
        let name = inert(&repository.name, 100);
        let named: Vec<String> = answers
            .iter()
            .flat_map(|trigger| &trigger.repositories)
            .map(|name| inert(name, 100))
            .collect();
        self.answering = answers
            .into_iter()
            .filter(|trigger| {
                trigger.repositories.is_empty() || trigger.repositories.contains(&repository.name)
            })
            .collect();
        if named.is_empty() {
            return;
        }
        let input = format!("the event is from {name}; the triggers name {}", named.join(", "));
        if self.answering.is_empty() {
            let reason = format!(
                "{name} may not fire its triggers, which name {}",
                named.join(", ")
            );
            self.stopped(RULE, input, ReasonCode::RepositoryNotInTrigger, reason);
        } else {
            self.rules.push(Rule::new(RULE, Outcome::Passed, input));
        }
    }
}

/// Whether a kind of trigger answers to an event.
fn answers(kind: &TriggerKind, source: &Source, remote_counts: bool) -> bool {
    match (source, kind) {
        (Source::Push | Source::PullRequest(_), TriggerKind::Push)
        | (Source::RemoteTrigger { .. }, TriggerKind::Remote { .. })
        | (Source::Poll, TriggerKind::Polling { .. })
        | (
            Source::SpecsChange,
            TriggerKind::Push | TriggerKind::Remote { .. } | TriggerKind::Polling { .. },
        ) => true,
        (Source::Push, TriggerKind::Remote { .. }) => remote_counts,
        (Source::Cron { expression: fired }, TriggerKind::Cron { expression }) => fired == expression,
        (Source::Tag { name }, TriggerKind::Tag { filter, .. }) => {
            filter.as_ref().is_none_or(|filter| matches_whole(filter, name))
        }
        (
            Source::Deployment {
                project, environment, ..
            },
            TriggerKind::AfterDeployment {
                deployment_project,
                environment: asked,
            },
        ) => project == deployment_project && asked.as_ref().is_none_or(|asked| asked == environment),
        _ => false,
    }
}

fn missing(source: &Source) -> ReasonCode {
    match source {
        Source::Push | Source::PullRequest(_) => ReasonCode::NoPushTrigger,
        Source::RemoteTrigger { .. } => ReasonCode::NoRemoteTrigger,
        Source::Poll => ReasonCode::NoPollingTrigger,
        Source::Cron { .. } => ReasonCode::NoCronTrigger,
        Source::Tag { .. } => ReasonCode::NoTagTrigger,
        Source::Deployment { .. } => ReasonCode::NoDeploymentTrigger,
        Source::SpecsChange | Source::Parent { .. } => ReasonCode::NoTrigger,
    }
}

fn asked_for(source: &Source) -> String {
    match source {
        Source::Push => "a push to this repository".to_owned(),
        Source::PullRequest(_) => "a pull request".to_owned(),
        Source::RemoteTrigger { .. } => "a call of the remote trigger".to_owned(),
        Source::Poll => "a poll".to_owned(),
        Source::Cron { expression } => format!("the cron expression `{}`", inert(expression, 80)),
        Source::Parent { .. } => "the success of a parent".to_owned(),
        Source::Tag { name } => format!("the tag {}", inert(name, 100)),
        Source::Deployment {
            project, environment, ..
        } => format!(
            "a deployment of {} to {}",
            inert(project, 80),
            inert(environment, 80)
        ),
        Source::SpecsChange => "a change that it finds itself".to_owned(),
    }
}

/// How sentences name a trigger.
pub(super) fn trigger_name(trigger: &Trigger) -> String {
    let kind = match &trigger.kind {
        TriggerKind::Remote { .. } => "remote".to_owned(),
        TriggerKind::Polling { .. } => "polling".to_owned(),
        TriggerKind::Push => "push".to_owned(),
        TriggerKind::Cron { expression } => format!("cron `{}`", inert(expression, 80)),
        TriggerKind::Tag { filter: None, .. } => "tag".to_owned(),
        TriggerKind::Tag {
            filter: Some(filter), ..
        } => format!("tag `{}`", inert(filter, 80)),
        TriggerKind::AfterDeployment {
            deployment_project,
            environment,
        } => match environment {
            Some(environment) => format!(
                "after-deployment `{} > {}`",
                inert(deployment_project, 80),
                inert(environment, 80)
            ),
            None => format!("after-deployment `{}`", inert(deployment_project, 80)),
        },
    };
    if trigger.description.is_empty() {
        format!("a {kind} trigger")
    } else {
        format!("a {kind} trigger ({})", inert(&trigger.description, 60))
    }
}

fn listed<'t>(triggers: impl Iterator<Item = &'t Trigger>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = triggers.map(trigger_name).collect();
    let more = names.len().saturating_sub(SHOWN);
    let text = names[..names.len().min(SHOWN)].join(", ");
    match more {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
