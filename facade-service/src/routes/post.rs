//! `POST /facade`: stores one message. The hot path.

use std::{io::Write as _, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode};
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
pub(super) async fn post(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let (id, delivered) = store(&app.facade, request).await?;
    let mut response = json(StatusCode::OK, receipt(id, &delivered));
    if delivered.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn store(facade: &Facade, request: Request) -> Result<(MessageId, Delivered), PostError> {
    let (head, body) = request.into_parts();
    media_type::expect(&head.headers, JSON)?;
    let key = Key::from_headers(&head.headers)?;
    let key_id = key.map(|key| key.id()).transpose()?;
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
    // Writing into memory cannot fail.
    let _ = write!(
        json,
        r#"{{"status":"success","uuid":"{id}","sequence":{}}}"#,
        delivered.place.sequence
    );
    json
}
