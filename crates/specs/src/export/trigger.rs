//! Triggers and their conditions.

use madake_domain::plan::{Trigger, TriggerCondition, TriggerKind};

use super::job;
use super::yaml::{Entries, Out, item, named, texts_of};

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A list of triggers.
pub(super) fn triggers(triggers: &[Trigger]) -> Out {
    Out::List(triggers.iter().map(trigger).collect())
}

fn trigger(trigger: &Trigger) -> Out {
    let mut entries = Entries::default();
    let name = match &trigger.kind {
        TriggerKind::Remote { addresses } => {
            entries.some_text("ip", &addresses.join(", "));
            "remote"
        }
        TriggerKind::Polling { period_seconds, cron } => {
            entries.maybe_number("period", *period_seconds);
            entries.maybe_text("cron", cron.as_deref());
            "polling"
        }
        TriggerKind::Cron { expression } => {
            entries.text("expression", expression.as_str());
            "cron"
        }
        TriggerKind::Push => "bitbucket-server-trigger",
        TriggerKind::Tag { filter, in_branch } => {
            entries.maybe_text("filter", filter.as_deref());
            entries.flag_unless("tagInBranch", *in_branch, false);
            "tag"
        }
        TriggerKind::AfterDeployment {
            deployment_project,
            environment,
        } => {
            entries.text("deployment-project", deployment_project.as_str());
            entries.maybe_text("environment", environment.as_deref());
            "after-deployment"
        }
    };
    entries.some_text("description", &trigger.description);
    entries.texts("repositories", &trigger.repositories);
    let mut conditions: Vec<Out> = trigger.conditions.iter().map(condition).collect();
    if !trigger.other_conditions.is_empty() {
        conditions.push(named(
            "all-other-conditions",
            job::settings(&trigger.other_conditions),
        ));
    }
    entries.list("conditions", conditions);
    item(name, entries)
}

fn condition(condition: &TriggerCondition) -> Out {
    let zone =
        |entries: &mut Entries, zone: &Option<String>| entries.maybe_text("time-zone", zone.as_deref());
    match condition {
        TriggerCondition::Committers { names } => named("committers", texts_of(names)),
        TriggerCondition::MinimumCommits { count } => named("minimum-commits", Out::Plain(count.to_string())),
        TriggerCondition::TimeWindow {
            from_minute,
            until_minute,
            time_zone,
        } => {
            let mut entries = Entries::default();
            entries.text("from", time(*from_minute));
            entries.text("until", time(*until_minute));
            zone(&mut entries, time_zone);
            named("time-window", Out::Map(entries))
        }
        TriggerCondition::Weekdays { days, time_zone } => {
            let names: Vec<String> = days
                .iter()
                .filter_map(|day| DAYS.get(usize::from(*day).checked_sub(1)?))
                .map(|name| (*name).to_owned())
                .collect();
            let mut entries = Entries::default();
            entries.put("days", texts_of(&names));
            zone(&mut entries, time_zone);
            named("weekdays", Out::Map(entries))
        }
        TriggerCondition::GreenPlan { plans } => {
            let plans: Vec<String> = plans.iter().map(ToString::to_string).collect();
            named("green-plan", texts_of(&plans))
        }
    }
}

fn time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
