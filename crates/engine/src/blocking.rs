//! Work on files, on a thread that may wait for the disk.

use std::io;

use crate::EngineError;

/// Does work on files; `what` is said to be unchangeable where that fails.
///
/// # Errors
/// [`EngineError::Unavailable`] with the system's reason.
pub(crate) async fn change_files<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?
        .map_err(|error| EngineError::Unavailable(format!("{what} cannot be changed: {error}")))
}
