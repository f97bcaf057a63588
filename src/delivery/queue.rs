//! Messages waiting for their batch.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, oneshot};

use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX};

use super::{Delivered, DeliveryError, entry::Entry};

/// Where the answer to one message goes.
pub(super) type Answer = oneshot::Sender<Result<Delivered, DeliveryError>>;

/// A message in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: u64,
    pub(super) entry: Arc<Entry>,
    pub(super) answer: Answer,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The queue is at one of its limits.
    Full,
    /// Nobody takes from the queue any more.
    Closed,
}

/// A bounded queue with many producers and one consumer, which takes whole batches.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Line {
    // In the order of their tickets.
    waiting: VecDeque<Waiting>,
    body_bytes: usize,
    next_ticket: u64,
    closed: bool,
}

impl Queue {
    /// Adds a message at the end. The ticket takes it out again.
    pub(super) fn push(&self, entry: Arc<Entry>, answer: Answer) -> Result<u64, PushError> {
        let mut line = self.line();
        if line.closed {
            return Err(PushError::Closed);
        }
        let body_bytes = line.body_bytes + entry.message.body.len();
        if line.waiting.len() >= QUEUE_MESSAGES_MAX || body_bytes > QUEUE_BYTES_MAX {
            return Err(PushError::Full);
        }
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.body_bytes = body_bytes;
        line.waiting.push_back(Waiting { ticket, entry, answer });
        let first = line.waiting.len() == 1;
        drop(line);
        if first {
            self.arrived.notify_one();
        }
        Ok(ticket)
    }

    /// Takes a message out again. False if a batch has taken it already.
    pub(super) fn remove(&self, ticket: u64) -> bool {
        let mut line = self.line();
        let found = line.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket);
        let removed = found.ok().and_then(|index| line.waiting.remove(index));
        if let Some(removed) = &removed {
            line.body_bytes -= removed.entry.message.body.len();
        }
        removed.is_some()
    }

    /// Waits for messages and takes as many as fit one batch, in the order they came.
    ///
    /// `None` once the queue is closed and empty.
    pub(super) async fn next_batch(&self) -> Option<Vec<Waiting>> {
        loop {
            let (batch, closed) = {
                let mut line = self.line();
                (line.take_batch(), line.closed)
            };
            if !batch.is_empty() {
                return Some(batch);
            }
            if closed {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    /// Refuses new messages. What waits is still taken.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.arrived.notify_one();
    }

    /// Refuses new messages and drops what waits, because nobody will take it.
    pub(super) fn abandon(&self) {
        let mut line = self.line();
        line.closed = true;
        line.body_bytes = 0;
        let dropped = std::mem::take(&mut line.waiting);
        drop(line);
        drop(dropped);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn take_batch(&mut self) -> Vec<Waiting> {
        let mut count = 0;
        let mut body_bytes = 0;
        for waiting in self.waiting.iter().take(BATCH_MESSAGES_MAX) {
            let size = waiting.entry.message.body.len();
            // A single message always goes, whatever its size: nothing may block the line.
            if count > 0 && body_bytes + size > BATCH_BYTES_MAX {
                break;
            }
            count += 1;
            body_bytes += size;
        }
        self.body_bytes -= body_bytes;
        self.waiting.drain(..count).collect()
    }
}
