//! Labels of plans and of results. A result starts with the labels that its plan has.

use crate::{Millis, StoreError, Tx, params};

/// Labels a result; says whether that is new.
///
/// # Errors
/// When the store cannot be written.
pub fn add(tx: &Tx<'_>, build_id: i64, name: &str, made_by: &str, now: Millis) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO result_label (build_id, name, made_by, made_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        params![build_id, name, made_by, now],
    )?;
    Ok(added > 0)
}

/// Takes a label from a result; says whether it had it.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, build_id: i64, name: &str) -> Result<bool, StoreError> {
    let removed = tx.execute(
        "DELETE FROM result_label WHERE build_id = $1 AND name = $2",
        params![build_id, name],
    )?;
    Ok(removed > 0)
}

/// The labels of a result, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn of_build(tx: &Tx<'_>, build_id: i64) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT name FROM result_label WHERE build_id = $1 ORDER BY name",
        params![build_id],
        |row| row.get(0),
    )
}

/// Labels a plan; says whether that is new.
///
/// # Errors
/// When the store cannot be written.
pub fn add_to_plan(tx: &Tx<'_>, plan_id: i64, name: &str) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO plan_label (plan_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        params![plan_id, name],
    )?;
    Ok(added > 0)
}

/// Takes a label from a plan; says whether it had it.
///
/// # Errors
/// When the store cannot be written.
pub fn remove_from_plan(tx: &Tx<'_>, plan_id: i64, name: &str) -> Result<bool, StoreError> {
    let removed = tx.execute(
        "DELETE FROM plan_label WHERE plan_id = $1 AND name = $2",
        params![plan_id, name],
    )?;
    Ok(removed > 0)
}

/// Gives a plan these labels and no others.
///
/// # Errors
/// When the store cannot be written.
pub fn set_of_plan(tx: &Tx<'_>, plan_id: i64, names: &[String]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM plan_label WHERE plan_id = $1", params![plan_id])?;
    for name in names {
        add_to_plan(tx, plan_id, name)?;
    }
    Ok(())
}

/// The labels of a plan, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn of_plan(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT name FROM plan_label WHERE plan_id = $1 ORDER BY name",
        params![plan_id],
        |row| row.get(0),
    )
}
