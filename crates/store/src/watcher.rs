//! Who watches plan branches, and who is responsible for their failures. Watching a plan is watching its first branch.

use crate::user::User;
use crate::{Millis, StoreError, Tx, params, user};

/// Has a user watch a plan branch; a no-op for one who does.
///
/// # Errors
/// When the store cannot be written.
pub fn watch(tx: &Tx<'_>, plan_branch_id: i64, user_id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO watcher (plan_branch_id, user_id, since_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        params![plan_branch_id, user_id, now],
    )?;
    Ok(())
}

/// Has a user watch a plan branch no more; a no-op for one who does not.
///
/// # Errors
/// When the store cannot be written.
pub fn unwatch(tx: &Tx<'_>, plan_branch_id: i64, user_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM watcher WHERE plan_branch_id = $1 AND user_id = $2",
        params![plan_branch_id, user_id],
    )?;
    Ok(())
}

/// Those who watch a plan branch, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn watchers(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Vec<User>, StoreError> {
    let ids: Vec<i64> = tx.all(
        "SELECT w.user_id FROM watcher w JOIN users u ON u.id = w.user_id WHERE w.plan_branch_id = $1 ORDER BY u.folded",
        params![plan_branch_id],
        |row| row.get(0),
    )?;
    users(tx, &ids)
}

/// The plan branches that a user watches.
///
/// # Errors
/// When the store cannot be read.
pub fn watched(tx: &Tx<'_>, user_id: i64) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT plan_branch_id FROM watcher WHERE user_id = $1 ORDER BY plan_branch_id",
        params![user_id],
        |row| row.get(0),
    )
}

/// Whether a user watches a plan branch.
///
/// # Errors
/// When the store cannot be read.
pub fn is_watched(tx: &Tx<'_>, plan_branch_id: i64, user_id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT 1 FROM watcher WHERE plan_branch_id = $1 AND user_id = $2",
        params![plan_branch_id, user_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Those who are responsible for the failure of a plan branch, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn responsible(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Vec<User>, StoreError> {
    let ids: Vec<i64> = tx.all(
        "SELECT r.user_id FROM responsible r JOIN users u ON u.id = r.user_id WHERE r.plan_branch_id = $1
         ORDER BY u.folded",
        params![plan_branch_id],
        |row| row.get(0),
    )?;
    users(tx, &ids)
}

/// Makes these users responsible, and nobody else.
///
/// # Errors
/// When the store cannot be written.
pub fn set_responsible(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    user_ids: &[i64],
    by: &str,
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM responsible WHERE plan_branch_id = $1",
        params![plan_branch_id],
    )?;
    for user_id in user_ids {
        tx.execute(
            "INSERT INTO responsible (plan_branch_id, user_id, assigned_by, since_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            params![plan_branch_id, user_id, by, now],
        )?;
    }
    Ok(())
}

fn users(tx: &Tx<'_>, ids: &[i64]) -> Result<Vec<User>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(user::by_id(tx, *id)?);
    }
    Ok(found)
}
