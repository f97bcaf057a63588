//! Whoever waits for the answer to a message.

use std::sync::Arc;

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::message::Message;

use super::{
    Delivered, DeliveryError, answer,
    entry::{Entry, State},
    queue::{Kind, PushError},
    shared::Shared,
};

/// Stands in the queue for a message. Dropping it leaves: no attempt begins with the message
/// afterwards.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    shared: &'a Shared,
    entry: Arc<Entry>,
    ticket: u64,
    answer: oneshot::Receiver<Result<Delivered, DeliveryError>>,
    present: bool,
}

impl<'a> Waiter<'a> {
    /// Queues `message`.
    pub(super) fn join(
        shared: &'a Shared,
        kind: Kind,
        message: Message,
    ) -> Result<Self, DeliveryError> {
        let entry = Arc::new(Entry::new(message));
        let (sender, answer) = oneshot::channel();
        match shared.queue.push(Arc::clone(&entry), kind, sender) {
            Ok(ticket) => Ok(Self { shared, entry, ticket, answer, present: true }),
            Err(PushError::Full(wait)) => Err(DeliveryError::Overloaded {
                detail: shared.explain("too many messages are waiting for the logging service"),
                wait,
            }),
            Err(PushError::Closed) => Err(stopped()),
        }
    }

    /// Waits for the answer, until `deadline` at the latest.
    pub(super) async fn wait_until(
        mut self,
        deadline: Instant,
    ) -> Result<Delivered, DeliveryError> {
        match timeout_at(deadline, &mut self.answer).await {
            Ok(Ok(answer)) => {
                self.present = false;
                answer
            }
            // The dispatcher is gone and will send nothing more.
            Ok(Err(_)) => Err(match self.leave() {
                Some(State::Waiting | State::Gone) | None => stopped(),
                Some(state @ (State::Sending | State::MaybeReached)) => {
                    answer::of_departure(state, self.shared)
                }
            }),
            Err(_) => Err(match self.leave() {
                Some(state) => answer::of_departure(state, self.shared),
                None => DeliveryError::NotStored(
                    self.shared.explain("its turn did not come while other messages were sent"),
                ),
            }),
        }
    }

    /// Leaves. Returns how far the message had come, none if no further than the queue.
    fn leave(&mut self) -> Option<State> {
        self.present = false;
        // The message stays out of all attempts either way; its place in the queue is freed at once.
        let state = self.entry.leave();
        if self.shared.queue.remove(self.ticket) {
            return None;
        }
        self.shared.departure.notify_one();
        Some(state)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.present {
            self.leave();
        }
    }
}

fn stopped() -> DeliveryError {
    DeliveryError::NotStored("delivery has stopped in this process; restart it".to_owned())
}
