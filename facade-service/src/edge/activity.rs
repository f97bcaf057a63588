//! What a connection does: whether it waits for its client, or the client for it, and for how long.
//!
//! ```text
//!                 head                 request                response
//!                 complete             complete               begins
//!  ┌─────────────┐      ┌───────────────┐      ┌───────────────┐      ┌──────────────────────┐
//!  │ Awaits head │ ───► │ Receives body │ ───► │ Answers       │ ───► │ Sends                │
//!  │ (idle)      │      │ (idle)        │      │ (busy)        │      │ (busy or long-lived) │
//!  └─────────────┘      └───────────────┘      └───────────────┘      └──────────────────────┘
//!         ▲                                                                       │
//!         └──────────────── all of the response is on its way, or dropped ────────┘
//! ```
//!
//! A request without a body is complete with its head. If a response is made before its request is
//! complete, what is left of the body is received first (idle). An upgraded connection stays long-lived
//! until its IO is dropped. In brackets is the state of the connection's slot in the limiter.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use oncelog::net::{CloseSignal, ConnectionSlot, LongLived};
use tokio::time::{Instant, sleep_until};

use super::unread::{Rest, RestOfBody};
use crate::reads::ListProgress;

/// The requests and responses of one connection, one after the other.
pub(super) struct Activity {
    pub(super) slot: ConnectionSlot,
    /// Whether the next thing to come is a request head.
    awaits_head: AtomicBool,
    /// Whether the client does not take what is sent. It is told by the connection's own timer.
    stalls: AtomicBool,
    /// Whether a part of the request body is still to come and is wanted.
    receives_body: AtomicBool,
    /// How the client takes a list that is sent to it, if it is a long one, and whether there was one.
    list: Mutex<Option<Arc<ListProgress>>>,
    had_list: AtomicBool,
    is_upgraded: AtomicBool,
    /// Whether the input ended within the head of a request, after whole responses.
    is_between_messages: AtomicBool,
    /// What the handler did not read of the request's body.
    pub(super) rest_of_body: RestOfBody,
    /// The last upgrade a client has asked for.
    offered: Mutex<Option<OnUpgrade>>,
    long_lived: Mutex<Option<LongLived>>,
    /// Sent once the IO is dropped.
    pub(super) io_dropped: CloseSignal,
    late: CloseSignal,
    /// Sent when the IO of an upgraded connection is to fail. Reads and writes may be in two tasks.
    reads_aborted: CloseSignal,
    writes_aborted: CloseSignal,
}

impl Activity {
    /// A connection that waits for its first request.
    pub(super) fn new(slot: ConnectionSlot) -> Self {
        slot.set_idle();
        Self {
            slot,
            awaits_head: AtomicBool::new(true),
            stalls: AtomicBool::new(false),
            receives_body: AtomicBool::new(false),
            list: Mutex::default(),
            had_list: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
            is_between_messages: AtomicBool::new(false),
            rest_of_body: RestOfBody::default(),
            offered: Mutex::default(),
            long_lived: Mutex::default(),
            io_dropped: CloseSignal::default(),
            late: CloseSignal::default(),
            reads_aborted: CloseSignal::default(),
            writes_aborted: CloseSignal::default(),
        }
    }

    /// A head is complete. `is_whole` if no body follows.
    pub(super) fn head_received(&self, is_whole: bool) {
        self.awaits_head.store(false, Ordering::Relaxed);
        self.receives_body.store(!is_whole, Ordering::Relaxed);
        if is_whole {
            self.slot.set_busy();
        } else {
            self.rest_of_body.begin();
            self.slot.set_idle();
        }
    }

    /// Whether the next thing to come is a request head.
    pub(super) fn awaits_head(&self) -> bool {
        self.awaits_head.load(Ordering::Relaxed)
    }

    /// The input ended within a head: nothing is broken off with the connection.
    pub(super) fn head_broke_off(&self) {
        self.is_between_messages.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ends without a request or response under way.
    pub(super) fn is_between_messages(&self) -> bool {
        self.is_between_messages.load(Ordering::Relaxed)
    }

    /// The request is complete, or what is left of it is not wanted.
    pub(super) fn request_received(&self) {
        self.receives_body.store(false, Ordering::Relaxed);
        if !self.slot.is_long_lived() {
            self.slot.set_busy();
        }
    }

    /// The handler reads no more of the request's body, and `rest` is left.
    pub(super) fn rest_left(&self, rest: Rest) {
        self.rest_of_body.leave(rest);
        self.request_received();
    }

    /// Whether the client is sending the body of its request.
    pub(super) fn receives_body(&self) -> bool {
        self.receives_body.load(Ordering::Relaxed)
    }

    /// A long list begins.
    pub(super) fn begin_list(&self, list: Arc<ListProgress>) {
        *lock(&self.list) = Some(list);
        self.had_list.store(true, Ordering::Relaxed);
    }

    /// The client took `bytes`.
    pub(super) fn sent(&self, bytes: usize) {
        if self.had_list.load(Ordering::Relaxed)
            && let Some(list) = &*lock(&self.list)
        {
            list.sent(bytes);
        }
    }

    /// The client takes nothing. Ready if its list has to make way for another one.
    pub(super) fn poll_blocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &*lock(&self.list) {
            Some(list) => list.poll_blocked(cx),
            None => Poll::Pending,
        }
    }

