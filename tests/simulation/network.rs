//! The services' connections over the simulated network.

use std::{
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddr},
};

use futures_util::{Stream, stream};
use http::Uri;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

use crate::sockets::{Socket, Sockets};

/// A listener of a machine.
pub(crate) struct Listener {
    listener: TcpListener,
    sockets: Sockets,
}

impl Listener {
    /// Takes `port` of the current host.
    pub(crate) async fn bind(port: u16, sockets: &Sockets) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        Ok(Self { listener, sockets: sockets.clone() })
    }

    /// Its connections, as a gRPC server wants them.
    pub(crate) fn incoming(self) -> impl Stream<Item = io::Result<Socket>> + Send + 'static {
        stream::unfold(self, |listener| async move {
            let accepted = facade_service::Listener::accept(&listener).await;
            Some((accepted.and_then(Ready::into_inner), listener))
        })
    }
}

impl facade_service::Listener for Listener {
    type Io = Socket;
    type Opening = Ready<io::Result<Socket>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let (stream, _) = self.listener.accept().await?;
        Ok(ready(Ok(self.sockets.adopt(stream))))
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Responses have a length or chunks, which tell a broken one from a whole one.
    fn reset(_: &Socket) {}
}

/// A channel of `endpoint`. Tells `connecting` whenever it begins to connect.
pub(crate) fn channel(
    endpoint: Endpoint,
    sockets: Sockets,
    connecting: impl Fn() + Clone + Send + Sync + 'static,
) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(move |to: Uri| {
        connecting();
        let sockets = sockets.clone();
        async move {
            let host = to.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host, to.port_u16().unwrap_or_default())).await?;
            Ok::<_, io::Error>(TokioIo::new(sockets.adopt(stream)))
        }
    }))
}
