//! Bodies of the POST service of Bitbucket Cloud, Git and Mercurial (push-payloads.md C.1, C.2): a form
//! with one field, `payload`, whose JSON is spelled as Python spells it, keys in the order of the vendor's
//! page.
//!
//! The format tells commits and the branches they are on, nothing else. A push that only deletes, tags or
//! moves back is told with an empty list, as a force push was.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::{CommitFacts, FileChange, FileChangeKind, PushFacts};
use super::links::Links;
use super::selection::{FileBudget, Told, deliveries, first};
use super::server_shape::scm_id;
use super::settings::Settings;
use super::{Rendered, clock, writer};
use crate::push::{RefKind, Scm};

/// Most commits in a body; the original's limit is not known.
const COMMITS: usize = 500;
/// Digits of `node` and of `parents`.
const SHORT_ID_DIGITS: usize = 12;

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    deliveries(facts, settings.delivery_per_ref, |_| true)
        .iter()
        .map(|told| {
            let json = writer::ascii(&body(facts, told, settings));
            let encoded: String = form_urlencoded::byte_serialize(&json).collect();
            Rendered {
                content_type: "application/x-www-form-urlencoded",
                // A plug-in of Jenkins takes bodies of another user agent for a newer format (C.1, 0.9).
                headers: vec![("User-Agent", "Bitbucket.org".to_owned())],
                body: format!("payload={encoded}").into_bytes(),
            }
        })
        .collect()
}

fn body<'f>(facts: &'f PushFacts, told: &Told<'f>, settings: &Settings) -> Body<'f> {
    let repository = &facts.repository;
    let links = Links::new(&facts.server, repository);
    let branches = branches(facts, told);
    let mut budget = FileBudget::new(settings.files);
    let (listed, cut) = first(&told.commits, settings.commits.unwrap_or(COMMITS));
    let mut truncated = cut || told.commits_truncated;
    let mut commits: Vec<Commit<'f>> = listed
        .iter()
        .map(|commit| {
            let (files, cut) = budget.take(commit, usize::MAX);
            truncated |= cut;
            let branch = match repository.scm {
                Scm::Mercurial => commit.named_branch.as_deref(),
                Scm::Git => branches.get(commit.id.as_str()).copied(),
            };
            Commit::new(commit, repository.scm, branch, files, settings)
        })
        .collect();
    commits.reverse();
    Body {
        canon_url: links.base(),
        commits,
        repository: Repository {
            absolute_url: format!("{}/", links.cloud_repository()),
            fork: repository.parent.is_some(),
            is_private: !repository.public,
            name: &repository.name,
            owner: &repository.owner,
            scm: scm_id(repository.scm),
            slug: &repository.slug,
            website: &repository.website,
        },
        truncated: settings.cloud_post_truncated.then_some(truncated),
        user: facts.pusher.as_ref().map_or("", |pusher| &pusher.name),
    }
}

/// The branch that each commit came in on. Commits that came with a tag alone have none.
fn branches<'f>(facts: &'f PushFacts, told: &Told<'f>) -> BTreeMap<&'f str, &'f str> {
    let mut branches = BTreeMap::new();
    for moved in told.refs.iter().filter(|moved| moved.kind == RefKind::Branch) {
        for commit in moved.commits.iter().filter_map(|index| facts.commits.get(*index)) {
            branches.entry(commit.id.as_str()).or_insert(moved.name.as_str());
        }
    }
    branches
}

#[derive(Serialize)]
struct Body<'f> {
    canon_url: &'f str,
    commits: Vec<Commit<'f>>,
    repository: Repository<'f>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    user: &'f str,
}

#[derive(Serialize)]
struct Commit<'f> {
    author: &'f str,
    branch: Option<&'f str>,
    files: Vec<File<'f>>,
    message: String,
    node: &'f str,
    parents: Vec<&'f str>,
    raw_author: String,
    raw_node: &'f str,
    revision: Option<i64>,
    size: i64,
    timestamp: String,
    utctimestamp: String,
}

impl<'f> Commit<'f> {
    fn new(
        commit: &'f CommitFacts,
        scm: Scm,
        branch: Option<&'f str>,
        files: &'f [FileChange],
        settings: &Settings,
    ) -> Self {
        let short = |id: &'f str| &id[..SHORT_ID_DIGITS];
        let utc = clock::in_zone(commit.committed.ms, &jiff::tz::TimeZone::UTC);
        Self {
            author: commit.author.login_or_name(),
            branch,
            files: files.iter().flat_map(File::of).collect(),
            message: message(&commit.message, scm),
            node: short(commit.id.as_str()),
            parents: commit.parents.iter().map(|id| short(id.as_str())).collect(),
            raw_author: commit.author.raw(),
            raw_node: commit.id.as_str(),
            revision: commit.revision.filter(|_| scm == Scm::Mercurial),
            // "Not computed": all bodies but the very first have it.
            size: -1,
            timestamp: clock::in_zone(commit.committed.ms, &settings.cloud_post_zone),
            utctimestamp: format!("{utc}+00:00"),
        }
    }
}

/// Git messages end in one line break, those of Mercurial in none.
fn message(stored: &str, scm: Scm) -> String {
    let text = stored.trim_end_matches('\n');
    match scm {
        Scm::Git if !text.is_empty() => format!("{text}\n"),
        Scm::Git | Scm::Mercurial => text.to_owned(),
    }
}

#[derive(Serialize)]
struct File<'f> {
    file: &'f str,
    r#type: &'static str,
}

impl<'f> File<'f> {
    /// A file that moved is one that is new and one that is gone.
    fn of(change: &'f FileChange) -> impl Iterator<Item = Self> {
        let r#type = match change.kind {
            FileChangeKind::Add | FileChangeKind::Copy | FileChangeKind::Move => "added",
            FileChangeKind::Modify => "modified",
            FileChangeKind::Delete => "removed",
        };
        let gone = change
            .src_path
            .as_deref()
            .filter(|_| change.kind == FileChangeKind::Move);
        let gone = gone.map(|file| File {
            file,
            r#type: "removed",
        });
        let there = File {
            file: &change.path,
            r#type,
        };
        std::iter::once(there).chain(gone)
    }
}

#[derive(Serialize)]
struct Repository<'f> {
    absolute_url: String,
    fork: bool,
    is_private: bool,
    name: &'f str,
    owner: &'f str,
    scm: &'static str,
    slug: &'f str,
    website: &'f str,
}
