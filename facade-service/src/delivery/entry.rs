//! One message under way, and what its waiter may be told.

use std::sync::{Mutex, PoisonError};

use oncelog::message::Message;

use super::classify::Fate;

/// How far a message has come. It decides whether "not stored" is the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In the queue or between attempts. No attempt can have been taken.
    Waiting,
    /// In the first attempt that can be taken.
    Sending,
    /// An earlier attempt may have been taken.
    MaybeReached,
    /// Its waiter has left. No attempt may include it any more.
    Gone,
}

/// A message and its [`State`], shared by its waiter and the batch it is in.
///
/// Whoever comes first wins: once a waiter has left, no attempt begins with its message; once an
/// attempt has begun, a waiter that leaves can no longer say "not stored".
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: Message,
    state: Mutex<State>,
}

impl Entry {
    pub(super) fn new(message: Message) -> Self {
        Self { message, state: Mutex::new(State::Waiting) }
    }

    pub(super) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins an attempt. False if the waiter has left, and then the message must not be sent.
    pub(super) fn begin_attempt(&self) -> bool {
        self.change(|state| match state {
            State::Waiting => State::Sending,
            // An attempt that never ended says nothing about what became of it.
            State::Sending | State::MaybeReached => State::MaybeReached,
            State::Gone => State::Gone,
        }) != State::Gone
    }

    /// Ends an attempt that brought no receipts.
    pub(super) fn end_attempt(&self, fate: Fate) {
        self.change(|state| match (state, fate) {
            (State::Sending, Fate::NeverReached | Fate::Refused) => State::Waiting,
            (State::Sending, Fate::Unknown) => State::MaybeReached,
            (State::Waiting | State::MaybeReached | State::Gone, _) => state,
        });
    }

    /// The waiter leaves. Returns the state it leaves behind.
    pub(super) fn leave(&self) -> State {
        self.change(|_| State::Gone)
    }

    /// Changes the state and returns the one before.
    fn change(&self, to: impl FnOnce(State) -> State) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *state;
        *state = to(before);
        before
    }
}
