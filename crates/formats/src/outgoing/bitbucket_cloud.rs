//! Bodies of the webhooks of Bitbucket Cloud: `repo:push` (push-payloads.md C.4).
//!
//! The five newest commits of each branch are told, none for deletions and tags, as in captured bodies.
//! The ids in braces that the original draws at random are derived here from the address of the server and
//! the number of the thing, so that they never change.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::facts::{AccountFacts, CommitFacts, PersonFacts, PushFacts, RefMove, TagFacts};
use super::links::Links;
use super::selection::{commit_at, deliveries, first};
use super::server_shape::scm_id;
use super::settings::Settings;
use super::{JSON, Rendered, clock, writer};
use crate::object_id::ObjectIdText;
use crate::push::{Action, RefKind};

/// Most commits told for one ref.
const COMMITS: usize = 5;

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    let anonymous = AccountFacts::anonymous();
    let actor = facts.pusher.as_ref().unwrap_or(&anonymous);
    let shape = Shape::new(facts, settings.commits.unwrap_or(COMMITS));
    let mut headers = vec![
        ("X-Event-Key", "repo:push".to_owned()),
        ("User-Agent", "Bitbucket-Webhooks/2.0".to_owned()),
    ];
    headers.extend(
        settings
            .hook_uuid
            .as_deref()
            .map(|id| ("X-Hook-UUID", header_id(id))),
    );
    // `type` knows nothing but branches, tags and bookmarks.
    deliveries(facts, settings.delivery_per_ref, |moved| {
        moved.kind != RefKind::Other
    })
    .iter()
    .map(|told| {
        let body = Body {
            push: Push {
                changes: told.refs.iter().map(|moved| shape.change(moved)).collect(),
            },
            repository: shape.repository(),
            actor: shape.user(actor),
        };
        Rendered {
            content_type: JSON,
            headers: headers.clone(),
            body: writer::compact(&body),
        }
    })
    .collect()
}

/// One commit, as the REST interface shows it too.
pub(super) fn commit<'f>(facts: &'f PushFacts, commit: &'f CommitFacts) -> impl Serialize + use<'f> {
    Shape::new(facts, 0).commit(commit, true)
}

/// The repository, likewise.
pub(super) fn repository(facts: &PushFacts) -> impl Serialize + use<'_> {
    Shape::new(facts, 0).repository()
}

/// Where a ref points, likewise.
pub(super) fn current_state<'f>(
    facts: &'f PushFacts,
    moved: &'f RefMove,
) -> Option<impl Serialize + use<'f>> {
    Shape::new(facts, 0).state(moved, moved.new.as_ref(), moved.tip, moved.annotated.as_ref())
}

fn header_id(id: &str) -> String {
    id.chars()
        .filter(|character| character.is_ascii_alphanumeric() || *character == '-')
        .collect()
}

/// What a ref is called.
fn type_name(moved: &RefMove) -> &'static str {
    match moved.kind {
        RefKind::NamedBranch => "named_branch",
        RefKind::Bookmark => "bookmark",
        RefKind::Tag | RefKind::MercurialTag => "tag",
        RefKind::Branch | RefKind::Other => "branch",
    }
}

