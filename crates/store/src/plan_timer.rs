//! When the cron triggers of plans, and of plan branches with triggers of their own, are due. A timer belongs to the
//! version of the plan that it was set for: another version starts anew.

use std::collections::HashMap;

use madake_domain::key::PlanKey;
use madake_domain::plan::PlanConfiguration;

use crate::{Millis, StoreError, Tx, params};

/// Which trigger a timer is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerKey {
    /// The plan branch; that of the plan itself for the plan's triggers.
    pub plan_branch_id: i64,
    /// The version that has the trigger.
    pub version_id: i64,
    /// The place of the trigger in the version's list.
    pub position: i64,
}

/// A timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Which trigger it is of.
    pub key: TimerKey,
    /// When it is due; `None`: never again.
    pub next_ms: Option<Millis>,
    /// When that was found out.
    pub set_ms: Millis,
    /// The arrival that it entered last.
    pub event_id: Option<i64>,
}

/// A plan branch with a version of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVersion {
    /// The plan branch.
    pub plan_branch_id: i64,
    /// Its key.
    pub key: PlanKey,
    /// The plan.
    pub plan_id: i64,
    /// The version.
    pub version_id: i64,
}

/// The plan branches with versions of their own that may build: enabled, of an enabled plan, with a branch that exists.
///
/// # Errors
/// When the store cannot be read.
pub fn own_versions(tx: &Tx<'_>) -> Result<Vec<OwnVersion>, StoreError> {
    tx.all(
        "SELECT b.id, b.key, b.plan_id, b.version_id FROM plan_branch b JOIN plan p ON p.id = b.plan_id
         WHERE b.version_id IS NOT NULL AND b.is_master = 0 AND b.removed_ms IS NULL AND b.enabled = 1
           AND b.missing_since_ms IS NULL AND p.enabled = 1 ORDER BY b.id",
        &[],
        |row| {
            Ok(OwnVersion {
                plan_branch_id: row.get(0)?,
                key: row
                    .get::<String>(1)?
                    .parse()
                    .map_err(|error| StoreError::Damaged(format!("{error}")))?,
                plan_id: row.get(2)?,
                version_id: row.get(3)?,
            })
        },
    )
}

/// The ids of the branches that plans themselves are, by plan.
///
/// # Errors
/// When the store cannot be read.
pub fn masters(tx: &Tx<'_>) -> Result<HashMap<i64, i64>, StoreError> {
    let rows = tx.all(
        "SELECT plan_id, id FROM plan_branch WHERE is_master = 1",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// Plans, and plan branches with versions of their own, whose versions have after-deployment triggers: the plan, the
/// key of the plan branch (of the plan itself for the plan), and the version.
///
/// # Errors
/// When the store cannot be read.
pub fn listening_to_deployments(tx: &Tx<'_>) -> Result<Vec<(i64, PlanKey, PlanConfiguration)>, StoreError> {
    tx.all(
        "SELECT b.plan_id, b.key, v.configuration FROM plan_branch b JOIN plan p ON p.id = b.plan_id
           JOIN plan_version v ON v.id = COALESCE(b.version_id, p.version_id)
         WHERE b.removed_ms IS NULL AND (b.is_master = 1 OR b.version_id IS NOT NULL)
           AND v.configuration LIKE '%\"after-deployment\"%' ORDER BY b.id",
        &[],
        |row| {
            let key = row
                .get::<String>(1)?
                .parse()
                .map_err(|error| StoreError::Damaged(format!("{error}")))?;
            Ok((row.get(0)?, key, row.json(2)?))
        },
    )
}

/// All timers.
///
/// # Errors
/// When the store cannot be read.
pub fn all(tx: &Tx<'_>) -> Result<Vec<Timer>, StoreError> {
    tx.all(
        "SELECT plan_branch_id, version_id, position, next_ms, set_ms, event_id FROM plan_branch_timer",
        &[],
        |row| {
            Ok(Timer {
                key: TimerKey {
                    plan_branch_id: row.get(0)?,
                    version_id: row.get(1)?,
                    position: row.get(2)?,
                },
                next_ms: row.get(3)?,
                set_ms: row.get(4)?,
                event_id: row.get(5)?,
            })
        },
    )
}

/// One timer.
///
/// # Errors
/// When the store cannot be read.
pub fn of(tx: &Tx<'_>, key: TimerKey) -> Result<Option<Timer>, StoreError> {
    tx.first(
        "SELECT next_ms, set_ms, event_id FROM plan_branch_timer
         WHERE plan_branch_id = $1 AND version_id = $2 AND position = $3",
        params![key.plan_branch_id, key.version_id, key.position],
        |row| {
            Ok(Timer {
                key,
                next_ms: row.get(0)?,
                set_ms: row.get(1)?,
                event_id: row.get(2)?,
            })
        },
    )
}

/// Keeps a timer.
///
/// # Errors
/// When the store cannot be written.
pub fn set(tx: &Tx<'_>, timer: Timer) -> Result<(), StoreError> {
    let TimerKey {
        plan_branch_id,
        version_id,
        position,
    } = timer.key;
    tx.execute(
        "INSERT INTO plan_branch_timer (plan_branch_id, version_id, position, next_ms, set_ms, event_id)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (plan_branch_id, version_id, position)
         DO UPDATE SET next_ms = $4, set_ms = $5, event_id = $6",
        params![
            plan_branch_id,
            version_id,
            position,
            timer.next_ms,
            timer.set_ms,
            timer.event_id
        ],
    )?;
    Ok(())
}

/// Forgets a timer whose trigger is gone.
///
/// # Errors
/// When the store cannot be written.
pub fn forget(tx: &Tx<'_>, key: TimerKey) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM plan_branch_timer WHERE plan_branch_id = $1 AND version_id = $2 AND position = $3",
        params![key.plan_branch_id, key.version_id, key.position],
    )?;
    Ok(())
}

/// Whether what an arrival asked for has not begun: it is not decided, or a build of it waits for a place.
///
/// # Errors
/// When the store cannot be read.
pub fn is_pending(tx: &Tx<'_>, event_id: i64) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT id FROM event WHERE id = $1 AND state = 'received'
         UNION ALL SELECT id FROM waiting_revision WHERE event_id = $1 LIMIT 1",
        params![event_id],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}
