//! The services' connections over the simulated network.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, stream};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::{Channel, Endpoint, server::Connected};
use turmoil::net::{TcpListener, TcpStream};

/// An accepted connection, as a gRPC server wants it.
pub(crate) struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Takes `port` of the current host.
pub(crate) async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
}

/// The connections of `listener`.
pub(crate) fn incoming(
    listener: TcpListener,
) -> impl Stream<Item = io::Result<Accepted>> + Send + 'static {
    stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    })
}

/// The facade's listener.
pub(crate) struct Edge(pub(crate) TcpListener);

impl facade_service::Listener for Edge {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers have a length or chunks, which tell a broken one from a whole one.
    fn reset(_: &TcpStream) {}
}

/// A channel of `endpoint`. Tells `connecting` whenever it begins to connect.
pub(crate) fn channel(
    endpoint: Endpoint,
    connecting: impl Fn() + Clone + Send + Sync + 'static,
) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(move |to: Uri| {
        connecting();
        async move {
            let host = to.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host, to.port_u16().unwrap_or_default())).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    }))
}
