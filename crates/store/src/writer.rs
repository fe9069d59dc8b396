//! The one writer: whatever waits shares a transaction and a sync (group commit), and is told after it is on disk.
//!
//! A sync takes as long as many changes. So in a flood it runs on a thread of its own, and the writer meanwhile runs
//! the changes of the next commit. One sync is on its way at a time, and the next commit waits for it: commits are
//! acknowledged in their order, and never before they are on disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;

use crate::checkpoint::Checkpoints;
use crate::dialect::{LogFile, StoreError, Tx};
use crate::wake::{Topic, Wakes};

/// How many changes share one commit at most.
const GROUP_LIMIT: usize = 512;
/// A commit of this many changes is a sign of a flood.
const FLOOD: usize = 4;
/// How long the writer then waits for one more change, as long as some come.
const GATHERING: Duration = Duration::from_micros(150);

/// Why nothing was stored, if so.
pub(crate) type Verdict = Result<(), String>;
/// Tells a caller what became of its change.
pub(crate) type AfterCommit = Box<dyn FnOnce(Verdict, Answers) + Send>;
/// A change: runs in the transaction, says whether it stands, and what to do after the commit.
pub(crate) type Change = Box<dyn FnOnce(&Tx<'_>) -> (bool, AfterCommit) + Send>;

/// Answers to further changes of the same commit, given when this is dropped. The first caller of a commit gives
/// them all: waking one task from the writer's thread is dear, and the tasks of one runtime wake each other cheaply.
/// A caller that went away drops them, and so gives them too.
pub(crate) struct Answers(Vec<Box<dyn FnOnce() + Send>>);

impl Drop for Answers {
    fn drop(&mut self) {
        for answer in self.0.drain(..) {
            answer();
        }
    }
}

/// The writer of one store, before its threads start.
pub(crate) struct Writer<F> {
    connection: Connection,
    checkpoints: Checkpoints,
    acknowledger: Acknowledger,
    /// Called after each commit, before it is acknowledged.
    committed: F,
}

impl<F: Fn() + Send + 'static> Writer<F> {
    /// A writer on `connection` to the database `path`.
    ///
    /// # Errors
    /// When the database cannot be opened once more or a thread cannot be started.
    pub(crate) fn begin(
        path: &Path,
        mut connection: Connection,
        wakes: Wakes,
        committed: F,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            checkpoints: Checkpoints::begin(path, &mut connection)?,
            connection,
            acknowledger: Acknowledger {
                sync: Box::new(LogFile::new(path).into_sync()),
                broken: None,
                wakes,
            },
            committed,
        })
    }

    /// Starts the threads; they end when the last sender of changes is gone.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn work(self, waiting: mpsc::Receiver<Change>) -> Result<(), StoreError> {
        let Self {
            connection,
            mut checkpoints,
            acknowledger,
            committed,
        } = self;
        let beside = Beside::start(acknowledger)?;
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_loop(&connection, &waiting, &beside, &committed, &mut checkpoints))
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer thread: {error}")))?;
        Ok(())
    }
}

fn write_loop(
    connection: &Connection,
    waiting: &mpsc::Receiver<Change>,
    beside: &Beside,
    committed: &impl Fn(),
    checkpoints: &mut Checkpoints,
) {
    let mut last = 1;
    while let Ok(first) = waiting.recv() {
        let group = write_group(connection, first, last, waiting, beside);
        committed();
        last = group.after.len();
        beside.acknowledge(group);
        checkpoints.between_commits(connection);
    }
}

/// What one commit holds.
struct Group {
    verdict: Verdict,
    after: Vec<AfterCommit>,
    woken: Vec<Topic>,
}

