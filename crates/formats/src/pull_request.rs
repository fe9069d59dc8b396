//! Reads what forges tell of pull requests (GitLab calls them merge requests): GitHub, GitLab, Gitea, Forgejo, Gogs,
//! Bitbucket Data Center and Cloud.
//!
//! As everything in a payload, it is a hint: which commit is to be built is read from the repository itself. What the
//! repository cannot tell is taken from here: that the request is open, whose it is, and that it comes from a fork.
//! Where a payload leaves that in doubt it comes from a fork, for such are trusted less.

use crate::detect::{header, read_push, refusal_by_header};
use crate::error::{NotAPush, Place, PushError};
use crate::json::{self, Value};
use crate::object_id::ObjectIdText;
use crate::post_receive::server_repository;
use crate::push::{Push, RepositoryHint, SenderFormat};
use crate::timestamp::epoch_ms;
use crate::{Limits, bitbucket_cloud, field, forge, form, gitea, github, gitlab, text};

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Refs moved.
    Push(Push),
    /// A pull request was opened, moved or closed.
    PullRequest(PullRequest),
}

/// A pull request, as its forge tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Which format the payload was in.
    pub sender: SenderFormat,
    /// The repository that it is to be merged into.
    pub repository: RepositoryHint,
    /// Its number in that repository.
    pub number: u64,
    /// It may still be merged.
    pub open: bool,
    /// Its title, inert.
    pub title: String,
    /// The login of who opened it, inert, where the payload tells it beyond doubt.
    pub author: Option<String>,
    /// The branch that it comes from, without `refs/heads/`; bounded, otherwise unchecked.
    pub source_branch: String,
    /// The branch that it goes to, likewise.
    pub target_branch: String,
    /// It comes from another repository.
    pub from_fork: bool,
    /// That repository's name, inert; empty if it is gone or not told.
    pub source_repository: String,
    /// The newest commit of its source, where a full id is told.
    pub head: Option<ObjectIdText>,
    /// When it was last changed, milliseconds since 1970.
    pub updated_ms: Option<i64>,
    /// Who did what the delivery tells of, inert.
    pub actor: Option<String>,
}

impl PullRequest {
    /// The ref of the repository it goes to that shows its newest commit, also when that comes from a fork. Bitbucket
    /// Cloud has none.
    #[must_use]
    pub fn head_ref(&self) -> Option<String> {
        let number = self.number;
        match self.sender {
            SenderFormat::GitHub | SenderFormat::Gitea | SenderFormat::Forgejo | SenderFormat::Gogs => {
                Some(format!("refs/pull/{number}/head"))
            }
            SenderFormat::GitLab => Some(format!("refs/merge-requests/{number}/head")),
            SenderFormat::BitbucketDc => Some(format!("refs/pull-requests/{number}/from")),
            _ => None,
        }
    }
}

/// Reads a delivery of any supported sender that tells of a push or of a pull request. `headers` are (name, value)
/// pairs, names in any case.
///
/// # Errors
///
/// [`PushError`] when the body cannot be read, is neither, or breaks a rule of its format.
pub fn read_delivery(headers: &[(&str, &str)], body: &[u8], limits: &Limits) -> Result<Delivery, PushError> {
    let sender = match refusal_by_header(headers) {
        Some(NotAPush::OtherEvent(event)) => match sender_by_header(headers) {
            Some(sender) => sender,
            None => return Err(NotAPush::OtherEvent(event).into()),
        },
        // System hooks of GitLab tell of everything under one header.
        _ => match read_push(headers, body, limits) {
            Ok(push) => return Ok(Delivery::Push(push)),
            Err(PushError::NotAPush(NotAPush::OtherEvent(event)))
                if event == "merge_request" && header(headers, "X-Gitlab-Event").is_some() =>
            {
                SenderFormat::GitLab
            }
            Err(error) => return Err(error),
        },
    };
    let text = form::json_text(header(headers, "Content-Type"), body, limits)?;
    let payload = json::parse(&text, limits)?;
    let read = match sender {
        SenderFormat::GitLab => of_gitlab(&payload, limits),
        SenderFormat::BitbucketDc => of_data_center(headers, &payload, limits),
        SenderFormat::BitbucketCloud => of_cloud(headers, &payload, limits),
        SenderFormat::Gogs => of_gogs(&payload, limits),
        forge => of_forge(forge, &payload, limits),
    };
    read.map(Delivery::PullRequest)
}

