//! What HTTP/1.1 adds to the bytes of a connection: it gives up on a client that does not read, it
//! closes so that the last response arrives, and it resets what breaks off in the middle.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use oncelog::net::{ConnectionIo, Guard};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{
    EdgeLimits,
    activity::Activity,
    breaks::{Breaks, PollBroken},
};

/// Offers to a client that takes nothing, within [`EdgeLimits::response_stall`].
const OFFERS_MIN: u32 = 20;

/// Longest time between two offers: how late it may be noticed that a client has read.
const OFFER_INTERVAL_MAX: Duration = Duration::from_secs(3);

/// The connection of a client.
pub(super) type ClientIo<IO> = ConnectionIo<IO, Http1Guard<IO>>;

/// Watches a connection.
pub(super) struct Http1Guard<IO> {
    activity: Arc<Activity>,
    /// Called if the connection is dropped without having been shut down.
    reset: fn(&IO),
    breaks: Breaks<IO>,
    /// Called while the operating system says that the client takes nothing.
    offer: fn(&IO, &[u8]) -> io::Result<usize>,
    stall_limit: Duration,
    linger_limit: Duration,
    /// There while the client takes nothing.
    stalled: Option<Stall>,
    /// Runs once our side is closed.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// A time in which the client takes nothing.
struct Stall {
    deadline: Instant,
    next_offer: Pin<Box<Sleep>>,
}

impl<IO> Http1Guard<IO> {
    pub(super) fn new(
        activity: Arc<Activity>,
        limits: &EdgeLimits,
        reset: fn(&IO),
        poll_broken: PollBroken<IO>,
        offer: fn(&IO, &[u8]) -> io::Result<usize>,
    ) -> Self {
        let (stall_limit, linger_limit) = (limits.response_stall, limits.linger);
        let breaks = Breaks::new(poll_broken);
        Self {
            activity,
            reset,
            breaks,
            offer,
            stall_limit,
            linger_limit,
            stalled: None,
            lingering: None,
        }
    }

    /// How long after an offer that was not taken the next one follows.
    fn offer_interval(&self) -> Duration {
        OFFER_INTERVAL_MAX.min(self.stall_limit / OFFERS_MIN)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Guard<IO> for Http1Guard<IO> {
    /// The task of the connection ends it by dropping it, but not when another task has it.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.activity.poll_reads_aborted(cx).map(|()| io::ErrorKind::ConnectionAborted.into())
    }

    /// A client that sends its request meanwhile is there, and reads once it has sent all of it.
    fn received(&mut self, _: &[u8]) -> io::Result<()> {
        if let Some(stalled) = &mut self.stalled
            && self.activity.receives_body()
        {
            stalled.deadline = Instant::now() + self.stall_limit;
        }
        Ok(())
    }

    fn poll_stall(
        &mut self,
        io: &IO,
        unsent: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let aborted = self.activity.poll_writes_aborted(cx).is_ready();
        if aborted || self.activity.poll_blocked(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (limit, interval) = (self.stall_limit, self.offer_interval());
        let stalled = self.stalled.get_or_insert_with(|| {
            self.activity.set_stalls(true);
            let deadline = Instant::now() + limit;
            Stall { deadline, next_offer: Box::pin(sleep(interval)) }
        });
        loop {
            ready!(stalled.next_offer.as_mut().poll(cx));
            match (self.offer)(io, unsent) {
                Ok(0) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                offered => return Poll::Ready(offered),
            }
            let now = Instant::now();
            if now >= stalled.deadline {
                let stalled = io::Error::new(io::ErrorKind::TimedOut, "the client does not read");
                return Poll::Ready(Err(stalled));
            }
            stalled.next_offer.as_mut().reset(stalled.deadline.min(now + interval));
        }
    }

    fn sent(&mut self, bytes: usize) {
        if self.stalled.take().is_some() {
            self.activity.set_stalls(false);
        }
        self.activity.sent(bytes);
    }

    fn poll_broken(&mut self, io: &IO, cx: &mut Context<'_>) -> Poll<io::Error> {
        // While a head is awaited the connection is read, and another task may read what was upgraded.
        if self.activity.awaits_head() || self.activity.is_upgraded() {
            return Poll::Pending;
        }
        self.breaks.poll(io, cx)
    }

    /// Closes our side, then takes in what the client still sends, for a while. Bytes that are not read
    /// would make the operating system reset the connection, and a client that is still sending its body
    /// would lose the response that refuses it.
    fn poll_shutdown(
        &mut self,
        mut io: Pin<&mut IO>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(io.as_mut().poll_shutdown(cx))?;
        }
        let limit = self.linger_limit;
        let lingering = self.lingering.get_or_insert_with(|| Box::pin(sleep(limit)));
        let mut discarded = [0; 8 * 1024];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut discarded);
            ready!(io.as_mut().poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn dropped(&mut self, io: &IO) {
        if self.lingering.is_none() && !self.activity.is_between_messages() {
            (self.reset)(io);
        }
        self.activity.io_dropped.send();
    }
}
