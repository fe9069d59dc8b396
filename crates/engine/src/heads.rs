//! Where branches are: read from hosted and attached repositories on this machine, asked of the host of linked
//! ones. However many plans and callers want to know, a host is asked once at a time, and who waits shares.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::Millis;
use madake_store::credential;
use madake_store::event::RefUpdate;
use madake_store::plan::PlanRepositoryRow;
use madake_store::repository::{self, Repository};
use madake_vcs::git::mirror::{RefScope, RemoteLimits, fetch, ls_remote};
use madake_vcs::hg;
use madake_vcs::name::ObjectId;
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};

use crate::enqueue::RequestedRevision;
use crate::reading::{branch_in, branches, collect, refs_of_name};
use crate::{Engine, EngineError, clock};

/// How far the last use of a shared credential may lag behind what is shown: a repository that is polled each second need
/// not cost a commit each time.
const USE_LAG_MS: Millis = 60 * 1000;

/// The refs of a repository as they were read.
#[derive(Debug, Clone)]
pub(crate) struct RefsRead {
    /// The system, which says what the names mean.
    pub(crate) scm: Scm,
    /// Full names of branches, bookmarks and tags to object ids.
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
        branches(self.scm, &self.refs)
    }

    /// Where a branch is.
    pub(crate) fn head(&self, branch: &str) -> Option<&String> {
        branch_in(self.scm, &self.refs, branch)
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
    /// What the host of a Mercurial repository showed; what the names stand for is known only from the commits.
    shown: Option<hg::mirror::RemoteHeads>,
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
                self.open_repository(repository)?.refs().await
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
            RepositoryKind::Linked => {
                let read = self.refresh(repository, clock::now_ms()).await?;
                Ok(read.head(branch).cloned())
            }
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
        Ok(read.head(branch).cloned())
    }

    /// Where one branch is in what we have on this machine; nobody is asked.
    pub(crate) async fn local_head(
        &self,
        repository: &Repository,
        branch: &str,
    ) -> Result<Option<String>, EngineError> {
        self.open_repository(repository)?.branch_head(branch).await
    }

    /// Where refs of a repository on this machine are now; none if they cannot be read.
    pub(crate) async fn current_refs(
        &self,
        repository: &Repository,
        updates: &[RefUpdate],
    ) -> BTreeMap<String, Option<String>> {
        let names: Vec<String> = updates.iter().map(|update| update.name.clone()).collect();
        let Ok(opened) = self.open_repository(repository) else {
            return BTreeMap::new();
        };
        let Ok(mut found) = opened.refs_named(&names).await else {
            return BTreeMap::new();
        };
        names
            .into_iter()
            .map(|name| {
                let id = found.remove(&name);
                (name, id)
            })
            .collect()
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
        let opened = self.open_repository(&found)?;
        let named = match ObjectId::parse(text) {
            Ok(id) => Some(id),
            Err(_) => {
                let names = refs_of_name(found.scm, text);
                let known = opened.refs_named(&names).await?;
                let first = names.iter().find_map(|name| known.get(name));
                first.and_then(|id| ObjectId::parse(id).ok())
            }
        };
        match named {
            Some(id) => Ok(opened.commit_named(&id).await.map(|id| id.to_string())),
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
        let outcome = match repository.scm {
            Scm::Git => self
                .look(repository, last.as_ref().map(|look| &look.read))
                .await
                .map(|read| (read, None)),
            Scm::Hg => self
                .look_by_hg(repository, last.as_ref())
                .await
                .map(|(read, shown)| (read, Some(shown))),
        };
        self.note_credential_use(repository, began_ms).await?;
        let problem = outcome.as_ref().err().map(ToString::to_string);
        let id = repository.id;
        if problem.is_some() || repository.problem.is_some() || repository.last_checked_ms.is_none() {
            self.store()
                .write(move |tx| repository::note_checked(tx, id, problem.as_deref(), clock::now_ms()))
                .await?;
        }
        let (read, shown) = outcome?;
        *last = Some(Look {
            began_ms,
            read: read.clone(),
            shown,
        });
        Ok(read)
    }

    /// Notes that a shared credential was used to read a repository, about once a minute.
    async fn note_credential_use(&self, repository: &Repository, at_ms: Millis) -> Result<(), EngineError> {
        if repository.credential.is_none() {
            return Ok(());
        }
        let (id, by) = (repository.id, repository.name.clone());
        let due = self
            .store()
            .look_up(|tx| credential::due_of_repository(tx, id, at_ms - USE_LAG_MS))?;
        let Some(due) = due else {
            return Ok(());
        };
        self.store()
            .write(move |tx| Ok(credential::note_use(tx, due, &by, at_ms)?))
            .await
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
        let read = collect(Scm::Git, &asked.list);
        let mirror = Path::new(&repository.path);
        let up_to_date = match before {
            Some(before) => before.refs == read.refs,
            None => {
                mirror.join("HEAD").is_file()
                    && self.open_repository(repository)?.refs().await?.refs == read.refs
            }
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

    /// As [`Self::look`] for Mercurial, whose hosts show heads without saying which are closed.
    async fn look_by_hg(
        &self,
        repository: &Repository,
        last: Option<&Look>,
    ) -> Result<(RefsRead, hg::mirror::RemoteHeads), EngineError> {
        let mercurial = self.mercurial()?;
        let url = RepositoryUrl::parse(&repository.url, self.url_policy())
            .map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let (credential, limits) = (self.credential(repository)?, RemoteLimits::default());
        let name = &repository.name;
        let program = mercurial.program();
        let shown = hg::mirror::look(program, &url, credential.as_ref(), &limits)
            .await
            .map_err(|error| EngineError::Unavailable(format!("{name} cannot be read: {error}")))?;
        if let Some(last) = last.filter(|last| last.shown.as_ref() == Some(&shown)) {
            return Ok((last.read.clone(), shown));
        }
        let mirror = Path::new(&repository.path);
        hg::mirror::fetch(program, mirror, &url, credential.as_ref(), &limits)
            .await
            .map_err(|error| EngineError::Unavailable(format!("{name} cannot be fetched: {error}")))?;
        let list = hg::mirror::refs(mercurial.reader(), mirror, &shown).await;
        Ok((collect(Scm::Hg, &list.map_err(unreadable)?), shown))
    }

    /// The user name and password that a linked repository is read with.
    pub(crate) fn credential(&self, repository: &Repository) -> Result<Option<Credential>, EngineError> {
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
            scm: madake_domain::repository::Scm::Git,
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
