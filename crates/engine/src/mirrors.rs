//! Runs mirrors: a repository that follows a remote is fetched, and what was pushed here goes on to its remotes.
//!
//! Nothing is handed over: each run compares refs, so it may end at any moment and begin anew. What a remote still lacks
//! is what the ledger has after the last entry that a run which went well began with.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use madake_domain::mirror::{MirrorDirection, refs_to_push, retry_after_ms};
use madake_domain::text::counted;
use madake_store::event::{self, Content, NewEvent, Via};
use madake_store::mirror::{self, Mirror, Ran};
use madake_store::repository::{self, Repository};
use madake_vcs::git::host::set_head_branch;
use madake_vcs::git::lfs::fetch::{fetch_history, push_history};
use madake_vcs::git::mirror::{MirrorError, RefScope, RemoteLimits, RemoteRefs, fetch_everything, ls_remote};
use madake_vcs::git::mirror_push::push;
use madake_vcs::git::read::refs::{RefList, list_refs};
use madake_vcs::name::{BranchName, ObjectId, RefName};
use madake_vcs::process::ProcessError;
use madake_vcs::url::{Credential, RepositoryUrl};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::heads::unreadable;
use crate::{Engine, EngineError, clock, lfs_content};

/// Remotes that are asked for their refs at once. One that hangs keeps its place until the time limit.
const LOOKS: usize = 64;
/// Mirrors that fetch or push at once.
const TRANSFERS: usize = 8;
/// How long a remote may take to tell its refs.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// The mirrors that run just now.
#[derive(Debug)]
pub(crate) struct MirrorRuns {
    running: Mutex<HashSet<i64>>,
    looks: Semaphore,
    transfers: Semaphore,
}

impl Default for MirrorRuns {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            looks: Semaphore::new(LOOKS),
            transfers: Semaphore::new(TRANSFERS),
        }
    }
}

impl MirrorRuns {
    fn running(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts runs that are due, and says when the next one is.
pub(crate) async fn run(engine: &Engine) -> Result<Option<Duration>, EngineError> {
    let mirrors = engine
        .store()
        .read(|tx| Ok::<_, EngineError>(mirror::all(tx)?))
        .await?;
    let now = clock::now_ms();
    let mut next: Option<i64> = None;
    for one in mirrors {
        if one.due_ms > now {
            next = Some(next.map_or(one.due_ms, |next| next.min(one.due_ms)));
            continue;
        }
        // One that runs rings the bell when it ends.
        if !engine.mirror_runs().running().insert(one.id) {
            continue;
        }
        let engine = engine.clone();
        engine.loops().clone().spawn(async move {
            let id = one.id;
            let ran = tokio::select! {
                () = engine.stopping().cancelled() => None,
                ran = attempt(&engine, &one) => ran,
            };
            engine.mirror_runs().running().remove(&id);
            if let Some(ran) = ran {
                let noted = engine
                    .store()
                    .write(move |tx| Ok::<_, EngineError>(mirror::note_run(tx, id, &ran, clock::now_ms())?))
                    .await;
                if let Err(error) = noted {
                    tracing::error!(
                        mirror = id,
                        "how mirror {id} ran could not be noted, so it runs again: {error}"
                    );
                }
            }
        });
    }
    Ok(next.map(|next| Duration::from_millis(u64::try_from(next - now).unwrap_or(0).max(1))))
}

async fn attempt(engine: &Engine, one: &Mirror) -> Option<Ran> {
    let began_ms = clock::now_ms();
    let id = one.repository_id;
    let found = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::by_id(tx, id)?))
        .await;
    let outcome = match found {
        Ok(Some(found)) => match one.direction {
            MirrorDirection::From => follow(engine, one, &found).await,
            MirrorDirection::To => push_on(engine, one, &found).await,
        },
        // It was removed, and the mirror with it.
        Ok(None) => return None,
        Err(error) => Err(error),
    };
    let who = format!("the mirror of {} {} {}", one.repository, one.direction, one.url);
    match &outcome {
        Ok(_) if one.failures > 0 => tracing::info!(mirror = one.id, "{who} works again"),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            mirror = one.id,
            failures = one.failures + 1,
            "{who} failed and is tried again: {error}"
        ),
    }
    let failures = u32::try_from(one.failures + 1).unwrap_or(u32::MAX);
    let rest_ms = match &outcome {
        Ok(_) => one.period_ms,
        Err(_) => retry_after_ms(failures),
    };
    Some(Ran {
        began_ms,
        due_ms: clock::now_ms().saturating_add(rest_ms),
        outcome: outcome.map_err(|error| error.to_string()),
    })
}

