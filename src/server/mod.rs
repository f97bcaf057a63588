//! What every server does: listen, serve gRPC with limits, describe itself, stop in good order.

mod bodies;
mod cut;
mod flood;
mod grpc;
mod health;
mod incoming;
mod notice;
mod open_files;
pub mod places;
mod runtime;
mod signal;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use tokio::net::TcpListener;

pub use self::{
    bodies::Bodies,
    grpc::{BrokenContract, add_standard_services, grpc_server, serve_grpc},
    health::Health,
    incoming::{Connection, incoming},
    open_files::{connections_max, is_shortage, open_files_max, raise_open_files, tell_open_files},
    runtime::run,
    signal::stop_on_signal,
};

/// Binds `addr`; port 0 asks for any free port.
///
/// # Errors
/// [`ListenError`] names the address and the reason.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(addr).await.map_err(|source| ListenError { addr, source })
}

/// A port is taken or may not be used. The process ends with
/// [`Exit::Unavailable`](crate::exit::Exit::Unavailable).
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct ListenError {
    addr: SocketAddr,
    source: io::Error,
}

/// Prints the line that tells people and programs that `addr` now accepts work, and tells the log how
/// much of it. A standard output that nobody reads does not stop a service.
pub fn announce(addr: SocketAddr) {
    tell_open_files();
    let _ = writeln!(io::stdout(), "listening addr={addr}");
}
