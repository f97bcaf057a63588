//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Ceiling of the first delay; the delay itself is a random part of it.
const INITIAL: Duration = Duration::from_millis(50);

/// Ceiling of any delay: how much later than its end an outage may be noticed.
pub(super) const MAX: Duration = Duration::from_secs(2);

/// Random delays under a ceiling that doubles: readers that lost the same service come back one by one.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { ceiling: INITIAL }
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = self.ceiling.mul_f64(fastrand::f64());
        self.ceiling = MAX.min(self.ceiling * 2);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_a_ceiling_that_doubles() {
        let mut backoff = Backoff::new();
        for ceiling_ms in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            assert_eq!(backoff.ceiling, Duration::from_millis(ceiling_ms));
            assert!(backoff.next_delay() <= Duration::from_millis(ceiling_ms));
        }
    }
}
