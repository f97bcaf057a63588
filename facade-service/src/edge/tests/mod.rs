//! The edge around a service that does what a test needs.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod framed;
mod long_lived;
mod opening;
mod unread;
mod upgrade;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use oncelog::net::{ConnectionLimiter, Listener, LongLived};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::accept;
use crate::{EdgeLimits, stack::layers};

/// Nothing in these tests takes this long, unless it is broken. It is less than the time of a drain.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// An edge with a service of its own: it answers `/plain` at once, `/held` when it is released, `/stream`
/// until it is told to end, `/deaf` for ever, `/produced` too with another piece when it is released, and
/// `/late` like `/stream` when it is released. It upgrades to an echo or to a flood.
#[derive(Clone)]
struct Service {
    limiter: ConnectionLimiter,
    release: Arc<Notify>,
    /// How what runs in tasks of its own has ended.
    ended: mpsc::UnboundedSender<io::Result<()>>,
}

impl Service {
    async fn answer(self, request: Request<Body>) -> Response {
        match request.uri().path() {
            "/plain" => Response::new("plain".into()),
            "/held" => {
                self.release.notified().await;
                Response::new("held".into())
            }
            "/stream" => self.stream(true),
            "/deaf" => self.stream(false),
            "/produced" => self.produced(),
            "/late" => {
                self.release.notified().await;
                self.stream(true)
            }
            "/unadmitted" => StatusCode::SWITCHING_PROTOCOLS.into_response(),
            "/echo" => self.upgrade(request, |io, closing| echo(io, closing, true)),
            // It is not told of its end.
            "/deaf-echo" => self.upgrade(request, |io, closing| echo(io, closing, false)),
            "/flood" => self.upgrade(request, |io, _| flood(io)),
            "/late-deaf" => {
                self.release.notified().await;
                self.stream(false)
            }
            "/untaken" => {
                let admitted = self.limiter.try_long_lived().unwrap();
                drop(request);
                switch_protocols(admitted)
            }
            other => panic!("no route for {other}"),
        }
    }

    fn stream(&self, ends: bool) -> Response {
        let Ok(admitted) = self.limiter.try_long_lived() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let body = admitted.clone();
        let end = stream::once(async move {
            body.closing().await;
            if !ends {
                std::future::pending::<()>().await;
            }
            Bytes::from("bye")
        });
        let body = stream::iter([Bytes::from("begun")]).chain(end).map(Ok::<_, io::Error>);
        (Extension(admitted), Body::from_stream(body)).into_response()
    }

    /// A response whose producer is a task of its own.
    fn produced(self) -> Response {
        let admitted = self.limiter.try_long_lived().unwrap();
        let (closing, ended, release) = (admitted.clone(), self.ended, self.release);
        tokio::spawn(async move {
            closing.closing().await;
            let _ = ended.send(Ok(()));
        });
        let begun = stream::iter([Bytes::from("begun")]);
        let more = stream::once(async move {
            release.notified().await;
            Bytes::from("more")
        });
        let pieces = begun.chain(more).chain(stream::pending()).map(Ok::<_, io::Error>);
        (Extension(admitted), Body::from_stream(pieces)).into_response()
    }

    fn upgrade<F>(
        self,
        request: Request<Body>,
        protocol: impl FnOnce(TokioIo<Upgraded>, LongLived) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        let admitted = self.limiter.try_long_lived().unwrap();
        let closing = admitted.clone();
        tokio::spawn(async move {
            let io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let _ = self.ended.send(protocol(io, closing).await);
        });
        switch_protocols(admitted)
    }
}

fn switch_protocols(admitted: LongLived) -> Response {
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Extension(admitted)).into_response()
}

/// Only sends.
async fn flood(mut io: TokioIo<Upgraded>) -> io::Result<()> {
    loop {
        io.write_all(&[b'x'; 1 << 16]).await?;
    }
}

async fn echo(mut io: TokioIo<Upgraded>, closing: LongLived, ends: bool) -> io::Result<()> {
    let mut bytes = [0; 64];
    loop {
        let read = tokio::select! {
            read = io.read(&mut bytes) => read?,
            () = closing.closing(), if ends => {
                io.write_all(b"bye").await?;
                return io.shutdown().await;
            }
        };
        if read == 0 {
            return Ok(());
        }
        io.write_all(&bytes[..read]).await?;
    }
}

struct Edge {
    addr: SocketAddr,
    release: Arc<Notify>,
    ended: mpsc::UnboundedReceiver<io::Result<()>>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Edge {
    /// An edge for so many connections, three quarters of which may be long-lived.
    async fn start(connections: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, EdgeLimits { connections, ..EdgeLimits::default() })
    }

    fn start_on(listener: impl Listener + 'static, limits: EdgeLimits) -> Self {
        let addr = listener.addr().unwrap();
        let limiter = ConnectionLimiter::new(limits.connections, limits.long_lived);
        let release = Arc::new(Notify::new());
        let (sender, ended) = mpsc::unbounded_channel();
        let service =
            Service { limiter: limiter.clone(), release: Arc::clone(&release), ended: sender };
        let stop = CancellationToken::new();
        let stack = layers().service_fn(move |request| {
            let service = service.clone();
            async { Ok(service.answer(request).await) }
        });
        let serving = tokio::spawn(accept::run(listener, stack, limits, limiter, stop.clone()));
        Self { addr, release, ended, stop, serving }
    }

    /// Asks for `path` on a connection of its own.
    async fn get(&self, path: &str) -> Client {
        self.request(path, "").await
    }

    async fn request(&self, path: &str, headers: &str) -> Client {
        let mut client = Client(TcpStream::connect(self.addr).await.unwrap());
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        client.0.write_all(head.as_bytes()).await.unwrap();
        client
    }

    /// A response of `/stream` that has begun.
    async fn stream(&self) -> Client {
        let mut client = self.get("/stream").await;
        client.expect("begun\r\n").await;
        client
    }

    /// A connection that was upgraded to `path`.
    async fn upgrade(&self, path: &str) -> Client {
        let mut client = self.request(path, "connection: upgrade\r\nupgrade: x\r\n").await;
        client.expect("HTTP/1.1 101 ").await;
        client.expect("\r\n\r\n").await;
        client
    }

    /// Stops it. It must not use up the time of its drain.
    async fn stopped(self) {
        self.stop.cancel();
        timeout(WAIT_MAX, self.serving).await.expect("the drain waits").unwrap();
    }
}

struct Client(TcpStream);

impl Client {
    /// Reads until `text` has come, and nothing after it.
    async fn expect(&mut self, text: &str) {
        let mut read = Vec::new();
        let reading = async {
            while !read.ends_with(text.as_bytes()) {
                read.push(self.0.read_u8().await?);
            }
            io::Result::Ok(())
        };
        let found = timeout(WAIT_MAX, reading).await;
        assert!(
            matches!(found, Ok(Ok(()))),
            "{found:?} instead of {text:?}: {}",
            read.escape_ascii()
        );
    }

    fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }

    /// Reads to the end of the connection.
    async fn rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        timeout(WAIT_MAX, self.0.read_to_string(&mut rest)).await.expect("it goes on")?;
        Ok(rest)
    }

    /// Whether nothing comes, and the connection stays open.
    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.0.read_u8()).await.is_err()
    }
}
