//! Notifications of plans and environments (bamboo-specs.md 10).

use madake_domain::notification::looks_like_an_address;
use madake_domain::plan::{EnvironmentEvent, EnvironmentNotification, Notification, PlanEvent, Recipient};

use super::fields::Fields;
use super::{Context, item, scalar};
use crate::language::Section;
use crate::language::notification as language;
use crate::report::Finding;
use crate::yaml::{Entry, Node, Value, boolean};

/// Notifications of a plan.
pub(super) fn of_plan(cx: &mut Context<'_>, node: &Node) -> Vec<Notification> {
    notifications(cx, node, &language::PLAN, plan_event)
        .into_iter()
        .map(|(recipients, events)| Notification { recipients, events })
        .collect()
}

/// Notifications of an environment.
pub(super) fn of_environment(cx: &mut Context<'_>, node: &Node) -> Vec<EnvironmentNotification> {
    notifications(cx, node, &language::ENVIRONMENT, environment_event)
        .into_iter()
        .map(|(recipients, events)| EnvironmentNotification { recipients, events })
        .collect()
}

fn notifications<E>(
    cx: &mut Context<'_>,
    node: &Node,
    section: &'static Section,
    event: fn(&mut Context<'_>, &Node) -> Option<E>,
) -> Vec<(Vec<Recipient>, Vec<E>)> {
    let items = scalar::one_or_more(cx, node, "`notifications`");
    let mut all = Vec::new();
    for item in items {
        let Some(mut fields) = Fields::of(cx, item, section) else {
            continue;
        };
        let mut to = Vec::new();
        if let Some(node) = fields.need(cx, "recipients") {
            recipients(cx, node, &mut to);
            if to.is_empty() {
                cx.add(Finding::warning(
                    "empty",
                    node.span,
                    "the notification goes to nobody",
                ));
            }
        }
        let mut events = Vec::new();
        if let Some(node) = fields.need(cx, "events") {
            let items = match &node.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(node),
            };
            events.extend(items.iter().filter_map(|item| event(cx, item)));
        }
        fields.finish(cx);
        all.push((to, events));
    }
    all
}

/// One recipient, a list of them, or a map with several.
fn recipients(cx: &mut Context<'_>, node: &Node, to: &mut Vec<Recipient>) {
    match &node.value {
        Value::List(items) => {
            for item in items {
                recipients(cx, item, to);
            }
        }
        Value::Map(map) => {
            for entry in &map.entries {
                named(cx, entry, to);
            }
        }
        Value::Scalar(name) => {
            let Some(choice) = item::known(cx, &language::RECIPIENTS, name, node.span) else {
                return;
            };
            match person(choice.name) {
                Some(recipient) => to.push(recipient),
                None => {
                    let message = format!("`{name}` names nobody");
                    cx.add(
                        Finding::error("missing-key", node.span, message)
                            .expected(format!("`{name}: [...]`")),
                    );
                }
            }
        }
        Value::Broken => {}
        Value::Null => scalar::wrong_type(cx, node, "a recipient", "the name of a recipient"),
    }
}

fn person(name: &str) -> Option<Recipient> {
    Some(match name {
        "responsible" => Recipient::Responsible,
        "watchers" => Recipient::Watchers,
        "committers" => Recipient::Committers,
        _ => return None,
    })
}

fn named(cx: &mut Context<'_>, entry: &Entry, to: &mut Vec<Recipient>) {
    let Some(choice) = item::known(cx, &language::RECIPIENTS, &entry.key.text, entry.key.span) else {
        return;
    };
    cx.report.document_key(
        entry.key.span,
        entry.value.span,
        language::RECIPIENTS.id,
        choice.name,
    );
    let node = &entry.value;
    match choice.name {
        "users" => to.extend(names(cx, node, "`users`").map(|name| Recipient::User { name })),
        "groups" => to.extend(names(cx, node, "`groups`").map(|name| Recipient::Group { name })),
        "emails" => to.extend(addresses(cx, node)),
        "webhook" => to.extend(webhook(cx, node)),
        name => {
            let wanted = node.is_null() || node.as_text().and_then(boolean) == Some(true);
            if let Some(recipient) = person(name).filter(|_| wanted) {
                to.push(recipient);
            } else if node.as_text().and_then(boolean).is_none() {
                scalar::wrong_type(cx, node, &format!("`{name}`"), "nothing, `true` or `false`");
            }
        }
    }
}

