//! What a waiter is told, given what became of its message.

use std::error::Error;

use oncelog::message::{Outcome, Rejection};

use super::{
    Delivered, DeliveryError,
    classify::{Fate, Remedy, classify},
    entry::State,
    shared::Shared,
};

/// The answer to a message the log gave a receipt for. `state` tells whether an attempt before the
/// answered one may have been taken.
pub(super) fn of_outcome(outcome: Outcome, state: State) -> Result<Delivered, DeliveryError> {
    let earlier = match state {
        State::MaybeReached => true,
        State::Waiting | State::Sending | State::Gone => false,
    };
    match outcome {
        Outcome::Stored(receipt) => Ok(Delivered { receipt, replayed: false }),
        Outcome::Duplicate(receipt) => Ok(Delivered { receipt, replayed: !earlier }),
        Outcome::Conflict => Err(DeliveryError::Conflict),
        // A rule of the contract, so an earlier attempt was refused as well.
        Outcome::Rejected(Rejection::Invalid(detail)) => Err(DeliveryError::Invalid(detail)),
        // A record is there, and nobody knows whether it is this message.
        Outcome::Rejected(Rejection::Unreadable(detail)) => Err(DeliveryError::Unknown(detail)),
        Outcome::Rejected(Rejection::ReadOnly(detail) | Rejection::Overloaded(detail)) => {
            // The receipt speaks for its own attempt only. An earlier one may still be under way.
            Err(if earlier {
                DeliveryError::Unknown(detail)
            } else {
                DeliveryError::NotStored(detail)
            })
        }
    }
}

/// The answer to a message whose call ended with `error` and no receipts.
pub(super) fn of_failure(
    error: &(dyn Error + 'static),
    state: State,
    shared: &Shared,
) -> DeliveryError {
    match state {
        State::Sending | State::MaybeReached => {
            DeliveryError::Unknown(shared.explain("an attempt was made and not confirmed"))
        }
        State::Waiting | State::Gone => {
            let verdict = classify(error);
            match (verdict.fate, verdict.remedy) {
                (Fate::Refused, Remedy::Split) => {
                    DeliveryError::Invalid(shared.explain("the log refuses the call"))
                }
                (Fate::Refused, Remedy::Retry | Remedy::GiveUp) => {
                    DeliveryError::NotStored(shared.explain("every attempt was refused"))
                }
                (Fate::NeverReached | Fate::Unknown, _) => not_reached(shared),
            }
        }
    }
}

/// The answer to a waiter that leaves the batch under way.
pub(super) fn of_departure(state: State, shared: &Shared) -> DeliveryError {
    match state {
        State::Waiting | State::Gone => not_reached(shared),
        State::Sending | State::MaybeReached => {
            DeliveryError::Unknown(shared.explain("no answer in time"))
        }
    }
}

fn not_reached(shared: &Shared) -> DeliveryError {
    DeliveryError::NotStored(shared.explain("no attempt reached the logging service"))
}
