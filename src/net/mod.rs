//! Accepted connections, for HTTP and gRPC alike.
//!
//! In reading order: the accept loop (`accept`), the [connection limiter](ConnectionLimiter) with its state
//! machine (`entry`), the close signal, the class of long-lived responses, the bytes of a connection under
//! a [`Guard`], and what gRPC adds to that (`incoming`, `flood`).

mod accept;
mod close_signal;
mod entry;
mod flood;
mod incoming;
mod io;
mod limiter;
mod limits;
mod long_lived;
mod open_files;

use std::net::SocketAddr;

use tokio::net::TcpListener;

pub use self::{
    accept::{Listener, accept},
    close_signal::CloseSignal,
    incoming::incoming,
    io::{ConnectionIo, Guard},
    limiter::{ConnectionLimiter, ConnectionSlot},
    limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, NetLimits},
    long_lived::{InvalidShare, LongLived, LongLivedShare, LongLivedShareFull},
    open_files::{connections_max, is_shortage, open_files_max, raise_open_files, tell_open_files},
};

/// Target of log lines about what a peer did, which any stranger can cause as often as it likes. They are
/// counted and, unless they are asked for, not shown.
pub const PEER_TARGET: &str = "oncelog::peer";

/// Binds `addr`; port 0 asks for any free port.
///
/// # Errors
/// [`ListenError`] names the address and the reason.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(addr).await.map_err(|source| ListenError { addr, source })
}

/// A port is taken or may not be used. The process ends with
/// [`Exit::Unavailable`](crate::process::exit::Exit::Unavailable).
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct ListenError {
    addr: SocketAddr,
    source: std::io::Error,
}
