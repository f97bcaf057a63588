//! The accept loop.

use std::{future::Future, io, net::SocketAddr};

use oncelog::{
    limits::ACCEPT_RETRY_PAUSE,
    net::{
        is_shortage,
        limiter::{Place, Places},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{EdgeLimits, connection};
use crate::stack::HttpService;

/// Where connections come from: a TCP listener, or a simulated one.
pub trait Listener: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// The address clients connect to.
    ///
    /// # Errors
    /// The listener is not bound to an address.
    fn addr(&self) -> io::Result<SocketAddr>;

    /// Makes the end of `io` a failure for the client. Called right before `io` is dropped in the
    /// middle of an answer.
    fn reset(io: &Self::Io);
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        // An answer is one small segment; it must not wait for an acknowledgement of the last one.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY for a connection: {error}");
        }
        Ok(stream)
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn reset(io: &TcpStream) {
        // It also drops at once what the client did not fetch, which may be megabytes.
        if let Err(error) = io.set_zero_linger() {
            tracing::debug!("a broken answer ended like a whole one: {error}");
        }
    }
}

/// Accepts until `stop`, then drains.
pub(crate) async fn run<L: Listener>(
    listener: L,
    stack: impl HttpService,
    limits: EdgeLimits,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Places::new(limits.connections);
    let cut = CancellationToken::new();
    let accepting = accept_all(
        listener,
        &connections,
        |io, place| {
            let placed = connection::Placed::new(stack.clone(), place);
            connection::serve(io, placed, &limits, L::reset, stop.clone(), cut.clone())
        },
        &places,
    );
    let _ = stop.run_until_cancelled(accepting).await;
    places.close();
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(
            "{} connections still open after {:?} were cut",
            connections.len(),
            limits.drain
        );
        cut.cancel();
        connections.wait().await;
    }
}

/// Never ends: no error of one connection, and no shortage, is worth all the others.
async fn accept_all<L, F>(
    listener: L,
    connections: &TaskTracker,
    serve: impl Fn(L::Io, Place) -> F,
    places: &Places,
) where
    L: Listener,
    F: Future<Output = ()> + Send + 'static,
{
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok(io) => {
                failing = false;
                // Others give up theirs for a client that is there, and for no other. All further ones
                // stay with the operating system meanwhile.
                let place = places.take().await;
                connections.spawn(serve(io, place));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::warn!("cannot accept connections, trying on: {error}");
                }
                failing = true;
                if is_shortage(&error) {
                    places.spare_descriptors();
                }
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}
