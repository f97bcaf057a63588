//! The errors of each kind of request, and the code of each.
//!
//! The maps below name every variant, so that a new one cannot inherit a wrong code.

use oncelog::{excerpt::Quote, message::MessageId};

use super::{Code, Problem, Stored};
use crate::{
    delivery::DeliveryError,
    http::{
        accept::NotAcceptable, body::BodyError, content::InvalidContent, head::InvalidHead,
        key::InvalidKey, media_type::WrongMediaType, page::InvalidPage,
    },
    reads::Unavailable,
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
                InvalidContent::Nothing | InvalidContent::NotAnObject | InvalidContent::Json(_),
            ) => Code::InvalidMessage,
            Self::Content(InvalidContent::Empty) => Code::EmptyMessage,
            Self::Content(InvalidContent::LineTooLong) => Code::LineTooLong,
            Self::Stopping => Code::Stopping,
            Self::Delivery { error, .. } => match error {
                DeliveryError::Conflict => Code::KeyConflict,
                DeliveryError::Invalid(_) => Code::MessageRefused,
                DeliveryError::NotStored(_) => Code::NotStored,
                DeliveryError::Overloaded { .. } => Code::Overloaded,
                DeliveryError::Unknown(_) => Code::OutcomeUnknown,
            },
        }
    }
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        let code = error.code();
        let stored = if code == Code::OutcomeUnknown { Stored::Unknown } else { Stored::No };
        let mut problem = Self::new(code, error.to_string(), Some(stored));
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
    Unavailable(#[from] Unavailable),
    #[error("{0} clients are reading the log now; try again")]
    TooMany(usize),
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let (code, id) = match &error {
            ReadError::Page(_) => (Code::InvalidPage, None),
            ReadError::NotAcceptable(NotAcceptable) => (Code::NotAcceptable, None),
            ReadError::Id(_) => (Code::InvalidUuid, None),
            ReadError::NotFound(id) => (Code::MessageNotFound, Some(*id)),
            ReadError::Unavailable(Unavailable::Logging(_)) => (Code::LoggingUnavailable, None),
            ReadError::Unavailable(Unavailable::Messages(_)) => (Code::MessagesUnavailable, None),
            ReadError::TooMany(_) => (Code::TooManyReads, None),
        };
        Self { id, ..Self::new(code, error.to_string(), None) }
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
