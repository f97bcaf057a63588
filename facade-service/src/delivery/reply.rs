//! Where the answer to one message goes: to the caller of a single append, or to its slot among the
//! answers to a bulk append.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::oneshot;

use super::outcome::{Delivered, DeliveryError};

/// The answer to one message.
pub(super) type Answer = Result<Delivered, DeliveryError>;

/// Where the answer to one message goes. Dropping it tells the caller that no answer will come.
#[derive(Debug)]
pub(super) enum Reply {
    Single(oneshot::Sender<Answer>),
    Slot(ReplySlot),
}

impl Reply {
    /// Sends the answer. A caller that is gone does not need it.
    pub(super) fn send(self, answer: Answer) {
        match self {
            Self::Single(sender) => {
                let _ = sender.send(answer);
            }
            Self::Slot(slot) => slot.fill(answer),
        }
    }
}

/// The place of one answer among those to a bulk append.
#[derive(Debug)]
pub(super) struct ReplySlot {
    slots: Option<Arc<ReplySlots>>,
    index: usize,
}

impl ReplySlot {
    fn fill(mut self, answer: Answer) {
        if let Some(slots) = self.slots.take() {
            slots.set(self.index, Slot::Answered(answer));
        }
    }
}

impl Drop for ReplySlot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.set(self.index, Slot::Dropped);
        }
    }
}

/// What is known of one answer.
#[derive(Debug)]
pub(super) enum Slot {
    Open,
    Answered(Answer),
    /// No answer will come.
    Dropped,
}

/// The answers to a bulk append. They are taken in the order of the messages.
#[derive(Debug)]
pub(super) struct ReplySlots(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    /// From the first one that was not taken yet.
    slots: VecDeque<Slot>,
    /// How many were taken.
    taken: usize,
    /// Of the task that waits for the first one.
    waker: Option<Waker>,
}

impl ReplySlots {
    /// Slots for `count` answers, all open.
    pub(super) fn open(count: usize) -> Arc<Self> {
        let slots = (0..count).map(|_| Slot::Open).collect();
        Arc::new(Self(Mutex::new(Slots { slots, taken: 0, waker: None })))
    }

    /// The place of the answer to message `index`.
    pub(super) fn slot(self: &Arc<Self>, index: usize) -> ReplySlot {
        ReplySlot { slots: Some(Arc::clone(self)), index }
    }

    /// Takes all up to the first one that is still open.
    pub(super) fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Vec<Slot>> {
        let mut slots = self.lock();
        let is_open = |slot: &Slot| matches!(slot, Slot::Open);
        let known = slots.slots.iter().position(is_open).unwrap_or(slots.slots.len());
        if known == 0 {
            slots.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        slots.taken += known;
        Poll::Ready(slots.slots.drain(..known).collect())
    }

    /// Takes all that were not taken yet, open or not.
    pub(super) fn take_all(&self) -> Vec<Slot> {
        let mut slots = self.lock();
        slots.taken += slots.slots.len();
        mem::take(&mut slots.slots).into()
    }

    fn set(&self, index: usize, to: Slot) {
        let mut slots = self.lock();
        // What was taken before was answered without this.
        let Some(index) = index.checked_sub(slots.taken) else { return };
        if let Some(slot) = slots.slots.get_mut(index) {
            *slot = to;
        }
        // The waiting task looks at the first one only.
        let waker = if index == 0 { slots.waker.take() } else { None };
        drop(slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
