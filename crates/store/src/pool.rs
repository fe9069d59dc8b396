//! The store of one home: what is written goes to the one writer, what is read to a few connections that only read.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::build;
use crate::dialect::{self, StoreError, Tx};
use crate::wake::Wakes;
use crate::writer::{AfterCommit, Change, Writer};

/// How many connections read at once.
const READERS: usize = 4;
/// How many changes may wait for the writer; beyond, callers wait for room, which slows the sender down.
const QUEUE_LIMIT: usize = 4096;

/// The migrations, in order. Append only.
const MIGRATIONS: [&str; 27] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_telling.sql"),
    include_str!("migrations/0003_ssh_keys.sql"),
    include_str!("migrations/0004_bodies_by_number.sql"),
    include_str!("migrations/0005_scm.sql"),
    include_str!("migrations/0006_branch_permissions.sql"),
    include_str!("migrations/0007_listening.sql"),
    include_str!("migrations/0008_lfs_and_mirrors.sql"),
    include_str!("migrations/0009_names.sql"),
    include_str!("migrations/0010_pull_requests.sql"),
    include_str!("migrations/0011_capabilities.sql"),
    include_str!("migrations/0012_results.sql"),
    include_str!("migrations/0013_deployments.sql"),
    include_str!("migrations/0014_plan_files.sql"),
    include_str!("migrations/0015_notifications.sql"),
    include_str!("migrations/0016_message_bodies.sql"),
    include_str!("migrations/0017_branch_timers.sql"),
    include_str!("migrations/0018_credentials.sql"),
    include_str!("migrations/0019_log_purges.sql"),
    include_str!("migrations/0020_deployment_log_purges.sql"),
    include_str!("migrations/0021_held_builds.sql"),
    include_str!("migrations/0022_environment_timers.sql"),
    include_str!("migrations/0023_grants_of_nobody.sql"),
    include_str!("migrations/0024_own_pushes.sql"),
    include_str!("migrations/0025_pushes_onto_others.sql"),
    include_str!("migrations/0026_held_builds_know_what_was_before.sql"),
    include_str!("migrations/0027_issues.sql"),
];

/// A part of a migration that SQL alone cannot do.
type Step = fn(&Tx<'_>) -> Result<(), StoreError>;

/// What is done in the transaction of a migration behind its text.
const FOLLOWED_BY: [(&str, Step); 1] = [(
    include_str!("migrations/0027_issues.sql"),
    build::note_issues_of_all,
)];

/// The tables of which a copy in memory is worth keeping: each webhook and each push asks for a few rows of them.
const WATCHED: &[&str] = &["repository", "webhook", "mirror"];

/// The store of one home. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    changes: mpsc::SyncSender<Change>,
    room: Arc<Semaphore>,
    readers: Mutex<Vec<Connection>>,
    reading: Semaphore,
    wakes: Wakes,
    generation: Arc<AtomicU64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the file `path`, makes it when it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut writer = dialect::open_writer(path)?;
        migrate(&mut writer)?;
        let wakes = Wakes::default();
        let (changes, waiting) = mpsc::sync_channel::<Change>(QUEUE_LIMIT);
        let generation = Arc::new(AtomicU64::new(0));
        let touched = Arc::new(AtomicBool::new(false));
        let notice = Arc::clone(&touched);
        dialect::watch_tables(&mut writer, WATCHED, move || {
            notice.store(true, Ordering::Relaxed);
        })?;
        let counter = Arc::clone(&generation);
        let committed = move || {
            if touched.swap(false, Ordering::Relaxed) {
                counter.fetch_add(1, Ordering::Release);
            }
        };
        Writer::begin(path, writer, wakes.clone(), committed)?.work(waiting)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                changes,
                room: Arc::new(Semaphore::new(QUEUE_LIMIT)),
                readers: Mutex::new(Vec::new()),
                reading: Semaphore::new(READERS),
                wakes,
                generation,
            }),
        })
    }

    /// The bells that commits ring.
    #[must_use]
    pub fn wakes(&self) -> &Wakes {
        &self.inner.wakes
    }

    /// Counts the commits that changed repositories or webhooks. A copy of such rows that was read after this number
    /// was taken is good as long as the number stays: it counts up before the change is acknowledged.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// Runs `change` in a transaction and returns after it is on disk. Changes that wait at the same time share
    /// one commit; one that fails is taken back alone. `change` must do nothing but SQL: it runs on the one
    /// writer thread, and everybody waits for it.
    ///
    /// # Errors
    /// What `change` returned, or why the commit failed; then nothing of it is stored.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let closed = || E::from(StoreError::Unavailable("the writer has stopped".into()));
        let Ok(permit) = Arc::clone(&self.inner.room).acquire_owned().await else {
            return Err(closed());
        };
        let (answer, answered) = oneshot::channel();
        let boxed: Change = Box::new(move |tx| {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| change(tx))).unwrap_or_else(|_| {
                Err(E::from(StoreError::Engine(
                    "a change panicked and was taken back".into(),
                )))
            });
            let stands = outcome.is_ok();
            let after: AfterCommit = Box::new(move |committed, others| {
                drop(permit);
                let outcome = match committed {
                    Ok(()) => outcome,
                    Err(reason) => outcome.and_then(|_| Err(E::from(StoreError::Unavailable(reason)))),
                };
                // A caller that went away does not undo what was stored.
                let _ = answer.send((outcome, others));
            });
            (stands, after)
        });
        if self.inner.changes.send(boxed).is_err() {
            return Err(closed());
        }
        match answered.await {
            Ok((outcome, others)) => {
                drop(others);
                outcome
            }
            Err(_) => Err(closed()),
        }
    }

    /// Runs `question` on a connection that only reads, on this thread: for a step in an index that is taken for
    /// each commit, where changing threads costs more than the answer.
    ///
    /// # Errors
    /// What `question` returned, or that no connection could be opened.
    pub fn look_up<T, E: From<StoreError>>(
        &self,
        question: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.read_now(question)
    }

    /// Runs `question` on a connection that only reads.
    ///
    /// # Errors
    /// What `question` returned, or that no connection could be opened.
    pub async fn read<T, E, F>(&self, question: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let Ok(_turn) = self.inner.reading.acquire().await else {
            return Err(E::from(StoreError::Unavailable("the store is closed".into())));
        };
        let outcome = tokio::task::spawn_blocking(move || inner.read_now(question)).await;
        outcome.unwrap_or_else(|_| Err(E::from(StoreError::Engine("a question panicked".into()))))
    }
}

