//! Bodies of the `push` event of GitHub: one delivery per ref, commits oldest first (push-payloads.md D).
//!
//! The repository has the members that receivers read; GitHub's forty addresses of its own API are left
//! out, since nothing would answer there.

use serde::Serialize;

use super::facts::{AccountFacts, CommitFacts, FileChange, FileChangeKind, PersonFacts, PushFacts, RefMove};
use super::links::Links;
use super::selection::{FileBudget, commit_at, deliveries, first};
use super::server_shape::message;
use super::settings::Settings;
use super::{JSON, Rendered, clock, writer};
use crate::push::{Action, RefKind};

/// Most commits in a body.
const COMMITS: usize = 2048;

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    // GitHub tells of branches and tags alone.
    deliveries(facts, true, |moved| moved.kind != RefKind::Other)
        .iter()
        .flat_map(|told| told.refs.iter().map(|moved| (*moved, &told.commits)))
        .map(|(moved, commits)| Rendered {
            content_type: JSON,
            headers: vec![("X-GitHub-Event", "push".to_owned())],
            body: writer::compact(&body(facts, moved, commits, settings)),
        })
        .collect()
}

fn body<'f>(
    facts: &'f PushFacts,
    moved: &'f RefMove,
    new: &[&'f CommitFacts],
    settings: &Settings,
) -> Body<'f> {
    let links = Links::new(&facts.server, &facts.repository);
    let mut budget = FileBudget::new(settings.files);
    let (listed, _) = first(new, settings.commits.unwrap_or(COMMITS));
    let mut commits: Vec<Commit<'f>> = listed
        .iter()
        .map(|commit| Commit::new(commit, links, budget.take(commit, usize::MAX).0))
        .collect();
    commits.reverse();
    let (before, after) = moved.hashes();
    let action = moved.action();
    let tip = commit_at(facts, moved.tip).filter(|_| action != Some(Action::Delete));
    Body {
        r#ref: moved.git_name(),
        before,
        after,
        created: action == Some(Action::Add),
        deleted: action == Some(Action::Delete),
        forced: moved.forced,
        base_ref: (),
        compare: links.absolute(&links.github_compare(moved)),
        head_commit: tip.map(|tip| Commit::new(tip, links, budget.take(tip, usize::MAX).0)),
        commits,
        repository: Repository::new(facts, links),
        pusher: facts.pusher.as_ref().map_or(
            Pusher {
                name: "anonymous",
                email: "",
            },
            |pusher| Pusher {
                name: &pusher.name,
                email: &pusher.email,
            },
        ),
        sender: User::of(facts.pusher.as_ref(), links),
    }
}

#[derive(Serialize)]
struct Body<'f> {
    r#ref: String,
    before: String,
    after: String,
    created: bool,
    deleted: bool,
    forced: bool,
    // Always null: which other ref a new one was made from is not known here.
    base_ref: (),
    compare: String,
    commits: Vec<Commit<'f>>,
    head_commit: Option<Commit<'f>>,
    repository: Repository<'f>,
    pusher: Pusher<'f>,
    sender: User<'f>,
}

#[derive(Serialize)]
struct Commit<'f> {
    id: &'f str,
    tree_id: Option<&'f str>,
    distinct: bool,
    message: &'f str,
    timestamp: String,
    url: String,
    author: Person<'f>,
    committer: Person<'f>,
    added: Vec<&'f str>,
    removed: Vec<&'f str>,
    modified: Vec<&'f str>,
}

