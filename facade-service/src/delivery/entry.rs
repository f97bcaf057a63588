//! One message under way, and how far it has come.

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
    /// Its append was cancelled or has ended. No attempt may include it any more.
    Cancelled,
}

/// A message and its [`State`], shared by its append and the call it is in.
///
/// The first change wins: once an append is cancelled, no attempt begins with its message; once an
/// attempt has begun, a cancelled append can no longer say "not stored".
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

    /// Joins an attempt. False if the append is cancelled, and then the message must not be sent.
    pub(super) fn begin_attempt(&self) -> bool {
        self.change(|state| match state {
            State::Waiting => State::Sending,
            // An attempt that never ended says nothing about what became of it.
            State::Sending | State::MaybeReached => State::MaybeReached,
            State::Cancelled => State::Cancelled,
        }) != State::Cancelled
    }

    /// Ends an attempt that brought no receipts.
    pub(super) fn end_attempt(&self, fate: Fate) {
        self.change(|state| match (state, fate) {
            (State::Sending, Fate::NeverReached | Fate::Refused) => State::Waiting,
            (State::Sending, Fate::Unknown) => State::MaybeReached,
            (State::Waiting | State::MaybeReached | State::Cancelled, _) => state,
        });
    }

    /// Cancels the append. Returns the state before.
    pub(super) fn cancel(&self) -> State {
        self.change(|_| State::Cancelled)
    }

    /// Changes the state and returns the one before.
    fn change(&self, to: impl FnOnce(State) -> State) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *state;
        *state = to(before);
        before
    }
}
