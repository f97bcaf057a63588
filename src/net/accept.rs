//! The accept loop of every server.

use std::{
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net::sockopt;
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

/// Time without a byte after which the operating system asks whether a client is still there.
const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Pause between two such questions, and how many go without an answer before the connection is broken. So
/// a client that vanished is noticed after a minute of silence, and one that closed its socket soon after
/// its operating system has forgotten it, which is mostly a minute later, too.
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const TCP_KEEPALIVE_PROBES: u32 = 3;

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

    /// Ready with an error once the connection is broken: found out without reading. Ready with `None` if
    /// bytes, or the end of the input, may wait to be read: then a break wakes no task, and has to be asked
    /// for again. A transport that cannot tell is pending.
    fn poll_broken(_io: &Self::Io, _cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        Poll::Pending
    }

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
        // A response that waits for something to say would never notice that its client is gone.
        if let Err(error) = set_keepalive(&stream) {
            tracing::debug!("no TCP keepalive for a connection: {error}");
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

    fn poll_broken(io: &TcpStream, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        let ready = ready!(io.poll_read_ready(cx));
        Poll::Ready(ready.and_then(|()| io.take_error()).unwrap_or_else(Some))
    }

    #[cfg(unix)]
    fn offer(io: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(io, bytes, rustix::net::SendFlags::DONTWAIT)?)
    }
}

fn set_keepalive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(stream, TCP_KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, TCP_KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, TCP_KEEPALIVE_PROBES)?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = Listener::accept(&listener).await.unwrap().await.unwrap();
        (client, accepted)
    }

    #[tokio::test]
    async fn a_silent_client_is_asked_whether_it_is_there() {
        let (_client, accepted) = connected().await;
        assert!(sockopt::socket_keepalive(&accepted).unwrap());
        let asked = TCP_KEEPALIVE_IDLE + TCP_KEEPALIVE_INTERVAL * TCP_KEEPALIVE_PROBES;
        assert_eq!(asked, Duration::from_secs(60));
        assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), TCP_KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&accepted).unwrap(), TCP_KEEPALIVE_INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&accepted).unwrap(), TCP_KEEPALIVE_PROBES);
    }

    #[tokio::test]
    async fn a_broken_connection_is_told_from_one_with_more_to_read() {
        let broken = async |io: &TcpStream| poll_fn(|cx| TcpListener::poll_broken(io, cx)).await;
        let (mut client, mut accepted) = connected().await;
        client.write_all(b"request").await.unwrap();
        assert!(broken(&accepted).await.is_none());
        assert_eq!(accepted.read(&mut [0; 100]).await.unwrap(), 7);
        let silent = tokio::time::timeout(Duration::from_millis(20), broken(&accepted)).await;
        assert!(silent.is_err(), "{silent:?}");
        client.shutdown().await.unwrap();
        assert!(broken(&accepted).await.is_none(), "the end of the input is no break");
        client.set_zero_linger().unwrap();
        drop(client);
        while broken(&accepted).await.is_none() {
            tokio::task::yield_now().await;
        }

        let (mut client, mut accepted) = connected().await;
        client.write_all(b"request").await.unwrap();
        assert_eq!(accepted.read(&mut [0; 100]).await.unwrap(), 7);
        client.set_zero_linger().unwrap();
        let reset = async { drop(client) };
        let (error, ()) = tokio::join!(broken(&accepted), reset);
        assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionReset);
    }
}
