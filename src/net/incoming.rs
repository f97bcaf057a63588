//! The connections of a gRPC server: limited, timed, and guarded against floods.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

use super::{
    NetLimits, PEER_TARGET,
    accept::{Listener, accept},
    flood::FloodGuard,
    io::{ConnectionIo, Guard},
    limiter::{ConnectionLimiter, ConnectionSlot},
};

/// What an HTTP/2 client sends before anything else.
const PREFACE_BYTES: usize = 24;

/// The answer to a PING, and little more: a client that sends only that is idle.
const IDLE_READ_BYTES_MAX: usize = 32;

/// An accepted connection. It holds a slot of the connection limiter until it is dropped.
///
/// It fails if the client does not begin to speak HTTP/2 within [`NetLimits::header_read`], or floods it
/// with frames that carry nothing; and it ends when it is evicted for another client.
type Connection<IO> = ConnectionIo<IO, Http2Guard>;

/// The connections `listener` accepts, for ever.
///
/// At most [`NetLimits::connections`] are served at a time; for the next client, those that are idle for
/// longest are closed. A failure to accept is logged and tried again. Dropping the stream closes the port.
pub fn incoming(
    listener: TcpListener,
) -> impl Stream<
    Item = Result<impl AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static, Infallible>,
> + Send
+ 'static {
    connections(listener, &NetLimits::default())
}

fn connections<L: Listener>(
    listener: L,
    limits: &NetLimits,
) -> impl Stream<Item = Result<Connection<L::Io>, Infallible>> + use<L> {
    let limiter = ConnectionLimiter::new(limits.connections, limits.long_lived);
    let header_read = limits.header_read;
    stream::unfold((listener, limiter), move |(listener, limiter)| async move {
        let (opening, slot) = accept(&listener, &limiter).await;
        let connection = ConnectionIo::new(opening, Http2Guard::new(slot, header_read));
        Some((Ok(connection), (listener, limiter)))
    })
}

/// What is watched on an HTTP/2 connection: its preface, floods, and the close signal.
#[derive(Debug)]
struct Http2Guard {
    preface: Option<Preface>,
    flood: FloodGuard,
    slot: ConnectionSlot,
}

