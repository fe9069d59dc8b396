//! What happened in a push: everything that any outgoing body tells, for Git and Mercurial alike.
//!
//! An engine fills these structs from `git cat-file`, `git diff-tree --raw -z` and `hg log -T json`; the
//! renderers beside this module only choose, cut and word. Text is decoded with replacement characters
//! where it is not UTF-8, and is otherwise as stored: control characters are data here and are escaped when
//! written. Nothing in here is bounded; an engine bounds what it reads (messages, paths, numbers).

use crate::object_id::ObjectIdText;
use crate::push::{Action, RefKind, Scm};

/// One push into one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushFacts {
    /// The server that tells of the push.
    pub server: ServerFacts,
    /// The repository that was pushed to.
    pub repository: RepositoryFacts,
    /// Who pushed; `None` when nobody can tell (a push without a login, a ref found moved).
    pub pusher: Option<AccountFacts>,
    /// When the push was accepted. The offset is that of the server.
    pub pushed_at: Moment,
    /// The refs that moved, in the order of the push. A ref without an old and a new id is passed over.
    pub refs: Vec<RefMove>,
    /// The commits that refs speak of, each once, newest first: every commit before its parents, as
    /// `git rev-list` lists them; Mercurial by falling revision number. Commits that no
    /// [`RefMove::commits`] names (tips that were there before, parents of a tip) may stand in the list:
    /// they are looked up where a body wants their details and are never told as new.
    pub commits: Vec<CommitFacts>,
}

/// Addresses of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// What people type to reach the server, such as `https://forge.example/madake`, with or without a
    /// slash at the end.
    pub base_url: String,
    /// The same for SSH, such as `ssh://git@forge.example:7999`; `None` when it is switched off.
    pub ssh_url: Option<String>,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// The number of the repository, the same for ever.
    pub id: i64,
    /// The name for people; may have spaces and capitals.
    pub name: String,
    /// The name in addresses.
    pub slug: String,
    /// The owner in addresses, as it was written when the repository was made (`PROJ`, `marcus`). The Cloud
    /// formats know the repository as `owner/slug`.
    pub owner: String,
    /// The project that the formats of Bitbucket Server put it into.
    pub project: ProjectFacts,
    /// The version control system.
    pub scm: Scm,
    /// What it is for; empty if nobody said.
    pub description: String,
    /// Whether everybody may read it.
    pub public: bool,
    /// Whether it takes no more pushes.
    pub archived: bool,
    /// Whether it may be forked.
    pub forkable: bool,
    /// The repository that it is a fork of.
    pub parent: Option<Box<RepositoryFacts>>,
    /// Its home page; empty if it has none.
    pub website: String,
    /// The branch that a clone checks out, without prefix; `None` in an empty repository.
    pub default_branch: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
}

/// The project of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFacts {
    /// The number of the project.
    pub id: i64,
    /// The key: `IR`; that of a person's project begins with `~`.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// What it is for; empty if nobody said.
    pub description: String,
    /// Whether everybody may read it.
    pub public: bool,
    /// The person whose project it is; `None` for an ordinary project.
    pub owner: Option<AccountFacts>,
}

/// Somebody with a login on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// The number of the account.
    pub id: i64,
    /// The login.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// The e-mail address; empty if there is none or receivers are not to learn it.
    pub email: String,
}

impl AccountFacts {
    /// The login in addresses: lower case.
    pub fn slug(&self) -> String {
        self.name.to_lowercase()
    }

    /// The stand-in where a format demands a person and nobody is known.
    pub fn anonymous() -> Self {
        Self {
            id: 0,
            name: "anonymous".to_owned(),
            display_name: "Anonymous".to_owned(),
            email: String::new(),
        }
    }
}

/// A moment, and the clock that somebody read it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub ms: i64,
    /// How far that clock is ahead of UTC, in minutes: 120 for `+0200`. Mercurial writes seconds *behind*
    /// UTC: turn the sign round and divide by sixty.
    pub offset_minutes: i32,
}

/// One ref that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMove {
    /// What the name stands for.
    pub kind: RefKind,
    /// The short name: `main`, `feature/x`, `v1.0`; for [`RefKind::Other`] the full name again.
    pub name: String,
    /// The name in the repository: `refs/heads/main` in Git, the short name again in Mercurial.
    pub full_name: String,
    /// What the ref pointed to before; `None` if it is new. For an annotated tag, the tag object. For a
    /// Mercurial branch, its newest head.
    pub old: Option<ObjectIdText>,
    /// What the ref points to now, likewise; `None` if it is gone.
    pub new: Option<ObjectIdText>,
    /// Whether commits were taken away: the old tip is no ancestor of the new one. Always false for new and
    /// deleted refs.
    pub forced: bool,
    /// Whether a Mercurial branch has no open head any more. Always false in Git.
    pub closed: bool,
    /// The commits to be told for this ref, as indexes into [`PushFacts::commits`]: those that this ref is
    /// the first of the push to reach. Newest first; a commit belongs to one ref only. For a new ref an
    /// engine chooses between "only commits that no other ref had" and "the newest ancestors of the tip", as
    /// Stash did (push-payloads.md 0.4). Empty for a deletion.
    pub commits: Vec<usize>,
    /// Whether `commits` was cut short.
    pub commits_truncated: bool,
    /// The commit that `new` leads to (tags peeled), as an index; `None` for a deletion and for a tag of
    /// something else than a commit.
    pub tip: Option<usize>,
    /// The commit that `old` led to, if its details are at hand; bodies that show it show its id alone
    /// otherwise.
    pub old_tip: Option<usize>,
    /// The tag object that `new` names; `None` for everything but annotated tags.
    pub annotated: Option<TagFacts>,
}