/// The sender of an event about pull requests.
fn sender_by_header(headers: &[(&str, &str)]) -> Option<SenderFormat> {
    let is = |name: &str, event: &str| header(headers, name) == Some(event);
    let is_pull_request = |name: &str| is(name, "pull_request") || is(name, "pull_request_sync");
    let forges = [
        ("X-Forgejo-Event", SenderFormat::Forgejo),
        ("X-Gitea-Event", SenderFormat::Gitea),
        ("X-Gogs-Event", SenderFormat::Gogs),
        ("X-GitHub-Event", SenderFormat::GitHub),
    ];
    if let Some((name, sender)) = forges
        .into_iter()
        .find(|(name, _)| header(headers, name).is_some())
    {
        return is_pull_request(name).then_some(sender);
    }
    if header(headers, "X-Gitlab-Event").is_some() {
        return is("X-Gitlab-Event", "Merge Request Hook").then_some(SenderFormat::GitLab);
    }
    let event = header(headers, "X-Event-Key")?;
    if DATA_CENTER_EVENTS.contains(&event) {
        Some(SenderFormat::BitbucketDc)
    } else if CLOUD_EVENTS.contains(&event) {
        Some(SenderFormat::BitbucketCloud)
    } else {
        None
    }
}

/// Events of Bitbucket Data Center that open, move or close a pull request; comments and reviews do not.
const DATA_CENTER_EVENTS: [&str; 7] = [
    "pr:opened",
    "pr:reopened",
    "pr:from_ref_updated",
    "pr:modified",
    "pr:merged",
    "pr:declined",
    "pr:deleted",
];
/// The same of Bitbucket Cloud.
const CLOUD_EVENTS: [&str; 4] = [
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
];
/// What GitHub and its relatives call the same; Gitea and Gogs have one word of their own.
const FORGE_ACTIONS: [&str; 7] = [
    "opened",
    "reopened",
    "synchronize",
    "synchronized",
    "edited",
    "ready_for_review",
    "closed",
];

fn number(value: Option<&Value<'_>>, place: Place) -> Result<u64, PushError> {
    let told = value.ok_or(PushError::Missing(place))?.as_integer();
    told.and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or(PushError::WrongType {
            place,
            expected: "a whole number above zero",
        })
}

fn object<'v, 'a>(payload: &'v Value<'a>, key: &str, place: Place) -> Result<&'v Value<'a>, PushError> {
    payload.field(key).ok_or(PushError::Missing(place))
}

/// The name of a branch, with or without `refs/heads/`.
fn branch(value: Option<&Value<'_>>, place: Place, limits: &Limits) -> Result<String, PushError> {
    let name = field::required_text(value, place)?;
    field::ref_text(name.strip_prefix("refs/heads/").unwrap_or(name), place, limits)
}

/// A full id; short ones, as Bitbucket Cloud tells, are none.
fn full_id(value: Option<&Value<'_>>) -> Option<ObjectIdText> {
    ObjectIdText::parse(value?.as_text()?).ok()
}

fn shown(value: Option<&Value<'_>>, limits: &Limits) -> String {
    let told = value.and_then(Value::as_text).unwrap_or_default();
    text::line(told, limits.identifier_bytes)
}

fn other_event(kind: &str, action: &str) -> PushError {
    NotAPush::OtherEvent(text::line(&format!("{kind} {action}"), 64)).into()
}

/// Whether two sides are one repository, by the first member that both tell. Where neither tells, they are two.
fn same(left: Option<&Value<'_>>, right: Option<&Value<'_>>, members: &[&[&str]]) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    members
        .iter()
        .find_map(|path| Some(field::at(left, path)? == field::at(right, path)?))
        .unwrap_or(false)
}

const LOGIN: [&str; 2] = ["login", "username"];

fn of_forge(sender: SenderFormat, payload: &Value<'_>, limits: &Limits) -> Result<PullRequest, PushError> {
    let action = field::required_text(payload.field("action"), Place::field("action"))?;
    if !FORGE_ACTIONS.contains(&action) {
        return Err(other_event("pull_request", action));
    }
    let request = object(payload, "pull_request", Place::field("pull_request"))?;
    let dialect = match sender {
        SenderFormat::GitHub => github::DIALECT,
        relative => gitea::dialect(relative),
    };
    let (head, base) = (request.field("head"), request.field("base"));
    let of = |side: Option<&Value<'_>>, key: &str, place| {
        branch(side.and_then(|side| side.field(key)), place, limits)
    };
    let told = payload.field("number").or_else(|| request.field("number"));
    let repositories = (
        head.and_then(|head| head.field("repo")),
        base.and_then(|base| base.field("repo")),
    );
    Ok(PullRequest {
        sender,
        repository: forge::repository(&dialect, payload, limits)?,
        number: number(told, Place::field("number"))?,
        open: is_open(request, Place::field("pull_request.state"))?,
        title: shown(request.field("title"), limits),
        author: field::person(request.field("user"), &LOGIN, limits),
        source_branch: of(head, "ref", Place::field("pull_request.head.ref"))?,
        target_branch: of(base, "ref", Place::field("pull_request.base.ref"))?,
        from_fork: !same(repositories.0, repositories.1, &[&["id"], &["full_name"]]),
        source_repository: shown(repositories.0.and_then(|one| one.field("full_name")), limits),
        head: full_id(head.and_then(|head| head.field("sha"))),
        updated_ms: epoch_ms(request.field("updated_at")),
        actor: field::person(payload.field("sender"), &LOGIN, limits),
    })
}

