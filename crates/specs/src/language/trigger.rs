//! Triggers of plans (bamboo-specs.md 7.1) and their conditions.

use super::{Choices, Key, Section, Shape, bare, item, key};

/// Triggers of a plan.
pub(crate) const LIST: Shape = Shape::Either(&[Shape::Items(&TRIGGERS), Shape::Item(&TRIGGERS)]);

const DESCRIPTION: Key = key("description", Shape::Text, "What the trigger is for.");
const REPOSITORIES: Key = key(
    "repositories",
    Shape::Texts,
    "Names of the repositories that may fire it.",
)
.default("all");
const CONDITIONS_SHAPE: Shape = Shape::Either(&[Shape::Items(&CONDITIONS), Shape::Item(&CONDITIONS)]);
const TRIGGER_CONDITIONS: Key = key("conditions", CONDITIONS_SHAPE, "Conditions that must all hold.");

pub(crate) static TRIGGERS: Choices = Choices {
    id: "trigger",
    what: "a trigger",
    doc: "What starts a build of a plan.",
    items: &[
        bare(
            "remote",
            Some(Shape::Either(&[Shape::Texts, Shape::Map(&REMOTE)])),
            "The repository, its host or its hook says that something was pushed. With addresses, those may say so too.",
        ),
        bare(
            "polling",
            Some(Shape::Either(&[Shape::Number(1), Shape::Map(&POLLING)])),
            "The server looks for changes, every so many seconds.",
        ),
        item(
            "cron",
            Shape::Either(&[Shape::Cron, Shape::Map(&CRON)]),
            "A build at fixed times, whether or not anything changed.",
        ),
        bare("bitbucket-server-trigger", Some(Shape::Map(&PUSH)), "A push."),
        bare("bitbucket-cloud-trigger", Some(Shape::Map(&PUSH)), "A push."),
        bare("github-trigger", Some(Shape::Map(&PUSH)), "A push."),
        bare(
            "tag",
            Some(Shape::Map(&TAG)),
            "A new tag. The commit that it names is built, by the plan itself.",
        ),
        item(
            "after-deployment",
            Shape::Either(&[Shape::Text, Shape::Map(&AFTER_DEPLOYMENT)]),
            "A successful deployment. The plan is built whether or not anything changed.",
        ),
    ],
};

pub(crate) static REMOTE: Section = Section {
    id: "remote",
    what: "a remote trigger",
    doc: "A call that says that something was pushed.",
    keys: &[
        key(
            "ip",
            Shape::Texts,
            "Addresses that may call besides the repository's host: single ones, CIDR blocks, \
             wildcards.",
        ),
        DESCRIPTION,
        REPOSITORIES,
        TRIGGER_CONDITIONS,
    ],
    others: None,
};

pub(crate) static POLLING: Section = Section {
    id: "polling",
    what: "a polling trigger",
    doc: "A look for changes. Either `period` or `cron`.",
    keys: &[
        key("period", Shape::Number(1), "Seconds between two looks.").default("180"),
        key("cron", Shape::Cron, "When to look."),
        DESCRIPTION,
        REPOSITORIES,
        TRIGGER_CONDITIONS,
    ],
    others: None,
};

pub(crate) static CRON: Section = Section {
    id: "cron",
    what: "a cron trigger",
    doc: "Fixed times: second, minute, hour, day of month, month, day of week, and perhaps year.",
    keys: &[
        key("expression", Shape::Cron, "The cron expression.").required(),
        DESCRIPTION,
        REPOSITORIES,
        TRIGGER_CONDITIONS,
    ],
    others: None,
};

pub(crate) static PUSH: Section = Section {
    id: "push-trigger",
    what: "a trigger by push",
    doc: "A push.",
    keys: &[DESCRIPTION, REPOSITORIES, TRIGGER_CONDITIONS],
    others: None,
};

pub(crate) static TAG: Section = Section {
    id: "tag",
    what: "a tag trigger",
    doc: "A new tag.",
    keys: &[
        key(
            "filter",
            Shape::Pattern,
            "A regular expression that the tag's whole name must match.",
        )
        .default("each tag"),
        key(
            "tagInBranch",
            Shape::Flag,
            "Whether the tagged commit must be on the branch that is built.",
        )
        .default("false"),
        DESCRIPTION,
        REPOSITORIES,
        TRIGGER_CONDITIONS,
    ],
    others: None,
};

pub(crate) static AFTER_DEPLOYMENT: Section = Section {
    id: "after-deployment",
    what: "an `after-deployment` trigger",
    doc: "A successful deployment.",
    keys: &[
        key(
            "deployment-project",
            Shape::Text,
            "The name of the deployment project.",
        )
        .required(),
        key("environment", Shape::Text, "The name of the environment.").default("any"),
        DESCRIPTION,
        REPOSITORIES,
        TRIGGER_CONDITIONS,
    ],
    others: None,
};

pub(crate) static CONDITIONS: Choices = Choices {
    id: "trigger-condition",
    what: "a condition of a trigger",
    doc: "A condition that must hold for a trigger to start a build. `committers`, `minimum-commits`, `time-window`, \
          `after` and `weekdays` are our own.",
    items: &[
        item(
            "green-plan",
            Shape::Texts,
            "The latest results of these plans are successful.",
        ),
        item("all-other-conditions", Shape::Free, "Conditions of apps.").not_yet("they are taken to hold"),
        item(
            "committers",
            Shape::Texts,
            "One of these pushed or wrote a new commit: name, user name or e-mail address.",
        ),
        item(
            "minimum-commits",
            Shape::Number(1),
            "At least so many commits are new.",
        ),
        item(
            "time-window",
            Shape::Map(&TIME_WINDOW),
            "It is between these times of day.",
        ),
        item(
            "after",
            Shape::Either(&[Shape::Text, Shape::Map(&AFTER)]),
            "It is later than this time of day, `'17:00'`.",
        ),
        item(
            "weekdays",
            Shape::Either(&[Shape::Texts, Shape::Map(&WEEKDAYS)]),
            "It is one of these days, `monday` to `sunday` or `mon` to `sun`.",
        ),
    ],
};

const TIME_ZONE: Key = key(
    "time-zone",
    Shape::Text,
    "The name of the time zone: `Europe/Berlin`.",
)
.default("the server's");

pub(crate) static TIME_WINDOW: Section = Section {
    id: "time-window",
    what: "`time-window`",
    doc: "Times of day, `'17:00'`. An end before the start goes over midnight.",
    keys: &[
        key("from", Shape::Text, "When it begins.").default("'00:00'"),
        key("until", Shape::Text, "When it ends.").default("'24:00'"),
        TIME_ZONE,
    ],
    others: None,
};

pub(crate) static AFTER: Section = Section {
    id: "after",
    what: "`after`",
    doc: "A time of day, `'17:00'`.",
    keys: &[key("time", Shape::Text, "The time.").required(), TIME_ZONE],
    others: None,
};

pub(crate) static WEEKDAYS: Section = Section {
    id: "weekdays",
    what: "`weekdays`",
    doc: "Days of the week.",
    keys: &[key("days", Shape::Texts, "The days.").required(), TIME_ZONE],
    others: None,
};
