//! What happened in a push, read from the repository for those who are told of it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use madake_domain::key::ProjectKey;
use madake_domain::repository::{self, RepositoryKind};
use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{
    AccountFacts, CommitFacts, FileChange, FileChangeKind, Moment, NodeType, PersonFacts, ProjectFacts,
    PushFacts, RefMove, RepositoryFacts, ServerFacts, TagFacts,
};
use madake_formats::push::{RefKind, Scm};
use madake_store::event::{Event, RefUpdate};
use madake_store::repository::Repository;
use madake_store::{project, repository_attributes, user};
use madake_vcs::git::read::refs::read_ref;
use madake_vcs::git::read::{CommitFile, CommitFiles, Signature};
use madake_vcs::name::{ObjectId, RefName};

use crate::heads::unreadable;
use crate::reading::{CommitRange, CommitRead, Named, Opened, named};
use crate::{Engine, EngineError};

/// Commits of one ref that are read for payloads at most; bodies of all formats tell fewer.
const COMMITS: usize = 500;
/// Changed paths of one commit that are read at most.
const FILES: usize = 1000;
/// Bytes of a message that are told at most.
const MESSAGE: usize = 64 * 1024;

/// Reads what a push brought. With `ancestors`, a new branch tells the newest ancestors of its tip, as Stash did; and
/// else only the commits that no other ref of the repository has (push-payloads.md 0.4, G.2).
pub(super) async fn gather(
    engine: &Engine,
    event: &Event,
    found: &Repository,
    updates: &[RefUpdate],
    pusher: Option<&str>,
    ancestors: bool,
) -> Result<PushFacts, EngineError> {
    let mut reading = Reading {
        scm: found.scm,
        repository: engine.open_repository(found)?,
        commits: Vec::new(),
        places: HashMap::new(),
    };
    let others = if ancestors {
        Vec::new()
    } else {
        reading.other_tips(updates).await?
    };
    let mut refs = Vec::with_capacity(updates.len());
    for update in updates {
        refs.push(reading.moved(update, updates, ancestors, &others).await?);
    }
    let order = reading.newest_first();
    let mut places = vec![0; order.len()];
    for (place, was) in order.iter().enumerate() {
        places[*was] = place;
    }
    for moved in &mut refs {
        moved.tip = moved.tip.map(|was| places[was]);
        for commit in &mut moved.commits {
            *commit = places[*commit];
        }
        moved.commits.sort_unstable();
    }
    let commits = with_accounts(engine, reading.with_files(&order).await?).await?;
    let (repository, account) = repository_facts(engine, found, pusher).await?;
    let zone = &engine.settings().time_zone;
    let offset = jiff::Timestamp::from_millisecond(event.received_ms)
        .map(|moment| zone.to_offset(moment).seconds() / 60)
        .unwrap_or(0);
    Ok(PushFacts {
        server: ServerFacts {
            base_url: engine.settings().base_url.clone(),
            ssh_url: None,
        },
        repository,
        pusher: account,
        pushed_at: Moment {
            ms: event.received_ms,
            offset_minutes: offset,
        },
        refs,
        commits,
    })
}

struct Reading<'a> {
    scm: repository::Scm,
    repository: Opened<'a>,
    /// In the order in which refs reach them first.
    commits: Vec<CommitRead>,
    /// Where each of them is.
    places: HashMap<ObjectId, usize>,
}