impl<'f> Commit<'f> {
    fn new(commit: &'f CommitFacts, links: Links<'_>, files: &'f [FileChange]) -> Self {
        let paths = |kinds: &'static [FileChangeKind]| {
            files
                .iter()
                .filter(move |file| kinds.contains(&file.kind))
                .map(|file| file.path.as_str())
        };
        let left = files
            .iter()
            .filter(|file| file.kind == FileChangeKind::Move)
            .filter_map(|file| file.src_path.as_deref());
        Self {
            id: commit.id.as_str(),
            tree_id: commit.tree.as_ref().map(crate::object_id::ObjectIdText::as_str),
            distinct: true,
            message: message(&commit.message),
            timestamp: clock::offset_with_colon(commit.committed),
            url: links.absolute(&links.cloud_commit(&commit.id)),
            author: Person::new(&commit.author),
            committer: Person::new(&commit.committer),
            added: paths(&[FileChangeKind::Add, FileChangeKind::Copy, FileChangeKind::Move]).collect(),
            removed: paths(&[FileChangeKind::Delete]).chain(left).collect(),
            modified: paths(&[FileChangeKind::Modify]).collect(),
        }
    }
}

#[derive(Serialize)]
struct Person<'f> {
    name: &'f str,
    email: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'f str>,
}

impl<'f> Person<'f> {
    fn new(person: &'f PersonFacts) -> Self {
        Self {
            name: &person.name,
            email: &person.email,
            username: person.account.as_ref().map(|account| account.name.as_str()),
        }
    }
}

#[derive(Serialize)]
struct Repository<'f> {
    id: i64,
    name: &'f str,
    full_name: String,
    owner: Owner<'f>,
    private: bool,
    html_url: String,
    description: Option<&'f str>,
    fork: bool,
    url: String,
    created_at: i64,
    pushed_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_url: Option<String>,
    clone_url: String,
    homepage: Option<&'f str>,
    archived: bool,
    visibility: &'static str,
    default_branch: Option<&'f str>,
    master_branch: Option<&'f str>,
}

impl<'f> Repository<'f> {
    fn new(facts: &'f PushFacts, links: Links<'_>) -> Self {
        let repository = &facts.repository;
        let page = links.absolute(&links.cloud_repository());
        let told = |text: &'f str| Some(text).filter(|text| !text.is_empty());
        Self {
            id: repository.id,
            // The name in addresses, as GitHub has no other.
            name: &repository.slug,
            full_name: format!("{}/{}", repository.owner, repository.slug),
            owner: Owner::new(facts, links),
            private: !repository.public,
            html_url: page.clone(),
            description: told(&repository.description),
            fork: repository.parent.is_some(),
            url: page,
            created_at: clock::seconds(repository.created_ms),
            pushed_at: clock::seconds(facts.pushed_at.ms),
            ssh_url: links.clone_ssh(),
            clone_url: links.clone_http(),
            homepage: told(&repository.website),
            archived: repository.archived,
            visibility: if repository.public { "public" } else { "private" },
            default_branch: repository.default_branch.as_deref(),
            master_branch: repository.default_branch.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Owner<'f> {
    name: &'f str,
    email: Option<&'f str>,
    login: &'f str,
    id: i64,
    html_url: String,
    r#type: &'static str,
    site_admin: bool,
}

impl<'f> Owner<'f> {
    fn new(facts: &'f PushFacts, links: Links<'_>) -> Self {
        let repository = &facts.repository;
        let person = repository.project.owner.as_ref();
        Self {
            name: &repository.owner,
            email: person.map(|person| person.email.as_str()),
            login: &repository.owner,
            id: person.map_or(repository.project.id, |person| person.id),
            html_url: links.absolute(&links.project()),
            r#type: if person.is_some() { "User" } else { "Organization" },
            site_admin: false,
        }
    }
}

#[derive(Serialize)]
struct Pusher<'f> {
    name: &'f str,
    email: &'f str,
}

#[derive(Serialize)]
struct User<'f> {
    login: &'f str,
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_url: Option<String>,
    r#type: &'static str,
    site_admin: bool,
}

impl<'f> User<'f> {
    fn of(account: Option<&'f AccountFacts>, links: Links<'_>) -> Self {
        Self {
            login: account.map_or("anonymous", |account| &account.name),
            id: account.map_or(0, |account| account.id),
            html_url: account.map(|account| links.absolute(&links.user(account))),
            r#type: "User",
            site_admin: false,
        }
    }
}
