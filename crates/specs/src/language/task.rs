//! Tasks (bamboo-specs.md 4).

use super::{Choices, Key, Section, Shape, bare, item, key};

/// A list of tasks.
pub(crate) const LIST: Shape = Shape::Items(&TASKS);

/// What happens to a task that is not run yet.
pub(crate) const FAILS: &str = "the job fails with a message when it comes to this task";

/// What happens to a task that is run in jobs only.
pub(crate) const FAILS_IN_DEPLOYMENT: &str = "the deployment fails with a message when it comes to this task";

/// What happens to a script for `cmd`.
pub(crate) const NO_WINDOWS: &str =
    "agents do not run on Windows: the job fails with a message when it comes to this task";

const DESCRIPTION: Key = key(
    "description",
    Shape::Text,
    "What the task is for; shown in the log.",
);
const ENABLED: Key = key("enabled", Shape::Flag, "Whether the task runs.").default("true");
const CONDITION_SHAPE: Shape = Shape::Map(&CONDITION);
const CONDITIONS: Key = key(
    "conditions",
    Shape::Either(&[Shape::List(&CONDITION_SHAPE), CONDITION_SHAPE]),
    "Conditions that must all hold; otherwise the task is passed over.",
);
const ENVIRONMENT: Key = key(
    "environment",
    Shape::Either(&[Shape::Texts, Shape::TextMap]),
    "`NAME=value` pairs with blanks between them, and double quotes around values with blanks; or a list of such pairs, \
     or a map from name to value.",
);
const WORKING_DIR: Key = key(
    "working-dir",
    Shape::Path,
    "Folder below the working directory that it runs in.",
);
const REPOSITORY_SHAPE: Shape = Shape::Either(&[Shape::Text, Shape::Map(&REPOSITORY_REFERENCE)]);
const REPOSITORY: Key =
    key("repository", REPOSITORY_SHAPE, "The repository by name.").default("the default repository");

pub(crate) static TASKS: Choices = Choices {
    id: "task",
    what: "a task",
    doc: "What a job or an environment does, step by step.",
    items: &[
        item(
            "script",
            Shape::Either(&[Shape::Texts, Shape::Map(&SCRIPT)]),
            "Runs a script. Items of a list are the lines of one script.",
        ),
        bare(
            "checkout",
            Some(Shape::Either(&[Shape::Text, Shape::Map(&CHECKOUT)])),
            "Checks a repository out at the revision that is built.",
        ),
        bare(
            "clean",
            Some(Shape::Map(&CLEAN)),
            "Empties the working directory.",
        ),
        bare(
            "artifact-download",
            Some(Shape::Either(&[
                Shape::Text,
                DOWNLOAD_ITEMS,
                Shape::Map(&ARTIFACT_DOWNLOAD),
            ])),
            "Fetches artifacts of this plan, of another one, or of the release. A text names one, a list several.",
        ),
        item(
            "inject-variables",
            Shape::Either(&[Shape::Text, Shape::Map(&INJECT_VARIABLES)]),
            "Makes variables of the lines `key=value` of a file.",
        ),
        item(
            "test-parser",
            Shape::Either(&[Shape::Word(&TEST_FORMATS), Shape::Map(&TEST_PARSER)]),
            "Reads test reports; failed tests fail the job.",
        ),
        item("maven", Shape::Map(&MAVEN), "Runs Maven."),
        item(
            "command",
            Shape::Map(&COMMAND),
            "Runs a program that a capability knows.",
        ),
        item("ssh", Shape::Map(&SSH), "Runs commands on other machines."),
        item("scp", Shape::Map(&SCP), "Copies files to other machines."),
        bare("stop-job", Some(Shape::Map(&STOP_JOB)), "Ends the job here."),
        item(
            "vcs-tag",
            Shape::Either(&[Shape::Text, Shape::Map(&VCS_TAG)]),
            "Tags the commit that the checkout is at, and pushes the tag. Only in jobs: a deployment fails there.",
        ),
        item(
            "vcs-branch",
            Shape::Either(&[Shape::Text, Shape::Map(&VCS_BRANCH)]),
            "Makes a branch at the commit that the checkout is at, and pushes it. Only in jobs: a deployment fails there.",
        ),
        item(
            "vcs-commit",
            Shape::Either(&[Shape::Texts, Shape::Map(&VCS_COMMIT)]),
            "Commits what the job changed.",
        ),
        bare(
            "vcs-push",
            Some(Shape::Map(&VCS_PUSH)),
            "Pushes the commits that the job made. Only in jobs: a deployment fails there.",
        ),
        item(
            "any-task",
            Shape::Map(&ANY_TASK),
            "A task of an app, by the app's key.",
        ),
        bare(
            "dump-variables",
            Some(Shape::Map(&CLEAN)),
            "Writes the variables into the log.",
        ),
    ],
};

