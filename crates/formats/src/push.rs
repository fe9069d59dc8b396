//! The common form of a push: what every sender's payload is turned into.
//!
//! All of it is a hint from outside. Names are bounded but otherwise as sent; prose is inert; links are
//! dropped unread (hostile-inputs.md W22).

use std::fmt;

use crate::clone_address::CloneAddress;
use crate::object_id::ObjectIdText;
use crate::ref_name::{RefName, RefNameProblem};

/// One push, as a sender tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Which format the payload was in.
    pub sender: SenderFormat,
    /// Which repository was pushed to.
    pub repository: RepositoryHint,
    /// The refs that moved, in the order of the payload.
    pub changes: Vec<RefChange>,
    /// Whether `changes` names every ref that moved. If not, the refs of the repository must be read.
    pub changes_complete: bool,
    /// The commits that came in, in the order of the payload, each once.
    pub commits: Vec<CommitHint>,
    /// Whether `commits` is known to have every commit that came in and, where the format lets one see it,
    /// none was taken away.
    pub commits_complete: bool,
    /// Who pushed: a login if there is one, inert.
    pub pusher: Option<String>,
    /// What was left out or is not told, and what follows from it.
    pub notes: Vec<Note>,
}

impl Push {
    /// The paths that the push touched, or `None` if they are not all known and a path filter has to be
    /// answered with "unknown, build" (hostile-inputs.md W18). A path may come more than once.
    pub fn known_paths(&self) -> Option<impl Iterator<Item = &str>> {
        let known = self.changes_complete
            && self.commits_complete
            && self.commits.iter().all(|commit| commit.paths_complete);
        known.then(|| {
            self.commits
                .iter()
                .flat_map(|commit| commit.paths.iter().map(String::as_str))
        })
    }
}

/// The payload formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SenderFormat {
    /// Bitbucket Server "Post-Receive Webhooks" and Stash before it (push-payloads.md A).
    PostReceive,
    /// The POST service of Bitbucket Cloud (C.1, C.2).
    CloudPost,
    /// Webhooks of Bitbucket Data Center, `repo:refs_changed` (B).
    BitbucketDc,
    /// Webhooks of Bitbucket Cloud, `repo:push` (C.4).
    BitbucketCloud,
    /// The "Post Webhooks" add-on of Bitbucket Server (B.5).
    PostWebhooks,
    /// GitHub: `push`, `create` and `delete` (D).
    GitHub,
    /// GitLab: push, tag push and system hooks (D).
    GitLab,
    /// Gitea (D).
    Gitea,
    /// Forgejo, which speaks as Gitea does (D).
    Forgejo,
    /// Gogs, from which both come (D).
    Gogs,
    /// Our own JSON, signed as Standard Webhooks ask (D "generic", F.1).
    Native,
}

impl SenderFormat {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::PostReceive,
        Self::CloudPost,
        Self::BitbucketDc,
        Self::BitbucketCloud,
        Self::PostWebhooks,
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::Forgejo,
        Self::Gogs,
        Self::Native,
    ];

    /// The stable name, as stored and as used in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostReceive => "post-receive",
            Self::CloudPost => "cloud-post",
            Self::BitbucketDc => "bitbucket-dc",
            Self::BitbucketCloud => "bitbucket-cloud",
            Self::PostWebhooks => "post-webhooks",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Gogs => "gogs",
            Self::Native => "native",
        }
    }

    /// The format of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl fmt::Display for SenderFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which repository a payload speaks of: for comparing with the one the delivery was sent for, never for
/// looking one up in its stead (hostile-inputs.md W21). A webhook that serves many repositories is the exception: its
/// secret stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryHint {
    /// Project key (`PROJ`, `~user`), owner or path of groups, in the case of the payload; empty if not told.
    pub owner: String,
    /// The name in addresses, in the case of the payload.
    pub slug: String,
    /// The name for people, inert; may be the slug.
    pub name: String,
    /// The version control system, where the payload tells it.
    pub scm: Option<Scm>,
    /// Where it is, as far as told, in a form that is good for comparing and that nothing can be fetched by (W22).
    pub addresses: Vec<CloneAddress>,
}

/// Version control systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scm {
    /// Git.
    Git,
    /// Mercurial.
    Mercurial,
}

