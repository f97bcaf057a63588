//! Accepted connections: the accept loop, the connection limiter, timers and the flood guard.

mod abort;
mod close_signal;
mod flood;
mod incoming;
pub mod limiter;
mod open_files;

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

pub(crate) use self::abort::Cuttable;
pub use self::{
    incoming::{Connection, incoming},
    open_files::{connections_max, is_shortage, open_files_max, raise_open_files, tell_open_files},
};

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
    source: io::Error,
}
