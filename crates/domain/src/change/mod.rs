//! The decision: which plan branches does an event build, which not, and why.
//!
//! One event and one plan go through two passes. The [first pass](ChangeJudge::first_pass) needs no commit: it
//! finds the plan branches that the event touches, new ones to make, deleted ones to mark, and settles what can be
//! settled by looking at names and revisions. What is left are [`Candidate`]s. For these the engine reads what
//! [`ChangeJudge::facts_needed`] asks for, which is nothing for most plans, and [`ChangeJudge::decide`] gives
//! the verdict. Both passes return [`Decision`]s for and against, each with every rule that was looked at, its
//! input and its outcome.
//!
//! Which trigger answers to which event:
//!
//! | event | answered by |
//! | - | - |
//! | pull request | as a push: `push` triggers; a plan that names no triggers |
//! | push | `push` triggers; `remote` triggers where the repository's host tells us itself; a plan that names no triggers |
//! | remote trigger call | `remote` triggers only (origin 000) |
//! | poll | `polling` triggers; a plan that names no triggers where pushes are not known |
//! | cron | the `cron` trigger with that expression; builds whether or not anything changed |
//! | success of a parent | none is needed; builds whether or not anything changed |
//! | new tag | the `tag` triggers whose filter matches its name; builds the tagged commit |
//! | successful deployment | the `after-deployment` triggers of that project and environment; builds whether or not anything changed |
//! | plan file read outside a push | any of push, remote and polling; a plan that names no triggers |
//!
//! Nothing here reads a clock, a repository or the store.

mod decide;
mod first_pass;
mod gate;
pub(crate) mod pattern;
mod pull_request;
mod reason;
mod refname;
mod summary;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use reason::ReasonCode;
pub use refname::acceptable_branch_name;

use crate::condition::{LatestResult, Person};
use crate::key::PlanKey;
use crate::plan::PlanConfiguration;
use crate::pull_request::PullRequestNews;
use crate::repository::Scm;
use gate::Gate;
use pattern::Pattern;

/// Why a text is no regular expression that plans may have; `None`: it is one.
#[must_use]
pub fn pattern_problem(text: &str) -> Option<String> {
    Pattern::whole(text).problem().map(str::to_owned)
}

/// Whether a regular expression of a plan matches a whole text. One that cannot be read matches nothing.
#[must_use]
pub fn matches_whole(pattern: &str, text: &str) -> bool {
    Pattern::whole(pattern).matches(text) == Ok(true)
}

/// Finds a regular expression of a plan anywhere in a text; none where it cannot be read.
#[must_use]
pub(crate) fn matcher_anywhere(pattern: &str) -> Option<impl Fn(&str) -> bool + use<>> {
    let pattern = Pattern::anywhere(pattern);
    pattern.matches("").ok()?;
    Some(move |text: &str| pattern.matches(text) == Ok(true))
}

/// How many changed branches of one plan one event takes up, unless the server is told otherwise.
pub const DEFAULT_MAX_CANDIDATES: usize = 1000;

/// The full id of a commit, in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// Takes an id as a repository or a push names it; the id of nothing (all zeros, or empty) gives `None`.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        (!id.bytes().all(|b| b == b'0')).then(|| Self(id.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, for sentences.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0
            .char_indices()
            .nth(12)
            .map_or(&self.0, |(at, _)| &self.0[..at])
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Refs moved: a push to a repository that we host, one that a hook or a webhook told us of, or one that
    /// comparing the refs with the ledger brought to light.
    Push,
    /// Somebody called the remote trigger (bamboo-rest.md 7).
    RemoteTrigger {
        /// The plan or plan branch that the call names.
        asked: PlanKey,
        /// Looks at that one only, not at the whole plan.
        skip_branches: bool,
    },
    /// It was time to look at the repository.
    Poll,
    /// A cron trigger fired.
    Cron {
        /// The trigger's expression.
        expression: String,
    },
    /// A build of another plan was successful, which starts this one.
    Parent {
        /// The key of that build.
        build: String,
        /// The plan, or the plan branch, that it starts.
        target: PlanKey,
    },
    /// A new tag was pushed. The news are the tag alone, at the commit that it names.
    Tag {
        /// Its name, without `refs/tags/`.
        name: String,
    },
    /// A deployment was successful.
    Deployment {
        /// The name of the deployment project.
        project: String,
        /// The name of the environment.
        environment: String,
        /// The name of the release.
        release: String,
    },
    /// The plan was made or changed by a plan file that was read outside a push.
    SpecsChange,
    /// A pull request was opened, moved or closed. The news are the one branch, or the ref of the fork, that it is from.
    PullRequest(PullRequestNews),
}

