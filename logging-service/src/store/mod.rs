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

/// The writing side, used by one thread at a time.
pub trait Store: Send + 'static {
    /// Appends `batch`, which is not empty, as one unit: after a crash all of it is there or none.
    ///
    /// Returns when all of it is durable. Readers see it from then on, not earlier.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`]: surely nothing of it is stored, and the store can go on.
    /// [`CommitError::Failed`]: nobody knows what is stored; the store must not be used again.
    fn commit(
        &mut self,
        batch: &[Message],
        stored_at: SystemTime,
    ) -> Result<Committed, CommitError>;

    /// Called when no append has come for a while, and before a clean stop: makes later damage to
    /// the last batch distinguishable from an unfinished write.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn mark_idle(&mut self) -> Result<(), CommitError>;

    /// Called now and then after [`CommitError::NoSpace`]: whether there is room again.
    ///
    /// # Errors
    /// As [`Store::commit`]; [`CommitError::NoSpace`] if there is still no room.
    fn make_room(&mut self) -> Result<(), CommitError>;

    /// A reader of what is durable.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Sequence of the last durable record; zero if there is none.
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

/// A batch on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Sequence of the first message; the others follow without a gap.
    pub first_sequence: u64,
    /// Where each message is, in batch order.
    pub addresses: Vec<Address>,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No space is left. Surely nothing of the batch is stored.
    #[error("no space is left: {0}")]
    NoSpace(io::Error),
    /// The disk failed. What is stored of the batch is unknown until the store is opened again.
    #[error("the disk failed: {0}")]
    Failed(io::Error),
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
    #[error("{file} is damaged at offset {offset}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// Which check failed.
        problem: String,
    },
}
