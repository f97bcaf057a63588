//! The errors of each kind of request, and the code of each.
//!
//! The maps below name every variant, so that a new one cannot inherit a wrong code.

use oncelog::{
    excerpt::Quote,
    message::{AfterTheEnd, MessageId},
};

use super::{Code, Problem, Stored};
use crate::{
    delivery::DeliveryError,
    http::{
        accept::NotAcceptable, body::BodyError, content::InvalidContent, head::InvalidHead,
        key::InvalidKey, media_type::WrongMediaType, page::InvalidPage,
    },
    reads::{NotOpened, Unavailable},
};

/// Why a message was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error(transparent)]
    Key(#[from] InvalidKey),
    #[error(transparent)]
    MediaType(#[from] WrongMediaType),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Content(#[from] InvalidContent),
    /// In an upload only.
    #[error("the facade is stopping: this line and those after it were not taken; send them again")]
    Stopping,
    /// In an upload only.
    #[error(
        "the outcomes of the lines before were not read, and no more of them can wait: this line \
         and those after it were not taken; send them again, read while you send or send fewer \
         lines at a time"
    )]
    OutcomesNotRead,
    #[error("{error}; {}", advice(.error))]
    Delivery {
        id: MessageId,
        #[source]
        error: DeliveryError,
    },
}

impl PostError {
    fn code(&self) -> Code {
        match self {
            Self::Key(error) | Self::Content(InvalidContent::Key(error)) => match error {
                InvalidKey::Many
                | InvalidKey::Quoted
                | InvalidKey::Characters
                | InvalidKey::Id(_) => Code::InvalidKey,
                InvalidKey::OnUpload => Code::KeyOnUpload,
            },
            Self::MediaType(WrongMediaType::Missing(_) | WrongMediaType::Other { .. }) => {
                Code::UnsupportedMediaType
            }
            Self::MediaType(WrongMediaType::Encoded(_)) => Code::UnsupportedEncoding,
            Self::Body(BodyError::TooLarge) => Code::BodyTooLarge,
            Self::Body(BodyError::Paused(_)) => Code::BodyTimeout,
            Self::Body(BodyError::Slow { .. }) => Code::BodyTooSlow,
            Self::Body(BodyError::Incomplete) => Code::BodyIncomplete,
            Self::Body(BodyError::Malformed(_)) => Code::InvalidFraming,
            Self::Body(BodyError::TooMany) => Code::TooManyBodies,
            Self::Content(
                InvalidContent::Nothing
                | InvalidContent::NotAnObject
                | InvalidContent::ByteOrderMark
                | InvalidContent::Json(_),
            ) => Code::InvalidMessage,
            Self::Content(InvalidContent::Empty) => Code::EmptyMessage,
            Self::Content(InvalidContent::LineTooLong) => Code::LineTooLong,
            Self::Stopping => Code::Stopping,
            Self::OutcomesNotRead => Code::OutcomesNotRead,
            Self::Delivery { error, .. } => match error {
                DeliveryError::Conflict => Code::KeyConflict,
                DeliveryError::Invalid(_) => Code::MessageRefused,
                DeliveryError::NotStored(_) => Code::NotStored,
                DeliveryError::Overloaded { .. } => Code::Overloaded,
                DeliveryError::Damaged(_) => Code::RecordDamaged,
                DeliveryError::Unknown(_) => Code::OutcomeUnknown,
            },
        }
    }

    /// What can be said of the message itself.
    fn stored(&self) -> Stored {
        match self {
            Self::Delivery {
                error: DeliveryError::Damaged(_) | DeliveryError::Unknown(_), ..
            } => Stored::Unknown,
            Self::Delivery {
                error:
                    DeliveryError::Conflict
                    | DeliveryError::Invalid(_)
                    | DeliveryError::NotStored(_)
                    | DeliveryError::Overloaded { .. },
                ..
            }
            | Self::Key(_)
            | Self::MediaType(_)
            | Self::Body(_)
            | Self::Content(_)
            | Self::Stopping
            | Self::OutcomesNotRead => Stored::No,
        }
    }
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        let mut problem = Self::new(error.code(), error.to_string(), Some(error.stored()));
        if let PostError::Delivery { id, error } = error {
            problem.id = Some(id);
            if let DeliveryError::Overloaded { wait, .. } = error {
                problem.wait = wait;
            }
        }
        problem
    }
}