    /// All of a response is on its way.
    pub(super) fn response_sent(&self) {
        lock(&self.list).take();
        if !self.is_upgraded() {
            self.slot.set_idle();
            self.awaits_head.store(true, Ordering::Relaxed);
        }
    }

    /// Sets whether what is sent is not taken. A client that takes something again has until then been busy
    /// with the response: it is idle from now on.
    pub(super) fn set_stalls(&self, stalls: bool) {
        self.stalls.store(stalls, Ordering::Relaxed);
        if !stalls && self.awaits_head() && !self.is_upgraded() {
            self.slot.set_idle();
        }
    }

    /// A long-lived response begins. `is_upgrade` if the connection speaks another protocol after it. If
    /// the connection is closing, the response is told at once.
    pub(super) fn begin_long_lived(&self, response: LongLived, is_upgrade: bool) {
        self.is_upgraded.store(is_upgrade, Ordering::Relaxed);
        if is_upgrade {
            drop(lock(&self.offered).take());
        }
        self.slot.set_long_lived();
        if self.slot.close_signal().is_sent() {
            response.close();
            self.late.send();
        }
        *lock(&self.long_lived) = Some(response);
    }

    pub(super) async fn late_long_lived(&self) {
        self.late.sent().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// The long-lived response has ended, or its client has left: what produces it is told, too.
    pub(super) fn end_long_lived(&self) {
        if let Some(response) = lock(&self.long_lived).take() {
            response.close();
        }
    }

    /// Tells the long-lived response to end. False if there is none.
    pub(super) fn close_long_lived(&self) -> bool {
        let long_lived = lock(&self.long_lived);
        long_lived.as_ref().inspect(|response| response.close()).is_some()
    }

    /// The client offers to upgrade the connection.
    pub(super) fn upgrade_offered(&self, upgrade: OnUpgrade) {
        *lock(&self.offered) = Some(upgrade);
    }

    /// An upgrade that was offered, if none was accepted.
    pub(super) fn refused_upgrade(&self) -> Option<OnUpgrade> {
        if self.is_upgraded() { None } else { lock(&self.offered).take() }
    }

    /// Whether another task has the IO, or will have it soon.
    pub(super) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Relaxed)
    }

    /// Makes the IO of an upgraded connection fail.
    pub(super) fn abort_io(&self) {
        self.reads_aborted.send();
        self.writes_aborted.send();
    }

    /// Ready when reads are to fail.
    pub(super) fn poll_reads_aborted(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_upgraded() { self.reads_aborted.poll_sent(cx) } else { Poll::Pending }
    }

    /// Ready when writes are to fail.
    pub(super) fn poll_writes_aborted(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_upgraded() { self.writes_aborted.poll_sent(cx) } else { Poll::Pending }
    }

    /// Returns once a head has been awaited for `limit`.
    ///
    /// Its timer is set when it runs out, and not with each request: then it looks how long there is to
    /// go. So a busy connection has one timer in `limit`, and a request has none.
    pub(super) async fn head_overdue(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let deadline = match self.slot.idle_since() {
                Some(since) if self.awaits_head() => since + limit,
                Some(_) | None => now + limit,
            };
            if deadline > now {
                sleep_until(deadline).await;
            } else if self.stalls.load(Ordering::Relaxed) {
                sleep_until(now + limit).await;
            } else {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use oncelog::net::{ConnectionLimiter, LongLivedShare};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_is_idle_since_it_took_the_last_of_a_response() {
        let slot = ConnectionLimiter::new(1, LongLivedShare::default()).acquire().await;
        let activity = Activity::new(slot);
        activity.head_received(true);
        activity.response_sent();
        activity.set_stalls(true);
        tokio::time::advance(Duration::from_secs(100)).await;
        activity.set_stalls(false);
        let limit = Duration::from_secs(30);
        let overdue = tokio::time::timeout(limit / 2, activity.head_overdue(limit)).await;
        assert!(overdue.is_err(), "the next request has no time to arrive");
        activity.head_overdue(limit).await;
    }
}
