//! Between the domain and the wire. Everything that arrives is checked here, once.

use std::time::SystemTime;

use bytes::Bytes;
use prost_types::Timestamp;

use super::v1;
use crate::{
    limits::MESSAGE_BODY_BYTES_MAX,
    message::{
        InvalidContentType, InvalidMessageId, InvalidStreamName, Message, MessageId, Outcome,
        Receipt, Rejection, StoredMessage,
    },
};

/// Why a message on the wire is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// Its id.
    #[error("invalid id: {0}")]
    Id(#[from] InvalidMessageId),
    /// Its stream.
    #[error("invalid stream: {0}")]
    Stream(#[from] InvalidStreamName),
    /// Its content type.
    #[error("invalid content type: {0}")]
    ContentType(#[from] InvalidContentType),
    /// Its size.
    #[error("the body has {0} bytes, at most {MESSAGE_BODY_BYTES_MAX} are allowed")]
    TooLarge(usize),
}

impl TryFrom<v1::Message> for Message {
    type Error = InvalidMessage;

    fn try_from(message: v1::Message) -> Result<Self, Self::Error> {
        if message.body.len() > MESSAGE_BODY_BYTES_MAX {
            return Err(InvalidMessage::TooLarge(message.body.len()));
        }
        Ok(Self {
            id: MessageId::try_from(&message.id[..])?,
            stream: message.stream.parse()?,
            content_type: message.content_type.parse()?,
            body: message.body,
        })
    }
}

impl From<Message> for v1::Message {
    fn from(message: Message) -> Self {
        Self {
            id: Bytes::copy_from_slice(message.id.as_bytes()),
            stream: message.stream.into_text(),
            content_type: message.content_type.into_text(),
            body: message.body,
        }
    }
}

impl From<StoredMessage> for v1::StoredMessage {
    fn from(stored: StoredMessage) -> Self {
        Self {
            sequence: stored.receipt.sequence,
            stored_at: Some(stored.receipt.stored_at.into()),
            message: Some(stored.message.into()),
        }
    }
}

impl Outcome {
    /// The receipt for the message that was sent with `id`, right or wrong.
    pub fn into_receipt(self, id: Bytes) -> v1::Receipt {
        let mut receipt = v1::Receipt { id, ..v1::Receipt::default() };
        match self {
            Self::Stored(stored) => {
                receipt.set_outcome(v1::Outcome::Stored);
                set_receipt(&mut receipt, stored);
            }
            Self::Duplicate(stored) => {
                receipt.set_outcome(v1::Outcome::Duplicate);
                set_receipt(&mut receipt, stored);
            }
            Self::Conflict => receipt.set_outcome(v1::Outcome::Conflict),
            Self::Rejected(rejection) => {
                receipt.set_outcome(v1::Outcome::Rejected);
                receipt.detail = rejection.to_string();
                receipt.set_reason(match rejection {
                    Rejection::Invalid(_) => v1::Reason::Invalid,
                    Rejection::ReadOnly(_) => v1::Reason::ReadOnly,
                    Rejection::Overloaded(_) => v1::Reason::Overloaded,
                    Rejection::Unreadable(_) => v1::Reason::Unreadable,
                    Rejection::Damaged(_) => v1::Reason::Damaged,
                });
            }
        }
        receipt
    }
}

fn set_receipt(receipt: &mut v1::Receipt, stored: Receipt) {
    receipt.sequence = stored.sequence;
    receipt.stored_at = Some(stored.stored_at.into());
}

/// Why a receipt or record on the wire makes no sense: the other side breaks the contract, so the
/// outcome of the call is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceipt {
    /// No outcome, or one from a later version.
    #[error("a receipt without a known outcome")]
    Outcome,
    /// A rejection without a reason, or with one from a later version.
    #[error("a rejection without a known reason")]
    Reason,
    /// Stored, but nowhere or at no time.
    #[error("a record without a place")]
    Place,
    /// A stored record without a valid message.
    #[error("a record without a valid message: {0}")]
    Message(#[from] InvalidMessage),
}

impl TryFrom<v1::Receipt> for Outcome {
    type Error = InvalidReceipt;

    fn try_from(receipt: v1::Receipt) -> Result<Self, Self::Error> {
        let reason = receipt.reason();
        let place = receipt_of(receipt.sequence, receipt.stored_at);
        Ok(match receipt.outcome() {
            v1::Outcome::Unspecified => return Err(InvalidReceipt::Outcome),
            v1::Outcome::Stored => Self::Stored(place?),
            v1::Outcome::Duplicate => Self::Duplicate(place?),
            v1::Outcome::Conflict => Self::Conflict,
            v1::Outcome::Rejected => Self::Rejected(match reason {
                v1::Reason::Unspecified => return Err(InvalidReceipt::Reason),
                v1::Reason::Invalid => Rejection::Invalid(receipt.detail),
                v1::Reason::ReadOnly => Rejection::ReadOnly(receipt.detail),
                v1::Reason::Overloaded => Rejection::Overloaded(receipt.detail),
                v1::Reason::Unreadable => Rejection::Unreadable(receipt.detail),
                v1::Reason::Damaged => Rejection::Damaged(receipt.detail),
            }),
        })
    }
}

impl TryFrom<v1::StoredMessage> for StoredMessage {
    type Error = InvalidReceipt;

    fn try_from(stored: v1::StoredMessage) -> Result<Self, Self::Error> {
        Ok(Self {
            receipt: receipt_of(stored.sequence, stored.stored_at)?,
            message: stored.message.unwrap_or_default().try_into()?,
        })
    }
}

fn receipt_of(sequence: u64, stored_at: Option<Timestamp>) -> Result<Receipt, InvalidReceipt> {
    let stored_at = stored_at.ok_or(InvalidReceipt::Place)?;
    let stored_at = SystemTime::try_from(stored_at).map_err(|_| InvalidReceipt::Place)?;
    if sequence == 0 { Err(InvalidReceipt::Place) } else { Ok(Receipt { sequence, stored_at }) }
}
