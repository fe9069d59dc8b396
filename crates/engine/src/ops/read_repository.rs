//! Reads a repository for those who may: its commits, refs, folders and files.
//!
//! Permission is asked once, for the handle; what it gives are the same facts that payloads of pushes are made of, so
//! that a receiver that calls back sees what it was told.

use std::collections::HashMap;

use madake_domain::permission::Permission;
use madake_domain::repository::Scm;
use madake_domain::text::inert;
use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{FileChange, Moment, PushFacts, RefMove, ServerFacts};
use madake_formats::push::RefKind;
use madake_store::repository::Repository;
use madake_vcs::git::read::refs::{RefList, list_refs};
use madake_vcs::git::read::{CommitFiles, Merges};
use madake_vcs::name::ObjectId;

use crate::access::Caller;
use crate::heads::unreadable;
use crate::reading::{CommitRead, Opened, ref_of_tag, refs_of_branch, refs_of_name};
use crate::telling::{commit_facts, file_change, kind_and_name, repository_facts, with_accounts};
use crate::{Engine, EngineError};

/// A repository that somebody may read.
#[derive(Debug, Clone)]
pub struct ReadableRepository {
    engine: Engine,
    repository: Repository,
    facts: PushFacts,
}

/// A commit that a request named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRevision {
    /// The commit.
    pub id: ObjectId,
    /// What it was found under: the full name of a ref, or the full id.
    pub name: String,
    /// The name of the branch or tag as people know it; none where an id was given.
    pub short: Option<String>,
}

/// A branch or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRef {
    /// Whether it is a tag.
    pub is_tag: bool,
    /// The full name: `refs/heads/main`.
    pub full_name: String,
    /// The short name: `main`.
    pub name: String,
    /// What it points at: of an annotated tag, the tag object.
    pub id: ObjectId,
    /// The commit that it leads to.
    pub commit: ObjectId,
}

/// The part of a history that a request wants.
#[derive(Debug, Clone, Default)]
pub struct WantedLog {
    /// Commits that are in the history of this one are left out.
    pub since: Option<ObjectId>,
    /// Only commits that change this file or folder.
    pub path: Option<String>,
    /// With a path: go on behind renames of the file.
    pub follow_renames: bool,
    /// Whether merges are listed.
    pub merges: Merges,
    /// How many of the newest are passed over.
    pub skip: usize,
    /// How many are given at most.
    pub limit: usize,
}

impl Engine {
    /// The repository with this name, for reading.
    ///
    /// # Errors
    /// When it is not there, or the caller may not; strangers are not told which.
    pub async fn read_repository(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<ReadableRepository, EngineError> {
        let found = self.repository_for(caller, name, Permission::Read).await?;
        self.readable(found).await
    }

    /// All repositories that the caller may read and that have an owner, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn readable_repositories(
        &self,
        caller: &Caller,
    ) -> Result<Vec<ReadableRepository>, EngineError> {
        let mut all = Vec::new();
        for one in self.list_repositories(caller).await? {
            if !one.owner.is_empty() {
                all.push(self.readable(one).await?);
            }
        }
        Ok(all)
    }

    async fn readable(&self, found: Repository) -> Result<ReadableRepository, EngineError> {
        let (repository, _) = repository_facts(self, &found, None).await?;
        let facts = PushFacts {
            server: ServerFacts {
                base_url: self.settings().base_url.clone(),
                ssh_url: None,
            },
            repository,
            pusher: None,
            pushed_at: Moment {
                ms: 0,
                offset_minutes: 0,
            },
            refs: Vec::new(),
            commits: Vec::new(),
        };
        Ok(ReadableRepository {
            engine: self.clone(),
            repository: found,
            facts,
        })
    }
}

impl ReadableRepository {
    /// The same, where SSH is served at this address.
    #[must_use]
    pub fn with_ssh(mut self, address: Option<&str>) -> Self {
        self.facts.server.ssh_url = address.map(str::to_owned);
        self
    }

    /// What is told of the server and the repository; without commits.
    #[must_use]
    pub fn facts(&self) -> &PushFacts {
        &self.facts
    }