pub(crate) const TEST_FORMATS: [&str; 5] = ["junit", "nunit", "testng", "mocha", "mstest"];

pub(crate) static CONDITION: Section = Section {
    id: "condition",
    what: "a condition",
    doc: "A condition of a task.",
    keys: &[key(
        "variable",
        Shape::Map(&VARIABLE_CONDITION),
        "What must hold of a variable.",
    )
    .required()],
    others: None,
};

pub(crate) static VARIABLE_CONDITION: Section = Section {
    id: "variable-condition",
    what: "a condition of a variable",
    doc: "What must hold of variables, whose names have no `bamboo.` in front. All that is given must hold.",
    keys: &[
        key("equals", Shape::TextMap, "The variable has this value."),
        key("not-equals", Shape::TextMap, "The variable has another value."),
        key(
            "matches",
            Shape::Named(&Shape::Pattern),
            "The variable's whole value matches the regular expression.",
        ),
        key("exists", Shape::Texts, "There is such a variable."),
        key("not-exists", Shape::Texts, "There is no such variable."),
    ],
    others: None,
};

pub(crate) static SCRIPT: Section = Section {
    id: "script",
    what: "a script",
    doc: "A script. Either `scripts` or `file`.",
    keys: &[
        key(
            "scripts",
            Shape::Texts,
            "The body; items of a list are lines of one script.",
        ),
        key("file", Shape::Path, "A file of the checkout that is run instead."),
        key(
            "argument",
            Shape::Texts,
            "Arguments of the script, split as a shell splits words; items of a list stand behind each other.",
        ),
        key(
            "interpreter",
            Shape::Word(&[
                "SHELL",
                "RUN_AS_EXECUTABLE",
                "BINSH_OR_CMDEXE",
                "LEGACY_SH_BAT",
                "/bin/sh",
                "sh",
                "cmd",
                "cmd.exe",
                "WINDOWS_POWER_SHELL",
                "POWERSHELL",
            ]),
            "What runs it. Under `SHELL` its first line `#!...` chooses. `cmd` is read and not run: agents do not run on \
             Windows.",
        )
        .default("SHELL"),
        ENVIRONMENT,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static CHECKOUT: Section = Section {
    id: "checkout",
    what: "a checkout",
    doc: "A checkout of the revision that is built.",
    keys: &[
        REPOSITORY,
        key("path", Shape::Path, "Folder below the working directory.").default("the working directory"),
        key("force-clean-build", Shape::Flag, "Empties the folder first.").default("false"),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static REPOSITORY_REFERENCE: Section = Section {
    id: "repository-reference",
    what: "a repository of a task",
    doc: "A repository by name.",
    keys: &[
        key("name", Shape::Text, "Its name.").required(),
        key("scope", Shape::Word(&["global", "project"]), "Whose name it is."),
    ],
    others: None,
};

pub(crate) static CLEAN: Section = Section {
    id: "clean",
    what: "a task without options",
    doc: "What any task may say of itself.",
    keys: &[DESCRIPTION, ENABLED, CONDITIONS],
    others: None,
};

pub(crate) static ARTIFACT_DOWNLOAD: Section = Section {
    id: "artifact-download",
    what: "an artifact download",
    doc: "Artifacts that are fetched; without a name all of them.",
    keys: &[
        key(
            "source-plan",
            Shape::PlanKey,
            "The plan whose artifacts are meant.",
        )
        .default("this plan; in a deployment, the release"),
        key(
            "custom-branch",
            Shape::Text,
            "The branch of that plan whose last success counts.",
        ),
        key(
            "artifacts",
            Shape::Either(&[DOWNLOAD_ITEMS, DOWNLOAD_ITEM_SHAPE]),
            "The artifacts.",
        ),
        key("name", Shape::Text, "The one artifact, where there is only one."),
        key(
            "destination",
            Shape::Path,
            "Folder below the working directory; `/` is the working directory.",
        )
        .default("the working directory"),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

const DOWNLOAD_ITEM_SHAPE: Shape = Shape::Either(&[Shape::Text, Shape::Map(&DOWNLOAD_ITEM)]);
const DOWNLOAD_ITEMS: Shape = Shape::List(&DOWNLOAD_ITEM_SHAPE);

pub(crate) static DOWNLOAD_ITEM: Section = Section {
    id: "artifact-download-item",
    what: "an artifact of a download",
    doc: "One artifact that is fetched, or `{}` for all of them.",
    keys: &[
        key("name", Shape::Text, "The artifact's name.").default("all artifacts"),
        key(
            "destination",
            Shape::Path,
            "Folder below the working directory; `/` is the working directory.",
        )
        .default("the working directory"),
    ],
    others: None,
};

pub(crate) static INJECT_VARIABLES: Section = Section {
    id: "inject-variables",
    what: "an injection of variables",
    doc: "Variables `bamboo.NAMESPACE.key` of the lines `key=value` of a file.",
    keys: &[
        key("file", Shape::Path, "The file below the working directory.").required(),
        key(
            "scope",
            Shape::Word(&["LOCAL", "RESULT"]),
            "Who sees them: the tasks behind it, or later stages and releases too.",
        )
        .default("LOCAL"),
        key("namespace", Shape::Text, "What stands in front of their names.").default("inject"),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static TEST_PARSER: Section = Section {
    id: "test-parser",
    what: "a test parser",
    doc: "Test reports that are read.",
    keys: &[
        key("type", Shape::Word(&TEST_FORMATS), "Which reports they are; a variable may say so.").required(),
        key("test-results", Shape::Texts, "Ant patterns of the reports below the working directory.").default(
            "junit and nunit `**/test-reports/*.xml`, testng `**/testng-results.xml`, mocha `mocha.json`, mstest `**/*.trx`",
        ),
        key("ignore-time", Shape::Flag, "Whether reports count that are older than the job.").default("false"),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static MAVEN: Section = Section {
    id: "maven",
    what: "a Maven task",
    doc: "A run of Maven.",
    keys: &[
        key(
            "executable",
            Shape::Text,
            "The label of the capability that knows Maven.",
        )
        .required(),
        key("goal", Shape::Texts, "Goals and options.").required(),
        key("jdk", Shape::Text, "The label of the JDK.").default("the agent's own"),
        key(
            "tests",
            Shape::Either(&[Shape::Flag, Shape::Text]),
            "`true` reads the reports in Maven's usual place, an Ant pattern those elsewhere.",
        )
        .default("false"),
        key("project-file", Shape::Path, "The project's file.").default("pom.xml"),
        key(
            "use-return-code",
            Shape::Flag,
            "Whether Maven's exit code decides. It does in any case.",
        ),
        ENVIRONMENT,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static COMMAND: Section = Section {
    id: "command",
    what: "a command",
    doc: "A run of a program.",
    keys: &[
        key(
            "executable",
            Shape::Text,
            "The label of the capability that knows the program.",
        )
        .required(),
        key(
            "argument",
            Shape::Texts,
            "Arguments, split as a shell splits words; items of a list stand behind each other.",
        ),
        ENVIRONMENT,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

const HOST: Key = key(
    "host",
    Shape::Texts,
    "The machines: a text, several with line ends or commas between them, or a list.",
)
.required();
const PORT: Key = key("port", Shape::Number(1), "The port.").default("22");
const HOST_FINGERPRINT: Key = key(
    "host-fingerprint",
    Shape::Text,
    "The fingerprint of the machine's key.",
);
const AUTHENTICATION: Key =
    key("authentication", Shape::Map(&AUTHENTICATION_SECTION), "As whom.").default("whoever the agent is");

pub(crate) static SSH: Section = Section {
    id: "ssh",
    what: "an SSH task",
    doc: "Commands on other machines.",
    keys: &[
        HOST,
        PORT,
        HOST_FINGERPRINT,
        key(
            "command",
            Shape::Texts,
            "The commands, which a shell over there runs; items of a list are lines.",
        )
        .required(),
        AUTHENTICATION,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static SCP: Section = Section {
    id: "scp",
    what: "an SCP task",
    doc: "Files that are copied to other machines.",
    keys: &[
        HOST,
        PORT,
        HOST_FINGERPRINT,
        key(
            "local-path",
            Shape::Texts,
            "The files: paths below the working directory, or Ant patterns.",
        )
        .required(),
        key("use-ant-pattern", Shape::Flag, "Whether they are Ant patterns.").default("false"),
        key("destination-path", Shape::Text, "The folder over there.").default("the user's home"),
        AUTHENTICATION,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static AUTHENTICATION_SECTION: Section = Section {
    id: "authentication",
    what: "`authentication`",
    doc: "As whom to log in: with `password`, `ssh-key` or `shared-credentials`.",
    keys: &[
        key("username", Shape::Text, "The user's name over there."),
        key("password", Shape::Text, "The password."),
        key("ssh-key", Shape::Text, "The private key, in PEM."),
        key("ssh-key-passphrase", Shape::Text, "What opens the key."),
        key(
            "shared-credentials",
            Shape::Text,
            "Credentials that the server keeps, by name.",
        ),
    ],
    others: None,
};

pub(crate) static STOP_JOB: Section = Section {
    id: "stop-job",
    what: "a `stop-job` task",
    doc: "Ends the job before its other tasks.",
    keys: &[
        key("success", Shape::Flag, "Whether the job counts as successful.").default("false"),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static VCS_TAG: Section = Section {
    id: "vcs-tag",
    what: "a `vcs-tag` task",
    doc: "A tag at the commit that the checkout is at.",
    keys: &[
        key("tag", Shape::Text, "The tag's name.").required(),
        REPOSITORY,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static VCS_BRANCH: Section = Section {
    id: "vcs-branch",
    what: "a `vcs-branch` task",
    doc: "A branch at the commit that the checkout is at.",
    keys: &[
        key("branch", Shape::Text, "The branch's name.").required(),
        REPOSITORY,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static VCS_COMMIT: Section = Section {
    id: "vcs-commit",
    what: "a `vcs-commit` task",
    doc: "A commit of what the job changed.",
    keys: &[
        key(
            "message",
            Shape::Texts,
            "The message of the commit; items of a list are lines.",
        )
        .required(),
        REPOSITORY,
        WORKING_DIR,
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};

pub(crate) static VCS_PUSH: Section = Section {
    id: "vcs-push",
    what: "a `vcs-push` task",
    doc: "Commits of the job that are pushed.",
    keys: &[REPOSITORY, WORKING_DIR, DESCRIPTION, ENABLED, CONDITIONS],
    others: None,
};

pub(crate) static ANY_TASK: Section = Section {
    id: "any-task",
    what: "an `any-task`",
    doc: "A task of an app. Those below are understood; the job fails with a message when it comes to another one.",
    keys: &[
        key("plugin-key", Shape::Text, "The app's key.").required(),
        key("configuration", Shape::Free, "The app's settings."),
        DESCRIPTION,
        ENABLED,
        CONDITIONS,
    ],
    others: None,
};
