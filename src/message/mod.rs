//! The message, and what the log answers to it.

mod after_the_end;
mod content_type;
mod detach;
mod id;
mod stream;
mod text;
pub mod time;

use std::time::SystemTime;

use bytes::Bytes;

pub use self::{
    after_the_end::AfterTheEnd,
    content_type::{ContentType, InvalidContentType},
    detach::detach,
    id::{IdSource, InvalidMessageId, MESSAGE_ID_CHARS, MessageId, RandomIds},
    stream::{InvalidStreamName, StreamName},
};

/// What a client wants stored once.
///
/// Two messages are the same if all fields are equal. The same id with anything else different is a
/// conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chosen once, before the first attempt. The log deduplicates by it.
    pub id: MessageId,
    /// The stream the message belongs to.
    pub stream: StreamName,
    /// Media type of the body, for readers.
    pub content_type: ContentType,
    /// At most [`MESSAGE_BODY_BYTES_MAX`](crate::limits::MESSAGE_BODY_BYTES_MAX).
    pub body: Bytes,
}

/// Where and when a message was stored. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Place in the log: dense, from 1.
    pub sequence: u64,
    /// When the record was written, by the wall clock of the logging service: a time that a record can hold
    /// ([`time::recordable`]).
    pub stored_at: SystemTime,
}

/// A message and its place, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Where it is.
    pub receipt: Receipt,
    /// What was stored.
    pub message: Message,
}

/// What the log answers to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is on disk, as a new record.
    Stored(Receipt),
    /// The same message was on disk already, there.
    Duplicate(Receipt),
    /// The id is in use by a different message. Nothing was stored; repeating cannot help.
    Conflict,
    /// The log did not take it. Nothing was stored by this call.
    Rejected(Rejection),
}

/// Why the log did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It breaks a rule of the contract and would be refused again.
    #[error("{0}")]
    Invalid(String),
    /// Nothing can be stored: no space is left, or the files of the log are gone. Reads go on.
    #[error("{0}")]
    ReadOnly(String),
    /// More appends are waiting than the log takes.
    #[error("{0}")]
    Overloaded(String),
    /// A record with this id is stored but cannot be read now, so it is unknown whether it is the same
    /// message, or it may be lost.
    #[error("{0}")]
    Unreadable(String),
    /// The same, and the record is not what was written: it cannot be read before a repair.
    #[error("{0}")]
    Damaged(String),
}
