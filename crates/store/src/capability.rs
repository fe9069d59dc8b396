//! What administrators say that the built-in agents can do.

use crate::{Millis, StoreError, Topic, Tx, params};

/// All that was said, key and value, sorted by key.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<(String, String)>, StoreError> {
    tx.all("SELECT key, value FROM capability ORDER BY key", &[], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Says that agents have a capability with this value; what was said of it before is replaced.
///
/// # Errors
/// When the store cannot be written.
pub fn set(tx: &Tx<'_>, key: &str, value: &str, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO capability (key, value, set_ms) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = $2, set_ms = $3",
        params![key, value, now],
    )?;
    tx.wake(Topic::Queue);
    Ok(())
}

/// Takes back what was said of a capability; whether anything was.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, key: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM capability WHERE key = $1", params![key])? > 0)
}
