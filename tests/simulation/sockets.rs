//! The sockets of a machine, which outlive no process.
//!
//! When a process ends, its machine closes what it had open, in an order that follows from the run.
//! The order in which the runtime drops its tasks does not: it depends on how many tasks all runs of
//! this test have started.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use turmoil::net::TcpStream;

type Slot = Mutex<Option<TcpStream>>;

/// All sockets of a machine. Clones are of the same machine.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Arc<Mutex<Vec<Weak<Slot>>>>);

impl Sockets {
    /// Makes `stream` one of them.
    pub(crate) fn adopt(&self, stream: TcpStream) -> Socket {
        let slot = Arc::new(Mutex::new(Some(stream)));
        let mut all = self.0.lock().unwrap();
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&slot));
        Socket(slot)
    }

    /// Ends all of them, the oldest first. On its host this tells the peers; from outside they are
    /// told nothing, as when the power fails.
    pub(crate) fn end(&self) {
        for socket in self.0.lock().unwrap().drain(..) {
            if let Some(slot) = socket.upgrade() {
                slot.lock().unwrap().take();
            }
        }
    }
}

/// A socket of a machine.
pub(crate) struct Socket(Arc<Slot>);

impl Socket {
    fn with<T>(
        &self,
        work: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut slot: MutexGuard<'_, Option<TcpStream>> = self.0.lock().unwrap();
        match &mut *slot {
            Some(stream) => work(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
