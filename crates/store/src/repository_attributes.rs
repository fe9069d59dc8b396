//! What a repository is about and how it stands, beside what makes it work.

use crate::{Millis, StoreError, Tx, params};

/// The description of a repository; empty when it has none.
///
/// # Errors
/// When the store cannot be read.
pub fn description(tx: &Tx<'_>, repository_id: i64) -> Result<String, StoreError> {
    let found = tx.first(
        "SELECT text FROM repository_description WHERE repository_id = $1",
        params![repository_id],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or_default())
}

/// Keeps a description; an empty one is none.
///
/// # Errors
/// When the store cannot be written.
pub fn set_description(tx: &Tx<'_>, repository_id: i64, text: &str) -> Result<(), StoreError> {
    if text.is_empty() {
        return forget_repository(tx, repository_id);
    }
    tx.execute(
        "INSERT INTO repository_description (repository_id, text) VALUES ($1, $2)
         ON CONFLICT (repository_id) DO UPDATE SET text = $2",
        params![repository_id, text],
    )?;
    Ok(())
}

/// When the last push to a repository arrived that moved refs, however it was told, and who made it.
///
/// # Errors
/// When the store cannot be read.
pub fn last_push(tx: &Tx<'_>, repository_id: i64) -> Result<Option<(Millis, String)>, StoreError> {
    tx.first(
        "SELECT received_ms, principal FROM event
         WHERE repository_id = $1 AND kind IN ('push', 'webhook', 'reconciliation') AND state <> 'refused' AND duplicate_of IS NULL
         ORDER BY id DESC LIMIT 1",
        params![repository_id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// When a repository was made.
///
/// # Errors
/// When the store cannot be read.
pub fn created_ms(tx: &Tx<'_>, repository_id: i64) -> Result<Millis, StoreError> {
    let found = tx.first(
        "SELECT created_ms FROM repository WHERE id = $1",
        params![repository_id],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or_default())
}

/// Forgets the attributes of a repository.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_repository(tx: &Tx<'_>, repository_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM repository_description WHERE repository_id = $1",
        params![repository_id],
    )?;
    Ok(())
}