impl RefMove {
    /// What happened to the ref, or `None` when it was nowhere before and is nowhere after.
    pub fn action(&self) -> Option<Action> {
        match (&self.old, &self.new) {
            (None, Some(_)) => Some(Action::Add),
            (Some(_), Some(_)) => Some(Action::Update),
            (Some(_), None) => Some(Action::Delete),
            (None, None) => None,
        }
    }

    /// Whether this is a tag of either system.
    pub fn is_tag(&self) -> bool {
        matches!(self.kind, RefKind::Tag | RefKind::MercurialTag)
    }

    /// The name as formats write it that know Git alone: branches and bookmarks of Mercurial look like
    /// `refs/heads/default`, its tags like `refs/tags/1.0`.
    pub fn git_name(&self) -> String {
        match self.kind {
            RefKind::Branch | RefKind::Tag | RefKind::Other => self.full_name.clone(),
            RefKind::NamedBranch | RefKind::Bookmark => format!("refs/heads/{}", self.name),
            RefKind::MercurialTag => format!("refs/tags/{}", self.name),
        }
    }

    /// The old and new id as formats write them that have no null: zeros, as many as the other id has
    /// digits.
    pub fn hashes(&self) -> (String, String) {
        let digits = |id: &Option<ObjectIdText>| id.as_ref().map(|id| id.as_str().len());
        let zeros = || "0".repeat(digits(&self.old).or(digits(&self.new)).unwrap_or(40));
        let text = |id: &Option<ObjectIdText>| id.as_ref().map_or_else(zeros, ToString::to_string);
        (text(&self.old), text(&self.new))
    }
}

/// An annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFacts {
    /// Who made it.
    pub tagger: PersonFacts,
    /// When.
    pub tagged: Moment,
    /// The message, as stored.
    pub message: String,
}

/// Somebody as a commit names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonFacts {
    /// The name, as stored.
    pub name: String,
    /// The e-mail address, without angle brackets; empty if the commit has none.
    pub email: String,
    /// The account of this server that the address belongs to.
    pub account: Option<AccountFacts>,
}

impl PersonFacts {
    /// Reads what Mercurial stores: `Name <mail>`, or any text at all, which then is the name.
    pub fn from_raw(raw: &str) -> Self {
        let split = raw
            .trim()
            .strip_suffix('>')
            .and_then(|rest| rest.rsplit_once('<'));
        let (name, email) = split.unwrap_or((raw, ""));
        Self {
            name: name.trim().to_owned(),
            email: email.trim().to_owned(),
            account: None,
        }
    }

    /// `Name <mail>`; one of them alone where the other is empty.
    pub fn raw(&self) -> String {
        match (self.name.as_str(), self.email.as_str()) {
            (name, "") => name.to_owned(),
            ("", email) => format!("<{email}>"),
            (name, email) => format!("{name} <{email}>"),
        }
    }

    /// The login if there is one, or the name, or the address.
    pub fn login_or_name(&self) -> &str {
        match &self.account {
            Some(account) => &account.name,
            None if self.name.is_empty() => &self.email,
            None => &self.name,
        }
    }
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// Its full id.
    pub id: ObjectIdText,
    /// The id of its tree; `None` in Mercurial.
    pub tree: Option<ObjectIdText>,
    /// Its parents, first parent first. Empty for a root.
    pub parents: Vec<ObjectIdText>,
    /// Who wrote it.
    pub author: PersonFacts,
    /// When it was written.
    pub authored: Moment,
    /// Who committed it; in Mercurial the author again.
    pub committer: PersonFacts,
    /// When it was committed; in Mercurial the time of writing again.
    pub committed: Moment,
    /// The message as stored: in Git with its last line break, in Mercurial without.
    pub message: String,
    /// The revision number in Mercurial; `None` in Git.
    pub revision: Option<i64>,
    /// The branch that the commit itself names, in Mercurial; `None` in Git.
    pub named_branch: Option<String>,
    /// What changed against the first parent (against nothing, for a root), in the order of the paths.
    pub files: Vec<FileChange>,
    /// Whether `files` was cut short.
    pub files_truncated: bool,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// What happened to it.
    pub kind: FileChangeKind,
    /// The path: the new one, or the one that is gone.
    pub path: String,
    /// Where it came from, for [`FileChangeKind::Move`] and [`FileChangeKind::Copy`] only.
    pub src_path: Option<String>,
    /// The blob that is there now (the fourth column of `git diff-tree --raw`); `None` for a deletion, and
    /// where the system has no such id.
    pub content_id: Option<ObjectIdText>,
    /// The blob that was there before (the third column); `None` for an addition, likewise.
    pub from_content_id: Option<ObjectIdText>,
    /// Whether the new file is executable (mode 100755).
    pub executable: bool,
    /// Whether the old file was.
    pub src_executable: bool,
    /// What the path is: of the new mode, or of the old one for a deletion.
    pub node_type: NodeType,
    /// How much of the old file is left, in percent, for moves and copies (the score of `R090`, `C075`).
    pub percent_unchanged: Option<u8>,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChangeKind {
    /// It is new (`A`).
    Add,
    /// Its content, mode or type changed (`M`, `T`).
    Modify,
    /// It is gone (`D`).
    Delete,
    /// It was called otherwise before (`R`).
    Move,
    /// It was copied from another path (`C`).
    Copy,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeType {
    /// A file or a symbolic link.
    File,
    /// A folder. Neither system tells of folders; it exists because formats name it.
    Directory,
    /// A submodule (mode 160000) or subrepository.
    Submodule,
}
