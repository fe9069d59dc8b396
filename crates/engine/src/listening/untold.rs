//! Refs that are elsewhere than the ledger has them: what nobody told us of.

use std::collections::BTreeMap;

use madake_domain::repository::RepositoryKind;
use madake_store::event::RefUpdate;
use madake_store::repository::{self, Repository};

use crate::heads::RefsRead;
use crate::{Engine, EngineError};

/// The moves that lead from what the ledger knows to what was read. A list of refs that was cut says nothing of those
/// that are gone.
pub(crate) fn moves(known: &BTreeMap<String, String>, read: &RefsRead) -> Vec<RefUpdate> {
    let mut updates: Vec<RefUpdate> = read
        .refs
        .iter()
        .filter(|(name, new)| known.get(*name) != Some(new))
        .map(|(name, new)| RefUpdate {
            name: name.clone(),
            old: known.get(name).cloned(),
            new: Some(new.clone()),
        })
        .collect();
    if read.complete {
        let gone = known.iter().filter(|(name, _)| !read.refs.contains_key(*name));
        updates.extend(gone.map(|(name, old)| RefUpdate {
            name: name.clone(),
            old: Some(old.clone()),
            new: None,
        }));
    }
    updates
}

/// Moves of a linked repository's refs that none of `told` names. Before its first sight there are none.
pub(crate) async fn beyond(
    engine: &Engine,
    found: &Repository,
    told: &[RefUpdate],
    read: &RefsRead,
) -> Result<Vec<RefUpdate>, EngineError> {
    if found.kind != RepositoryKind::Linked || !found.refs_known {
        return Ok(Vec::new());
    }
    let id = found.id;
    let known = engine
        .store()
        .read(move |tx| Ok::<_, EngineError>(repository::refs(tx, id)?))
        .await?;
    let mut moved = moves(&known, read);
    moved.retain(|update| told.iter().all(|one| one.name != update.name));
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_lead_from_what_is_known_to_what_was_read() {
        let list = |refs: &[(&str, &str)]| -> BTreeMap<String, String> {
            refs.iter()
                .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
                .collect()
        };
        let known = list(&[
            ("refs/heads/a", "1"),
            ("refs/heads/b", "1"),
            ("refs/heads/c", "1"),
        ]);
        let mut read = RefsRead {
            refs: list(&[("refs/heads/a", "1"), ("refs/heads/b", "2"), ("refs/tags/d", "3")]),
            complete: true,
        };
        let told = |read: &RefsRead| -> Vec<(String, Option<String>, Option<String>)> {
            moves(&known, read)
                .into_iter()
                .map(|one| (one.name, one.old, one.new))
                .collect()
        };
        let moved = |name: &str, old: Option<&str>, new: Option<&str>| {
            (name.to_owned(), old.map(str::to_owned), new.map(str::to_owned))
        };
        let (b, d) = (
            moved("refs/heads/b", Some("1"), Some("2")),
            moved("refs/tags/d", None, Some("3")),
        );
        assert_eq!(
            told(&read),
            [b.clone(), d.clone(), moved("refs/heads/c", Some("1"), None)]
        );
        read.complete = false;
        assert_eq!(told(&read), [b, d]);
    }
}
