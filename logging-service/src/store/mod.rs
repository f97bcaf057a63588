//! Where records live. Only this module knows that a disk exists.
//!
//! A store keeps batches of messages in order and says where each one is. Deduplication happens
//! above it, in the log, once for all stores. One thread at a time uses the [`Store`]; any number of
//! [`Reader`]s work beside it and never block it.

pub mod journal;
pub mod memory;

use std::{io, sync::Arc, time::SystemTime};

use oncelog::message::{Message, StoredMessage};

/// Where a record is in its store. Its meaning is the store's business; it is small because the
/// index keeps one for every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub u64);

/// The writing side, used by one thread at a time. Calls may block. They may run on a worker thread of a
/// runtime, in an inline commit or where the committer is a task: a store must not wait for a future or a
/// task of that runtime.
///
/// A store is either a log of its own (the journal, the memory store), or one of several writers of a log
/// that an engine replicates. Only the second kind answers [`CommitAnswer::Overtaken`], or
/// [`CommitAnswer::Unknown`] more than once, and only it returns anything from [`Store::catch_up`].
pub trait Store: Send + 'static {
    /// Appends `batch`, which is not empty, as one unit: after a crash all of it is stored or none.
    ///
    /// Returns when it is certain whether the batch is stored, or when the store gives up finding out: a
    /// journal after a failure, a store with several writers after a bounded time. [`CommitAnswer`] says what
    /// is stored after each answer and what the caller may do next. The store itself never tries a commit
    /// again. Readers see a stored batch once this or [`Store::catch_up`] has returned, not earlier.
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer;

    /// Reads on: returns the batches that stand in the log after the last batch that this store has
    /// committed or returned, in order, without a gap. Each batch is returned once. An empty answer means
    /// that no further batch is known yet.
    ///
    /// With several writers it waits until there is something to read or a short time has passed, such as a
    /// tenth of a second, and so it does before it answers [`CatchUpError::Unavailable`]. If it did not, the
    /// committer would have used up all its attempts before the engine could answer. A store with one writer
    /// has nothing to read and returns at once.
    ///
    /// The committer calls it after [`CommitAnswer::Overtaken`] and [`CommitAnswer::Unknown`]. While it is
    /// unknown whether an attempt is stored, it also calls it before each group of calls, and now and then
    /// while no call comes. It publishes what this returns as it publishes its own batches. What is returned
    /// must continue the sequences of the store and repeat no id: a store checks the batches of others before
    /// it returns them.
    ///
    /// A batch whose commit was answered [`CommitAnswer::Unknown`] can take effect only as the next batch
    /// of the log. So once this call has returned at least one batch, or a later commit was stored, every
    /// earlier attempt of unknown outcome is settled: it is among the returned batches, or it is not
    /// stored and never will be.
    ///
    /// # Errors
    /// [`CatchUpError::Unavailable`]: the log cannot be read now; nothing was returned, ask again later.
    /// [`CatchUpError::Failed`]: as [`CommitAnswer::Failed`].
    fn catch_up(&mut self) -> Result<Vec<CommittedBatch>, CatchUpError> {
        Ok(Vec::new())
    }

    /// Called when no append has come for a while, and before a clean stop: makes later damage to
    /// the last batch distinguishable from an unfinished write.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`]: the seal is not written, and the store goes on.
    /// [`CommitError::Orphaned`], [`CommitError::WrittenToOrphan`]: also if there is nothing to seal.
    /// [`CommitError::Failed`]: as [`CommitAnswer::Failed`].
    fn seal(&mut self) -> Result<(), CommitError>;

    /// Called now and then after [`Refusal::NoSpace`]: whether a commit would find space again.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`]: there is still none, and the store goes on.
    /// [`CommitError::Orphaned`]: as [`Refusal::Orphaned`].
    /// [`CommitError::Failed`]: as [`CommitAnswer::Failed`].
    fn probe_space(&mut self) -> Result<(), CommitError>;

    /// Called about once a second: whether a start would still find what is stored. A commit finds that
    /// out by itself.
    ///
    /// # Errors
    /// [`Orphaned`]: as [`Refusal::Orphaned`].
    fn check_place(&mut self) -> Result<(), Orphaned> {
        Ok(())
    }

    /// A reader of what is durable.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Sequence of the last durable record, or the last one that a repair has declared lost, if that is
    /// greater; zero if there is none. The next batch begins with the sequence after it.
    fn last_sequence(&self) -> u64;
}

/// The reading side. Calls may wait for the disk, so async code runs them on a blocking thread.
pub trait Reader: Send + Sync + 'static {
    /// The record at `address`, which came from this store.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read or fails its checks.
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError>;

    /// The durable records after `after`, in order: at least one if there is one, and no more once
    /// `limit` is reached.
    ///
    /// # Errors
    /// [`ReadError`] if they cannot be read or fail their checks.
    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError>;
}

