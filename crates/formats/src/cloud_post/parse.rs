//! Reads a payload of the POST service.
//!
//! The format names no refs: each commit has a branch, which may be null, and deletions, tags and forced
//! pushes leave no trace but a request (push-payloads.md C.2). So a branch named here is one that moved,
//! to the commit given, from a place not told; the rest is for the reconciliation of refs.

use std::collections::{BTreeMap, BTreeSet};

use crate::Limits;
use crate::error::{Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::object_id::ObjectIdText;
use crate::push::{Action, Note, Push, RefChange, RefKind, RepositoryHint, Scm, SenderFormat};
use crate::text;
use crate::timestamp::epoch_ms;

/// Short ids in `node` and `parents` have this many digits.
const SHORT_ID_DIGITS: usize = 12;

/// Turns a payload into a push.
///
/// # Errors
///
/// [`PushError`] when repository or commits are absent, of the wrong type, or break a rule.
pub fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = vec![Note::RefsNotTold];
    let repository = repository(payload, limits)?;
    let listed = field::required_list(payload.field("commits"), Place::field("commits"))?;
    let mut commits = Commits::new(limits);
    let mut branches = Branches::default();
    for (index, told) in listed.iter().enumerate() {
        let place = Place::entry("commits", index, "raw_node");
        let id = field::object_id(told.field("raw_node"), place)?;
        branches.add(told, &id);
        let author = told
            .field("raw_author")
            .or_else(|| told.field("author"))
            .and_then(Value::as_text);
        let mut commit = field::commit(id, author, told.field("message"), limits);
        commit.committed_ms = epoch_ms(told.field("utctimestamp"));
        let files = told.field("files").and_then(Value::as_list);
        let readable = files.is_some_and(|files| files.iter().all(|file| path_of(file).is_some()));
        commits.add(
            commit,
            files.map(|files| files.iter().filter_map(path_of)),
            readable,
        );
    }
    let changes = branches.changes(repository.scm, limits, &mut notes)?;
    // Bodies of 2012 have no `truncated`; without it nothing says that the list is whole.
    let told_complete =
        !listed.is_empty() && payload.field("truncated").and_then(Value::as_bool) == Some(false);
    let (commits, commits_complete) = commits.finish(told_complete, &mut notes);
    let user = payload.field("user").and_then(Value::as_text);
    Ok(Push {
        sender: SenderFormat::CloudPost,
        repository,
        changes,
        changes_complete: false,
        commits,
        commits_complete,
        pusher: user.map(|user| text::line(user, limits.person_bytes)),
        notes,
    })
}

fn repository(payload: &Value<'_>, limits: &Limits) -> Result<RepositoryHint, PushError> {
    let repository = payload
        .field("repository")
        .ok_or(PushError::Missing(Place::field("repository")))?;
    let (owner, slug) = match (repository.field("owner"), repository.field("slug")) {
        (owner @ Some(_), slug @ Some(_)) => (
            field::identifier(owner, Place::field("repository.owner"), limits)?,
            field::identifier(slug, Place::field("repository.slug"), limits)?,
        ),
        _ => {
            let place = Place::field("repository.absolute_url");
            let path = field::required_text(repository.field("absolute_url"), place)?;
            field::owner_and_slug(path, place, limits)?
        }
    };
    let name = field::display_name(repository, &slug, limits);
    let told = |value: Option<&Value<'_>>| value.and_then(Value::as_text).map(str::to_owned);
    let address = told(payload.field("canon_url"))
        .zip(told(repository.field("absolute_url")))
        .map(|(host, path)| format!("{host}{path}"));
    Ok(RepositoryHint {
        owner,
        slug,
        name,
        scm: field::scm(repository.field("scm")),
        addresses: field::addresses_of(address.as_deref()),
    })
}

fn path_of<'v>(file: &'v Value<'_>) -> Option<&'v str> {
    file.field("file").and_then(Value::as_text)
}

/// The branches of the listed commits, in the order of their first commit.
#[derive(Default)]
struct Branches<'v> {
    order: Vec<(&'v str, Vec<ObjectIdText>)>,
    places: BTreeMap<&'v str, usize>,
    // Short ids that a later or earlier commit of the same branch has as a parent.
    parents: BTreeSet<(&'v str, &'v str)>,
    without_branch: usize,
}

impl<'v> Branches<'v> {
    fn add(&mut self, commit: &'v Value<'_>, id: &ObjectIdText) {
        let Some(branch) = commit.field("branch").and_then(Value::as_text) else {
            self.without_branch += 1;
            return;
        };
        let place = *self.places.entry(branch).or_insert(self.order.len());
        if place == self.order.len() {
            self.order.push((branch, Vec::new()));
        }
        self.order[place].1.push(id.clone());
        for parent in commit
            .field("parents")
            .and_then(Value::as_list)
            .unwrap_or_default()
        {
            let short = parent.as_text().and_then(|parent| parent.get(..SHORT_ID_DIGITS));
            self.parents.extend(short.map(|short| (branch, short)));
        }
    }

    fn changes(
        self,
        scm: Option<Scm>,
        limits: &Limits,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<RefChange>, PushError> {
        if self.without_branch > 0 {
            notes.push(Note::CommitsWithoutBranch(self.without_branch));
        }
        let taken = self.order.len().min(limits.refs_per_push);
        if taken < self.order.len() {
            notes.push(Note::RefsLeftOut {
                named: self.order.len(),
                taken,
            });
        }
        let place = Place::field("commits[].branch");
        let change = |(branch, ids): &(&str, Vec<ObjectIdText>)| {
            let (kind, name) = match scm {
                Some(Scm::Mercurial) => (RefKind::NamedBranch, (*branch).to_owned()),
                Some(Scm::Git) | None => (RefKind::Branch, field::full_name("refs/heads/", branch)),
            };
            let name = field::ref_text(&name, place, limits)?;
            Ok(RefChange {
                name,
                kind,
                old: None,
                new: self.tip(branch, ids),
                action: Action::Update,
            })
        };
        self.order[..taken].iter().map(change).collect()
    }

    /// The commit that is nobody's parent; of several, or in a ring, the last one listed. The order of Git
    /// commits is not documented, so the order alone does not decide.
    fn tip(&self, branch: &str, ids: &[ObjectIdText]) -> Option<ObjectIdText> {
        let is_head = |id: &&ObjectIdText| !self.parents.contains(&(branch, &id.as_str()[..SHORT_ID_DIGITS]));
        ids.iter().rfind(is_head).or(ids.last()).cloned()
    }
}
