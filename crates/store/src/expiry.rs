//! Old results: which there are, what was removed of them, and their removal as a whole.

use crate::{Millis, StoreError, Tx, params};

/// A result as far as its keeping goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgingResult {
    /// The build's id.
    pub build_id: i64,
    /// `PROJ-PLAN-7`
    pub key: String,
    /// The number.
    pub number: i64,
    /// When it ended or paused; `None`: it has not.
    pub finished_ms: Option<Millis>,
    /// Whether it was successful.
    pub is_successful: bool,
    /// The plan version that it ran.
    pub version_id: i64,
    /// Whether a release was made of it.
    pub is_released: bool,
    /// Whether its artifacts were removed, and no job has kept others since.
    pub lacks_artifacts: bool,
    /// Whether its logs were removed.
    pub lacks_logs: bool,
}

const ARTIFACTS: &str = "artifacts";
const LOGS: &str = "logs";

/// All results of a plan branch.
///
/// # Errors
/// When the store cannot be read.
pub fn of_branch(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Vec<AgingResult>, StoreError> {
    tx.all(
        "SELECT id, key, number, CASE WHEN active = 1 OR continuable = 1 THEN NULL ELSE finished_ms END, state, version_id,
           expired, CASE WHEN EXISTS (SELECT 1 FROM deployment_release r WHERE r.build_id = build.id) THEN 1 ELSE 0 END,
           CASE WHEN EXISTS (SELECT 1 FROM artifact a WHERE a.build_id = build.id) THEN 1 ELSE 0 END
         FROM build WHERE plan_branch_id = $1 ORDER BY number",
        params![plan_branch_id],
        |row| {
            let expired: String = row.get(6)?;
            let lacks = |part: &str| expired.split(',').any(|gone| gone == part);
            Ok(AgingResult {
                build_id: row.get(0)?,
                key: row.get(1)?,
                number: row.get(2)?,
                finished_ms: row.get(3)?,
                is_successful: row.get::<String>(4)? == "Successful",
                version_id: row.get(5)?,
                is_released: row.get(7)?,
                lacks_artifacts: lacks(ARTIFACTS) && !row.get::<bool>(8)?,
                lacks_logs: lacks(LOGS),
            })
        },
    )
}

/// Whether a release was made of a result.
///
/// # Errors
/// When the store cannot be read.
pub fn is_released(tx: &Tx<'_>, build_id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT 1 FROM deployment_release WHERE build_id = $1 LIMIT 1",
        params![build_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Whether a result has come to rest: nothing of it runs, and nobody can go on with it.
///
/// # Errors
/// When the store cannot be read.
pub fn rests(tx: &Tx<'_>, build_id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT 1 FROM build WHERE id = $1 AND active = 0 AND continuable = 0",
        params![build_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Notes what was removed of a result.
///
/// # Errors
/// When the store cannot be written.
pub fn note(tx: &Tx<'_>, build_id: i64, artifacts: bool, logs: bool) -> Result<(), StoreError> {
    let parts: Vec<&str> = [(artifacts, ARTIFACTS), (logs, LOGS)]
        .into_iter()
        .filter_map(|(gone, part)| gone.then_some(part))
        .collect();
    tx.execute(
        "UPDATE build SET expired = $1 WHERE id = $2",
        params![parts.join(","), build_id],
    )?;
    Ok(())
}

/// What was removed of a result: its artifacts, its logs.
///
/// # Errors
/// When the store cannot be read.
pub fn removed_of(tx: &Tx<'_>, build_id: i64) -> Result<(bool, bool), StoreError> {
    let expired = tx
        .first(
            "SELECT expired FROM build WHERE id = $1",
            params![build_id],
            |row| row.get::<String>(0),
        )?
        .unwrap_or_default();
    let lacks = |part: &str| expired.split(',').any(|gone| gone == part);
    Ok((lacks(ARTIFACTS), lacks(LOGS)))
}

/// Whether the logs of a build are of no use: it was removed, or its logs were, and nobody has started it again since.
///
/// # Errors
/// When the store cannot be read.
pub fn has_no_logs(tx: &Tx<'_>, build_id: i64) -> Result<bool, StoreError> {
    let expired = tx.first(
        "SELECT expired FROM build WHERE id = $1",
        params![build_id],
        |row| row.get::<String>(0),
    )?;
    Ok(expired.is_none_or(|expired| expired.split(',').any(|gone| gone == LOGS)))
}

/// Removes a result with all that hangs on it in the tables; one that was [released](is_released) cannot be. Entries of the
/// ledger that speak of it stay.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, build_id: i64) -> Result<(), StoreError> {
    crate::artifact::remove_of_build(tx, build_id)?;
    for table in ["test_text", "test_run", "test_count", "log_purge"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE job_id IN (SELECT id FROM job WHERE build_id = $1)"),
            params![build_id],
        )?;
    }
    for table in [
        "build_change",
        "build_issue",
        "build_revision",
        "result_comment",
        "result_label",
        "job",
    ] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE build_id = $1"),
            params![build_id],
        )?;
    }
    tx.execute("DELETE FROM build WHERE id = $1", params![build_id])?;
    Ok(())
}
