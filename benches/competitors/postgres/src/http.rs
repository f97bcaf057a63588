//! `POST /facade`, as Oncelog's facade takes and answers it.

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing,
};
use http_body_util::LengthLimitError;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc::Sender, oneshot};
use uuid::Uuid;

use crate::store::{Outcome, PendingInsert};

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
pub(crate) fn router(queue: Sender<PendingInsert>) -> Router {
    Router::new().route("/facade", routing::post(post)).with_state(queue)
}

async fn post(
    State(queue): State<Sender<PendingInsert>>,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let key_id = key_id(&head.headers)?;
    expect_json(&head.headers)?;
    let Post { msg } = serde_json::from_slice(&whole(body).await?).map_err(Failure::invalid)?;
    if msg.is_empty() {
        return Err(Failure::invalid("msg is empty; there is nothing to store"));
    }
    let id = key_id.unwrap_or_else(Uuid::now_v7);
    let (answer, answered) = oneshot::channel();
    queue.try_send(PendingInsert { id, body: msg.into_bytes(), answer }).map_err(|_| {
        let why = "too many messages are waiting; send it again";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, why, Some(id))
    })?;
    let outcome = answered.await.map_err(|_| {
        let why = "the database went away; repeat it with this uuid as Idempotency-Key";
        let failure = Failure::new(StatusCode::GATEWAY_TIMEOUT, why, Some(id));
        Failure { stored: "unknown", ..failure }
    })?;
    let posted = |sequence| Json(Posted { status: "success", uuid: id, sequence });
    match outcome {
        Outcome::Stored(sequence) => Ok(posted(sequence).into_response()),
        Outcome::Duplicate(sequence) => {
            Ok(([("idempotency-replayed", "true")], posted(sequence)).into_response())
        }
        Outcome::Conflict => {
            let why = "this Idempotency-Key belongs to another message";
            Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why, Some(id)))
        }
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    if media_type.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        Ok(())
    } else {
        let why = "the content type must be application/json";
        Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, None))
    }
}

/// All of `body`. axum's `Json` would do the same with a layer and an allocation more, since its
/// own limit is another one.
async fn whole(body: Body) -> Result<Bytes, Failure> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            let why = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, why, None)
        } else {
            Failure::invalid("the body broke off; send the request again")
        }
    })
}

/// The id that an `Idempotency-Key` names: a key that is a UUID is the id itself.
fn key_id(headers: &HeaderMap) -> Result<Option<Uuid>, Failure> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.as_bytes().trim_ascii();
    let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key);
    if !(1..=KEY_BYTES_MAX).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Failure::invalid("an Idempotency-Key has 1 to 255 visible ASCII characters"));
    }
    let id = Uuid::try_parse_ascii(key).unwrap_or_else(|_| Uuid::new_v5(&KEY_NAMESPACE, key));
    if id.is_nil() {
        return Err(Failure::invalid("the nil UUID is no id"));
    }
    Ok(Some(id))
}

/// Why a message was not acknowledged, as its client is told.
#[derive(Serialize)]
struct Failure {
    #[serde(skip)]
    code: StatusCode,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    stored: &'static str,
}

impl Failure {
    /// A message that is not stored.
    fn new(code: StatusCode, why: impl ToString, uuid: Option<Uuid>) -> Self {
        Self { code, status: "failure", message: why.to_string(), uuid, stored: "no" }
    }

    fn invalid(why: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why, None)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(&self)).into_response();
        if self.code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
