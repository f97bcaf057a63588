//! Messages that come together: one place to wait for all of them, instead of one for each.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, timeout_at};

use oncelog::message::Message;

use super::{
    CloseOnDrop, Delivered, DeliveryError,
    entry::Entry,
    queue::{Answer, Kind},
    waiter::{self, Departure},
};

/// Messages that were queued together, and the place where their answers arrive.
/// [`Delivery::append_all`](super::Delivery::append_all) makes it.
///
/// Dropping it leaves: no attempt begins with any of them afterwards.
#[derive(Debug)]
pub struct Group {
    open: Arc<CloseOnDrop>,
    deadline: Instant,
    /// Those whose answers were not taken yet, in their order.
    members: VecDeque<Member>,
    answers: Arc<Answers>,
}

#[derive(Debug)]
enum Member {
    Queued(Arc<Entry>, u64),
    /// Not taken into the queue. Nobody else will answer it.
    Refused(DeliveryError),
}

impl Group {
    /// Queues `messages`, in their order.
    pub(super) fn join(open: Arc<CloseOnDrop>, messages: Vec<Message>, deadline: Instant) -> Self {
        let shared = &open.0;
        let answers = Arc::new(Answers::none_of(messages.len()));
        let mut members = VecDeque::with_capacity(messages.len());
        let mut valid = Vec::with_capacity(messages.len());
        for (receipt, message) in messages.into_iter().enumerate() {
            // A message that is refused here gives its seat up.
            let seat = Seat { answers: Some(Arc::clone(&answers)), receipt };
            members.push_back(match waiter::check(&message) {
                Ok(()) => {
                    let entry = Arc::new(Entry::new(message));
                    valid.push((Arc::clone(&entry), Answer::Seat(seat)));
                    Member::Queued(entry, u64::MAX)
                }
                Err(error) => Member::Refused(error),
            });
        }
        let mut pushed = shared.queue.push_all(Kind::Bulk, valid).into_iter();
        for member in &mut members {
            let Member::Queued(_, ticket) = member else { continue };
            match pushed.next() {
                Some(Ok(number)) => *ticket = number,
                Some(Err(error)) => *member = Member::Refused(waiter::refusal(shared, error)),
                None => {}
            }
        }
        Self { open, deadline, members, answers }
    }

    /// Waits until the next answers are known, and takes them: one at least, in the order of the
    /// messages. All are known after the total timeout at the latest. `None` once all were taken.
    ///
    /// Dropping the future loses no answer.
    pub async fn next(&mut self) -> Option<Vec<Result<Delivered, DeliveryError>>> {
        if self.members.is_empty() {
            return None;
        }
        let answered = poll_fn(|cx| self.answers.poll_first(cx));
        let slots = match timeout_at(self.deadline, answered).await {
            Ok(slots) => slots,
            Err(_) => self.answers.take_all(),
        };
        let members = self.members.drain(..slots.len());
        let shared = &self.open.0;
        let answer = |(slot, member)| match (slot, member) {
            (Slot::Answered(answer), _) => answer,
            (_, Member::Refused(error)) => Err(error),
            (Slot::GivenUp, Member::Queued(entry, ticket)) => {
                Err(waiter::leave(shared, &entry, ticket).in_a_stop(shared))
            }
            (Slot::Open, Member::Queued(entry, ticket)) => {
                Err(waiter::leave(shared, &entry, ticket).at_the_deadline(shared))
            }
        };
        Some(slots.into_iter().zip(members).map(answer).collect())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for member in &self.members {
            if let Member::Queued(entry, ticket) = member {
                let _: Departure = waiter::leave(&self.open.0, entry, *ticket);
            }
        }
    }
}

/// The answers to a group.
#[derive(Debug)]
pub(super) struct Answers(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    /// From the first one that was not taken yet.
    slots: VecDeque<Slot>,
    /// How many were taken.
    taken: usize,
    /// Of the task that waits for the first one.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Slot {
    Open,
    Answered(Result<Delivered, DeliveryError>),
    /// Nobody will answer.
    GivenUp,
}

impl Answers {
    fn none_of(count: usize) -> Self {
        let slots = (0..count).map(|_| Slot::Open).collect();
        Self(Mutex::new(Slots { slots, taken: 0, waker: None }))
    }

    /// All up to the first one that is still open.
    fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Vec<Slot>> {
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

    fn take_all(&self) -> Vec<Slot> {
        let mut slots = self.lock();
        slots.taken += slots.slots.len();
        mem::take(&mut slots.slots).into()
    }

    fn set(&self, receipt: usize, to: Slot) {
        let mut slots = self.lock();
        // What was taken before was answered without this.
        let Some(index) = receipt.checked_sub(slots.taken) else { return };
        if let Some(slot) = slots.slots.get_mut(index) {
            *slot = to;
        }
        // The one who waits looks at the first one only.
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

/// The place of one message among the answers to its group. Dropping it gives the message up.
#[derive(Debug)]
pub(super) struct Seat {
    answers: Option<Arc<Answers>>,
    receipt: usize,
}

impl Seat {
    pub(super) fn answer(mut self, answer: Result<Delivered, DeliveryError>) {
        if let Some(answers) = self.answers.take() {
            answers.set(self.receipt, Slot::Answered(answer));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(answers) = self.answers.take() {
            answers.set(self.receipt, Slot::GivenUp);
        }
    }
}
