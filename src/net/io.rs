//! The bytes of a connection, under the guard of its server.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What a server watches on a connection: its timers, and when it closes. An error ends the connection.
pub trait Guard<IO>: Unpin {
    /// Ready when the connection is to be closed by force. Polled before each read: a server always waits
    /// for its client to speak, so that is enough to wake it.
    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    /// The client sends nothing. Ready when that has lasted too long.
    fn poll_silence(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    /// The client sent `bytes`; none at its end.
    ///
    /// # Errors
    /// The client breaks a rule. The bytes are not passed on.
    fn received(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// The client takes nothing of `unsent`, which is empty for a flush. Ready when that has lasted too long,
    /// or with the number of bytes that the guard has sent all the same.
    fn poll_stall(
        &mut self,
        _io: &IO,
        _unsent: &[u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    /// A write has ended, and this many bytes are on their way; none after a flush or a failure.
    fn sent(&mut self, _bytes: usize) {}

    /// Ready once the connection is broken, which a server that awaits nothing from its client would not
    /// notice. Polled after each flush: a server flushes before it waits.
    fn poll_broken(&mut self, _io: &IO, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }

    /// Closes our side.
    fn poll_shutdown(&mut self, io: Pin<&mut IO>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        IO: AsyncRead + AsyncWrite,
    {
        io.poll_shutdown(cx)
    }

    /// `io` is dropped next.
    fn dropped(&mut self, _io: &IO) {}
}

/// A connection and its guard.
///
/// It is opened by the first read or write, in the task that serves it. Until it is open it counts as
/// silent.
pub struct ConnectionIo<IO, G: Guard<IO>> {
    stage: Stage<IO>,
    guard: G,
}

enum Stage<IO> {
    Opening(Pin<Box<dyn Future<Output = io::Result<IO>> + Send>>),
    Open(IO),
    Failed,
}

impl<IO, G: Guard<IO>> ConnectionIo<IO, G> {
    /// The connection that `opening` opens.
    pub fn new(opening: impl Future<Output = io::Result<IO>> + Send + 'static, guard: G) -> Self {
        let mut opening = Box::pin(opening);
        let stage = match (&mut opening).now_or_never() {
            Some(Ok(io)) => Stage::Open(io),
            // The first read tells.
            Some(Err(error)) => Stage::Opening(Box::pin(async { Err(error) })),
            None => Stage::Opening(opening),
        };
        Self { stage, guard }
    }

    /// A connection that is open.
    pub(crate) fn open(io: IO, guard: G) -> Self {
        Self { stage: Stage::Open(io), guard }
    }

    /// Ready once the connection is open.
    #[inline]
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Pin<&mut IO>, &mut G)>>
    where
        IO: Unpin,
    {
        if !matches!(self.stage, Stage::Open(_)) {
            ready!(self.poll_opening(cx))?;
        }
        match &mut self.stage {
            Stage::Open(io) => Poll::Ready(Ok((Pin::new(io), &mut self.guard))),
            Stage::Opening(_) | Stage::Failed => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }

    /// Ready once the connection is open or has failed. Only the first reads and writes come here.
    #[cold]
    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stage::Opening(opening) = &mut self.stage else { return Poll::Ready(Ok(())) };
        if let Poll::Ready(error) = self.guard.poll_close(cx) {
            return Poll::Ready(Err(error));
        }
        match opening.as_mut().poll(cx) {
            Poll::Ready(opened) => {
                let (stage, opened) = match opened {
                    Ok(io) => (Stage::Open(io), Ok(())),
                    Err(error) => (Stage::Failed, Err(error)),
                };
                self.stage = stage;
                Poll::Ready(opened)
            }
            Poll::Pending => self.guard.poll_silence(cx).map(Err),
        }
    }

    /// Writes what begins with `unsent`, and tells the guard how that went.
    fn poll_sent(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &[u8],
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>>
    where
        IO: Unpin,
    {
        let (mut io, guard) = ready!(self.poll_open(cx))?;
        let result = match write(io.as_mut(), cx) {
            Poll::Ready(result) => result,
            Poll::Pending => ready!(guard.poll_stall(&io, unsent, cx)),
        };
        guard.sent(*result.as_ref().unwrap_or(&0));
        Poll::Ready(result)
    }

    #[cfg(test)]
    pub(super) fn get_ref(&self) -> Option<&IO> {
        match &self.stage {
            Stage::Open(io) => Some(io),
            Stage::Opening(_) | Stage::Failed => None,
        }
    }
}

impl<IO, G: Guard<IO>> Drop for ConnectionIo<IO, G> {
    fn drop(&mut self) {
        if let Stage::Open(io) = &self.stage {
            self.guard.dropped(io);
        }
    }
}

impl<IO, G: Guard<IO>> Connected for ConnectionIo<IO, G> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<IO: AsyncRead + Unpin, G: Guard<IO>> AsyncRead for ConnectionIo<IO, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (io, guard) = ready!(self.poll_open(cx))?;
        if let Poll::Ready(error) = guard.poll_close(cx) {
            return Poll::Ready(Err(error));
        }
        let filled_before = buf.filled().len();
        let Poll::Ready(read) = io.poll_read(cx, buf) else {
            return guard.poll_silence(cx).map(Err);
        };
        let received = read.and_then(|()| guard.received(&buf.filled()[filled_before..]));
        if received.is_err() {
            // A failed read has read nothing.
            buf.set_filled(filled_before);
        }
        Poll::Ready(received)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, G: Guard<IO>> AsyncWrite for ConnectionIo<IO, G> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_sent(cx, buf, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let unsent = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_sent(cx, unsent, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stage {
            Stage::Open(io) => io.is_write_vectored(),
            Stage::Opening(_) | Stage::Failed => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx, &[], |io, cx| io.poll_flush(cx).map_ok(|()| 0)))?;
        let this = &mut *self;
        match &this.stage {
            Stage::Open(io) => match this.guard.poll_broken(io, cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Ready(Ok(())),
            },
            Stage::Opening(_) | Stage::Failed => Poll::Ready(Ok(())),
        }
    }

    /// A connection that is not open yet has nothing to close.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match &mut this.stage {
            Stage::Open(io) => this.guard.poll_shutdown(Pin::new(io), cx),
            Stage::Opening(_) | Stage::Failed => Poll::Ready(Ok(())),
        }
    }
}
