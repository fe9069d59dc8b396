//! Reads our own format: the body that [`crate::outgoing`] renders as `native`, and a short form for scripts.
//!
//! ```text
//! {"repository": "https://git.example/tools/lib.git",    or "tools/lib"
//!  "ref": "refs/heads/main",                             or the name of a branch
//!  "before": id|zeros, "after": id|zeros,                may be left out: then the refs are read
//!  "refs": [{"ref", "before", "after"}, …],              in the place of the three, for several
//!  "user": "hana"}                                       may be left out
//! ```

use crate::Limits;
use crate::error::{NotAPush, Place, PushError};
use crate::field::{self, Commits};
use crate::json::Value;
use crate::push::{Action, Note, Push, RefChange, RefKind, RepositoryHint, SenderFormat};
use crate::text;
use crate::timestamp::epoch_ms;

/// Whether a body has the shape.
pub(crate) fn fits(payload: &Value<'_>) -> bool {
    let short = payload
        .field("repository")
        .is_some_and(|one| one.as_text().is_some());
    short || (payload.field("type").is_some() && payload.field("data").is_some())
}

/// Turns a payload into a push.
pub(crate) fn parse(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    match payload.field("type").and_then(Value::as_text) {
        Some("push") => whole(payload, limits),
        Some("ping") => Err(NotAPush::Ping.into()),
        Some(other) => Err(NotAPush::OtherEvent(text::line(other, 64)).into()),
        None => short(payload, limits),
    }
}

fn whole(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let data = payload
        .field("data")
        .ok_or(PushError::Missing(Place::field("data")))?;
    let repository = data
        .field("repository")
        .ok_or(PushError::Missing(Place::field("data.repository")))?;
    let slug = field::identifier(
        repository.field("slug"),
        Place::field("data.repository.slug"),
        limits,
    )?;
    let link = |key| field::at(repository, &["links", key]);
    let hint = RepositoryHint {
        owner: field::identifier(
            repository.field("owner"),
            Place::field("data.repository.owner"),
            limits,
        )?,
        name: field::display_name(repository, &slug, limits),
        slug,
        scm: field::scm(repository.field("scm")),
        addresses: field::addresses([link("cloneHttp"), link("cloneSsh"), link("self")]),
    };
    let mut notes = Vec::new();
    let refs = field::required_list(data.field("refs"), Place::field("data.refs"))?;
    let mut changes = Vec::new();
    for (index, told) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
        changes.push(change_of(told, index, limits)?);
    }
    let mut told_complete = !refs.is_empty();
    for told in refs {
        let flag = |key| told.field(key).and_then(Value::as_bool);
        told_complete &= flag("commitsTruncated") == Some(false) && flag("forced") == Some(false);
    }
    let listed = field::optional_list(data.field("commits"), Place::field("data.commits"))?;
    let mut commits = Commits::new(limits);
    for (index, told) in listed.unwrap_or_default().iter().enumerate() {
        add_commit(&mut commits, told, index, limits)?;
    }
    if changes.is_empty() {
        notes.push(Note::RefsNotTold);
    }
    let changes_complete = !changes.is_empty() && changes.len() == refs.len();
    let (commits, commits_complete) = commits.finish(told_complete, &mut notes);
    Ok(Push {
        sender: SenderFormat::Native,
        repository: hint,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(data.field("pusher"), &["name", "displayName"], limits),
        notes,
    })
}

fn change_of(told: &Value<'_>, index: usize, limits: &Limits) -> Result<RefChange, PushError> {
    let place = |field| Place::entry("data.refs", index, field);
    let mercurial = match field::required_text(told.field("kind"), place("kind"))? {
        "branch" | "tag" | "other" => None,
        "namedBranch" => Some(RefKind::NamedBranch),
        "bookmark" => Some(RefKind::Bookmark),
        "hgTag" => Some(RefKind::MercurialTag),
        _ => {
            let expected = "branch, tag, namedBranch, bookmark, hgTag or other";
            return Err(PushError::WrongType {
                place: place("kind"),
                expected,
            });
        }
    };
    let key = if mercurial.is_some() { "name" } else { "fullName" };
    let name = field::ref_text(
        field::required_text(told.field(key), place(key))?,
        place(key),
        limits,
    )?;
    let mut change = field::moved_from_to(
        name,
        (told.field("old"), place("old")),
        (told.field("new"), place("new")),
    )?;
    if let Some(kind) = mercurial {
        change.kind = kind;
    }
    Ok(change)
}

