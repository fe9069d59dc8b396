//! Jobs, artifacts, requirements and images (bamboo-specs.md 3.4 to 3.8, 11).

use super::{Section, Shape, key, task};

/// An image by name, or with options.
pub(crate) const DOCKER_SHAPE: Shape = Shape::Either(&[Shape::Text, Shape::Map(&DOCKER)]);

/// Capabilities by name, or with a value.
pub(crate) const REQUIREMENTS: Shape = Shape::Either(&[Shape::List(&REQUIREMENT), REQUIREMENT]);

const REQUIREMENT: Shape = Shape::Either(&[Shape::Text, Shape::Named(&Shape::Pattern)]);

const SUBSCRIPTION_SHAPE: Shape = Shape::Either(&[Shape::Text, Shape::Map(&SUBSCRIPTION)]);

pub(crate) static JOB: Section = Section {
    id: "job",
    what: "a job",
    doc: "Tasks that run one after the other in one working directory.",
    keys: &[
        key("key", Shape::Text, "The job's key: `JOB1` of `PROJ-PLAN-JOB1`.").default("made of the name"),
        key("description", Shape::Text, "What the job is for."),
        key("enabled", Shape::Flag, "Whether the job runs at all.").default("true"),
        key(
            "tasks",
            task::LIST,
            "The tasks in order; the first one that fails ends them. Without a `checkout` among them, the default \
             repository is checked out first.",
        ),
        key(
            "final-tasks",
            task::LIST,
            "Tasks that run behind the others whatever happened, also after a stop.",
        ),
        key(
            "requirements",
            REQUIREMENTS,
            "Capabilities that an agent must have: by name, or with a regular expression \
             that the whole value must match.",
        ),
        key(
            "artifacts",
            Shape::Either(&[Shape::List(&Shape::Map(&ARTIFACT)), Shape::Map(&ARTIFACT)]),
            "Files that are kept.",
        ),
        key(
            "artifact-subscriptions",
            Shape::Either(&[Shape::List(&SUBSCRIPTION_SHAPE), SUBSCRIPTION_SHAPE]),
            "Shared artifacts of earlier stages that the job gets. `[]`: none.",
        )
        .default("all of them, into the working directory"),
        key(
            "docker",
            DOCKER_SHAPE,
            "The image that the job runs in, in place of the plan's.",
        ),
        key("other", Shape::Map(&OTHER), "Settings of the server and of apps."),
    ],
    others: None,
};

pub(crate) static ARTIFACT: Section = Section {
    id: "artifact",
    what: "an artifact",
    doc: "Files that a job keeps.",
    keys: &[
        key(
            "name",
            Shape::Text,
            "Its name; unique among the shared ones of the plan.",
        )
        .required(),
        key(
            "pattern",
            Shape::Text,
            "Ant patterns of the files, such as `**/*.jar`, relative to `location`.",
        )
        .required(),
        key("location", Shape::Path, "Folder below the working directory.").default("the working directory"),
        key(
            "required",
            Shape::Flag,
            "Whether the job fails when nothing matches.",
        )
        .default("false"),
        key(
            "shared",
            Shape::Flag,
            "Whether later stages, other plans and deployments may get it.",
        )
        .default("true"),
        key(
            "httpCompressionOn",
            Shape::Flag,
            "Whether it may be sent compressed.",
        )
        .default("true"),
    ],
    others: None,
};

pub(crate) static SUBSCRIPTION: Section = Section {
    id: "artifact-subscription",
    what: "an artifact subscription",
    doc: "A shared artifact of an earlier stage that the job gets.",
    keys: &[
        key("artifact", Shape::Text, "The artifact's name.").required(),
        key("destination", Shape::Path, "Folder below the working directory.")
            .default("the working directory"),
    ],
    others: None,
};

pub(crate) static DOCKER: Section = Section {
    id: "docker",
    what: "`docker`",
    doc: "An image to run in.",
    keys: &[
        key("image", Shape::Text, "The image's name.").required(),
        key(
            "volumes",
            Shape::Either(&[
                Shape::TextMap,
                Shape::List(&Shape::Either(&[Shape::Text, Shape::TextMap])),
            ]),
            "Folders outside, and where they are inside; also as a list of `OUTSIDE:INSIDE`.",
        ),
        key("docker-run-arguments", Shape::Texts, "Further arguments of `docker run`."),
        key(
            "use-default-volumes",
            Shape::Flag,
            "Whether the working directory and the folder for temporary files are mounted where they are outside.",
        )
        .default("true"),
    ],
    others: None,
};

pub(crate) static OTHER: Section = Section {
    id: "job-other",
    what: "`other` of a job",
    doc: "Settings of the server and of apps.",
    keys: &[
        key(
            "clean-working-dir",
            Shape::Flag,
            "Empties the working directory after the build.",
        )
        .default("false"),
        key("all-other-apps", Shape::Map(&APPS), "Settings of apps."),
    ],
    others: None,
};

pub(crate) static APPS: Section = Section {
    id: "job-apps",
    what: "`all-other-apps` of a job",
    doc: "Settings of apps.",
    keys: &[key(
        "custom",
        Shape::Free,
        "Settings by dotted or nested name. `buildHangingConfig` (`enabled`, `minutesBetweenLogs`, \
         `minutesQueueTimeout`, `multiplier`) says when the job counts as hanging, `auto` (`regex`, `label`) which label \
         a result gets whose log matches; the others have no effect.",
    )],
    others: None,
};