/// Commits `first` with what waits, not before the last commit is acknowledged. After a commit of `last` changes it
/// waits a moment for more, when that was a flood.
fn write_group(
    connection: &Connection,
    first: Change,
    last: usize,
    waiting: &mpsc::Receiver<Change>,
    beside: &Beside,
) -> Group {
    let mut after: Vec<AfterCommit> = Vec::new();
    let mut woken: Vec<Topic> = Vec::new();
    let committed = in_transaction(connection, |tx| {
        run(tx, first, &mut after, &mut woken)?;
        let mut gathered = 0;
        loop {
            while after.len() < GROUP_LIMIT
                && let Ok(next) = waiting.try_recv()
            {
                run(tx, next, &mut after, &mut woken)?;
            }
            // In a flood those who were just answered are about to come again: together they cost one sync.
            let complete = last < FLOOD || after.len() >= last || after.len() == gathered;
            if complete && beside.is_idle() {
                return Ok(());
            }
            gathered = after.len();
            std::thread::sleep(GATHERING);
        }
    });
    woken.sort_unstable();
    woken.dedup();
    let verdict = committed.map_err(|error| match error {
        StoreError::Unavailable(reason) => reason,
        other => other.to_string(),
    });
    Group {
        verdict,
        after,
        woken,
    }
}

/// Runs one change, and takes it back alone when it does not stand.
fn run(
    tx: &Tx<'_>,
    change: Change,
    after: &mut Vec<AfterCommit>,
    woken: &mut Vec<Topic>,
) -> Result<(), StoreError> {
    tx.execute("SAVEPOINT change", &[])?;
    let (stands, answer) = change(tx);
    after.push(answer);
    let topics = tx.take_woken();
    if stands {
        woken.extend(topics);
    } else {
        tx.execute("ROLLBACK TO change", &[])?;
    }
    tx.execute("RELEASE change", &[])?;
    Ok(())
}

