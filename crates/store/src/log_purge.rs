//! Lines of logs whose bytes were taken out: what is left of them.

use crate::{Millis, StoreError, Tx, params};

/// What is left of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The attempt at the job; a deployment has one, 1.
    pub attempt: i64,
    /// The line, from 1.
    pub line: i64,
    /// Who took its text out.
    pub purged_by: String,
    /// When.
    pub purged_ms: Millis,
}

/// Notes that the text of a line is taken out; whoever was first stays.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, job_id: i64, tombstone: &Tombstone) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO log_purge (job_id, attempt, line, purged_by, purged_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        params![
            job_id,
            tombstone.attempt,
            tombstone.line,
            tombstone.purged_by,
            tombstone.purged_ms
        ],
    )?;
    Ok(())
}

/// What is left of the lines of a job's logs.
///
/// # Errors
/// When the store cannot be read.
pub fn of_job(tx: &Tx<'_>, job_id: i64) -> Result<Vec<Tombstone>, StoreError> {
    tx.all(
        "SELECT attempt, line, purged_by, purged_ms FROM log_purge WHERE job_id = $1 ORDER BY attempt, line",
        params![job_id],
        read,
    )
}

/// Notes that the text of a line of a deployment's log is taken out; whoever was first stays.
///
/// # Errors
/// When the store cannot be written.
pub fn insert_of_deployment(tx: &Tx<'_>, result_id: i64, tombstone: &Tombstone) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO deployment_log_purge (result_id, line, purged_by, purged_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        params![
            result_id,
            tombstone.line,
            tombstone.purged_by,
            tombstone.purged_ms
        ],
    )?;
    Ok(())
}

/// What is left of the lines of a deployment's log.
///
/// # Errors
/// When the store cannot be read.
pub fn of_deployment(tx: &Tx<'_>, result_id: i64) -> Result<Vec<Tombstone>, StoreError> {
    tx.all(
        "SELECT 1, line, purged_by, purged_ms FROM deployment_log_purge WHERE result_id = $1 ORDER BY line",
        params![result_id],
        read,
    )
}

fn read(row: &crate::Row<'_>) -> Result<Tombstone, StoreError> {
    Ok(Tombstone {
        attempt: row.get(0)?,
        line: row.get(1)?,
        purged_by: row.get(2)?,
        purged_ms: row.get(3)?,
    })
}
