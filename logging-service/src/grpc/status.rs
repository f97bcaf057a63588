//! What an error of the log is on the wire.

use oncelog::wire::surely_not_stored;
use tonic::Status;

use crate::{log::AppendError, store::ReadError};

pub(super) fn append_status(error: AppendError) -> Status {
    let message = error.to_string();
    match error {
        AppendError::Draining => surely_not_stored(Status::unavailable(message)),
        AppendError::Failed | AppendError::Unknown => Status::unavailable(message),
    }
}

pub(super) fn read_status(error: ReadError) -> Status {
    let message = error.to_string();
    match error {
        ReadError::Io { .. } => {
            tracing::error!("a read failed: {message}");
            Status::unavailable(message)
        }
        // The log has reported it, once for all that read it.
        ReadError::Damaged(_) => Status::data_loss(message),
    }
}