impl Inner {
    fn read_now<T, E: From<StoreError>>(
        &self,
        question: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => dialect::open_reader(&self.path)?,
        };
        let answer = question(&Tx::new(&connection));
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        answer
    }
}

fn in_transaction(
    connection: &Connection,
    body: impl FnOnce(&Tx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = body(&Tx::new(connection)).and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    if outcome.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    outcome
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let current: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let newest = MIGRATIONS.len();
    let applied = usize::try_from(current).unwrap_or(usize::MAX);
    if applied > newest {
        return Err(StoreError::Refused(format!(
            "this home was written by a newer version of Madake (its tables have version {current}, this program \
             knows {newest}); start the newer program, or restore a backup made by this one"
        )));
    }
    for (index, text) in MIGRATIONS.iter().enumerate().skip(applied) {
        in_transaction(connection, |tx| {
            tx.script(&dialect::migration_text(text))?;
            for (_, follow) in FOLLOWED_BY.iter().filter(|(after, _)| after == text) {
                follow(tx)?;
            }
            tx.script(&format!("PRAGMA user_version = {}", index + 1))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("madake.db")).expect("a new store");
        (folder, store)
    }

    #[tokio::test]
    async fn a_change_that_fails_is_taken_back_alone() {
        let (_folder, store) = store();
        let put = |name: &'static str, fail: bool| {
            let store = store.clone();
            async move {
                store
                    .write(move |tx| {
                        tx.execute("INSERT INTO meta (name, value) VALUES ($1, 'x')", params![name])?;
                        if fail {
                            Err(StoreError::Refused("on purpose".into()))
                        } else {
                            Ok(())
                        }
                    })
                    .await
            }
        };
        let outcomes = tokio::join!(put("a", false), put("b", true), put("c", false));
        assert!(outcomes.0.is_ok() && outcomes.1.is_err() && outcomes.2.is_ok());
        let names = store.read(|tx| {
            tx.all("SELECT name FROM meta ORDER BY name", &[], |row| {
                row.get::<String>(0)
            })
        });
        assert_eq!(names.await.expect("names"), ["a", "c"]);
    }

    #[test]
    fn grants_that_nobody_can_hold_go_and_the_others_stay() {
        let mut connection = Connection::open_in_memory().expect("a database");
        migrate(&mut connection).expect("tables");
        in_transaction(&connection, |tx| {
            tx.script(
                "INSERT INTO users (name, folded, full_name, email, administrator, enabled, created_ms)
                   VALUES ('Ann', 'ann', '', '', 0, 1, 0);
                 INSERT INTO user_group (name, folded, created_ms) VALUES ('Devs', 'devs', 0);",
            )?;
            for (kind, grantee, permission) in [
                ("user", "ann", "BUILD"),
                ("user", "nobody", "BUILD"),
                ("group", "devs", "ADMINISTRATION"),
                ("group", "nogroup", "ADMINISTRATION"),
                ("anonymous", "", "READ"),
                ("anonymous", "", "BUILD"),
                ("logged-in", "", "BUILD"),
                ("repository", "proj/app", "BUILD"),
            ] {
                tx.execute(
                    "INSERT INTO granted (scope, subject, grantee_kind, grantee, permission, created_ms)
                     VALUES ('plan', 'PROJ-PLAN', $1, $2, $3, 0)",
                    params![kind, grantee, permission],
                )?;
            }
            let text = include_str!("migrations/0023_grants_of_nobody.sql");
            tx.script(&dialect::migration_text(text))
        })
        .expect("the migration");
        let left = Tx::new(&connection).all(
            "SELECT grantee_kind || ' ' || grantee || ' ' || permission FROM granted ORDER BY id",
            &[],
            |row| row.get::<String>(0),
        );
        assert_eq!(
            left.expect("the grants that are left"),
            [
                "user ann BUILD",
                "group devs ADMINISTRATION",
                "anonymous  READ",
                "logged-in  BUILD",
                "repository proj/app BUILD"
            ]
        );
    }

    #[test]
    fn issues_of_commits_that_older_versions_stored_are_found() {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection
            .pragma_update(None, "foreign_keys", false)
            .expect("rows without parents");
        migrate(&mut connection).expect("tables");
        let (text, _) = FOLLOWED_BY[0];
        assert!(MIGRATIONS.contains(&text), "it is one of the migrations");
        in_transaction(&connection, |tx| {
            tx.script("DROP TABLE build_issue; DROP INDEX build_finished;")?;
            tx.execute(
                "INSERT INTO build (id, plan_id, plan_branch_id, version_id, key, number, reason, triggered_by,
                   variables, once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
                 VALUES (3, 1, 7, 1, 'PROJ-PLAN-1', 1, '', '', '', 0, '', '', '', 0, 0, 0, 0)",
                &[],
            )?;
            for (position, message) in [(0_i64, "WEB-1, WEB-2: open"), (1, "WEB-2 (UTF-8)"), (2, "close")] {
                tx.execute(
                    "INSERT INTO build_change (build_id, position, changeset, author, email, message, at_ms, files)
                     VALUES (3, $1, '', '', '', $2, 0, '')",
                    params![position, message],
                )?;
            }
            tx.script(&dialect::migration_text(text))?;
            (FOLLOWED_BY[0].1)(tx)
        })
        .expect("what follows the migration");
        let found = Tx::new(&connection).all(
            "SELECT issue || ' ' || plan_branch_id || ' ' || build_id FROM build_issue ORDER BY issue",
            &[],
            |row| row.get::<String>(0),
        );
        assert_eq!(found.expect("issues"), ["WEB-1 7 3", "WEB-2 7 3"]);
    }

    #[tokio::test]
    async fn a_change_that_panics_does_not_stop_the_writer() {
        let (_folder, store) = store();
        let outcome: Result<(), StoreError> = store.write(|_| panic!("on purpose")).await;
        assert!(outcome.is_err());
        let outcome: Result<usize, StoreError> = store
            .write(|tx| tx.execute("INSERT INTO meta (name, value) VALUES ('a', 'x')", &[]))
            .await;
        assert_eq!(outcome.expect("the writer goes on"), 1);
    }

    #[tokio::test]
    async fn the_generation_counts_changes_of_watched_tables_and_no_others() {
        let (_folder, store) = store();
        let change = async |sql: &'static str| {
            let outcome: Result<usize, StoreError> = store.write(move |tx| tx.execute(sql, &[])).await;
            outcome.expect("a change");
            store.generation()
        };
        let before = store.generation();
        assert_eq!(
            change("INSERT INTO meta (name, value) VALUES ('a', 'x')").await,
            before
        );
        let insert =
            "INSERT INTO repository (name, folded, kind, owner, slug, path, url, default_branch, hears_pushes,
            refs_known, specs_enabled, hook_installed, created_ms)
            VALUES ('n', 'n', 'linked', '', '', '', '', '', 0, 0, 0, 0, 0)";
        assert_eq!(change(insert).await, before + 1);
        assert_eq!(change("UPDATE repository SET hears_pushes = 1").await, before + 2);
        assert_eq!(change("DELETE FROM repository").await, before + 3);
    }

    #[tokio::test]
    async fn a_newer_home_is_refused_untouched() {
        let (folder, store) = store();
        drop(store);
        let path = folder.path().join("newer.db");
        let connection = Connection::open(&path).expect("a file");
        connection
            .pragma_update(None, "user_version", 99)
            .expect("a version");
        drop(connection);
        let error = Store::open(&path).expect_err("a newer home");
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
