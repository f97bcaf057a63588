//! Accepts TCP connections: capped, without delay, and never giving up.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::{
    connections_max,
    flood::FloodGuard,
    limiter::{Place, Places},
    open_files::is_shortage,
};
use crate::limits;

/// What an HTTP/2 client sends before anything else.
const PREFACE_BYTES: usize = 24;

/// An answer to a PING, and little more: a client that sends only that is quiet.
const QUIET_BYTES_MAX: usize = 32;

/// The connections `listener` accepts, for ever.
///
/// At most [`connections_max`] are served at a time; for the next client, the longest quiet ones are
/// closed. A failure to accept is logged and tried again. Dropping the stream closes the port.
pub fn incoming(
    listener: TcpListener,
) -> impl Stream<Item = Result<Connection, Infallible>> + Send + 'static {
    let listener = Arc::new(listener);
    let accept = move || {
        let listener = Arc::clone(&listener);
        async move { listener.accept().await }
    };
    connections(accept, connections_max())
}

fn connections<Accept, Accepted>(
    accept: Accept,
    connections_max: usize,
) -> impl Stream<Item = Result<Connection, Infallible>>
where
    Accept: FnMut() -> Accepted,
    Accepted: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
{
    stream::unfold((accept, Places::new(connections_max)), |(mut accept, places)| async move {
        let tcp = accept_one(&mut accept, &places).await;
        // Others give up theirs for a client that is there, and for no other. All further ones stay with
        // the operating system meanwhile.
        let place = places.take().await;
        Some((Ok(Connection::new(tcp, place)), (accept, places)))
    })
}

