//! The accept loop of every server.

use std::{
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    is_shortage,
    limiter::{ConnectionLimiter, ConnectionSlot},
    limits::ACCEPT_RETRY_PAUSE,
};

/// Where connections come from: a TCP listener, or a simulated one.
pub trait Listener: Send + Sync {
    /// A connection over which a protocol is spoken.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a connection: whatever has to be exchanged with the client first, as a TLS handshake. It runs
    /// in the task of the connection, within its header timeout.
    type Opening: Future<Output = io::Result<Self::Io>> + Send + 'static;

    /// The next connection. It waits for no client that has connected. Dropping the future loses no
    /// connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Opening>> + Send;

    /// The address clients connect to.
    ///
    /// # Errors
    /// The listener is not bound to an address.
    fn addr(&self) -> io::Result<SocketAddr>;

    /// Makes the end of `io` a failure for the client. Called right before `io` is dropped in the
    /// middle of a response.
    fn reset(io: &Self::Io);

    /// Offers `bytes` to the operating system for `io`, whether or not it has said that it takes some. Linux
    /// says so once a third of its buffer is free, which may be a megabyte: a client that reads slowly would
    /// look like one that does not read. It never waits, and returns how many bytes were taken.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is taken now, and always by a listener that cannot offer.
    fn offer(_io: &Self::Io, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Listener for TcpListener {
    type Io = TcpStream;
    type Opening = Ready<io::Result<TcpStream>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let (stream, _) = Self::accept(self).await?;
        // A response is one small segment; it must not wait for an acknowledgement of the last one. The
        // connection works either way.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY for a connection: {error}");
        }
        Ok(ready(Ok(stream)))
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn reset(io: &TcpStream) {
        // It also drops at once what the client did not fetch, which may be megabytes.
        if let Err(error) = io.set_zero_linger() {
            tracing::debug!("a broken response ended like a whole one: {error}");
        }
    }

    #[cfg(unix)]
    fn offer(io: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(io, bytes, rustix::net::SendFlags::DONTWAIT)?)
    }
}

/// The next connection of `listener` and its slot. It never fails: no error of one connection, and no
/// shortage, is worth all the others.
///
/// A connection is accepted first, then a slot is found for it: other connections are evicted for a client
/// that is there, and for no other. All further clients stay with the operating system meanwhile. Dropping
/// the future closes the connection that waits for a slot.
pub async fn accept<L: Listener>(
    listener: &L,
    limiter: &ConnectionLimiter,
) -> (L::Opening, ConnectionSlot) {
    let mut warned = false;
    loop {
        match listener.accept().await {
            Ok(opening) => return (opening, limiter.acquire().await),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !warned {
                    tracing::warn!("cannot accept connections, trying on: {error}");
                    warned = true;
                }
                if is_shortage(&error) {
                    limiter.free_descriptors();
                }
                sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

/// Whether the client left before its connection was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}
