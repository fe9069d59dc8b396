//! Checkpoints: what commits wrote to the write-ahead log goes into the database beside the writer, so that nobody
//! who waits for a commit waits for that too.
//!
//! The log begins anew only when all of it is in the database, which in a flood of commits never happens beside the
//! writer. So once the log is long and little of it is left, the writer itself moves the rest between two commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;

use crate::dialect::{self, Moved, StoreError};

/// This many pages of the log (16 MiB) are worth moving: pages that many commits touch are written once for all.
const ENOUGH: i32 = 4000;
/// A log of this many pages (32 MiB) is to begin anew as soon as that is cheap.
const LONG: i32 = 8000;
/// Moving this many pages is cheap.
const LITTLE: i32 = 500;
/// A log of this many pages (128 MiB) is too long: the writer moves it, whatever it costs.
const TOO_LONG: i32 = 32_000;

/// How far the log is moved, as the writer and the thread beside it know it.
#[derive(Debug, Default)]
struct Progress {
    /// Pages in the log after the last commit.
    pages: AtomicI32,
    /// How many of them are in the database.
    moved: AtomicI32,
    /// Whether the thread beside the writer is at it.
    running: AtomicBool,
}

/// What is to be done after a commit.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Beside,
    Now,
}

/// Decides from the pages of the log, how many of them are moved, whether some are being moved, and how many there
/// were when the writer itself moved them last.
fn step(pages: i32, moved: i32, running: bool, last: i32) -> Step {
    // A log that is shorter than it was has begun anew.
    let since = |known: i32| if known > pages { pages } else { pages - known };
    let waiting = since(moved);
    if running || since(last) < ENOUGH {
        return Step::Nothing;
    }
    if pages >= TOO_LONG || (pages >= LONG && waiting <= LITTLE) {
        Step::Now
    } else if waiting >= ENOUGH {
        Step::Beside
    } else {
        Step::Nothing
    }
}

/// Moves the log of one writer.
pub(crate) struct Checkpoints {
    progress: Arc<Progress>,
    beside: mpsc::SyncSender<()>,
    /// Pages in the log when the writer itself moved them last.
    last: i32,
}

impl Checkpoints {
    /// Takes over from the engine, which would checkpoint within commits, and starts the thread beside the writer.
    /// The thread ends when this is dropped.
    ///
    /// # Errors
    /// When the database cannot be opened once more or no thread can be started.
    pub(crate) fn begin(path: &Path, writer: &mut Connection) -> Result<Self, StoreError> {
        let progress = Arc::new(Progress::default());
        let counted = Arc::clone(&progress);
        dialect::watch_log(writer, move |pages| counted.pages.store(pages, Ordering::Relaxed))?;
        let (beside, wanted) = mpsc::sync_channel::<()>(1);
        let connection = dialect::open_checkpointer(path)?;
        let told = Arc::clone(&progress);
        std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || {
                while wanted.recv().is_ok() {
                    move_log(&connection, &told);
                    told.running.store(false, Ordering::Release);
                }
            })
            .map_err(|error| {
                StoreError::Unavailable(format!("cannot start the checkpoint thread: {error}"))
            })?;
        Ok(Self {
            progress,
            beside,
            last: 0,
        })
    }

    /// To be called by the writer between commits, after those who waited for the last one were told.
    pub(crate) fn between_commits(&mut self, writer: &Connection) {
        let pages = self.progress.pages.load(Ordering::Relaxed);
        if pages < self.last {
            self.last = 0;
        }
        let moved = self.progress.moved.load(Ordering::Relaxed);
        let running = self.progress.running.load(Ordering::Acquire);
        match step(pages, moved, running, self.last) {
            Step::Nothing => {}
            Step::Beside => {
                self.progress.running.store(true, Ordering::Release);
                if self.beside.try_send(()).is_err() {
                    self.progress.running.store(false, Ordering::Release);
                }
            }
            Step::Now => {
                self.last = pages;
                move_log(writer, &self.progress);
            }
        }
    }
}

fn move_log(connection: &Connection, progress: &Progress) {
    match dialect::move_log(connection) {
        Ok(Moved { pages }) => progress.moved.store(pages, Ordering::Relaxed),
        // Nothing is lost: the log keeps what it has, and the next commits lead to another try.
        Err(error) => tracing::warn!(
            %error,
            "the write-ahead log of the store cannot be moved into the database now, and grows until it can be"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_moved_beside_the_writer_and_by_the_writer_only_when_little_is_left_or_it_is_too_long() {
        for (pages, moved, running, last, expected) in [
            (3_999, 0, false, 0, Step::Nothing),
            (4_000, 0, false, 0, Step::Beside),
            (4_000, 0, true, 0, Step::Nothing),
            (7_999, 4_000, false, 0, Step::Nothing),
            (8_000, 4_000, false, 0, Step::Beside),
            (8_400, 8_000, false, 0, Step::Now),
            // Readers kept the log from beginning anew: not after each commit, but after as many pages again.
            (8_410, 8_400, false, 8_400, Step::Nothing),
            (12_400, 12_000, false, 8_400, Step::Now),
            (32_000, 4_000, false, 0, Step::Now),
            (32_000, 4_000, true, 0, Step::Nothing),
            // It began anew.
            (100, 8_400, false, 0, Step::Nothing),
            (4_100, 8_400, false, 0, Step::Beside),
        ] {
            assert_eq!(
                step(pages, moved, running, last),
                expected,
                "{pages} pages, {moved} moved, {running}, {last}"
            );
        }
    }

    #[tokio::test]
    async fn what_commits_write_reaches_the_database_while_the_store_is_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("madake.db");
        let store = crate::Store::open(&path).expect("a new store");
        let text = "x".repeat(256 * 1024);
        for number in 0..160 {
            let (name, value) = (format!("row {number}"), text.clone());
            let written: Result<usize, StoreError> = store
                .write(move |tx| {
                    tx.execute(
                        "INSERT INTO meta (name, value) VALUES ($1, $2)",
                        crate::params![name, value],
                    )
                })
                .await;
            assert_eq!(written.expect("a change"), 1);
        }
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let size = || std::fs::metadata(&path).expect("the database").len();
        while size() < 16 * 1024 * 1024 {
            assert!(
                std::time::Instant::now() < deadline,
                "only {} bytes were moved",
                size()
            );
            tokio::task::yield_now().await;
        }
    }
}