impl Source {
    /// Whether it builds whether or not anything has changed.
    fn builds_anyway(&self) -> bool {
        matches!(
            self,
            Self::Cron { .. } | Self::Parent { .. } | Self::Tag { .. } | Self::Deployment { .. }
        )
    }

    /// How sentences name the event.
    fn cause(&self) -> String {
        match self {
            Self::Push => "a push moved the branch".to_owned(),
            Self::RemoteTrigger { asked, .. } => format!("the remote trigger of {asked} found it"),
            Self::Poll => "polling found it".to_owned(),
            Self::Cron { expression } => {
                format!("the cron trigger `{}` fired", crate::text::inert(expression, 80))
            }
            Self::Parent { build, .. } => {
                format!("its parent {} was successful", crate::text::inert(build, 80))
            }
            Self::Tag { name } => format!("the tag {} was pushed", crate::text::inert(name, 100)),
            Self::Deployment {
                project,
                environment,
                release,
            } => {
                let shown = |text| crate::text::inert(text, 80);
                format!(
                    "{} of {} was deployed to {}",
                    shown(release),
                    shown(project),
                    shown(environment)
                )
            }
            Self::SpecsChange => "the plan file was read".to_owned(),
            Self::PullRequest(news) => format!("pull request {} brings it", news.number),
        }
    }
}

/// What kind of name a ref has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// Anything else, such as notes.
    Other,
}

/// One ref that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRef {
    /// What it is.
    pub kind: RefKind,
    /// The name of the branch or tag; the full name of others.
    pub name: String,
    /// Where it was; `None`: it was made.
    pub old: Option<Revision>,
    /// Where it is; `None`: it was deleted.
    pub new: Option<Revision>,
}

/// What the event brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Refs that moved.
    Moved(Vec<MovedRef>),
    /// The branches as they are.
    Heads(Heads),
    /// The plan has no repository; only a cron trigger comes this way.
    NoRepository,
}

/// The branches of a repository as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// Each branch and its newest commit.
    pub heads: BTreeMap<String, Revision>,
    /// What `heads` was at the last look, without the branches that a `too-many-branches` decision named. A
    /// branch without a plan branch that has not moved since then is not new. Empty: all are new.
    pub known: BTreeMap<String, Revision>,
    /// `heads` holds all branches; if it was cut, none counts as deleted.
    pub complete: bool,
}

/// The repository that the event is about, as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivedRepository {
    /// Its name in the plan.
    pub name: String,
    /// It is the first one of the plan, whose branches become plan branches.
    pub is_default: bool,
    /// The version control system.
    pub scm: Scm,
    /// We learn of each push: hosted, attached with our hook, or linked with a webhook.
    pub pushes_known: bool,
    /// The repository's host tells us itself, as a remote trigger expects: hosted, or attached with our hook.
    pub remote_counts: bool,
    /// The branch that a clone checks out.
    pub default_branch: Option<String>,
}

/// One event, as one plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What it is.
    pub source: Source,
    /// Which repository it is about; `None`: the plan has none.
    pub repository: Option<ArrivedRepository>,
    /// What it brings.
    pub news: News,
    /// Where branches are now, at the moment of the decision; `None` inside: the branch is gone. A branch that
    /// is not in the map is not checked.
    pub current_heads: BTreeMap<String, Option<Revision>>,
    /// Who pushed, where that is known.
    pub pusher: Option<Person>,
    /// How many changed branches are taken up at most; see [`DEFAULT_MAX_CANDIDATES`].
    pub max_candidates: usize,
}

