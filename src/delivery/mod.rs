//! Brings a message to the logging service: the only place that retries.

use crate::message::Place;

/// A message is stored, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Where.
    pub place: Place,
    /// Whether it surely was stored before this delivery began. A duplicate found after an attempt
    /// whose answer was lost may be our own, and does not count.
    pub replayed: bool,
}

/// Why [`Delivery::append`] did not end with a stored message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The id is in use by a different message. Nothing was stored.
    #[error("this id is in use by a different message; nothing was stored")]
    Conflict,
    /// The logging service refuses the message for what it is. Nothing was stored.
    #[error("the message is refused: {0}")]
    Invalid(String),
    /// Surely not stored, now or later: no attempt can have been taken.
    #[error("not stored: {0}")]
    NotStored(String),
    /// An attempt was sent and no answer came in time. The message is stored once or not at all.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}