async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, EngineError> {
    let place = places.acquire().await;
    place.map_err(|error| EngineError::Internal(error.to_string()))
}

/// Asks the remote for its refs. It may be one that never answers, for which transfers are not to wait.
async fn look(
    engine: &Engine,
    one: &Mirror,
    url: &RepositoryUrl,
    credential: Option<&Credential>,
    scope: RefScope,
) -> Result<RemoteRefs, EngineError> {
    let _place = place(&engine.mirror_runs().looks).await?;
    let limits = RemoteLimits {
        timeout: LOOK_LIMIT,
        ..RemoteLimits::default()
    };
    ls_remote(engine.git(), url, credential, scope, &limits)
        .await
        .map_err(|error| failed(one, &error))
}

/// Fetches, and enters what moved in the ledger, as a push is.
async fn follow(engine: &Engine, one: &Mirror, found: &Repository) -> Result<i64, EngineError> {
    let (url, credential) = remote_of(engine, one)?;
    let limits = RemoteLimits::default();
    let remote = look(engine, one, &url, credential.as_ref(), RefScope::Everything).await?;
    let _place = place(&engine.mirror_runs().transfers).await?;
    let path = Path::new(&found.path);
    // Reconciliation keeps away: what moves here is entered below.
    let moving = engine.begin_push(found.id);
    let here = branches_and_tags(&list_refs(engine.git(), path).await.map_err(unreadable)?);
    let there = branches_and_tags(&remote.list);
    if one.prune && there.is_empty() && !here.is_empty() {
        return Err(EngineError::Unavailable(format!(
            "{} has no branch and no tag: nothing is removed here until it has one again, or the mirror is ended",
            one.url
        )));
    }
    let plan = refs_to_push(&there, &here, &BTreeSet::new(), one.prune);
    if !plan.is_empty() || remote.list.truncated {
        fetch_everything(engine.git(), path, &url, credential.as_ref(), one.prune, &limits)
            .await
            .map_err(|error| failed(one, &error))?;
    }
    follow_head(engine, found, &remote).await?;
    // Also what an earlier run fetched that ended before it could say so.
    let id = found.id;
    let known = engine.store().read(move |tx| repository::refs(tx, id)).await?;
    let read = engine.refs(found).await?;
    let updates = read.moved_since(&known);
    let large = match one.failures {
        0 => tips(
            updates
                .iter()
                .filter_map(|update| Some((&update.name, update.new.as_ref()?))),
        ),
        // The content may be what failed.
        _ => tips(&read.refs),
    };
    let large = large_files(engine, path, large).await;
    let content = if large.is_empty() {
        Ok(())
    } else {
        fetch_history(engine.git(), path, &url, credential.as_ref(), &large, &limits).await
    };
    if !updates.is_empty() {
        let count = updates.len();
        let new = NewEvent {
            kind: "mirror",
            delivery_id: None,
            address: String::new(),
            principal: "mirror".into(),
            repository_id: Some(found.id),
            plan_key: None,
            summary: format!(
                "{} of {} were fetched from {}",
                counted(count, "ref"),
                found.name,
                one.url
            ),
            raw: Vec::new(),
            content: Content::Push {
                via: Via::Mirror,
                updates,
                pusher: None,
                options: Vec::new(),
            },
        };
        engine
            .store()
            .write(move |tx| event::receive(tx, new, clock::now_ms()))
            .await?;
        tracing::info!(repository = %found.name, refs = count, "{} of {} were fetched from {}", counted(count, "ref"), found.name, one.url);
    }
    drop(moving);
    content.map(|()| 0).map_err(|error| without_content(one, &error))
}

/// The branch that the remote calls its default is the default here.
async fn follow_head(engine: &Engine, found: &Repository, remote: &RemoteRefs) -> Result<(), EngineError> {
    let Some(branch) = remote.head.as_ref().and_then(RefName::branch) else {
        return Ok(());
    };
    let name = branch.to_string();
    if name == found.default_branch {
        return Ok(());
    }
    let branch = BranchName::parse(&name).map_err(|error| EngineError::Internal(error.to_string()))?;
    set_head_branch(engine.git(), Path::new(&found.path), &branch)
        .await
        .map_err(unreadable)?;
    let id = found.id;
    engine
        .store()
        .write(move |tx| repository::set_default_branch(tx, id, &name))
        .await?;
    Ok(())
}

