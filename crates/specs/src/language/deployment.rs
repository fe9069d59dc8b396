//! The deployment document (bamboo-specs.md 13, 7.2).

use super::plan::{SERVER_NAME, VARIABLES, VERSION};
use super::{Choices, Key, Others, Section, Shape, bare, item, job, key, notification, task};

pub(crate) static DOCUMENT: Section = Section {
    id: "deployment-document",
    what: "a deployment document",
    doc: "Releases of a plan's results, and the environments that they go to. \
          Every key that is none of these is an environment.",
    keys: &[
        VERSION,
        SERVER_NAME,
        key(
            "deployment",
            Shape::Map(&HEADER),
            "Which deployment project it is.",
        )
        .required(),
        key(
            "release-naming",
            Shape::Either(&[Shape::Text, Shape::Map(&NAMING)]),
            "How releases are named.",
        )
        .required(),
        key(
            "environments",
            Shape::Texts,
            "The names of the environments in order.",
        )
        .required(),
    ],
    others: Some(Others {
        name: "ENVIRONMENT",
        shape: Shape::Map(&ENVIRONMENT),
        doc: "An environment by name.",
    }),
};

pub(crate) static HEADER: Section = Section {
    id: "deployment",
    what: "the deployment project",
    doc: "Which deployment project it is.",
    keys: &[
        key("name", Shape::Text, "Its name.").required(),
        key(
            "source-plan",
            Shape::PlanKey,
            "The plan whose results become releases.",
        )
        .required(),
        key("description", Shape::Text, "What it is for."),
    ],
    others: None,
};

pub(crate) static NAMING: Section = Section {
    id: "release-naming",
    what: "`release-naming`",
    doc: "How releases are named.",
    keys: &[
        key(
            "next-version-name",
            Shape::Text,
            "The name of the next release; variables of the result may stand in it.",
        )
        .required(),
        key(
            "applies-to-branches",
            Shape::Flag,
            "Whether releases of branches are named so too; otherwise `BRANCH-NUMBER`.",
        )
        .default("false"),
        key(
            "auto-increment",
            Shape::Flag,
            "Whether the last number of the name is counted up after each release.",
        )
        .default("false"),
        key(
            "auto-increment-variables",
            Shape::Texts,
            "Variables in the name that are counted up too.",
        ),
    ],
    others: None,
};

pub(crate) static ENVIRONMENT: Section = Section {
    id: "environment",
    what: "an environment",
    doc: "Where releases go. Nothing is checked out unless a task does it.",
    keys: &[
        key("description", Shape::Text, "What it is for."),
        key("tasks", task::LIST, "The tasks in order."),
        key(
            "final-tasks",
            task::LIST,
            "Tasks that run behind the others whatever happened.",
        ),
        key("variables", VARIABLES, "Variables, over those of the release."),
        key(
            "requirements",
            job::REQUIREMENTS,
            "Capabilities that an agent must have.",
        ),
        key(
            "triggers",
            Shape::Either(&[Shape::Items(&TRIGGERS), Shape::Item(&TRIGGERS)]),
            "What starts a deployment.",
        )
        .default("only people"),
        key(
            "notifications",
            notification::ENVIRONMENT_LIST,
            "Who is told of what.",
        ),
        key("docker", job::DOCKER_SHAPE, "The image that the tasks run in."),
        key(
            "release-approval-prerequisite",
            Shape::Word(&["not-broken", "approved", "none"]),
            "What a release needs before it may be deployed.",
        )
        .default("not-broken"),
    ],
    others: None,
};

const DESCRIPTION: Key = key("description", Shape::Text, "What the trigger is for.");
const BRANCH: Key = key("branch", Shape::Text, "The branch of the plan.").default("the plan itself");

pub(crate) static TRIGGERS: Choices = Choices {
    id: "environment-trigger",
    what: "a trigger of an environment",
    doc: "What starts a deployment.",
    items: &[
        bare(
            "build-success",
            Some(Shape::Map(&BUILD_SUCCESS)),
            "A successful build of the plan.",
        ),
        item(
            "stage-success",
            Shape::Either(&[Shape::Text, Shape::Map(&STAGE_SUCCESS)]),
            "A successful stage of the plan.",
        ),
        item(
            "environment-success",
            Shape::Either(&[Shape::Text, Shape::Map(&ENVIRONMENT_SUCCESS)]),
            "A successful deployment to another environment.",
        ),
        item(
            "cron",
            Shape::Either(&[Shape::Cron, Shape::Map(&CRON)]),
            "Fixed times.",
        ),
    ],
};

pub(crate) static BUILD_SUCCESS: Section = Section {
    id: "build-success",
    what: "`build-success`",
    doc: "A successful build of the plan.",
    keys: &[BRANCH, DESCRIPTION],
    others: None,
};

pub(crate) static STAGE_SUCCESS: Section = Section {
    id: "stage-success",
    what: "`stage-success`",
    doc: "A successful stage of the plan.",
    keys: &[
        key("stage", Shape::Text, "The stage's name.").required(),
        BRANCH,
        DESCRIPTION,
    ],
    others: None,
};

pub(crate) static ENVIRONMENT_SUCCESS: Section = Section {
    id: "environment-success",
    what: "`environment-success`",
    doc: "A successful deployment to another environment.",
    keys: &[
        key("environment", Shape::Text, "The environment's name.").required(),
        DESCRIPTION,
    ],
    others: None,
};

pub(crate) static CRON: Section = Section {
    id: "environment-cron",
    what: "a cron trigger of an environment",
    doc: "Fixed times.",
    keys: &[
        key("expression", Shape::Cron, "The cron expression.").required(),
        key(
            "artifact-branch",
            Shape::Text,
            "The branch of the plan whose newest result is deployed.",
        )
        .default("the plan itself"),
        key(
            "skip-if-version-deployed",
            Shape::Flag,
            "Whether nothing happens when it is deployed already.",
        )
        .default("false"),
        DESCRIPTION,
    ],
    others: None,
};
