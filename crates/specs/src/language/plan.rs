//! The plan document (bamboo-specs.md 3, 8, 9, 11).

use super::{Key, Others, Section, Shape, job, key, notification, permission, repository, trigger};

const NOTHING_HAPPENS: &str = "it has no effect yet";

/// What happens to `stop-oldest-builds`.
pub(crate) const OLDEST_STAYS: &str = "a build over the limit waits, and none is stopped";

/// What happens to `rerunnable: false`.
pub(crate) const RERUNNABLE_INSTEAD: &str = "failed jobs may be run again all the same";

pub(crate) const VERSION: Key = key("version", Shape::Number(2), "The version of the format: 2.").required();

pub(crate) const SERVER_NAME: Key = key(
    "server-name",
    Shape::Pattern,
    "A regular expression; a server whose whole name (`server.name`) does not match passes the document over.",
);

/// Variables: a map, or a list of maps.
pub(crate) const VARIABLES: Shape = Shape::Either(&[Shape::List(&Shape::TextMap), Shape::TextMap]);

const OVERRIDES: Shape = Shape::Named(&Shape::Map(&BRANCH_OVERRIDE));

const STAGES: Shape = Shape::List(&Shape::Named(&Shape::Either(&[Shape::Texts, Shape::Map(&STAGE)])));

pub(crate) static DOCUMENT: Section = Section {
    id: "plan-document",
    what: "a plan document",
    doc: "What is built, in which stages, by which jobs, and when. Every key that is none of these is a job.",
    keys: &[
        VERSION,
        SERVER_NAME,
        key("plan", Shape::Map(&HEADER), "Which plan it is.").required(),
        key(
            "stages",
            STAGES,
            "The stages in order; each is `- Name: [Job, Job]` or has options. Jobs of a stage run beside each other, \
             and all must succeed before the next stage starts.",
        )
        .required(),
        key("variables", VARIABLES, "Variables of the plan, by name without `bamboo.`."),
        key(
            "repositories",
            repository::LIST,
            "The repositories, the default one first. `[]`: none, and no checkout.",
        )
        .default("the repository that the file is in"),
        key("triggers", trigger::LIST, "What starts a build. `[]`: only people do.")
            .default("pushes, where the server hears of them, else a poll every 180 seconds"),
        key("branches", Shape::Map(&BRANCHES), "When plan branches are made and removed.")
            .default("each new branch; gone a day after the branch, or after 30 days without a commit"),
        key("docker", job::DOCKER_SHAPE, "The image that jobs run in, unless they name their own."),
        key("labels", Shape::Texts, "Labels of each result. `[]` takes them all away.").default("as they are"),
        key("notifications", notification::PLAN_LIST, "Who is told of what."),
        key("dependencies", Shape::Map(&DEPENDENCIES), "Plans that a success of this one starts."),
        key(
            "branch-overrides",
            Shape::Either(&[Shape::List(&OVERRIDES), OVERRIDES]),
            "Sections that branches have instead, by a regular expression over the whole name of the branch; the first \
             one that matches counts. Each section replaces the plan's whole one.",
        ),
        key("branch-config", Shape::Map(&BRANCH_CONFIG), "What the branch that the file stands on is like."),
        key("other", Shape::Map(&OTHER), "Settings of the server and of apps."),
        key(
            "plan-permissions",
            permission::PLAN_LIST,
            "Permissions of this plan, as in a document of their own.",
        ),
    ],
    others: Some(Others {
        name: "JOB",
        shape: Shape::Map(&job::JOB),
        doc: "A job by name. A stage names it; one that no stage names never runs.",
    }),
};

pub(crate) static HEADER: Section = Section {
    id: "plan",
    what: "the plan",
    doc: "Which plan it is.",
    keys: &[
        key(
            "project-key",
            Shape::Text,
            "The key of the project: upper-case letters and digits.",
        )
        .required(),
        key(
            "key",
            Shape::Text,
            "The plan's key without the project's: `PLAN` of `PROJ-PLAN`.",
        )
        .required(),
        key("name", Shape::Text, "The plan's name.").required(),
        key("description", Shape::Text, "What the plan is for."),
        key("enabled", Shape::Flag, "Whether the plan builds at all.").default("true"),
        key(
            "rerunnable",
            Shape::Flag,
            "Whether failed jobs of a build may be run again.",
        )
        .default("true")
        .not_yet(RERUNNABLE_INSTEAD),
        key(
            "master-branch",
            Shape::Either(&[Shape::Text, Shape::Map(&MASTER_BRANCH)]),
            "The branch of the default repository that the plan itself builds.",
        )
        .default("the repository's default branch")
        .not_yet("the repository's default branch is built"),
    ],
    others: None,
};

