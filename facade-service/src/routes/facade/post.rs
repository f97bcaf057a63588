//! `POST /facade`: stores one message. The hot path.

use std::{future::Future, sync::Arc};

use crate::delivery::Delivered;
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oncelog::message::MessageId;

use crate::routes::{App, json};
use crate::{
    app::{Facade, text_message},
    http::{
        body::{BodyLimits, read_whole},
        content::parse_post,
        key::Key,
        media_type::{self, JSON},
        problem::{Failure, PostError},
    },
    routes::facade::receipt::{RECEIPT_BYTES_USUAL, write_receipt},
};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers with success only once the message is on disk.
///
/// The head goes before anything waits: as long as a part of it is there, the connection's read buffer
/// is taken, and each message would need a new one.
pub(crate) fn post(
    State(app): State<Arc<App>>,
    request: Request,
) -> impl Future<Output = Result<Response, Failure>> + Send {
    let (head, body) = request.into_parts();
    let key_id = check(&head.headers);
    drop(head);
    async move {
        let (id, delivered) = store(&app.facade, key_id?, body).await?;
        let mut receipt = Vec::with_capacity(RECEIPT_BYTES_USUAL);
        write_receipt(&mut receipt, id, delivered.receipt.sequence, false);
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
    let limits = facade.limits();
    let limits = BodyLimits { pause: limits.body_read, whole: limits.body_whole };
    let body = read_whole(body, limits, facade.bodies()).await?;
    let text = parse_post(&body.bytes)?;
    // A small text was copied: the read buffer is free again while the message waits.
    drop(body);
    let id = key_id.unwrap_or_else(|| facade.next_id());
    let appended = facade.delivery().append(text_message(id, text)).await;
    let delivered = appended.map_err(|error| PostError::Delivery { id, error })?;
    Ok((id, delivered))
}
