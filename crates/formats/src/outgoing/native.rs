//! Our own body: everything that is known of a push, in one shape for Git and Mercurial, signed as Standard
//! Webhooks ask (push-payloads.md F.1).
//!
//! ```text
//! {"type": "push",            what happened; receivers pass over types that they do not know
//!  "version": 1,              grows when a member changes its meaning; new members come without
//!  "timestamp": "…Z",         when the push was accepted
//!  "data": {
//!    "server":     {"url"},
//!    "repository": {"id", "owner", "slug", "name", "scm": git|hg, "description", "website", "public",
//!                   "archived", "defaultBranch"|null, "createdAt",
//!                   "project": {"id", "key", "name", "description", "public", "owner": account|null},
//!                   "forkOf": {"id", "owner", "slug", "name"}|null,
//!                   "links": {"self", "cloneHttp", "cloneSsh"|null}},
//!    "pusher":     account|null,
//!    "refs":       [{"kind": branch|tag|namedBranch|bookmark|hgTag|other, "name", "fullName",
//!                    "action": ADD|UPDATE|DELETE, "old": id|null, "new": id|null, "forced", "closed",
//!                    "tip": id of a commit|null,
//!                    "tag": {"tagger": person, "taggedAt", "message"}|null,
//!                    "commits": [id, …] new with this ref, newest first, "commitsTruncated"}],
//!    "commits":    [{"id", "shortId", "tree"|null, "parents": [id], "author": person, "authoredAt",
//!                    "committer": person, "committedAt", "message", "revision"|null, "branch"|null,
//!                    "files": [{"change": ADD|MODIFY|DELETE|MOVE|COPY, "path", "srcPath"|null,
//!                               "contentId"|null, "fromContentId"|null, "executable", "srcExecutable",
//!                               "node": FILE|DIRECTORY|SUBMODULE, "percentUnchanged"|null}],
//!                    "filesTruncated", "link"}]}}
//! ```
//!
//! An account is `{"id", "name", "displayName", "email"}`; a person is `{"name", "email", "account": login
//! or null}`. Times are RFC 3339; those of commits keep their offset. `commits` holds each commit that a
//! ref names in `commits` or `tip`, newest first.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::{AccountFacts, CommitFacts, FileChange, PersonFacts, PushFacts, RefMove};
use super::links::Links;
use super::selection::{FileBudget, Told, commit_at, deliveries};
use super::server_shape::{action_name, change_name, node_name, scm_id};
use super::settings::Settings;
use super::{JSON, Rendered, clock, writer};
use crate::object_id::ObjectIdText;
use crate::push::RefKind;

const VERSION: u32 = 1;
/// Most commits told as new in a body.
const COMMITS: usize = 500;
const SHORT_ID_DIGITS: usize = 12;

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    deliveries(facts, settings.delivery_per_ref, |_| true)
        .iter()
        .map(|told| Rendered {
            content_type: JSON,
            headers: vec![("X-Madake-Event", "push".to_owned())],
            body: writer::compact(&Body {
                r#type: "push",
                version: VERSION,
                timestamp: clock::utc_with_milliseconds(facts.pushed_at.ms),
                data: data(facts, told, settings),
            }),
        })
        .collect()
}

fn data<'f>(facts: &'f PushFacts, told: &Told<'f>, settings: &Settings) -> Data<'f> {
    let links = Links::new(&facts.server, &facts.repository);
    let new: BTreeSet<&ObjectIdText> = told
        .commits
        .iter()
        .take(settings.commits.unwrap_or(COMMITS))
        .map(|commit| &commit.id)
        .collect();
    let refs: Vec<Ref<'f>> = told
        .refs
        .iter()
        .filter_map(|moved| Ref::new(facts, moved, &new))
        .collect();
    let tips: Vec<&str> = refs.iter().filter_map(|moved| moved.tip).collect();
    let mut budget = FileBudget::new(settings.files);
    let commits = facts
        .commits
        .iter()
        .filter(|commit| new.contains(&commit.id) || tips.contains(&commit.id.as_str()))
        .map(|commit| Commit::new(commit, links, budget.take(commit, usize::MAX)))
        .collect();
    Data {
        server: Server { url: links.base() },
        repository: Repository::new(facts, links),
        pusher: facts.pusher.as_ref().map(Account::new),
        refs,
        commits,
    }
}

#[derive(Serialize)]
struct Body<'f> {
    r#type: &'static str,
    version: u32,
    timestamp: String,
    data: Data<'f>,
}

#[derive(Serialize)]
struct Data<'f> {
    server: Server<'f>,
    repository: Repository<'f>,
    pusher: Option<Account<'f>>,
    refs: Vec<Ref<'f>>,
    commits: Vec<Commit<'f>>,
}

#[derive(Serialize)]
struct Server<'f> {
    url: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository<'f> {
    id: i64,
    owner: &'f str,
    slug: &'f str,
    name: &'f str,
    scm: &'static str,
    description: &'f str,
    website: &'f str,
    public: bool,
    archived: bool,
    default_branch: Option<&'f str>,
    created_at: String,
    project: Project<'f>,
    fork_of: Option<Fork<'f>>,
    links: RepositoryLinks,
}

