//! Repositories (bamboo-specs.md 6).

use super::{Section, Shape, key};

/// Repositories of a plan.
pub(crate) const LIST: Shape = Shape::Either(&[Shape::List(&NAMED), NAMED]);

const NAMED: Shape = Shape::Either(&[Shape::Text, Shape::Named(&Shape::Map(&REPOSITORY))]);

const BY_SERVER: &str = "link the repository on the server with its credentials, and name it here";
const BY_LINK: &str = "a repository is read with the credential that it was linked with: `madake repo link NAME URL \
                       --credential NAME`";
/// What happens to `scope: project`.
pub(crate) const BY_NAME: &str = "the repository of the server with this name is taken";

const AS_IT_IS: &str = "repositories are checked out as they are";

/// Types of repository.
pub(crate) const TYPES: [&str; 4] = ["git", "github", "bitbucket", "bitbucket-server"];

pub(crate) static REPOSITORY: Section = Section {
    id: "repository",
    what: "a repository",
    doc: "A repository that the server knows by this name, or with `type` one that is described here.",
    keys: &[
        key(
            "scope",
            Shape::Word(&["global", "project"]),
            "Whose name it is: the server's or the project's.",
        )
        .not_yet(BY_NAME),
        key(
            "type",
            Shape::Word(&TYPES),
            "What kind of repository is described. The server has to know one with this address.",
        ),
        key("branch", Shape::Text, "The branch of the plan itself.")
            .default("the repository's default branch"),
        key(
            "change-detection",
            Shape::Map(&CHANGE_DETECTION),
            "Which changes count.",
        ),
        key("url", Shape::Text, "Of `git`: its address."),
        key("repository", Shape::Text, "Of `github`: `owner/repository`."),
        key("base-url", Shape::Text, "Of `github`: the address of the server.").default("https://github.com"),
        key(
            "webhook-enabled",
            Shape::Flag,
            "Of `github`: whether a webhook is set up over there.",
        )
        .not_yet("set the webhook up over there, with an address of this server"),
        key(
            "slug",
            Shape::Text,
            "Of `bitbucket`: `owner/repository`. Of `bitbucket-server`: its slug.",
        ),
        key(
            "server",
            Shape::Text,
            "Of `bitbucket-server`: the name of the link to the server.",
        ),
        key(
            "project",
            Shape::Text,
            "Of `bitbucket-server`: the key of the project.",
        ),
        key("clone-url", Shape::Text, "Of `bitbucket-server`: its address."),
        key(
            "public-key",
            Shape::Text,
            "Of `bitbucket-server`: the public half of the access key.",
        )
        .not_yet(BY_SERVER),
        key(
            "private-key",
            Shape::Text,
            "Of `bitbucket-server`: the private half of the access key.",
        )
        .not_yet(BY_SERVER),
        key("username", Shape::Text, "The user's name.").not_yet(BY_SERVER),
        key("user", Shape::Text, "Of `github`: the user's name.").not_yet(BY_SERVER),
        key("password", Shape::Text, "The user's password or token.").not_yet(BY_SERVER),
        key("ssh-key", Shape::Text, "A private key, in PEM.").not_yet(BY_SERVER),
        key("ssh-key-passphrase", Shape::Text, "What opens the key.").not_yet(BY_SERVER),
        key(
            "shared-credentials",
            Shape::Either(&[Shape::Text, Shape::Map(&SHARED_CREDENTIALS)]),
            "Credentials that the server keeps, by name.",
        )
        .not_yet(BY_LINK),
        key(
            "app-id",
            Shape::Text,
            "Of `github`: the number of an app of GitHub, whose key is `ssh-key`.",
        )
        .not_yet(BY_SERVER),
        key(
            "plugin-key",
            Shape::Text,
            "The key of an app for other kinds of repository.",
        )
        .not_yet("the server has to know a repository of this name"),
        key("server-config", Shape::Free, "Settings of the app."),
        key("branch-config", Shape::Free, "Settings of the app."),
        key("branch-detection-config", Shape::Free, "Settings of the app."),
        key(
            "command-timeout-minutes",
            Shape::Number(1),
            "Minutes after which a command is given up.",
        )
        .not_yet(AS_IT_IS),
        key("lfs", Shape::Flag, "Whether files of Git LFS are fetched.").not_yet(AS_IT_IS),
        key(
            "verbose-logs",
            Shape::Flag,
            "Whether git says in the log what it does.",
        )
        .not_yet(AS_IT_IS),
        key(
            "use-shallow-clones",
            Shape::Flag,
            "Whether only the newest commits are fetched.",
        )
        .not_yet(AS_IT_IS),
        key("cache-on-agents", Shape::Flag, "Whether agents keep a copy.").not_yet(AS_IT_IS),
        key("submodules", Shape::Flag, "Whether submodules are checked out.").not_yet(AS_IT_IS),
        key(
            "submodules-use-shallow-clones",
            Shape::Flag,
            "Whether only the newest commits of submodules are fetched.",
        )
        .not_yet(AS_IT_IS),
        key(
            "ssh-key-applies-to-submodules",
            Shape::Flag,
            "Whether the key opens the submodules too.",
        )
        .not_yet(AS_IT_IS),
        key("fetch-all", Shape::Flag, "Whether all branches are fetched.").not_yet(AS_IT_IS),
        key("viewer", Shape::Free, "What links to sources are made by.")
            .not_yet("this server shows the sources itself"),
    ],
    others: None,
};

pub(crate) static SHARED_CREDENTIALS: Section = Section {
    id: "shared-credentials",
    what: "`shared-credentials`",
    doc: "Credentials that the server keeps.",
    keys: &[
        key("name", Shape::Text, "Their name.").required(),
        key("scope", Shape::Word(&["global", "project"]), "Whose they are."),
    ],
    others: None,
};

pub(crate) static CHANGE_DETECTION: Section = Section {
    id: "change-detection",
    what: "`change-detection`",
    doc: "Which changes start a build.",
    keys: &[
        key(
            "file-filter-type",
            Shape::Word(&["include_only", "exclude_all", "exclude", "none"]),
            "`include_only`: only a change that touches a matching path counts. `exclude_all`: a change that touches \
             nothing else does not count.",
        ),
        key(
            "file-filter-pattern",
            Shape::Pattern,
            "A regular expression over whole paths.",
        ),
        key(
            "exclude-changeset-pattern",
            Shape::Pattern,
            "Commits whose message matches do not count.",
        ),
        key(
            "quiet-period",
            Shape::Map(&QUIET_PERIOD),
            "How long to wait for further commits.",
        )
        .not_yet("builds begin at once"),
        key(
            "commit-isolation",
            Shape::Flag,
            "Whether each commit is built by itself.",
        )
        .not_yet("the newest commit of a push is built"),
    ],
    others: None,
};

pub(crate) static QUIET_PERIOD: Section = Section {
    id: "quiet-period",
    what: "`quiet-period`",
    doc: "How long to wait for further commits.",
    keys: &[
        key(
            "quiet-period-seconds",
            Shape::Number(0),
            "Seconds without a commit that it takes.",
        )
        .default("10"),
        key(
            "max-retries",
            Shape::Number(0),
            "How often it begins anew at most.",
        )
        .default("5"),
    ],
    others: None,
};
