//! What builds pushed, so that their own plan passes it over, whoever finds it.

use crate::{Millis, StoreError, Tx, params};

/// That a build of a plan pushed a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPush {
    /// The repository's id.
    pub repository_id: i64,
    /// The id of the build's plan.
    pub plan_id: i64,
    /// The full name of the ref.
    pub ref_name: String,
    /// Where the ref was put.
    pub revision: String,
    /// `PROJ-PLAN-7`
    pub build_key: String,
    /// When it was noted.
    pub pushed_ms: Millis,
}

/// An attempt at a job that an agent has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The key of its build.
    pub build_key: String,
    /// The job's id.
    pub job_id: i64,
    /// The number of the attempt, from 1.
    pub attempt: i64,
}

/// Notes a push; the first build that pushed it stays.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(tx: &Tx<'_>, one: &OwnPush) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO own_push (repository_id, plan_id, ref_name, revision, build_key, pushed_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        params![
            one.repository_id,
            one.plan_id,
            one.ref_name,
            one.revision,
            one.build_key,
            one.pushed_ms
        ],
    )?;
    Ok(())
}

/// The key of the plan's build that pushed the revision to the ref.
///
/// # Errors
/// When the store cannot be read.
pub fn build_of(
    tx: &Tx<'_>,
    plan_id: i64,
    repository_id: i64,
    ref_name: &str,
    revision: &str,
) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT build_key FROM own_push
         WHERE repository_id = $1 AND revision = $2 AND ref_name = $3 AND plan_id = $4",
        params![repository_id, revision, ref_name, plan_id],
        |row| row.get(0),
    )
}

/// The attempts at jobs of a plan that agents have now.
///
/// # Errors
/// When the store cannot be read.
pub fn attempts_now(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<Attempt>, StoreError> {
    tx.all(
        "SELECT b.key, j.id, j.attempt FROM job j JOIN build b ON b.id = j.build_id
         WHERE j.holder IS NOT NULL AND b.plan_id = $1 ORDER BY j.id",
        params![plan_id],
        |row| {
            Ok(Attempt {
                build_key: row.get(0)?,
                job_id: row.get(1)?,
                attempt: row.get(2)?,
            })
        },
    )
}

/// Forgets what was pushed before, but for refs that are still where the build put them.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_before(tx: &Tx<'_>, before_ms: Millis) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM own_push WHERE pushed_ms < $1 AND NOT EXISTS (
           SELECT 1 FROM repository_ref r WHERE r.repository_id = own_push.repository_id
             AND r.name = own_push.ref_name AND r.object_id = own_push.revision)",
        params![before_ms],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, repository};

    #[tokio::test]
    async fn pushes_are_known_to_their_plan_and_as_long_as_the_ref_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("madake.db")).unwrap();
        let one = |ref_name: &str, pushed_ms| OwnPush {
            repository_id: 1,
            plan_id: 7,
            ref_name: ref_name.to_owned(),
            revision: "abc".into(),
            build_key: format!("PROJ-PLAN-{pushed_ms}"),
            pushed_ms,
        };
        let (master, later, gone) = (
            one("refs/heads/master", 1),
            one("refs/heads/master", 2),
            one("refs/heads/gone", 1),
        );
        store
            .write(move |tx| {
                for push in [&master, &later, &gone] {
                    insert(tx, push)?;
                }
                let build = |plan, repository, name: &str, revision: &str| {
                    build_of(tx, plan, repository, name, revision)
                };
                assert_eq!(
                    build(7, 1, "refs/heads/master", "abc")?.as_deref(),
                    Some("PROJ-PLAN-1")
                );
                for (plan, repository, name, revision) in [
                    (8, 1, "refs/heads/master", "abc"),
                    (7, 2, "refs/heads/master", "abc"),
                    (7, 1, "refs/heads/other", "abc"),
                    (7, 1, "refs/heads/master", "abd"),
                ] {
                    assert_eq!(build(plan, repository, name, revision)?, None);
                }
                // There is no such repository; its refs are gone again before anybody asks.
                tx.execute("PRAGMA defer_foreign_keys = ON", &[])?;
                repository::set_ref(tx, 1, "refs/heads/master", Some("abc"), None, 5)?;
                assert_eq!(forget_before(tx, 1)?, 0);
                assert_eq!(forget_before(tx, 2)?, 1);
                assert!(build(7, 1, "refs/heads/master", "abc")?.is_some());
                repository::set_ref(tx, 1, "refs/heads/master", Some("abd"), None, 6)?;
                assert_eq!(forget_before(tx, 2)?, 1);
                repository::set_ref(tx, 1, "refs/heads/master", None, None, 6)
            })
            .await
            .unwrap();
    }
}
