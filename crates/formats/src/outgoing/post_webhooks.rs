//! Bodies of the "Post Webhooks" add-on of Bitbucket Server, which Buildbot and older plug-ins of Jenkins
//! read (push-payloads.md B.5).

use serde::Serialize;

use super::facts::{AccountFacts, PushFacts, RefMove};
use super::links::Links;
use super::selection::{commit_at, deliveries};
use super::server_shape::{SelfLink, message, scm_id};
use super::settings::Settings;
use super::{JSON, Rendered, writer};
use crate::push::{Action, RefKind};

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    let anonymous = AccountFacts::anonymous();
    let actor = facts.pusher.as_ref().unwrap_or(&anonymous);
    // `type` knows nothing but branches and tags.
    deliveries(facts, settings.delivery_per_ref, |moved| {
        moved.kind != RefKind::Other
    })
    .iter()
    .map(|told| {
        let body = Body {
            actor: Actor {
                username: &actor.name,
                display_name: &actor.display_name,
                email_address: &actor.email,
            },
            repository: repository(facts),
            push: Push {
                changes: told.refs.iter().map(|moved| change(facts, moved)).collect(),
            },
        };
        Rendered {
            content_type: JSON,
            headers: vec![
                ("X-Event-Key", "repo:push".to_owned()),
                ("X-Bitbucket-Type", "server".to_owned()),
            ],
            body: writer::compact(&body),
        }
    })
    .collect()
}

fn repository(facts: &PushFacts) -> Repository<'_> {
    let repository = &facts.repository;
    let links = Links::new(&facts.server, repository);
    let project = &repository.project;
    let (login, name) = match &project.owner {
        Some(owner) => (&owner.name, &owner.display_name),
        None => (&project.key, &project.name),
    };
    Repository {
        scm_id: scm_id(repository.scm),
        project: Project {
            key: &project.key,
            name: &project.name,
        },
        slug: &repository.slug,
        links: SelfLink::to(links.absolute(&links.browse())),
        public: repository.public,
        owner_name: &project.key,
        full_name: format!("{}/{}", project.key, repository.slug),
        owner: Owner {
            username: login,
            display_name: name,
            email_address: (),
        },
    }
}

fn change<'f>(facts: &'f PushFacts, moved: &'f RefMove) -> Change<'f> {
    let state = |id: &'f Option<_>, tip| {
        let id = id.as_ref()?;
        let commit = commit_at(facts, tip);
        Some(RefState {
            r#type: type_name(moved),
            name: &moved.name,
            target: Target {
                r#type: "commit",
                hash: commit.map_or(id, |commit| &commit.id).as_str(),
                commit_message: commit.map(|commit| message(&commit.message)),
            },
        })
    };
    Change {
        created: moved.action() == Some(Action::Add),
        closed: moved.action() == Some(Action::Delete),
        old: state(&moved.old, moved.old_tip),
        new: state(&moved.new, moved.tip),
    }
}

/// What a ref is called. The add-on never knew Mercurial; receivers find its branches under Git's word.
fn type_name(moved: &RefMove) -> &'static str {
    match moved.kind {
        RefKind::Bookmark => "bookmark",
        RefKind::Tag | RefKind::MercurialTag => "tag",
        RefKind::Branch | RefKind::NamedBranch | RefKind::Other => "branch",
    }
}

#[derive(Serialize)]
struct Body<'f> {
    actor: Actor<'f>,
    repository: Repository<'f>,
    push: Push<'f>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Actor<'f> {
    username: &'f str,
    display_name: &'f str,
    email_address: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository<'f> {
    scm_id: &'static str,
    project: Project<'f>,
    slug: &'f str,
    links: SelfLink,
    public: bool,
    owner_name: &'f str,
    full_name: String,
    owner: Owner<'f>,
}

#[derive(Serialize)]
struct Project<'f> {
    key: &'f str,
    name: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Owner<'f> {
    username: &'f str,
    display_name: &'f str,
    // Always null (push-payloads.md B.5).
    email_address: (),
}

#[derive(Serialize)]
struct Push<'f> {
    changes: Vec<Change<'f>>,
}

#[derive(Serialize)]
struct Change<'f> {
    created: bool,
    closed: bool,
    old: Option<RefState<'f>>,
    new: Option<RefState<'f>>,
}

#[derive(Serialize)]
struct RefState<'f> {
    r#type: &'static str,
    name: &'f str,
    target: Target<'f>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'f> {
    r#type: &'static str,
    hash: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_message: Option<&'f str>,
}
