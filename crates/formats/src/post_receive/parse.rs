//! Reads a Post-Receive payload of any of its three generations.
//!
//! The generations differ in links, in the length of short ids and in `filter`, none of which is read, so
//! one reader serves all (push-payloads.md A.2).

use std::collections::BTreeSet;

use crate::Limits;
use crate::clone_address::CloneAddress;
use crate::error::{Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::push::{Action, Note, Push, RefChange, RepositoryHint, SenderFormat};
use crate::timestamp::epoch_ms;

/// Turns a payload into a push. It never has a pusher: the format has no place for one (A.3).
///
/// # Errors
///
/// [`PushError`] when repository or refs are absent, of the wrong type, or break a rule.
pub fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = Vec::new();
    let repository = server_repository(payload, limits)?;
    let refs = field::required_list(payload.field("refChanges"), Place::field("refChanges"))?;
    let mut changes = Vec::new();
    for (index, change) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
        let place = Place::entry("refChanges", index, "refId");
        let name = field::ref_text(field::required_text(change.field("refId"), place)?, place, limits)?;
        changes.push(field::server_change(change, name, "refChanges", index)?);
    }
    // An empty list is sent after a pull request was merged elsewhere (A.3).
    let changes_complete = !changes.is_empty() && changes.len() == refs.len();
    if changes.is_empty() {
        notes.push(Note::RefsNotTold);
    }

    let mut commits = Commits::new(limits);
    let mut parents = BTreeSet::new();
    let page = payload.field("changesets");
    let listed = page.and_then(|page| page.field("values"));
    for (index, changeset) in field::optional_list(listed, Place::field("changesets.values"))?
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        add_changeset(&mut commits, &mut parents, changeset, index, limits)?;
    }
    let nothing_came_in = changes_complete && changes.iter().all(|change| change.action == Action::Delete);
    let told_complete = nothing_came_in || page.is_some_and(is_whole_page);
    let (commits, mut commits_complete) = commits.finish(told_complete, &mut notes);
    let backwards = changes
        .iter()
        .filter(|change| !is_forward(change, &parents))
        .count();
    if backwards > 0 {
        notes.push(Note::RemovedCommitsNotTold(backwards));
        commits_complete = false;
    }
    Ok(Push {
        sender: SenderFormat::PostReceive,
        repository,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: None,
        notes,
    })
}

/// The repository of a payload of Bitbucket Server: `slug`, and `key` of its `project`.
pub(crate) fn server_repository(payload: &Value<'_>, limits: &Limits) -> Result<RepositoryHint, PushError> {
    let repository = payload
        .field("repository")
        .ok_or(PushError::Missing(Place::field("repository")))?;
    let slug = field::identifier(repository.field("slug"), Place::field("repository.slug"), limits)?;
    let key = field::at(repository, &["project", "key"]);
    let owner = field::identifier(key, Place::field("repository.project.key"), limits)?;
    let name = field::display_name(repository, &slug, limits);
    Ok(RepositoryHint {
        owner,
        slug,
        name,
        scm: field::scm(repository.field("scmId")),
        addresses: server_addresses(repository),
    })
}

/// The addresses that Bitbucket Server tells, in its old and its newer form; the POST service tells none.
fn server_addresses(repository: &Value<'_>) -> Vec<CloneAddress> {
    let links = |key| {
        field::at(repository, &["links", key])
            .and_then(Value::as_list)
            .unwrap_or_default()
    };
    let listed = links("clone")
        .iter()
        .chain(links("self"))
        .map(|link| link.field("href"));
    field::addresses(std::iter::once(repository.field("cloneUrl")).chain(listed))
}

/// A page that says that it is the last is still a part when it is full: captured payloads say `true` at
/// 100 of 100 entries, with more history behind (push-payloads.md A.3).
fn is_whole_page(page: &Value<'_>) -> bool {
    let number = |key| page.field(key).and_then(Value::as_integer);
    let listed = page.field("values").and_then(Value::as_list).map(<[_]>::len);
    let listed = listed.and_then(|listed| i64::try_from(listed).ok());
    let says_last = page.field("isLastPage").and_then(Value::as_bool) == Some(true);
    match (listed, number("limit")) {
        (Some(listed), Some(limit)) => {
            says_last && listed < limit && number("size").is_none_or(|size| size == listed)
        }
        _ => false,
    }
}

/// Whether an update only added commits. Then, and only then, the old tip is a parent of a commit in the
/// list; the format has no sign of a forced push (push-payloads.md A.5).
fn is_forward(change: &RefChange, parents: &BTreeSet<&str>) -> bool {
    match (&change.action, &change.old) {
        (Action::Update, Some(old)) => parents.contains(old.as_str()),
        _ => true,
    }
}

fn add_changeset<'v>(
    commits: &mut Commits<'_>,
    parents: &mut BTreeSet<&'v str>,
    changeset: &'v Value<'_>,
    index: usize,
    limits: &Limits,
) -> Result<(), PushError> {
    let place = Place::entry("changesets.values", index, "toCommit.id");
    let to_commit = changeset.field("toCommit").ok_or(PushError::Missing(place))?;
    let id = field::object_id(to_commit.field("id"), place)?;
    let author = field::server_author(to_commit.field("author"));
    let mut commit = field::commit(id, author.as_deref(), to_commit.field("message"), limits);
    commit.authored_ms = epoch_ms(to_commit.field("authorTimestamp"));
    commit.committed_ms = epoch_ms(to_commit.field("committerTimestamp"));
    let listed = to_commit
        .field("parents")
        .and_then(Value::as_list)
        .unwrap_or_default();
    parents.extend(
        listed
            .iter()
            .filter_map(|parent| parent.field("id").and_then(Value::as_text)),
    );
    let page = changeset.field("changes");
    let files = page
        .and_then(|page| page.field("values"))
        .and_then(Value::as_list);
    let readable = files.is_some_and(|files| files.iter().all(|file| path_of(file, "path").is_some()));
    let paths = files.map(|files| {
        // A moved file touches the place it came from, too.
        files
            .iter()
            .flat_map(|file| [path_of(file, "path"), path_of(file, "srcPath")])
            .flatten()
    });
    commits.add(commit, paths, readable && page.is_some_and(is_whole_page));
    Ok(())
}

fn path_of<'v>(file: &'v Value<'_>, key: &str) -> Option<&'v str> {
    field::at(file, &[key, "toString"]).and_then(Value::as_text)
}
