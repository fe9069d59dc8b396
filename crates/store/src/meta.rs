//! What the store knows of the server itself: names and values.

use crate::{StoreError, Tx, params};

/// The value of a name.
///
/// # Errors
/// When the store cannot be read.
pub fn get(tx: &Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.first("SELECT value FROM meta WHERE name = $1", params![name], |row| {
        row.get(0)
    })
}

/// Gives a name this value; `None` forgets it.
///
/// # Errors
/// When the store cannot be written.
pub fn set(tx: &Tx<'_>, name: &str, value: Option<&str>) -> Result<(), StoreError> {
    match value {
        Some(value) => tx.execute(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
            params![name, value],
        ),
        None => tx.execute("DELETE FROM meta WHERE name = $1", params![name]),
    }?;
    Ok(())
}
