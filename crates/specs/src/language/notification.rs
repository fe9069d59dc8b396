//! Notifications (bamboo-specs.md 10).

use super::{Choices, Key, Section, Shape, bare, item, key};

/// Notifications of a plan.
pub(crate) const PLAN_LIST: Shape = Shape::Either(&[Shape::List(&Shape::Map(&PLAN)), Shape::Map(&PLAN)]);

/// Notifications of an environment.
pub(crate) const ENVIRONMENT_LIST: Shape =
    Shape::Either(&[Shape::List(&Shape::Map(&ENVIRONMENT)), Shape::Map(&ENVIRONMENT)]);

const WHO: Shape = Shape::Either(&[Shape::Items(&RECIPIENTS), Shape::Item(&RECIPIENTS)]);
const TO: Key = key("recipients", WHO, "Who is told.").required();

pub(crate) static PLAN: Section = Section {
    id: "notification",
    what: "a notification",
    doc: "Who is told of what.",
    keys: &[
        TO,
        key(
            "events",
            Shape::Either(&[Shape::Items(&PLAN_EVENTS), Shape::Item(&PLAN_EVENTS)]),
            "Of what.",
        )
        .required(),
    ],
    others: None,
};

pub(crate) static ENVIRONMENT: Section = Section {
    id: "environment-notification",
    what: "a notification of an environment",
    doc: "Who is told of what.",
    keys: &[
        TO,
        key(
            "events",
            Shape::Either(&[
                Shape::Items(&ENVIRONMENT_EVENTS),
                Shape::Item(&ENVIRONMENT_EVENTS),
            ]),
            "Of what.",
        )
        .required(),
    ],
    others: None,
};

pub(crate) static RECIPIENTS: Choices = Choices {
    id: "recipient",
    what: "a recipient",
    doc: "Who is told. One item may name several.",
    items: &[
        bare(
            "responsible",
            Some(Shape::Flag),
            "Whoever is responsible for the failure.",
        ),
        bare("watchers", Some(Shape::Flag), "Whoever watches the plan."),
        bare(
            "committers",
            Some(Shape::Flag),
            "Whoever made one of the commits.",
        ),
        item("users", Shape::Texts, "Users by name."),
        item("groups", Shape::Texts, "Groups by name."),
        item("emails", Shape::Texts, "Addresses of e-mail."),
        item("webhook", Shape::Map(&WEBHOOK), "A program that is called."),
    ],
};

pub(crate) static WEBHOOK: Section = Section {
    id: "webhook",
    what: "a webhook",
    doc: "A program that is called.",
    keys: &[
        key("name", Shape::Text, "What it is called in lists."),
        key("url", Shape::Text, "Its address.").required(),
    ],
    others: None,
};

pub(crate) static PLAN_EVENTS: Choices = Choices {
    id: "plan-event",
    what: "an event of a plan",
    doc: "What happens to a plan.",
    items: &[
        bare(
            "plan-failed",
            Some(Shape::Either(&[Shape::Number(1), Shape::Map(&PLAN_FAILED)])),
            "A build failed, or is the first to succeed after that; with a number, when so many have failed in a row.",
        ),
        bare("plan-completed", None, "A build ended."),
        bare(
            "plan-status-changed",
            None,
            "A build ended otherwise than the one before.",
        ),
        bare("plan-comment-added", None, "Somebody commented on a result."),
        bare(
            "plan-responsibility-changed",
            None,
            "Somebody else is responsible now.",
        ),
        bare("job-completed", None, "A job ended."),
        bare("job-status-changed", None, "A job ended otherwise than before."),
        bare(
            "job-failed",
            None,
            "A job failed, or is the first to succeed after that.",
        ),
        bare(
            "job-error",
            Some(Shape::Map(&JOB_ERROR)),
            "A job could not be run rightly.",
        ),
        bare("job-first-failed", None, "The first job that fails in a build."),
        bare("job-hung", None, "A job seems to hang."),
        bare(
            "job-queue-timeout",
            None,
            "A job waited for an agent for too long.",
        ),
        bare(
            "job-queued-without-capable-agents",
            None,
            "No agent can take a job.",
        ),
    ],
};

pub(crate) static PLAN_FAILED: Section = Section {
    id: "plan-failed",
    what: "`plan-failed`",
    doc: "A build failed.",
    keys: &[key("failures", Shape::Number(1), "How many times in a row.").default("1")],
    others: None,
};

pub(crate) static JOB_ERROR: Section = Section {
    id: "job-error",
    what: "`job-error`",
    doc: "A job could not be run rightly.",
    keys: &[key("first-only", Shape::Flag, "Only the first time in a row.").default("false")],
    others: None,
};

pub(crate) static ENVIRONMENT_EVENTS: Choices = Choices {
    id: "environment-event",
    what: "an event of an environment",
    doc: "What happens in an environment.",
    items: &[
        bare(
            "deployment-started-and-finished",
            None,
            "A deployment began or ended.",
        ),
        bare("deployment-failed", None, "A deployment failed."),
        bare("deployment-finished", None, "A deployment ended."),
    ],
};
