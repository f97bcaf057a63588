//! Connections: accepted, limited, drained. HTTP/1.1 only.
//!
//! In reading order: `accept` takes connections and drains them, `connection` serves one, `activity` has
//! its state, `body` and `guard` keep that up to date. `framed` ends what cannot be framed, `unread` deals
//! with what a handler leaves of a body, and `breaks` notices resets.
//!
//! The end of a client's input behind a whole request says that no more requests follow, and the request is
//! answered. The client may have closed its socket, but only a write or a reset tells. An incomplete
//! request is abandoned at the end of the input.
//!
//! A handler may answer with a long-lived response, or upgrade the connection. It asks
//! [`try_long_lived`](oncelog::net::ConnectionLimiter::try_long_lived) of the limiter of its facade first,
//! answers with 503 if it is refused, and else puts the [`LongLived`](oncelog::net::LongLived) into the
//! extensions of its response. Such a connection is evicted before a new client is kept waiting; the
//! handler is told of that and of a stop, and has a second to end what it sends. An upgraded IO that is
//! dropped without a `shutdown` resets its connection.
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
//! | does not read its response, and sends nothing of its request | [`EdgeLimits::response_stall`] |
//! | reads a long list more slowly than all others, while another client wants one | at once |
//! | sends a body that its refusal does not need | it is read, up to 4 MiB and for [`EdgeLimits::body_read`], or the response says `Connection: close` |
//! | closes its sending half | its request is answered, then the connection closes |
//! | resets the connection | its request is abandoned, at once or within a second |
//! | vanishes, or closes wholly, while a response waits for something to say | mostly a minute |
//! | is still connected when the facade stops | [`EdgeLimits::drain`] |
//! | is idle for longest, while new clients find no slot | at once |
//! | reads a long-lived response, while no connection is idle and new clients find no slot | a second |

mod accept;
mod activity;
mod body;
mod breaks;
mod connection;
mod framed;
mod guard;
#[cfg(test)]
mod tests;
mod unread;

pub use oncelog::net::Listener;

pub(crate) use self::accept::run;
use crate::{EdgeLimits, Facade, stack::stack};

/// Why [`serve`] could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listener does not listen: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves `facade` on `listener` until its stop is cancelled. Then it accepts no more connections,
/// closes idle ones, finishes the requests under way, and closes by force what is left after
/// [`EdgeLimits::drain`]. It returns once no connection is left. Dropping the future leaves connections to
/// the runtime: they are served until it ends.
///
/// A message whose response broke off is stored once or not at all; its client may repeat it.
///
/// # Errors
/// [`ServeError`] before the first connection; nothing ends it later.
pub async fn serve<L: Listener>(listener: L, facade: Facade) -> Result<(), ServeError> {
    let (limits, stop) = (facade.limits().edge.clone(), facade.stop().clone());
    tracing::info!("serving addr={} connections_max={}", listener.addr()?, limits.connections);
    let limiter = facade.connections().clone();
    run(listener, stack(facade), limits, limiter, stop).await;
    tracing::info!("stopped");
    Ok(())
}
