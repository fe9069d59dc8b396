//! Bodies of the "Post-Receive Webhooks" plug-in of Stash and Bitbucket Server (push-payloads.md A).
//!
//! Shape, key order and quirks are those of the vendor's page (first generation) and of captured bodies:
//! the link of a changeset is that of its last change, `isLastPage` is always true, `fromCommit` is the
//! first parent and not the old tip, and nobody is told who pushed. A page that leaves something out has a
//! `limit` equal to its `size`, so that a reader who knows that a full page may hide more is right.

use serde::Serialize;

use super::facts::{CommitFacts, FileChange, FileChangeKind, PushFacts, RepositoryFacts, ServerFacts};
use super::links::Links;
use super::selection::{FileBudget, Told, deliveries, first};
use super::server_shape::{self, Members, Repository, SelfLink, ShortCommit};
use super::settings::{PageLimits, Settings};
use super::{JSON, Rendered, writer};
use crate::object_id::ObjectIdText;

/// The three generations of the body (push-payloads.md A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Relative `link`, `filter`, short ids of seven digits: the documented one.
    Stash2,
    /// Relative `link` and absolute `links`.
    Stash3,
    /// Absolute `links` alone, `fromContentId`, short ids of eleven digits, no `filter`.
    Bbs5,
}

impl Generation {
    fn short_id_digits(self) -> usize {
        match self {
            Self::Stash2 | Self::Stash3 => 7,
            Self::Bbs5 => 11,
        }
    }
}

pub(super) fn render(generation: Generation, facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    deliveries(facts, settings.delivery_per_ref, |_| true)
        .iter()
        .map(|told| Rendered {
            content_type: JSON,
            headers: vec![("X-Atlassian-Token", "no-check".to_owned())],
            body: writer::compact(&body(generation, facts, told, settings)),
        })
        .collect()
}

fn body<'f>(generation: Generation, facts: &'f PushFacts, told: &Told<'f>, settings: &Settings) -> Body<'f> {
    let limits = settings.pages.unwrap_or(PageLimits::of(generation));
    let members = Members {
        is_personal: generation != Generation::Bbs5,
        links: false,
        recent: false,
    };
    let (commits, cut) = first(&told.commits, limits.changesets);
    let mut changesets = Changesets {
        generation,
        links: Links::new(&facts.server, &facts.repository),
        changes_limit: limits.changes,
        budget: FileBudget::new(settings.files),
        null_id: null_id(facts),
    };
    let values = commits.iter().map(|commit| changesets.of(commit)).collect();
    let limit = if told.only_deletes() {
        limits.changesets_of_deletion
    } else {
        limits.changesets
    };
    Body {
        repository: Repository::new(&facts.server, &facts.repository, members),
        ref_changes: told
            .refs
            .iter()
            .filter_map(|moved| {
                let (from_hash, to_hash) = moved.hashes();
                Some(RefChange {
                    ref_id: moved.git_name(),
                    from_hash,
                    to_hash,
                    r#type: server_shape::action_name(moved.action()?),
                })
            })
            .collect(),
        changesets: Page::new(generation, values, limit, cut || told.commits_truncated),
    }
}

/// One changed path in the latest of the generations, as the REST interface shows it too.
pub(super) fn change<'f>(
    server: &'f ServerFacts,
    repository: &'f RepositoryFacts,
    id: &ObjectIdText,
    file: &'f FileChange,
) -> impl Serialize + use<'f> {
    let changesets = Changesets {
        generation: Generation::Bbs5,
        links: Links::new(server, repository),
        changes_limit: 0,
        budget: FileBudget::new(0),
        null_id: "0".repeat(id.as_str().len()),
    };
    changesets.change(id, file)
}

/// Zeros, as many as the ids of this repository have digits.
fn null_id(facts: &PushFacts) -> String {
    let known = facts
        .commits
        .first()
        .map_or(40, |commit| commit.id.as_str().len());
    "0".repeat(known)
}

struct Changesets<'f> {
    generation: Generation,
    links: Links<'f>,
    changes_limit: usize,
    budget: FileBudget,
    null_id: String,
}

