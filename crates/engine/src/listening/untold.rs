//! Refs that are elsewhere than the ledger has them: what nobody told us of.

use madake_domain::repository::RepositoryKind;
use madake_store::event::RefUpdate;
use madake_store::repository::{self, Repository};

use crate::heads::RefsRead;
use crate::{Engine, EngineError};

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
    let mut moved = read.moved_since(&known);
    moved.retain(|update| told.iter().all(|one| one.name != update.name));
    Ok(moved)
}
