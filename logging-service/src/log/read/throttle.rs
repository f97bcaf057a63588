//! The read throttle: appends come first.
//!
//! A token bucket that all followers share while messages are appended. Tokens are bytes; they come in at a
//! fixed rate, and hardly any are kept: time in which no follower reads is lost. A follower may go on as soon
//! as the bucket is not in debt, and takes what its chunk costs, even if that leaves a debt. What a chunk
//! costs beyond the part that is known in advance is charged to the next follower's turn. Without appends
//! for [`HELD_MAX`] all debt is forgiven.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until},
};

/// Without appends for this long, followers get all they can take.
const HELD_MAX: Duration = Duration::from_millis(20);

/// Lets followers have their turns one after the other, so that none is left behind, and all together no
/// faster than the bucket fills.
pub(super) struct Throttle {
    last_sequence: watch::Receiver<u64>,
    bytes_per_second: u64,
    bucket: Mutex<Bucket>,
    /// What turns have cost beyond what they took; part of the debt once the next turn begins.
    charged_bytes: AtomicU64,
}

struct Bucket {
    /// When the bucket is out of debt.
    free_at: Instant,
    /// The last sequence that was noticed, and when it changed.
    sequence: u64,
    appended_at: Instant,
}

impl Throttle {
    /// A throttle that holds back while `last_sequence` changes.
    pub(super) fn new(last_sequence: watch::Receiver<u64>, bytes_per_second: u64) -> Self {
        let now = Instant::now();
        let sequence = *last_sequence.borrow();
        let bucket = Mutex::new(Bucket { free_at: now, sequence, appended_at: now });
        Self { last_sequence, bytes_per_second, bucket, charged_bytes: AtomicU64::new(0) }
    }

    /// Waits for the caller's turn, which comes at once while nothing is appended, and takes `cost_bytes`
    /// from the bucket. If the future is dropped, nothing is taken.
    pub(super) async fn acquire(&self, cost_bytes: u64) {
        // First come, first served.
        let mut bucket = self.bucket.lock().await;
        loop {
            let now = Instant::now();
            let sequence = *self.last_sequence.borrow();
            if sequence != bucket.sequence {
                (bucket.sequence, bucket.appended_at) = (sequence, now);
            }
            let idle_at = bucket.appended_at + HELD_MAX;
            if idle_at <= now {
                bucket.free_at = now;
            }
            if bucket.free_at <= now {
                // Tokens are not kept, but for the little that a timer comes late.
                let kept_since = now.checked_sub(HELD_MAX).unwrap_or(now);
                bucket.free_at = bucket.free_at.max(kept_since);
                break;
            }
            sleep_until(bucket.free_at.min(idle_at)).await;
        }
        let charged_bytes = self.charged_bytes.swap(0, Ordering::Relaxed);
        bucket.free_at += self.time_to_fill(cost_bytes.saturating_add(charged_bytes));
    }

    /// Adds to the debt what a turn has cost beyond what it took.
    pub(super) fn charge(&self, more_bytes: u64) {
        self.charged_bytes.fetch_add(more_bytes, Ordering::Relaxed);
    }

    fn time_to_fill(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.bytes_per_second)
    }
}
