//! Waits for a state, never for a time.

use std::time::Duration;

/// How often a state is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` finds something. `None` once `within` is over.
pub async fn until<T>(within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(within, looking).await.ok()
}
