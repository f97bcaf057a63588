//! How fast a client takes what it is sent.

use std::time::Duration;

use tokio::time::Instant;

/// What a client took this long ago counts half: long enough for the steps in which its operating system
/// takes something, short enough to notice that it has got slow.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// The bytes a second that a client takes, by a sum of bytes that decays.
///
/// It begins when the client first takes nothing. What went before filled the buffers between, and says
/// nothing about reading.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Blocked>);

#[derive(Debug)]
struct Blocked {
    since: Instant,
    /// The sum, as it was at this time.
    sum_bytes: f64,
    at: Instant,
}

impl Pace {
    /// The client took `bytes`.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        if let Some(blocked) = &mut self.0 {
            blocked.sum_bytes = blocked.sum_bytes * left(now - blocked.at) + bytes as f64;
            blocked.at = now;
        }
    }

    /// The client takes nothing.
    pub(super) fn blocked(&mut self, now: Instant) {
        self.0.get_or_insert(Blocked { since: now, sum_bytes: 0.0, at: now });
    }

    /// Since when it is measured, if it is.
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.as_ref().map(|blocked| blocked.since)
    }

    /// The bytes a second of late. None before they were measured for `time_min`: of a client that takes
    /// everything at once, nothing is known.
    pub(super) fn bytes_per_second(&self, now: Instant, time_min: Duration) -> Option<u64> {
        let blocked = self.0.as_ref().filter(|blocked| now - blocked.since >= time_min)?;
        let sum_bytes = blocked.sum_bytes * left(now - blocked.at);
        // What a client of one byte a second has as its sum by now.
        let usual = (1.0 - left(now - blocked.since)) * HALF_LIFE.as_secs_f64() / 2_f64.ln();
        Some((sum_bytes / usual.max(f64::EPSILON)) as u64)
    }
}

/// What is left of a byte after `time`.
fn left(time: Duration) -> f64 {
    (-time.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pace_is_that_of_late_and_not_of_the_buffers_before() {
        let began = Instant::now();
        let at = |seconds: u32| began + SECOND * seconds;
        let mut pace = Pace::default();
        pace.sent(4_000_000, began);
        assert_eq!(pace.bytes_per_second(at(5), SECOND), None, "it never took nothing");
        pace.blocked(at(5));
        assert_eq!(pace.bytes_per_second(at(5), SECOND), None, "it had no time");
        assert_eq!(pace.bytes_per_second(at(6), SECOND), Some(0));
        for second in 6..=65 {
            pace.sent(20_000, at(second));
            pace.blocked(at(second));
            let found = pace.bytes_per_second(at(second), SECOND).unwrap();
            assert!((19_000..=21_000).contains(&found), "{found} after {second} s");
        }
        let slow = pace.bytes_per_second(at(125), SECOND).unwrap();
        assert!((1..1_000).contains(&slow), "{slow} after a minute of nothing");
    }
}
