//! Accepts connections until the stop, then drains.

use std::{future::Future, sync::Arc};

use axum::{body::Body, response::Response};
use http::Request;
use oncelog::net::{ConnectionIo, ConnectionLimiter, ConnectionSlot, Listener, accept};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EdgeLimits,
    activity::Activity,
    connection::{self, Shutdown},
    guard::Http1Guard,
};

/// Accepts until `stop`, then drains. Every request is answered by `answer`.
pub(super) async fn run<L, A, F>(
    listener: L,
    answer: A,
    limits: EdgeLimits,
    limiter: ConnectionLimiter,
    stop: CancellationToken,
) where
    L: Listener,
    A: FnOnce(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let connections = TaskTracker::new();
    let shutdown = Shutdown { stop: stop.clone(), abort: CancellationToken::new() };
    let accepting = accept_all(listener, &limiter, |opening, slot| {
        let activity = Arc::new(Activity::new(slot));
        let guard = Http1Guard::new(Arc::clone(&activity), &limits, L::reset);
        let io = ConnectionIo::new(opening, guard);
        let (answer, shutdown) = (answer.clone(), shutdown.clone());
        connections.spawn(connection::serve(io, activity, answer, &limits, shutdown));
    });
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

/// Never ends. The listener is closed when the future is dropped.
async fn accept_all<L: Listener>(
    listener: L,
    limiter: &ConnectionLimiter,
    spawn: impl Fn(L::Opening, ConnectionSlot),
) {
    loop {
        let (opening, slot) = accept(&listener, limiter).await;
        spawn(opening, slot);
    }
}
