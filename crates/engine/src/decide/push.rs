//! Arrivals that name refs: a push to a repository, and what reconciliation found.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use madake_domain::change::{MovedRef, RefKind, Revision, Source};
use madake_domain::condition::Person;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::event::{Event, RefUpdate, Via};
use madake_store::repository::{self, Repository};
use madake_vcs::git::host::set_head_branch;
use madake_vcs::name::{BranchName, ObjectId};

use super::judge::{Asked, AskedNews, judge};
use super::record::store;
use super::tags::new_tags;
use super::{close, plans_of, repository_of, verdict};
use crate::heads::RefsRead;
use crate::listening::moved;
use crate::reading::{Named, named, refs_of_branch};
use crate::{Engine, EngineError, clock, specs, telling};

pub(super) fn push_asked(
    found: &Repository,
    via: Via,
    moved: Vec<MovedRef>,
    current_heads: BTreeMap<String, Option<Revision>>,
    pusher: Option<&str>,
) -> Asked {
    Asked {
        source: Source::Push,
        news: AskedNews::Moved(moved),
        current_heads,
        pusher: pusher.map(|name| Person {
            name: name.to_owned(),
            email: None,
        }),
        // A reconciliation finds what nobody told us of; without our hook it is no call of the repository's host.
        remote_counts: found.kind == RepositoryKind::Hosted
            || (found.kind == RepositoryKind::Attached && found.hook_installed),
        pushes_known: found.pushes_known() || via == Via::Reconciliation,
        tags: Vec::new(),
        received_ms: clock::now_ms(),
        only: None,
    }
}

/// A push that was not told by a webhook: to us, to an attached repository, or found by reconciliation.
pub(super) async fn push(
    engine: &Engine,
    event: &Event,
    via: Via,
    updates: &[RefUpdate],
    pusher: Option<&str>,
) -> Result<(), EngineError> {
    let Some(found) = repository_of(engine, event).await? else {
        return close(engine, event, "the repository is gone").await;
    };
    let found = follow_default_branch(engine, found, updates).await?;
    // A linked repository is elsewhere: what is really there is read.
    let read = if found.kind == RepositoryKind::Linked {
        Some(engine.refs_since(&found, event.received_ms).await?)
    } else {
        None
    };
    // All that is read is remembered: what has moved since these refs were found is news with them.
    let since = match &read {
        Some(read) => moved::since_last_look(engine, &found, read).await?,
        None => Vec::new(),
    };
    let updates = &followed_by(updates, since)[..];
    apply_plan_files(engine, event, &found, updates, read.as_ref()).await?;
    let beside = beside_bookmarks(engine, &found, updates, read.as_ref()).await?;
    let (moved, mut current_heads) = as_news(&found, updates, read.as_ref(), &beside);
    if read.is_none() {
        add_late_heads(engine, &found, updates, &mut current_heads).await?;
    }
    let plan_ids = plans_of(engine, found.id).await?;
    let asked = Asked {
        tags: new_tags(&found, updates),
        received_ms: event.received_ms,
        ..push_asked(&found, via, moved, current_heads, pusher)
    };
    let judged = judge(engine, Some(&found), plan_ids, &asked).await?;
    let told = telling::prepare(engine, event, &found, updates, pusher).await?;
    store(
        engine,
        vec![verdict(event, judged, told)],
        Some(&found),
        read.as_ref(),
    )
    .await
}

/// Refs that moved, and what moved after them. A ref that moved twice went from where it was first to where it is; one
/// that was deleted first was made anew.
fn followed_by(updates: &[RefUpdate], later: Vec<RefUpdate>) -> Vec<RefUpdate> {
    let mut all = updates.to_vec();
    let places: HashMap<&str, usize> = updates
        .iter()
        .enumerate()
        .filter(|(_, one)| one.new.is_some())
        .map(|(place, one)| (one.name.as_str(), place))
        .collect();
    for one in later {
        match places.get(one.name.as_str()) {
            Some(place) => all[*place].new = one.new,
            None => all.push(one),
        }
    }
    all
}

/// Gives an empty hosted repository the branch that was pushed first as its default branch, as the hosts that
/// people know do.
pub(super) async fn follow_default_branch(
    engine: &Engine,
    mut found: Repository,
    updates: &[RefUpdate],
) -> Result<Repository, EngineError> {
    if found.kind != RepositoryKind::Hosted
        || engine
            .current_head(&found, &found.default_branch)
            .await?
            .is_some()
    {
        return Ok(found);
    }
    let made: Vec<String> = updates
        .iter()
        .filter(|update| update.new.is_some())
        .filter_map(|update| match named(found.scm, &update.name) {
            Named::Branch(name) => Some(name),
            Named::Bookmark(_) | Named::Tag(_) | Named::Other => None,
        })
        .collect();
    let preferred = made
        .iter()
        .find(|name| ["main", "master"].contains(&name.as_str()));
    let Some(branch) = preferred.or(made.first()).cloned() else {
        return Ok(found);
    };
    if found.scm == Scm::Git {
        let name = BranchName::parse(&branch).map_err(|error| EngineError::Invalid(error.to_string()))?;
        set_head_branch(engine.git(), Path::new(&found.path), &name)
            .await
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    }
    let (id, name) = (found.id, branch.clone());
    engine
        .store()
        .write(move |tx| repository::set_default_branch(tx, id, &name))
        .await?;
    found.default_branch = branch;
    Ok(found)
}

