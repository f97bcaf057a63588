//! Whoever waits for the answer to a message.

use std::sync::Arc;

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use oncelog::{limits, message::Message, wire::InvalidMessage};

use super::{
    Delivered, DeliveryError, answer,
    entry::{Entry, State},
    queue::{Answer, Kind, PushError},
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
        match shared.queue.push(Arc::clone(&entry), kind, Answer::Single(sender)) {
            Ok(ticket) => Ok(Self { shared, entry, ticket, answer, present: true }),
            Err(error) => Err(refusal(shared, error)),
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
            Ok(Err(_)) => Err(self.leave().in_a_stop(self.shared)),
            Err(_) => Err(self.leave().at_the_deadline(self.shared)),
        }
    }

    fn leave(&mut self) -> Departure {
        self.present = false;
        leave(self.shared, &self.entry, self.ticket)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.present {
            self.leave();
        }
    }
}

/// How far the message of a waiter that left had come; none if no further than the queue.
pub(super) struct Departure(Option<State>);

/// Leaves. No attempt begins with the message afterwards.
pub(super) fn leave(shared: &Shared, entry: &Entry, ticket: u64) -> Departure {
    // The message stays out of all attempts either way; its place in the queue is freed at once.
    let state = entry.leave();
    if shared.queue.remove(ticket) {
        return Departure(None);
    }
    shared.departure.notify_one();
    Departure(Some(state))
}

impl Departure {
    /// The answer to somebody who would wait in vain, because the dispatcher is gone.
    pub(super) fn in_a_stop(self, shared: &Shared) -> DeliveryError {
        match self.0 {
            Some(State::Waiting | State::Gone) | None => stopped(),
            Some(state @ (State::Sending | State::MaybeReached)) => {
                answer::of_departure(state, shared)
            }
        }
    }

    /// The answer to somebody whose time is over.
    pub(super) fn at_the_deadline(self, shared: &Shared) -> DeliveryError {
        match self.0 {
            Some(state) => answer::of_departure(state, shared),
            None => DeliveryError::NotStored(
                shared.explain("its turn did not come while other messages were sent"),
            ),
        }
    }
}

/// Whether a call can carry `message`: a batch must not fail for one message.
pub(super) fn check(message: &Message) -> Result<(), DeliveryError> {
    let size = message.body.len();
    if size > limits::MESSAGE_BODY_BYTES_MAX {
        return Err(DeliveryError::Invalid(InvalidMessage::TooLarge(size).to_string()));
    }
    Ok(())
}

/// The answer to a message that was not queued.
pub(super) fn refusal(shared: &Shared, error: PushError) -> DeliveryError {
    match error {
        PushError::Full(wait) => DeliveryError::Overloaded {
            detail: shared.explain("too many messages are waiting for the logging service"),
            wait,
        },
        PushError::Closed => stopped(),
    }
}

fn stopped() -> DeliveryError {
    DeliveryError::NotStored("delivery has stopped in this process; restart it".to_owned())
}
