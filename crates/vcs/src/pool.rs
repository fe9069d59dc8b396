//! Kept processes: a few, shared, each for one repository at a time, ended when idle.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bounds on the kept processes.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Processes alive at the same time, over all repositories.
    pub max_processes: usize,
    /// How long a process waits for its next question before it is ended.
    pub idle_timeout: Duration,
    /// How long one answer may take; in streams, one step of it.
    pub answer_timeout: Duration,
}

impl PoolLimits {
    /// For processes of Git, which are small.
    #[must_use]
    pub fn for_git() -> Self {
        Self {
            max_processes: 8,
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(60),
        }
    }

    /// For processes of Mercurial, each of which has about 30 MB.
    #[must_use]
    pub fn for_hg() -> Self {
        Self {
            max_processes: 4,
            ..Self::for_git()
        }
    }
}

/// Keeps processes of the kind `P`. Clones share them.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    shared: Arc<Shared<P>>,
}

#[derive(Debug)]
struct Shared<P> {
    limits: PoolLimits,
    /// The longest idle first.
    idle: Mutex<Vec<Idle<P>>>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    reaper_runs: Mutex<bool>,
}

#[derive(Debug)]
struct Idle<P> {
    repository: PathBuf,
    since: Instant,
    process: P,
    place: OwnedSemaphorePermit,
}

/// A place in the pool, perhaps with a process that was kept. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Place<P> {
    pub(crate) kept: Option<P>,
    place: OwnedSemaphorePermit,
}

impl<P> Clone for Pool<P> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<P: Send + 'static> Pool<P> {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        let shared = Shared {
            limits,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(limits.max_processes.max(1))),
            waiting: AtomicUsize::new(0),
            reaper_runs: Mutex::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn limits(&self) -> PoolLimits {
        self.shared.limits
    }

    pub(crate) fn live(&self) -> usize {
        self.shared.limits.max_processes.max(1) - self.shared.places.available_permits()
    }

    /// A place for work in the repository, with a process that was kept for it unless `fresh`.
    pub(crate) async fn take(&self, repository: &Path, fresh: bool) -> Place<P> {
        if !fresh {
            let mut idle = self.shared.idle();
            if let Some(position) = idle.iter().rposition(|idle| idle.repository == repository) {
                let Idle { process, place, .. } = idle.remove(position);
                return Place {
                    kept: Some(process),
                    place,
                };
            }
        }
        let place = match Arc::clone(&self.shared.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait_for_place().await,
        };
        Place { kept: None, place }
    }

    /// Keeps a process for the next question about the repository.
    pub(crate) fn give_back(&self, repository: &Path, process: P, place: Place<P>) {
        if self.shared.waiting.load(Ordering::SeqCst) > 0 {
            // Somebody waits for a place, perhaps for another repository. The process goes before its place does.
            drop(process);
            return;
        }
        self.shared.idle().push(Idle {
            repository: repository.to_owned(),
            since: Instant::now(),
            process,
            place: place.place,
        });
        let mut runs = self
            .shared
            .reaper_runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*runs {
            *runs = true;
            tokio::spawn(reap(
                Arc::downgrade(&self.shared),
                self.shared.limits.idle_timeout,
            ));
        }
    }

    /// Ends the longest idle process for its place, or waits for one that works.
    async fn wait_for_place(&self) -> OwnedSemaphorePermit {
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.shared.waiting);
        {
            let mut idle = self.shared.idle();
            if !idle.is_empty() {
                idle.remove(0);
            }
        }
        Arc::clone(&self.shared.places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}

impl<P> Shared<P> {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle<P>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends processes whose time is over, until none is idle.
async fn reap<P>(shared: Weak<Shared<P>>, idle_timeout: Duration) {
    loop {
        let wake_at = {
            let Some(shared) = shared.upgrade() else { return };
            let mut runs = shared.reaper_runs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut idle = shared.idle();
            let now = Instant::now();
            idle.retain(|idle| idle.since + idle_timeout > now);
            match idle.iter().map(|idle| idle.since).min() {
                Some(oldest) => oldest + idle_timeout,
                None => {
                    *runs = false;
                    return;
                }
            }
        };
        tokio::time::sleep_until(wake_at).await;
    }
}
