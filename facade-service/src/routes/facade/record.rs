//! `GET /facade/{uuid}`: one record and its receipt.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use http::{StatusCode, Uri};
use oncelog::{excerpt::Quote, message::MessageId};
use serde::Serialize;

use crate::{
    Facade,
    http::{
        json::{json, to_json},
        problem::{Problem, ReadError},
    },
    reads::RecordJson,
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
    State(facade): State<Facade>,
    uri: Uri,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, find(&facade, &uri, uuid).await?))
}

async fn find(
    facade: &Facade,
    uri: &Uri,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Vec<u8>, ReadError> {
    // What cannot be decoded is shown as it came.
    let Path(uuid) = uuid.map_err(|_| ReadError::Id(Quote::of(uri.path())))?;
    let id: MessageId = uuid.parse().map_err(|_| ReadError::Id(Quote::of(&uuid)))?;
    let found = facade.reads().lookup(id).await?.ok_or(ReadError::NotFound(id))?;
    Ok(to_json(&FoundJson {
        status: "success",
        stream: found.message.stream.as_str(),
        record: RecordJson::from(&found),
    }))
}