impl Reading<'_> {
    /// Where all refs are that this push did not move.
    async fn other_tips(&self, updates: &[RefUpdate]) -> Result<Vec<ObjectId>, EngineError> {
        if updates.iter().all(|update| update.old.is_some()) {
            return Ok(Vec::new());
        }
        let read = self.repository.refs().await?;
        let moved: BTreeSet<&str> = updates.iter().map(|update| update.name.as_str()).collect();
        let others = read
            .refs
            .iter()
            .filter(|(name, _)| !moved.contains(name.as_str()))
            .filter_map(|(_, id)| ObjectId::parse(id).ok());
        Ok(others.collect())
    }

    async fn moved(
        &mut self,
        update: &RefUpdate,
        all: &[RefUpdate],
        ancestors: bool,
        others: &[ObjectId],
    ) -> Result<RefMove, EngineError> {
        let reader = self.repository;
        let parse = |id: &Option<String>| id.as_deref().and_then(|id| ObjectId::parse(id).ok());
        let (kind, name) = kind_and_name(self.scm, &update.name);
        // Mercurial's names are told as Mercurial has them.
        let full_name = match self.scm {
            repository::Scm::Git => update.name.clone(),
            repository::Scm::Hg => name.clone(),
        };
        let mut told = RefMove {
            kind,
            name,
            full_name,
            old: update.old.as_deref().and_then(|id| ObjectIdText::parse(id).ok()),
            new: update.new.as_deref().and_then(|id| ObjectIdText::parse(id).ok()),
            forced: false,
            // Such a branch has no ref any more; its commits are still there.
            closed: kind == RefKind::NamedBranch && update.new.is_none(),
            commits: Vec::new(),
            commits_truncated: false,
            tip: None,
            old_tip: None,
            annotated: None,
        };
        let Some(new) = parse(&update.new) else {
            return Ok(told);
        };
        // A tag of a blob, or a ref that has moved on and was cleaned away: told without commits.
        let Some(tip) = reader.commit_named(&new).await else {
            return Ok(told);
        };
        if kind == RefKind::Tag {
            told.annotated = self.annotated(update, &new, &tip).await?;
        }
        let mut old = parse(&update.old);
        let is_tag = matches!(kind, RefKind::Tag | RefKind::MercurialTag);
        let mut since_old = None;
        if let Some(before) = &old {
            if !is_tag {
                // A failure shows again in what is asked below.
                since_old = reader
                    .commits_between(Some(before), &new, &[], COMMITS)
                    .await
                    .ok();
            }
            let range = since_old.as_ref();
            if !range.is_some_and(|range| leads_straight(range, before, &tip)) {
                match reader.is_ancestor(before, &new).await {
                    Ok(follows) => told.forced = !follows,
                    Err(_) => {
                        (told.forced, old, since_old) = (true, None, None);
                    }
                }
            }
        }
        let range = if let Some(range) = since_old {
            Ok(range)
        } else if is_tag {
            // A tag brings commits only where no branch has them; the tip is told of all the same.
            reader.commits_between(old.as_ref(), &new, others, COMMITS).await
        } else if old.is_none() && !ancestors {
            let mut excluding = others.to_vec();
            excluding.extend(all.iter().filter_map(|other| parse(&other.old)));
            reader.commits_between(None, &new, &excluding, COMMITS).await
        } else {
            reader.commits_between(old.as_ref(), &new, &[], COMMITS).await
        };
        let range = range?;
        told.commits_truncated = range.truncated;
        let tag_without_others = is_tag && ancestors;
        for commit in range.commits {
            if !tag_without_others && !self.places.contains_key(&commit.id) {
                let place = self.keep(commit);
                told.commits.push(place);
            }
        }
        told.tip = Some(match self.places.get(&tip) {
            Some(place) => *place,
            None => {
                let commit = reader.commit(&tip).await?;
                self.keep(commit)
            }
        });
        Ok(told)
    }

    /// The tag object of a tag. A push names it; where refs were read, the commit that it leads to is named.
    async fn annotated(
        &self,
        update: &RefUpdate,
        new: &ObjectId,
        tip: &ObjectId,
    ) -> Result<Option<TagFacts>, EngineError> {
        let Opened::Git { reader, path } = self.repository else {
            return Ok(None);
        };
        let mut id = *new;
        if new == tip
            && let Ok(name) = RefName::parse(&update.name)
            && let Some(now) = read_ref(reader.git(), path, &name).await.map_err(unreadable)?
            && reader
                .peel_to_commit(path, &now)
                .await
                .is_ok_and(|commit| commit == *tip)
        {
            id = now;
        }
        let Some(tag) = reader.tag(path, &id).await.map_err(unreadable)? else {
            return Ok(None);
        };
        let (tagger, tagged) = person(&tag.tagger.unwrap_or_default());
        let mut message = tag.message;
        cut_message(&mut message);
        Ok(Some(TagFacts {
            tagger,
            tagged,
            message,
        }))
    }

    fn keep(&mut self, commit: CommitRead) -> usize {
        let place = self.commits.len();
        self.places.insert(commit.id, place);
        self.commits.push(commit);
        place
    }

    /// An order in which every commit stands before its parents; of those that may come next, the newest comes: in
    /// Mercurial the one that arrived last.
    fn newest_first(&self) -> Vec<usize> {
        let parents = |at: usize| {
            let parents = &self.commits[at].parents;
            parents
                .iter()
                .filter_map(|parent| self.places.get(parent).copied())
        };
        let mut children = vec![0_usize; self.commits.len()];
        for at in 0..self.commits.len() {
            for parent in parents(at) {
                children[parent] += 1;
            }
        }
        // Of equally old ones, the one that was reached first.
        let rank = |at: usize| {
            let commit = &self.commits[at];
            let arrived = commit.mercurial.as_ref().map(|(number, _)| *number);
            (arrived.unwrap_or(commit.committer.time_ms), Reverse(at))
        };
        let mut ready: BinaryHeap<_> = (0..children.len())
            .filter(|at| children[*at] == 0)
            .map(|at| (rank(at), at))
            .collect();
        let mut order = Vec::with_capacity(children.len());
        while let Some((_, at)) = ready.pop() {
            order.push(at);
            for parent in parents(at) {
                children[parent] -= 1;
                if children[parent] == 0 {
                    ready.push((rank(parent), parent));
                }
            }
        }
        order
    }

    async fn with_files(mut self, order: &[usize]) -> Result<Vec<CommitFacts>, EngineError> {
        let asked: Vec<(ObjectId, Option<ObjectId>)> = order
            .iter()
            .map(|at| &self.commits[*at])
            .map(|commit| (commit.id, commit.parents.first().copied()))
            .collect();
        let files = self.repository.commit_files(&asked, FILES).await?;
        let mut commits: Vec<Option<CommitRead>> = self.commits.drain(..).map(Some).collect();
        let mut told = Vec::with_capacity(order.len());
        for (at, files) in order.iter().zip(files) {
            let commit = commits[*at].take();
            let facts = commit.and_then(|commit| commit_facts(commit, &files));
            told.push(facts.ok_or_else(|| EngineError::Internal("a commit was to be told twice".into()))?);
        }
        Ok(told)
    }
}