async fn accept_one<Accept, Accepted>(accept: &mut Accept, places: &Places) -> TcpStream
where
    Accept: FnMut() -> Accepted,
    Accepted: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
{
    let mut warned = false;
    loop {
        match accept().await {
            Ok((tcp, _)) => {
                // Without it small answers wait for the acknowledgement of earlier ones. The
                // connection works either way.
                let _ = tcp.set_nodelay(true);
                return tcp;
            }
            // The client left before we came to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !warned {
                    tracing::warn!(%error, "cannot accept connections; trying on");
                    warned = true;
                }
                if is_shortage(&error) {
                    places.spare_descriptors();
                }
                sleep(limits::ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

/// An accepted connection. It counts towards [`connections_max`] until it is dropped.
///
/// It fails if the client does not begin to speak HTTP/2 within [`limits::HEADER_READ_TIMEOUT`], or
/// floods it with frames that carry nothing; and it ends if another client needs its place.
pub struct Connection {
    tcp: TcpStream,
    opening: Option<Opening>,
    flood: FloodGuard,
    place: Place,
}

struct Opening {
    timeout: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Connection {
    fn new(tcp: TcpStream, place: Place) -> Self {
        let timeout = Box::pin(sleep(limits::HEADER_READ_TIMEOUT));
        let opening = Some(Opening { timeout, bytes_left: PREFACE_BYTES });
        place.waits();
        Self { tcp, opening, flood: FloodGuard::new(), place }
    }

    /// Fails until the client has spoken, if that takes it too long.
    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        ready!(opening.timeout.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// A server whose client does not read may not read either: so this looks at its place, too. The
    /// task that waits is the same.
    fn sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.flood.sent(bytes),
            Poll::Pending if self.place.leave().is_given() => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
        written
    }

    fn received(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > QUIET_BYTES_MAX {
            self.place.waits();
        }
        if let Some(opening) = &mut self.opening {
            let preface = opening.bytes_left.min(bytes.len());
            opening.bytes_left -= preface;
            bytes = &bytes[preface..];
            if opening.bytes_left == 0 {
                self.opening = None;
            }
        }
        self.flood.received(bytes).inspect_err(|error| {
            tracing::warn!("a connection was closed: its client sent {error}");
        })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.place.leave().poll_given(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let filled_before = buf.filled().len();
        match Pin::new(&mut self.tcp).poll_read(cx, buf) {
            Poll::Pending => self.poll_opening(cx),
            Poll::Ready(Ok(())) => {
                let received = self.received(&buf.filled()[filled_before..]);
                if received.is_err() {
                    // A failed read has read nothing.
                    buf.set_filled(filled_before);
                }
                Poll::Ready(received)
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, pin::pin};

    use futures_util::{FutureExt as _, StreamExt as _};
    use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, time::Instant};

    use super::*;

    async fn local() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    #[tokio::test]
    async fn a_client_over_the_cap_is_served_once_another_leaves() {
        let (listener, addr) = local().await;
        let listener = Arc::new(listener);
        let accept = || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await }
        };
        let mut incoming = pin!(connections(accept, 1));

        let _first_client = TcpStream::connect(addr).await.unwrap();
        let second_client = TcpStream::connect(addr).await.unwrap();
        let first = incoming.next().await.unwrap().unwrap();
        assert!(incoming.next().now_or_never().is_none(), "the cap of one was passed");

        drop(first);
        let second = incoming.next().await.unwrap().unwrap();
        assert_eq!(
            second.connect_info().remote_addr(),
            Some(second_client.local_addr().unwrap()),
            "someone else was served"
        );
        assert!(second.tcp.nodelay().unwrap());
    }

    #[tokio::test]
    async fn the_quietest_connection_ends_when_a_new_client_needs_its_place() {
        /// What answers a ping.
        const PONG: [u8; 17] = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let (listener, addr) = local().await;
        let listener = Arc::new(listener);
        let accept = || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await }
        };
        let mut incoming = pin!(connections(accept, 2));
        let mut accepted = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(TcpStream::connect(addr).await.unwrap());
            accepted.push(incoming.next().await.unwrap().unwrap());
        }
        let mut buffer = [0; 100];
        for (connection, client) in accepted.iter_mut().zip(&mut clients) {
            client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
            connection.read_exact(&mut buffer[..PREFACE_BYTES]).await.unwrap();
        }
        let headers = [&[0, 0, 91, 1, 4, 0, 0, 0, 1][..], &[0; 91]].concat();
        clients[0].write_all(&headers).await.unwrap();
        accepted[0].read_exact(&mut buffer).await.unwrap();
        clients[1].write_all(&PONG).await.unwrap();
        accepted[1].read_exact(&mut buffer[..PONG.len()]).await.unwrap();

        assert!(incoming.next().now_or_never().is_none(), "nobody came");
        assert!(accepted[1].read_u8().now_or_never().is_none(), "it was closed for nobody");
        let _third = TcpStream::connect(addr).await.unwrap();
        let error = tokio::select! {
            _ = incoming.next() => panic!("the cap of two was passed"),
            read = accepted[1].read_u8() => read.unwrap_err(),
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(accepted[0].read_u8().now_or_never().is_none(), "the busy one ended, too");
    }

    #[tokio::test]
    async fn a_flood_of_frames_without_content_ends_the_connection() {
        let (listener, addr) = local().await;
        let mut incoming = pin!(incoming(listener));
        let mut client = TcpStream::connect(addr).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();

        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        let pings = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(100_000);
        let flood = async { while client.write_all(&pings).await.is_ok() {} };
        let mut received = Vec::new();
        let read = async {
            let ended = connection.read_to_end(&mut received).await;
            drop(connection);
            ended
        };
        let ((), ended) = tokio::join!(flood, read);
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::Other);
    }

    #[tokio::test(start_paused = true)]
    async fn failing_to_accept_pauses_and_goes_on() {
        const EMFILE: i32 = 24;
        let (listener, addr) = local().await;
        let listener = Arc::new(listener);
        let mut errors = vec![
            io::Error::from_raw_os_error(EMFILE),
            io::Error::from_raw_os_error(EMFILE),
            io::ErrorKind::ConnectionAborted.into(),
        ];
        let accept = || {
            let listener = Arc::clone(&listener);
            let error = errors.pop();
            async move {
                match error {
                    Some(error) => Err(error),
                    None => listener.accept().await,
                }
            }
        };
        let mut incoming = pin!(connections(accept, 1));
        let _client = TcpStream::connect(addr).await.unwrap();

        let started = Instant::now();
        incoming.next().await.unwrap().unwrap();
        assert!(started.elapsed() >= 2 * limits::ACCEPT_RETRY_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_finish_its_preface_times_out() {
        let (listener, addr) = local().await;
        let mut incoming = pin!(incoming(listener));
        let mut client = TcpStream::connect(addr).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();

        client.write_all(b"PRI").await.unwrap();
        let mut received = Vec::new();
        let error = connection.read_to_end(&mut received).await.unwrap_err();
        assert_eq!((error.kind(), &received[..]), (io::ErrorKind::TimedOut, &b"PRI"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_spoke_may_be_silent() {
        let (listener, addr) = local().await;
        let mut incoming = pin!(incoming(listener));
        let mut client = TcpStream::connect(addr).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();

        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let silent = tokio::time::timeout(2 * limits::HEADER_READ_TIMEOUT, connection.read_u8());
        assert!(silent.await.is_err(), "the connection ended");
    }
}
