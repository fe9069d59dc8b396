//! Repositories, commits and changes as the REST interfaces of Bitbucket answer with them: the objects of webhook
//! bodies, each on its own, so that a receiver that calls back reads what it was told.

use serde::Serialize;
use serde_json::Value;

use super::facts::{FileChange, PushFacts, RefMove, RepositoryFacts, ServerFacts};
use super::server_shape::{Members, Repository};
use super::{bitbucket_cloud, bitbucket_dc, post_receive};
use crate::object_id::ObjectIdText;

/// A repository as Bitbucket Server shows it (push-payloads.md A.3, B.3).
pub fn server_repository(server: &ServerFacts, repository: &RepositoryFacts) -> Value {
    let members = Members {
        is_personal: false,
        links: true,
        recent: true,
    };
    value(&Repository::new(server, repository, members))
}

/// A commit as Bitbucket Server shows it; `None` where there is none at that place of [`PushFacts::commits`]. With
/// `full_parents`, parents that are among the commits are shown as commits.
pub fn server_commit(facts: &PushFacts, place: usize, full_parents: bool) -> Option<Value> {
    let commit = facts.commits.get(place)?;
    Some(value(&bitbucket_dc::commit(facts, commit, full_parents)))
}

/// A changed path as Bitbucket Server shows it, with a link into the commit `id`.
pub fn server_change(
    server: &ServerFacts,
    repository: &RepositoryFacts,
    id: &ObjectIdText,
    file: &FileChange,
) -> Value {
    value(&post_receive::change(server, repository, id, file))
}

/// A path as Bitbucket Server takes it apart: `{components, parent, name, extension, toString}`. The root has no
/// components and an empty name.
pub fn server_path(path: &str) -> Value {
    if path.is_empty() {
        return serde_json::json!({ "components": [], "name": "", "toString": "" });
    }
    value(&post_receive::Path::new(path))
}

/// A repository as Bitbucket Cloud shows it (push-payloads.md C.4), with the members that only its REST interface has.
pub fn cloud_repository(facts: &PushFacts) -> Value {
    value(&bitbucket_cloud::repository(facts))
}

/// A commit as Bitbucket Cloud shows it; `None` where there is none at that place.
pub fn cloud_commit(facts: &PushFacts, place: usize) -> Option<Value> {
    let commit = facts.commits.get(place)?;
    Some(value(&bitbucket_cloud::commit(facts, commit)))
}

/// Where a ref points, as Bitbucket Cloud shows it: `{type, name, links, target}`.
pub fn cloud_ref(facts: &PushFacts, moved: &RefMove) -> Option<Value> {
    bitbucket_cloud::current_state(facts, moved).map(|state| value(&state))
}

fn value(shape: &impl Serialize) -> Value {
    serde_json::to_value(shape).expect("bodies have text keys")
}