/// An id in the form of a UUID of version 8 (RFC 9562), in braces.
fn braced_id(base: &str, kind: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{kind} {key} of {base}"));
    let hex = hex::encode(&digest[..16]);
    format!(
        "{{{}-{}-8{}-a{}-{}}}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

struct Shape<'f> {
    facts: &'f PushFacts,
    links: Links<'f>,
    commits_limit: usize,
}

impl<'f> Shape<'f> {
    fn new(facts: &'f PushFacts, commits_limit: usize) -> Self {
        Self {
            facts,
            links: Links::new(&facts.server, &facts.repository),
            commits_limit,
        }
    }

    fn change(&self, moved: &'f RefMove) -> Change<'f> {
        let is_deletion = moved.action() == Some(Action::Delete);
        let (listed, cut) = first(&moved.commits, self.commits_limit);
        let commits = listed
            .iter()
            .filter_map(|index| commit_at(self.facts, Some(*index)));
        Change {
            forced: moved.forced,
            old: self.state(moved, moved.old.as_ref(), moved.old_tip, None),
            links: (!is_deletion).then(|| self.change_links(moved)),
            truncated: cut || moved.commits_truncated,
            commits: (!is_deletion && !moved.is_tag())
                .then(|| commits.map(|commit| self.commit(commit, true)).collect()),
            created: moved.action() == Some(Action::Add),
            closed: is_deletion || moved.closed,
            new: self.state(moved, moved.new.as_ref(), moved.tip, moved.annotated.as_ref()),
        }
    }

    fn change_links(&self, moved: &RefMove) -> ChangeLinks {
        let id = |id: &Option<ObjectIdText>| id.as_ref().map(ToString::to_string).unwrap_or_default();
        let include = format!("/commits?include={}", id(&moved.new));
        match (&moved.old, &moved.new) {
            (Some(old), Some(new)) => ChangeLinks {
                commits: self.api(&format!("{include}&exclude={old}")),
                html: Some(self.page(&self.links.cloud_compare(old, new))),
                diff: Some(self.api(&format!("/diff/{new}..{old}"))),
            },
            _ => ChangeLinks {
                commits: self.api(&include),
                html: (!moved.is_tag()).then(|| self.page(&self.links.cloud_ref(moved))),
                diff: None,
            },
        }
    }

    fn state(
        &self,
        moved: &'f RefMove,
        id: Option<&'f ObjectIdText>,
        tip: Option<usize>,
        tag: Option<&'f TagFacts>,
    ) -> Option<RefState<'f>> {
        let id = id?;
        let target = match commit_at(self.facts, tip) {
            Some(commit) => self.commit(commit, false),
            None => self.unknown_commit(id),
        };
        let is_tag = moved.is_tag();
        Some(RefState {
            r#type: type_name(moved),
            name: &moved.name,
            links: RefLinks {
                commits: self.page(&self.links.cloud_api_log(moved)),
                this: self.page(&self.links.cloud_api_ref(moved)),
                html: self.page(&self.links.cloud_ref(moved)),
            },
            tagger: is_tag.then(|| tag.map(|tag| self.author(&tag.tagger))),
            date: is_tag.then(|| tag.map(|tag| clock::utc_with_offset(tag.tagged.ms))),
            message: is_tag.then(|| tag.map(|tag| tag.message.as_str())),
            target,
        })
    }

    fn commit(&self, commit: &'f CommitFacts, with_api_links: bool) -> Commit<'f> {
        Commit {
            hash: commit.id.as_str(),
            links: self.commit_links(&commit.id, with_api_links),
            author: Some(self.author(&commit.author)),
            summary: Some(Summary {
                raw: &commit.message,
                markup: "markdown",
                r#type: "rendered",
            }),
            parents: Some(commit.parents.iter().map(|id| self.unknown_commit(id)).collect()),
            date: Some(clock::utc_with_offset(commit.committed.ms)),
            message: Some(&commit.message),
            r#type: "commit",
        }
    }

    fn unknown_commit(&self, id: &'f ObjectIdText) -> Commit<'f> {
        Commit {
            hash: id.as_str(),
            links: self.commit_links(id, false),
            author: None,
            summary: None,
            parents: None,
            date: None,
            message: None,
            r#type: "commit",
        }
    }

    fn commit_links(&self, id: &ObjectIdText, all: bool) -> CommitLinks {
        let more = |below: String| all.then(|| self.api(&below));
        CommitLinks {
            this: self.api(&format!("/commit/{id}")),
            comments: more(format!("/commit/{id}/comments")),
            patch: more(format!("/patch/{id}")),
            html: self.page(&self.links.cloud_commit(id)),
            diff: more(format!("/diff/{id}")),
            statuses: more(format!("/commit/{id}/statuses")),
        }
    }

    fn author(&self, person: &'f PersonFacts) -> Author<'f> {
        Author {
            raw: person.raw(),
            r#type: "author",
            user: person.account.as_ref().map(|account| self.user(account)),
        }
    }

    fn user(&self, account: &'f AccountFacts) -> User<'f> {
        User {
            username: &account.name,
            nickname: &account.name,
            display_name: &account.display_name,
            r#type: "user",
            uuid: braced_id(self.links.base(), "user", &account.id.to_string()),
            links: UserLinks {
                html: self.page(&self.links.user(account)),
            },
        }
    }

    fn repository(&self) -> Repository<'f> {
        let repository = &self.facts.repository;
        let project = &repository.project;
        let id = |kind, key: i64| braced_id(self.links.base(), kind, &key.to_string());
        Repository {
            scm: scm_id(repository.scm),
            website: &repository.website,
            name: &repository.name,
            links: RepositoryLinks {
                this: self.api(""),
                html: self.page(&self.links.cloud_repository()),
            },
            full_name: format!("{}/{}", repository.owner, repository.slug),
            owner: match &project.owner {
                Some(owner) => Owner::Person(self.user(owner)),
                None => Owner::Team {
                    username: &repository.owner,
                    display_name: &project.name,
                    r#type: "team",
                    uuid: id("project owner", project.id),
                },
            },
            workspace: Workspace {
                r#type: "workspace",
                slug: &repository.owner,
                name: &project.name,
                uuid: id("workspace", project.id),
            },
            project: Project {
                r#type: "project",
                key: &project.key,
                name: &project.name,
                uuid: id("project", project.id),
            },
            parent: repository.parent.as_deref().map(|parent| Parent {
                r#type: "repository",
                full_name: format!("{}/{}", parent.owner, parent.slug),
                name: &parent.name,
                uuid: id("repository", parent.id),
            }),
            r#type: "repository",
            is_private: !repository.public,
            uuid: id("repository", repository.id),
        }
    }

    fn api(&self, below: &str) -> Href {
        self.page(&self.links.cloud_api(below))
    }

    fn page(&self, relative: &str) -> Href {
        Href {
            href: self.links.absolute(relative),
        }
    }
}

#[derive(Serialize)]
struct Body<'f> {
    push: Push<'f>,
    repository: Repository<'f>,
    actor: User<'f>,
}

#[derive(Serialize)]
struct Push<'f> {
    changes: Vec<Change<'f>>,
}

#[derive(Serialize)]
struct Change<'f> {
    forced: bool,
    old: Option<RefState<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<ChangeLinks>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<Vec<Commit<'f>>>,
    created: bool,
    closed: bool,
    new: Option<RefState<'f>>,
}

#[derive(Serialize)]
struct ChangeLinks {
    commits: Href,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<Href>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Href>,
}

#[derive(Serialize)]
struct RefState<'f> {
    r#type: &'static str,
    name: &'f str,
    links: RefLinks,
    // Tags have the next three, null for those that are not annotated; branches have none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    tagger: Option<Option<Author<'f>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Option<&'f str>>,
    target: Commit<'f>,
}

