//! Objects that the formats of Bitbucket Server share: repositories, projects, people, short commits.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::facts::{AccountFacts, FileChangeKind, NodeType, RepositoryFacts, ServerFacts};
use super::links::Links;
use crate::object_id::ObjectIdText;
use crate::push::{Action, Scm};

/// Which of the optional members an object has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members {
    /// `project.isPersonal`: Post-Receive bodies of the first two generations.
    pub(super) is_personal: bool,
    /// `links`: webhooks since 5.16.
    pub(super) links: bool,
    /// `description`, `hierarchyId`, `archived`: webhooks of recent versions.
    pub(super) recent: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository<'f> {
    slug: &'f str,
    id: i64,
    name: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hierarchy_id: Option<String>,
    scm_id: &'static str,
    state: &'static str,
    status_message: &'static str,
    forkable: bool,
    // Only forks have it (push-payloads.md A.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<Repository<'f>>>,
    project: Project<'f>,
    public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<RepositoryLinks>,
}

impl<'f> Repository<'f> {
    pub(super) fn new(server: &'f ServerFacts, repository: &'f RepositoryFacts, members: Members) -> Self {
        let links = Links::new(server, repository);
        let parent = repository.parent.as_deref();
        Self {
            slug: &repository.slug,
            id: repository.id,
            name: &repository.name,
            description: Some(repository.description.as_str())
                .filter(|text| members.recent && !text.is_empty()),
            hierarchy_id: members.recent.then(|| hierarchy_id(links.base(), repository)),
            scm_id: scm_id(repository.scm),
            state: "AVAILABLE",
            status_message: "Available",
            forkable: repository.forkable,
            origin: parent.map(|parent| Box::new(Self::new(server, parent, members))),
            project: Project::new(repository, links, members),
            public: repository.public,
            archived: members.recent.then_some(repository.archived),
            links: members.links.then(|| RepositoryLinks::new(links)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Project<'f> {
    key: &'f str,
    id: i64,
    name: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'f str>,
    // No captured body has it on a person's project.
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_personal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<User<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

impl<'f> Project<'f> {
    fn new(repository: &'f RepositoryFacts, links: Links<'_>, members: Members) -> Self {
        let project = &repository.project;
        let owner = project.owner.as_ref();
        Self {
            key: &project.key,
            id: project.id,
            name: &project.name,
            description: Some(project.description.as_str()).filter(|text| !text.is_empty()),
            public: owner.is_none().then_some(project.public),
            r#type: if owner.is_some() { "PERSONAL" } else { "NORMAL" },
            is_personal: members.is_personal.then_some(owner.is_some()),
            owner: owner.map(|owner| User::new(owner, links, members)),
            links: members
                .links
                .then(|| SelfLink::to(links.absolute(&links.project()))),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User<'f> {
    name: &'f str,
    email_address: &'f str,
    id: i64,
    display_name: &'f str,
    active: bool,
    slug: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

impl<'f> User<'f> {
    pub(super) fn new(account: &'f AccountFacts, links: Links<'_>, members: Members) -> Self {
        Self {
            name: &account.name,
            email_address: &account.email,
            id: account.id,
            display_name: &account.display_name,
            active: true,
            slug: account.slug(),
            r#type: "NORMAL",
            links: members
                .links
                .then(|| SelfLink::to(links.absolute(&links.user(account)))),
        }
    }
}

/// `{self: [{href}]}`.
#[derive(Serialize)]
pub(super) struct SelfLink {
    #[serde(rename = "self")]
    this: [Href; 1],
}

impl SelfLink {
    pub(super) fn to(href: String) -> Self {
        Self {
            this: [Href { href }],
        }
    }
}

#[derive(Serialize)]
struct Href {
    href: String,
}

#[derive(Serialize)]
struct RepositoryLinks {
    clone: Vec<CloneLink>,
    #[serde(rename = "self")]
    this: [Href; 1],
}

impl RepositoryLinks {
    fn new(links: Links<'_>) -> Self {
        let link = |name| move |href| CloneLink { href, name };
        let ssh = links.clone_ssh().map(link("ssh"));
        let http = Some(links.clone_http()).map(link("http"));
        let browse = links.absolute(&links.browse());
        Self {
            clone: ssh.into_iter().chain(http).collect(),
            this: [Href { href: browse }],
        }
    }
}

#[derive(Serialize)]
struct CloneLink {
    href: String,
    name: &'static str,
}

/// A commit by its two ids.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShortCommit<'f> {
    pub(super) id: &'f str,
    pub(super) display_id: &'f str,
}

impl<'f> ShortCommit<'f> {
    pub(super) fn new(id: &'f ObjectIdText, digits: usize) -> Self {
        let id = id.as_str();
        Self {
            id,
            display_id: id.get(..digits).unwrap_or(id),
        }
    }
}

/// The name of a version control system in all formats.
pub(super) fn scm_id(scm: Scm) -> &'static str {
    match scm {
        Scm::Git => "git",
        Scm::Mercurial => "hg",
    }
}

/// The words that all formats of Bitbucket Server have for what happened to a ref.
pub(super) fn action_name(action: Action) -> &'static str {
    match action {
        Action::Add => "ADD",
        Action::Update => "UPDATE",
        Action::Delete => "DELETE",
    }
}

/// What Bitbucket Server calls a change of a path.
pub(super) fn change_name(kind: FileChangeKind) -> &'static str {
    match kind {
        FileChangeKind::Add => "ADD",
        FileChangeKind::Modify => "MODIFY",
        FileChangeKind::Delete => "DELETE",
        FileChangeKind::Move => "MOVE",
        FileChangeKind::Copy => "COPY",
    }
}

/// What Bitbucket Server calls the kinds of paths.
pub(super) fn node_name(node: NodeType) -> &'static str {
    match node {
        NodeType::File => "FILE",
        NodeType::Directory => "DIRECTORY",
        NodeType::Submodule => "SUBMODULE",
    }
}

/// A message as Bitbucket Server shows it: without its last line breaks.
pub(super) fn message(stored: &str) -> &str {
    stored.trim_end_matches('\n')
}

/// Twenty hexadecimal digits that a repository shares with all its forks.
fn hierarchy_id(base: &str, repository: &RepositoryFacts) -> String {
    let mut root = repository;
    while let Some(parent) = &root.parent {
        root = parent;
    }
    let digest = Sha256::digest(format!("hierarchy {} of {base}", root.id));
    hex::encode(&digest[..10])
}
