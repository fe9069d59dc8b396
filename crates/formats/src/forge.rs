//! What payloads of GitHub and its relatives share: one ref in `ref`, `before` and `after`, commits with lists of
//! paths, and two further events that tell of a new or a gone ref (push-payloads.md D).

use crate::Limits;
use crate::error::{NotAPush, Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::push::{Action, CommitHint, Note, Push, RefChange, RefKind, RepositoryHint, Scm, SenderFormat};
use crate::timestamp::epoch_ms;

/// What happened, by the event header of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A ref moved.
    Push,
    /// A ref is new: a second delivery beside the push, or the only one (Gogs, tags).
    Create,
    /// A ref is gone: likewise.
    Delete,
}

impl Event {
    /// The event of that name, if it moves a ref.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "push" => Some(Self::Push),
            "create" => Some(Self::Create),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// What the dialects of the family call things.
pub(crate) struct Dialect {
    pub(crate) sender: SenderFormat,
    /// Members of the repository that hold an address of it.
    pub(crate) addresses: &'static [&'static str],
}

/// Reads a delivery of the family. Without its event header, a body that tells of a new or a gone ref cannot be told
/// from its opposite and is no push.
pub(crate) fn parse(
    dialect: &Dialect,
    event: Option<Event>,
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<Push, PushError> {
    let short_ref = payload.field("ref_type").is_some();
    match (event, short_ref) {
        (None | Some(Event::Push), false) => push(dialect, payload, limits),
        (Some(event @ (Event::Create | Event::Delete)), _) => one_ref(dialect, event, payload, limits),
        (None | Some(Event::Push), true) => Err(NotAPush::UnknownShape.into()),
    }
}

fn push(dialect: &Dialect, payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let mut notes = Vec::new();
    let repository = repository(dialect, payload, limits)?;
    let place = Place::field("ref");
    let name = field::ref_text(field::required_text(payload.field("ref"), place)?, place, limits)?;
    let change = field::moved(
        name,
        (payload.field("before"), Place::field("before")),
        (payload.field("after"), Place::field("after")),
    )?;
    let listed = field::optional_list(payload.field("commits"), Place::field("commits"))?.unwrap_or_default();
    let mut commits = Commits::new(limits);
    for (index, told) in listed.iter().enumerate() {
        add_commit(&mut commits, told, Place::entry("commits", index, "id"), limits)?;
    }
    // All of them cut their lists, of commits or of files, and none says so.
    let told_complete = change.action == Action::Delete;
    let (commits, commits_complete) = commits.finish(told_complete, &mut notes);
    Ok(Push {
        sender: dialect.sender,
        repository,
        changes: vec![change],
        changes_complete: true,
        commits,
        commits_complete,
        pusher: pusher(payload, limits),
        notes,
    })
}

/// The event of a new or a gone ref: its short name, and of a new one the commit, which older senders leave out.
fn one_ref(dialect: &Dialect, event: Event, payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let repository = repository(dialect, payload, limits)?;
    let place = Place::field("ref_type");
    let (kind, prefix) = match field::required_text(payload.field("ref_type"), place)? {
        "branch" => (RefKind::Branch, "refs/heads/"),
        "tag" => (RefKind::Tag, "refs/tags/"),
        // GitHub tells of a new repository so.
        other => {
            return Err(NotAPush::OtherEvent(crate::text::line(&format!("create of a {other}"), 64)).into());
        }
    };
    let place = Place::field("ref");
    let short = field::required_text(payload.field("ref"), place)?;
    let full = if short.starts_with(prefix) {
        short.to_owned()
    } else {
        field::full_name(prefix, short)
    };
    let name = field::ref_text(&full, place, limits)?;
    let new = match payload.field("sha").filter(|_| event == Event::Create) {
        Some(sha) => Some(field::object_id(Some(sha), Place::field("sha"))?),
        None => None,
    };
    let action = match event {
        Event::Delete => Action::Delete,
        Event::Create | Event::Push => Action::Add,
    };
    let mut notes = Vec::new();
    let mut changes = Vec::new();
    if action == Action::Delete || new.is_some() {
        changes.push(RefChange {
            name,
            kind,
            old: None,
            new,
            action,
        });
    } else {
        notes.push(Note::RefsNotTold);
    }
    Ok(Push {
        sender: dialect.sender,
        repository,
        changes_complete: !changes.is_empty(),
        commits_complete: action == Action::Delete,
        changes,
        commits: Vec::new(),
        pusher: pusher(payload, limits),
        notes,
    })
}

/// The login of whoever did it; the pusher of GitHub has a name, those of the others a login.
fn pusher(payload: &Value<'_>, limits: &Limits) -> Option<String> {
    let keys = ["login", "username", "name"];
    field::person(payload.field("sender"), &keys, limits)
        .or_else(|| field::person(payload.field("pusher"), &keys, limits))
}

pub(crate) fn repository(
    dialect: &Dialect,
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<RepositoryHint, PushError> {
    let repository = payload
        .field("repository")
        .ok_or(PushError::Missing(Place::field("repository")))?;
    let (owner, slug) = match repository.field("full_name") {
        Some(full) => {
            let place = Place::field("repository.full_name");
            field::owner_and_slug(field::required_text(Some(full), place)?, place, limits)?
        }
        None => {
            let owner = ["login", "username", "name"]
                .into_iter()
                .find_map(|key| field::at(repository, &["owner", key]));
            (
                field::identifier(owner, Place::field("repository.owner.login"), limits)?,
                field::identifier(repository.field("name"), Place::field("repository.name"), limits)?,
            )
        }
    };
    let name = field::display_name(repository, &slug, limits);
    Ok(RepositoryHint {
        owner,
        slug,
        name,
        scm: Some(Scm::Git),
        addresses: field::addresses(dialect.addresses.iter().map(|key| repository.field(key))),
    })
}

/// Adds a commit with `added`, `removed` and `modified` paths.
pub(crate) fn add_commit(
    commits: &mut Commits<'_>,
    told: &Value<'_>,
    place: Place,
    limits: &Limits,
) -> Result<(), PushError> {
    let commit = commit(told, place, limits)?;
    let lists: Vec<&[Value<'_>]> = ["added", "removed", "modified"]
        .into_iter()
        .filter_map(|key| told.field(key).and_then(Value::as_list))
        .collect();
    let told_paths = lists.len() == 3;
    let paths = lists
        .iter()
        .flat_map(|list| list.iter())
        .filter_map(Value::as_text);
    commits.add(commit, told_paths.then_some(paths), told_paths);
    Ok(())
}

fn commit(told: &Value<'_>, place: Place, limits: &Limits) -> Result<CommitHint, PushError> {
    let id = field::object_id(told.field("id"), place)?;
    let author = told.field("author");
    let part = |key| {
        author
            .and_then(|author| author.field(key))
            .and_then(Value::as_text)
    };
    let who = match (part("name"), part("email")) {
        (Some(name), Some(mail)) => format!("{name} <{mail}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    };
    let mut commit = field::commit(id, Some(&who), told.field("message"), limits);
    commit.committed_ms = epoch_ms(told.field("timestamp"));
    Ok(commit)
}
