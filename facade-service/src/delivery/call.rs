//! One call: the messages that are sent together, and each attempt to send them.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tonic::Status;
use tower::{BoxError, Service, ServiceExt as _};

use oncelog::{
    message::Outcome,
    wire::{
        InvalidReceipt,
        v1::{self, AppendRequest, AppendResponse},
    },
};

use super::{
    amount::Amount,
    classify::Fate,
    entry::{Entry, State},
    queue::Queue,
};

/// The messages of one call with all its attempts. Clones are the same call.
///
/// The first attempt carries them all. What follows an attempt that failed is a probe with one of them,
/// to see whether the way is open again: however long an outage is, the logging service gets each call
/// about once, and not once more with each retry.
#[derive(Debug, Clone)]
pub(super) struct Call {
    entries: Arc<[Arc<Entry>]>,
    probes: bool,
}

/// What the logging service answered: the position in the call, and the outcome.
pub(super) type Outcomes = Vec<(usize, Outcome)>;

/// The logging service broke the contract, so its answer says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContractBroken {
    #[error("logging-service answered {messages} messages with {receipts} receipts")]
    Count { messages: usize, receipts: usize },
    #[error("logging-service answered with the receipt of another message")]
    Id,
    #[error("logging-service answered with {0}")]
    Receipt(#[from] InvalidReceipt),
}

impl Call {
    /// A call with `entries`. If it `probes`, its first attempt is a probe already.
    pub(super) fn new(entries: impl IntoIterator<Item = Arc<Entry>>, probes: bool) -> Self {
        Self { entries: entries.into_iter().collect(), probes }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether all its appends are cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.entries.iter().all(|entry| entry.state() == State::Cancelled)
    }

    /// From now on, each attempt is a probe.
    pub(super) fn probe(&mut self) {
        self.probes = true;
    }

    /// Begins an attempt with the messages whose appends are not cancelled, by their positions.
    pub(super) fn begin_attempt(&self) -> Vec<usize> {
        (0..self.entries.len())
            .filter(|&position| self.entries[position].begin_attempt())
            .take(if self.probes { 1 } else { self.entries.len() })
            .collect()
    }

    /// Ends an attempt that brought no receipts.
    pub(super) fn end_attempt(&self, fate: Fate) {
        for entry in self.entries.iter() {
            entry.end_attempt(fate);
        }
    }

    /// What an attempt with these positions carries.
    fn amount(&self, positions: &[usize]) -> Amount {
        let body_bytes = |&position: &usize| self.entries[position].message.body.len();
        Amount { messages: positions.len(), body_bytes: positions.iter().map(body_bytes).sum() }
    }

    /// The request of one attempt, built anew from the same messages: ids never change.
    fn request(&self, positions: &[usize]) -> AppendRequest {
        let message = |&position: &usize| self.entries[position].message.clone().into();
        AppendRequest { messages: positions.iter().map(message).collect() }
    }

    /// Reads the receipts of the attempt that was made with `positions`.
    fn outcomes(
        &self,
        positions: &[usize],
        response: AppendResponse,
    ) -> Result<Outcomes, ContractBroken> {
        let (messages, receipts) = (positions.len(), response.receipts.len());
        if messages != receipts {
            return Err(ContractBroken::Count { messages, receipts });
        }
        let outcome = |(&position, receipt): (&usize, v1::Receipt)| {
            if receipt.id[..] != self.entries[position].message.id.as_bytes()[..] {
                return Err(ContractBroken::Id);
            }
            Ok((position, Outcome::try_from(receipt)?))
        };
        positions.iter().zip(response.receipts).map(outcome).collect()
    }
}

/// The innermost service of the stack: sends the messages of a call that are still waited for, once.
#[derive(Debug, Clone)]
pub(super) struct Attempt<S> {
    pub(super) logging: S,
    pub(super) queue: Arc<Queue>,
}

impl<S> Service<Call> for Attempt<S>
where
    S: Service<AppendRequest, Response = AppendResponse, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Outcomes;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Outcomes, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The timeouts of the stack cover `call` and not this, so all waiting is done in there. And
        // an error from here would end the retries.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        // A clone has to become ready by itself; this one was never asked.
        let (logging, queue) = (self.logging.clone(), Arc::clone(&self.queue));
        Box::pin(async move {
            let live = call.begin_attempt();
            if live.is_empty() {
                return Ok(Outcomes::new());
            }
            let (sent, began) = (call.amount(&live), Instant::now());
            queue.attempt_sent(sent, began);
            let response = logging.oneshot(call.request(&live)).await?;
            let outcomes = call.outcomes(&live, response)?;
            queue.attempt_answered(sent, began.elapsed());
            Ok(outcomes)
        })
    }
}
