//! Reading the log and the text of the messages service.

mod encode;
mod lists;
mod pace;
mod page;
mod upstream;

use std::{error::Error as _, time::Duration};

use oncelog::{message::AfterTheEnd, wire::InvalidReceipt};
use tonic::Status;

pub(crate) use self::encode::{ENCODED_AT_ONCE_MAX, Encoder, RecordJson};
pub use self::upstream::ReadUpstream;
pub(crate) use self::{
    lists::{ListPlace, ListProgress, Lists, ListsFull},
    page::{Buffered, Piece, buffer},
    upstream::LogReader,
};

/// Which service could not be asked, why, and what can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the logging-service cannot be read: {0}. Nothing that was stored is lost; try again")]
    Logging(#[source] ReadBroken),
    #[error(
        "the messages-service does not answer: {0}. The records stay readable with \
         Accept: application/x-ndjson"
    )]
    Messages(#[source] ReadBroken),
}

/// Why a read of the log did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error(transparent)]
    AfterTheEnd(#[from] AfterTheEnd),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl NotOpened {
    /// What `broken` means for a read after `after`.
    fn new(broken: ReadBroken, after: u64) -> Self {
        let ahead = match &broken {
            ReadBroken::Status(status) => AfterTheEnd::from_status(status, after),
            ReadBroken::TimedOut(_)
            | ReadBroken::Contract(_)
            | ReadBroken::Encode(_)
            | ReadBroken::Evicted => None,
        };
        ahead.map_or_else(|| Unavailable::Logging(broken).into(), Self::from)
    }
}

/// Why a read did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBroken {
    #[error("{}", describe(.0))]
    Status(#[from] Status),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("an answer that breaks the contract: {0}")]
    Contract(#[from] InvalidReceipt),
    #[error("a piece of it could not be encoded")]
    Encode(#[from] tokio::task::JoinError),
    #[error("its client read more slowly than all others, and another one needed the place")]
    Evicted,
}

/// A status in words, down to what the operating system said.
fn describe(status: &Status) -> String {
    let mut words = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    for error in std::iter::successors(status.source(), |&error| error.source()) {
        let detail = error.to_string();
        if !words.contains(&detail) {
            words = format!("{words}: {detail}");
        }
    }
    words
}