fn names(cx: &mut Context<'_>, node: &Node, what: &str) -> impl Iterator<Item = String> + use<> {
    scalar::texts(cx, node, what)
        .into_iter()
        .filter(|name| !name.trim().is_empty())
}

fn addresses(cx: &mut Context<'_>, node: &Node) -> Vec<Recipient> {
    let mut all = Vec::new();
    for (address, node) in scalar::placed_texts(cx, node, "`emails`") {
        if address.trim().is_empty() {
            continue;
        }
        if !looks_like_an_address(address.trim()) {
            let message = format!("`{address}` is no mail address: nobody is told there");
            cx.add(Finding::warning("unknown-value", node.span, message).expected("`name@host`"));
        }
        all.push(Recipient::Email { address });
    }
    all
}

fn webhook(cx: &mut Context<'_>, node: &Node) -> Option<Recipient> {
    let mut fields = Fields::of(cx, node, &language::WEBHOOK)?;
    let name = fields.text_or_empty(cx, "name");
    let place = fields.need(cx, "url");
    fields.finish(cx);
    let place = place?;
    let url = scalar::non_empty_text(cx, place, "`url` of a webhook")?;
    let lower = url.trim_start().to_lowercase();
    // The address may be a password: it is not repeated.
    let problem = if lower.starts_with("${bamboo") {
        Some("variables are not put into the address of a webhook: nobody is told there")
    } else if lower.starts_with("http://") || lower.starts_with("https://") {
        None
    } else {
        Some("only addresses of HTTP are called: nobody is told there")
    };
    if let Some(problem) = problem {
        cx.add(Finding::warning("unknown-value", place.span, problem).expected("`https://...`"));
    }
    Some(Recipient::Webhook { name, url })
}

fn plan_event(cx: &mut Context<'_>, node: &Node) -> Option<PlanEvent> {
    let event = item::take_apart(cx, node, &language::PLAN_EVENTS)?;
    let refuse_value = |cx: &mut Context<'_>| {
        if let Some(node) = event.short() {
            scalar::wrong_type(cx, node, &format!("`{}`", event.choice.name), "nothing");
        }
    };
    Some(match event.choice.name {
        "plan-failed" => {
            let mut failures = None;
            if let Some(node) = event.short() {
                failures = scalar::number(cx, node, "the number of failures", 1);
            } else if let Some(mut fields) = event.fields(cx, &language::PLAN_FAILED) {
                failures = fields.number(cx, "failures", 1);
                fields.finish(cx);
            }
            PlanEvent::PlanFailed {
                failures: failures.unwrap_or(1),
            }
        }
        "job-error" => {
            let mut fields = event.options(cx, &language::JOB_ERROR)?;
            let first_only = fields.flag(cx, "first-only").unwrap_or(false);
            fields.finish(cx);
            PlanEvent::JobError { first_only }
        }
        name => {
            refuse_value(cx);
            match name {
                "plan-completed" => PlanEvent::PlanCompleted,
                "plan-status-changed" => PlanEvent::PlanStatusChanged,
                "plan-comment-added" => PlanEvent::PlanCommentAdded,
                "plan-responsibility-changed" => PlanEvent::PlanResponsibilityChanged,
                "job-completed" => PlanEvent::JobCompleted,
                "job-status-changed" => PlanEvent::JobStatusChanged,
                "job-failed" => PlanEvent::JobFailed,
                "job-first-failed" => PlanEvent::JobFirstFailed,
                "job-hung" => PlanEvent::JobHung,
                "job-queue-timeout" => PlanEvent::JobQueueTimeout,
                _ => PlanEvent::JobQueuedWithoutCapableAgents,
            }
        }
    })
}

fn environment_event(cx: &mut Context<'_>, node: &Node) -> Option<EnvironmentEvent> {
    let event = item::take_apart(cx, node, &language::ENVIRONMENT_EVENTS)?;
    if let Some(node) = event.short() {
        scalar::wrong_type(cx, node, &format!("`{}`", event.choice.name), "nothing");
    }
    Some(match event.choice.name {
        "deployment-started-and-finished" => EnvironmentEvent::DeploymentStartedAndFinished,
        "deployment-failed" => EnvironmentEvent::DeploymentFailed,
        _ => EnvironmentEvent::DeploymentFinished,
    })
}
