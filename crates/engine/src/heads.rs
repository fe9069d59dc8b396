//! Where branches are: read from hosted and attached repositories on this machine, asked of the host of linked
//! ones. However many plans and callers want to know, a host is asked once at a time, and who waits shares.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use madake_domain::repository::RepositoryKind;
use madake_store::Millis;
use madake_store::event::RefUpdate;
use madake_store::plan::PlanRepositoryRow;
use madake_store::repository::{self, Repository};
use madake_vcs::git::mirror::{RefScope, RemoteLimits, fetch, ls_remote};
use madake_vcs::git::read::refs::{RefList, list_refs, read_ref};
use madake_vcs::name::{BranchName, ObjectId, RefName};
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};

use crate::enqueue::RequestedRevision;
use crate::{Engine, EngineError, clock};

/// The refs of a repository as they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefsRead {
    /// Full names of branches and tags to object ids.
    pub(crate) refs: BTreeMap<String, String>,
    /// Nothing was left out.
    pub(crate) complete: bool,
}

impl RefsRead {
    /// What is different from what was known.
    pub(crate) fn moved_since(&self, known: &BTreeMap<String, String>) -> Vec<RefUpdate> {
        let mut updates: Vec<RefUpdate> = self
            .refs
            .iter()
            .filter(|(name, new)| known.get(*name) != Some(new))
            .map(|(name, new)| RefUpdate {
                name: name.clone(),
                old: known.get(name).cloned(),
                new: Some(new.clone()),
            })
            .collect();
        if self.complete {
            let gone = known.iter().filter(|(name, _)| !self.refs.contains_key(*name));
            updates.extend(gone.map(|(name, old)| RefUpdate {
                name: name.clone(),
                old: Some(old.clone()),
                new: None,
            }));
        }
        updates
    }

    /// Branch names to object ids.
    pub(crate) fn heads(&self) -> BTreeMap<String, String> {
        let branch =
            |(name, id): (&String, &String)| Some((name.strip_prefix("refs/heads/")?.to_owned(), id.clone()));
        self.refs.iter().filter_map(branch).collect()
    }
}

/// The last look at each linked repository.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    looks: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<Option<Look>>>>>,
}

#[derive(Debug, Clone)]
struct Look {
    began_ms: Millis,
    read: RefsRead,
}

/// Linked repositories that were asked in the course of one decision.
#[derive(Debug, Default)]
pub(crate) struct Looked(HashMap<i64, RefsRead>);

/// Where the credential of a linked repository is sealed for.
pub(crate) fn credential_place(repository_id: i64) -> String {
    format!("repository.credential:{repository_id}")
}

impl Engine {
    /// What the settings allow of repository addresses.
    pub(crate) fn url_policy(&self) -> UrlPolicy {
        UrlPolicy {
            allow_local_paths: self.settings().local_repositories,
            allow_private_hosts: self.settings().private_repositories,
        }
    }

    /// All branches and tags of a repository. The host of a linked one is asked, and our mirror brought up to date.
    pub(crate) async fn refs(&self, repository: &Repository) -> Result<RefsRead, EngineError> {
        self.refs_since(repository, clock::now_ms()).await
    }

    /// As [`Self::refs`], where a look at a linked repository that began after the moment will do: it saw all that
    /// an arrival of that moment can be about. A thousand webhooks of one repository share a few looks.
    pub(crate) async fn refs_since(
        &self,
        repository: &Repository,
        moment: Millis,
    ) -> Result<RefsRead, EngineError> {
        match repository.kind {
            RepositoryKind::Hosted | RepositoryKind::Attached => {
                local_refs(self, Path::new(&repository.path)).await
            }
            RepositoryKind::Linked => self.refresh(repository, moment).await,
        }
    }

    /// Where one branch is, or `None` when there is no such branch.
    pub(crate) async fn current_head(
        &self,
        repository: &Repository,
        branch: &str,
    ) -> Result<Option<String>, EngineError> {
        match repository.kind {
            RepositoryKind::Hosted | RepositoryKind::Attached => self.local_head(repository, branch).await,
            RepositoryKind::Linked => Ok(self
                .refresh(repository, clock::now_ms())
                .await?
                .refs
                .remove(&format!("refs/heads/{branch}"))),
        }
    }

