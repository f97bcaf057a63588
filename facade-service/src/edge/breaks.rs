//! Notices that a connection broke while nothing is read from it.
//!
//! The end of what a client sends says nothing about a request that is whole: the client may have closed
//! its sending half only. So the HTTP library does not read while a response is awaited, and a reset has to
//! be found out in another way: the request of a client that is surely gone takes up a place in the queue.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// How late a break is noticed behind bytes, or an end of the input, that are not read yet.
const BREAK_NOTICED_MAX: Duration = Duration::from_secs(1);

/// [`Listener::poll_broken`](oncelog::net::Listener::poll_broken).
pub(super) type PollBroken<IO> = fn(&IO, &mut Context<'_>) -> Poll<Option<io::Error>>;

/// Watches one connection.
pub(super) struct Breaks<IO> {
    poll_broken: PollBroken<IO>,
    /// Runs while nothing else would wake the task.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<IO> Breaks<IO> {
    pub(super) fn new(poll_broken: PollBroken<IO>) -> Self {
        Self { poll_broken, pause: None }
    }

    /// Ready once `io` is broken: at once, or within [`BREAK_NOTICED_MAX`] if more waits to be read.
    pub(super) fn poll(&mut self, io: &IO, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!((self.poll_broken)(io, cx)) {
                Some(error) => return Poll::Ready(error),
                None => self.pause = Some(Box::pin(sleep(BREAK_NOTICED_MAX))),
            }
        }
    }
}
