//! Which refs and commits one delivery tells, and how many files.

use std::collections::BTreeSet;

use super::facts::{CommitFacts, FileChange, PushFacts, RefMove};
use crate::push::Action;

/// The content of one delivery.
pub(super) struct Told<'f> {
    /// The refs, in the order of the push.
    pub(super) refs: Vec<&'f RefMove>,
    /// The commits of all of them, newest first.
    pub(super) commits: Vec<&'f CommitFacts>,
    /// Whether an engine left commits out.
    pub(super) commits_truncated: bool,
}

impl Told<'_> {
    /// Whether nothing but deletions is told.
    pub(super) fn only_deletes(&self) -> bool {
        self.refs
            .iter()
            .all(|moved| moved.action() == Some(Action::Delete))
    }
}

/// The deliveries of a push, of the refs that moved and that `shows` lets through.
pub(super) fn deliveries<'f>(
    facts: &'f PushFacts,
    per_ref: bool,
    shows: impl Fn(&RefMove) -> bool,
) -> Vec<Told<'f>> {
    let refs: Vec<&RefMove> = facts
        .refs
        .iter()
        .filter(|moved| moved.action().is_some() && shows(moved))
        .collect();
    if per_ref {
        refs.into_iter().map(|moved| told(facts, vec![moved])).collect()
    } else if refs.is_empty() {
        Vec::new()
    } else {
        vec![told(facts, refs)]
    }
}

fn told<'f>(facts: &'f PushFacts, refs: Vec<&'f RefMove>) -> Told<'f> {
    let indexes: BTreeSet<usize> = refs
        .iter()
        .flat_map(|moved| moved.commits.iter().copied())
        .collect();
    Told {
        commits: indexes
            .into_iter()
            .filter_map(|index| facts.commits.get(index))
            .collect(),
        commits_truncated: refs.iter().any(|moved| moved.commits_truncated),
        refs,
    }
}

/// The commit at an index, if there is one.
pub(super) fn commit_at(facts: &PushFacts, index: Option<usize>) -> Option<&CommitFacts> {
    facts.commits.get(index?)
}

/// The first entries of a list, and whether some were left out.
pub(super) fn first<T>(list: &[T], limit: usize) -> (&[T], bool) {
    (&list[..list.len().min(limit)], list.len() > limit)
}

/// How many more files may be told in a body.
pub(super) struct FileBudget(usize);

impl FileBudget {
    pub(super) fn new(files: usize) -> Self {
        Self(files)
    }

    /// The files of a commit that are told, at most `limit`, and whether some are left out.
    pub(super) fn take<'f>(&mut self, commit: &'f CommitFacts, limit: usize) -> (&'f [FileChange], bool) {
        let (files, cut) = first(&commit.files, limit.min(self.0));
        self.0 -= files.len();
        (files, cut || commit.files_truncated)
    }
}
