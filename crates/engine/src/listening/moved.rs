//! Refs of linked repositories that are elsewhere than the ledger has them.

use std::collections::HashSet;

use madake_domain::repository::RepositoryKind;
use madake_store::event::RefUpdate;
use madake_store::repository::{self, Repository};

use crate::heads::RefsRead;
use crate::{Engine, EngineError};

/// What moved in a linked repository since the last look at it that is in the ledger. The first look is where counting
/// starts, and before it nothing has moved. It holds until the transaction that keeps what was read: arrivals of one
/// repository are taken one after the other.
pub(crate) async fn since_last_look(
    engine: &Engine,
    found: &Repository,
    read: &RefsRead,
) -> Result<Vec<RefUpdate>, EngineError> {
    if found.kind != RepositoryKind::Linked {
        return Ok(Vec::new());
    }
    let id = found.id;
    let known = engine.store().read(move |tx| {
        // The row at hand may be older than the first look.
        let counted = repository::by_id(tx, id)?.is_some_and(|now| now.refs_known);
        Ok::<_, EngineError>(if counted {
            Some(repository::refs(tx, id)?)
        } else {
            None
        })
    });
    let known = known.await?;
    Ok(known.map_or_else(Vec::new, |known| read.moved_since(&known)))
}

/// Those of `moved` that nobody told us of.
pub(crate) fn untold(moved: &[RefUpdate], told: &[RefUpdate]) -> Vec<RefUpdate> {
    let named: HashSet<&str> = told.iter().map(|one| one.name.as_str()).collect();
    let untold = moved.iter().filter(|one| !named.contains(one.name.as_str()));
    untold.cloned().collect()
}
