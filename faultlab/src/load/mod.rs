//! Concurrent clients that do what clients do, and write down what they saw.
//!
//! - [`Run`]: the clock of a run, its word to stop, and its live counters
//! - [`Poster`]: posts, repeats, reuses keys, looks up
//! - [`Ledger`]: what is known of all posts at any moment, for experiments that stop the world
//! - [`Sent`]: one message of it; `memory`: which messages it may still repeat
//! - [`read_on`], [`read`], [`read_records`], [`read_whole`]: read the whole log
//! - [`read_pages`]: reads the part of it after a place, page by page
//! - [`Calls`], [`Client`], [`Posted`]: one request, one answer

mod client;
mod ledger;
mod memory;
mod poster;
mod reader;
mod sent;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::watch;

pub use self::{
    client::{Calls, Client, Posted, record},
    ledger::Ledger,
    poster::{Poster, Settled},
    reader::{Part, read, read_on, read_pages, read_records, read_whole},
    sent::{Exchange, Sent},
};
use crate::history::Micros;

/// The clock of a run, the word to stop, and what it has come to so far.
#[derive(Debug)]
pub struct Run {
    origin: Instant,
    simulated: Option<fn() -> Duration>,
    stop: watch::Sender<bool>,
    pub(crate) attempts: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) faults: AtomicU64,
}

impl Run {
    /// The clock starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            simulated: None,
            stop: watch::Sender::new(false),
            attempts: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        }
    }

    /// As [`Run::start`], with `clock` for the time since its start.
    #[must_use]
    pub fn simulated(clock: fn() -> Duration) -> Self {
        Self { simulated: Some(clock), ..Self::start() }
    }

    /// Another run on the same clock.
    #[must_use]
    pub(crate) fn fork(&self) -> Self {
        Self { origin: self.origin, simulated: self.simulated, ..Self::start() }
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn now(&self) -> Micros {
        let elapsed = self.simulated.map_or_else(|| self.origin.elapsed(), |clock| clock());
        Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX)
    }

    /// When it started.
    #[must_use]
    pub const fn origin(&self) -> Instant {
        self.origin
    }

    /// Clients finish what they are at, and end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the run was not stopped yet.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !*self.stop.borrow()
    }

    /// Returns once the run was stopped.
    pub async fn stopped(&self) {
        // It fails only if the sender, which is here, is gone.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Requests that posted something, so far.
    pub fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Receipts so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}
