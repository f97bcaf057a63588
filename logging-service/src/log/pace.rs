//! Appends first: how much followers are given while messages are appended.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use oncelog::limits::{FOLLOWED_BYTES_PER_SECOND_MAX, FOLLOWERS_HELD_MAX};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until},
};

/// Lets followers have their turns one after the other, so that none is left behind, and not faster
/// than all of them together may be served.
pub(super) struct Pace {
    last_sequence: watch::Receiver<u64>,
    turns: Mutex<Turns>,
    /// What turns have cost beyond what was said when they began.
    unpaid_bytes: AtomicU64,
}

struct Turns {
    /// When everything is paid for.
    free_at: Instant,
    /// The last append that was noticed, and when.
    sequence: u64,
    appended_at: Instant,
}

impl Pace {
    /// A pace that holds back while `last_sequence` changes.
    pub(super) fn new(last_sequence: watch::Receiver<u64>) -> Self {
        let now = Instant::now();
        let sequence = *last_sequence.borrow();
        let turns = Mutex::new(Turns { free_at: now, sequence, appended_at: now });
        Self { last_sequence, turns, unpaid_bytes: AtomicU64::new(0) }
    }

    /// Waits until it is the turn of who asks, which is at once while nothing is appended, and takes
    /// `cost_bytes` from what may be sent.
    pub(super) async fn turn(&self, cost_bytes: u64) {
        // First come, first served.
        let mut turns = self.turns.lock().await;
        loop {
            let now = Instant::now();
            let sequence = *self.last_sequence.borrow();
            if sequence != turns.sequence {
                (turns.sequence, turns.appended_at) = (sequence, now);
            }
            let quiet_at = turns.appended_at + FOLLOWERS_HELD_MAX;
            if quiet_at <= now {
                turns.free_at = now;
            }
            if turns.free_at <= now {
                // Time that nobody used is lost, but for the little that a timer comes late.
                let unused = now.checked_sub(FOLLOWERS_HELD_MAX).unwrap_or(now);
                turns.free_at = turns.free_at.max(unused);
                break;
            }
            sleep_until(turns.free_at.min(quiet_at)).await;
        }
        turns.free_at += time(cost_bytes + self.unpaid_bytes.swap(0, Ordering::Relaxed));
    }

    /// Says that a turn has cost so much more than what was said.
    pub(super) fn pay(&self, more_bytes: u64) {
        self.unpaid_bytes.fetch_add(more_bytes, Ordering::Relaxed);
    }
}

/// How long sending so much may take.
fn time(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / FOLLOWED_BYTES_PER_SECOND_MAX)
}