    /// As [`Self::current_head`], where the host of a linked repository is asked once for everything that shares
    /// `looked`.
    pub(crate) async fn head_looked_up(
        &self,
        repository: &Repository,
        branch: &str,
        looked: &mut Looked,
    ) -> Result<Option<String>, EngineError> {
        if repository.kind != RepositoryKind::Linked {
            return self.local_head(repository, branch).await;
        }
        let read = match looked.0.entry(repository.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(self.refresh(repository, clock::now_ms()).await?),
        };
        Ok(read.refs.get(&format!("refs/heads/{branch}")).cloned())
    }

    /// Where one branch is in what we have on this machine; nobody is asked.
    pub(crate) async fn local_head(
        &self,
        repository: &Repository,
        branch: &str,
    ) -> Result<Option<String>, EngineError> {
        let Ok(name) = BranchName::parse(branch) else {
            return Ok(None);
        };
        let found = read_ref(self.git(), Path::new(&repository.path), &name.ref_name()).await;
        Ok(found.map_err(unreadable)?.map(|id| id.to_string()))
    }

    /// Where refs of a repository on this machine are now; those that cannot be read are left out.
    pub(crate) async fn current_refs(
        &self,
        repository: &Repository,
        updates: &[RefUpdate],
    ) -> BTreeMap<String, Option<String>> {
        let mut current = BTreeMap::new();
        for update in updates {
            let Ok(name) = RefName::parse(&update.name) else {
                continue;
            };
            if let Ok(found) = read_ref(self.git(), Path::new(&repository.path), &name).await {
                current.insert(update.name.clone(), found.map(|id| id.to_string()));
            }
        }
        current
    }

