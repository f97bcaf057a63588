//! The bytes of a connection, with three manners: it gives up on a client that does not read, it
//! closes so that the last answer arrives, and it resets what breaks off in the middle.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{EdgeLimits, exchange::Exchange};

/// Wraps a connection.
pub(super) struct ClientIo<IO> {
    io: IO,
    exchange: Arc<Exchange>,
    /// Called if it is dropped without having been shut down.
    reset: fn(&IO),
    stall_limit: Duration,
    linger_limit: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs once our side is closed.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<IO> ClientIo<IO> {
    pub(super) fn new(
        io: IO,
        exchange: Arc<Exchange>,
        limits: &EdgeLimits,
        reset: fn(&IO),
    ) -> Self {
        let (stall_limit, linger_limit) = (limits.response_stall, limits.linger);
        Self { io, exchange, reset, stall_limit, linger_limit, stalled: None, lingering: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.exchange.set_stalls(false);
            }
            return written;
        }
        let limit = self.stall_limit;
        self.exchange.set_stalls(true);
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<IO> Drop for ClientIo<IO> {
    fn drop(&mut self) {
        if self.lingering.is_none() {
            (self.reset)(&self.io);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for ClientIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    /// Closes our side, then takes in what the client still sends, for a while. Bytes that nobody
    /// read would make the operating system reset the connection, and a client that is still
    /// sending its body would lose the answer that refuses it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        let limit = this.linger_limit;
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(limit)));
        let mut discarded = [0; 8 * 1024];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut discarded);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
