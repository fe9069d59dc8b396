//! Reads deliveries of GitLab: push and tag push events of projects and groups, and the push events of system hooks
//! (push-payloads.md D).
//!
//! What happened is told by `object_kind`, in system hooks by `event_name`, and before 2015 by neither. At most twenty
//! commits are listed. `repository_update` of system hooks names all refs of a push at once, without commits.

use crate::Limits;
use crate::error::{NotAPush, Place, PushError};
use crate::field::{self, Commits};
use crate::forge;
use crate::json::Value;
use crate::push::{Action, Note, Push, RefChange, RepositoryHint, Scm, SenderFormat};
use crate::text;

/// Turns a payload into a push.
pub(crate) fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let told = |key| payload.field(key).and_then(Value::as_text);
    let mut notes = Vec::new();
    let kind = told("object_kind").or_else(|| told("event_name"));
    let changes = match kind {
        None | Some("push" | "tag_push") => vec![change(payload, None, limits)?],
        Some("repository_update") => {
            let refs = field::required_list(payload.field("changes"), Place::field("changes"))?;
            let taken = field::bounded_refs(refs, limits, &mut notes);
            let changes: Result<Vec<RefChange>, PushError> = taken
                .iter()
                .enumerate()
                .map(|(index, one)| change(one, Some(index), limits))
                .collect();
            let changes = changes?;
            if changes.is_empty() {
                notes.push(Note::RefsNotTold);
            }
            changes
        }
        Some(other) => return Err(NotAPush::OtherEvent(text::line(other, 64)).into()),
    };
    let listed = field::optional_list(payload.field("commits"), Place::field("commits"))?.unwrap_or_default();
    let mut commits = Commits::new(limits);
    for (index, one) in listed.iter().enumerate() {
        forge::add_commit(&mut commits, one, Place::entry("commits", index, "id"), limits)?;
    }
    let changes_complete =
        !changes.is_empty() && !notes.iter().any(|note| matches!(note, Note::RefsLeftOut { .. }));
    let nothing_came_in = changes_complete && changes.iter().all(|change| change.action == Action::Delete);
    let (commits, commits_complete) = commits.finish(nothing_came_in, &mut notes);
    Ok(Push {
        sender: SenderFormat::GitLab,
        repository: repository(payload, limits)?,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(Some(payload), &["user_username", "user_name"], limits),
        notes,
    })
}

fn change(told: &Value<'_>, index: Option<usize>, limits: &Limits) -> Result<RefChange, PushError> {
    let place = |field| match index {
        Some(index) => Place::entry("changes", index, field),
        None => Place::field(field),
    };
    let name = field::required_text(told.field("ref"), place("ref"))?;
    let name = field::ref_text(name, place("ref"), limits)?;
    field::moved(
        name,
        (told.field("before"), place("before")),
        (told.field("after"), place("after")),
    )
}

/// The project. Groups nest: the owner is everything before the last part of the path.
pub(crate) fn repository(payload: &Value<'_>, limits: &Limits) -> Result<RepositoryHint, PushError> {
    let of_project = |key| field::at(payload, &["project", key]);
    let of_repository = |key| field::at(payload, &["repository", key]);
    let homepage = of_project("web_url").or_else(|| of_repository("homepage"));
    let (path, place) = match of_project("path_with_namespace") {
        Some(path) => {
            let place = Place::field("project.path_with_namespace");
            (field::required_text(Some(path), place)?, place)
        }
        None => {
            // Bodies of 2014 have no project.
            let place = Place::field("repository.homepage");
            let address = field::required_text(homepage, place)?;
            let behind_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
            (behind_scheme.split_once('/').map_or("", |(_, path)| path), place)
        }
    };
    let (owner, slug) = path
        .trim_matches('/')
        .rsplit_once('/')
        .ok_or(PushError::WrongType {
            place,
            expected: "of the form group/project",
        })?;
    let (owner, slug) = (
        field::checked_identifier(owner, place, limits)?,
        field::checked_identifier(slug, place, limits)?,
    );
    let name = of_project("name").or_else(|| of_repository("name"));
    let addresses = [
        of_project("git_http_url").or_else(|| of_repository("git_http_url")),
        of_project("git_ssh_url").or_else(|| of_repository("git_ssh_url")),
        homepage,
        of_repository("url"),
    ];
    Ok(RepositoryHint {
        name: text::line(
            name.and_then(Value::as_text).unwrap_or(&slug),
            limits.identifier_bytes,
        ),
        owner,
        slug,
        scm: Some(Scm::Git),
        addresses: field::addresses(addresses),
    })
}