impl<'f> Changesets<'f> {
    fn of(&mut self, commit: &'f CommitFacts) -> Changeset<'f> {
        let digits = self.generation.short_id_digits();
        let short = |id| ShortCommit::new(id, digits);
        let (files, cut) = self.budget.take(commit, self.changes_limit);
        let last = files.last();
        let target = last.map_or_else(
            || self.links.commit(&commit.id),
            |last| self.links.change(&commit.id, &last.path),
        );
        let changes = files.iter().map(|file| self.change(&commit.id, file)).collect();
        let (link, links) = self.both_links(target);
        Changeset {
            from_commit: commit.parents.first().map(short),
            to_commit: ToCommit {
                ids: short(&commit.id),
                author: Author {
                    name: &commit.author.name,
                    email_address: &commit.author.email,
                },
                author_timestamp: commit.authored.ms,
                message: server_shape::message(&commit.message),
                parents: commit.parents.iter().map(short).collect(),
            },
            changes: Page::new(self.generation, changes, self.changes_limit, cut),
            link,
            links,
        }
    }

    fn change(&self, commit: &ObjectIdText, file: &'f FileChange) -> Change<'f> {
        let id = |id: &Option<_>| id.as_ref().map(ToString::to_string);
        let (new, old) = (id(&file.content_id), id(&file.from_content_id));
        let is_addition = file.kind == FileChangeKind::Add;
        let is_deletion = file.kind == FileChangeKind::Delete;
        let is_moved = matches!(file.kind, FileChangeKind::Move | FileChangeKind::Copy);
        let (link, links) = self.both_links(self.links.change(commit, &file.path));
        Change {
            // A deletion names the blob that went away, twice (push-payloads.md A.3).
            content_id: new
                .filter(|_| !is_deletion)
                .or_else(|| old.clone())
                .unwrap_or_else(|| self.null_id.clone()),
            from_content_id: (self.generation == Generation::Bbs5).then(|| {
                old.filter(|_| !is_addition)
                    .unwrap_or_else(|| self.null_id.clone())
            }),
            path: Path::new(&file.path),
            executable: (!is_deletion).then_some(file.executable),
            percent_unchanged: file.percent_unchanged.filter(|_| is_moved).map_or(-1, i32::from),
            r#type: server_shape::change_name(file.kind),
            node_type: server_shape::node_name(file.node_type),
            src_path: file.src_path.as_deref().filter(|_| is_moved).map(Path::new),
            src_executable: (!is_addition).then_some(file.src_executable),
            link,
            links,
        }
    }

    fn both_links(&self, relative: String) -> (Option<Link>, Option<SelfLink>) {
        let absolute =
            (self.generation != Generation::Stash2).then(|| SelfLink::to(self.links.absolute(&relative)));
        let relative = (self.generation != Generation::Bbs5).then_some(Link {
            url: relative,
            rel: "self",
        });
        (relative, absolute)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'f> {
    repository: Repository<'f>,
    ref_changes: Vec<RefChange>,
    changesets: Page<Changeset<'f>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefChange {
    ref_id: String,
    from_hash: String,
    to_hash: String,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    size: usize,
    limit: usize,
    is_last_page: bool,
    values: Vec<T>,
    start: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Null>,
}

impl<T> Page<T> {
    fn new(generation: Generation, values: Vec<T>, limit: usize, cut: bool) -> Self {
        Self {
            size: values.len(),
            limit: if cut { values.len() } else { limit },
            is_last_page: true,
            values,
            start: 0,
            filter: (generation != Generation::Bbs5).then_some(()),
        }
    }
}

/// Written as `null`.
type Null = ();

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changeset<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from_commit: Option<ShortCommit<'f>>,
    to_commit: ToCommit<'f>,
    changes: Page<Change<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToCommit<'f> {
    #[serde(flatten)]
    ids: ShortCommit<'f>,
    author: Author<'f>,
    author_timestamp: i64,
    message: &'f str,
    parents: Vec<ShortCommit<'f>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Author<'f> {
    name: &'f str,
    email_address: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'f> {
    content_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_content_id: Option<String>,
    path: Path<'f>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    percent_unchanged: i32,
    r#type: &'static str,
    node_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_path: Option<Path<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_executable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<SelfLink>,
}

#[derive(Serialize)]
struct Link {
    url: String,
    rel: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Path<'f> {
    components: Vec<&'f str>,
    parent: &'f str,
    name: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<&'f str>,
    to_string: &'f str,
}

impl<'f> Path<'f> {
    pub(super) fn new(path: &'f str) -> Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        Self {
            components: path.split('/').collect(),
            parent,
            name,
            extension: extension.filter(|extension| !extension.is_empty()),
            to_string: path,
        }
    }
}
