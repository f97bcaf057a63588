//! Why a read did not come to its end, and what that means.

use std::{error::Error, time::Duration};

use oncelog::{message::AfterTheEnd, wire::InvalidReceipt};
use tonic::{Code, Status};

/// Which service could not be asked, why, and what can be done. None of it promises anything about what is
/// stored: a read that failed knows nothing of that.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the logging-service cannot be read now: {0}; try again")]
    Logging(#[source] ReadBroken),
    #[error(
        "{0}. What is stored there cannot be read before an operator has repaired the journal, and a repeated \
         request does not help. Records before and behind it can be read with ?after= and ?limit="
    )]
    Damaged(#[source] ReadBroken),
    #[error("{}; a repeated request does not help before that is set right", wrong_service(.0))]
    WrongService(#[source] ReadBroken),
    #[error(
        "the messages-service does not answer: {0}. The records stay readable with \
         Accept: application/x-ndjson"
    )]
    Messages(#[source] ReadBroken),
}

impl Unavailable {
    /// The failure of a read of the log.
    pub(crate) fn logging(broken: ReadBroken) -> Self {
        match broken.cause() {
            Cause::Trouble => Self::Logging(broken),
            Cause::Damage => Self::Damaged(broken),
            Cause::WrongService => Self::WrongService(broken),
        }
    }
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
    pub(super) fn new(broken: ReadBroken, after: u64) -> Self {
        let ahead = match &broken {
            ReadBroken::Status(status) => AfterTheEnd::from_status(status, after),
            ReadBroken::TimedOut(_)
            | ReadBroken::Contract(_)
            | ReadBroken::Encode(_)
            | ReadBroken::Evicted => None,
        };
        ahead.map_or_else(|| Unavailable::logging(broken).into(), Self::from)
    }
}

/// What an operator reads where another service answers in place of the logging-service.
pub(crate) fn wrong_service(broken: &ReadBroken) -> String {
    format!("the service at LOGGING_URL does not speak the contract of a logging-service: {broken}")
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

/// What is the matter with the service that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It cannot be read now.
    Trouble,
    /// What is stored there is not what was written.
    Damage,
    /// It is another service.
    WrongService,
}

impl ReadBroken {
    /// What is the matter. Decided by type and code, never by text.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Status(status) if speaks_no_http2(status) => Cause::WrongService,
            // Made on this side out of a broken connection.
            Self::Status(status) if status.source().is_some() => Cause::Trouble,
            Self::Status(status) => match status.code() {
                Code::DataLoss => Cause::Damage,
                // No such call, or no such path at an HTTP server that knows nothing of gRPC.
                Code::Unimplemented => Cause::WrongService,
                Code::Ok
                | Code::Cancelled
                | Code::Unknown
                | Code::InvalidArgument
                | Code::DeadlineExceeded
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::ResourceExhausted
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Internal
                | Code::Unavailable
                | Code::Unauthenticated => Cause::Trouble,
            },
            Self::Contract(_) => Cause::WrongService,
            Self::TimedOut(_) | Self::Encode(_) | Self::Evicted => Cause::Trouble,
        }
    }
}

/// Whether what the other side sent is no HTTP/2, as an answer of HTTP/1.1 is: to a reader of frames that
/// begins with a length no frame may have.
fn speaks_no_http2(status: &Status) -> bool {
    sources(status).filter_map(|error| error.downcast_ref::<h2::Error>()).any(|error| {
        error.is_library()
            && error.is_go_away()
            && error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR)
    })
}

/// A status in words, down to what the operating system said.
fn describe(status: &Status) -> String {
    if speaks_no_http2(status) {
        return "it speaks no HTTP/2".to_owned();
    }
    let mut words = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    for error in sources(status) {
        let detail = error.to_string();
        if !words.contains(&detail) {
            words = format!("{words}: {detail}");
        }
    }
    words
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&error| error.source())
}
