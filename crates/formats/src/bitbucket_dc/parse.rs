//! Reads the payload of `repo:refs_changed`.
//!
//! Old versions send no commits at all, new ones the five newest (by default) and no paths
//! (push-payloads.md B.3). The list therefore never counts as complete.

use crate::Limits;
use crate::error::{Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::post_receive::server_repository;
use crate::push::{Action, Note, Push, SenderFormat};
use crate::timestamp::epoch_ms;

/// Turns a payload into a push.
///
/// # Errors
///
/// [`PushError`] when repository or refs are absent, of the wrong type, or break a rule.
pub fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = Vec::new();
    let repository = server_repository(payload, limits)?;
    let refs = field::required_list(payload.field("changes"), Place::field("changes"))?;
    let mut changes = Vec::new();
    for (index, change) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
        let name = ref_name(change, index, limits)?;
        changes.push(field::server_change(change, name, "changes", index)?);
    }
    // An empty list is sent when the server could not tell what changed (B.3).
    let changes_complete = !changes.is_empty() && changes.len() == refs.len();
    if changes.is_empty() {
        notes.push(Note::RefsNotTold);
    }

    let mut commits = Commits::new(limits);
    let listed = field::optional_list(payload.field("commits"), Place::field("commits"))?.unwrap_or_default();
    for (index, told) in listed.iter().enumerate() {
        add_commit(&mut commits, told, Place::entry("commits", index, "id"), limits)?;
    }
    if let Some(head) = payload.field("toCommit") {
        add_commit(&mut commits, head, Place::field("toCommit.id"), limits)?;
    }
    let nothing_came_in = changes_complete && changes.iter().all(|change| change.action == Action::Delete);
    let (commits, commits_complete) = commits.finish(nothing_came_in, &mut notes);
    Ok(Push {
        sender: SenderFormat::BitbucketDc,
        repository,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(payload.field("actor"), &["name", "slug", "displayName"], limits),
        notes,
    })
}

fn ref_name(change: &Value<'_>, index: usize, limits: &Limits) -> Result<String, PushError> {
    let place = Place::entry("changes", index, "ref.id");
    let nested = field::at(change, &["ref", "id"]);
    let flat = change.field("refId");
    if let (Some(nested), Some(flat)) = (nested, flat)
        && nested != flat
    {
        return Err(PushError::Contradiction {
            place,
            detail: "it differs from refId",
        });
    }
    field::ref_text(field::required_text(nested.or(flat), place)?, place, limits)
}

fn add_commit(
    commits: &mut Commits<'_>,
    told: &Value<'_>,
    place: Place,
    limits: &Limits,
) -> Result<(), PushError> {
    let id = field::object_id(told.field("id"), place)?;
    let author = field::server_author(told.field("author"));
    let mut commit = field::commit(id, author.as_deref(), told.field("message"), limits);
    commit.authored_ms = epoch_ms(told.field("authorTimestamp"));
    commit.committed_ms = epoch_ms(told.field("committerTimestamp"));
    commits.add(commit, None::<std::iter::Empty<&str>>, false);
    Ok(())
}