/// One ref that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// The name as sent, bounded and without NUL, otherwise unchecked: a full ref name (`refs/heads/main`)
    /// for Git, the bare name for Mercurial. Use [`RefChange::checked_name`] for everything but display.
    pub name: String,
    /// What the name stands for.
    pub kind: RefKind,
    /// Where the ref was; `None` on [`Action::Add`], and where the sender does not tell.
    pub old: Option<ObjectIdText>,
    /// Where the ref is now; `None` on [`Action::Delete`] only.
    pub new: Option<ObjectIdText>,
    /// What happened to it.
    pub action: Action,
}

impl RefChange {
    /// The name, after the rules of its version control system.
    ///
    /// # Errors
    ///
    /// [`RefNameProblem`] when the name breaks one; such a ref is refused and the refusal recorded
    /// (hostile-inputs.md W10, W11).
    pub fn checked_name(&self) -> Result<RefName<'_>, RefNameProblem> {
        match self.kind {
            RefKind::Branch | RefKind::Tag | RefKind::Other => RefName::git(&self.name),
            RefKind::NamedBranch | RefKind::Bookmark | RefKind::MercurialTag => {
                RefName::mercurial(&self.name)
            }
        }
    }
}

/// What a ref name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// A Git branch, below `refs/heads/`.
    Branch,
    /// A Git tag, below `refs/tags/`. Its id may be that of the tag object or of the commit.
    Tag,
    /// Any other Git ref.
    Other,
    /// A Mercurial branch.
    NamedBranch,
    /// A Mercurial bookmark.
    Bookmark,
    /// A Mercurial tag.
    MercurialTag,
}

impl RefKind {
    /// The kind of a full Git ref name.
    pub fn of_git_ref(name: &str) -> Self {
        if name.starts_with("refs/heads/") {
            Self::Branch
        } else if name.starts_with("refs/tags/") {
            Self::Tag
        } else {
            Self::Other
        }
    }
}

/// What happened to a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is new.
    Add,
    /// It moved, forwards or not; or nobody tells whether it is new.
    Update,
    /// It is gone.
    Delete,
}

/// One commit that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitHint {
    /// Its full id.
    pub id: ObjectIdText,
    /// The author as the payload writes it, inert; empty if not told.
    pub author: String,
    /// The message, inert, line breaks kept.
    pub message: String,
    /// When it was written, milliseconds since 1970.
    pub authored_ms: Option<i64>,
    /// When it was committed, milliseconds since 1970, where that is told apart.
    pub committed_ms: Option<i64>,
    /// The changed files, as sent: fit for matching, not for display.
    pub paths: Vec<String>,
    /// Whether `paths` is known to have all of them.
    pub paths_complete: bool,
}

/// What a [`Push`] does not hold, and why nothing is lost by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// The payload names more refs than the limit (hostile-inputs.md W17).
    #[error(
        "payload names {named} refs, the first {taken} were taken; reconciliation reads the other {} from the repository",
        named - taken
    )]
    RefsLeftOut {
        /// How many the payload names.
        named: usize,
        /// How many were taken.
        taken: usize,
    },
    /// The payload lists more commits than the limit.
    #[error(
        "payload lists {listed} commits, the first {taken} were taken; the other {} are read from the repository",
        listed - taken
    )]
    CommitsLeftOut {
        /// How many the payload lists.
        listed: usize,
        /// How many were taken.
        taken: usize,
    },
    /// Paths over the limits on number or length.
    #[error("{0} paths of changed files were left out; path filters read the repository instead")]
    PathsLeftOut(usize),
    /// The sender itself says, or is known, to list only a part of the commits.
    #[error("sender may have left commits out of its list; path filters read the repository instead")]
    SenderListsPart,
    /// Updates whose old tip is no parent of a listed commit: forced, backwards, or an annotated tag (W14).
    #[error(
        "{0} refs may have lost commits, which the sender does not list; path filters read the repository instead"
    )]
    RemovedCommitsNotTold(usize),
    /// The format does not tell each ref that moved.
    #[error("sender does not name every ref that moved; reconciliation reads them from the repository")]
    RefsNotTold,
    /// Commits that the sender ascribes to no branch (POST service, Git).
    #[error("{0} commits are ascribed to no branch; reconciliation reads the refs from the repository")]
    CommitsWithoutBranch(usize),
}