    /// The row of the repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The full name of the default branch.
    #[must_use]
    pub fn default_branch(&self) -> String {
        let names = refs_of_branch(self.repository.scm, &self.repository.default_branch);
        names.into_iter().next().unwrap_or_default()
    }

    /// The commit that a text names: the full or short name of a branch or a tag, `HEAD`, or at least four digits of an
    /// id. Without a text, the newest commit of the default branch.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such commit.
    pub async fn revision(&self, text: Option<&str>) -> Result<NamedRevision, EngineError> {
        let text = match text {
            None | Some("HEAD") => return self.branch_revision(&self.repository.default_branch).await,
            Some(text) => text,
        };
        let mut names = vec![text.to_owned()];
        names.extend(refs_of_name(self.repository.scm, text));
        names.retain(|name| name.starts_with("refs/"));
        if let Some(found) = self.revision_of(&names).await? {
            return Ok(found);
        }
        let opened = self.opened()?;
        let id = match opened.commit_by_digits(text).await? {
            Some(id) => id,
            None => self.closed_branch(text).await?,
        };
        Ok(NamedRevision {
            id,
            name: id.to_string(),
            short: None,
        })
    }

    /// The newest commit of a branch, or of a bookmark where there is no such branch; also of a branch that was closed.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is none.
    pub async fn branch_revision(&self, branch: &str) -> Result<NamedRevision, EngineError> {
        let names = refs_of_branch(self.repository.scm, branch);
        if let Some(found) = self.revision_of(&names).await? {
            return Ok(found);
        }
        let id = self.closed_branch(branch).await?;
        Ok(NamedRevision {
            id,
            name: id.to_string(),
            short: Some(branch.to_owned()),
        })
    }

    /// The commit that a tag leads to.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is none.
    pub async fn tag_revision(&self, tag: &str) -> Result<NamedRevision, EngineError> {
        let found = self.revision_of(&[ref_of_tag(self.repository.scm, tag)]).await?;
        found.ok_or_else(|| self.no_revision(tag))
    }

    /// The first of these refs that is there and leads to a commit.
    async fn revision_of(&self, names: &[String]) -> Result<Option<NamedRevision>, EngineError> {
        let opened = self.opened()?;
        let known = opened.refs_named(names).await?;
        for name in names {
            let id = known.get(name).and_then(|id| ObjectId::parse(id).ok());
            if let Some(id) = id
                && let Some(id) = opened.commit_named(&id).await
            {
                return Ok(Some(NamedRevision {
                    id,
                    name: name.clone(),
                    short: Some(kind_and_name(self.repository.scm, name).1),
                }));
            }
        }
        Ok(None)
    }

    async fn closed_branch(&self, branch: &str) -> Result<ObjectId, EngineError> {
        let found = self.opened()?.closed_branch(branch).await?;
        found.ok_or_else(|| self.no_revision(branch))
    }

    fn no_revision(&self, text: &str) -> EngineError {
        EngineError::NotFound(format!(
            "{} is no commit, branch or tag of {}",
            inert(text, 200),
            self.repository.name
        ))
    }

