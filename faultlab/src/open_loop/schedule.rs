//! When each message is due.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use super::{Arrivals, Plan};

/// How late a message may still be sent once the run was ended early.
const STOPPED_LATENESS_MAX: Duration = Duration::from_millis(100);

/// The shortest pause of the thread that paces. At a high rate several messages are due together: to
/// wake up for each of them would take a processor from what is measured.
const PAUSE_MIN: Duration = Duration::from_micros(50);

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
    duration_micros: AtomicU64,
    lateness_max: Duration,
    /// Seconds between two messages; none in a closed loop.
    interval: Option<f64>,
    /// Messages of the whole run.
    messages: AtomicU64,
    next: AtomicU64,
    last_sent_micros: AtomicU64,
    /// A permit for each message that is due and not taken.
    due: Semaphore,
    stopped: AtomicBool,
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
            duration_micros: AtomicU64::new(micros(plan.duration)),
            lateness_max: plan.lateness_max,
            interval,
            messages: messages(plan.arrivals, plan.duration).unwrap_or(u64::MAX).into(),
            next: AtomicU64::new(0),
            last_sent_micros: AtomicU64::new(0),
            due: Semaphore::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Waits until the next message is due. `None` once there are no more.
    pub(super) async fn next(&self) -> Option<Due> {
        if self.interval.is_none() {
            tokio::time::sleep_until(self.start).await;
            let at = Instant::now();
            let goes_on = self.offset(at) < self.duration();
            let index = goes_on.then(|| self.next.fetch_add(1, Ordering::Relaxed))?;
            return Some(Due { index, at, too_late: false });
        }
        self.due.acquire().await.ok()?.forget();
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.messages.load(Ordering::Relaxed) {
            return None;
        }
        let at = self.due_at(index);
        let lateness_max = if self.is_stopped() {
            self.lateness_max.min(STOPPED_LATENESS_MAX)
        } else {
            self.lateness_max
        };
        Some(Due { index, at, too_late: at.elapsed() > lateness_max })
    }

    /// Lets `connections` know of each message when it is due, and of the end. Takes a thread: timers
    /// of the runtime are a millisecond late, which is longer than many an answer takes.
    pub(super) fn pace(&self, connections: usize) {
        precise_sleep();
        let mut released = 0;
        while !self.is_stopped() {
            let due = self.due_by(Instant::now()).min(self.messages.load(Ordering::Relaxed));
            self.release(due.saturating_sub(released));
            released = released.max(due);
            if released >= self.messages.load(Ordering::Relaxed) {
                break;
            }
            let pause = self.due_at(released).saturating_duration_since(Instant::now());
            thread::park_timeout(pause.max(PAUSE_MIN));
        }
        // Each connection has to find that there are no more.
        let rest = self.messages.load(Ordering::Relaxed).saturating_sub(released);
        self.release(rest.saturating_add(connections as u64));
    }

    fn release(&self, messages: u64) {
        self.due.add_permits(usize::try_from(messages).unwrap_or_default());
    }

    fn due_at(&self, index: u64) -> Instant {
        self.start + Duration::from_secs_f64(self.interval.unwrap_or_default() * index as f64)
    }

    /// Messages that are due by `now`, that very moment included.
    fn due_by(&self, now: Instant) -> u64 {
        match (self.interval, now.checked_duration_since(self.start)) {
            // No run is so long that a double could not count its messages.
            (Some(interval), Some(passed)) => (passed.as_secs_f64() / interval) as u64 + 1,
            (None, _) | (_, None) => 0,
        }
    }

    /// Ends the run now: what is not due yet never will be. The thread that paces has to be woken.
    pub(super) fn stop(&self) {
        let now = Instant::now();
        self.duration_micros.fetch_min(micros(self.offset(now)), Ordering::Relaxed);
        if self.interval.is_some() {
            self.messages.fetch_min(self.due_by(now), Ordering::Relaxed);
        }
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// From the start to the end, which may have come early.
    fn duration(&self) -> Duration {
        Duration::from_micros(self.duration_micros.load(Ordering::Relaxed))
    }

    /// The time into the run.
    pub(super) fn offset(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Notes that a message was sent now.
    pub(super) fn note_sent(&self, now: Instant) {
        self.last_sent_micros.fetch_max(micros(self.offset(now)), Ordering::Relaxed);
    }

    /// Messages that were due.
    pub(super) fn messages(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.messages.load(Ordering::Relaxed))
    }

    /// From the start to the last message sent, or the whole duration if that is longer.
    pub(super) fn sending_took(&self) -> Duration {
        let last = Duration::from_micros(self.last_sent_micros.load(Ordering::Relaxed));
        last.max(self.duration())
    }
}

/// Asks the system to end the pauses of this thread when they are over, and not up to 50 µs later.
fn precise_sleep() {
    // It stays less precise, then.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