#[derive(Serialize)]
struct RefLinks {
    commits: Href,
    #[serde(rename = "self")]
    this: Href,
    html: Href,
}

#[derive(Serialize)]
struct Commit<'f> {
    hash: &'f str,
    links: CommitLinks,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<Author<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parents: Option<Vec<Commit<'f>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'f str>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct CommitLinks {
    #[serde(rename = "self")]
    this: Href,
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<Href>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Href>,
    html: Href,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Href>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<Href>,
}

#[derive(Serialize)]
struct Author<'f> {
    raw: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'f>>,
}

#[derive(Serialize)]
struct User<'f> {
    username: &'f str,
    nickname: &'f str,
    display_name: &'f str,
    r#type: &'static str,
    uuid: String,
    links: UserLinks,
}

#[derive(Serialize)]
struct UserLinks {
    html: Href,
}

#[derive(Serialize)]
struct Summary<'f> {
    raw: &'f str,
    markup: &'static str,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Repository<'f> {
    scm: &'static str,
    website: &'f str,
    name: &'f str,
    links: RepositoryLinks,
    full_name: String,
    owner: Owner<'f>,
    workspace: Workspace<'f>,
    project: Project<'f>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Parent<'f>>,
    r#type: &'static str,
    is_private: bool,
    uuid: String,
}

#[derive(Serialize)]
struct RepositoryLinks {
    #[serde(rename = "self")]
    this: Href,
    html: Href,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Owner<'f> {
    Person(User<'f>),
    Team {
        username: &'f str,
        display_name: &'f str,
        r#type: &'static str,
        uuid: String,
    },
}

#[derive(Serialize)]
struct Workspace<'f> {
    r#type: &'static str,
    slug: &'f str,
    name: &'f str,
    uuid: String,
}

#[derive(Serialize)]
struct Project<'f> {
    r#type: &'static str,
    key: &'f str,
    name: &'f str,
    uuid: String,
}

#[derive(Serialize)]
struct Parent<'f> {
    r#type: &'static str,
    full_name: String,
    name: &'f str,
    uuid: String,
}

#[derive(Serialize)]
struct Href {
    href: String,
}
