//! What a caller is told, given what became of its message.

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Display},
    time::Duration,
};

use oncelog::{
    limits::MESSAGE_BODY_BYTES_MAX,
    message::{Message, Outcome, Receipt, Rejection},
    wire::InvalidMessage,
};

use super::{
    classify::{AttemptFailure, Fate, Remedy, classify},
    entry::State,
};

/// A message is stored, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Where.
    pub receipt: Receipt,
    /// Whether it surely was stored before this delivery began. A duplicate found after an attempt
    /// whose answer was lost may be our own, and does not count.
    pub replayed: bool,
}

/// Why [`Delivery::append`](super::Delivery::append) did not end with a stored message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The id is in use by a different message. Nothing was stored.
    #[error("this id is in use by a different message; nothing was stored")]
    Conflict,
    /// The logging service refuses the message for what it is. Nothing was stored.
    #[error("the message is refused: {0}")]
    Invalid(#[source] Reason),
    /// Surely not stored, now or later: no attempt can have been taken.
    #[error("not stored: {0}")]
    NotStored(#[source] Reason),
    /// Surely not stored, now or later: too many messages wait, and this one was not admitted.
    #[error("not stored: {reason}")]
    Overloaded {
        /// What is known about it.
        #[source]
        reason: Reason,
        /// In about this time, what waits now is stored.
        wait: Duration,
    },
    /// A record with this id is stored and damaged: whether it is this message is unknown, and another
    /// attempt does not tell.
    #[error("the outcome is unknown: {0}")]
    Damaged(#[source] Reason),
    /// An attempt was sent and no answer came in time. The message is stored once or not at all.
    #[error("the outcome is unknown: {0}")]
    Unknown(#[source] Reason),
}

/// What is known about a message that was not surely stored: what happened to it, and as the source why
/// the last attempt failed, if that is of any meaning. Two are equal if they read the same.
#[derive(Debug, Clone)]
pub struct Reason {
    what: Cow<'static, str>,
    last_failure: Option<AttemptFailure>,
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_failure {
            Some(failure) => write!(f, "{}: {failure}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_failure.as_ref().map(|failure| failure as _)
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Reason {}

impl<T: Into<Cow<'static, str>>> From<T> for Reason {
    fn from(what: T) -> Self {
        Self { what: what.into(), last_failure: None }
    }
}

fn reason(what: &'static str, last_failure: Option<AttemptFailure>) -> Reason {
    Reason { what: what.into(), last_failure }
}

/// Whether a call can carry `message`: a call must not fail for one message.
pub(super) fn check(message: &Message) -> Result<(), DeliveryError> {
    let size = message.body.len();
    if size > MESSAGE_BODY_BYTES_MAX {
        return Err(DeliveryError::Invalid(InvalidMessage::TooLarge(size).to_string().into()));
    }
    Ok(())
}

/// The answer to a message the log gave a receipt for. `state` tells whether an attempt before the
/// answered one may have been taken.
pub(super) fn of_receipt(outcome: Outcome, state: State) -> Result<Delivered, DeliveryError> {
    let earlier = match state {
        State::MaybeReached => true,
        State::Waiting | State::Sending | State::Cancelled => false,
    };
    match outcome {
        Outcome::Stored(receipt) => Ok(Delivered { receipt, replayed: false }),
        Outcome::Duplicate(receipt) => Ok(Delivered { receipt, replayed: !earlier }),
        Outcome::Conflict => Err(DeliveryError::Conflict),
        // A rule of the contract, so an earlier attempt was refused as well.
        Outcome::Rejected(Rejection::Invalid(detail)) => Err(DeliveryError::Invalid(detail.into())),
        // A record is there, and it is not known whether it is this message.
        Outcome::Rejected(Rejection::Unreadable(detail)) => {
            Err(DeliveryError::Unknown(detail.into()))
        }
        Outcome::Rejected(Rejection::Damaged(detail)) => Err(DeliveryError::Damaged(detail.into())),
        Outcome::Rejected(Rejection::ReadOnly(detail) | Rejection::Overloaded(detail)) => {
            // The receipt speaks for its own attempt only. An earlier one may still be under way.
            Err(if earlier {
                DeliveryError::Unknown(detail.into())
            } else {
                DeliveryError::NotStored(detail.into())
            })
        }
    }
}

/// The answer to a message whose call ended with `error` and no receipts.
pub(super) fn of_failure(
    error: &(dyn Error + 'static),
    state: State,
    last_failure: Option<AttemptFailure>,
) -> DeliveryError {
    match state {
        State::Sending | State::MaybeReached => {
            DeliveryError::Unknown(reason("an attempt was made and not confirmed", last_failure))
        }
        State::Waiting | State::Cancelled => {
            let verdict = classify(error);
            match (verdict.fate, verdict.remedy) {
                (Fate::Refused, Remedy::Split) => {
                    DeliveryError::Invalid(reason("the log refuses the call", last_failure))
                }
                // As another service does it, or a proxy.
                (Fate::Refused, Remedy::Retry | Remedy::GiveUp) => {
                    DeliveryError::NotStored(reason(
                        "every attempt was refused (does LOGGING_URL name a logging-service?)",
                        last_failure,
                    ))
                }
                (Fate::NeverReached | Fate::Unknown, _) => not_reached(last_failure),
            }
        }
    }
}

/// How far the message of a cancelled append had come: no further than the queue, or into a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cancelled {
    InQueue,
    InCall(State),
}

/// The answer to an append that the deadline cancelled.
pub(super) fn at_the_deadline(
    cancelled: Cancelled,
    last_failure: Option<AttemptFailure>,
) -> DeliveryError {
    match cancelled {
        Cancelled::InQueue => DeliveryError::NotStored(reason(
            "its turn did not come while other messages were sent",
            last_failure,
        )),
        Cancelled::InCall(State::Waiting | State::Cancelled) => not_reached(last_failure),
        Cancelled::InCall(State::Sending | State::MaybeReached) => {
            DeliveryError::Unknown(reason("no answer in time", last_failure))
        }
    }
}

/// The answer to an append that was cancelled because the dispatcher is gone.
pub(super) fn without_dispatcher(
    cancelled: Cancelled,
    last_failure: Option<AttemptFailure>,
) -> DeliveryError {
    match cancelled {
        Cancelled::InQueue | Cancelled::InCall(State::Waiting | State::Cancelled) => stopped(),
        Cancelled::InCall(State::Sending | State::MaybeReached) => {
            at_the_deadline(cancelled, last_failure)
        }
    }
}

/// The answer to a message that was not admitted to the queue.
pub(super) fn overloaded(wait: Duration, last_failure: Option<AttemptFailure>) -> DeliveryError {
    let reason = reason("too many messages are waiting for the logging service", last_failure);
    DeliveryError::Overloaded { reason, wait }
}

/// The answer to a message that comes after the end of the dispatcher.
pub(super) fn stopped() -> DeliveryError {
    DeliveryError::NotStored("delivery has stopped in this process; restart it".into())
}

fn not_reached(last_failure: Option<AttemptFailure>) -> DeliveryError {
    DeliveryError::NotStored(reason("no attempt reached the logging service", last_failure))
}