fn advice(error: &DeliveryError) -> &'static str {
    match error {
        DeliveryError::Conflict => "use a new Idempotency-Key for a new message",
        DeliveryError::Invalid(_) => "it would be refused again",
        DeliveryError::NotStored(_) | DeliveryError::Overloaded { .. } => {
            "repeat the request, best with this uuid as Idempotency-Key"
        }
        DeliveryError::Damaged(_) => {
            "whether it is this message is unknown, and repeating the request does not tell before an \
             operator has seen to the journal"
        }
        DeliveryError::Unknown(_) => {
            "repeat the request with this uuid as Idempotency-Key, and the message is stored once"
        }
    }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Page(#[from] InvalidPage),
    #[error(transparent)]
    NotAcceptable(#[from] NotAcceptable),
    #[error("{0} is not the uuid of a message")]
    Id(Quote),
    #[error(
        "no message with this uuid is stored. A message that was sent may still be on its way \
         until its total timeout has passed; to be sure, repeat it with this uuid as \
         Idempotency-Key, and it is stored once"
    )]
    NotFound(MessageId),
    #[error(transparent)]
    AfterTheEnd(AfterTheEnd),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("{0} clients are reading the log now; try again")]
    TooMany(usize),
}

impl ReadError {
    fn code(&self) -> Code {
        match self {
            Self::Page(_) => Code::InvalidPage,
            Self::NotAcceptable(NotAcceptable) => Code::NotAcceptable,
            Self::Id(_) => Code::InvalidUuid,
            Self::NotFound(_) => Code::MessageNotFound,
            Self::AfterTheEnd(_) => Code::AfterTheEnd,
            Self::Unavailable(Unavailable::Logging(_) | Unavailable::WrongService(_)) => {
                Code::LoggingUnavailable
            }
            Self::Unavailable(Unavailable::Damaged(_)) => Code::LogDamaged,
            Self::Unavailable(Unavailable::Messages(_)) => Code::MessagesUnavailable,
            Self::TooMany(_) => Code::TooManyReads,
        }
    }
}

impl From<NotOpened> for ReadError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::AfterTheEnd(error) => Self::AfterTheEnd(error),
            NotOpened::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let mut problem = Self::new(error.code(), error.to_string(), None);
        if let ReadError::NotFound(id) = error {
            problem.id = Some(id);
        }
        if let ReadError::AfterTheEnd(AfterTheEnd { last_sequence, .. }) = error {
            problem.last_sequence = Some(last_sequence);
        }
        problem
    }
}

impl Problem {
    /// Nothing is made of a request, which `is_post`, because of its head.
    pub(crate) fn of_head(error: &InvalidHead, is_post: bool) -> Self {
        let code = match error {
            InvalidHead::NoHost
            | InvalidHead::ManyHosts
            | InvalidHead::Host(_)
            | InvalidHead::Target(_) => Code::InvalidHost,
            InvalidHead::UnknownCoding(_) => Code::UnknownTransferCoding,
            InvalidHead::ChunkedTwice => Code::InvalidFraming,
        };
        Self::new(code, error.to_string(), is_post.then_some(Stored::No))
    }
}

/// Why a request reached no resource, or got no answer from it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("there is nothing at {0}; messages are at /facade")]
    NotFound(Quote),
    #[error("the method {0} is not possible here; the Allow header names what is")]
    Method(Quote),
    #[error("a mistake in the facade ended this request")]
    Panicked,
    /// It may have sent a message before.
    #[error(
        "a mistake in the facade ended this request; whether a message was stored is unknown. \
         Repeating it with the same Idempotency-Key is safe"
    )]
    PostPanicked,
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        let (code, stored) = match &error {
            RouteError::NotFound(_) => (Code::NotFound, None),
            RouteError::Method(_) => (Code::MethodNotAllowed, None),
            RouteError::Panicked => (Code::Internal, None),
            RouteError::PostPanicked => (Code::Internal, Some(Stored::Unknown)),
        };
        Self::new(code, error.to_string(), stored)
    }
}
