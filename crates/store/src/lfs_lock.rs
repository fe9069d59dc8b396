//! Files that are locked by git-lfs. A path of a repository has at most one lock.

use crate::{Millis, StoreError, Tx, params};

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LfsLock {
    /// The row's id, which clients name.
    pub id: i64,
    /// The path in the work tree.
    pub path: String,
    /// Who holds it, by the name of the principal.
    pub owner: String,
    /// The ref that it was taken for; empty if the client named none.
    pub ref_name: String,
    /// When it was taken.
    pub locked_ms: Millis,
}

/// Which locks of a repository are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFilter {
    /// The one of this path.
    pub path: Option<String>,
    /// The one with this id.
    pub id: Option<i64>,
    /// Those with a higher id than this.
    pub after: i64,
    /// At most this many.
    pub limit: i64,
}

const LOCK: &str = "SELECT id, path, owner, ref_name, locked_ms FROM lfs_lock";

fn read_lock(row: &crate::Row<'_>) -> Result<LfsLock, StoreError> {
    Ok(LfsLock {
        id: row.get(0)?,
        path: row.get(1)?,
        owner: row.get(2)?,
        ref_name: row.get(3)?,
        locked_ms: row.get(4)?,
    })
}

/// Adds a lock.
///
/// # Errors
/// [`StoreError::Duplicate`] when the path is locked.
pub fn insert(
    tx: &Tx<'_>,
    repository_id: i64,
    path: &str,
    owner: &str,
    ref_name: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO lfs_lock (repository_id, path, owner, ref_name, locked_ms) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        params![repository_id, path, owner, ref_name, now],
    )
}

/// Locks of a repository, in the order in which they were taken.
///
/// # Errors
/// When the store cannot be read.
pub fn list(tx: &Tx<'_>, repository_id: i64, filter: &LockFilter) -> Result<Vec<LfsLock>, StoreError> {
    tx.all(
        &format!(
            "{LOCK} WHERE repository_id = $1 AND id > $2 AND ($3 IS NULL OR path = $3) AND ($4 IS NULL OR id = $4)
             ORDER BY id LIMIT $5"
        ),
        params![
            repository_id,
            filter.after,
            filter.path,
            filter.id,
            filter.limit
        ],
        read_lock,
    )
}

/// How many files of a repository are locked.
///
/// # Errors
/// When the store cannot be read.
pub fn count(tx: &Tx<'_>, repository_id: i64) -> Result<i64, StoreError> {
    let found = tx.first(
        "SELECT COUNT(*) FROM lfs_lock WHERE repository_id = $1",
        params![repository_id],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(0))
}

/// Removes a lock; a no-op when it is not there.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, repository_id: i64, id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM lfs_lock WHERE repository_id = $1 AND id = $2",
        params![repository_id, id],
    )?;
    Ok(())
}
