//! The chance that spreads retries.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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
