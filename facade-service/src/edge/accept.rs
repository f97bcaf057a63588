//! Accepts connections until the stop, then drains.

use std::sync::Arc;

use oncelog::net::{ConnectionIo, ConnectionLimiter, Listener, accept};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EdgeLimits,
    activity::Activity,
    connection::{self, Shutdown},
    guard::Http1Guard,
};
use crate::http::service::HttpService;

/// Accepts until `stop`, then drains. Every request is answered by `stack`.
pub(crate) async fn run<L: Listener>(
    listener: L,
    stack: impl HttpService,
    limits: EdgeLimits,
    limiter: ConnectionLimiter,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let shutdown = Shutdown { stop: stop.clone(), abort: CancellationToken::new() };
    let accepting = async {
        // Closed with this future.
        let listener = listener;
        loop {
            let (opening, slot) = accept(&listener, &limiter).await;
            let activity = Arc::new(Activity::new(slot));
            let guard =
                Http1Guard::new(Arc::clone(&activity), &limits, L::reset, L::poll_broken, L::offer);
            let io = ConnectionIo::new(opening, guard);
            let (stack, shutdown) = (stack.clone(), shutdown.clone());
            connections.spawn(connection::serve(io, activity, stack, &limits, shutdown));
        }
    };
    let _ = stop.run_until_cancelled(accepting).await;
    limiter.close();
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(
            "{} connections still open after {:?} were closed by force",
            connections.len(),
            limits.drain
        );
        shutdown.abort.cancel();
        connections.wait().await;
    }
}
