//! Decisions of the ledger, for and against: with the rules that were looked at, and what came of them.

use crate::{Millis, StoreError, Tx, params};

/// A decision, for or against.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The row's id.
    pub id: i64,
    /// The arrival that was decided.
    pub event_id: i64,
    /// The plan branch; `None` when there is none (yet).
    pub plan_branch_id: Option<i64>,
    /// The key of the plan or plan branch.
    pub plan_key: String,
    /// The ref that it is about; empty when it is about none.
    pub ref_name: String,
    /// The revision.
    pub revision: Option<String>,
    /// For or against.
    pub build: bool,
    /// A stable word for machines.
    pub code: String,
    /// A sentence for people.
    pub sentence: String,
    /// The rules that were looked at, with their inputs, as JSON.
    pub rules: String,
    /// The build that came of it.
    pub build_id: Option<i64>,
    /// What came of it, in a sentence.
    pub outcome: Option<String>,
    /// When it was decided.
    pub decided_ms: Millis,
}

/// Stores a decision; its `id` is ignored.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, plan_id: Option<i64>, decision: &Decision) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO decision (event_id, plan_id, plan_branch_id, plan_key, ref_name, revision, build, code, sentence,
           rules, build_id, outcome, decided_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id",
        params![
            decision.event_id,
            plan_id,
            decision.plan_branch_id,
            decision.plan_key,
            decision.ref_name,
            decision.revision,
            decision.build,
            decision.code,
            decision.sentence,
            decision.rules,
            decision.build_id,
            decision.outcome,
            decision.decided_ms
        ],
    )
}

/// Says what came of a decision.
///
/// # Errors
/// When the store cannot be written.
pub fn set_outcome(
    tx: &Tx<'_>,
    decision_id: i64,
    build_id: Option<i64>,
    outcome: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE decision SET outcome = $1, build_id = COALESCE($2, build_id) WHERE id = $3",
        params![outcome, build_id, decision_id],
    )?;
    Ok(())
}

const DECISION: &str =
    "SELECT id, event_id, plan_branch_id, plan_key, ref_name, revision, build, code, sentence, rules,
  build_id, outcome, decided_ms FROM decision";

fn read_decision(row: &crate::Row<'_>) -> Result<Decision, StoreError> {
    Ok(Decision {
        id: row.get(0)?,
        event_id: row.get(1)?,
        plan_branch_id: row.get(2)?,
        plan_key: row.get(3)?,
        ref_name: row.get(4)?,
        revision: row.get(5)?,
        build: row.get(6)?,
        code: row.get(7)?,
        sentence: row.get(8)?,
        rules: row.get(9)?,
        build_id: row.get(10)?,
        outcome: row.get(11)?,
        decided_ms: row.get(12)?,
    })
}

/// The decisions of an arrival.
///
/// # Errors
/// When the store cannot be read.
pub fn of_event(tx: &Tx<'_>, event_id: i64) -> Result<Vec<Decision>, StoreError> {
    tx.all(
        &format!("{DECISION} WHERE event_id = $1 ORDER BY id"),
        params![event_id],
        read_decision,
    )
}

/// The newest decisions about a plan and its branches, or about one branch, of one revision (a prefix will do) or
/// of all.
///
/// # Errors
/// When the store cannot be read.
pub fn of_plan(
    tx: &Tx<'_>,
    plan_id: i64,
    plan_branch_id: Option<i64>,
    revision: Option<&str>,
    limit: i64,
) -> Result<Vec<Decision>, StoreError> {
    let revision = revision.unwrap_or("");
    match plan_branch_id {
        Some(branch_id) => tx.all(
            &format!(
                "{DECISION} WHERE plan_branch_id = $1 AND substr(COALESCE(revision, ''), 1, length($2)) = $2
                 ORDER BY id DESC LIMIT $3"
            ),
            params![branch_id, revision, limit],
            read_decision,
        ),
        None => tx.all(
            &format!(
                "{DECISION} WHERE plan_id = $1 AND substr(COALESCE(revision, ''), 1, length($2)) = $2
                 ORDER BY id DESC LIMIT $3"
            ),
            params![plan_id, revision, limit],
            read_decision,
        ),
    }
}