pub(crate) static MASTER_BRANCH: Section = Section {
    id: "master-branch",
    what: "`master-branch`",
    doc: "The branch of the default repository that the plan itself builds.",
    keys: &[
        key("name", Shape::Text, "The branch.").required(),
        key("display-name", Shape::Text, "What people read in its place."),
    ],
    others: None,
};

pub(crate) static STAGE: Section = Section {
    id: "stage",
    what: "a stage",
    doc: "Jobs that run beside each other.",
    keys: &[
        key("jobs", Shape::Texts, "The names of the jobs."),
        key("manual", Shape::Flag, "Waits for a person before it starts.").default("false"),
        key(
            "final",
            Shape::Flag,
            "Runs whatever happened before, also after a failure or a stop; a manual stage before it that nobody has started holds it up.",
        )
        .default("false"),
        key("description", Shape::Text, "What the stage is for."),
    ],
    others: None,
};

pub(crate) static BRANCHES: Section = Section {
    id: "branches",
    what: "`branches`",
    doc: "When plan branches are made and removed.",
    keys: &[
        key(
            "create",
            Shape::Either(&[
                Shape::Word(&["manually", "for-new-branch", "for-pull-request"]),
                Shape::Map(&BRANCH_CREATION),
            ]),
            "When a branch of the repository becomes a plan branch.",
        )
        .default("for-new-branch"),
        key(
            "delete",
            Shape::Either(&[Shape::Word(&["never"]), Shape::Map(&BRANCH_DELETION)]),
            "When a plan branch goes.",
        )
        .default("a day after the branch, or after 30 days without a commit"),
        key(
            "integration",
            Shape::Map(&INTEGRATION),
            "How branches are merged before they are built.",
        )
        .not_yet("branches are built as they are, unmerged"),
        key(
            "link-to-jira",
            Shape::Flag,
            "Whether branches named after an issue are shown with it.",
        )
        .not_yet(NOTHING_HAPPENS),
    ],
    others: None,
};

pub(crate) static BRANCH_CREATION: Section = Section {
    id: "branch-creation",
    what: "`create`",
    doc: "When a branch of the repository becomes a plan branch; one of these.",
    keys: &[
        key(
            "for-new-branch",
            Shape::Pattern,
            "Each new branch whose whole name matches.",
        ),
        key(
            "for-pull-request",
            Shape::Map(&PULL_REQUESTS),
            "Each branch with a pull request.",
        ),
    ],
    others: None,
};

pub(crate) static PULL_REQUESTS: Section = Section {
    id: "for-pull-request",
    what: "`for-pull-request`",
    doc: "Which pull requests count.",
    keys: &[key("accept-fork", Shape::Flag, "Whether those from forks count.").default("false")],
    others: None,
};

const DAYS: Shape = Shape::Either(&[Shape::Number(0), Shape::Word(&["never"])]);

pub(crate) static BRANCH_DELETION: Section = Section {
    id: "branch-deletion",
    what: "`delete`",
    doc: "When a plan branch goes.",
    keys: &[
        key("after-deleted-days", DAYS, "Days after its branch was deleted.").default("1"),
        key("after-inactive-days", DAYS, "Days without a commit.").default("30"),
    ],
    others: None,
};

pub(crate) static INTEGRATION: Section = Section {
    id: "integration",
    what: "`integration`",
    doc: "How a branch is merged before it is built. One of `merge-from` and `merge-to`.",
    keys: &[
        key(
            "merge-from",
            Shape::Text,
            "The branch that is merged into the one that is built.",
        ),
        key(
            "merge-to",
            Shape::Text,
            "The branch that the one that is built is merged into.",
        ),
        key(
            "push-on-success",
            Shape::Flag,
            "Whether the merge is pushed after a success.",
        )
        .default("false"),
    ],
    others: None,
};

pub(crate) static BRANCH_CONFIG: Section = Section {
    id: "branch-config",
    what: "`branch-config`",
    doc: "What a branch itself is like.",
    keys: &[
        key(
            "integration",
            Shape::Map(&INTEGRATION),
            "How the branch is merged before it is built.",
        )
        .not_yet("the branch is built as it is"),
        key(
            "disable-expiry",
            Shape::Flag,
            "Whether its results stay whatever their age.",
        ),
    ],
    others: None,
};

