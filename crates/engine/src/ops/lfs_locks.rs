//! Locks of files, as git-lfs asks for them. They are advice: git-lfs itself refuses to push what others have locked.

use madake_store::lfs_lock::{self, LfsLock, LockFilter};
use madake_store::{StoreError, Tx};

use super::lfs::LfsAccess;
use crate::{Engine, EngineError, clock};

/// The longest path that is locked, in bytes.
const LONGEST_PATH: usize = 4096;
/// Locks that one repository may have: nobody works on so many files.
const MOST_LOCKS: i64 = 100_000;
/// Locks in one answer.
const PAGE: i64 = 1000;

/// What became of a wish for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locked {
    /// It is taken.
    Taken(LfsLock),
    /// Somebody has it already.
    HeldBy(LfsLock),
}

impl Engine {
    /// Locks a path. `access` is that of somebody who may upload.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a path that no work tree has.
    pub async fn lock_lfs_path(
        &self,
        access: &LfsAccess,
        path: &str,
        ref_name: &str,
    ) -> Result<Locked, EngineError> {
        if path.is_empty() || path.len() > LONGEST_PATH || path.chars().any(char::is_control) {
            return Err(EngineError::Invalid(format!(
                "a path to lock has 1 to {LONGEST_PATH} bytes and no control characters"
            )));
        }
        let ref_name: String = ref_name
            .chars()
            .filter(|one| !one.is_control())
            .take(255)
            .collect();
        let (id, owner, path) = (access.repository.id, access.principal.clone(), path.to_owned());
        self.store()
            .write(move |tx| {
                if let Some(held) = by_path(tx, id, &path)? {
                    return Ok(Locked::HeldBy(held));
                }
                if lfs_lock::count(tx, id)? >= MOST_LOCKS {
                    return Err(EngineError::Conflict(format!(
                        "the repository has {MOST_LOCKS} locks: give some back first"
                    )));
                }
                lfs_lock::insert(tx, id, &path, &owner, &ref_name, clock::now_ms())?;
                let taken = by_path(tx, id, &path)?;
                taken
                    .map(Locked::Taken)
                    .ok_or_else(|| EngineError::Internal("the new lock is gone".into()))
            })
            .await
    }

    /// Locks of the repository, in pages of at most 1000.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_lfs_locks(
        &self,
        access: &LfsAccess,
        mut filter: LockFilter,
    ) -> Result<Vec<LfsLock>, EngineError> {
        let id = access.repository.id;
        filter.limit = if filter.limit > 0 {
            filter.limit.min(PAGE)
        } else {
            PAGE
        };
        let listed = self.store().read(move |tx| lfs_lock::list(tx, id, &filter));
        Ok(listed.await?)
    }

    /// Gives a lock back. One of somebody else needs `force` and ADMINISTRATION on the repository.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Refused`].
    pub async fn unlock_lfs_path(
        &self,
        access: &LfsAccess,
        id: i64,
        force: bool,
    ) -> Result<LfsLock, EngineError> {
        let access = access.clone();
        self.store()
            .write(move |tx| {
                let filter = LockFilter {
                    id: Some(id),
                    limit: 1,
                    ..LockFilter::default()
                };
                let repository_id = access.repository.id;
                let lock = lfs_lock::list(tx, repository_id, &filter)?
                    .pop()
                    .ok_or_else(|| EngineError::NotFound(format!("there is no lock {id}")))?;
                let may_break = force && access.administers;
                if !access.owns(&lock.owner) && !may_break {
                    return Err(EngineError::Refused {
                        subject: format!("lock {id} of repository {}", access.repository.name),
                        reason: format!(
                            "{} holds it; ADMINISTRATION on the repository and --force break it",
                            lock.owner
                        ),
                    });
                }
                lfs_lock::remove(tx, repository_id, id)?;
                Ok(lock)
            })
            .await
    }
}

fn by_path(tx: &Tx<'_>, repository_id: i64, path: &str) -> Result<Option<LfsLock>, StoreError> {
    let filter = LockFilter {
        path: Some(path.to_owned()),
        limit: 1,
        ..LockFilter::default()
    };
    Ok(lfs_lock::list(tx, repository_id, &filter)?.pop())
}