/// Whether each commit of a range is the only parent of the one before it, from the commit `to` back to `from`: then
/// `from` is its ancestor, and nobody need be asked.
fn leads_straight(range: &CommitRange, from: &ObjectId, to: &ObjectId) -> bool {
    let mut expected = *to;
    for commit in &range.commits {
        let [parent] = commit.parents[..] else {
            return false;
        };
        if commit.id != expected {
            return false;
        }
        expected = parent;
    }
    expected == *from
}

pub(crate) fn kind_and_name(scm: repository::Scm, full_name: &str) -> (RefKind, String) {
    match (scm, named(scm, full_name)) {
        (repository::Scm::Git, Named::Branch(name)) => (RefKind::Branch, name),
        (repository::Scm::Hg, Named::Branch(name)) => (RefKind::NamedBranch, name),
        (repository::Scm::Git, Named::Tag(name)) => (RefKind::Tag, name),
        (repository::Scm::Hg, Named::Tag(name)) => (RefKind::MercurialTag, name),
        (_, Named::Bookmark(name)) => (RefKind::Bookmark, name),
        (_, Named::Other) => (RefKind::Other, full_name.to_owned()),
    }
}

fn id(id: &ObjectId) -> Option<ObjectIdText> {
    ObjectIdText::parse(&id.to_string()).ok()
}

fn person(signature: &Signature) -> (PersonFacts, Moment) {
    (
        PersonFacts {
            name: signature.name.clone(),
            email: signature.email.clone(),
            account: None,
        },
        Moment {
            ms: signature.time_ms,
            offset_minutes: signature.offset_minutes,
        },
    )
}

fn cut_message(message: &mut String) {
    if message.len() > MESSAGE {
        let cut = (0..=MESSAGE)
            .rev()
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(0);
        message.truncate(cut);
    }
}

pub(crate) fn commit_facts(commit: CommitRead, files: &CommitFiles) -> Option<CommitFacts> {
    let (author, authored) = person(&commit.author);
    let (committer, committed) = person(&commit.committer);
    let (revision, named_branch) = commit.mercurial.unzip();
    let mut message = commit.message;
    cut_message(&mut message);
    Some(CommitFacts {
        id: id(&commit.id)?,
        tree: commit.tree.as_ref().and_then(id),
        parents: commit.parents.iter().filter_map(id).collect(),
        author,
        authored,
        committer,
        committed,
        message,
        revision,
        named_branch,
        files: files.files.iter().map(file_change).collect(),
        files_truncated: files.truncated,
    })
}

pub(crate) fn file_change(file: &CommitFile) -> FileChange {
    const EXECUTABLE: u32 = 0o100_755;
    const SUBMODULE: u32 = 0o160_000;
    let shown_mode = if file.new_mode == 0 {
        file.old_mode
    } else {
        file.new_mode
    };
    FileChange {
        kind: match file.status {
            'A' => FileChangeKind::Add,
            'D' => FileChangeKind::Delete,
            'R' => FileChangeKind::Move,
            'C' => FileChangeKind::Copy,
            _ => FileChangeKind::Modify,
        },
        path: file.path.clone(),
        src_path: file.source.clone(),
        content_id: file.new_id.as_ref().and_then(id),
        from_content_id: file.old_id.as_ref().and_then(id),
        executable: file.new_mode == EXECUTABLE,
        src_executable: file.old_mode == EXECUTABLE,
        node_type: if shown_mode == SUBMODULE {
            NodeType::Submodule
        } else {
            NodeType::File
        },
        percent_unchanged: file.similarity,
    }
}