fn add_commit(
    commits: &mut Commits<'_>,
    told: &Value<'_>,
    index: usize,
    limits: &Limits,
) -> Result<(), PushError> {
    let id = field::object_id(told.field("id"), Place::entry("data.commits", index, "id"))?;
    let author = field::at(told, &["author", "name"]).and_then(Value::as_text);
    let mut commit = field::commit(id, author, told.field("message"), limits);
    commit.authored_ms = epoch_ms(told.field("authoredAt"));
    commit.committed_ms = epoch_ms(told.field("committedAt"));
    let files = told.field("files").and_then(Value::as_list);
    let path = |file: &'_ Value<'_>, key| file.field(key).and_then(Value::as_text).map(str::to_owned);
    let paths: Option<Vec<String>> = files.map(|files| {
        files
            .iter()
            .flat_map(|file| [path(file, "path"), path(file, "srcPath")])
            .flatten()
            .collect()
    });
    let all = told.field("filesTruncated").and_then(Value::as_bool) == Some(false);
    commits.add(
        commit,
        paths.as_ref().map(|paths| paths.iter().map(String::as_str)),
        all,
    );
    Ok(())
}

fn short(payload: &Value<'_>, limits: &Limits) -> Result<Push, PushError> {
    let place = Place::field("repository");
    let told = field::required_text(payload.field("repository"), place)?;
    let mut notes = Vec::new();
    let refs = field::optional_list(payload.field("refs"), Place::field("refs"))?;
    let mut changes = Vec::new();
    let mut all = true;
    match refs {
        Some(refs) => {
            for (index, one) in field::bounded_refs(refs, limits, &mut notes).iter().enumerate() {
                let change = short_change(one, |field| Place::entry("refs", index, field), limits)?;
                all &= change.is_some();
                changes.extend(change);
            }
            all &= changes.len() == refs.len();
        }
        None if payload.field("ref").is_some() => {
            let change = short_change(payload, Place::field, limits)?;
            all &= change.is_some();
            changes.extend(change);
        }
        None => all = false,
    }
    if !all {
        notes.push(Note::RefsNotTold);
    }
    let changes_complete = all && !changes.is_empty();
    let nothing_came_in = changes_complete && changes.iter().all(|change| change.action == Action::Delete);
    let (commits, commits_complete) = Commits::new(limits).finish(nothing_came_in, &mut notes);
    Ok(Push {
        sender: SenderFormat::Native,
        repository: short_repository(told, place, limits)?,
        changes,
        changes_complete,
        commits,
        commits_complete,
        pusher: field::person(Some(payload), &["user"], limits),
        notes,
    })
}

/// A ref of the short form; nothing if it does not say where the ref is now.
fn short_change(
    told: &Value<'_>,
    place: impl Fn(&'static str) -> Place,
    limits: &Limits,
) -> Result<Option<RefChange>, PushError> {
    let name = field::required_text(told.field("ref"), place("ref"))?;
    let full = if name.starts_with("refs/") {
        name.to_owned()
    } else {
        field::full_name("refs/heads/", name)
    };
    let name = field::ref_text(&full, place("ref"), limits)?;
    if told.field("after").is_none() {
        return Ok(None);
    }
    field::moved_from_to(
        name,
        (told.field("before"), place("before")),
        (told.field("after"), place("after")),
    )
    .map(Some)
}

/// The repository by its address, or by `owner/slug`.
fn short_repository(told: &str, place: Place, limits: &Limits) -> Result<RepositoryHint, PushError> {
    let is_address = told.contains(':') || told.starts_with('/');
    let path = match told.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => told.rsplit(':').next().unwrap_or(told),
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (owner, slug) = path.rsplit_once('/').unwrap_or(("", path));
    let slug = field::checked_identifier(slug, place, limits)?;
    let owner = if owner.is_empty() {
        String::new()
    } else {
        field::checked_identifier(owner, place, limits)?
    };
    Ok(RepositoryHint {
        owner,
        name: slug.clone(),
        slug,
        scm: None,
        addresses: field::addresses_of(is_address.then_some(told)),
    })
}
