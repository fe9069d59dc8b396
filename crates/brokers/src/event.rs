//! What a broker is told: one push, or one build that ended, as data.
//!
//! The JSON of [`BrokerEvent`] is what templates and executables see, so its names are a promise: fields are
//! added, never renamed or removed, while [`VERSION`] stays. Texts are as they came from git or hg; whoever shows
//! them makes them harmless (`chat`, `template`).

use serde::{Deserialize, Serialize};

/// The version of the JSON form, written as `version`.
pub const VERSION: u32 = 1;

/// One push or one build result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerEvent {
    /// Version of this form, [`VERSION`].
    pub version: u32,
    /// Names this event for ever, also over retries; receivers that know repeats get it (Matrix).
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// The repository that was pushed to, or that the build checked out; `null` for a build without one.
    pub repository: Option<Repository>,
    /// Who pushed; `null` where nobody can tell, and for builds that no push caused.
    pub pusher: Option<Person>,
    /// The refs that the push moved, in the order of the push; empty for a build.
    pub refs: Vec<RefMove>,
    /// The build; `null` for a push.
    pub build: Option<BuildResult>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Refs of a repository moved.
    Push,
    /// A build ended.
    Build,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Owner or project key, as written (`PROJ`, `marcus`).
    pub owner: String,
    /// The name in addresses.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// What keeps its history.
    pub scm: Scm,
    /// Its page.
    pub browse_url: String,
    /// The address for cloning.
    pub clone_url: String,
    /// The branch that is built and shown first, without `refs/heads/`, if known.
    pub default_branch: Option<String>,
}

/// What keeps the history of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scm {
    /// Git.
    Git,
    /// Mercurial.
    Hg,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name of the account, or the name part of an author line.
    pub name: String,
    /// The name for people; `null` where none is known.
    pub display_name: Option<String>,
    /// The address, `null` where none is known.
    pub email: Option<String>,
}

impl Person {
    /// The name to show.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.display_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.name)
    }
}

/// One ref that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefMove {
    /// What kind of ref.
    pub kind: RefKind,
    /// The name without prefix: `main`, `v1.0`.
    pub name: String,
    /// The whole name: `refs/heads/main`; in Mercurial the name itself.
    pub full_name: String,
    /// Created, moved or deleted.
    pub action: RefAction,
    /// The full id before, `null` for a new ref.
    pub old: Option<String>,
    /// The full id after, `null` for a deleted ref.
    pub new: Option<String>,
    /// Whether commits were taken away from the ref.
    pub forced: bool,
    /// The commits that this push brought to the ref, newest first.
    pub commits: Vec<Commit>,
    /// Whether there are more commits than `commits` lists.
    pub commits_truncated: bool,
    /// A page that shows the move, if there is one.
    pub link: Option<String>,
}

/// What kind of ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefKind {
    /// A branch of git.
    Branch,
    /// A tag.
    Tag,
    /// A named branch of Mercurial.
    NamedBranch,
    /// A bookmark of Mercurial.
    Bookmark,
}

/// What became of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefAction {
    /// It is new.
    Add,
    /// It points elsewhere now.
    Update,
    /// It is gone (for a named branch: closed).
    Delete,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The full id.
    pub id: String,
    /// Who wrote it.
    pub author: Person,
    /// The message as stored.
    pub message: String,
    /// The author's time in milliseconds since 1970.
    pub time_ms: i64,
    /// The changed files; those of a merge are the ones that differ from its first parent.
    pub files: Vec<File>,
    /// Whether there are more files than `files` lists.
    pub files_truncated: bool,
    /// The page of the commit, if there is one.
    pub link: Option<String>,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The path with `/`, from the root of the repository.
    pub path: String,
    /// What happened to it.
    pub action: FileAction,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAction {
    /// It is new.
    Added,
    /// Its content or mode changed.
    Modified,
    /// It is gone.
    Removed,
}

/// A build that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildResult {
    /// The key of the plan: `PROJ-PLAN`.
    pub plan_key: String,
    /// The name of the plan for people.
    pub plan_name: String,
    /// The key of the result: `PROJ-PLAN-7`.
    pub build_key: String,
    /// How it ended.
    pub state: BuildState,
    /// How the build before it on the same branch ended, `null` for the first.
    pub previous_state: Option<BuildState>,
    /// The branch that was built, without prefix.
    pub branch: String,
    /// The full id of the revision, `null` for a plan without a repository.
    pub revision: Option<String>,
    /// Why it ran, as a sentence.
    pub reason: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Its page.
    pub link: String,
    /// The keys of the jobs that failed: `PROJ-PLAN-JOB1`.
    pub failed_jobs: Vec<String>,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// Every job succeeded.
    Successful,
    /// A job failed.
    Failed,
    /// Somebody stopped it, or it could not run.
    Stopped,
}

impl BuildState {
    /// The word for sentences: `succeeded`, `failed`, `was stopped`.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Successful => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "was stopped",
        }
    }
}

/// What a build server is asked to build: a branch or tag at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    /// The name without prefix.
    pub(crate) name: &'a str,
    /// The whole name where it is known.
    pub(crate) full_name: &'a str,
    /// The full id, empty for a build of a plan without a repository.
    pub(crate) revision: &'a str,
    /// The move behind it; none for a build.
    pub(crate) moved: Option<&'a RefMove>,
}

impl BrokerEvent {
    /// What may be built: each ref that still exists, or what the build was of.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        match &self.build {
            Some(build) => vec![Change {
                name: &build.branch,
                full_name: &build.branch,
                revision: build.revision.as_deref().unwrap_or_default(),
                moved: None,
            }],
            None => self
                .refs
                .iter()
                .filter_map(|moved| {
                    let revision = moved.new.as_deref()?;
                    Some(Change {
                        name: &moved.name,
                        full_name: &moved.full_name,
                        revision,
                        moved: Some(moved),
                    })
                })
                .collect(),
        }
    }

    /// Every commit once, newest first within each ref.
    pub(crate) fn commits(&self) -> Vec<&Commit> {
        let mut seen = std::collections::BTreeSet::new();
        self.refs
            .iter()
            .flat_map(|moved| &moved.commits)
            .filter(|commit| seen.insert(commit.id.as_str()))
            .collect()
    }

    /// Why something is started, for the cause or comment that build servers show; one harmless line.
    pub(crate) fn cause(&self, change: &Change<'_>) -> String {
        let cause = match &self.build {
            Some(build) => format!("{} {}", build.build_key, build.state.verb()),
            None => format!("push to {} of {}", change.name, self.repository_path()),
        };
        madake_formats::text::line(&cause, 200)
    }

    /// The name of the repository as `owner/slug`, empty without one.
    pub(crate) fn repository_path(&self) -> String {
        self.repository
            .as_ref()
            .map(|repository| format!("{}/{}", repository.owner, repository.slug))
            .unwrap_or_default()
    }
}

/// The first seven characters of an id.
pub(crate) fn short_id(id: &str) -> &str {
    let end = id.char_indices().nth(7).map_or(id.len(), |(at, _)| at);
    &id[..end]
}

/// The first line of a message, without surrounding space.
pub(crate) fn first_line(message: &str) -> &str {
    message.trim_start().lines().next().unwrap_or_default().trim_end()
}
