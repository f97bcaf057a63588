//! `POST /facade`: stores one message. The hot path.

use std::{future::Future, io::Write as _, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oncelog::{delivery::Delivered, message::MessageId};

use super::{App, json};
use crate::{
    error::{Failure, PostError},
    facade::{Facade, text_message},
    request::{
        body::{BodyLimits, read_whole},
        content::parse_post,
        key::Key,
        media_type::{self, JSON},
    },
};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers with success only once the message is on disk.
///
/// The head goes before anything waits: as long as a part of it is there, the connection's read buffer
/// is taken, and each message would need a new one.
pub(super) fn post(
    State(app): State<Arc<App>>,
    request: Request,
) -> impl Future<Output = Result<Response, Failure>> + Send {
    let (head, body) = request.into_parts();
    let key_id = check(&head.headers);
    drop(head);
    async move {
        let (id, delivered) = store(&app.facade, key_id?, body).await?;
        let mut response = json(StatusCode::OK, receipt(id, &delivered));
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

fn receipt(id: MessageId, delivered: &Delivered) -> Vec<u8> {
    // Longer than any receipt: one allocation.
    let mut json = Vec::with_capacity(112);
    json.extend_from_slice(br#"{"status":"success","uuid":""#);
    json.extend_from_slice(&id.to_text());
    // Writing into memory cannot fail.
    let _ = write!(json, r#"","sequence":{}}}"#, delivered.place.sequence);
    json
}
