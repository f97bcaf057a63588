//! The bytes of a connection, as long as the framing of its requests can be vouched for.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use crate::http::framing::Framing;

/// A connection whose reads fail with a [`FramingError`](crate::http::framing::FramingError) from there on where
/// the framing is broken. Once the connection is upgraded, it passes on everything.
pub(super) struct Framed<IO> {
    io: IO,
    framing: Framing,
    activity: Arc<Activity>,
}

impl<IO> Framed<IO> {
    pub(super) fn new(io: IO, activity: Arc<Activity>, head_bytes_max: usize) -> Self {
        Self { io, framing: Framing::new(head_bytes_max), activity }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Framed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.activity.is_upgraded() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        if let Some(error) = this.framing.broken() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let filled_before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        let good = this.framing.follow(&buf.filled()[filled_before..]);
        buf.set_filled(filled_before + good);
        match this.framing.broken() {
            // Nothing read would be the end of the connection.
            Some(error) if good == 0 => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
            Some(_) | None => Poll::Ready(Ok(())),
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Framed<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
