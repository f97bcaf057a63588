//! When each message is due.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Arrivals, Plan};

/// Messages that are due in an open loop.
pub(super) fn messages(arrivals: Arrivals, duration: Duration) -> Option<u64> {
    match arrivals {
        // No run is so long that a double could not count its messages.
        Arrivals::Open { per_second } => Some((duration.as_secs_f64() * per_second).ceil() as u64),
        Arrivals::Closed => None,
    }
}

/// Hands out messages to connections in the order they are due.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    duration: Duration,
    lateness_max: Duration,
    /// Seconds between two messages; none in a closed loop.
    interval: Option<f64>,
    /// Messages of the whole run.
    messages: u64,
    next: AtomicU64,
    last_sent_micros: AtomicU64,
}

/// One message, as the schedule has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Its place in the schedule, from 0.
    pub(super) index: u64,
    /// When it is due. Its latency counts from here.
    pub(super) at: Instant,
    /// Whether it is too late to send it.
    pub(super) too_late: bool,
}

impl Schedule {
    pub(super) fn new(start: Instant, plan: &Plan) -> Self {
        let interval = match plan.arrivals {
            Arrivals::Open { per_second } => Some(per_second.recip()),
            Arrivals::Closed => None,
        };
        Self {
            start,
            duration: plan.duration,
            lateness_max: plan.lateness_max,
            interval,
            messages: messages(plan.arrivals, plan.duration).unwrap_or(u64::MAX),
            next: AtomicU64::new(0),
            last_sent_micros: AtomicU64::new(0),
        }
    }

    /// Waits until the next message is due. `None` once there are no more.
    pub(super) async fn next(&self) -> Option<Due> {
        let Some(interval) = self.interval else {
            tokio::time::sleep_until(self.start).await;
            let at = Instant::now();
            let goes_on = at < self.start + self.duration;
            let index = goes_on.then(|| self.next.fetch_add(1, Ordering::Relaxed))?;
            return Some(Due { index, at, too_late: false });
        };
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.messages {
            return None;
        }
        let at = self.start + Duration::from_secs_f64(interval * index as f64);
        let now = Instant::now();
        if now < at {
            tokio::time::sleep_until(at).await;
        }
        Some(Due { index, at, too_late: now > at + self.lateness_max })
    }

    /// The time into the run.
    pub(super) fn offset(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Notes that a message was sent now.
    pub(super) fn note_sent(&self, now: Instant) {
        let micros = u64::try_from(self.offset(now).as_micros()).unwrap_or(u64::MAX);
        self.last_sent_micros.fetch_max(micros, Ordering::Relaxed);
    }

    /// Messages that were due.
    pub(super) fn messages(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.messages)
    }

    /// From the start to the last message sent, or the whole duration if that is longer.
    pub(super) fn sending_took(&self) -> Duration {
        Duration::from_micros(self.last_sent_micros.load(Ordering::Relaxed)).max(self.duration)
    }
}
