//! Receivers: who hears of pushes to a repository, in which format, and how well they answered lately.

use madake_domain::delivery::Receiver as Health;

use crate::{Millis, StoreError, Topic, Tx, params};

/// A receiver of one repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The row's id.
    pub id: i64,
    /// The repository whose pushes it hears of.
    pub repository_id: i64,
    /// `webhook` or `broker`.
    pub kind: String,
    /// The format of a webhook (`stash2`), or the type of a broker (`jenkins`).
    pub profile: String,
    /// What people call it.
    pub name: String,
    /// Where it is reached, without user name and password; empty for a broker that has no address.
    pub url: String,
    /// Whether it is to be told.
    pub active: bool,
    /// Settings as JSON, without secrets.
    pub settings: String,
    /// Sealed JSON of its secrets.
    pub secrets: Option<Vec<u8>>,
    /// How well it answered lately.
    pub health: Health,
    /// Who made it: told before it is switched off.
    pub made_by: String,
    /// When it was made.
    pub created_ms: Millis,
    /// When it was changed last.
    pub updated_ms: Millis,
}

/// What a receiver is made of, or changed to.
#[derive(Debug, Clone)]
pub struct ReceiverFields {
    /// The format or the type of broker.
    pub profile: String,
    /// What people call it.
    pub name: String,
    /// Where it is reached.
    pub url: String,
    /// Whether it is to be told.
    pub active: bool,
    /// Settings as JSON, without secrets.
    pub settings: String,
}

/// Where the secrets of a receiver are sealed for.
#[must_use]
pub fn secrets_place(id: i64) -> String {
    format!("receiver.secrets:{id}")
}

const RECEIVER: &str =
    "SELECT id, repository_id, kind, profile, name, url, active, settings, secrets, health, made_by,
  created_ms, updated_ms FROM receiver";

fn read_receiver(row: &crate::Row<'_>) -> Result<Receiver, StoreError> {
    Ok(Receiver {
        id: row.get(0)?,
        repository_id: row.get(1)?,
        kind: row.get(2)?,
        profile: row.get(3)?,
        name: row.get(4)?,
        url: row.get(5)?,
        active: row.get(6)?,
        settings: row.get(7)?,
        secrets: row.get(8)?,
        health: row.json(9)?,
        made_by: row.get(10)?,
        created_ms: row.get(11)?,
        updated_ms: row.get(12)?,
    })
}

/// Adds a receiver.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(
    tx: &Tx<'_>,
    repository_id: i64,
    kind: &str,
    fields: &ReceiverFields,
    made_by: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO receiver (repository_id, kind, profile, name, url, active, settings, health, made_by, created_ms,
           updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) RETURNING id",
        params![
            repository_id,
            kind,
            fields.profile,
            fields.name,
            fields.url,
            fields.active,
            fields.settings,
            serde_json::to_string(&Health::default())?,
            made_by,
            now
        ],
    )
}

/// Changes a receiver.
///
/// # Errors
/// When the store cannot be written.
pub fn update(tx: &Tx<'_>, id: i64, fields: &ReceiverFields, now: Millis) -> Result<(), StoreError> {
    tx.wake(Topic::Outbox);
    tx.execute(
        "UPDATE receiver SET profile = $1, name = $2, url = $3, active = $4, settings = $5, updated_ms = $6 WHERE id = $7",
        params![
            fields.profile,
            fields.name,
            fields.url,
            fields.active,
            fields.settings,
            now,
            id
        ],
    )?;
    Ok(())
}

/// Keeps sealed secrets; `None` forgets them.
///
/// # Errors
/// When the store cannot be written.
pub fn set_secrets(tx: &Tx<'_>, id: i64, sealed: Option<&[u8]>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE receiver SET secrets = $1 WHERE id = $2",
        params![sealed, id],
    )?;
    Ok(())
}

/// Keeps how well a receiver answered.
///
/// # Errors
/// When the store cannot be written.
pub fn set_health(tx: &Tx<'_>, id: i64, health: &Health) -> Result<(), StoreError> {
    tx.wake(Topic::Outbox);
    tx.execute(
        "UPDATE receiver SET health = $1 WHERE id = $2",
        params![serde_json::to_string(health)?, id],
    )?;
    Ok(())
}

/// Takes a receiver out of service for good; its delivery log stays.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE receiver SET removed_ms = $1, active = 0, secrets = NULL WHERE id = $2 AND removed_ms IS NULL",
        params![now, id],
    )?;
    Ok(())
}

/// A receiver that was not removed.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Receiver>, StoreError> {
    tx.first(
        &format!("{RECEIVER} WHERE id = $1 AND removed_ms IS NULL"),
        params![id],
        read_receiver,
    )
}

/// A receiver, also one that was removed since: for what is told of the past.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id_even_removed(tx: &Tx<'_>, id: i64) -> Result<Option<Receiver>, StoreError> {
    tx.first(&format!("{RECEIVER} WHERE id = $1"), params![id], read_receiver)
}

/// The receivers of a repository, in the order in which they were made.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<Receiver>, StoreError> {
    tx.all(
        &format!("{RECEIVER} WHERE repository_id = $1 AND removed_ms IS NULL ORDER BY id"),
        params![repository_id],
        read_receiver,
    )
}

/// The repositories that have a receiver which is to be told.
///
/// # Errors
/// When the store cannot be read.
pub fn told_repositories(tx: &Tx<'_>) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT DISTINCT repository_id FROM receiver WHERE removed_ms IS NULL AND active = 1 ORDER BY repository_id",
        &[],
        |row| row.get(0),
    )
}

/// The ids of all receivers, removed ones too.
///
/// # Errors
/// When the store cannot be read.
pub fn all_ids(tx: &Tx<'_>) -> Result<Vec<i64>, StoreError> {
    tx.all("SELECT id FROM receiver ORDER BY id", &[], |row| row.get(0))
}
