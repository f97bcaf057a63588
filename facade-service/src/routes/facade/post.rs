//! `POST /facade`: stores one message. The hot path.

use std::future::Future;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oncelog::message::MessageId;

use crate::{
    Facade,
    delivery::Delivered,
    http::{
        body::{BodyLimits, read_whole},
        content::parse_post,
        json::json,
        key::Key,
        media_type::{self, JSON},
        problem::{PostError, Problem},
    },
    routes::facade::{
        message,
        receipt::{RECEIPT_BYTES_USUAL, ReplayMark, write_receipt},
    },
};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers with success only once the message is on disk.
///
/// The head goes before anything waits: as long as a part of it is there, the connection's read buffer
/// is taken, and each message would need a new one.
pub(crate) fn post(
    State(facade): State<Facade>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> + Send {
    let (head, body) = request.into_parts();
    let key_id = check(&head.headers);
    drop(head);
    async move {
        let (id, delivered) = store(&facade, key_id?, body).await?;
        let mut receipt = Vec::with_capacity(RECEIPT_BYTES_USUAL);
        write_receipt(&mut receipt, id, delivered.receipt.sequence, ReplayMark::Absent);
        let mut response = json(StatusCode::OK, receipt);
        if delivered.replayed {
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// The id that the client chose, if it did.
fn check(headers: &HeaderMap) -> Result<Option<MessageId>, PostError> {
    media_type::expect(headers, JSON)?;
    let key = Key::from_headers(headers)?;
    Ok(key.map(|key| key.id()).transpose()?)
}

async fn store(
    facade: &Facade,
    key_id: Option<MessageId>,
    body: Body,
) -> Result<(MessageId, Delivered), PostError> {
    let limits = &facade.limits().edge;
    let limits = BodyLimits { pause: limits.body_read, whole: limits.body_whole };
    let body = read_whole(body, limits, facade.body_budget()).await?;
    let text = parse_post(&body.bytes)?;
    // A small text was copied: the read buffer is free again while the message waits.
    drop(body);
    let id = key_id.unwrap_or_else(|| facade.next_id());
    let appended = facade.delivery().append(message(id, text)).await;
    let delivered = appended.map_err(|error| PostError::Delivery { id, error })?;
    Ok((id, delivered))
}