/// Runs `body` and commits, or takes everything back.
pub(crate) fn in_transaction(
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

/// Brings commits to disk and tells who waits for them.
struct Acknowledger {
    /// Returns when all that was committed is on disk.
    sync: Box<dyn FnMut() -> std::io::Result<()> + Send>,
    /// Why nothing can be acknowledged any more.
    broken: Option<String>,
    wakes: Wakes,
}

impl Acknowledger {
    fn acknowledge(&mut self, group: Group) {
        let Group {
            verdict,
            after,
            woken,
        } = group;
        let verdict = verdict.and_then(|()| self.sync());
        if let Err(error) = &verdict {
            tracing::error!(
                error,
                changes = after.len(),
                "a commit failed: nothing of it is acknowledged, its callers are told"
            );
        } else {
            for topic in woken {
                self.wakes.ring(topic);
            }
        }
        let mut after = after.into_iter();
        let Some(first) = after.next() else { return };
        let others = after.map(|answer| {
            let verdict = verdict.clone();
            Box::new(move || answer(verdict, Answers(Vec::new()))) as Box<dyn FnOnce() + Send>
        });
        let others = Answers(others.collect());
        first(verdict, others);
    }

    fn sync(&mut self) -> Verdict {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        // Whether a sync that failed wrote anything cannot be known, and the next one would not say.
        (self.sync)().map_err(|error| {
            let reason = format!(
                "the disk did not take what was written ({error}); nothing more is stored until the server is \
                 started again, so look at the disk first"
            );
            self.broken = Some(reason.clone());
            reason
        })
    }
}

/// The acknowledger on a thread of its own.
struct Beside {
    idle: Arc<AtomicBool>,
    groups: mpsc::SyncSender<Group>,
}

impl Beside {
    fn start(mut acknowledger: Acknowledger) -> Result<Self, StoreError> {
        let idle = Arc::new(AtomicBool::new(true));
        let (groups, given) = mpsc::sync_channel::<Group>(1);
        let done = Arc::clone(&idle);
        std::thread::Builder::new()
            .name("store-sync".into())
            .spawn(move || {
                while let Ok(group) = given.recv() {
                    acknowledger.acknowledge(group);
                    done.store(true, Ordering::Release);
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start the sync thread: {error}")))?;
        Ok(Self { idle, groups })
    }

    /// Whether everything that was given is acknowledged.
    fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }

    /// Takes over a commit; the thread must be idle.
    fn acknowledge(&self, group: Group) {
        self.idle.store(false, Ordering::Release);
        if self.groups.send(group).is_err() {
            tracing::error!("the sync thread of the store is gone: nothing can be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A store's writer whose syncs are those of `sync`, and a sender of changes to it.
    fn writer(
        sync: impl FnMut() -> std::io::Result<()> + Send + 'static,
    ) -> (tempfile::TempDir, mpsc::SyncSender<Change>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("madake.db");
        let connection = crate::dialect::open_writer(&path).expect("a database");
        connection
            .execute_batch("CREATE TABLE word (text TEXT)")
            .expect("a table");
        let mut writer = Writer::begin(&path, connection, Wakes::default(), || {})
            .expect("a writer that is not working yet");
        writer.acknowledger.sync = Box::new(sync);
        let (changes, waiting) = mpsc::sync_channel(16);
        writer.work(waiting).expect("a writer");
        (folder, changes)
    }

    /// A change that adds a row, and tells `told` what became of it.
    fn adds(word: &'static str, told: &mpsc::Sender<(&'static str, Verdict)>) -> Change {
        let told = told.clone();
        Box::new(move |tx| {
            let outcome = tx.execute("INSERT INTO word (text) VALUES ($1)", crate::params![word]);
            let after: AfterCommit = Box::new(move |verdict, _| {
                told.send((word, verdict)).expect("somebody listens");
            });
            (outcome.is_ok(), after)
        })
    }

    #[test]
    fn nobody_is_told_before_the_sync_and_the_next_commit_is_prepared_meanwhile() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (entered, in_sync) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let seen = Arc::clone(&log);
        let (_folder, changes) = writer(move || {
            entered.send(()).expect("the test watches");
            released.recv().expect("the test goes on");
            seen.lock().expect("a log").push("synced");
            Ok(())
        });
        let (told, hears) = mpsc::channel();
        changes.send(adds("first", &told)).expect("a writer");
        in_sync.recv().expect("a sync");
        let (ran, has_run) = mpsc::channel();
        let tells = told.clone();
        changes
            .send(Box::new(move |_| {
                ran.send(()).expect("the test watches");
                let after: AfterCommit = Box::new(move |verdict, _| {
                    tells.send(("second", verdict)).expect("somebody listens");
                });
                (true, after)
            }))
            .expect("a writer");
        has_run
            .recv()
            .expect("the second change runs while the first is being synced");
        assert!(
            hears.try_recv().is_err(),
            "the first is acknowledged before it is on disk"
        );
        release.send(()).expect("a sync waits");
        assert_eq!(hears.recv(), Ok(("first", Ok(()))));
        assert_eq!(*log.lock().expect("a log"), ["synced"]);
        in_sync.recv().expect("a second sync");
        assert!(
            hears.try_recv().is_err(),
            "the second is acknowledged before it is on disk"
        );
        release.send(()).expect("a sync waits");
        assert_eq!(hears.recv(), Ok(("second", Ok(()))));
    }

    #[test]
    fn after_a_sync_that_failed_nothing_is_acknowledged_any_more() {
        let mut syncs = 0;
        let (_folder, changes) = writer(move || {
            syncs += 1;
            if syncs == 2 {
                Err(std::io::Error::other("the disk is gone"))
            } else {
                Ok(())
            }
        });
        let (told, hears) = mpsc::channel();
        for (word, stands) in [("first", true), ("second", false), ("third", false)] {
            changes.send(adds(word, &told)).expect("a writer");
            let (who, verdict) = hears.recv().expect("an answer");
            assert_eq!(who, word);
            match verdict {
                Ok(()) => assert!(stands, "{word} is acknowledged"),
                Err(reason) => {
                    assert!(!stands, "{word}: {reason}");
                    assert!(reason.contains("the disk is gone"), "{reason}");
                }
            }
        }
    }
}
