//! Who waits for whom on a connection, and for how long.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use oncelog::net::limiter::Place;
use tokio::time::{Instant, sleep_until};

/// The requests and answers of one connection.
pub(super) struct Exchange {
    place: Place,
    /// Whether the next thing to come is a request head.
    awaits_head: AtomicBool,
    /// Whether the client does not take what is sent. It is told by the connection's own timer.
    stalls: AtomicBool,
}

impl Exchange {
    /// A connection that waits for its first request.
    pub(super) fn new(place: Place) -> Self {
        place.waits();
        Self { place, awaits_head: AtomicBool::new(true), stalls: AtomicBool::new(false) }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// A head is complete. `whole` if no body follows.
    pub(super) fn requested(&self, whole: bool) {
        self.awaits_head.store(false, Ordering::Relaxed);
        if whole {
            self.place.works();
        } else {
            self.place.waits();
        }
    }

    /// All of an answer is on its way.
    pub(super) fn answered(&self) {
        self.place.waits();
        self.awaits_head.store(true, Ordering::Relaxed);
    }

    /// Whether what is sent is not taken.
    pub(super) fn set_stalls(&self, stalls: bool) {
        self.stalls.store(stalls, Ordering::Relaxed);
    }

    /// Returns once a head has been awaited for `limit`.
    ///
    /// Its timer is set when it runs out, and not with each request: then it looks how long there is to
    /// go. So a busy connection has one timer in `limit`, and a request has none.
    pub(super) async fn head_overdue(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let deadline = match self.place.waits_since() {
                Some(since) if self.awaits_head.load(Ordering::Relaxed) => since + limit,
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