    /// The full id of a commit that `text` names (an id, a branch or a tag), if the repository has it.
    pub(crate) async fn resolve_revision(
        &self,
        revision: &RequestedRevision,
        text: &str,
    ) -> Result<Option<String>, EngineError> {
        let Some(id) = revision.repository_id else {
            return Ok(None);
        };
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(repository::by_id(tx, id)?))
            .await?;
        let Some(found) = found else { return Ok(None) };
        let path = self.local_path(&found);
        let named = match ObjectId::parse(text) {
            Ok(id) => Some(id),
            Err(_) => {
                let mut known = None;
                for name in [
                    format!("refs/heads/{text}"),
                    format!("refs/tags/{text}"),
                    text.to_owned(),
                ] {
                    if let Ok(name) = RefName::parse(&name)
                        && let Some(id) = read_ref(self.git(), &path, &name).await.map_err(unreadable)?
                    {
                        known = Some(id);
                        break;
                    }
                }
                known
            }
        };
        match named {
            Some(id) => Ok(self
                .reader()
                .peel_to_commit(&path, &id)
                .await
                .ok()
                .map(|id| id.to_string())),
            None => Ok(None),
        }
    }

    /// The repository that a plan's row points at, by id, or by a name that has come to be known since.
    pub(crate) async fn repository_of(
        &self,
        row: &PlanRepositoryRow,
    ) -> Result<Option<Repository>, EngineError> {
        let row = row.clone();
        let found = self.store().read(move |tx| match row.repository_id {
            Some(id) => repository::by_id(tx, id),
            None => repository::by_name(tx, &row.name),
        });
        Ok(found.await?)
    }

    async fn refresh(&self, repository: &Repository, moment: Millis) -> Result<RefsRead, EngineError> {
        let slot = {
            let mut looks = self
                .refreshes()
                .looks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(looks.entry(repository.id).or_default())
        };
        let mut last = slot.lock().await;
        // A look that began later than the moment saw all that is to be seen.
        if let Some(look) = last.as_ref().filter(|look| look.began_ms > moment) {
            return Ok(look.read.clone());
        }
        let began_ms = clock::now_ms();
        let outcome = self.look(repository, last.as_ref().map(|look| &look.read)).await;
        let problem = outcome.as_ref().err().map(ToString::to_string);
        let id = repository.id;
        if problem.is_some() || repository.problem.is_some() || repository.last_checked_ms.is_none() {
            self.store()
                .write(move |tx| repository::note_checked(tx, id, problem.as_deref(), clock::now_ms()))
                .await?;
        }
        let read = outcome?;
        *last = Some(Look {
            began_ms,
            read: read.clone(),
        });
        Ok(read)
    }

    async fn look(
        &self,
        repository: &Repository,
        before: Option<&RefsRead>,
    ) -> Result<RefsRead, EngineError> {
        let url = RepositoryUrl::parse(&repository.url, self.url_policy())
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let credential = self.credential(repository)?;
        let limits = RemoteLimits::default();
        let asked = ls_remote(
            self.git(),
            &url,
            credential.as_ref(),
            RefScope::BranchesAndTags,
            &limits,
        )
        .await
        .map_err(|error| EngineError::Unavailable(format!("{} cannot be read: {error}", repository.name)))?;
        let read = collect(&asked.list);
        let mirror = Path::new(&repository.path);
        let up_to_date = match before {
            Some(before) => before.refs == read.refs,
            None => mirror.join("HEAD").is_file() && local_refs(self, mirror).await?.refs == read.refs,
        };
        if !up_to_date {
            fetch(self.git(), mirror, &url, credential.as_ref(), &[], &limits)
                .await
                .map_err(|error| {
                    EngineError::Unavailable(format!("{} cannot be fetched: {error}", repository.name))
                })?;
        }
        Ok(read)
    }

    fn credential(&self, repository: &Repository) -> Result<Option<Credential>, EngineError> {
        let Some(sealed) = &repository.credential else {
            return Ok(None);
        };
        let opened = self
            .sealer()
            .open_sealed(&credential_place(repository.id), sealed)?;
        let text = String::from_utf8_lossy(&opened).into_owned();
        let (username, password) = text.split_once('\0').unwrap_or((&text, ""));
        Credential::new(username, password)
            .map(Some)
            .map_err(|error| EngineError::Internal(format!("the stored credential cannot be used: {error}")))
    }
}

async fn local_refs(engine: &Engine, path: &Path) -> Result<RefsRead, EngineError> {
    Ok(collect(&list_refs(engine.git(), path).await.map_err(unreadable)?))
}

fn collect(list: &RefList) -> RefsRead {
    let refs = list
        .refs
        .iter()
        .map(|one| (one.name.to_string(), one.peeled.unwrap_or(one.id).to_string()))
        .collect();
    RefsRead {
        refs,
        complete: !list.truncated,
    }
}

/// A repository that cannot be read now may be readable later.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable(format!("the repository cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
        owned.collect()
    }

    #[test]
    fn what_is_gone_is_known_only_after_a_whole_look() {
        let known = refs(&[
            ("refs/heads/a", "1"),
            ("refs/heads/b", "1"),
            ("refs/heads/c", "1"),
        ]);
        let mut read = RefsRead {
            refs: refs(&[
                ("refs/heads/a", "1"),
                ("refs/heads/b", "2"),
                ("refs/heads/d", "1"),
            ]),
            complete: true,
        };
        let shown = |read: &RefsRead| -> Vec<(String, Option<String>, Option<String>)> {
            let moved = read.moved_since(&known);
            moved
                .into_iter()
                .map(|one| (one.name, one.old, one.new))
                .collect()
        };
        let one = |text: &str| Some(text.to_owned());
        let b = ("refs/heads/b".to_owned(), one("1"), one("2"));
        let d = ("refs/heads/d".to_owned(), None, one("1"));
        let c = ("refs/heads/c".to_owned(), one("1"), None);
        assert_eq!(shown(&read), [b.clone(), d.clone(), c]);
        read.complete = false;
        assert_eq!(shown(&read), [b, d]);
    }
}
