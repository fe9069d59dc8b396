//! The lock that says that a supervisor lives.
//!
//! A POSIX record lock: the kernel gives it back when the process ends, however it ends; children do not
//! inherit it; and one can ask about it without taking it, so asking never disturbs a supervisor that is just
//! about to start. Within one process it excludes nobody, so only one part of a program may take it.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct JobLock {
    _file: File,
}

impl JobLock {
    /// Takes the lock; `None` when another process has it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The process that has the lock; `None` when nobody has, or it is this one.
pub(crate) fn holder(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    Ok(fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?.and_then(|lock| lock.pid))
}

/// Whether another process has the lock.
pub(crate) fn is_held_elsewhere(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    Ok(fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?.is_some())
}
