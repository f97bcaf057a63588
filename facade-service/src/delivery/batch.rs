//! Messages that are sent together.

use std::sync::Arc;

use oncelog::{
    message::Outcome,
    wire::{InvalidReceipt, v1},
};

use super::{
    classify::Fate,
    entry::{Entry, State},
    room::Amount,
};

/// The messages of one call with all its attempts. Clones are the same batch.
///
/// The first attempt carries them all. What follows an attempt that failed carries one of them, which
/// goes ahead to see whether the way is open again: however long an outage is, the logging service gets
/// each batch about once, and not once more with each retry.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    entries: Arc<[Arc<Entry>]>,
    one_ahead: bool,
}

/// What the logging service answered: the position in the batch, and the outcome.
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

impl Batch {
    pub(super) fn new(entries: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        Self { entries: entries.into_iter().collect(), one_ahead: false }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits for any of its messages.
    pub(super) fn is_abandoned(&self) -> bool {
        self.entries.iter().all(|entry| entry.state() == State::Gone)
    }

    /// From now on, one message goes ahead.
    pub(super) fn send_one_ahead(&mut self) {
        self.one_ahead = true;
    }

    /// Begins an attempt with the messages somebody still waits for, by their positions.
    pub(super) fn begin_attempt(&self) -> Vec<usize> {
        (0..self.entries.len())
            .filter(|&position| self.entries[position].begin_attempt())
            .take(if self.one_ahead { 1 } else { self.entries.len() })
            .collect()
    }

    /// Ends an attempt that brought no receipts.
    pub(super) fn end_attempt(&self, fate: Fate) {
        for entry in self.entries.iter() {
            entry.end_attempt(fate);
        }
    }

    /// What an attempt with these positions carries.
    pub(super) fn amount(&self, positions: &[usize]) -> Amount {
        let body_bytes = |&position: &usize| self.entries[position].message.body.len();
        Amount { messages: positions.len(), body_bytes: positions.iter().map(body_bytes).sum() }
    }

    /// The request of one attempt, built anew from the same messages: ids never change.
    pub(super) fn request(&self, positions: &[usize]) -> v1::AppendRequest {
        let message = |&position: &usize| self.entries[position].message.clone().into();
        v1::AppendRequest { messages: positions.iter().map(message).collect() }
    }

    /// Reads the receipts of the attempt that was made with `positions`.
    pub(super) fn outcomes(
        &self,
        positions: &[usize],
        response: v1::AppendResponse,
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