/// Says of authors and committers which account of this server has their address.
pub(crate) async fn with_accounts(
    engine: &Engine,
    mut commits: Vec<CommitFacts>,
) -> Result<Vec<CommitFacts>, EngineError> {
    let emails: BTreeSet<String> = commits
        .iter()
        .flat_map(|commit| [&commit.author, &commit.committer])
        .map(|person| person.email.clone())
        .collect();
    let accounts: HashMap<String, AccountFacts> = engine
        .store()
        .read(move |tx| {
            let mut accounts = HashMap::new();
            for email in emails {
                if let Some(found) = user::by_email(tx, &email)? {
                    accounts.insert(email, account_facts(found));
                }
            }
            Ok::<_, EngineError>(accounts)
        })
        .await?;
    for commit in &mut commits {
        for person in [&mut commit.author, &mut commit.committer] {
            person.account = accounts.get(&person.email).cloned();
        }
    }
    Ok(commits)
}

fn account_facts(user: user::User) -> AccountFacts {
    AccountFacts {
        id: user.id,
        display_name: if user.full_name.is_empty() {
            user.name.clone()
        } else {
            user.full_name
        },
        name: user.name,
        email: user.email,
    }
}

pub(crate) async fn repository_facts(
    engine: &Engine,
    found: &Repository,
    pusher: Option<&str>,
) -> Result<(RepositoryFacts, Option<AccountFacts>), EngineError> {
    let (owner, name, id) = (found.owner.clone(), pusher.map(str::to_owned), found.id);
    let (project, account, description, created_ms) = engine
        .store()
        .read(move |tx| {
            let project = match owner.parse::<ProjectKey>() {
                Ok(key) => project::by_key(tx, &key)?,
                Err(_) => None,
            };
            let account = match &name {
                Some(name) => user::by_name(tx, name)?,
                None => None,
            };
            let description = repository_attributes::description(tx, id)?;
            let created_ms = repository_attributes::created_ms(tx, id)?;
            Ok::<_, EngineError>((project, account, description, created_ms))
        })
        .await?;
    let project = match project {
        Some(project) => ProjectFacts {
            id: project.id,
            key: project.key,
            name: project.name,
            description: project.description,
            public: false,
            owner: None,
        },
        None => ProjectFacts {
            id: 0,
            key: found.owner.clone(),
            name: found.owner.clone(),
            description: String::new(),
            public: false,
            owner: None,
        },
    };
    let account = match (account, pusher) {
        (Some(user), _) => Some(account_facts(user)),
        (None, Some(name)) => Some(AccountFacts {
            id: 0,
            name: name.to_owned(),
            display_name: name.to_owned(),
            email: String::new(),
        }),
        (None, None) => None,
    };
    let linked = found.kind == RepositoryKind::Linked;
    let slug = if linked {
        found.name.clone()
    } else {
        found.slug.clone()
    };
    let repository = RepositoryFacts {
        id: found.id,
        name: slug.clone(),
        slug,
        owner: found.owner.clone(),
        project,
        scm: match found.scm {
            repository::Scm::Git => Scm::Git,
            repository::Scm::Hg => Scm::Mercurial,
        },
        description,
        public: false,
        archived: false,
        forkable: true,
        parent: None,
        website: String::new(),
        default_branch: Some(found.default_branch.clone()),
        created_ms,
    };
    Ok((repository, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ObjectId {
        ObjectId::parse(&digit.to_string().repeat(40)).expect("an id")
    }

    fn range(commits: &[(char, &str)]) -> CommitRange {
        let commits = commits.iter().map(|(digit, parents)| CommitRead {
            id: id(*digit),
            tree: None,
            parents: parents.chars().map(id).collect(),
            author: Signature::default(),
            committer: Signature::default(),
            message: String::new(),
            mercurial: None,
        });
        CommitRange {
            commits: commits.collect(),
            truncated: false,
        }
    }

    #[test]
    fn only_a_chain_of_single_parents_leads_straight() {
        for (commits, expected) in [
            (&[('3', "2"), ('2', "1")][..], true),
            (&[('3', "1")], true),
            (&[('3', "2")], false),
            (&[('3', "12"), ('2', "1")], false),
            (&[('2', "1"), ('3', "2")], false),
            (&[('3', "2"), ('2', "")], false),
            (&[], false),
        ] {
            assert_eq!(
                leads_straight(&range(commits), &id('1'), &id('3')),
                expected,
                "{commits:?}"
            );
        }
    }
}