/// What is still missing of the preface, and until when.
#[derive(Debug)]
struct Preface {
    timeout: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Http2Guard {
    fn new(slot: ConnectionSlot, header_read: Duration) -> Self {
        let timeout = Box::pin(sleep(header_read));
        slot.set_idle();
        Self {
            preface: Some(Preface { timeout, bytes_left: PREFACE_BYTES }),
            flood: FloodGuard::new(),
            slot,
        }
    }
}

impl<IO> Guard<IO> for Http2Guard {
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.slot.close_signal().poll_sent(cx).map(|()| io::ErrorKind::ConnectionAborted.into())
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(preface) = &mut self.preface else { return Poll::Pending };
        ready!(preface.timeout.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    fn received(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > IDLE_READ_BYTES_MAX {
            // The time since the last request.
            self.slot.set_idle();
        }
        if let Some(preface) = &mut self.preface {
            let taken = preface.bytes_left.min(bytes.len());
            preface.bytes_left -= taken;
            bytes = &bytes[taken..];
            if preface.bytes_left == 0 {
                self.preface = None;
            }
        }
        self.flood.received(bytes).inspect_err(|error| {
            tracing::warn!(target: PEER_TARGET, "a connection was closed: its client sent {error}");
        })
    }

    /// A server whose client does not read may not read either: so the close signal is looked at here,
    /// too. The task that waits is the same.
    fn poll_stall(&mut self, _: &IO, _: &[u8], _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.slot.close_signal().is_sent() {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        } else {
            Poll::Pending
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.flood.sent(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        pin::pin,
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
    };

    use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        time::Instant,
    };

    use super::*;
    use crate::net::limits::ACCEPT_RETRY_PAUSE;

    fn at_most(connections: usize) -> NetLimits {
        NetLimits { connections, ..NetLimits::default() }
    }

    async fn local() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    /// A client and its connection.
    async fn connected() -> (TcpStream, Connection<TcpStream>) {
        let (listener, addr) = local().await;
        let mut incoming = pin!(connections(listener, &NetLimits::default()));
        let client = TcpStream::connect(addr).await.unwrap();
        (client, incoming.next().await.unwrap().unwrap())
    }

    #[tokio::test]
    async fn a_client_over_the_limit_is_served_once_another_leaves() {
        let (listener, addr) = local().await;
        let mut incoming = pin!(connections(listener, &at_most(1)));

        let _first_client = TcpStream::connect(addr).await.unwrap();
        let second_client = TcpStream::connect(addr).await.unwrap();
        let first = incoming.next().await.unwrap().unwrap();
        assert!(incoming.next().now_or_never().is_none(), "the cap of one was passed");

        drop(first);
        let second = incoming.next().await.unwrap().unwrap();
        assert_eq!(
            second.get_ref().unwrap().peer_addr().unwrap(),
            second_client.local_addr().unwrap(),
            "another client was served"
        );
        assert!(second.get_ref().unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn the_most_idle_connection_is_closed_for_a_new_client() {
        /// The answer to a PING.
        const PONG: [u8; 17] = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let (listener, addr) = local().await;
        let mut incoming = pin!(connections(listener, &at_most(2)));
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

        assert!(incoming.next().now_or_never().is_none(), "no client came");
        assert!(accepted[1].read_u8().now_or_never().is_none(), "it was closed for no client");
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
        let (mut client, mut connection) = connected().await;
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

    /// A listener whose `accept` fails first, and whose first connection may never open.
    struct Troubled {
        listener: TcpListener,
        errors: Mutex<Vec<io::Error>>,
        never_opens: AtomicBool,
    }

    impl Listener for Troubled {
        type Io = TcpStream;
        type Opening = BoxFuture<'static, io::Result<TcpStream>>;

        async fn accept(&self) -> io::Result<Self::Opening> {
            if let Some(error) = self.errors.lock().unwrap().pop() {
                return Err(error);
            }
            let opening = Listener::accept(&self.listener).await?;
            if self.never_opens.swap(false, Ordering::Relaxed) {
                return Ok(Box::pin(std::future::pending()));
            }
            Ok(Box::pin(opening))
        }

        fn addr(&self) -> io::Result<SocketAddr> {
            self.listener.addr()
        }

        fn reset(io: &TcpStream) {
            TcpListener::reset(io);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failing_to_accept_pauses_and_goes_on() {
        const EMFILE: i32 = 24;
        let (listener, addr) = local().await;
        let errors = Mutex::new(vec![
            io::Error::from_raw_os_error(EMFILE),
            io::Error::from_raw_os_error(EMFILE),
            io::ErrorKind::ConnectionAborted.into(),
        ]);
        let troubled = Troubled { listener, errors, never_opens: false.into() };
        let mut incoming = pin!(connections(troubled, &at_most(1)));
        let _client = TcpStream::connect(addr).await.unwrap();

        let started = Instant::now();
        incoming.next().await.unwrap().unwrap();
        assert!(started.elapsed() >= 2 * ACCEPT_RETRY_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_opens_delays_no_other_one() {
        let (listener, addr) = local().await;
        let troubled = Troubled { listener, errors: Mutex::default(), never_opens: true.into() };
        let mut incoming = pin!(connections(troubled, &at_most(2)));
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(TcpStream::connect(addr).await.unwrap());
        }
        let mut stuck = incoming.next().await.unwrap().unwrap();
        let mut open = incoming.next().await.unwrap().unwrap();
        clients[1].write_all(b"PRI").await.unwrap();
        let mut received = [0; 3];
        open.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"PRI");
        assert!(stuck.write(b"settings").now_or_never().is_none());
        let error = stuck.flush().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_finish_its_preface_times_out() {
        let (mut client, mut connection) = connected().await;
        client.write_all(b"PRI").await.unwrap();
        let mut received = Vec::new();
        let error = connection.read_to_end(&mut received).await.unwrap_err();
        assert_eq!((error.kind(), &received[..]), (io::ErrorKind::TimedOut, &b"PRI"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sent_its_preface_may_be_silent() {
        let (mut client, mut connection) = connected().await;
        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let silent =
            tokio::time::timeout(2 * NetLimits::default().header_read, connection.read_u8());
        assert!(silent.await.is_err(), "the connection ended");
    }
}