/// How much one [`Reader::scan`] returns.
#[derive(Debug, Clone, Copy)]
pub struct ScanLimit {
    /// Records, at least one.
    pub messages: usize,
    /// Body bytes; the last record may exceed it.
    pub bytes: usize,
}

/// Where a batch is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Sequence of the first message; the others follow without a gap.
    pub first_sequence: u64,
    /// Where each message is, in batch order.
    pub addresses: Vec<Address>,
}

/// What a store answers to a commit.
#[derive(Debug)]
#[must_use]
pub enum CommitAnswer {
    /// All of the batch is durable. It stands directly behind the last batch that this store has committed or
    /// returned from [`Store::catch_up`].
    Stored(Committed),
    /// Engines only. Surely nothing of the batch is stored: another batch was committed first. The caller
    /// reads on, decides again, and may commit again.
    Overtaken,
    /// Surely nothing of the batch is stored, and the store goes on.
    Refused(Refusal),
    /// The batch is stored, or will be, or never will be. The caller reads on, decides again, and may
    /// commit again: whichever attempt comes first is stored, and the others never are. A journal answers
    /// so at most once, when it notices after a write that it is orphaned; then it refuses.
    Unknown(String),
    /// The journal only. What is stored of the batch is unknown, and the store is finished until it is
    /// opened again: a failed sync is never tried again.
    Failed(io::Error),
}

/// Why a store refused a batch.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No space is left. New batches are refused until [`Store::probe_space`] says otherwise.
    #[error("no space is left: {0}")]
    NoSpace(io::Error),
    /// No start would find what is stored from now on, so nothing is stored any more until the store is
    /// opened again. Readers go on.
    #[error(transparent)]
    Orphaned(#[from] Orphaned),
    /// Engines only. The replicated log has no leader now; the same batch may be committed again later.
    #[error("the log has no leader: {0}")]
    NoLeader(String),
}

/// The files of a store are open, and no longer those that a start would find. What they hold is there
/// until they are closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Orphaned {
    /// What happened, for clients and operators.
    pub reason: String,
    /// What an operator does about it.
    pub remedy: String,
}

/// A batch that [`Store::catch_up`] has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBatch {
    /// Which writer committed it.
    pub origin: Origin,
    /// The records, in order.
    pub messages: Vec<Message>,
    /// Where they are.
    pub committed: Committed,
}

/// Which writer of a log committed a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This store: an attempt that was answered [`CommitAnswer::Unknown`] has been stored.
    Own,
    /// Another writer of the same log.
    Other,
}

/// Why a store could not read on.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The log cannot be read now.
    #[error("the log cannot be read now: {0}")]
    Unavailable(String),
    /// The store is finished until it is opened again.
    #[error("the store failed: {0}")]
    Failed(io::Error),
}

/// Why a store that writes to a disk could not write.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No space is left. Surely nothing is stored of what was to be written.
    #[error("no space is left: {0}")]
    NoSpace(io::Error),
    /// As [`Refusal::Orphaned`]. Surely nothing is stored of what was to be written.
    #[error(transparent)]
    Orphaned(Orphaned),
    /// As [`Refusal::Orphaned`], noticed too late: what was to be written may be in a file that no start
    /// will find, unless that file is saved.
    #[error("written, but {0}")]
    WrittenToOrphan(Orphaned),
    /// The disk failed. What is stored is unknown until the store is opened again.
    #[error("the disk failed: {0}")]
    Failed(io::Error),
}

impl CommitError {
    /// The same as an error of the operating system.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::NoSpace(error) | Self::Failed(error) => error,
            Self::Orphaned(orphaned) | Self::WrittenToOrphan(orphaned) => {
                io::Error::other(orphaned)
            }
        }
    }
}

impl From<Result<Committed, CommitError>> for CommitAnswer {
    fn from(result: Result<Committed, CommitError>) -> Self {
        match result {
            Ok(committed) => Self::Stored(committed),
            Err(CommitError::NoSpace(error)) => Self::Refused(Refusal::NoSpace(error)),
            Err(CommitError::Orphaned(orphaned)) => Self::Refused(Refusal::Orphaned(orphaned)),
            Err(error @ CommitError::WrittenToOrphan(_)) => Self::Unknown(error.to_string()),
            Err(CommitError::Failed(error)) => Self::Failed(error),
        }
    }
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error("cannot read {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// What is on disk is not what was written.
    #[error(transparent)]
    Damaged(Damage),
}

/// One place where a store is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at offset {offset}: {problem}")]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// Which check failed.
    pub problem: String,
}

impl Damage {
    pub(crate) fn new(file: impl Into<String>, offset: u64, problem: impl Into<String>) -> Self {
        Self { file: file.into(), offset, problem: problem.into() }
    }
}
