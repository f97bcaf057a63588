//! Every failure, its status, and what a client is told.
//!
//! The maps from error to status below name every variant, so that a new one cannot inherit a
//! wrong status.

use std::time::Duration;

use crate::delivery::DeliveryError;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use oncelog::{limits::LISTINGS_MAX, message::MessageId};
use serde::Serialize;

use crate::{
    http::{
        accept::NotAcceptable, body::BodyError, content::InvalidContent, key::InvalidKey,
        media_type::WrongMediaType, page::InvalidPage,
    },
    reads::Unavailable,
    routes::json,
};

/// Whether a message that was not acknowledged may be stored all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stored {
    No,
    Unknown,
}

/// A failure, as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    id: Option<MessageId>,
    stored: Option<Stored>,
    /// How long a client had better wait before it comes again, if that is known.
    wait: Duration,
}

/// The shortest time that a client is asked to wait: the smallest that the header can say.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct FailureJson<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
}

impl Failure {
    /// The failure as JSON; `line` is its place in a batch upload.
    pub(crate) fn to_json(&self, line: Option<u64>) -> Vec<u8> {
        let json = FailureJson {
            status: "failure",
            line,
            message: &self.message,
            uuid: self.id.map(|id| id.to_string()),
            stored: self.stored,
        };
        // Writing plain fields into memory cannot fail.
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json(self.status, self.to_json(None));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            // Whole seconds, upwards: who comes too early is refused again.
            let seconds = self.wait.max(RETRY_AFTER_MIN).as_millis().div_ceil(1000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

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
    /// In a batch upload only.
    #[error("the facade is stopping: this line and those after it were not taken; send them again")]
    Stopping,
    #[error("{error}")]
    Delivery { id: MessageId, error: DeliveryError },
}

impl From<PostError> for Failure {
    fn from(error: PostError) -> Self {
        let status = match &error {
            PostError::Key(_) | PostError::Content(_) => StatusCode::BAD_REQUEST,
            PostError::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            PostError::Body(error) => match error {
                BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Paused(_) | BodyError::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
                BodyError::Cut => StatusCode::BAD_REQUEST,
                BodyError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            },
            PostError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            PostError::Delivery { id, error } => return not_delivered(*id, error),
        };
        Self {
            status,
            message: error.to_string(),
            id: None,
            stored: Some(Stored::No),
            wait: Duration::ZERO,
        }
    }
}

fn not_delivered(id: MessageId, error: &DeliveryError) -> Failure {
    let (status, stored, advice) = match error {
        DeliveryError::Conflict => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Stored::No,
            "use a new Idempotency-Key for a new message",
        ),
        DeliveryError::Invalid(_) => {
            (StatusCode::BAD_REQUEST, Stored::No, "it would be refused again")
        }
        DeliveryError::NotStored(_) | DeliveryError::Overloaded { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            Stored::No,
            "repeat the request, best with this uuid as Idempotency-Key",
        ),
        DeliveryError::Unknown(_) => (
            StatusCode::GATEWAY_TIMEOUT,
            Stored::Unknown,
            "repeat the request with this uuid as Idempotency-Key, and the message is stored once",
        ),
    };
    let wait = match error {
        DeliveryError::Overloaded { wait, .. } => *wait,
        DeliveryError::Conflict
        | DeliveryError::Invalid(_)
        | DeliveryError::NotStored(_)
        | DeliveryError::Unknown(_) => Duration::ZERO,
    };
    let message = format!("{error}; {advice}");
    Failure { status, message, id: Some(id), stored: Some(stored), wait }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Page(#[from] InvalidPage),
    #[error(transparent)]
    NotAcceptable(#[from] NotAcceptable),
    #[error("{0:?} is not the uuid of a message")]
    Id(String),
    #[error(
        "no message with this uuid is stored. A message that was sent may still be on its way \
         until its total timeout has passed; to be sure, repeat it with this uuid as \
         Idempotency-Key, and it is stored once"
    )]
    NotFound(MessageId),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("{LISTINGS_MAX} clients are reading the log now; try again")]
    Crowded,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let mut id = None;
        let status = match &error {
            ReadError::Page(_) | ReadError::Id(_) => StatusCode::BAD_REQUEST,
            ReadError::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            ReadError::NotFound(missing) => {
                id = Some(*missing);
                StatusCode::NOT_FOUND
            }
            ReadError::Unavailable(_) | ReadError::Crowded => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, message: error.to_string(), id, stored: None, wait: Duration::ZERO }
    }
}

/// Why a request reached no resource, or got no answer from it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("there is nothing at {0:?}; messages are at /facade")]
    NotFound(String),
    #[error("{0} is not possible here; the Allow header names what is")]
    Method(http::Method),
    #[error(
        "a mistake in the facade ended this request; whether a message was stored is unknown. \
         Repeating it with the same Idempotency-Key is safe"
    )]
    Panicked,
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        let (status, stored) = match &error {
            RouteError::NotFound(_) => (StatusCode::NOT_FOUND, None),
            RouteError::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, None),
            RouteError::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, Some(Stored::Unknown)),
        };
        Self { status, message: error.to_string(), id: None, stored, wait: Duration::ZERO }
    }
}