/// Pushes what the remote lacks; gives the last entry of the ledger whose refs it has now.
async fn push_on(engine: &Engine, one: &Mirror, found: &Repository) -> Result<i64, EngineError> {
    let (url, credential) = remote_of(engine, one)?;
    let limits = RemoteLimits::default();
    let (id, synced) = (found.id, one.synced_event_id);
    // Before the refs are read: what comes later may or may not be among them, and is looked at again.
    let (newest, moved) = engine
        .store()
        .read(move |tx| {
            let newest = mirror::newest_event(tx, id)?;
            Ok::<_, EngineError>((newest, mirror::moved_between(tx, id, synced, newest)?))
        })
        .await?;
    let remote = look(engine, one, &url, credential.as_ref(), RefScope::BranchesAndTags).await?;
    let _place = place(&engine.mirror_runs().transfers).await?;
    let path = Path::new(&found.path);
    let here = branches_and_tags(&list_refs(engine.git(), path).await.map_err(unreadable)?);
    if remote.list.truncated {
        return Err(EngineError::Unavailable(format!(
            "{} has more than {} refs, which are more than are compared",
            one.url, limits.max_refs
        )));
    }
    let gone: BTreeSet<String> = moved.into_iter().map(|update| update.name).collect();
    let plan = refs_to_push(&here, &branches_and_tags(&remote.list), &gone, one.prune);
    let large = match one.failures {
        0 => tips(
            plan.update
                .iter()
                .filter_map(|name| Some((name, here.get(name)?))),
        ),
        // The content may be what failed.
        _ => tips(&here),
    };
    let large = large_files(engine, path, large).await;
    // Content first, as git-lfs does: some servers refuse pointers to what they do not have.
    let content = if large.is_empty() {
        Ok(())
    } else {
        push_history(engine.git(), path, &url, credential.as_ref(), &large, &limits).await
    };
    let content = content.map_err(|error| without_content(one, &error));
    if plan.is_empty() {
        return content.map(|()| newest);
    }
    let names = |names: &[String]| -> Vec<RefName> {
        names
            .iter()
            .filter_map(|name| RefName::parse(name).ok())
            .collect()
    };
    let (update, delete) = (names(&plan.update), names(&plan.delete));
    push(
        engine.git(),
        path,
        &url,
        credential.as_ref(),
        (&update, &delete),
        &limits,
    )
    .await
    .map_err(|error| failed(one, &error))?;
    tracing::info!(
        repository = %found.name,
        moved = update.len(),
        deleted = delete.len(),
        "pushed {} to {}: {} moved, {} deleted",
        found.name,
        one.url,
        counted(update.len(), "ref"),
        delete.len()
    );
    content.map(|()| newest)
}

/// Names of refs with the commits or tags that they are at.
fn tips<'a>(refs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<(RefName, ObjectId)> {
    refs.into_iter()
        .filter_map(|(name, id)| Some((RefName::parse(name).ok()?, ObjectId::parse(id).ok()?)))
        .collect()
}

/// Those of the refs that have files in Git LFS.
async fn large_files(engine: &Engine, path: &Path, tips: Vec<(RefName, ObjectId)>) -> Vec<RefName> {
    let mut large = Vec::new();
    if lfs_content::is_moved(engine) {
        for (name, id) in tips {
            if lfs_content::has_large_files(engine, path, &id).await {
                large.push(name);
            }
        }
    }
    large
}

fn without_content(one: &Mirror, error: &ProcessError) -> EngineError {
    EngineError::Unavailable(format!(
        "{}: the refs are equal, and content of Git LFS is missing: {error}",
        one.url
    ))
}

/// Full names to ids, of tags to that of the tag itself.
fn branches_and_tags(list: &RefList) -> BTreeMap<String, String> {
    list.refs
        .iter()
        .map(|one| (one.name.to_string(), one.id.to_string()))
        .filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        .collect()
}

fn remote_of(engine: &Engine, one: &Mirror) -> Result<(RepositoryUrl, Option<Credential>), EngineError> {
    // The policy may have changed since the mirror was made.
    let url = RepositoryUrl::parse(&one.url, engine.url_policy())
        .map_err(|error| EngineError::Unavailable(error.to_string()))?;
    let Some(sealed) = &one.credential else {
        return Ok((url, None));
    };
    let opened = engine
        .sealer()
        .open_sealed(&mirror::credential_place(one.id), sealed)?;
    let text = String::from_utf8_lossy(&opened).into_owned();
    let (username, password) = text.split_once('\0').unwrap_or((&text, ""));
    let credential = Credential::new(username, password)
        .map_err(|error| EngineError::Internal(format!("the stored credential cannot be used: {error}")))?;
    Ok((url, Some(credential)))
}

fn failed(one: &Mirror, error: &MirrorError) -> EngineError {
    EngineError::Unavailable(format!("{}: {error}", one.url))
}
