//! The log: what is stored once, in what order, and who may know it.
//!
//! [`Log`] is a handle that many handlers share. Behind it is the one owner of the store (`owner`,
//! run by `driver`, met at the `desk`), which decides and commits (`appender`), and publishes durable ids
//! (`index`).

mod appender;
mod chunk;
mod desk;
mod driver;
mod follow;
mod index;
mod owner;
mod pace;
mod read;
mod recent;
mod state;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use oncelog::{
    clock::Clock,
    limits::{APPEND_BYTES_WAITING_MAX, QUICK_COMMIT_BYTES_MAX, SCANS_AT_ONCE_MAX},
    message::{Message, MessageId, Outcome, Rejection, StoredMessage},
};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    time::Instant,
};

use self::{
    appender::compare,
    driver::{Driver, NotTaken},
    follow::Followers,
    owner::{Append, Owner, Work},
};
pub use self::{
    appender::{Appended, Appender},
    chunk::Chunk,
    index::Index,
    read::{ReadRange, ReadStream},
    state::State,
};
use crate::{
    console::Console,
    execution::Execution,
    store::{Address, ReadError, Reader, Store},
};

/// A handle to the log. Clones share it.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    driver: Driver,
    execution: Execution,
    bytes_waiting: Arc<AtomicUsize>,
    index: Arc<Index>,
    reader: Arc<dyn Reader>,
    /// Bounds the chunks that are read at a time.
    scans: Arc<Semaphore>,
    /// What those share who follow now.
    followers: Mutex<Weak<Followers>>,
    state: watch::Sender<State>,
    last_sequence: watch::Receiver<u64>,
}

/// Why an append call has no outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The service is stopping and did not take the call: nothing was stored.
    #[error("the logging service is stopping; nothing was stored, repeat the call")]
    Draining,
    /// The disk failed while the call was under way: stored or not, nobody knows before a restart.
    #[error("the journal failed; whether the messages are stored is unknown, repeat the call")]
    Failed,
}