fn is_open(request: &Value<'_>, place: Place) -> Result<bool, PushError> {
    match field::required_text(request.field("state"), place)? {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err(PushError::WrongType {
            place,
            expected: "open or closed",
        }),
    }
}

/// Gogs names branches and repositories of both sides beside each other, and tells no commit.
fn of_gogs(payload: &Value<'_>, limits: &Limits) -> Result<PullRequest, PushError> {
    let action = field::required_text(payload.field("action"), Place::field("action"))?;
    if !FORGE_ACTIONS.contains(&action) {
        return Err(other_event("pull_request", action));
    }
    let request = object(payload, "pull_request", Place::field("pull_request"))?;
    let told = payload.field("number").or_else(|| request.field("number"));
    let source = Place::field("pull_request.head_branch");
    let target = Place::field("pull_request.base_branch");
    let from = request.field("head_repo");
    Ok(PullRequest {
        sender: SenderFormat::Gogs,
        repository: forge::repository(&gitea::dialect(SenderFormat::Gogs), payload, limits)?,
        number: number(told, Place::field("number"))?,
        open: is_open(request, Place::field("pull_request.state"))?,
        title: shown(request.field("title"), limits),
        author: field::person(request.field("user"), &LOGIN, limits),
        source_branch: branch(request.field("head_branch"), source, limits)?,
        target_branch: branch(request.field("base_branch"), target, limits)?,
        from_fork: !same(from, request.field("base_repo"), &[&["id"], &["full_name"]]),
        source_repository: shown(from.and_then(|one| one.field("full_name")), limits),
        head: None,
        updated_ms: epoch_ms(request.field("updated_at")),
        actor: field::person(payload.field("sender"), &LOGIN, limits),
    })
}

fn of_gitlab(payload: &Value<'_>, limits: &Limits) -> Result<PullRequest, PushError> {
    let place = Place::field("object_attributes");
    let request = object(payload, "object_attributes", place)?;
    let told = |key: &str| request.field(key).and_then(Value::as_text);
    match told("action") {
        None | Some("open" | "reopen" | "close" | "merge") => {}
        // Of the many updates only those that bring commits have the commit before.
        Some("update") if request.field("oldrev").is_some() => {}
        Some(other) => return Err(other_event("merge_request", other)),
    }
    let place = Place::field("object_attributes.state");
    let open = match field::required_text(request.field("state"), place)? {
        "opened" | "reopened" => true,
        "closed" | "merged" | "locked" => false,
        _ => {
            return Err(PushError::WrongType {
                place,
                expected: "opened, closed, merged or locked",
            });
        }
    };
    // The payload names who acts. That is the author only if the ids say so.
    let actor = payload.field("user");
    let is_author = match (
        actor.and_then(|actor| actor.field("id")),
        request.field("author_id"),
    ) {
        (Some(acts), Some(author)) => acts == author,
        _ => told("action") == Some("open"),
    };
    let actor = field::person(actor, &["username"], limits);
    let sides = (
        request.field("source_project_id"),
        request.field("target_project_id"),
    );
    let source = Place::field("object_attributes.source_branch");
    let target = Place::field("object_attributes.target_branch");
    let from = field::at(request, &["source", "path_with_namespace"]);
    Ok(PullRequest {
        sender: SenderFormat::GitLab,
        repository: gitlab::repository(payload, limits)?,
        number: number(request.field("iid"), Place::field("object_attributes.iid"))?,
        open,
        title: shown(request.field("title"), limits),
        author: actor.clone().filter(|_| is_author),
        source_branch: branch(request.field("source_branch"), source, limits)?,
        target_branch: branch(request.field("target_branch"), target, limits)?,
        from_fork: sides.0.is_none() || sides.0 != sides.1,
        source_repository: shown(from, limits),
        head: full_id(field::at(request, &["last_commit", "id"])),
        updated_ms: epoch_ms(request.field("updated_at")),
        actor,
    })
}