/// Puts plan files in force that the default branch brings, before anything is decided; says whether it did.
pub(super) async fn apply_plan_files(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> Result<bool, EngineError> {
    let names = refs_of_branch(found.scm, &found.default_branch);
    let moved = |name: &String| updates.iter().find(|update| update.name == *name);
    let Some(update) = names.iter().find_map(moved) else {
        return Ok(false);
    };
    let newest = match read {
        Some(read) => read.head(&found.default_branch).cloned(),
        // A bookmark may have the name of a branch, which then counts.
        None if Some(&update.name) != names.first() => {
            engine.local_head(found, &found.default_branch).await?
        }
        None => update.new.clone(),
    };
    let parse = |id: &Option<String>| id.as_deref().and_then(|id| ObjectId::parse(id).ok());
    let Some(new) = parse(&newest) else {
        return Ok(false);
    };
    let folder = specs::folder_state(engine, found, &new).await?;
    if !found.specs_enabled {
        return Ok(false);
    }
    if let Some(old) = parse(&update.old)
        && engine.open_repository(found)?.exists(&old).await?
        && specs::folder_state(engine, found, &old).await? == folder
        && !specs::findings::had_errors(engine, found).await?
    {
        return Ok(false);
    }
    specs::apply::default_branch(engine, found, &new, Some(event.id)).await?;
    Ok(true)
}

/// For a push that was told late, after the ledger had gone on: where the branch is, so that what it brought is
/// recorded as superseded and does not take the branch back.
async fn add_late_heads(
    engine: &Engine,
    found: &Repository,
    updates: &[RefUpdate],
    current_heads: &mut BTreeMap<String, Option<Revision>>,
) -> Result<(), EngineError> {
    let (id, moved) = (found.id, updates.to_vec());
    let late = engine
        .store()
        .read(move |tx| {
            let mut late = Vec::new();
            for update in moved {
                let known = repository::ref_value(tx, id, &update.name)?;
                if known != update.new {
                    late.push((update.name, known));
                }
            }
            Ok::<_, EngineError>(late)
        })
        .await?;
    for (name, known) in late {
        if let Named::Branch(branch) | Named::Bookmark(branch) = named(found.scm, &name) {
            current_heads.insert(branch, known.as_deref().and_then(Revision::new));
        }
    }
    Ok(())
}

/// The refs that say whether a bookmark that moved has the name of a branch.
async fn beside_bookmarks(
    engine: &Engine,
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
) -> Result<BTreeMap<String, String>, EngineError> {
    if let Some(read) = read {
        return Ok(read.refs.clone());
    }
    let branches: Vec<String> = updates
        .iter()
        .filter_map(|update| match named(found.scm, &update.name) {
            Named::Bookmark(name) => refs_of_branch(found.scm, &name).into_iter().next(),
            Named::Branch(_) | Named::Tag(_) | Named::Other => None,
        })
        .collect();
    if branches.is_empty() {
        return Ok(BTreeMap::new());
    }
    engine.open_repository(found)?.refs_named(&branches).await
}

/// What moved, as the judge has it, and where these branches are now. `beside` holds at least the branches that have
/// the name of a bookmark.
pub(super) fn as_news(
    found: &Repository,
    updates: &[RefUpdate],
    read: Option<&RefsRead>,
    beside: &BTreeMap<String, String>,
) -> (Vec<MovedRef>, BTreeMap<String, Option<Revision>>) {
    let revision = |id: &Option<String>| id.as_deref().and_then(Revision::new);
    let mut current = BTreeMap::new();
    let moved = updates
        .iter()
        .map(|update| {
            let hidden = |name: &str| {
                let branch = refs_of_branch(found.scm, name).into_iter().next();
                branch.is_some_and(|branch| beside.contains_key(&branch))
            };
            let (kind, name) = match named(found.scm, &update.name) {
                Named::Branch(name) => (RefKind::Branch, name),
                Named::Bookmark(name) if !hidden(&name) => (RefKind::Branch, name),
                Named::Tag(name) => (RefKind::Tag, name),
                Named::Bookmark(_) | Named::Other => (RefKind::Other, update.name.clone()),
            };
            if let (RefKind::Branch, Some(read)) = (kind, read) {
                current.insert(name.clone(), read.head(&name).and_then(|id| Revision::new(id)));
            }
            MovedRef {
                kind,
                name,
                old: revision(&update.old),
                new: revision(&update.new),
            }
        })
        .collect();
    (moved, current)
}
