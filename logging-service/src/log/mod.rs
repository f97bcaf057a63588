//! The log: what is stored once, in what order, and which reads may see it.
//!
//! [`Log`] is a handle that many handlers share. Behind it is the single writer of the store
//! (`committer`), which looks up `facts`, lets the [`rules`](crate::rules) decide, commits, and has each
//! committed batch made known (`apply`) to the `index` of ids and to `read`s.

mod apply;
mod committer;
mod damage;
mod facts;
mod index;
mod read;
mod state;

use std::{io, sync::Arc};

use oncelog::{
    clock::Clock,
    message::{AfterTheEnd, Message, MessageId, Outcome, Rejection, StoredMessage, detach},
};
use tokio::sync::watch;

use self::{
    apply::DurableSequence,
    committer::{Handle, SubmitError},
    damage::ReportingReader,
    read::{Reads, Scanner},
};
pub use self::{
    committer::{Appended, Appender},
    damage::FoundDamage,
    index::Index,
    read::{Chunk, ReadRange, ReadStream},
    state::State,
};
use crate::{
    console::Console,
    execution::Execution,
    limits::Limits,
    rules::Fact,
    store::{Address, ReadError, Store},
};

/// A store, and the ids of all its records.
pub struct OpenStore {
    /// The store.
    pub store: Box<dyn Store>,
    /// Where each of its records is.
    pub index: Index,
}

/// A handle to the log. Clones share it.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    committer: Handle,
    index: Arc<Index>,
    scanner: Scanner,
    reader: Arc<ReportingReader>,
    reads: Reads,
    state: watch::Sender<State>,
    last_sequence: watch::Receiver<u64>,
    durable_sequence: DurableSequence,
}

/// Why an append call has no outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The service is stopping and did not take the call: nothing was stored.
    #[error("the logging service is stopping; nothing was stored, repeat the call")]
    Draining,
    /// The disk failed while the call was under way: whether it is stored is unknown before a restart.
    #[error("the journal failed; whether the messages are stored is unknown, repeat the call")]
    Failed,
    /// The store, which goes on, did not say in time whether the call is stored.
    #[error(
        "the store did not answer; whether the messages are stored is unknown, repeat the call"
    )]
    Unknown,
}