fn of_data_center(
    headers: &[(&str, &str)],
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<PullRequest, PushError> {
    let request = object(payload, "pullRequest", Place::field("pullRequest"))?;
    let from = object(request, "fromRef", Place::field("pullRequest.fromRef"))?;
    let to = object(request, "toRef", Place::field("pullRequest.toRef"))?;
    let deleted = header(headers, "X-Event-Key") == Some("pr:deleted");
    let state = Place::field("pullRequest.state");
    let one_of_three = |state| matches!(state, "OPEN" | "MERGED" | "DECLINED");
    let told = field::required_text(request.field("state"), state)?;
    if !one_of_three(told) {
        return Err(PushError::WrongType {
            place: state,
            expected: "OPEN, MERGED or DECLINED",
        });
    }
    let (left, right) = (from.field("repository"), to.field("repository"));
    let keys = ["slug", "name"];
    let source = left.map(|one| {
        let part = |path: &[&str]| field::at(one, path).and_then(Value::as_text).unwrap_or_default();
        text::line(
            &format!("{}/{}", part(&["project", "key"]), part(&["slug"])),
            limits.identifier_bytes,
        )
    });
    Ok(PullRequest {
        sender: SenderFormat::BitbucketDc,
        repository: server_repository(to, limits)?,
        number: number(request.field("id"), Place::field("pullRequest.id"))?,
        open: told == "OPEN" && !deleted,
        title: shown(request.field("title"), limits),
        author: field::person(field::at(request, &["author", "user"]), &["name", "slug"], limits),
        source_branch: branch(from.field("id"), Place::field("pullRequest.fromRef.id"), limits)?,
        target_branch: branch(to.field("id"), Place::field("pullRequest.toRef.id"), limits)?,
        from_fork: !same(left, right, &[&["id"]]) && !same_by_names(left, right),
        source_repository: source.unwrap_or_default(),
        head: full_id(from.field("latestCommit")),
        updated_ms: epoch_ms(request.field("updatedDate")),
        actor: field::person(payload.field("actor"), &keys, limits),
    })
}

/// For payloads without ids: the same project and slug.
fn same_by_names(left: Option<&Value<'_>>, right: Option<&Value<'_>>) -> bool {
    let has_id = |side: Option<&Value<'_>>| side.is_some_and(|side| side.field("id").is_some());
    !has_id(left)
        && !has_id(right)
        && same(left, right, &[&["slug"]])
        && same(left, right, &[&["project", "key"]])
}

fn of_cloud(
    headers: &[(&str, &str)],
    payload: &Value<'_>,
    limits: &Limits,
) -> Result<PullRequest, PushError> {
    let request = object(payload, "pullrequest", Place::field("pullrequest"))?;
    let side = |key: &str, path: &[&str]| request.field(key).and_then(|side| field::at(side, path));
    let place = Place::field("pullrequest.state");
    let closes = matches!(
        header(headers, "X-Event-Key"),
        Some("pullrequest:fulfilled" | "pullrequest:rejected")
    );
    let open = match field::required_text(request.field("state"), place)? {
        "OPEN" => !closes,
        "MERGED" | "DECLINED" | "SUPERSEDED" => false,
        _ => {
            return Err(PushError::WrongType {
                place,
                expected: "OPEN, MERGED, DECLINED or SUPERSEDED",
            });
        }
    };
    let (from, to) = (
        side("source", &["repository"]),
        side("destination", &["repository"]),
    );
    let source = Place::field("pullrequest.source.branch.name");
    let target = Place::field("pullrequest.destination.branch.name");
    Ok(PullRequest {
        sender: SenderFormat::BitbucketCloud,
        repository: bitbucket_cloud::repository(payload, limits)?,
        number: number(request.field("id"), Place::field("pullrequest.id"))?,
        open,
        title: shown(request.field("title"), limits),
        // Nicknames are neither unique nor lasting: they say nothing of who somebody is.
        author: field::person(request.field("author"), &["account_id", "uuid"], limits),
        source_branch: branch(side("source", &["branch", "name"]), source, limits)?,
        target_branch: branch(side("destination", &["branch", "name"]), target, limits)?,
        from_fork: !same(from, to, &[&["uuid"], &["full_name"]]),
        source_repository: shown(from.and_then(|one| one.field("full_name")), limits),
        head: full_id(side("source", &["commit", "hash"])),
        updated_ms: epoch_ms(request.field("updated_on")),
        actor: field::person(payload.field("actor"), &["nickname", "display_name"], limits),
    })
}
