//! Heads: named branches, bookmarks, tags.

use std::collections::BTreeMap;
use std::path::Path;

use super::{HgReader, ReadError, id_from, lines, text_from_hex};
use crate::git::read::refs::{Ref, RefList};
use crate::hg::name::{LabelKind, ref_name};
use crate::name::ObjectId;
use crate::text::display_line;

/// All that has a name in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The named branches, by name.
    pub branches: Vec<BranchHead>,
    /// Bookmarks, by name.
    pub bookmarks: Vec<(String, ObjectId)>,
    /// Tags that the repository's commits define, by name. Local tags are not among them.
    pub tags: Vec<(String, ObjectId)>,
}

/// A named branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchHead {
    /// Its name.
    pub name: String,
    /// Its tip: the newest open head in the order of arrival, the newest head if all are closed.
    pub id: ObjectId,
    /// Whether every head is closed.
    pub closed: bool,
    /// All its heads with whether each is closed, the oldest first.
    pub heads: Vec<(ObjectId, bool)>,
}

impl Heads {
    /// The tip of a named branch, open or closed.
    #[must_use]
    pub fn branch(&self, name: &str) -> Option<&BranchHead> {
        self.branches.iter().find(|branch| branch.name == name)
    }

    /// Everything as refs, in the order of their names: open branches, bookmarks and tags (see [`crate::hg::name`]).
    /// What a ledger of refs is compared with.
    #[must_use]
    pub fn refs(&self) -> RefList {
        let open = self.branches.iter().filter(|branch| !branch.closed);
        let branches = open.map(|branch| (LabelKind::Branch, &branch.name, branch.id));
        let bookmarks = self
            .bookmarks
            .iter()
            .map(|(name, id)| (LabelKind::Bookmark, name, *id));
        let tags = self.tags.iter().map(|(name, id)| (LabelKind::Tag, name, *id));
        let mut list = RefList::default();
        for (kind, label, id) in branches.chain(bookmarks).chain(tags) {
            match ref_name(kind, label) {
                Ok(name) => list.refs.push(Ref {
                    name,
                    id,
                    peeled: None,
                }),
                Err(reason) => list
                    .refused
                    .push(format!("{}: {reason}", display_line(label, 200))),
            }
        }
        list.refs.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }
}

impl HgReader {
    /// The heads of the repository.
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn heads(&self, repository: &Path) -> Result<Heads, ReadError> {
        let template = r#"{node} {if(get(extras,"close"),"closed","open")} {branch|hex}\n"#;
        let raw = self
            .ask(repository, &["log", "-r", "sort(head(), rev)", "-T", template])
            .await?;
        let mut branches: BTreeMap<String, Vec<(ObjectId, bool)>> = BTreeMap::new();
        for line in lines(&raw) {
            let mut words = line.split(|&byte| byte == b' ');
            let head = (|| {
                let id = id_from(words.next()?)?;
                let closed = words.next()? == b"closed";
                Some((text_from_hex(words.next()?)?, (id, closed)))
            })();
            let (name, head) = head.ok_or_else(|| answer("log"))?;
            branches.entry(name).or_default().push(head);
        }
        let branches = branches.into_iter().filter_map(|(name, heads)| {
            let open = heads.iter().rev().find(|(_, closed)| !closed);
            let (id, closed) = *open.or(heads.last())?;
            Some(BranchHead {
                name,
                id,
                closed,
                heads,
            })
        });
        Ok(Heads {
            branches: branches.collect(),
            bookmarks: self.bookmarks(repository).await?,
            tags: self.tags(repository).await?,
        })
    }

    /// All refs of the repository, with full names (see [`Heads::refs`]).
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn all_refs(&self, repository: &Path) -> Result<RefList, ReadError> {
        Ok(self.heads(repository).await?.refs())
    }

    /// The tip of the open named branch with this name.
    ///
    /// # Errors
    /// Mercurial's failure.
    pub async fn branch_head(&self, repository: &Path, name: &str) -> Result<Option<ObjectId>, ReadError> {
        let heads = self.heads(repository).await?;
        Ok(heads
            .branch(name)
            .filter(|branch| !branch.closed)
            .map(|branch| branch.id))
    }

    async fn bookmarks(&self, repository: &Path) -> Result<Vec<(String, ObjectId)>, ReadError> {
        let raw = self
            .ask(repository, &["bookmarks", "-T", r"{bookmark|hex} {node}\n"])
            .await?;
        named_ids(&raw, "bookmarks")
    }

    async fn tags(&self, repository: &Path) -> Result<Vec<(String, ObjectId)>, ReadError> {
        // Local tags have a type; the tip is no tag.
        let template = r#"{if(type,"",ifeq(tag,"tip","","{tag|hex} {node}\n"))}"#;
        named_ids(&self.ask(repository, &["tags", "-T", template]).await?, "tags")
    }
}

fn named_ids(raw: &[u8], command: &str) -> Result<Vec<(String, ObjectId)>, ReadError> {
    let mut found = Vec::new();
    for line in lines(raw) {
        let named = line.iter().position(|&byte| byte == b' ').and_then(|space| {
            let (name, id) = line.split_at(space);
            Some((text_from_hex(name)?, id_from(&id[1..])?))
        });
        found.push(named.ok_or_else(|| answer(command))?);
    }
    found.sort();
    Ok(found)
}

fn answer(command: &str) -> ReadError {
    ReadError::Answer {
        command: command.to_owned(),
    }
}