/// A plan branch, or the plan itself, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRow {
    /// Its key.
    pub key: PlanKey,
    /// This is the plan itself.
    pub is_master: bool,
    /// The branch of the default repository that it builds.
    pub vcs_branch: String,
    /// Builds at all.
    pub enabled: bool,
    /// The last revision of the event's repository that a decision settled.
    pub last_revision: Option<Revision>,
    /// Since when the branch is gone, in milliseconds since 1970.
    pub missing_since_ms: Option<i64>,
    /// It was made for a pull request: how that stands.
    pub proposal: Option<Proposal>,
}

/// How it stands with the pull request that a plan branch was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// It may still be merged, or, of the repository's own branches, another one from the same branch may.
    pub open: bool,
    /// It comes from a fork.
    pub from_fork: bool,
}

/// Whom a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "kebab-case")]
pub enum Subject {
    /// The plan as a whole.
    Plan {
        /// The plan.
        key: PlanKey,
    },
    /// One plan branch, or the plan as the one of its own branch.
    Branch {
        /// Its key.
        key: PlanKey,
    },
    /// A plan branch that is yet to be made.
    NewBranch {
        /// The plan.
        plan: PlanKey,
        /// The branch of the repository.
        vcs_branch: String,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan { key } | Self::Branch { key } => key.fmt(f),
            Self::NewBranch { plan, vcs_branch } => {
                write!(
                    f,
                    "the new branch {} of {plan}",
                    crate::text::inert(vcs_branch, 100)
                )
            }
        }
    }
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It lets the build go on.
    Passed,
    /// It stops the build.
    Stopped,
    /// It says something worth knowing and decides nothing.
    Noted,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's name, stable, such as `file-filter`.
    pub name: String,
    /// What it looked at.
    pub input: String,
    /// How it came out.
    pub outcome: Outcome,
}

impl Rule {
    /// The name of the rule that notes that the plan file of what is built has errors.
    pub const PLAN_FILE: &'static str = "plan-file";

    /// Something worth knowing, which decides nothing.
    #[must_use]
    pub fn noted(name: &str, input: impl Into<String>) -> Self {
        Self::new(name, Outcome::Noted, input)
    }

    fn new(name: &str, outcome: Outcome, input: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            input: input.into(),
            outcome,
        }
    }
}

/// A decision, for or against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whom it is about.
    pub subject: Subject,
    /// Build it.
    pub build: bool,
    /// Why, for machines.
    pub code: ReasonCode,
    /// Why, for people.
    pub sentence: String,
    /// The rules that were looked at, in order.
    pub rules: Vec<Rule>,
    /// The branch of the repository.
    pub vcs_branch: Option<String>,
    /// The revision that the decision is about.
    pub revision: Option<Revision>,
    /// The revision that was considered before.
    pub previous: Option<Revision>,
    /// The revision is dealt with: it becomes the plan branch's last one. Where this is false, the same revision
    /// may still be built by a later event (when the time window opens, when the plan is enabled).
    pub settles: bool,
    /// The names of all refs that the decision is about, where these are several.
    pub refs: Vec<String>,
}

/// A plan branch that may be built, before its commits were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Whom it is about.
    pub subject: Subject,
    /// The branch of the event's repository; `None`: the plan has no repository.
    pub vcs_branch: Option<String>,
    /// The revision to build.
    pub revision: Option<Revision>,
    /// The revision that was considered last; commits and paths are those from here to `revision`.
    pub previous: Option<Revision>,
    /// Where the push says that the branch was.
    pub moved_from: Option<Revision>,
    rules: Vec<Rule>,
}

impl Candidate {
    /// Names the plan branch that was made for a new branch.
    #[must_use]
    pub fn created_as(mut self, key: PlanKey) -> Self {
        self.subject = Subject::Branch { key };
        self
    }
}

/// A change of the plan's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchChange {
    /// Make a plan branch for this branch of the repository.
    Create {
        /// The branch's name, exactly: names that differ in case or Unicode form are different branches.
        vcs_branch: String,
    },
    /// The branch is gone from the repository.
    MarkMissing {
        /// The plan branch.
        key: PlanKey,
    },
    /// The branch is back.
    MarkFound {
        /// The plan branch.
        key: PlanKey,
    },
}

