//! Branch permissions: which branches of a hosted repository are protected from what, and who is exempt.

use std::collections::BTreeSet;

use madake_domain::branch_permission::{BranchPattern, BranchRule, Restriction};

use crate::{Millis, StoreError, Tx, params};

const RULE: &str = "SELECT id, pattern, restrictions, exempt_users, exempt_groups FROM branch_permission";

fn read_rule(row: &crate::Row<'_>) -> Result<BranchRule, StoreError> {
    let pattern: String = row.get(1)?;
    let pattern: BranchPattern = pattern
        .parse()
        .map_err(|error| StoreError::Damaged(format!("{error}")))?;
    Ok(BranchRule {
        id: row.get(0)?,
        pattern,
        restrictions: row.json(2)?,
        exempt_users: row.json(3)?,
        exempt_groups: row.json(4)?,
    })
}

/// What a rule is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBranchRule {
    /// The branches that it is about.
    pub pattern: BranchPattern,
    /// What it forbids.
    pub restrictions: BTreeSet<Restriction>,
    /// Names of users to whom it does not apply.
    pub exempt_users: Vec<String>,
    /// Names of groups to whose members it does not apply.
    pub exempt_groups: Vec<String>,
}

/// Keeps the rule of a repository for a pattern, in place of the one that it had for it. Gives its number.
///
/// # Errors
/// When the store cannot be written.
pub fn keep(
    tx: &Tx<'_>,
    repository_id: i64,
    rule: &NewBranchRule,
    made_by: &str,
    now: Millis,
) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO branch_permission (repository_id, pattern, restrictions, exempt_users, exempt_groups, made_by, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (repository_id, pattern) DO UPDATE SET restrictions = $3, exempt_users = $4, exempt_groups = $5,
           made_by = $6, created_ms = $7
         RETURNING id",
        params![
            repository_id,
            rule.pattern.as_str(),
            serde_json::to_string(&rule.restrictions)?,
            serde_json::to_string(&rule.exempt_users)?,
            serde_json::to_string(&rule.exempt_groups)?,
            made_by,
            now
        ],
    )
}

/// The rules of a repository, the oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn of_repository(tx: &Tx<'_>, repository_id: i64) -> Result<Vec<BranchRule>, StoreError> {
    tx.all(
        &format!("{RULE} WHERE repository_id = $1 ORDER BY id"),
        params![repository_id],
        read_rule,
    )
}

/// Removes the rule of a repository for a pattern; says whether there was one.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(tx: &Tx<'_>, repository_id: i64, pattern: &str) -> Result<bool, StoreError> {
    let removed = tx.execute(
        "DELETE FROM branch_permission WHERE repository_id = $1 AND pattern = $2",
        params![repository_id, pattern],
    )?;
    Ok(removed > 0)
}

/// Forgets all rules of a repository.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_repository(tx: &Tx<'_>, repository_id: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM branch_permission WHERE repository_id = $1",
        params![repository_id],
    )?;
    Ok(())
}

/// Takes a group that is gone out of all exemptions: a later one of its name is another.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_group(tx: &Tx<'_>, name: &str) -> Result<(), StoreError> {
    for mut rule in tx.all(RULE, &[], read_rule)? {
        let before = rule.exempt_groups.len();
        rule.exempt_groups
            .retain(|group| !group.eq_ignore_ascii_case(name));
        if rule.exempt_groups.len() < before {
            tx.execute(
                "UPDATE branch_permission SET exempt_groups = $1 WHERE id = $2",
                params![serde_json::to_string(&rule.exempt_groups)?, rule.id],
            )?;
        }
    }
    Ok(())
}