impl Log {
    /// Starts the one owner of `store`, whose records are all in `index`: the journal thread, or a
    /// task on the current runtime.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(
        store: Box<dyn Store>,
        index: Index,
        clock: Arc<dyn Clock>,
        console: Console,
        execution: Execution,
    ) -> io::Result<Self> {
        let index = Arc::new(index);
        let reader = store.reader();
        let (last_sequence, watched_sequence) = watch::channel(store.last_sequence());
        let state = watch::Sender::new(State::Ready);
        let bytes_waiting = Arc::new(AtomicUsize::new(0));
        let owner = Owner {
            appender: Appender::new(store, Arc::clone(&index), clock),
            bytes_waiting: Arc::clone(&bytes_waiting),
            state: state.clone(),
            last_sequence,
            console,
            marked: true,
            room_check_at: None,
            appended_at: Instant::now(),
            commit_time: Duration::ZERO,
            quick_commits: 0,
        };
        Ok(Self(Arc::new(Shared {
            driver: Driver::start(owner, execution)?,
            execution,
            bytes_waiting,
            index,
            reader,
            scans: Arc::new(Semaphore::new(SCANS_AT_ONCE_MAX)),
            followers: Mutex::default(),
            state,
            last_sequence: watched_sequence,
        })))
    }

    /// Stores each message unless its id is known, and says what became of it, in order.
    ///
    /// Returns after the records that decide the answers are on disk, also for duplicates of a
    /// message that is just being written. Dropping the call does not undo it.
    ///
    /// # Errors
    /// [`AppendError`]; then no message has an outcome.
    pub async fn append(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, AppendError> {
        let addresses = self.0.index.get_all(messages.iter().map(|message| &message.id));
        if addresses.iter().all(Option::is_none) {
            return self.hand_over(messages).await;
        }
        // Durable duplicates are answered here, beside the journal thread.
        let (known, new): (Vec<_>, Vec<_>) =
            messages.into_iter().zip(&addresses).partition(|(_, address)| address.is_some());
        let known = self.compare_all(
            known
                .into_iter()
                .filter_map(|(message, address)| Some((message, (*address)?)))
                .collect(),
        );
        let new = apart(new.into_iter().map(|(message, _)| message).collect());
        let (known, new) = if new.is_empty() {
            (known.await?, Vec::new())
        } else {
            tokio::try_join!(known, self.hand_over(new))?
        };
        let (mut known, mut new) = (known.into_iter(), new.into_iter());
        Ok(addresses
            .iter()
            .filter_map(|address| if address.is_some() { known.next() } else { new.next() })
            .collect())
    }

    async fn compare_all(
        &self,
        known: Vec<(Message, Address)>,
    ) -> Result<Vec<Outcome>, AppendError> {
        let reader = Arc::clone(&self.0.reader);
        let compare_all = move || {
            known.iter().map(|(message, address)| compare(&*reader, *address, message)).collect()
        };
        self.0.execution.read(compare_all).await.ok_or(AppendError::Failed)
    }

    async fn hand_over(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, AppendError> {
        let count = messages.len();
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        let overloaded = || {
            let rejection = "not stored: too many appends are waiting; try again later";
            Ok(vec![Outcome::Rejected(Rejection::Overloaded(rejection.to_owned())); count])
        };
        let waiting = self.0.bytes_waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting > 0 && waiting + bytes > APPEND_BYTES_WAITING_MAX {
            self.0.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
            return overloaded();
        }
        let (answer, answered) = oneshot::channel();
        let brief = bytes <= QUICK_COMMIT_BYTES_MAX;
        match self.0.driver.hand_over(Work::Append(Append { messages, bytes, answer }), brief) {
            // The owner drops the answer only when the disk failed or it was told to stop.
            Ok(()) => answered.await.unwrap_or(Err(AppendError::Failed)),
            Err(NotTaken::Full) => {
                self.0.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
                overloaded()
            }
            Err(NotTaken::Ended) => Err(match *self.0.state.borrow() {
                State::Failed(_) => AppendError::Failed,
                State::Ready | State::ReadOnly(_) | State::Draining => AppendError::Draining,
            }),
        }
    }

    /// The durable record with `id`, if there is one.
    ///
    /// # Errors
    /// [`ReadError`] if it is there but cannot be read.
    pub async fn lookup(&self, id: &MessageId) -> Result<Option<StoredMessage>, ReadError> {
        let Some(address) = self.0.index.get(id) else { return Ok(None) };
        let reader = Arc::clone(&self.0.reader);
        read::blocking(self.0.execution, move || reader.get(address)).await.map(Some)
    }

    /// Streams durable records in log order.
    pub fn read(&self, range: ReadRange) -> ReadStream {
        let source = read::Source {
            reader: Arc::clone(&self.0.reader),
            last_sequence: self.0.last_sequence.clone(),
            execution: self.0.execution,
            scans: Arc::clone(&self.0.scans),
        };
        if range.follow {
            ReadStream::new(follow::follow(self.followers(), source, range))
        } else {
            ReadStream::new(read::read(source, range))
        }
    }

    fn followers(&self) -> Arc<Followers> {
        let mut followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.upgrade().unwrap_or_else(|| {
            let first = Arc::new(Followers::new(self.0.last_sequence.clone()));
            *followers = Arc::downgrade(&first);
            first
        })
    }

    /// What the log can do now, and a way to wait for changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Sequence of the last durable record; zero if there is none.
    pub fn last_sequence(&self) -> u64 {
        *self.0.last_sequence.borrow()
    }

    /// Says that no new work should come. What comes all the same is still done.
    pub fn drain(&self) {
        self.0.state.send_if_modified(|state| match state {
            State::Ready | State::ReadOnly(_) => {
                *state = State::Draining;
                true
            }
            State::Draining | State::Failed(_) => false,
        });
    }

    /// Finishes what was handed over, closes the store in good order and ends its owner.
    pub async fn close(&self) {
        self.0.driver.stop().await;
    }
}

/// The same messages in memory of their own: what waits must not keep those that are answered already.
fn apart(mut messages: Vec<Message>) -> Vec<Message> {
    let bytes = messages.iter().map(|message| message.body.len()).sum();
    let mut bodies = BytesMut::with_capacity(bytes);
    for message in &messages {
        bodies.extend_from_slice(&message.body);
    }
    let mut bodies = bodies.freeze();
    for message in &mut messages {
        message.body = bodies.split_to(message.body.len());
    }
    messages
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oncelog::message::{ContentType, IdSource as _, RandomIds, StreamName};

    use super::*;

    #[test]
    fn what_is_set_apart_keeps_nothing_else_in_memory() {
        let request = Bytes::from(vec![b'x'; 1024]);
        let messages: Vec<_> = [0, 7, 1]
            .map(|bytes| Message {
                id: RandomIds.next_id(),
                stream: StreamName::facade(),
                content_type: ContentType::text(),
                body: request.slice(..bytes),
            })
            .into();
        let set_apart = apart(messages.clone());
        assert_eq!(set_apart, messages);
        drop(messages);
        assert!(request.is_unique());
    }
}