/// What the first pass found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstPass {
    /// What may be built; the plan itself first, plan branches next, new ones last.
    pub candidates: Vec<Candidate>,
    /// What is already decided.
    pub decisions: Vec<Decision>,
    /// What changes in the plan's rows, whether or not anything is built.
    pub branch_changes: Vec<BranchChange>,
}

/// What [`ChangeJudge::decide`] wants to know of a candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactsNeeded {
    /// Authors and messages of the commits from `previous` to `revision`.
    pub commits: bool,
    /// The paths that differ between `previous` and `revision`.
    pub paths: bool,
    /// Whether `revision` comes before `previous`.
    pub ancestry: bool,
    /// Whether `revision` is on the branch.
    pub on_branch: bool,
    /// The number of commits since the last revision that was built.
    pub commits_since_build: bool,
    /// The latest results of these plans.
    pub latest_results: Vec<PlanKey>,
}

/// A commit between the last considered revision and the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its author.
    pub author: Person,
    /// Its whole message.
    pub message: String,
}

/// What is known of a candidate. `None` and `false` are right for what was not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFacts {
    /// The new commits, in any order; `None`: not known, or cut (hostile-inputs W18).
    pub commits: Option<Vec<Commit>>,
    /// The changed paths with `/` between their parts; `None`: not known, or cut.
    pub paths: Option<Vec<String>>,
    /// Commits were taken away from the branch: `previous` is not among those that lead to `revision`. Worth
    /// telling wherever commits, paths or ancestry are read anyway; paths then are the difference both ways.
    pub history_rewritten: bool,
    /// `revision` comes before `previous`; `None`: not known.
    pub revision_precedes_previous: Option<bool>,
    /// `revision` is the branch's newest commit or comes before it; `None`: not known.
    pub on_branch: Option<bool>,
    /// The number of commits since the last revision that was built; `None`: not known.
    pub commits_since_build: Option<usize>,
    /// The latest results of the plans asked for.
    pub latest_results: BTreeMap<PlanKey, LatestResult>,
}

/// The moment of a decision.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The time.
    pub now: Timestamp,
    /// The server's time zone.
    pub server_zone: &'a TimeZone,
    /// Finds a time zone by its name.
    pub zone_named: &'a dyn Fn(&str) -> Option<TimeZone>,
}

/// Judges one event for one plan.
pub struct ChangeJudge<'a> {
    plan: &'a PlanConfiguration,
    arrival: &'a Arrival,
    gate: Gate<'a>,
    file_filter: Option<FileRule>,
    excluded_commits: Option<Pattern>,
    new_branches: Option<Pattern>,
}

/// A file filter with its pattern compiled.
enum FileRule {
    IncludeOnly(Pattern),
    ExcludeAll(Pattern),
}

impl<'a> ChangeJudge<'a> {
    /// Prepares the plan's rules.
    #[must_use]
    pub fn new(plan: &'a PlanConfiguration, arrival: &'a Arrival) -> Self {
        use crate::plan::{BranchCreation, FileFilter};
        let detection = arrival.repository.as_ref().and_then(|repository| {
            let all = plan.repositories.as_ref()?;
            let found = all.iter().find(|known| known.name == repository.name)?;
            Some(&found.change_detection)
        });
        Self {
            plan,
            arrival,
            gate: Gate::new(plan, arrival),
            file_filter: detection.and_then(|detection| match &detection.file_filter {
                Some(FileFilter::IncludeOnly(text)) => Some(FileRule::IncludeOnly(Pattern::whole(text))),
                Some(FileFilter::ExcludeAll(text)) => Some(FileRule::ExcludeAll(Pattern::whole(text))),
                None => None,
            }),
            excluded_commits: detection
                .and_then(|detection| detection.exclude_changeset_pattern.as_deref())
                .map(Pattern::anywhere),
            new_branches: match &plan.branches.create {
                BranchCreation::ForNewBranch { pattern } => pattern.as_deref().map(Pattern::whole),
                BranchCreation::Manually | BranchCreation::ForPullRequest { .. } => None,
            },
        }
    }
}
