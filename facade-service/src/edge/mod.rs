//! Connections: accepted, limited, drained. HTTP/1.1 only.
//!
//! In reading order: `accept` takes connections and drains them, `connection` serves one, `activity` has
//! its state, `body` and `guard` keep that up to date.
//!
//! A handler may answer with a long-lived response, or upgrade the connection. It asks
//! [`ConnectionLimiter::try_long_lived`] first, answers with 503 if it is refused, and else puts the
//! [`LongLived`](oncelog::net::LongLived) into the extensions of its response. Such a connection is evicted
//! before a new client is kept waiting; the handler is told of that and of a stop, and has a second to end
//! what it sends.
//!
//! The usual server of the framework sets no timers; this one does:
//!
//! | what a client does | what happens after |
//! |---|---|
//! | connects and sends nothing, or sends its head slowly | [`EdgeLimits::header_read`] |
//! | keeps an idle connection open | [`EdgeLimits::header_read`] |
//! | sends its body with pauses | [`EdgeLimits::body_read`] |
//! | sends the body of a post byte by byte | [`EdgeLimits::body_read`] |
//! | sends the body of a post more slowly than it has to | [`EdgeLimits::body_whole`] |
//! | does not read its response | [`EdgeLimits::response_stall`] |
//! | is still connected when the facade stops | [`EdgeLimits::drain`] |
//! | is idle for longest, while new clients find no slot | at once |
//! | reads a long-lived response, while no connection is idle and new clients find no slot | a second |

mod accept;
mod activity;
mod body;
mod connection;
mod guard;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use oncelog::net::Listener;
use oncelog::net::{ConnectionLimiter, LongLivedShare, NetLimits};
use tokio_util::sync::CancellationToken;

use crate::{Facade, routes::Resources};

/// The limits of connections. Tests use shorter ones.
#[derive(Debug, Clone)]
pub struct EdgeLimits {
    /// Open connections. For further ones, those that are idle for longest are closed.
    pub connections: usize,
    /// The part of them that may have a long-lived response under way.
    pub long_lived: LongLivedShare,
    /// Bytes of a request head, at least 8 KiB.
    pub header_bytes: usize,
    /// From an accepted connection, or the end of the last response, to a complete request head.
    pub header_read: Duration,
    /// Longest pause while a body arrives.
    pub body_read: Duration,
    /// Longest time for the whole body of a post. A smaller part of the largest body has to be there in
    /// a part of this time, after [`EdgeLimits::body_read`].
    pub body_whole: Duration,
    /// Longest time without progress while a response is sent.
    pub response_stall: Duration,
    /// How long a closing connection still takes in what the client sends.
    pub linger: Duration,
    /// From the stop signal to the moment open connections are closed by force.
    pub drain: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        let NetLimits { connections, long_lived, header_read, drain } = NetLimits::default();
        Self {
            connections,
            long_lived,
            header_bytes: 32 * 1024,
            header_read,
            body_read: Duration::from_secs(10),
            // 1 MiB in this time is less than 18 KiB a second.
            body_whole: Duration::from_secs(60),
            response_stall: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            drain,
        }
    }
}

/// Why [`serve`] could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listener does not listen: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves `facade` on `listener` until `stop` is cancelled. Then it accepts no more connections,
/// closes idle ones, finishes the requests under way, and closes by force what is left after
/// [`EdgeLimits::drain`]. It returns once no connection is left. Dropping the future leaves connections to
/// the runtime: they are served until it ends.
///
/// A message whose response broke off is stored once or not at all; its client may repeat it.
///
/// # Errors
/// [`ServeError`] before the first connection; nothing ends it later.
pub async fn serve<L: Listener>(
    listener: L,
    facade: Facade,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let limits = facade.limits().clone();
    tracing::info!("serving addr={} connections_max={}", listener.addr()?, limits.connections);
    let limiter = ConnectionLimiter::new(limits.connections, limits.long_lived);
    let resources = Resources::new(facade, stop.clone());
    accept::run(listener, |request| resources.answer(request), limits, limiter, stop).await;
    tracing::info!("stopped");
    Ok(())
}
