//! A connection that can be closed by force from outside.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::io::{ConnectionIo, Guard};

/// Works like `IO` until it is aborted; from then on every read fails.
///
/// A server runs each connection in a task of its own, which ending the server does not end.
pub(crate) type Abortable<IO> = ConnectionIo<IO, Abort>;

/// Closes the connection when a token is cancelled.
pub(crate) struct Abort(Pin<Box<WaitForCancellationFutureOwned>>);

impl<IO> Guard<IO> for Abort {
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.as_mut().poll(cx).map(|()| io::ErrorKind::ConnectionAborted.into())
    }
}

/// `io`, until `abort` is cancelled.
pub(crate) fn abortable<IO>(io: IO, abort: CancellationToken) -> Abortable<IO> {
    ConnectionIo::open(io, Abort(Box::pin(abort.cancelled_owned())))
}
