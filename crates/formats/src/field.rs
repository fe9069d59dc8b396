//! Reading the fields that payloads share: names, ids, refs, prose, each with its guard.

use std::collections::BTreeSet;

use crate::clone_address::CloneAddress;
use crate::error::{Place, PushError};
use crate::json::Value;
use crate::object_id::{ObjectIdProblem, ObjectIdText};
use crate::push::{Action, CommitHint, Note, RefChange, RefKind, Scm};
use crate::{Limits, text};

/// The member at a path of keys; nothing if any of them is absent or null.
pub(crate) fn at<'v, 'a>(value: &'v Value<'a>, path: &[&str]) -> Option<&'v Value<'a>> {
    path.iter().try_fold(value, |inner, key| inner.field(key))
}

/// Text that must be there.
pub(crate) fn required_text<'v>(value: Option<&'v Value<'_>>, place: Place) -> Result<&'v str, PushError> {
    let value = value.ok_or(PushError::Missing(place))?;
    value.as_text().ok_or(PushError::WrongType {
        place,
        expected: "a string",
    })
}

/// A list that must be there.
pub(crate) fn required_list<'v, 'a>(
    value: Option<&'v Value<'a>>,
    place: Place,
) -> Result<&'v [Value<'a>], PushError> {
    optional_list(value, place)?.ok_or(PushError::Missing(place))
}

/// A list that may be absent.
pub(crate) fn optional_list<'v, 'a>(
    value: Option<&'v Value<'a>>,
    place: Place,
) -> Result<Option<&'v [Value<'a>]>, PushError> {
    value
        .map(|value| {
            value.as_list().ok_or(PushError::WrongType {
                place,
                expected: "an array",
            })
        })
        .transpose()
}

/// A project key, owner or slug.
pub(crate) fn identifier(
    value: Option<&Value<'_>>,
    place: Place,
    limits: &Limits,
) -> Result<String, PushError> {
    checked_identifier(required_text(value, place)?, place, limits)
}

/// A project key, owner or slug that was taken out of a longer text.
pub(crate) fn checked_identifier(name: &str, place: Place, limits: &Limits) -> Result<String, PushError> {
    let limit = limits.identifier_bytes;
    if name.is_empty() || name.len() > limit || name.chars().any(text::is_active) {
        return Err(PushError::Identifier { place, limit });
    }
    Ok(name.to_owned())
}

/// Owner and slug of `owner/slug`, slashes at the ends allowed.
pub(crate) fn owner_and_slug(
    full_name: &str,
    place: Place,
    limits: &Limits,
) -> Result<(String, String), PushError> {
    let (owner, slug) = full_name
        .trim_matches('/')
        .split_once('/')
        .ok_or(PushError::WrongType {
            place,
            expected: "of the form owner/slug",
        })?;
    Ok((
        checked_identifier(owner, place, limits)?,
        checked_identifier(slug, place, limits)?,
    ))
}

/// The name of a repository for people, or its slug.
pub(crate) fn display_name(repository: &Value<'_>, slug: &str, limits: &Limits) -> String {
    let name = repository.field("name").and_then(Value::as_text).unwrap_or(slug);
    text::line(name, limits.identifier_bytes)
}

/// The version control system by its name in payloads; unknown names tell nothing.
pub(crate) fn scm(value: Option<&Value<'_>>) -> Option<Scm> {
    match value.and_then(Value::as_text)? {
        "git" => Some(Scm::Git),
        "hg" => Some(Scm::Mercurial),
        _ => None,
    }
}

/// A ref name as sent: bounded, without NUL, otherwise unchecked.
pub(crate) fn ref_text(name: &str, place: Place, limits: &Limits) -> Result<String, PushError> {
    let limit = limits.ref_name_bytes;
    if name.is_empty() || name.len() > limit || name.contains('\0') {
        return Err(PushError::RefText { place, limit });
    }
    Ok(name.to_owned())
}

/// An object id that must name an object.
pub(crate) fn object_id(value: Option<&Value<'_>>, place: Place) -> Result<ObjectIdText, PushError> {
    ObjectIdText::parse(required_text(value, place)?)
        .map_err(|problem| PushError::ObjectId { place, problem })
}

/// A change told by `fromHash`, `toHash` and `type`, as the payloads of Bitbucket Server do. The hashes
/// decide; a `type` that says something else refuses the payload.
pub(crate) fn server_change(
    change: &Value<'_>,
    name: String,
    list: &'static str,
    index: usize,
) -> Result<RefChange, PushError> {
    let hash = |field: &'static str| {
        let place = Place::entry(list, index, field);
        let digits = required_text(change.field(field), place)?;
        let id =
            ObjectIdText::parse_or_zero(digits).map_err(|problem| PushError::ObjectId { place, problem })?;
        Ok::<_, PushError>((id, digits.len()))
    };
    let (old, old_length) = hash("fromHash")?;
    let (new, new_length) = hash("toHash")?;
    if old_length != new_length {
        let place = Place::entry(list, index, "toHash");
        return Err(PushError::ObjectId {
            place,
            problem: ObjectIdProblem::MixedLengths,
        });
    }
    let place = Place::entry(list, index, "type");
    let action = action_of(old.as_ref(), new.as_ref(), place)?;
    if let Some(told) = change.field("type") {
        let fits = match required_text(Some(told), place)? {
            "ADD" => action == Action::Add,
            "UPDATE" => action == Action::Update,
            "DELETE" => action == Action::Delete,
            _ => {
                return Err(PushError::WrongType {
                    place,
                    expected: "ADD, UPDATE or DELETE",
                });
            }
        };
        if !fits {
            let detail = "it does not fit the zero and non-zero hashes beside it";
            return Err(PushError::Contradiction { place, detail });
        }
    }
    let kind = RefKind::of_git_ref(&name);
    Ok(RefChange {
        name,
        kind,
        old,
        new,
        action,
    })
}

