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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn fill(tx: &Tx<'_>) -> Result<(), StoreError> {
        for sql in [
            "INSERT INTO project (id, key, name, description, created_ms) VALUES (1, 'PROJ', 'P', '', 0)",
            "INSERT INTO plan (id, project_id, key, name, description, enabled, next_branch_number, created_ms)
             VALUES (1, 1, 'PROJ-PLAN', 'P', '', 1, 0, 0)",
            "INSERT INTO plan_version (id, plan_id, configuration, digest, source, created_ms) VALUES (1, 1, '', '', '', 0)",
            "INSERT INTO plan_branch (id, plan_id, key, is_master, display_name, description, enabled, cleanup_enabled,
               automatic, next_build_number, last_change_ms, created_ms, version_id)
             VALUES (1, 1, 'PROJ-PLAN', 1, '', '', 1, 1, 0, 9, 0, 0, NULL),
                    (2, 1, 'PROJ-PLAN0', 0, 'a', '', 1, 1, 0, 9, 0, 0, 1),
                    (3, 1, 'PROJ-PLAN1', 0, 'b', '', 1, 1, 0, 9, 0, 0, NULL),
                    (4, 1, 'PROJ-PLAN2', 0, 'c', '', 0, 1, 0, 9, 0, 0, 1)",
        ] {
            tx.execute(sql, &[])?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn timers_of_branches_outlive_the_server_and_end_with_their_branch() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        let timer = Timer {
            key: TimerKey {
                plan_branch_id: 2,
                version_id: 1,
                position: 0,
            },
            next_ms: Some(5),
            set_ms: 1,
            event_id: None,
        };
        let store = Store::open(&path).expect("a store");
        let stored = store.write(move |tx| {
            fill(tx)?;
            set(
                tx,
                Timer {
                    next_ms: None,
                    ..timer
                },
            )?;
            set(tx, timer)
        });
        stored.await.expect("a timer");
        drop(store);
        let store = Store::open(&path).expect("the same store");
        let done = store.write(move |tx| {
            assert_eq!(all(tx)?, [timer]);
            assert_eq!(of(tx, timer.key)?, Some(timer));
            assert_eq!(masters(tx)?, HashMap::from([(1, 1)]));
            let own = |tx: &Tx<'_>| -> Result<Vec<i64>, StoreError> {
                Ok(own_versions(tx)?
                    .into_iter()
                    .map(|one| one.plan_branch_id)
                    .collect())
            };
            assert_eq!(own(tx)?, [2], "one that is disabled keeps no time");
            crate::plan::set_missing(tx, 2, Some(9))?;
            assert!(own(tx)?.is_empty(), "nor does one whose branch is gone");
            crate::plan::set_missing(tx, 2, None)?;
            crate::plan::remove_branch(tx, 2, 9)?;
            assert!(own(tx)?.is_empty(), "nor one that was removed");
            forget(tx, timer.key)?;
            assert!(all(tx)?.is_empty());
            Ok::<_, StoreError>(())
        });
        done.await.expect("it can be read");
    }
}