impl<'f> Repository<'f> {
    fn new(facts: &'f PushFacts, links: Links<'_>) -> Self {
        let repository = &facts.repository;
        let project = &repository.project;
        Self {
            id: repository.id,
            owner: &repository.owner,
            slug: &repository.slug,
            name: &repository.name,
            scm: scm_id(repository.scm),
            description: &repository.description,
            website: &repository.website,
            public: repository.public,
            archived: repository.archived,
            default_branch: repository.default_branch.as_deref(),
            created_at: clock::utc_with_milliseconds(repository.created_ms),
            project: Project {
                id: project.id,
                key: &project.key,
                name: &project.name,
                description: &project.description,
                public: project.public,
                owner: project.owner.as_ref().map(Account::new),
            },
            fork_of: repository.parent.as_deref().map(|parent| Fork {
                id: parent.id,
                owner: &parent.owner,
                slug: &parent.slug,
                name: &parent.name,
            }),
            links: RepositoryLinks {
                this: links.absolute(&links.browse()),
                clone_http: links.clone_http(),
                clone_ssh: links.clone_ssh(),
            },
        }
    }
}

#[derive(Serialize)]
struct Project<'f> {
    id: i64,
    key: &'f str,
    name: &'f str,
    description: &'f str,
    public: bool,
    owner: Option<Account<'f>>,
}

#[derive(Serialize)]
struct Fork<'f> {
    id: i64,
    owner: &'f str,
    slug: &'f str,
    name: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryLinks {
    #[serde(rename = "self")]
    this: String,
    clone_http: String,
    clone_ssh: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account<'f> {
    id: i64,
    name: &'f str,
    display_name: &'f str,
    email: &'f str,
}

impl<'f> Account<'f> {
    fn new(account: &'f AccountFacts) -> Self {
        Self {
            id: account.id,
            name: &account.name,
            display_name: &account.display_name,
            email: &account.email,
        }
    }
}

#[derive(Serialize)]
struct Person<'f> {
    name: &'f str,
    email: &'f str,
    account: Option<&'f str>,
}

impl<'f> Person<'f> {
    fn new(person: &'f PersonFacts) -> Self {
        Self {
            name: &person.name,
            email: &person.email,
            account: person.account.as_ref().map(|account| account.name.as_str()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ref<'f> {
    kind: &'static str,
    name: &'f str,
    full_name: &'f str,
    action: &'static str,
    old: Option<&'f str>,
    new: Option<&'f str>,
    forced: bool,
    closed: bool,
    tip: Option<&'f str>,
    tag: Option<Tag<'f>>,
    commits: Vec<&'f str>,
    commits_truncated: bool,
}

impl<'f> Ref<'f> {
    fn new(facts: &'f PushFacts, moved: &'f RefMove, told: &BTreeSet<&ObjectIdText>) -> Option<Self> {
        let known = || moved.commits.iter().filter_map(|index| facts.commits.get(*index));
        let commits: Vec<&str> = known()
            .filter(|commit| told.contains(&commit.id))
            .map(|commit| commit.id.as_str())
            .collect();
        let id = |id: &'f Option<ObjectIdText>| id.as_ref().map(ObjectIdText::as_str);
        Some(Self {
            kind: match moved.kind {
                RefKind::Branch => "branch",
                RefKind::Tag => "tag",
                RefKind::Other => "other",
                RefKind::NamedBranch => "namedBranch",
                RefKind::Bookmark => "bookmark",
                RefKind::MercurialTag => "hgTag",
            },
            name: &moved.name,
            full_name: &moved.full_name,
            action: action_name(moved.action()?),
            old: id(&moved.old),
            new: id(&moved.new),
            forced: moved.forced,
            closed: moved.closed,
            tip: commit_at(facts, moved.tip).map(|commit| commit.id.as_str()),
            tag: moved.annotated.as_ref().map(|tag| Tag {
                tagger: Person::new(&tag.tagger),
                tagged_at: clock::offset_with_colon(tag.tagged),
                message: &tag.message,
            }),
            commits_truncated: moved.commits_truncated || commits.len() < known().count(),
            commits,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tag<'f> {
    tagger: Person<'f>,
    tagged_at: String,
    message: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Commit<'f> {
    id: &'f str,
    short_id: &'f str,
    tree: Option<&'f str>,
    parents: Vec<&'f str>,
    author: Person<'f>,
    authored_at: String,
    committer: Person<'f>,
    committed_at: String,
    message: &'f str,
    revision: Option<i64>,
    branch: Option<&'f str>,
    files: Vec<File<'f>>,
    files_truncated: bool,
    link: String,
}

impl<'f> Commit<'f> {
    fn new(commit: &'f CommitFacts, links: Links<'_>, (files, cut): (&'f [FileChange], bool)) -> Self {
        Self {
            id: commit.id.as_str(),
            short_id: &commit.id.as_str()[..SHORT_ID_DIGITS],
            tree: commit.tree.as_ref().map(ObjectIdText::as_str),
            parents: commit.parents.iter().map(ObjectIdText::as_str).collect(),
            author: Person::new(&commit.author),
            authored_at: clock::offset_with_colon(commit.authored),
            committer: Person::new(&commit.committer),
            committed_at: clock::offset_with_colon(commit.committed),
            message: &commit.message,
            revision: commit.revision,
            branch: commit.named_branch.as_deref(),
            files: files.iter().map(File::new).collect(),
            files_truncated: cut,
            link: links.absolute(&links.commit(&commit.id)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'f> {
    change: &'static str,
    path: &'f str,
    src_path: Option<&'f str>,
    content_id: Option<&'f str>,
    from_content_id: Option<&'f str>,
    executable: bool,
    src_executable: bool,
    node: &'static str,
    percent_unchanged: Option<u8>,
}

impl<'f> File<'f> {
    fn new(file: &'f FileChange) -> Self {
        Self {
            change: change_name(file.kind),
            path: &file.path,
            src_path: file.src_path.as_deref(),
            content_id: file.content_id.as_ref().map(ObjectIdText::as_str),
            from_content_id: file.from_content_id.as_ref().map(ObjectIdText::as_str),
            executable: file.executable,
            src_executable: file.src_executable,
            node: node_name(file.node_type),
            percent_unchanged: file.percent_unchanged,
        }
    }
}
