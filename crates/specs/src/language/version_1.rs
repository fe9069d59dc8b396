//! The first version of the format (bamboo-specs.md 2.4).

use super::plan::{SERVER_NAME, VARIABLES};
use super::{Section, Shape, job, key, notification, repository, task, trigger};

pub(crate) static DOCUMENT: Section = Section {
    id: "version-1",
    what: "a document of version 1",
    doc: "A plan in the first version of the format, without `version: 2`. Its stages and jobs have no names and are \
          called `Stage 1`, `Job 1` and so on.",
    keys: &[
        key("version", Shape::Number(1), "The version of the format: 1."),
        SERVER_NAME,
        key("project", Shape::Map(&PROJECT), "Which plan it is.").required(),
        key("stages", Shape::List(&Shape::Map(&STAGE)), "The stages in order.").required(),
        key("dockerImage", Shape::Text, "The image that the jobs run in."),
        key("variables", VARIABLES, "Variables of the plan."),
        key(
            "repositories",
            repository::LIST,
            "The repositories, the default one first.",
        ),
        key("triggers", trigger::LIST, "What starts a build."),
        key("notifications", notification::PLAN_LIST, "Who is told of what."),
    ],
    others: None,
};

pub(crate) static PROJECT: Section = Section {
    id: "version-1-project",
    what: "the project",
    doc: "The project, and the plan in it.",
    keys: &[
        key("key", Shape::Text, "The project's key.").required(),
        key("name", Shape::Text, "The project's name."),
        key("plan", Shape::Map(&PLAN), "The plan.").required(),
    ],
    others: None,
};

pub(crate) static PLAN: Section = Section {
    id: "version-1-plan",
    what: "the plan of version 1",
    doc: "The plan.",
    keys: &[
        key("key", Shape::Text, "The plan's key without the project's.").required(),
        key("name", Shape::Text, "The plan's name.").required(),
        key("description", Shape::Text, "What the plan is for."),
    ],
    others: None,
};

pub(crate) static STAGE: Section = Section {
    id: "version-1-stage",
    what: "a stage of version 1",
    doc: "Jobs that run beside each other.",
    keys: &[
        key("jobs", Shape::List(&Shape::Map(&JOB)), "The jobs.").required(),
        key("manual", Shape::Flag, "Waits for a person before it starts.").default("false"),
    ],
    others: None,
};

pub(crate) static JOB: Section = Section {
    id: "version-1-job",
    what: "a job of version 1",
    doc: "A script, and what it leaves.",
    keys: &[
        key("scripts", Shape::Texts, "The lines of the script.").required(),
        key("interpreter", Shape::Text, "What runs it.").default("SHELL"),
        key("dockerImage", Shape::Text, "The image that the job runs in."),
        key(
            "requirements",
            job::REQUIREMENTS,
            "Capabilities that an agent must have.",
        ),
        key(
            "artifacts",
            Shape::Either(&[Shape::List(&Shape::Map(&ARTIFACT)), Shape::Map(&ARTIFACT)]),
            "Files that are kept; all of them are shared.",
        ),
        key(
            "testParsers",
            Shape::Either(&[
                Shape::List(&TEST_PARSER_SHAPE),
                Shape::Word(&task::TEST_FORMATS),
                Shape::Map(&TEST_PARSER),
            ]),
            "Test reports that are read.",
        ),
    ],
    others: None,
};

pub(crate) static ARTIFACT: Section = Section {
    id: "version-1-artifact",
    what: "an artifact of version 1",
    doc: "Files that are kept.",
    keys: &[
        key("name", Shape::Text, "Its name.").required(),
        key("path", Shape::Text, "A file, or an Ant pattern of files.").required(),
    ],
    others: None,
};

const TEST_PARSER_SHAPE: Shape = Shape::Either(&[Shape::Word(&task::TEST_FORMATS), Shape::Map(&TEST_PARSER)]);

pub(crate) static TEST_PARSER: Section = Section {
    id: "version-1-test-parser",
    what: "a test parser of version 1",
    doc: "Test reports that are read.",
    keys: &[
        key(
            "type",
            Shape::Word(&task::TEST_FORMATS),
            "Which reports they are.",
        )
        .required(),
        key("testResults", Shape::Texts, "Ant patterns of the reports."),
    ],
    others: None,
};
