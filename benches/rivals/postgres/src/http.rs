//! `POST /facade`, as Oncelog's facade takes and answers it.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{
    mpsc::{Sender, error::TrySendError},
    oneshot,
};
use uuid::Uuid;

use crate::store::{Outcome, Waiting};

/// Longest body of a request, as in the facade.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest `Idempotency-Key`, as in the facade.
const KEY_BYTES_MAX: usize = 255;

/// Namespace of the ids of keys that are no UUIDs.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x51e8_0a3d_94c7_4b62_8f15_c20b_7d69_3ae4);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    msg: String,
}

#[derive(Serialize)]
struct Posted {
    status: &'static str,
    uuid: Uuid,
    sequence: i64,
}

/// Everything that is served.
pub(crate) fn router(queue: Sender<Waiting>) -> Router {
    Router::new()
        .route("/facade", routing::post(post))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(queue)
}

async fn post(State(queue): State<Sender<Waiting>>, request: Request) -> Result<Response, Failure> {
    let key_id = key_id(request.headers())?;
    let Json(Post { msg }) = Json::from_request(request, &()).await.map_err(Failure::Json)?;
    if msg.is_empty() {
        return Err(Failure::Invalid("msg is empty; there is nothing to store"));
    }
    let id = key_id.unwrap_or_else(Uuid::now_v7);
    let (answer, answered) = oneshot::channel();
    queue.try_send(Waiting { id, body: msg.into_bytes(), answer }).map_err(
        |error| match error {
            TrySendError::Full(_) | TrySendError::Closed(_) => Failure::NotStored(id),
        },
    )?;
    let outcome = answered.await.map_err(|_| Failure::Unknown(id))?;
    let posted = |sequence| Json(Posted { status: "success", uuid: id, sequence });
    match outcome {
        Outcome::Stored(sequence) => Ok(posted(sequence).into_response()),
        Outcome::Duplicate(sequence) => {
            Ok(([("idempotency-replayed", "true")], posted(sequence)).into_response())
        }
        Outcome::Conflict => Err(Failure::Conflict(id)),
    }
}

/// The id that an `Idempotency-Key` names: a key that is a UUID is the id itself.
fn key_id(headers: &HeaderMap) -> Result<Option<Uuid>, Failure> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.as_bytes().trim_ascii();
    let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key);
    if !(1..=KEY_BYTES_MAX).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Failure::Invalid("an Idempotency-Key has 1 to 255 visible ASCII characters"));
    }
    let id = Uuid::try_parse_ascii(key).unwrap_or_else(|_| Uuid::new_v5(&KEY_NAMESPACE, key));
    if id.is_nil() {
        return Err(Failure::Invalid("the nil UUID is no id"));
    }
    Ok(Some(id))
}

/// Why a message was not acknowledged.
enum Failure {
    Json(JsonRejection),
    Invalid(&'static str),
    Conflict(Uuid),
    NotStored(Uuid),
    Unknown(Uuid),
}

#[derive(Serialize)]
struct FailureJson {
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    stored: &'static str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, message, uuid, stored) = match self {
            Self::Json(JsonRejection::JsonDataError(error)) => {
                (StatusCode::BAD_REQUEST, error.body_text(), None, "no")
            }
            Self::Json(rejection) => (rejection.status(), rejection.body_text(), None, "no"),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why.to_owned(), None, "no"),
            Self::Conflict(id) => {
                let why = "this Idempotency-Key belongs to another message";
                (StatusCode::UNPROCESSABLE_ENTITY, why.to_owned(), Some(id), "no")
            }
            Self::NotStored(id) => {
                let why = "too many messages are waiting; send it again";
                (StatusCode::SERVICE_UNAVAILABLE, why.to_owned(), Some(id), "no")
            }
            Self::Unknown(id) => {
                let why = "the database went away; repeat it with this uuid as Idempotency-Key";
                (StatusCode::GATEWAY_TIMEOUT, why.to_owned(), Some(id), "unknown")
            }
        };
        let json = Json(FailureJson { status: "failure", message, uuid, stored });
        let mut response = (status, json).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
