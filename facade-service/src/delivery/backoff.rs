//! How long to wait before a retry: exponential ceilings, and a random part of them.
//!
//! This is the only file that knows the `backoff` crate. The crate is unmaintained
//! (RUSTSEC-2025-0012) and stays because it does one small thing here, computing the ceilings, which
//! the tests below pin down: replacing it means rewriting this file and nothing else. Its own
//! randomization is off, since it draws from a source that cannot be seeded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backoff::{ExponentialBackoffBuilder, SystemClock, backoff::Backoff as _};

use oncelog::limits;

/// The ceilings of one call's delays, lowest first. Each call starts with a fresh one.
#[derive(Debug, Clone)]
pub(super) struct Ceilings(backoff::exponential::ExponentialBackoff<SystemClock>);

impl Ceilings {
    pub(super) fn new() -> Self {
        let ceilings = ExponentialBackoffBuilder::new()
            .with_initial_interval(limits::BACKOFF_INITIAL)
            .with_multiplier(limits::BACKOFF_MULTIPLIER)
            .with_max_interval(limits::BACKOFF_MAX)
            .with_randomization_factor(0.0)
            // The total timeout ends a call. A second clock in here would not stop in tests.
            .with_max_elapsed_time(None)
            .build();
        Self(ceilings)
    }

    /// The ceiling of the next delay.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(limits::BACKOFF_MAX)
    }
}

/// A random source for delays. Clones share its state, so concurrent calls never draw the same
/// sequence and retry in step.
#[derive(Debug, Clone)]
pub struct Jitter(Arc<Mutex<fastrand::Rng>>);

impl Jitter {
    /// A source that repeats itself for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Full jitter: a whole number of milliseconds, uniform from zero up to but not including
    /// `ceiling`. Spreading over the whole range clears a crowd of retries fastest.
    pub fn delay(&self, ceiling: Duration) -> Duration {
        let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(random.u64(0..ceiling_ms))
    }
}

impl Default for Jitter {
    /// Seeded by the operating system.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_from_50_ms_and_stop_at_2_s() {
        let mut ceilings = Ceilings::new();
        let seen: Vec<u128> = (0..9).map(|_| ceilings.next().as_millis()).collect();
        assert_eq!(seen, [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    }

    #[test]
    fn a_delay_covers_its_range_and_never_reaches_the_ceiling() {
        let jitter = Jitter::seeded(1);
        let ceiling = Duration::from_millis(50);
        let delays: Vec<u128> = (0..2_000).map(|_| jitter.delay(ceiling).as_millis()).collect();
        assert!((0..50).all(|ms| delays.contains(&ms)));
        assert!(delays.iter().all(|ms| *ms < 50));
    }

    #[test]
    fn a_seed_repeats_its_delays_and_clones_share_them() {
        let draw = |jitter: &Jitter| jitter.delay(Duration::from_secs(2));
        let (one, same) = (Jitter::seeded(7), Jitter::seeded(7));
        let alone: Vec<_> = (0..8).map(|_| draw(&one)).collect();
        let clone = same.clone();
        let shared: Vec<_> = (0..4).flat_map(|_| [draw(&same), draw(&clone)]).collect();
        assert_eq!(alone, shared);
    }
}
