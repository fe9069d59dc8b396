//! Waiting for something to become so.

use std::time::{Duration, Instant};

/// Waits up to 30 seconds until `ready` gives something.
///
/// # Panics
/// When it does not.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, ready: impl FnMut() -> F) -> T {
    wait_for_at_most(Duration::from_secs(30), what, ready).await
}

/// Waits until `ready` gives something.
///
/// # Panics
/// When it does not within `limit`.
pub async fn wait_for_at_most<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    what: &str,
    mut ready: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ready().await {
            return found;
        }
        assert!(began.elapsed() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
