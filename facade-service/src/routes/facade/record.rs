//! `GET /facade/{uuid}`: one record and its receipt.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use http::{StatusCode, Uri};
use oncelog::message::MessageId;
use serde::Serialize;

use crate::routes::{App, json};
use crate::{
    app::Facade,
    http::problem::{Failure, ReadError},
    reads::{RecordJson, lookup},
};

#[derive(Serialize)]
struct FoundJson<'a> {
    status: &'static str,
    stream: &'a str,
    #[serde(flatten)]
    record: RecordJson<'a>,
}

/// Answers with the record only once it is on disk.
pub(crate) async fn record(
    State(app): State<Arc<App>>,
    uri: Uri,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(json(StatusCode::OK, find(&app.facade, &uri, uuid).await?))
}

async fn find(
    facade: &Facade,
    uri: &Uri,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Vec<u8>, ReadError> {
    // What cannot be decoded is shown as it came.
    let Path(uuid) = uuid.map_err(|_| ReadError::Id(uri.path().to_owned()))?;
    let id: MessageId = uuid.parse().map_err(|_| ReadError::Id(uuid))?;
    let found = lookup(facade, id).await?.ok_or(ReadError::NotFound(id))?;
    let shown = FoundJson {
        status: "success",
        stream: found.message.stream.as_str(),
        record: RecordJson::from(&found),
    };
    // Writing plain fields into memory cannot fail.
    Ok(serde_json::to_vec(&shown).unwrap_or_default())
}
