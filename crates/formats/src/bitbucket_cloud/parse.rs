//! Reads the payload of `repo:push`.
//!
//! Each change lists up to five commits, without paths, and says whether it left some out; deletions and
//! tags list none (push-payloads.md C.4).

use crate::Limits;
use crate::error::{Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::push::{Action, Note, Push, RepositoryHint, SenderFormat};
use crate::timestamp::epoch_ms;

/// Turns a payload into a push.
///
/// # Errors
///
/// [`PushError`] when repository or refs are absent, of the wrong type, or break a rule.
pub fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = Vec::new();
    let repository = repository(payload, limits)?;
    let told = field::at(payload, &["push", "changes"]);
    let refs = field::required_list(told, Place::field("push.changes"))?;
    let mut commits = Commits::new(limits);
    let mut changes = Vec::new();
    let mut told_complete = !refs.is_empty() && refs.len() <= limits.refs_per_push;
    for (index, told) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
        let change = field::old_new_change(told, repository.scm, "push.changes", index, limits)?;
        let listed = field::optional_list(
            told.field("commits"),
            Place::entry("push.changes", index, "commits"),
        )?;
        for commit in listed.unwrap_or_default() {
            add_commit(&mut commits, commit, index, limits)?;
        }
        let truncated = told.field("truncated").and_then(Value::as_bool) != Some(false);
        told_complete &= change.action == Action::Delete || (listed.is_some() && !truncated);
        changes.push(change);
    }
    if changes.is_empty() {
        notes.push(Note::RefsNotTold);
    }
    let changes_complete = !changes.is_empty() && changes.len() == refs.len();
    let (commits, commits_complete) = commits.finish(told_complete, &mut notes);
    Ok(Push {
        sender: SenderFormat::BitbucketCloud,
        repository,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(
            payload.field("actor"),
            &["username", "nickname", "display_name"],
            limits,
        ),
        notes,
    })
}

pub(crate) fn repository(payload: &Value<'_>, limits: &Limits) -> Result<RepositoryHint, PushError> {
    let repository = payload
        .field("repository")
        .ok_or(PushError::Missing(Place::field("repository")))?;
    // The owner's user name has been gone since 2019; the full name has always been there.
    let place = Place::field("repository.full_name");
    let full_name = field::required_text(repository.field("full_name"), place)?;
    let (owner, slug) = field::owner_and_slug(full_name, place, limits)?;
    let name = field::display_name(repository, &slug, limits);
    Ok(RepositoryHint {
        owner,
        slug,
        name,
        scm: field::scm(repository.field("scm")),
        addresses: field::addresses([field::at(repository, &["links", "html", "href"])]),
    })
}

fn add_commit(
    commits: &mut Commits<'_>,
    told: &Value<'_>,
    change: usize,
    limits: &Limits,
) -> Result<(), PushError> {
    let place = Place::entry("push.changes", change, "commits[].hash");
    let id = field::object_id(told.field("hash"), place)?;
    let author = field::at(told, &["author", "raw"]).and_then(Value::as_text);
    let mut commit = field::commit(id, author, told.field("message"), limits);
    commit.committed_ms = epoch_ms(told.field("date"));
    commits.add(commit, None::<std::iter::Empty<&str>>, false);
    Ok(())
}
