//! Addresses at which other forges tell us of pushes: a token in the path, and a secret that signs the body.

use crate::user::token_hash;
use crate::{Millis, StoreError, Tx, params};

/// A webhook address of one repository, or of all linked ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The row's id.
    pub id: i64,
    /// The repository that it tells of; `None`: it serves all linked ones.
    pub repository_id: Option<i64>,
    /// The sealed secret; `None`: bodies are not signed, the token alone protects.
    pub secret: Option<Vec<u8>>,
    /// What it is for.
    pub description: String,
}

/// Where the secret of a webhook is sealed for.
#[must_use]
pub fn secret_place(id: i64) -> String {
    format!("webhook.secret:{id}")
}

/// Adds a webhook by its raw token.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(
    tx: &Tx<'_>,
    repository_id: Option<i64>,
    raw_token: &str,
    description: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO webhook (repository_id, token_hash, description, created_ms) VALUES ($1, $2, $3, $4) RETURNING id",
        params![repository_id, token_hash(raw_token), description, now],
    )
}

/// Keeps a sealed secret.
///
/// # Errors
/// When the store cannot be written.
pub fn set_secret(tx: &Tx<'_>, id: i64, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE webhook SET secret = $1 WHERE id = $2",
        params![sealed, id],
    )?;
    Ok(())
}

fn read_webhook(row: &crate::Row<'_>) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.get(0)?,
        repository_id: row.get(1)?,
        secret: row.get(2)?,
        description: row.get(3)?,
    })
}

const WEBHOOK: &str = "SELECT id, repository_id, secret, description FROM webhook";

/// The webhook with this raw token, unless it was revoked.
///
/// # Errors
/// When the store cannot be read.
pub fn by_token(tx: &Tx<'_>, raw_token: &str) -> Result<Option<Webhook>, StoreError> {
    tx.first(
        &format!("{WEBHOOK} WHERE token_hash = $1 AND revoked_ms IS NULL"),
        params![token_hash(raw_token)],
        read_webhook,
    )
}

/// All webhooks that serve every linked repository and were not revoked.
///
/// # Errors
/// When the store cannot be read.
pub fn of_all(tx: &Tx<'_>) -> Result<Vec<Webhook>, StoreError> {
    tx.all(
        &format!("{WEBHOOK} WHERE repository_id IS NULL AND revoked_ms IS NULL ORDER BY id"),
        &[],
        read_webhook,
    )
}

/// All webhooks of a repository that were not revoked.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<Webhook>, StoreError> {
    tx.all(
        &format!("{WEBHOOK} WHERE repository_id = $1 AND revoked_ms IS NULL ORDER BY id"),
        params![repository_id],
        read_webhook,
    )
}

/// Revokes a webhook.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such webhook.
pub fn revoke(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE webhook SET revoked_ms = $1 WHERE id = $2 AND revoked_ms IS NULL",
        params![now, id],
    )?;
    if changed == 0 {
        Err(StoreError::Missing(format!("a webhook with the id {id}")))
    } else {
        Ok(())
    }
}
