//! Messages waiting for their batch.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use oncelog::limits::GATHER_MESSAGES_MAX;

use super::{
    Delivered, DeliveryError,
    entry::Entry,
    group::Seat,
    pace::Pace,
    room::{Amount, Room},
};

/// Where the answer to one message goes.
#[derive(Debug)]
pub(super) enum Answer {
    /// To somebody who waits for this one.
    Single(oneshot::Sender<Result<Delivered, DeliveryError>>),
    /// To its place in a group.
    Seat(Seat),
}

impl Answer {
    /// Whoever left does not need it.
    pub(super) fn send(self, answer: Result<Delivered, DeliveryError>) {
        match self {
            Self::Single(sender) => {
                let _ = sender.send(answer);
            }
            Self::Seat(seat) => seat.answer(answer),
        }
    }
}

/// A message in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: u64,
    kind: Kind,
    pub(super) entry: Arc<Entry>,
    pub(super) answer: Answer,
}

impl Waiting {
    fn body_bytes(&self) -> usize {
        self.entry.message.body.len()
    }
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// That of somebody who had better be refused than kept waiting.
    Single,
    /// One of many of a sender that waits for room by itself.
    Bulk,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The queue is at one of its limits. What it holds is sent in about this time.
    Full(Duration),
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
    all: Amount,
    /// Of them, those that the room is for.
    singles: Amount,
    room: Room,
    pace: Pace,
    next_ticket: u64,
    /// How many messages the last batch had.
    last_batch: usize,
    closed: bool,
}

impl Queue {
    /// Adds a message at the end. The ticket takes it out again.
    pub(super) fn push(
        &self,
        entry: Arc<Entry>,
        kind: Kind,
        answer: Answer,
    ) -> Result<u64, PushError> {
        let mut line = self.line();
        let first = line.waiting.is_empty();
        let ticket = line.push(entry, kind, answer);
        drop(line);
        if first && ticket.is_ok() {
            self.arrived.notify_one();
        }
        ticket
    }

    /// Adds messages at the end, in their order, each as [`Queue::push`] does.
    pub(super) fn push_all(
        &self,
        kind: Kind,
        messages: impl IntoIterator<Item = (Arc<Entry>, Answer)>,
    ) -> Vec<Result<u64, PushError>> {
        let mut line = self.line();
        let first = line.waiting.is_empty();
        let push = |(entry, answer)| line.push(entry, kind, answer);
        let tickets = messages.into_iter().map(push).collect();
        let first = first && !line.waiting.is_empty();
        drop(line);
        if first {
            self.arrived.notify_one();
        }
        tickets
    }

    /// Takes a message out again. False if a batch has taken it already.
    pub(super) fn remove(&self, ticket: u64) -> bool {
        let mut line = self.line();
        let found = line.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket);
        let removed = found.ok().and_then(|index| line.waiting.remove(index));
        if let Some(removed) = &removed {
            line.count(removed.kind, |amount| amount.remove(removed.entry.message.body.len()));
        }
        removed.is_some()
    }

    /// Takes note that an attempt with `sent` begins.
    pub(super) fn sent(&self, sent: Amount, now: Instant) {
        self.line().room.sent(sent, now);
    }

    /// Takes note of an attempt that brought no receipts.
    pub(super) fn failed(&self) {
        let mut line = self.line();
        line.pace.failed();
        line.room.failed();
    }

    /// Takes note of an attempt with `sent` that `took` so long of `attempt_timeout` and brought
    /// receipts: the way is open.
    pub(super) fn answered(&self, sent: Amount, took: Duration, attempt_timeout: Duration) {
        let mut line = self.line();
        let waiting = line.singles;
        if line.pace.answered(sent, took, attempt_timeout) {
            // It carried less than there could have been.
            line.room.answered_in_part(waiting);
        } else {
            let batch = line.pace.batch();
            line.room.answered(sent, batch, took, waiting);
        }
    }

    /// Whether the next attempt carries one message and the others follow, because the last attempt
    /// brought no receipts.
    pub(super) fn sends_one_ahead(&self) -> bool {
        self.line().pace.sends_one_ahead()
    }

    /// Whether what waits need not gather any more.
    pub(super) fn is_gathered(&self) -> bool {
        self.line().all.reaches(Amount::GATHERED)
    }

    /// How many of these, in their order, belong to the next batch.
    pub(super) fn fits(&self, batch: &[Waiting]) -> usize {
        self.line().pace.fits(batch.iter().map(Waiting::body_bytes))
    }

    /// Waits for messages and takes as many as fit one batch, in the order they came.
    ///
    /// When the answers to a batch have gone out, the next messages of those clients are coming in, and a
    /// call with the first of them would keep all others waiting. So until there are as many as may be on
    /// their way, all tasks that are ready have their turn, for as long as that brings more.
    ///
    /// `None` once the queue is closed and empty.
    pub(super) async fn next_batch(&self) -> Option<Vec<Waiting>> {
        let expected = {
            let line = self.line();
            (line.last_batch + line.all.messages).min(GATHER_MESSAGES_MAX)
        };
        loop {
            self.gather(expected).await;
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

    async fn gather(&self, expected: usize) {
        let enough = Amount { messages: expected, ..Amount::GATHERED };
        let mut gathered = 0;
        loop {
            let now = self.line().all;
            if now.messages <= gathered || now.reaches(enough) {
                return;
            }
            gathered = now.messages;
            tokio::task::yield_now().await;
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
        (line.all, line.singles) = Default::default();
        let dropped = std::mem::take(&mut line.waiting);
        drop(line);
        drop(dropped);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn push(&mut self, entry: Arc<Entry>, kind: Kind, answer: Answer) -> Result<u64, PushError> {
        if self.closed {
            return Err(PushError::Closed);
        }
        if !self.has_room(kind, entry.message.body.len()) {
            return Err(PushError::Full(self.room.wait(self.all)));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.count(kind, |amount| amount.add(entry.message.body.len()));
        self.waiting.push_back(Waiting { ticket, kind, entry, answer });
        Ok(ticket)
    }

    fn has_room(&self, kind: Kind, body_bytes: usize) -> bool {
        self.all.has_room(Amount::QUEUE, body_bytes)
            && match kind {
                Kind::Bulk => true,
                Kind::Single => {
                    self.room.has_room(self.singles, body_bytes)
                        // The clock is read for those alone who would be refused.
                        || self.room.is_outage(Instant::now())
                }
            }
    }

    fn count(&mut self, kind: Kind, change: impl Fn(&mut Amount)) {
        change(&mut self.all);
        match kind {
            Kind::Single => change(&mut self.singles),
            Kind::Bulk => {}
        }
    }

    fn take_batch(&mut self) -> Vec<Waiting> {
        let count = self.pace.fits(self.waiting.iter().map(Waiting::body_bytes));
        self.last_batch = count;
        let batch: Vec<Waiting> = self.waiting.drain(..count).collect();
        for waiting in &batch {
            self.count(waiting.kind, |amount| amount.remove(waiting.entry.message.body.len()));
        }
        batch
    }
}
