//! Connections: accepted, limited, drained. HTTP/1.1 only.
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
//! | does not read its answer | [`EdgeLimits::response_stall`] |
//! | is still connected when the facade stops | [`EdgeLimits::drain`] |
//! | waits longest of all, while new clients find no place | at once |

mod accept;
mod connection;
mod exchange;
mod io;
mod watch;

use std::time::Duration;

use oncelog::{limits, net::connections_max};
use tokio_util::sync::CancellationToken;

pub use self::accept::Listener;
use crate::{Facade, routes::Resources};

/// The limits of connections. The default is [`oncelog::limits`]; tests use shorter ones.
#[derive(Debug, Clone)]
pub struct EdgeLimits {
    /// Open connections. For further ones, those that wait longest for their clients are closed.
    pub connections: usize,
    /// Bytes of a request head, at least 8 KiB.
    pub header_bytes: usize,
    /// From an accepted connection, or the end of the last answer, to a complete request head.
    pub header_read: Duration,
    /// Longest pause while a body arrives.
    pub body_read: Duration,
    /// Longest time for the whole body of a post. A smaller part of the largest body has to be there in
    /// a part of this time, after [`EdgeLimits::body_read`].
    pub body_whole: Duration,
    /// Longest time without progress while an answer is sent.
    pub response_stall: Duration,
    /// How long a closing connection still takes in what the client sends.
    pub linger: Duration,
    /// From the stop signal to the moment open connections are cut.
    pub drain: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            connections: connections_max(),
            header_bytes: limits::HTTP1_HEADER_BYTES_MAX,
            header_read: limits::HEADER_READ_TIMEOUT,
            body_read: limits::BODY_READ_TIMEOUT,
            body_whole: limits::BODY_TIMEOUT,
            response_stall: limits::RESPONSE_STALL_TIMEOUT,
            linger: limits::LINGER_TIMEOUT,
            drain: limits::DRAIN_TIMEOUT,
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
/// closes idle ones, finishes the requests under way, and cuts what is left after
/// [`EdgeLimits::drain`]. It returns once no connection is left.
///
/// A message whose answer was cut is stored once or not at all; its client may repeat it.
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
    accept::run(listener, Resources::new(facade, stop.clone()), limits, stop).await;
    tracing::info!("stopped");
    Ok(())
}
