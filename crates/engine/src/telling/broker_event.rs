//! Pushes as brokers see them.

use madake_brokers::event::{
    BrokerEvent, Commit, EventKind, File, FileAction, Person, RefAction, RefKind, RefMove, Repository, Scm,
    VERSION,
};
use madake_domain::repository::RepositoryKind;
use madake_formats::outgoing::PushFacts;
use madake_formats::outgoing::facts::{self, CommitFacts, FileChangeKind, PersonFacts};
use madake_formats::outgoing::links::Links;
use madake_formats::push::{Action, RefKind as ToldKind, Scm as ToldScm};
use madake_store::repository;

/// Files of one commit that are told at most.
const FILES: usize = 300;

/// A push as brokers see it. `id` names it for ever.
pub(crate) fn of_push(told: &PushFacts, found: &repository::Repository, id: String) -> BrokerEvent {
    let links = Links::new(&told.server, &told.repository);
    let linked = found.kind == RepositoryKind::Linked;
    BrokerEvent {
        version: VERSION,
        id,
        kind: EventKind::Push,
        time_ms: told.pushed_at.ms,
        repository: Some(Repository {
            owner: told.repository.owner.clone(),
            slug: told.repository.slug.clone(),
            name: told.repository.name.clone(),
            scm: match told.repository.scm {
                ToldScm::Git => Scm::Git,
                ToldScm::Mercurial => Scm::Hg,
            },
            browse_url: if linked {
                found.url.clone()
            } else {
                links.absolute(&links.browse())
            },
            clone_url: if linked {
                found.url.clone()
            } else {
                links.clone_http()
            },
            default_branch: told.repository.default_branch.clone(),
        }),
        pusher: told.pusher.as_ref().map(|account| Person {
            name: account.name.clone(),
            display_name: Some(account.display_name.clone()).filter(|name| !name.is_empty()),
            email: Some(account.email.clone()).filter(|address| !address.is_empty()),
        }),
        refs: told
            .refs
            .iter()
            .filter_map(|moved| ref_move(told, moved, links, linked))
            .collect(),
        build: None,
    }
}

fn ref_move(told: &PushFacts, moved: &facts::RefMove, links: Links<'_>, linked: bool) -> Option<RefMove> {
    let commits = moved.commits.iter().filter_map(|at| told.commits.get(*at));
    Some(RefMove {
        kind: match moved.kind {
            ToldKind::Branch | ToldKind::Other => RefKind::Branch,
            ToldKind::Tag | ToldKind::MercurialTag => RefKind::Tag,
            ToldKind::NamedBranch => RefKind::NamedBranch,
            ToldKind::Bookmark => RefKind::Bookmark,
        },
        name: moved.name.clone(),
        full_name: moved.full_name.clone(),
        action: match moved.action()? {
            Action::Add => RefAction::Add,
            Action::Update => RefAction::Update,
            Action::Delete => RefAction::Delete,
        },
        old: moved.old.as_ref().map(ToString::to_string),
        new: moved.new.as_ref().map(ToString::to_string),
        forced: moved.forced,
        commits: commits.map(|one| commit(one, links, linked)).collect(),
        commits_truncated: moved.commits_truncated,
        link: None,
    })
}

fn commit(told: &CommitFacts, links: Links<'_>, linked: bool) -> Commit {
    Commit {
        id: told.id.to_string(),
        author: person(&told.author),
        message: told.message.clone(),
        time_ms: told.authored.ms,
        files: told
            .files
            .iter()
            .take(FILES)
            .map(|file| File {
                path: file.path.clone(),
                action: match file.kind {
                    FileChangeKind::Add | FileChangeKind::Copy => FileAction::Added,
                    FileChangeKind::Delete => FileAction::Removed,
                    FileChangeKind::Modify | FileChangeKind::Move => FileAction::Modified,
                },
            })
            .collect(),
        files_truncated: told.files_truncated || told.files.len() > FILES,
        link: (!linked).then(|| links.absolute(&links.commit(&told.id))),
    }
}

fn person(told: &PersonFacts) -> Person {
    Person {
        name: told
            .account
            .as_ref()
            .map_or_else(|| told.name.clone(), |account| account.name.clone()),
        display_name: Some(told.name.clone()).filter(|name| !name.is_empty()),
        email: Some(told.email.clone()).filter(|address| !address.is_empty()),
    }
}
