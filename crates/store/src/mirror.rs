//! Mirrors of hosted repositories: what is configured, and how their runs went.

use madake_domain::mirror::MirrorDirection;

use crate::event::{Content, RefUpdate};
use crate::{Millis, StoreError, Topic, Tx, params};

/// A mirror with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The row's id.
    pub id: i64,
    /// The hosted repository.
    pub repository_id: i64,
    /// Its name.
    pub repository: String,
    /// Which way refs go.
    pub direction: MirrorDirection,
    /// The address of the remote, without credentials.
    pub url: String,
    /// Sealed user name and password.
    pub credential: Option<Vec<u8>>,
    /// Whether refs are deleted that the other side does not have.
    pub prune: bool,
    /// How often the remote is looked at, in milliseconds.
    pub period_ms: i64,
    /// Who made it.
    pub made_by: String,
    /// When the next run is due.
    pub due_ms: Millis,
    /// Runs in a row that failed.
    pub failures: i64,
    /// The last entry of the ledger whose refs are at the remote (`to` only).
    pub synced_event_id: i64,
    /// When the last run began.
    pub last_attempt_ms: Option<Millis>,
    /// When the last run began that went well.
    pub last_success_ms: Option<Millis>,
    /// Why the last run failed.
    pub problem: Option<String>,
}

/// What a mirror is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMirror {
    /// The hosted repository.
    pub repository_id: i64,
    /// Which way refs go.
    pub direction: MirrorDirection,
    /// The address of the remote, without credentials.
    pub url: String,
    /// Whether refs are deleted that the other side does not have.
    pub prune: bool,
    /// How often the remote is looked at, in milliseconds.
    pub period_ms: i64,
    /// Who makes it.
    pub made_by: String,
}

/// Pushes that are not at the remote yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many entries of the ledger.
    pub count: i64,
    /// When the oldest of them arrived.
    pub since_ms: Option<Millis>,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// When it began.
    pub began_ms: Millis,
    /// When the next one is due.
    pub due_ms: Millis,
    /// The last entry of the ledger whose refs are at the remote now, or what keeps them.
    pub outcome: Result<i64, String>,
}

/// Where the credential of a mirror is sealed for.
#[must_use]
pub fn credential_place(id: i64) -> String {
    format!("mirror.credential:{id}")
}

const MIRROR: &str =
    "SELECT m.id, m.repository_id, r.name, m.direction, m.url, m.credential, m.prune, m.period_ms, m.made_by,
  s.due_ms, s.failures, s.synced_event_id, s.last_attempt_ms, s.last_success_ms, s.problem
  FROM mirror m JOIN mirror_state s ON s.mirror_id = m.id JOIN repository r ON r.id = m.repository_id";

fn read_mirror(row: &crate::Row<'_>) -> Result<Mirror, StoreError> {
    Ok(Mirror {
        id: row.get(0)?,
        repository_id: row.get(1)?,
        repository: row.get(2)?,
        direction: row.get::<String>(3)?.parse().map_err(StoreError::Damaged)?,
        url: row.get(4)?,
        credential: row.get(5)?,
        prune: row.get(6)?,
        period_ms: row.get(7)?,
        made_by: row.get(8)?,
        due_ms: row.get(9)?,
        failures: row.get(10)?,
        synced_event_id: row.get(11)?,
        last_attempt_ms: row.get(12)?,
        last_success_ms: row.get(13)?,
        problem: row.get(14)?,
    })
}

/// Adds a mirror, or changes the one with the same repository, direction and address; a run is due at once.
///
/// Deletions of refs count from now on.
///
/// # Errors
/// When the store cannot be written.
pub fn keep(tx: &Tx<'_>, new: &NewMirror, now: Millis) -> Result<i64, StoreError> {
    let id = tx.insert(
        "INSERT INTO mirror (repository_id, direction, url, prune, period_ms, made_by, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (repository_id, direction, url) DO UPDATE SET prune = $4, period_ms = $5, made_by = $6 RETURNING id",
        params![
            new.repository_id,
            new.direction.as_str(),
            new.url,
            new.prune,
            new.period_ms,
            new.made_by,
            now
        ],
    )?;
    let newest = newest_event(tx, new.repository_id)?;
    tx.execute(
        "INSERT INTO mirror_state (mirror_id, due_ms, failures, synced_event_id) VALUES ($1, $2, 0, $3)
         ON CONFLICT (mirror_id) DO UPDATE SET due_ms = $2, failures = 0",
        params![id, now, newest],
    )?;
    tx.wake(Topic::Mirrors);
    Ok(id)
}

/// Keeps a sealed credential.
///
/// # Errors
/// When the store cannot be written.
pub fn set_credential(tx: &Tx<'_>, id: i64, sealed: Option<&[u8]>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mirror SET credential = $1 WHERE id = $2",
        params![sealed.map(<[u8]>::to_vec), id],
    )?;
    Ok(())
}

/// All mirrors, by repository.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Mirror>, StoreError> {
    tx.all(&format!("{MIRROR} ORDER BY r.folded, m.id"), &[], read_mirror)
}

/// The mirrors of one repository.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<Mirror>, StoreError> {
    tx.all(
        &format!("{MIRROR} WHERE m.repository_id = $1 ORDER BY m.id"),
        params![repository_id],
        read_mirror,
    )
}