/// A change told by two objects `old` and `new`, each null or with type, name and `target.hash`, as the
/// payloads of Bitbucket Cloud and of the add-on do.
pub(crate) fn old_new_change(
    change: &Value<'_>,
    scm: Option<Scm>,
    list: &'static str,
    index: usize,
    limits: &Limits,
) -> Result<RefChange, PushError> {
    let hash = |side: &'static str, place: &'static str| {
        let side = change.field(side);
        side.map(|side| object_id(at(side, &["target", "hash"]), Place::entry(list, index, place)))
            .transpose()
    };
    let old = hash("old", "old.target.hash")?;
    let new = hash("new", "new.target.hash")?;
    let action = action_of(old.as_ref(), new.as_ref(), Place::entry(list, index, "new"))?;
    let told = change.field("new").or_else(|| change.field("old"));
    let member = |key| told.and_then(|told| told.field(key));
    let short = required_text(member("name"), Place::entry(list, index, "name"))?;
    let place = Place::entry(list, index, "type");
    let (kind, name) = match (required_text(member("type"), place)?, scm) {
        ("named_branch", _) | ("branch", Some(Scm::Mercurial)) => (RefKind::NamedBranch, short.to_owned()),
        ("bookmark", _) => (RefKind::Bookmark, short.to_owned()),
        ("tag", Some(Scm::Mercurial)) => (RefKind::MercurialTag, short.to_owned()),
        ("branch", _) => (RefKind::Branch, full_name("refs/heads/", short)),
        ("tag", _) => (RefKind::Tag, full_name("refs/tags/", short)),
        _ => {
            let expected = "branch, tag, named_branch or bookmark";
            return Err(PushError::WrongType { place, expected });
        }
    };
    let name = ref_text(&name, Place::entry(list, index, "name"), limits)?;
    Ok(RefChange {
        name,
        kind,
        old,
        new,
        action,
    })
}

/// A full ref name from a prefix and a short name. An empty short name stays empty and is refused later.
pub(crate) fn full_name(prefix: &str, short: &str) -> String {
    if short.is_empty() {
        String::new()
    } else {
        format!("{prefix}{short}")
    }
}

/// A Git ref that moved, told by two ids of which all zeros mean "not there".
pub(crate) fn moved(
    name: String,
    old: (Option<&Value<'_>>, Place),
    new: (Option<&Value<'_>>, Place),
) -> Result<RefChange, PushError> {
    for (told, place) in [old, new] {
        required_text(told, place)?;
    }
    moved_from_to(name, old, new)
}

/// As [`moved`], where an id may also be left out. A push may tell the same id twice: connection tests do.
pub(crate) fn moved_from_to(
    name: String,
    old: (Option<&Value<'_>>, Place),
    new: (Option<&Value<'_>>, Place),
) -> Result<RefChange, PushError> {
    let read = |told: Option<&Value<'_>>, place: Place| {
        let Some(told) = told else { return Ok(None) };
        ObjectIdText::parse_or_zero(required_text(Some(told), place)?)
            .map_err(|problem| PushError::ObjectId { place, problem })
    };
    let (from, to) = (read(old.0, old.1)?, read(new.0, new.1)?);
    let length = |told: Option<&Value<'_>>| told.and_then(Value::as_text).map(str::len);
    if let (Some(left), Some(right)) = (length(old.0), length(new.0))
        && left != right
    {
        return Err(PushError::ObjectId {
            place: new.1,
            problem: ObjectIdProblem::MixedLengths,
        });
    }
    let action = action_of(from.as_ref(), to.as_ref(), new.1)?;
    Ok(RefChange {
        kind: RefKind::of_git_ref(&name),
        name,
        old: from,
        new: to,
        action,
    })
}

/// Most addresses of one repository that are kept.
const ADDRESSES: usize = 8;
/// The longest that is read, in bytes.
const ADDRESS_BYTES: usize = 2000;

/// The addresses of a repository that a payload tells; what is none is left out.
pub(crate) fn addresses<'v, 'a: 'v>(
    told: impl IntoIterator<Item = Option<&'v Value<'a>>>,
) -> Vec<CloneAddress> {
    let told = told.into_iter().flatten().filter_map(Value::as_text);
    addresses_of(told)
}

/// As [`addresses`], of texts.
pub(crate) fn addresses_of<'t>(told: impl IntoIterator<Item = &'t str>) -> Vec<CloneAddress> {
    let mut read = Vec::new();
    for told in told {
        if told.len() > ADDRESS_BYTES || told.chars().any(text::is_active) {
            continue;
        }
        let address = CloneAddress::read(told);
        read.extend(address.filter(|address| !read.contains(address)));
    }
    read.truncate(ADDRESSES);
    read
}

fn action_of(
    old: Option<&ObjectIdText>,
    new: Option<&ObjectIdText>,
    place: Place,
) -> Result<Action, PushError> {
    match (old, new) {
        (None, Some(_)) => Ok(Action::Add),
        (Some(_), Some(_)) => Ok(Action::Update),
        (Some(_), None) => Ok(Action::Delete),
        (None, None) => {
            let detail = "the ref was nowhere before and is nowhere after";
            Err(PushError::Contradiction { place, detail })
        }
    }
}

/// Takes the first entries of the list of refs, and leaves a note about the rest.
pub(crate) fn bounded_refs<'v, 'a>(
    refs: &'v [Value<'a>],
    limits: &Limits,
    notes: &mut Vec<Note>,
) -> &'v [Value<'a>] {
    let taken = refs.len().min(limits.refs_per_push);
    if taken < refs.len() {
        notes.push(Note::RefsLeftOut {
            named: refs.len(),
            taken,
        });
    }
    &refs[..taken]
}

