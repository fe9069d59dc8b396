//! Reads a repository for those who may: its commits, refs, folders and files.
//!
//! Permission is asked once, for the handle; what it gives are the same facts that payloads of pushes are made of, so
//! that a receiver that calls back sees what it was told.

use std::collections::HashMap;
use std::path::PathBuf;

use madake_domain::permission::Permission;
use madake_domain::repository::Scm;
use madake_domain::text::inert;
use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{FileChange, Moment, PushFacts, RefMove, ServerFacts};
use madake_formats::push::RefKind;
use madake_store::repository::Repository;
use madake_vcs::git::read::refs::{RefList, list_refs, read_ref};
use madake_vcs::git::read::{
    Commit, CommitFiles, EntryKind, LogQuery, Merges, ObjectKind, ReadError, TreeEntry,
};
use madake_vcs::name::{ObjectId, RefName};

use crate::access::Caller;
use crate::heads::unreadable;
use crate::telling::{commit_facts, file_change, repository_facts};
use crate::{Engine, EngineError};

/// A repository that somebody may read.
#[derive(Debug, Clone)]
pub struct ReadableRepository {
    engine: Engine,
    repository: Repository,
    path: PathBuf,
    facts: PushFacts,
}

/// A commit that a request named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRevision {
    /// The commit.
    pub id: ObjectId,
    /// What it was found under: the full name of a ref, or the full id.
    pub name: String,
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

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtPath {
    /// A file, with its blob and its size in bytes.
    File {
        /// The blob.
        id: ObjectId,
        /// Bytes.
        size: u64,
    },
    /// A folder, with its tree.
    Folder {
        /// The tree.
        id: ObjectId,
    },
    /// A commit of another repository.
    Submodule,
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
            path: self.local_path(&found),
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

    /// What these interfaces say of commits and files is said of Git only.
    fn kept_by_git(&self) -> Result<(), EngineError> {
        match self.repository.scm {
            Scm::Git => Ok(()),
            Scm::Hg => Err(EngineError::Invalid(format!(
                "{} is a Mercurial repository: its commits and files are read with hg, from its clone address",
                self.repository.name
            ))),
        }
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
        format!("refs/heads/{}", self.repository.default_branch)
    }

    /// The commit that a text names: the full or short name of a branch or a tag, `HEAD`, or at least four digits of an
    /// id. Without a text, the newest commit of the default branch.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where there is no such commit.
    pub async fn revision(&self, text: Option<&str>) -> Result<NamedRevision, EngineError> {
        self.kept_by_git()?;
        let default_branch = self.default_branch();
        let text = match text {
            None | Some("HEAD") => default_branch.as_str(),
            Some(text) => text,
        };
        let names = [
            text.to_owned(),
            format!("refs/heads/{text}"),
            format!("refs/tags/{text}"),
        ];
        for name in names.iter().filter(|name| name.starts_with("refs/")) {
            let Ok(name) = RefName::parse(name) else { continue };
            let found = read_ref(self.engine.git(), &self.path, &name)
                .await
                .map_err(unreadable)?;
            if let Some(id) = found {
                return Ok(NamedRevision {
                    id: self.peeled(&id).await?,
                    name: name.to_string(),
                });
            }
        }
        let found = self
            .engine
            .reader()
            .commit_by_digits(&self.path, text)
            .await
            .map_err(unreadable)?;
        let id = found.ok_or_else(|| {
            EngineError::NotFound(format!(
                "{} is no commit, branch or tag of {}",
                inert(text, 200),
                self.repository.name
            ))
        })?;
        Ok(NamedRevision {
            id,
            name: id.to_string(),
        })
    }

    /// Commits of the history of `until`, newest first, and whether there are more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn log(&self, until: &ObjectId, wanted: &WantedLog) -> Result<(PushFacts, bool), EngineError> {
        let query = LogQuery {
            until: *until,
            since: wanted.since,
            path: wanted.path.as_deref(),
            follow_renames: wanted.follow_renames,
            merges: wanted.merges,
            skip: wanted.skip,
            limit: wanted.limit,
        };
        let found = self
            .engine
            .reader()
            .log(&self.path, &query)
            .await
            .map_err(missing_or_unreadable)?;
        Ok((self.with_commits(found.commits), found.truncated))
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
        Ok(self.with_commits(commits))
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
        let found = self
            .engine
            .reader()
            .commit_files(&self.path, &[(*until, since)], limit)
            .await
            .map_err(unreadable)?;
        let files = found.into_iter().next().unwrap_or_default();
        Ok((files.files.iter().map(file_change).collect(), since))
    }

    /// The branches, or the tags that lead to commits; by name, or those first that moved last.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn refs(&self, tags: bool, newest_first: bool) -> Result<Vec<NamedRef>, EngineError> {
        self.kept_by_git()?;
        let list: RefList = if newest_first {
            self.engine.reader().refs_newest_first(&self.path).await
        } else {
            list_refs(self.engine.git(), &self.path).await
        }
        .map_err(unreadable)?;
        let folder = if tags { "refs/tags/" } else { "refs/heads/" };
        let named = list.refs.into_iter().filter_map(|one| {
            let full_name = one.name.to_string();
            Some(NamedRef {
                is_tag: tags,
                name: full_name.strip_prefix(folder)?.to_owned(),
                full_name,
                id: one.id,
                commit: one.peeled.unwrap_or(one.id),
            })
        });
        Ok(named.collect())
    }

    /// These refs with the commits that they lead to, as facts. A tag of something else than a commit is left out.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn tips(&self, refs: &[NamedRef]) -> Result<PushFacts, EngineError> {
        let mut commits: Vec<Commit> = Vec::new();
        let mut places: HashMap<ObjectId, usize> = HashMap::new();
        let mut told = Vec::with_capacity(refs.len());
        for one in refs {
            let place = match places.get(&one.commit) {
                Some(place) => *place,
                None => {
                    let Ok(commit) = self.read_commit(&one.commit).await else {
                        continue;
                    };
                    commits.push(commit);
                    places.insert(one.commit, commits.len() - 1);
                    commits.len() - 1
                }
            };
            told.push(RefMove {
                kind: if one.is_tag { RefKind::Tag } else { RefKind::Branch },
                name: one.name.clone(),
                full_name: one.full_name.clone(),
                old: None,
                new: id_text(&one.id),
                forced: false,
                closed: false,
                commits: Vec::new(),
                commits_truncated: false,
                tip: Some(place),
                old_tip: None,
                annotated: None,
            });
        }
        let mut facts = self.with_commits(commits);
        facts.refs = told;
        Ok(facts)
    }

    /// What is at `path` in a commit; an empty path is the root.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a path that cannot be asked for.
    pub async fn at(&self, revision: &ObjectId, path: &str) -> Result<Option<AtPath>, EngineError> {
        let found = match self.engine.reader().object_at(&self.path, revision, path).await {
            Ok(found) => found,
            Err(error @ ReadError::Path) => return Err(EngineError::Invalid(format!("path: {error}"))),
            Err(error) => return Err(unreadable(error)),
        };
        let Some(found) = found else {
            return self.submodule_at(revision, path).await;
        };
        match found.kind {
            ObjectKind::Blob => Ok(Some(AtPath::File {
                id: found.id,
                size: found.size,
            })),
            ObjectKind::Tree => Ok(Some(AtPath::Folder { id: found.id })),
            ObjectKind::Commit | ObjectKind::Tag => Ok(Some(AtPath::Submodule)),
        }
    }

    /// The entries of a folder, in the order of git.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn folder(&self, tree: &ObjectId) -> Result<Vec<TreeEntry>, EngineError> {
        self.engine
            .reader()
            .tree(&self.path, tree)
            .await
            .map_err(unreadable)
    }

    /// The paths of all files below a folder, relative to it.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn files_below(&self, tree: &ObjectId) -> Result<Vec<String>, EngineError> {
        self.engine
            .reader()
            .files_below(&self.path, tree)
            .await
            .map_err(unreadable)
    }

    /// The size of a file in bytes; `None` for what is no file.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn size(&self, blob: &ObjectId) -> Result<Option<u64>, EngineError> {
        let found = self
            .engine
            .reader()
            .object(&self.path, blob)
            .await
            .map_err(unreadable)?;
        Ok(found
            .filter(|one| one.kind == ObjectKind::Blob)
            .map(|one| one.size))
    }

    /// The content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a larger one.
    pub async fn content(&self, blob: &ObjectId, limit: u64) -> Result<Vec<u8>, EngineError> {
        match self.engine.reader().blob(&self.path, blob, limit).await {
            Ok(content) => Ok(content),
            Err(error @ ReadError::TooLarge { .. }) => Err(EngineError::Invalid(format!(
                "{error}: clone the repository to get it"
            ))),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Git knows no object for a submodule: its commit is in another repository.
    async fn submodule_at(&self, revision: &ObjectId, path: &str) -> Result<Option<AtPath>, EngineError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let reader = self.engine.reader();
        let Ok(Some(found)) = reader.object_at(&self.path, revision, folder).await else {
            return Ok(None);
        };
        if found.kind == ObjectKind::Blob {
            return Ok(None);
        }
        let entries = reader.tree(&self.path, &found.id).await.map_err(unreadable)?;
        let is_there = entries
            .iter()
            .any(|entry| entry.kind == EntryKind::Submodule && entry.name == name.as_bytes());
        Ok(is_there.then_some(AtPath::Submodule))
    }

    async fn peeled(&self, id: &ObjectId) -> Result<ObjectId, EngineError> {
        self.engine
            .reader()
            .peel_to_commit(&self.path, id)
            .await
            .map_err(missing_or_unreadable)
    }

    async fn read_commit(&self, id: &ObjectId) -> Result<Commit, EngineError> {
        self.engine
            .reader()
            .commit(&self.path, id)
            .await
            .map_err(missing_or_unreadable)
    }

    fn with_commits(&self, commits: Vec<Commit>) -> PushFacts {
        let nothing = CommitFiles::default();
        PushFacts {
            commits: commits
                .into_iter()
                .filter_map(|commit| commit_facts(commit.into(), &nothing))
                .collect(),
            ..self.facts.clone()
        }
    }
}

/// An id as facts hold it.
#[must_use]
pub fn id_text(id: &ObjectId) -> Option<ObjectIdText> {
    ObjectIdText::parse(&id.to_string()).ok()
}

fn missing_or_unreadable(error: ReadError) -> EngineError {
    match error {
        ReadError::Missing { .. } | ReadError::WrongKind { .. } => EngineError::NotFound(error.to_string()),
        ReadError::Path => EngineError::Invalid(format!("path: {error}")),
        other => unreadable(other),
    }
}