impl Log {
    /// Starts the committer of an open store, on a thread or as a task on the current runtime.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(
        opened: OpenStore,
        clock: Arc<dyn Clock>,
        console: Console,
        execution: Execution,
        limits: Limits,
    ) -> io::Result<Self> {
        let index = Arc::new(opened.index);
        let appender = Appender::new(opened.store, Arc::clone(&index), clock, console, limits);
        let last_sequence = appender.last_sequence();
        let durable_sequence = appender.durable_sequence();
        let state = watch::Sender::new(State::Ready);
        let reader = appender.reader();
        let all_reads = Arc::<ReportingReader>::clone(&reader);
        let scanner = Scanner::new(all_reads, last_sequence.clone(), execution, limits);
        Ok(Self(Arc::new(Inner {
            committer: Handle::start(appender, state.clone(), execution, limits)?,
            index,
            reads: Reads::new(scanner.clone()),
            scanner,
            reader,
            state,
            last_sequence,
            durable_sequence,
        })))
    }

    /// Stores each message unless its id is known, and says what became of it, in order.
    ///
    /// Returns after the records that decide the answers are on disk, also for duplicates of a
    /// message that is just being written.
    ///
    /// Cancel safety: dropping the future undoes nothing. Once it has been polled, its messages are stored
    /// or not, as if the caller had waited; another call with the same messages tells.
    ///
    /// # Errors
    /// [`AppendError`]; then no message has an outcome.
    pub async fn append(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, AppendError> {
        let addresses = self.0.index.get_all(messages.iter().map(|message| &message.id));
        // No longer are they surely durable; the committer answers for all.
        let is_orphaned = matches!(*self.0.state.borrow(), State::Orphaned(_));
        if is_orphaned || addresses.iter().all(Option::is_none) {
            return self.submit(messages).await;
        }
        // Durable ids never change, so they are answered here, and do not wait for the committer. It looks
        // up the others again: they may have been stored meanwhile.
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for (message, address) in messages.into_iter().zip(&addresses) {
            match address {
                Some(address) => known.push((message, *address)),
                None => new.push(message),
            }
        }
        // What waits must not keep the bodies in memory that are answered already.
        detach(&mut new, |message| &mut message.body);
        let known = self.answer_known(known);
        let (known, new) = if new.is_empty() {
            (known.await?, Vec::new())
        } else {
            tokio::try_join!(known, self.submit(new))?
        };
        let (mut known, mut new) = (known.into_iter(), new.into_iter());
        let next = |address: &Option<Address>| {
            if address.is_some() { known.next() } else { new.next() }
        };
        let outcomes: Vec<_> = addresses.iter().filter_map(next).collect();
        assert_eq!(outcomes.len(), addresses.len(), "one outcome for each message");
        Ok(outcomes)
    }

    async fn answer_known(
        &self,
        known: Vec<(Message, Address)>,
    ) -> Result<Vec<Outcome>, AppendError> {
        let answered = self.0.scanner.read(move |reader| {
            let facts =
                known.iter().map(|(message, address)| facts::compare(reader, *address, message));
            Ok(facts.filter_map(Fact::outcome).collect())
        });
        answered.await.map_err(|_| AppendError::Failed)
    }

    async fn submit(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, AppendError> {
        let count = messages.len();
        match self.0.committer.submit(messages) {
            // The committer drops a reply only when it failed.
            Ok(replied) => replied.await.unwrap_or(Err(AppendError::Failed)),
            Err(SubmitError::Full) => {
                let reason = "not stored: too many appends are waiting; try again later";
                let rejection = Rejection::Overloaded(reason.to_owned());
                Ok(vec![Outcome::Rejected(rejection); count])
            }
            Err(SubmitError::Closed) => Err(match *self.0.state.borrow() {
                State::Failed(_) => AppendError::Failed,
                State::Ready | State::ReadOnly(_) | State::Orphaned(_) | State::Draining => {
                    AppendError::Draining
                }
            }),
        }
    }

    /// The durable record with `id`, if there is one. A record that is just being written is not found.
    ///
    /// Cancel safety: dropping the future changes nothing; a read of the disk that has begun finishes by
    /// itself.
    ///
    /// # Errors
    /// [`ReadError`] if it is there but cannot be read.
    pub async fn lookup(&self, id: &MessageId) -> Result<Option<StoredMessage>, ReadError> {
        let Some(address) = self.0.index.get(id) else { return Ok(None) };
        self.0.scanner.read(move |reader| reader.get(address)).await.map(Some)
    }

    /// Streams durable records in log order. A stream that follows ends once the log has been closed or has
    /// failed, behind the last record that was stored. Dropping the stream ends the read.
    ///
    /// # Errors
    /// [`AfterTheEnd`] if the range begins after the end of the log. A receipt, or a record that was read or
    /// looked up, names no such position.
    pub fn read(&self, range: ReadRange) -> Result<ReadStream, AfterTheEnd> {
        let (after, last_sequence) = (range.after, self.0.durable_sequence.get());
        if after > last_sequence {
            return Err(AfterTheEnd { after, last_sequence });
        }
        Ok(self.0.reads.open(range))
    }

    /// What the log can do now, and a way to wait for changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// The damage that reads have met, and a way to wait for some. It keeps the log from nothing else.
    pub fn damage(&self) -> watch::Receiver<Option<FoundDamage>> {
        self.0.reader.found()
    }

    /// Sequence of the last durable record; zero if there is none.
    pub fn last_sequence(&self) -> u64 {
        *self.0.last_sequence.borrow()
    }

    /// Says that no new calls should come. Calls that come all the same are still taken.
    pub fn drain(&self) {
        self.0.state.send_if_modified(|state| match state {
            State::Ready | State::ReadOnly(_) => {
                *state = State::Draining;
                true
            }
            State::Orphaned(_) | State::Draining | State::Failed(_) => false,
        });
    }

    /// Finishes the calls that were submitted before, seals and closes the store, and ends the committer.
    /// Returns when that is done; the state says whether it failed. Later appends are answered
    /// [`AppendError::Draining`], reads go on.
    ///
    /// Cancel safety: once the future has been polled, dropping it does not stop the close.
    pub async fn close(&self) {
        self.0.committer.close().await;
    }
}
