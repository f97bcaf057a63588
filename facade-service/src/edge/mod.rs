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

pub use self::accept::Listener;
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
/// closes idle ones, finishes the requests under way, and cuts what is left after
/// [`EdgeLimits::drain`]. It returns once no connection is left.
///
/// A message whose answer was cut is stored once or not at all; its client may repeat it.
///
/// # Errors
/// [`ServeError`] before the first connection; nothing ends it later.
pub async fn serve<L: Listener>(listener: L, facade: Facade) -> Result<(), ServeError> {
    let (limits, stop) = (facade.limits().edge.clone(), facade.stop().clone());
    tracing::info!("serving addr={} connections_max={}", listener.addr()?, limits.connections);
    run(listener, stack(facade), limits, stop).await;
    tracing::info!("stopped");
    Ok(())
}
