//! Bodies of the webhooks of Bitbucket Data Center: `repo:refs_changed`, and the connection test
//! (push-payloads.md B.2, B.3).

use serde::Serialize;

use super::facts::{AccountFacts, CommitFacts, Moment, PersonFacts, PushFacts, RefMove};
use super::links::Links;
use super::selection::{Told, commit_at, deliveries, first};
use super::server_shape::{self, Members, Repository, ShortCommit, User};
use super::settings::{DcVersion, Settings};
use super::{JSON_UTF_8, Rendered, clock, writer};
use crate::object_id::ObjectIdText;
use crate::push::RefKind;

/// The default of the original (B.3).
const COMMITS: usize = 5;
const SHORT_ID_DIGITS: usize = 11;
const EVENT_KEY: &str = "X-Event-Key";
const REFS_CHANGED: &str = "repo:refs_changed";

pub(super) fn render(facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
    let anonymous = AccountFacts::anonymous();
    let version = settings.dc_version;
    let shape = Shape::new(facts, version);
    let actor = facts.pusher.as_ref().unwrap_or(&anonymous);
    // `ref.type` knows nothing but branches and tags.
    deliveries(facts, settings.delivery_per_ref, |moved| {
        moved.kind != RefKind::Other
    })
    .iter()
    .map(|told| {
        let tells_commits = version >= DcVersion::V9 && !told.only_deletes();
        let limit = settings.commits.unwrap_or(COMMITS);
        let body = Body {
            event_key: REFS_CHANGED,
            date: clock::offset_without_colon(facts.pushed_at),
            actor: User::new(actor, shape.links, shape.members),
            repository: Repository::new(&facts.server, &facts.repository, shape.members),
            changes: changes(told),
            commits: tells_commits.then(|| {
                let (listed, _) = first(&told.commits, limit);
                listed
                    .iter()
                    .map(|commit| shape.commit(commit, Parents::Short))
                    .collect()
            }),
            to_commit: told
                .refs
                .iter()
                .find_map(|moved| commit_at(facts, moved.tip).filter(|_| moved.new.is_some()))
                .filter(|_| tells_commits)
                .map(|commit| shape.commit(commit, Parents::Full)),
        };
        Rendered {
            content_type: JSON_UTF_8,
            headers: vec![(EVENT_KEY, REFS_CHANGED.to_owned())],
            body: writer::compact(&body),
        }
    })
    .collect()
}

/// The connection test; it is never signed.
pub(super) fn ping() -> Rendered {
    Rendered {
        content_type: JSON_UTF_8,
        headers: vec![(EVENT_KEY, "diagnostics:ping".to_owned())],
        body: br#"{"test": true}"#.to_vec(),
    }
}

fn changes(told: &Told<'_>) -> Vec<Change> {
    let change = |moved: &&RefMove| {
        let (from_hash, to_hash) = moved.hashes();
        Some(Change {
            r#ref: Ref {
                id: moved.git_name(),
                display_id: moved.name.clone(),
                r#type: if moved.is_tag() { "TAG" } else { "BRANCH" },
            },
            ref_id: moved.git_name(),
            from_hash,
            to_hash,
            r#type: server_shape::action_name(moved.action()?),
        })
    };
    told.refs.iter().filter_map(change).collect()
}

/// One commit, as the REST interface shows it too.
pub(super) fn commit<'f>(
    facts: &'f PushFacts,
    commit: &'f CommitFacts,
    full_parents: bool,
) -> impl Serialize + use<'f> {
    let parents = if full_parents {
        Parents::Full
    } else {
        Parents::Short
    };
    Shape::new(facts, DcVersion::V9).commit(commit, parents)
}

struct Shape<'f> {
    facts: &'f PushFacts,
    links: Links<'f>,
    version: DcVersion,
    members: Members,
}

/// How the parents of a commit are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parents {
    /// By their ids.
    Short,
    /// As commits, where they are known: `toCommit` alone.
    Full,
}

impl<'f> Shape<'f> {
    fn new(facts: &'f PushFacts, version: DcVersion) -> Self {
        Self {
            facts,
            links: Links::new(&facts.server, &facts.repository),
            version,
            members: Members {
                is_personal: false,
                links: version >= DcVersion::V6,
                recent: version >= DcVersion::V9,
            },
        }
    }

    fn commit(&self, commit: &'f CommitFacts, parents: Parents) -> Commit<'f> {
        Commit {
            ids: ShortCommit::new(&commit.id, SHORT_ID_DIGITS),
            author: self.person(&commit.author),
            author_timestamp: self.time(commit.authored),
            committer: self.person(&commit.committer),
            committer_timestamp: self.time(commit.committed),
            message: server_shape::message(&commit.message),
            parents: commit.parents.iter().map(|id| self.parent(id, parents)).collect(),
        }
    }

    fn parent(&self, id: &'f ObjectIdText, parents: Parents) -> Parent<'f> {
        let known = self.facts.commits.iter().find(|commit| commit.id == *id);
        match known.filter(|_| parents == Parents::Full) {
            Some(commit) => Parent::Full(Box::new(self.commit(commit, Parents::Short))),
            None => Parent::Short(ShortCommit::new(id, SHORT_ID_DIGITS)),
        }
    }

    fn person(&self, person: &'f PersonFacts) -> Person<'f> {
        match &person.account {
            Some(account) => Person::Known(User::new(account, self.links, self.members)),
            None => Person::Stranger {
                name: &person.name,
                email_address: &person.email,
            },
        }
    }

    fn time(&self, moment: Moment) -> Time {
        if self.version >= DcVersion::V10 {
            Time::Text(clock::utc_with_milliseconds(moment.ms))
        } else {
            Time::Milliseconds(moment.ms)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'f> {
    event_key: &'static str,
    date: String,
    actor: User<'f>,
    repository: Repository<'f>,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<Vec<Commit<'f>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_commit: Option<Commit<'f>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    r#ref: Ref,
    ref_id: String,
    from_hash: String,
    to_hash: String,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ref {
    id: String,
    display_id: String,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Commit<'f> {
    #[serde(flatten)]
    ids: ShortCommit<'f>,
    author: Person<'f>,
    author_timestamp: Time,
    committer: Person<'f>,
    committer_timestamp: Time,
    message: &'f str,
    parents: Vec<Parent<'f>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Parent<'f> {
    Short(ShortCommit<'f>),
    Full(Box<Commit<'f>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Person<'f> {
    Known(User<'f>),
    #[serde(rename_all = "camelCase")]
    Stranger {
        name: &'f str,
        email_address: &'f str,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Time {
    Milliseconds(i64),
    Text(String),
}