/// Collects the commits of one push within its limits, each id once.
pub(crate) struct Commits<'l> {
    limits: &'l Limits,
    taken: Vec<CommitHint>,
    seen: BTreeSet<ObjectIdText>,
    listed: usize,
    paths_taken: usize,
    paths_left_out: usize,
}

impl<'l> Commits<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            taken: Vec::new(),
            seen: BTreeSet::new(),
            listed: 0,
            paths_taken: 0,
            paths_left_out: 0,
        }
    }

    /// Adds a commit. `paths` is `None` where the format tells none, and `paths_complete` whether the
    /// sender says that it told all.
    pub(crate) fn add<'v>(
        &mut self,
        mut commit: CommitHint,
        paths: Option<impl Iterator<Item = &'v str>>,
        paths_complete: bool,
    ) {
        if !self.seen.insert(commit.id.clone()) {
            return;
        }
        self.listed += 1;
        if self.taken.len() == self.limits.commits_per_push {
            return;
        }
        commit.paths_complete = paths_complete && paths.is_some();
        for path in paths.into_iter().flatten() {
            if self.paths_taken == self.limits.paths_per_push
                || path.is_empty()
                || path.len() > self.limits.path_bytes
                || path.contains('\0')
            {
                commit.paths_complete = false;
                self.paths_left_out += 1;
            } else {
                self.paths_taken += 1;
                commit.paths.push(path.to_owned());
            }
        }
        self.taken.push(commit);
    }

    /// The commits, and whether they are all that the push brought, given what the sender says of its list.
    pub(crate) fn finish(self, told_complete: bool, notes: &mut Vec<Note>) -> (Vec<CommitHint>, bool) {
        let left_out = self.taken.len() < self.listed;
        if left_out {
            notes.push(Note::CommitsLeftOut {
                listed: self.listed,
                taken: self.taken.len(),
            });
        }
        if self.paths_left_out > 0 {
            notes.push(Note::PathsLeftOut(self.paths_left_out));
        }
        if !told_complete {
            notes.push(Note::SenderListsPart);
        }
        (self.taken, told_complete && !left_out)
    }
}

/// A commit without paths, its prose made inert.
pub(crate) fn commit(
    id: ObjectIdText,
    author: Option<&str>,
    message: Option<&Value<'_>>,
    limits: &Limits,
) -> CommitHint {
    let message = message.and_then(Value::as_text).unwrap_or_default();
    CommitHint {
        id,
        author: text::line(author.unwrap_or_default(), limits.person_bytes),
        message: text::lines(message, limits.message_bytes),
        authored_ms: None,
        committed_ms: None,
        paths: Vec::new(),
        paths_complete: false,
    }
}

/// `Name <mail>` of an object with `name` (or `displayName`) and `emailAddress`.
pub(crate) fn server_author(person: Option<&Value<'_>>) -> Option<String> {
    let person = person?;
    let told = |key| person.field(key).and_then(Value::as_text);
    let name = told("displayName").or_else(|| told("name"));
    match (name, told("emailAddress")) {
        (Some(name), Some(mail)) => Some(format!("{name} <{mail}>")),
        (Some(name), None) => Some(name.to_owned()),
        (None, Some(mail)) => Some(format!("<{mail}>")),
        (None, None) => None,
    }
}

/// Who pushed: the first of the given members of a person that is told, inert.
pub(crate) fn person(who: Option<&Value<'_>>, keys: &[&str], limits: &Limits) -> Option<String> {
    let who = who?;
    let name = keys
        .iter()
        .find_map(|key| who.field(key).and_then(Value::as_text))?;
    Some(text::line(name, limits.person_bytes))
}
