//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// How often a state is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` finds something. Panics with `what` once `within` is over.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < within, "waited {within:?} in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
