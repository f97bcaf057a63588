//! The wall clock, passed in so that tests and simulations can set it.
//!
//! Timeouts never come from here: they use the runtime's monotonic clock, which a test can pause.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Tells the time of day. It may jump; nothing but the time shown in a receipt depends on it.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still until it is told otherwise. Clones share their time.
#[derive(Debug, Clone)]
pub struct SimulatedClock(Arc<Mutex<SystemTime>>);

impl SimulatedClock {
    /// A clock that shows `unix_time` after 1970.
    pub fn at(unix_time: Duration) -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + unix_time)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