/// The mirror with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Mirror>, StoreError> {
    tx.first(&format!("{MIRROR} WHERE m.id = $1"), params![id], read_mirror)
}

/// The address that a repository is kept equal to, if it is a mirror.
///
/// # Errors
/// When the store cannot be read.
pub fn source_of(tx: &Tx<'_>, repository_id: i64) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT url FROM mirror WHERE repository_id = $1 AND direction = 'from'",
        params![repository_id],
        |row| row.get(0),
    )
}

/// Removes a mirror; what is at either side stays.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM mirror_state WHERE mirror_id = $1",
        "DELETE FROM mirror WHERE id = $1",
    ] {
        tx.execute(statement, params![id])?;
    }
    Ok(())
}

/// Makes a run due now, also of one that waits after a failure.
///
/// # Errors
/// When the store cannot be written.
pub fn hurry(tx: &Tx<'_>, id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mirror_state SET due_ms = $1 WHERE mirror_id = $2",
        params![now, id],
    )?;
    tx.wake(Topic::Mirrors);
    Ok(())
}

/// Makes the run due now that fetches what a repository here follows: somebody says that there is something.
///
/// # Errors
/// When the store cannot be written.
pub fn hurry_source(tx: &Tx<'_>, repository_id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mirror_state SET due_ms = $1
         WHERE mirror_id IN (SELECT id FROM mirror WHERE repository_id = $2 AND direction = 'from')",
        params![now, repository_id],
    )?;
    tx.wake(Topic::Mirrors);
    Ok(())
}

/// Makes the runs due that follow from refs having moved in a repository here, in the transaction that enters the move.
/// Those that fail keep waiting for their time.
///
/// # Errors
/// When the store cannot be written.
pub fn note_push(tx: &Tx<'_>, repository_id: i64, now: Millis) -> Result<(), StoreError> {
    let woken = tx.execute(
        "UPDATE mirror_state SET due_ms = $1 WHERE due_ms > $1 AND failures = 0
           AND mirror_id IN (SELECT id FROM mirror WHERE repository_id = $2 AND direction = 'to')",
        params![now, repository_id],
    )?;
    if woken > 0 {
        tx.wake(Topic::Mirrors);
    }
    Ok(())
}

/// The id of the last entry of the ledger about a repository; 0 without one.
///
/// # Errors
/// When the store cannot be read.
pub fn newest_event(tx: &Tx<'_>, repository_id: i64) -> Result<i64, StoreError> {
    let newest = tx.first(
        "SELECT id FROM event WHERE repository_id = $1 ORDER BY id DESC LIMIT 1",
        params![repository_id],
        |row| row.get(0),
    )?;
    Ok(newest.unwrap_or(0))
}

/// Refs that entries of the ledger moved, after one entry and up to another.
///
/// # Errors
/// When the store cannot be read.
pub fn moved_between(
    tx: &Tx<'_>,
    repository_id: i64,
    after: i64,
    until: i64,
) -> Result<Vec<RefUpdate>, StoreError> {
    let contents = tx.all(
        "SELECT content FROM event WHERE repository_id = $1 AND id > $2 AND id <= $3 ORDER BY id",
        params![repository_id, after, until],
        |row| row.json::<Content>(0),
    )?;
    let updates = contents.into_iter().filter_map(|content| match content {
        Content::Push { updates, .. } => Some(updates),
        _ => None,
    });
    Ok(updates.flatten().collect())
}

/// Pushes to the repository here that a remote does not have yet.
///
/// # Errors
/// When the store cannot be read.
pub fn pending(tx: &Tx<'_>, mirror: &Mirror) -> Result<Pending, StoreError> {
    if mirror.direction == MirrorDirection::From {
        return Ok(Pending::default());
    }
    let found = tx.first(
        "SELECT COUNT(*), MIN(received_ms) FROM event WHERE repository_id = $1 AND id > $2
           AND kind IN ('push', 'reconciliation', 'mirror') AND state <> 'duplicate'",
        params![mirror.repository_id, mirror.synced_event_id],
        |row| {
            Ok(Pending {
                count: row.get(0)?,
                since_ms: row.get(1)?,
            })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// Notes how a run went. One that was asked for meanwhile stays due, as does one for a push that came in meanwhile.
///
/// # Errors
/// When the store cannot be written.
pub fn note_run(tx: &Tx<'_>, id: i64, ran: &Ran, now: Millis) -> Result<(), StoreError> {
    match &ran.outcome {
        Ok(synced) => {
            tx.execute(
                "UPDATE mirror_state SET due_ms = CASE WHEN due_ms >= $3 THEN due_ms ELSE $1 END, failures = 0,
                   synced_event_id = $2, last_attempt_ms = $3, last_success_ms = $3, problem = NULL WHERE mirror_id = $4",
                params![ran.due_ms, synced, ran.began_ms, id],
            )?;
            if let Some(mirror) = by_id(tx, id)?
                && pending(tx, &mirror)?.count > 0
            {
                hurry(tx, id, now)?;
            }
        }
        Err(problem) => {
            tx.execute(
                "UPDATE mirror_state SET due_ms = CASE WHEN due_ms >= $2 THEN due_ms ELSE $1 END, failures = failures + 1,
                   last_attempt_ms = $2, problem = $3 WHERE mirror_id = $4",
                params![ran.due_ms, ran.began_ms, problem, id],
            )?;
        }
    }
    tx.wake(Topic::Mirrors);
    Ok(())
}