    /// Commits of the history of `until`, newest first, and whether there are more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn log(&self, until: &ObjectId, wanted: &WantedLog) -> Result<(PushFacts, bool), EngineError> {
        let found = self.history(until, wanted).await?;
        Ok((self.with_commits(found.commits).await?, found.truncated))
    }

    /// One commit, and behind it its parents.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn commit(&self, id: &ObjectId) -> Result<PushFacts, EngineError> {
        let commit = self.read_commit(id).await?;
        let mut commits = Vec::with_capacity(commit.parents.len() + 1);
        let parents = commit.parents.clone();
        commits.push(commit);
        for parent in &parents {
            // A shallow repository does not have them.
            if let Ok(parent) = self.read_commit(parent).await {
                commits.push(parent);
            }
        }
        self.with_commits(commits).await
    }

    /// What differs between two commits, at most `limit` paths; without `since`, what `until` changed against its first
    /// parent. With it comes the commit that it was compared with.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn changes(
        &self,
        since: Option<ObjectId>,
        until: &ObjectId,
        limit: usize,
    ) -> Result<(Vec<FileChange>, Option<ObjectId>), EngineError> {
        let since = match since {
            Some(since) => Some(since),
            None => self.read_commit(until).await?.parents.first().copied(),
        };
        let found = self.opened()?.commit_files(&[(*until, since)], limit).await?;
        let files = found.into_iter().next().unwrap_or_default();
        Ok((files.files.iter().map(file_change).collect(), since))
    }

    /// The branches, or the tags that lead to commits; by name, or those first that moved last.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn refs(&self, tags: bool, newest_first: bool) -> Result<Vec<NamedRef>, EngineError> {
        let list = match self.opened()? {
            Opened::Git { reader, path } if newest_first => {
                reader.refs_newest_first(path).await.map_err(unreadable)?
            }
            Opened::Git { reader, path } => list_refs(reader.git(), path).await.map_err(unreadable)?,
            Opened::Hg { reader, path } => reader.all_refs(path).await.map_err(unreadable)?,
        };
        let mut named = self.named(list, tags);
        if newest_first && self.repository.scm == Scm::Hg {
            let (summaries, _) = self.ref_summaries(tags, usize::MAX).await?;
            let places: HashMap<&str, usize> = summaries
                .iter()
                .enumerate()
                .map(|(place, one)| (one.full_name.as_str(), place))
                .collect();
            named.sort_by_key(|one| places.get(one.full_name.as_str()).copied());
        }
        Ok(named)
    }

    /// These refs with the commits that they lead to, as facts. A tag of something else than a commit is left out.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn tips(&self, refs: &[NamedRef]) -> Result<PushFacts, EngineError> {
        let mut ids: Vec<ObjectId> = refs.iter().map(|one| one.commit).collect();
        ids.sort();
        ids.dedup();
        let commits = self.opened()?.commits(&ids).await?;
        let places: HashMap<ObjectId, usize> = commits
            .iter()
            .enumerate()
            .map(|(place, commit)| (commit.id, place))
            .collect();
        let mut told = Vec::with_capacity(refs.len());
        for one in refs {
            let Some(place) = places.get(&one.commit) else {
                continue;
            };
            told.push(RefMove {
                kind: kind_and_name(self.repository.scm, &one.full_name).0,
                name: one.name.clone(),
                full_name: one.full_name.clone(),
                old: None,
                new: id_text(&one.id),
                forced: false,
                closed: false,
                commits: Vec::new(),
                commits_truncated: false,
                tip: Some(*place),
                old_tip: None,
                annotated: None,
            });
        }
        let mut facts = self.with_commits(commits).await?;
        facts.refs = told;
        Ok(facts)
    }

    pub(super) fn opened(&self) -> Result<Opened<'_>, EngineError> {
        self.engine.open_repository(&self.repository)
    }

    fn named(&self, list: RefList, tags: bool) -> Vec<NamedRef> {
        let named = list.refs.into_iter().filter_map(|one| {
            let full_name = one.name.to_string();
            let (kind, name) = kind_and_name(self.repository.scm, &full_name);
            let is_tag = matches!(kind, RefKind::Tag | RefKind::MercurialTag);
            (kind != RefKind::Other && is_tag == tags).then(|| NamedRef {
                is_tag,
                full_name,
                name,
                id: one.id,
                commit: one.peeled.unwrap_or(one.id),
            })
        });
        named.collect()
    }

    pub(super) async fn read_commit(&self, id: &ObjectId) -> Result<CommitRead, EngineError> {
        let opened = self.opened()?;
        if opened.commit_named(id).await.is_none() {
            return Err(EngineError::NotFound(format!("{id} is not in the repository")));
        }
        opened.commit(id).await
    }

    async fn with_commits(&self, commits: Vec<CommitRead>) -> Result<PushFacts, EngineError> {
        let nothing = CommitFiles::default();
        let commits = commits
            .into_iter()
            .filter_map(|commit| commit_facts(commit, &nothing))
            .collect();
        Ok(PushFacts {
            commits: with_accounts(&self.engine, commits).await?,
            ..self.facts.clone()
        })
    }
}

/// An id as facts hold it.
#[must_use]
pub fn id_text(id: &ObjectId) -> Option<ObjectIdText> {
    ObjectIdText::parse(&id.to_string()).ok()
}
