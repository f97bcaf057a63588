//! Brings a message to the logging service: the only place that retries.
//!
//! The modules, from the bottom up:
//!
//! - `classify`: what a failed attempt means
//! - `entry`: how far a message has come; `outcome`: and so what its caller is told
//! - `reply`: where the answer goes
//! - `amount`, `admission`, `batch_size`: how much may wait, how overload is told from an outage, and how
//!   much one call carries
//! - `call`, `retry`: the messages of one call, its attempts, and when there is another one
//! - `queue`: appends wait while the call before theirs is under way; what waits together is sent together
//! - `dispatcher`: the task that sends, and the order of its layers
//! - `append`: the side of the caller: one append, or many ([`BulkAppend`])
//! - [`LoggingClient`]: the way to the logging service
//!
//! The queue is in one of four states. Attempts change them: the layers tell the queue what happens to each.
//!
//! ```text
//!                  more waits than is sent in time
//!     ┌──────────┐ ──────────────────────────────▶ ┌──────────┐
//!     │  normal  │                                 │ overload │
//!     └──────────┘ ◀────────────────────────────── └──────────┘
//!       ▲    │              the queue shrinks            │
//!       │    │                                           │
//!       │    └──────────────┐   ┌────────────────────────┘
//!       │                   │   │  an attempt fails, or none is
//!       │                   ▼   ▼  answered for several usual times
//!       │  receipts       ┌────────┐   an attempt failed,   ┌───────┐
//!       ├──────────────── │ outage │ ─────────────────────▶ │ probe │
//!       │                 └────────┘   its delay is over    └───────┘
//!       │                      ▲              no receipts     │   │
//!       │                      └──────────────────────────────┘   │
//!       └─────────────────────────────────────────────────────────┘
//!                   receipts: calls grow again (slow start)
//! ```
//!
//! - *normal*: every append is queued, and calls carry as much as they may
//! - *overload*: single appends are refused; those of a bulk append wait, up to the limits of the queue
//! - *outage*: no append is refused but for the limits of the queue, since waiting may help
//! - *probe* (half-open): as an outage, and the attempt under way carries one message

mod admission;
mod amount;
mod append;
mod batch_size;
mod call;
mod classify;
mod client;
mod dispatcher;
mod entry;
mod jitter;
mod options;
mod outcome;
mod queue;
mod reply;
mod retry;
#[cfg(test)]
pub(crate) mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::Status;
use tower::Service;

use oncelog::{message::Message, wire::v1};

use self::{
    append::SingleAppend,
    queue::{OpenQueue, Queue},
};

pub use self::{
    append::BulkAppend,
    client::LoggingClient,
    jitter::Jitter,
    options::{ATTEMPT_TIMEOUT, DeliveryLimits, DeliveryOptions, InvalidDeliveryLimits},
    outcome::{Delivered, DeliveryError, Reason},
    retry::BACKOFF_MAX,
};

/// The way to the log. Clones share one queue and one dispatcher.
#[derive(Debug, Clone)]
pub struct Delivery {
    // Closes the queue with the last clone, which ends the dispatcher.
    queue: Arc<OpenQueue>,
    total_timeout: Duration,
}

impl Delivery {
    /// Starts the dispatcher, a task on the current runtime, which sends to `logging`.
    ///
    /// It ends when all clones are dropped, after what is queued is answered. It sends one call at a
    /// time, and what comes while a call is under way is the next one. It uses no timer to wait for more
    /// messages, but coalesces those that can be read already: up to 128, or 64 KiB.
    ///
    /// # Panics
    /// Outside of a tokio runtime, and with limits that [`DeliveryLimits::validate`] refuses.
    pub fn start<S>(logging: S, options: DeliveryOptions) -> Self
    where
        S: Service<v1::AppendRequest, Response = v1::AppendResponse, Error = Status>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        assert_eq!(options.limits.validate(), Ok(()), "the limits were to be validated before");
        let queue = Arc::new(Queue::new(&options));
        let total_timeout = options.total_timeout;
        tokio::spawn(dispatcher::run(logging, options, Arc::clone(&queue)));
        Self { queue: Arc::new(OpenQueue(queue)), total_timeout }
    }

    /// Appends `message` to the log, with retries under its one id.
    ///
    /// Returns once the log has answered, or after the total timeout at the latest. Dropping the future
    /// cancels the append: a message that is not being sent is taken out of the queue; one that is being
    /// sent may be stored or not.
    ///
    /// # Errors
    /// [`DeliveryError`] says what is known about the message. After
    /// [`NotStored`](DeliveryError::NotStored) no attempt is made any more. After
    /// [`Unknown`](DeliveryError::Unknown) repeat the same message under the same id: that is always
    /// safe.
    ///
    /// It is refused at once, as [`Overloaded`](DeliveryError::Overloaded), if those ahead of it take
    /// longer than [`DeliveryLimits::queue_wait_max`] and are more than two calls. In an outage, while
    /// nothing is stored at all, it waits.
    pub async fn append(&self, message: Message) -> Result<Delivered, DeliveryError> {
        let deadline = Instant::now() + self.total_timeout;
        SingleAppend::start(&self.queue, message)?.wait_until(deadline).await
    }

    /// Appends many messages, each as [`Delivery::append`] does and with an answer of its own. They are
    /// queued, in their order, when this returns; [`BulkAppend::next`] waits for the answers.
    ///
    /// It is for a caller that bounds what it has under way by itself: no message is refused for the time
    /// it has to wait, only if the queue is full.
    pub fn append_bulk(&self, messages: Vec<Message>) -> BulkAppend {
        let deadline = Instant::now() + self.total_timeout;
        BulkAppend::start(Arc::clone(&self.queue), messages, deadline)
    }
}
