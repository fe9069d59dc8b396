//! Reads the payload of the "Post Webhooks" add-on: changes as Bitbucket Cloud tells them, in a repository
//! as Bitbucket Server tells it, and of the commits only the tips (push-payloads.md B.5).

use crate::Limits;
use crate::error::{Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::post_receive::server_repository;
use crate::push::{Action, Note, Push, SenderFormat};

/// Turns a payload into a push.
///
/// # Errors
///
/// [`PushError`] when repository or refs are absent, of the wrong type, or break a rule.
pub fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = Vec::new();
    let repository = server_repository(payload, limits)?;
    let told = field::at(payload, &["push", "changes"]);
    let refs = field::required_list(told, Place::field("push.changes"))?;
    let mut commits = Commits::new(limits);
    let mut changes = Vec::new();
    for (index, told) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
        let change = field::old_new_change(told, repository.scm, "push.changes", index, limits)?;
        if let Some(id) = &change.new {
            let message = field::at(told, &["new", "target", "commitMessage"]);
            let commit = field::commit(id.clone(), None, message, limits);
            commits.add(commit, None::<std::iter::Empty<&str>>, false);
        }
        changes.push(change);
    }
    if changes.is_empty() {
        notes.push(Note::RefsNotTold);
    }
    let changes_complete = !changes.is_empty() && changes.len() == refs.len();
    let nothing_came_in = changes_complete && changes.iter().all(|change| change.action == Action::Delete);
    let (commits, commits_complete) = commits.finish(nothing_came_in, &mut notes);
    Ok(Push {
        sender: SenderFormat::PostWebhooks,
        repository,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(payload.field("actor"), &["username", "displayName"], limits),
        notes,
    })
}
