//! What was found in plan files, and which repositories describe plans that belong to others.

use crate::{Millis, StoreError, Tx, params};

/// A finding of a plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The repository that holds the plan file.
    pub repository_id: i64,
    /// The branch that the plan file is of.
    pub branch: String,
    /// The commit that was read.
    pub revision: String,
    /// The plan that it is about; `None`: the file as a whole.
    pub plan_key: Option<String>,
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// The finding, as JSON.
    pub finding: String,
    /// When it was found.
    pub found_ms: Millis,
}

/// What a new finding is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFinding {
    /// The plan that it is about; `None`: the file as a whole.
    pub plan_key: Option<String>,
    /// `error`, `warning` or `info`.
    pub severity: &'static str,
    /// The finding, as JSON.
    pub finding: String,
}

/// A repository whose plan file describes a plan that belongs to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The plan.
    pub plan_id: i64,
    /// The repository.
    pub repository_id: i64,
    /// The commit that claims it.
    pub revision: String,
    /// The entry of the ledger that brought it.
    pub event_id: Option<i64>,
    /// Since when.
    pub claimed_ms: Millis,
    /// When an administrator decided about it.
    pub settled_ms: Option<Millis>,
}

fn read_finding(row: &crate::Row<'_>) -> Result<Finding, StoreError> {
    Ok(Finding {
        repository_id: row.get(0)?,
        branch: row.get(1)?,
        revision: row.get(2)?,
        plan_key: row.get(3)?,
        severity: row.get(4)?,
        finding: row.get(5)?,
        found_ms: row.get(6)?,
    })
}

const FINDING: &str =
    "SELECT repository_id, branch, revision, plan_key, severity, finding, found_ms FROM plan_finding";

/// Replaces what was found in the plan file of a branch.
///
/// # Errors
/// When the store cannot be written.
pub fn set_findings(
    tx: &Tx<'_>,
    repository_id: i64,
    branch: &str,
    revision: &str,
    findings: &[NewFinding],
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM plan_finding WHERE repository_id = $1 AND branch = $2",
        params![repository_id, branch],
    )?;
    for one in findings {
        tx.execute(
            "INSERT INTO plan_finding (repository_id, branch, revision, plan_key, severity, finding, found_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                repository_id,
                branch,
                revision,
                one.plan_key,
                one.severity,
                one.finding,
                now
            ],
        )?;
    }
    Ok(())
}

/// What was found in the plan file of one branch, in the order of the file.
///
/// # Errors
/// When the store cannot be read.
pub fn findings_of_branch(tx: &Tx<'_>, repository_id: i64, branch: &str) -> Result<Vec<Finding>, StoreError> {
    tx.all(
        &format!("{FINDING} WHERE repository_id = $1 AND branch = $2 ORDER BY id"),
        params![repository_id, branch],
        read_finding,
    )
}

/// Whether an error was found when the plan file of a branch was last read.
///
/// # Errors
/// When the store cannot be read.
pub fn has_errors(tx: &Tx<'_>, repository_id: i64, branch: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT 1 FROM plan_finding WHERE repository_id = $1 AND branch = $2 AND severity = 'error' LIMIT 1",
        params![repository_id, branch],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// What was found about a plan in any plan file, in the order in which it was found.
///
/// # Errors
/// When the store cannot be read.
pub fn findings_about(tx: &Tx<'_>, plan_key: &str) -> Result<Vec<Finding>, StoreError> {
    tx.all(
        &format!("{FINDING} WHERE plan_key = $1 ORDER BY id"),
        params![plan_key],
        read_finding,
    )
}

/// Notes that a repository's plan file describes a plan of another. What was decided about it stays decided.
///
/// # Errors
/// When the store cannot be written.
pub fn claim(
    tx: &Tx<'_>,
    plan_id: i64,
    repository_id: i64,
    revision: &str,
    event_id: Option<i64>,
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO plan_claim (plan_id, repository_id, revision, event_id, claimed_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (plan_id, repository_id) DO UPDATE SET revision = $3, event_id = $4",
        params![plan_id, repository_id, revision, event_id, now],
    )?;
    Ok(())
}

/// Forgets the claims of a repository but for those on these plans: its plan file does not describe the others any more.
///
/// # Errors
/// When the store cannot be written.
pub fn drop_claims_but(tx: &Tx<'_>, repository_id: i64, plan_ids: &[i64]) -> Result<(), StoreError> {
    let claimed = tx.all(
        "SELECT plan_id FROM plan_claim WHERE repository_id = $1",
        params![repository_id],
        |row| row.get::<i64>(0),
    )?;
    for plan_id in claimed.into_iter().filter(|id| !plan_ids.contains(id)) {
        drop_claim(tx, plan_id, repository_id)?;
    }
    Ok(())
}

/// Forgets the claim of a repository on a plan.
///
/// # Errors
/// When the store cannot be written.
pub fn drop_claim(tx: &Tx<'_>, plan_id: i64, repository_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM plan_claim WHERE plan_id = $1 AND repository_id = $2",
        params![plan_id, repository_id],
    )?;
    Ok(())
}

/// Notes that an administrator decided about all claims on a plan.
///
/// # Errors
/// When the store cannot be written.
pub fn settle_claims(tx: &Tx<'_>, plan_id: i64, now: Millis) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE plan_claim SET settled_ms = $1 WHERE plan_id = $2 AND settled_ms IS NULL",
        params![now, plan_id],
    )?;
    Ok(())
}

/// The claims on a plan, the oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn claims(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<Claim>, StoreError> {
    tx.all(
        "SELECT plan_id, repository_id, revision, event_id, claimed_ms, settled_ms FROM plan_claim
         WHERE plan_id = $1 ORDER BY claimed_ms, repository_id",
        params![plan_id],
        |row| {
            Ok(Claim {
                plan_id: row.get(0)?,
                repository_id: row.get(1)?,
                revision: row.get(2)?,
                event_id: row.get(3)?,
                claimed_ms: row.get(4)?,
                settled_ms: row.get(5)?,
            })
        },
    )
}
