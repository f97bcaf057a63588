//! Decides what happens to each message, and commits the new ones as one batch.
//!
//! Everything here runs on one thread and without a clock or runtime of its own, so a test can walk
//! it through any order of appends, crashes and faults.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    sync::Arc,
    time::SystemTime,
};

use oncelog::{
    clock::Clock,
    message::{Message, MessageId, Outcome, Receipt, Rejection},
};

use super::index::Index;
use crate::store::{Address, CommitError, Committed, ReadError, Reader, Store};

/// The writing side of the log: the store, and the index it alone fills.
pub struct Appender {
    store: Box<dyn Store>,
    reader: Arc<dyn Reader>,
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
    /// Ids of the batch being made. They are durable for nobody else until it is committed.
    pending: HashMap<MessageId, usize>,
    /// Set while there is no space: new messages are refused without asking the disk each time.
    no_space: Option<Rejection>,
}

/// What one call of [`Appender::append`] did.
#[derive(Debug)]
pub struct Appended {
    /// One for each message, in order.
    pub outcomes: Vec<Outcome>,
    /// The messages that are new on disk, in log order.
    pub stored: Vec<Message>,
    /// Why the new messages were rejected for want of space, if they were.
    pub no_space: Option<Rejection>,
}

/// What was decided about a message before the commit.
enum Decision {
    /// New: the nth message of the batch.
    New(usize),
    /// The same as the nth message of the batch: answered by the same commit.
    SameAsNew(usize),
    /// Another message with the id of the nth message of the batch: a conflict, once that is stored.
    ConflictsWithNew(usize),
    /// Answered by what is on disk already.
    Known(Outcome),
}

impl Appender {
    /// An appender over a store whose records are all in `index`.
    pub fn new(store: Box<dyn Store>, index: Arc<Index>, clock: Arc<dyn Clock>) -> Self {
        let reader = store.reader();
        Self { store, reader, index, clock, pending: HashMap::new(), no_space: None }
    }

    /// The store.
    pub fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// Stores the new ones among `messages`, durably, and says what became of each.
    ///
    /// # Errors
    /// The disk failed: nobody knows what is stored, every message must be answered so, and the
    /// appender must not be used again.
    pub fn append(&mut self, messages: Vec<Message>) -> Result<Appended, io::Error> {
        let mut batch = Vec::with_capacity(messages.len());
        self.pending.clear();
        let known = self.index.get_all(messages.iter().map(|message| &message.id));
        let decide = |(message, known)| self.decide(message, known, &mut batch);
        let decisions: Vec<_> = messages.into_iter().zip(known).map(decide).collect();

        let stored_at = self.clock.now();
        let committed = match self.no_space.clone() {
            Some(rejection) => Err(rejection),
            None => self.commit(&batch, stored_at)?,
        };
        if committed.is_err() {
            batch.clear();
        }
        let receipt = |nth: usize| match &committed {
            Ok(committed) => {
                Ok(Receipt { sequence: committed.first_sequence + nth as u64, stored_at })
            }
            Err(rejection) => Err(rejection.clone()),
        };
        let outcomes = decisions.into_iter().map(|decision| decision.settle(receipt)).collect();
        Ok(Appended { outcomes, stored: batch, no_space: committed.err() })
    }

    fn decide(
        &mut self,
        message: Message,
        known: Option<Address>,
        batch: &mut Vec<Message>,
    ) -> Decision {
        if let Some(address) = known {
            return Decision::Known(compare(&*self.reader, address, &message));
        }
        match self.pending.entry(message.id) {
            Entry::Vacant(entry) => {
                let nth = *entry.insert(batch.len());
                batch.push(message);
                Decision::New(nth)
            }
            Entry::Occupied(entry) if batch[*entry.get()] == message => {
                Decision::SameAsNew(*entry.get())
            }
            Entry::Occupied(entry) => Decision::ConflictsWithNew(*entry.get()),
        }
    }

    /// Makes the batch durable, then shows it to everybody. Nobody has been answered yet.
    fn commit(
        &mut self,
        batch: &[Message],
        stored_at: SystemTime,
    ) -> Result<Result<Committed, Rejection>, io::Error> {
        if batch.is_empty() {
            return Ok(Ok(Committed { first_sequence: 0, addresses: Vec::new() }));
        }
        match self.store.commit(batch, stored_at) {
            Ok(committed) => {
                let ids = batch.iter().map(|message| message.id);
                self.index.insert_all(ids.zip(committed.addresses.iter().copied()));
                Ok(Ok(committed))
            }
            Err(error @ CommitError::NoSpace(_)) => {
                let rejection = Rejection::ReadOnly(error.to_string());
                self.no_space = Some(rejection.clone());
                Ok(Err(rejection))
            }
            Err(CommitError::Failed(source)) => Err(source),
        }
    }

    /// Asks the store whether a full disk has room again. If so, new messages are taken again.
    ///
    /// # Errors
    /// As [`Store::make_room`].
    pub fn make_room(&mut self) -> Result<(), CommitError> {
        self.store.make_room()?;
        self.no_space = None;
        Ok(())
    }
}

impl Decision {
    /// The outcome, given where the nth message of the batch is, or why none of it was stored.
    fn settle(self, receipt: impl Fn(usize) -> Result<Receipt, Rejection>) -> Outcome {
        let settled = match self {
            Self::New(nth) => receipt(nth).map(Outcome::Stored),
            Self::SameAsNew(nth) => receipt(nth).map(Outcome::Duplicate),
            Self::ConflictsWithNew(nth) => receipt(nth).map(|_| Outcome::Conflict),
            Self::Known(outcome) => Ok(outcome),
        };
        settled.unwrap_or_else(Outcome::Rejected)
    }
}

/// What to answer to `message`, whose id is that of the durable record at `address`.
pub(super) fn compare(reader: &dyn Reader, address: Address, message: &Message) -> Outcome {
    match reader.get(address) {
        Ok(stored) if stored.message == *message => Outcome::Duplicate(stored.receipt),
        Ok(_) => Outcome::Conflict,
        Err(error @ (ReadError::Io { .. } | ReadError::Damaged { .. })) => {
            tracing::error!(id = %message.id, %error, "cannot compare a repeated message");
            Outcome::Rejected(Rejection::Unreadable(format!(
                "a record with this id is stored, but it cannot be read: {error}"
            )))
        }
    }
}
