//! The state of one connection, as the [connection limiter](super::limiter) sees it.
//!
//! ```text
//!              set_busy              set_long_lived
//!   ┌──────┐ ──────────► ┌──────┐ ──────────────────► ┌────────────┐
//!   │ Idle │             │ Busy │                     │ Long-lived │
//!   └──────┘ ◄────────── └──────┘                     └────────────┘
//!     │  ▲    set_idle      ▲                            │  │
//!     │  └──────────────────┼───────── set_idle ─────────┘  │
//!     │ evict               │ set_busy                      │ evict
//!     ▼                     │                               ▼
//!   ┌────────────────────────────────────────────────────────────┐
//!   │ Closing: the close signal is sent, the slot is free soon   │
//!   └────────────────────────────────────────────────────────────┘
//! ```
//!
//! - *Idle*: the connection waits for its client, for a request or for the rest of one.
//! - *Busy*: the client waits for the response to its request. A busy connection is never evicted.
//! - *Long-lived*: a response is under way that ends when the client has had enough.
//! - *Closing*: it was evicted. A connection whose request was complete at that moment becomes busy once
//!   more, and closes after the response.

use std::sync::atomic::{AtomicU64, Ordering};

use super::close_signal::CloseSignal;

/// A state. Times are in microseconds since the limiter was made. The order is that of eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Idle { since: u64 },
    LongLived { since: u64 },
    Busy,
    Closing,
}

/// The state in one word: the two highest bits name it, the others hold its time.
const KIND_SHIFT: u32 = 62;
const TIME_MASK: u64 = (1 << KIND_SHIFT) - 1;
const LONG_LIVED: u64 = 1 << KIND_SHIFT;
const BUSY: u64 = 2 << KIND_SHIFT;
const CLOSING: u64 = 3 << KIND_SHIFT;

impl State {
    const fn pack(self) -> u64 {
        match self {
            Self::Idle { since } => since & TIME_MASK,
            Self::LongLived { since } => LONG_LIVED | since & TIME_MASK,
            Self::Busy => BUSY,
            Self::Closing => CLOSING,
        }
    }

    const fn unpack(word: u64) -> Self {
        let since = word & TIME_MASK;
        match word & !TIME_MASK {
            BUSY => Self::Busy,
            CLOSING => Self::Closing,
            LONG_LIVED => Self::LongLived { since },
            _ => Self::Idle { since },
        }
    }
}

/// What the limiter knows of one connection.
#[derive(Debug)]
pub(super) struct Entry {
    state: AtomicU64,
    pub(super) close: CloseSignal,
}

impl Entry {
    /// A busy connection.
    pub(super) fn new() -> Self {
        Self { state: State::Busy.pack().into(), close: CloseSignal::default() }
    }

    pub(super) fn state(&self) -> State {
        State::unpack(self.state.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, state: State) {
        self.state.store(state.pack(), Ordering::Relaxed);
    }

    /// Moves the time of an idle connection to what `later` makes of it.
    pub(super) fn postpone(&self, later: impl Fn(u64) -> u64) {
        let postponed = |word| match State::unpack(word) {
            State::Idle { since } => Some(State::Idle { since: later(since) }.pack()),
            State::LongLived { .. } | State::Busy | State::Closing => None,
        };
        // It fails if the connection is not idle: then there is nothing to move.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, postponed);
    }

    /// Evicts the connection, unless its state is no longer `seen`: one that became busy just now stays.
    pub(super) fn evict(&self, seen: State) {
        let (seen, closing) = (seen.pack(), State::Closing.pack());
        if self.state.compare_exchange(seen, closing, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.close.send();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_being_packed() {
        for since in [0, 1, TIME_MASK] {
            let states =
                [State::Idle { since }, State::LongLived { since }, State::Busy, State::Closing];
            assert_eq!(states.map(|state| State::unpack(state.pack())), states);
        }
    }

    #[test]
    fn a_connection_that_became_busy_is_not_evicted() {
        let entry = Entry::new();
        let seen = State::Idle { since: 7 };
        entry.set(State::Busy);
        entry.evict(seen);
        assert_eq!((entry.state(), entry.close.is_sent()), (State::Busy, false));
        entry.set(seen);
        entry.evict(seen);
        assert_eq!((entry.state(), entry.close.is_sent()), (State::Closing, true));
    }
}
