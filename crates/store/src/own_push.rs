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
    /// Where the ref was, unless it was new or at what the build built.
    pub onto: Option<String>,
    /// When it was noted.
    pub pushed_ms: Millis,
}

/// An attempt at a job that an agent has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The id of its plan.
    pub plan_id: i64,
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
        "INSERT INTO own_push (repository_id, plan_id, ref_name, revision, build_key, onto_revision, pushed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        params![
            one.repository_id,
            one.plan_id,
            one.ref_name,
            one.revision,
            one.build_key,
            one.onto,
            one.pushed_ms
        ],
    )?;
    Ok(())
}

/// The pushes of builds that put refs of a repository at a revision, the oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn of_revision(tx: &Tx<'_>, repository_id: i64, revision: &str) -> Result<Vec<OwnPush>, StoreError> {
    tx.all(
        "SELECT plan_id, ref_name, build_key, onto_revision, pushed_ms FROM own_push
         WHERE repository_id = $1 AND revision = $2 ORDER BY pushed_ms, plan_id, ref_name",
        params![repository_id, revision],
        |row| {
            Ok(OwnPush {
                repository_id,
                plan_id: row.get(0)?,
                ref_name: row.get(1)?,
                revision: revision.to_owned(),
                build_key: row.get(2)?,
                onto: row.get(3)?,
                pushed_ms: row.get(4)?,
            })
        },
    )
}

/// The attempts at jobs that agents have now.
///
/// # Errors
/// When the store cannot be read.
pub fn attempts_now(tx: &Tx<'_>) -> Result<Vec<Attempt>, StoreError> {
    tx.all(
        "SELECT b.plan_id, b.key, j.id, j.attempt FROM job j JOIN build b ON b.id = j.build_id
         WHERE j.holder IS NOT NULL ORDER BY j.id",
        &[],
        |row| {
            Ok(Attempt {
                plan_id: row.get(0)?,
                build_key: row.get(1)?,
                job_id: row.get(2)?,
                attempt: row.get(3)?,
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
            onto: Some("aaa".into()),
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
                let pushes = |repository, revision: &str| {
                    let found = of_revision(tx, repository, revision)?;
                    Ok::<_, StoreError>(
                        found
                            .into_iter()
                            .map(|one| (one.ref_name, one.build_key))
                            .collect::<Vec<_>>(),
                    )
                };
                let both = [("refs/heads/gone", 1), ("refs/heads/master", 1)]
                    .map(|(name, number)| (name.to_owned(), format!("PROJ-PLAN-{number}")));
                assert_eq!(pushes(1, "abc")?, both);
                assert_eq!(of_revision(tx, 1, "abc")?[1], master);
                assert_eq!(pushes(2, "abc")?, []);
                assert_eq!(pushes(1, "abd")?, []);
                // There is no such repository; its refs are gone again before anybody asks.
                tx.execute("PRAGMA defer_foreign_keys = ON", &[])?;
                repository::set_ref(tx, 1, "refs/heads/master", Some("abc"), None, 5)?;
                assert_eq!(forget_before(tx, 1)?, 0);
                assert_eq!(forget_before(tx, 2)?, 1);
                assert_eq!(pushes(1, "abc")?, both[1..]);
                repository::set_ref(tx, 1, "refs/heads/master", Some("abd"), None, 6)?;
                assert_eq!(forget_before(tx, 2)?, 1);
                repository::set_ref(tx, 1, "refs/heads/master", None, None, 6)
            })
            .await
            .unwrap();
    }
}
