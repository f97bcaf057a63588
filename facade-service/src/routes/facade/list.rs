//! `GET /facade`: the log and the messages service's text, as one body.

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use http::header::{CONTENT_TYPE, VARY};

use crate::{
    Facade,
    http::{
        accept::Format,
        page::Page,
        problem::{Problem, ReadError},
    },
    reads::{Encoder, ReadBroken},
};

/// Answers once both services have begun to answer. If the log breaks off later, the connection is
/// broken too: what looks whole is whole.
pub(crate) async fn list(
    State(facade): State<Facade>,
    request: Request,
) -> Result<Response, Problem> {
    let (format, body) = open(&facade, request).await?;
    let headers = [(CONTENT_TYPE, format.content_type()), (VARY, "accept")];
    Ok((headers, body).into_response())
}

async fn open(facade: &Facade, request: Request) -> Result<(Format, Body), ReadError> {
    let page = Page::from_query(request.uri().query())?;
    let format = Format::from_headers(request.headers())?;
    let slot = facade.read_slots().try_acquire_owned();
    let slot = slot.map_err(|_| ReadError::TooMany(facade.limits().reads))?;
    let reads = facade.reads();
    let (log, text) = match format {
        Format::Json | Format::Text => {
            let (log, text) = tokio::join!(reads.read(page), reads.text());
            (log?, text?)
        }
        Format::Ndjson => (reads.read(page).await?, String::new()),
    };
    let encoder = Encoder::new(format, page, text);
    // One piece is read when the one before it is on its way: memory does not grow with the log.
    let state = Some((log, encoder, facade.clone(), slot));
    let pieces = stream::try_unfold(state, async |state| {
        let Some((mut log, encoder, facade, slot)) = state else { return Ok(None) };
        let next = async {
            let Some(records) = log.next().await? else { return Ok((encoder.end(), None)) };
            let (encoder, piece) = encoder.piece(records, facade.encode_slots()).await?;
            Ok((piece, Some(encoder)))
        };
        match next.await {
            Ok((piece, encoder)) => {
                Ok(Some((piece, encoder.map(|encoder| (log, encoder, facade, slot)))))
            }
            Err(broken) => {
                tracing::warn!("an answer was broken off: the log broke off: {broken}");
                Err::<_, ReadBroken>(broken)
            }
        }
    });
    Ok((format, Body::from_stream(pieces)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{StatusCode, header::RETRY_AFTER};
    use oncelog::message::RandomIds;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Options, Upstreams};

    #[tokio::test]
    async fn one_read_too_many_is_refused_with_retry_after() {
        let options = Options::new(Arc::new(RandomIds));
        let facade = Facade::new(Upstreams::unreachable(), options, CancellationToken::new());
        let all = facade.limits().reads as u32;
        let readers = facade.read_slots().try_acquire_many_owned(all).unwrap();
        let refused = open(&facade, Request::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, ReadError::TooMany(64)), "{refused}");
        let response = Problem::from(refused).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        drop(readers);
        let asked = open(&facade, Request::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(asked, ReadError::Unavailable(_)), "{asked}");
    }
}
