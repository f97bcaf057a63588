//! Brings a message to the logging service: the only place that retries.
//!
//! The way of a message, in reading order:
//!
//! - `queue`: it waits while the batch before it is under way; what waits together is sent together
//! - `room`: how much may wait, and how overload is told from an outage
//! - `dispatcher`: the task that sends, and the order of its layers
//! - `retry`, `backoff`: whether an attempt is repeated, and when
//! - `attempt`, `batch`: one call with the messages somebody still waits for
//! - `classify`: what a failed attempt means
//! - `entry`, `answer`: how far a message has come, and so what its waiter is told
//! - [`Group`]: many messages, and one who waits for them all
//! - [`LoggingClient`]: the way to the logging service

mod answer;
mod attempt;
mod backoff;
mod batch;
mod classify;
mod client;
mod dispatcher;
mod entry;
mod group;
mod pace;
mod queue;
mod retry;
mod room;
mod shared;
#[cfg(test)]
mod tests;
mod waiter;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::Status;
use tower::Service;

use oncelog::{
    limits,
    message::{Message, Receipt},
    wire::v1,
};

use self::{queue::Kind, shared::Shared, waiter::Waiter};

pub use self::{backoff::Jitter, client::LoggingClient, group::Group};

/// A message is stored, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Where.
    pub receipt: Receipt,
    /// Whether it surely was stored before this delivery began. A duplicate found after an attempt
    /// whose answer was lost may be our own, and does not count.
    pub replayed: bool,
}

/// Why [`Delivery::append`] did not end with a stored message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The id is in use by a different message. Nothing was stored.
    #[error("this id is in use by a different message; nothing was stored")]
    Conflict,
    /// The logging service refuses the message for what it is. Nothing was stored.
    #[error("the message is refused: {0}")]
    Invalid(String),
    /// Surely not stored, now or later: no attempt can have been taken.
    #[error("not stored: {0}")]
    NotStored(String),
    /// Surely not stored, now or later: too many messages wait, and this one was not let in.
    #[error("not stored: {detail}")]
    Overloaded {
        /// What is known about it.
        detail: String,
        /// In about this time, what waits now is stored.
        wait: Duration,
    },
    /// An attempt was sent and no answer came in time. The message is stored once or not at all.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// How long delivery tries, and by which chance it spreads its retries.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// For one attempt, connecting included.
    pub attempt_timeout: Duration,
    /// For everything: waiting in the queue, all attempts, and the delays between them.
    pub total_timeout: Duration,
    /// Where the delays come from. Give deliveries of one process the same one.
    pub jitter: Jitter,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: limits::ATTEMPT_TIMEOUT,
            total_timeout: limits::TOTAL_TIMEOUT,
            jitter: Jitter::default(),
        }
    }
}

/// The way to the log. Clones share one queue and one dispatcher.
#[derive(Debug, Clone)]
pub struct Delivery {
    // Closes the queue with the last clone, which ends the dispatcher.
    open: Arc<CloseOnDrop>,
    total_timeout: Duration,
}

impl Delivery {
    /// Starts the dispatcher, a task on the current runtime, which sends to `logging`.
    ///
    /// It ends when all clones are dropped, after what is queued is answered. It sends one batch at
    /// a time, and whatever comes while a batch is under way is the next one. It waits for no others, but
    /// takes along, up to [`limits::GATHER_MESSAGES_MAX`], those that are there to be read already.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start<S>(logging: S, options: DeliveryOptions) -> Self
    where
        S: Service<v1::AppendRequest, Response = v1::AppendResponse, Error = Status>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let shared = Arc::new(Shared::default());
        let total_timeout = options.total_timeout;
        tokio::spawn(dispatcher::run(logging, options, Arc::clone(&shared)));
        Self { open: Arc::new(CloseOnDrop(shared)), total_timeout }
    }

    /// Appends `message` to the log, with retries under its one id.
    ///
    /// Returns once the log has answered, or after the total timeout at the latest. A caller that
    /// drops the future takes a message that is not being sent out of the queue; one that is being
    /// sent may be stored or not.
    ///
    /// # Errors
    /// [`DeliveryError`] says what is known about the message. After
    /// [`NotStored`](DeliveryError::NotStored) no attempt is made any more. After
    /// [`Unknown`](DeliveryError::Unknown) repeat the same message under the same id: that is always
    /// safe.
    ///
    /// It is refused at once, as [`Overloaded`](DeliveryError::Overloaded), if those ahead of it take
    /// longer than [`limits::QUEUE_WAIT_MAX`] and [`limits::QUEUE_BATCHES_MIN`] batches. In an outage,
    /// while nothing is stored at all, it waits.
    pub async fn append(&self, message: Message) -> Result<Delivered, DeliveryError> {
        waiter::check(&message)?;
        let deadline = Instant::now() + self.total_timeout;
        Waiter::join(&self.open.0, Kind::Single, message)?.wait_until(deadline).await
    }

    /// Appends many messages, each as [`Delivery::append`] does and with an answer of its own. They are
    /// queued, in their order, when this returns; [`Group::next`] waits for the answers.
    ///
    /// It is for a caller that waits for room by itself: no message is refused for the time it has to
    /// wait, only if the queue is full. What such callers have under way together is theirs to bound.
    pub fn append_all(&self, messages: Vec<Message>) -> Group {
        Group::join(Arc::clone(&self.open), messages, Instant::now() + self.total_timeout)
    }
}

#[derive(Debug)]
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}