pub(crate) static BRANCH_OVERRIDE: Section = Section {
    id: "branch-override",
    what: "a branch override",
    doc: "Sections in place of the plan's. Every key that is none of these is a job.",
    keys: &[
        key("stages", STAGES, "The stages."),
        key(
            "variables",
            VARIABLES,
            "The variables; those of the plan that are to stay are given again.",
        ),
        key("triggers", trigger::LIST, "What starts a build."),
        key(
            "branches",
            Shape::Map(&BRANCHES),
            "When plan branches are made and removed.",
        ),
        key("docker", job::DOCKER_SHAPE, "The image that jobs run in."),
        key("labels", Shape::Texts, "Labels of each result."),
        key("notifications", notification::PLAN_LIST, "Who is told of what."),
        key(
            "branch-config",
            Shape::Map(&BRANCH_CONFIG),
            "What the branch itself is like.",
        ),
        key("other", Shape::Map(&OTHER), "Settings of the server and of apps."),
    ],
    others: Some(Others {
        name: "JOB",
        shape: Shape::Map(&job::JOB),
        doc: "A job in place of the plan's of that name, or one more.",
    }),
};

/// The ways to wait for parents. The last two are the same; which one stands there depends on what wrote the file.
pub(crate) const BLOCK_STRATEGIES: [&str; 4] = [
    "none",
    "block_if_parent_in_progress",
    "block_if_parent_has_changes",
    "block_if_unbuilt_changes",
];

pub(crate) static DEPENDENCIES: Section = Section {
    id: "dependencies",
    what: "`dependencies`",
    doc: "Plans that a success of this one starts.",
    keys: &[
        key(
            "plans",
            Shape::Either(&[Shape::List(&Shape::PlanKey), Shape::PlanKey]),
            "Their keys.",
        ),
        key(
            "require-all-stages-passing",
            Shape::Flag,
            "Whether they start only when manual stages have passed too.",
        )
        .default("false"),
        key(
            "enabled-for-branches",
            Shape::Flag,
            "Whether branches of this plan start branches of them.",
        )
        .default("true"),
        key(
            "block-strategy",
            Shape::Word(&BLOCK_STRATEGIES),
            "When this plan waits for the plans that start it.",
        )
        .default("none"),
    ],
    others: None,
};

pub(crate) static OTHER: Section = Section {
    id: "plan-other",
    what: "`other` of a plan",
    doc: "Settings of the server and of apps.",
    keys: &[
        key(
            "concurrent-build-plugin",
            Shape::Either(&[
                Shape::Word(&["system-default"]),
                Shape::Number(1),
                Shape::Map(&CONCURRENT_BUILDS),
            ]),
            "How many builds of one branch run at once.",
        )
        .default("builds.concurrent of the server"),
        key(
            "force-stop-build",
            Shape::Flag,
            "Whether builds with a job that hangs are stopped.",
        )
        .default("builds.when-hanging of the server"),
        key("all-other-apps", Shape::Map(&PLAN_APPS), "Settings of apps."),
    ],
    others: None,
};

pub(crate) static CONCURRENT_BUILDS: Section = Section {
    id: "concurrent-build-plugin",
    what: "`concurrent-build-plugin`",
    doc: "How many builds of one branch run at once.",
    keys: &[
        key(
            "number-of-concurrent-builds",
            Shape::Either(&[Shape::Word(&["system-default"]), Shape::Number(1)]),
            "The number.",
        ),
        key(
            "execution-strategy",
            Shape::Word(&["block-triggering", "stop-oldest-builds"]),
            "What happens to a build over the limit: it waits, or with `stop-oldest-builds` the oldest is stopped.",
        )
        .default("block-triggering")
        .not_yet(OLDEST_STAYS),
    ],
    others: None,
};

pub(crate) static PLAN_APPS: Section = Section {
    id: "plan-apps",
    what: "`all-other-apps` of a plan",
    doc: "Settings of apps.",
    keys: &[key(
        "custom",
        Shape::Free,
        "Settings by dotted or nested name. `buildExpiryConfig` (`enabled`, `duration`, `period`, `expiryTypeResult`, \
         `expiryTypeArtifact`, `expiryTypeBuildLog`, `buildsToKeep`, `maximumBuildsToKeep`, `labelsToKeep`) says when \
         results go, after so many `hours`, `days`, `weeks`, `months` or `years`; the others have no effect.",
    )],
    others: None,
};
