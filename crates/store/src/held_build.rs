//! What change detection wants to build while a parent holds its plan branch back. One for each plan branch: the newest.

use crate::{Millis, StoreError, Tx, params};

/// A build that a parent holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBuild {
    /// The plan branch.
    pub plan_branch_id: i64,
    /// The decision that it waits.
    pub decision_id: i64,
    /// The revision of the repository that changed.
    pub revision: String,
    /// The revision that the plan branch had considered when this was held back.
    pub considered: Option<String>,
    /// What the build is to be made of, as JSON.
    pub content: String,
    /// Since when it waits.
    pub since_ms: Millis,
}

const HELD: &str = "SELECT h.plan_branch_id, h.decision_id, h.revision, h.content, h.since_ms, h.considered FROM held_build h";

fn read(row: &crate::Row<'_>) -> Result<HeldBuild, StoreError> {
    Ok(HeldBuild {
        plan_branch_id: row.get(0)?,
        decision_id: row.get(1)?,
        revision: row.get(2)?,
        content: row.get(3)?,
        since_ms: row.get(4)?,
        considered: row.get(5)?,
    })
}

/// All of them, the oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<HeldBuild>, StoreError> {
    tx.all(
        &format!("{HELD} ORDER BY h.since_ms, h.plan_branch_id"),
        &[],
        read,
    )
}

/// The one of a plan branch.
///
/// # Errors
/// When the store cannot be read.
pub fn of(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Option<HeldBuild>, StoreError> {
    tx.first(
        &format!("{HELD} WHERE h.plan_branch_id = $1"),
        params![plan_branch_id],
        read,
    )
}

/// Keeps one; its plan branch has none.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, held: &HeldBuild) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO held_build (plan_branch_id, decision_id, revision, content, since_ms, considered)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![
            held.plan_branch_id,
            held.decision_id,
            held.revision,
            held.content,
            held.since_ms,
            held.considered
        ],
    )?;
    Ok(())
}

/// Takes the one of a plan branch away and gives it.
///
/// # Errors
/// When the store cannot be written.
pub fn take(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Option<HeldBuild>, StoreError> {
    let found = of(tx, plan_branch_id)?;
    if found.is_some() {
        tx.execute(
            "DELETE FROM held_build WHERE plan_branch_id = $1",
            params![plan_branch_id],
        )?;
    }
    Ok(found)
}
